"""The command `songid`: its parser, and the one place where errors become exit codes.

Start-up imports nothing but the standard library; each verb brings what it needs when it runs.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from songid_desktop import __version__
from songid_desktop.cli import (
    catalog,
    dataset,
    demo,
    doctor,
    enroll,
    evaluate,
    history,
    identify,
    listen,
    models,
    output,
    sources,
    train,
)
from songid_desktop.cli.interrupts import EXIT_INTERRUPTED

EXIT_DONE = 0
EXIT_NO_MATCH = 1
EXIT_USAGE = 2
EXIT_ENVIRONMENT = 3
EXIT_BROKEN_PIPE = 141
"""128 + SIGPIPE, as a shell reports it; nobody reads what is written any more."""

OpenWindow = Callable[[Path | None, Sequence[Path]], int]

_VERBS = (
    enroll,
    identify,
    listen,
    sources,
    catalog,
    history,
    models,
    dataset,
    train,
    evaluate,
    demo,
    doctor,
)

_EPILOG = """\
Exit codes: 0 all match or done, 1 no match or unsure, 2 wrong usage, 3 something outside the
program stands in the way (disk, device, unreadable file). Without a verb the window opens.
"""


def build_parser() -> argparse.ArgumentParser:
    """The whole grammar of the command line."""
    parser = argparse.ArgumentParser(
        prog="songid",
        description="Name the music playing nearby, or in a file, from your own library.",
        epilog=_EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"songid {__version__}")
    parser.add_argument(
        "--base-dir",
        type=output.path_argument,
        metavar="DIR",
        help="keep catalog, settings and log below DIR instead of the user's own folders",
    )
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", title="verbs")
    for module in _VERBS:
        module.add_parser(verbs)
    return parser


def run(arguments: Sequence[str], open_window: OpenWindow) -> int:
    """Carry out a command line; returns the exit code and raises nothing.

    Parameters
    ----------
    arguments : sequence of str
        Without the program's name.
    open_window : callable
        Opens the window for a base folder and files; used when no verb is given.
    """
    output.prepare_streams()
    try:
        code = _run(arguments, open_window)
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        _silence_stdout()
        return EXIT_BROKEN_PIPE
    except KeyboardInterrupt:
        output.note("Stopped.")
        return EXIT_INTERRUPTED
    return code


def _run(arguments: Sequence[str], open_window: OpenWindow) -> int:
    try:
        parsed = build_parser().parse_args(list(arguments))
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else EXIT_USAGE
    if parsed.verb is None:
        return open_window(parsed.base_dir, ())
    from songid_desktop.identify.registry import look_in
    from songid_desktop.paths import resolve

    paths = resolve(parsed.base_dir)
    look_in(paths)
    with _log_to(paths.log):
        try:
            return int(parsed.run(parsed, paths))
        except BrokenPipeError:
            raise
        except Exception as error:  # noqa: BLE001 - a raw traceback helps no user
            return _explain(error, paths.log)


def _explain(error: Exception, log: Path) -> int:
    """Say what went wrong in a sentence and choose the exit code; a bug goes to the log."""
    import logging

    from songid_desktop.errors import SongIDError, UsageError

    if isinstance(error, SongIDError):
        output.note(f"songid: {error}")
        return EXIT_USAGE if isinstance(error, UsageError) else EXIT_ENVIRONMENT
    logging.getLogger(__name__).error("A command ended with an error", exc_info=error)
    details = f" Details are in {output.printable(log)}." if log.exists() else ""
    if isinstance(error, OSError) and error.strerror:
        where = f" ({output.printable(str(error.filename))})" if error.filename else ""
        output.note(f"songid: {error.strerror}{where}. What was done before is kept.{details}")
    elif isinstance(error, MemoryError):
        output.note(f"songid: The computer has too little free memory for this.{details}")
    else:
        output.note(f"songid: Sorry, something went wrong that should not: {error!r}.{details}")
    return EXIT_ENVIRONMENT


@contextlib.contextmanager
def _log_to(path: Path) -> Iterator[None]:
    """Send the program's own warnings to the log file, made only when there is one to write."""
    import logging
    from logging.handlers import RotatingFileHandler

    class QuietHandler(RotatingFileHandler):
        """A log that can't be written never gets in the way of the work."""

        def emit(self, record: logging.LogRecord) -> None:
            with contextlib.suppress(OSError):
                path.parent.mkdir(parents=True, exist_ok=True)
                super().emit(record)

        def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
            """Nothing: there is nowhere to say it."""

    handler = QuietHandler(path, maxBytes=1_000_000, backupCount=2, encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger = logging.getLogger("songid_desktop")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()


def _silence_stdout() -> None:
    """Point stdout at nothing, so that the interpreter's last flush does not complain."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
