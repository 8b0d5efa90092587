"""Both ways in: `songid` (command line; the window when no verb is given) and `songid-desktop`
(the window). The one place that knows both front ends; each imports only the one it needs."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
from collections.abc import Sequence
from pathlib import Path

EXIT_ENVIRONMENT = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """The command `songid`."""
    multiprocessing.freeze_support()
    if _serves_as_worker():
        return 0
    from songid_desktop.cli.main import run

    return run(sys.argv[1:] if arguments is None else arguments, _open_window)


def main_window(arguments: Sequence[str] | None = None) -> int:
    """The command `songid-desktop`: opens the window, with files to identify if any are named."""
    multiprocessing.freeze_support()
    if _serves_as_worker():
        return 0
    from songid_desktop.cli.output import path_argument

    parser = argparse.ArgumentParser(
        prog="songid-desktop",
        description="Open the window. FILEs are identified in it. The command line is: songid -h",
    )
    parser.add_argument("--version", action="version", version=f"songid-desktop {_version()}")
    parser.add_argument(
        "--base-dir", type=path_argument, metavar="DIR", help="keep everything below DIR"
    )
    parser.add_argument("files", nargs="*", type=path_argument, metavar="FILE")
    parsed = parser.parse_args(None if arguments is None else list(arguments))
    return _open_window(parsed.base_dir, parsed.files)


def _serves_as_worker() -> bool:
    """Be the worker that this process was started as, if it was: a frozen app has no interpreter
    to start one with; it starts itself."""
    if sys.argv[1:] == ["--enrol-worker"]:
        from songid_desktop.catalog.worker import serve

        serve()
    elif sys.argv[1:] == ["--sound-worker"]:
        from songid_desktop.audio.soundworker import serve as serve_sound

        serve_sound()
    elif sys.argv[1:2] == ["--compaction-worker"]:
        from songid_desktop.identify.compaction import serve as compact

        compact(*sys.argv[2:])
    elif sys.argv[1:2] == ["--convert-worker"]:
        from songid_desktop.neural.convert import serve as convert

        convert(*sys.argv[2:])
    else:
        return False
    return True


def _version() -> str:
    from songid_desktop import __version__

    return __version__


def _open_window(base_dir: Path | None, files: Sequence[Path]) -> int:
    """Open the window; where that can't be, say why and what to do."""
    from songid_desktop.paths import resolve

    trouble = _why_no_window()
    if not trouble:
        try:
            from songid_desktop.ui.app import run
        except ImportError as error:
            if not _is_about_qt(error):
                raise
            trouble = f"a library it needs is missing ({error})"
        else:
            from songid_desktop.identify.registry import look_in

            paths = resolve(base_dir)
            look_in(paths)
            return run(paths, list(files))
    sys.stderr.write(
        f"songid: The window can't open: {trouble}.\n"
        "The command line works all the same, see: songid --help. What is missing: songid doctor\n"
    )
    return EXIT_ENVIRONMENT


def _why_no_window() -> str:
    """Why Qt would abort the process on Linux instead of opening a window; empty when it won't."""
    if sys.platform != "linux" or os.environ.get("QT_QPA_PLATFORM"):
        return ""
    if not os.environ.get("DISPLAY") and not os.environ.get("WAYLAND_DISPLAY"):
        return "there is no screen (neither DISPLAY nor WAYLAND_DISPLAY is set)"
    if not os.environ.get("WAYLAND_DISPLAY"):
        import ctypes

        try:
            # The one library of Qt's X11 plugin that desktops do not bring along.
            ctypes.CDLL("libxcb-cursor.so.0")
        except OSError:
            return "libxcb-cursor0 is missing (sudo apt install libxcb-cursor0)"
    return ""


def _is_about_qt(error: ImportError) -> bool:
    text = f"{error.name or ''} {error}"
    return any(part in text for part in ("PySide6", "shiboken6", ".so", "DLL"))


if __name__ == "__main__":
    sys.exit(main())
