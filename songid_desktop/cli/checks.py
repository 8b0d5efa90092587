"""The checks of `songid doctor`. Each returns a `Check` and lets no error through.

Libraries that can take the whole process down when something is wrong with them (Qt, PortAudio)
are tried in a child process.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from songid_desktop import __version__
from songid_desktop.errors import SongIDError
from songid_desktop.paths import Paths

CHILD_WITHIN_S = 30.0
LOW_DISK_BYTES = 500_000_000

# What Qt's xcb plugin loads by itself, and the Debian/Ubuntu package each comes with.
XCB_LIBRARIES = {
    "libEGL.so.1": "libegl1",
    "libGL.so.1": "libgl1",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-image.so.0": "libxcb-image0",
    "libxcb-render-util.so.0": "libxcb-render-util0",
    "libxcb-shape.so.0": "libxcb-shape0",
    "libxcb-randr.so.0": "libxcb-randr0",
    "libxcb-xkb.so.1": "libxcb-xkb1",
    "libdbus-1.so.3": "libdbus-1-3",
    "libfontconfig.so.1": "libfontconfig1",
}

# What each kind of music file needs of the decoder library.
CODECS = {
    "mp3": "mp3float",
    "flac": "flac",
    "ogg": "vorbis",
    "opus": "opus",
    "m4a/aac": "aac",
    "wav/aiff": "pcm_s16le",
    "wma": "wmav2",
}


@dataclass(frozen=True, slots=True)
class Check:
    """One finding. `remedy` is empty where nothing need be done; a check that is not `is_needed`
    is advice."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""
    is_needed: bool = True


def run_checks(paths: Paths) -> Iterator[Check]:
    """Every check, one after the other, as they are done."""
    checks: tuple[tuple[str, Callable[[Paths], Check]], ...] = (
        ("program", _program),
        ("decoders", _decoders),
        ("portaudio", _portaudio),
        ("audio server", _audio_server),
        ("sources", _sources),
        ("disk", _disk),
        ("catalog", _catalog),
        ("catalog check", _catalog_check),
        ("index", _index),
        ("window", _window),
        ("window libraries", _window_libraries),
        ("fonts", _fonts),
    )
    for name, check in checks:
        try:
            yield check(paths)
        except SongIDError as error:
            yield Check(name, ok=False, detail=str(error), remedy="The message says what to do.")
        except Exception as error:  # noqa: BLE001 - a doctor that falls ill helps nobody
            yield Check(
                name,
                ok=False,
                detail=f"the check itself failed: {error!r}",
                remedy="Set the program up again; if it stays, report this line.",
            )


def _program(_paths: Paths) -> Check:
    detail = f"songid {__version__}, Python {platform.python_version()}, {platform.platform()}"
    return Check("program", ok=True, detail=detail)


def _decoders(_paths: Paths) -> Check:
    import av
    from av.codec import Codec

    missing = []
    for kind, codec in CODECS.items():
        try:
            Codec(codec, "r")
        except ValueError:
            missing.append(kind)
    detail = f"PyAV {av.__version__}: " + ", ".join(k for k in CODECS if k not in missing)
    if missing:
        return Check(
            "decoders",
            ok=False,
            detail=f"{detail}; can't read {', '.join(missing)}",
            remedy="Install PyAV from its own wheel: pip install --force-reinstall av",
        )
    return Check("decoders", ok=True, detail=detail)


def _child(code: str) -> tuple[bool, str]:
    """Run Python code in a child process; whether it went well, and the last line it wrote."""
    if getattr(sys, "frozen", False):
        return True, "part of the program"
    try:
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=CHILD_WITHIN_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return False, f"no answer within {CHILD_WITHIN_S:.0f} s"
    lines = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()
    last = lines[-1] if lines else f"ended with code {done.returncode}"
    return done.returncode == 0, last


def _portaudio(_paths: Paths) -> Check:
    ok, text = _child("import sounddevice; print(sounddevice.get_portaudio_version()[1])")
    remedy = "" if ok else "Install PortAudio: sudo apt install libportaudio2"
    return Check("portaudio", ok=ok, detail=text, remedy=remedy)


def _audio_server(_paths: Paths) -> Check:
    if sys.platform != "linux":
        return Check("audio server", ok=True, detail="part of the system")
    remedy = (
        "Start PipeWire or PulseAudio in your session: "
        "systemctl --user start pipewire-pulse wireplumber"
    )
    server = os.environ.get("PULSE_SERVER", "")
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    socket = Path(runtime, "pulse", "native") if runtime else None
    if server:
        return Check("audio server", ok=True, detail=f"PULSE_SERVER={server}")
    if socket is not None and socket.exists():
        return Check("audio server", ok=True, detail=f"answers at {socket}")
    where = str(socket) if socket is not None else "XDG_RUNTIME_DIR, which is not set"
    return Check("audio server", ok=False, detail=f"none found at {where}", remedy=remedy)


def _sources(_paths: Paths) -> Check:
    from songid_desktop.audio.devices import list_sources

    try:
        sources = list_sources()
    except SongIDError as error:
        return Check(
            "sources",
            ok=False,
            detail=str(error),
            remedy="Plug a microphone in, or start the audio server, then try again.",
        )
    default = next((source.description for source in sources if source.is_default), "none")
    detail = f"{len(sources)} to listen to; the default is {default}"
    return Check("sources", ok=True, detail=detail)


def _disk(paths: Paths) -> Check:
    folder = paths.data
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    detail = f"{free / 1e9:.1f} GB free for {output_path(paths.data)}"
    if not os.access(folder, os.W_OK):
        return Check(
            "disk",
            ok=False,
            detail=f"{output_path(folder)} can't be written",
            remedy="Give your user the right to write there, or choose another: --base-dir DIR",
        )
    if free < LOW_DISK_BYTES:
        return Check("disk", ok=False, detail=detail, remedy="Free some space on this disk.")
    return Check("disk", ok=True, detail=detail)


def _catalog(paths: Paths) -> Check:
    if not paths.catalog.exists():
        return Check(
            "catalog",
            ok=True,
            detail="none yet",
            remedy="Enrol a music folder with: songid enroll FOLDER",
        )
    from songid_desktop.catalog.catalog import Catalog

    with Catalog.open(paths, create=False) as catalog:
        counts, notice = catalog.counts(), catalog.notice
        is_read_only = catalog.is_read_only
    detail = (
        f"{counts.tracks:,} tracks, {counts.duration_s / 3600:.1f} h of music, "
        f"{counts.database_bytes / 1e6:.1f} MB at {output_path(paths.catalog)}"
    )
    if is_read_only:
        return Check(
            "catalog",
            ok=False,
            detail=f"{detail}; {notice}",
            remedy="Give your user the right to write this file and its folder.",
        )
    return Check("catalog", ok=True, detail=detail)


def _catalog_check(paths: Paths) -> Check:
    if not paths.catalog.exists():
        return Check("catalog check", ok=True, detail="nothing to check")
    from songid_desktop.catalog.catalog import Catalog

    with Catalog.open(paths, create=False) as catalog:
        faults = catalog.verify()
    if faults:
        return Check(
            "catalog check",
            ok=False,
            detail=f"{len(faults)} faults, the first: {faults[0]}",
            remedy="Save what can be read with: songid catalog rebuild",
        )
    return Check("catalog check", ok=True, detail="the database is sound")


def _index(paths: Paths) -> Check:
    if not paths.catalog.exists():
        return Check("index", ok=True, detail="nothing enrolled yet")
    from songid_desktop.identify.engine import Engine
    from songid_desktop.identify.registry import installed_names

    with Engine(paths) as engine:
        found = {name: engine.track_count(name) for name in installed_names()}
    detail = ", ".join(f"{name} finds {count:,} tracks" for name, count in found.items())
    return Check("index", ok=True, detail=detail)


def _window(_paths: Paths) -> Check:
    if importlib.util.find_spec("PySide6") is None:
        return Check(
            "window",
            ok=False,
            detail="PySide6 is not installed; the command line works without it",
            remedy="Install it: pip install PySide6-Essentials",
        )
    ok, text = _child("import PySide6, PySide6.QtWidgets; print(PySide6.__version__)")
    remedy = "" if ok else "Install the library the message names; see also: window libraries"
    return Check("window", ok=ok, detail=f"Qt for Python {text}" if ok else text, remedy=remedy)


def _window_libraries(_paths: Paths) -> Check:
    if sys.platform != "linux":
        return Check("window libraries", ok=True, detail="part of the system")
    missing = [name for name in XCB_LIBRARIES if not _can_load(name)]
    if missing:
        packages = " ".join(XCB_LIBRARIES[name] for name in missing)
        return Check(
            "window libraries",
            ok=False,
            detail=f"missing: {', '.join(missing)}",
            remedy=f"Install them: sudo apt install {packages}",
        )
    return Check("window libraries", ok=True, detail=f"all {len(XCB_LIBRARIES)} found")


def _can_load(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def _fonts(_paths: Paths) -> Check:
    """Advice only: without them titles in some scripts show as boxes."""
    if sys.platform != "linux":
        return Check("fonts", ok=True, detail="part of the system", is_needed=False)
    if shutil.which("fc-list") is None:
        return Check(
            "fonts",
            ok=False,
            detail="fontconfig's fc-list is not there to ask",
            remedy="Install it: sudo apt install fontconfig fonts-dejavu-core fonts-noto-cjk",
            is_needed=False,
        )
    lacking = [name for name, lang in (("Latin", "en"), ("Japanese", "ja")) if not _has_font(lang)]
    if lacking:
        return Check(
            "fonts",
            ok=False,
            detail=f"no font for: {', '.join(lacking)}; such titles show as boxes",
            remedy="Install fonts: sudo apt install fonts-dejavu-core fonts-noto-cjk",
            is_needed=False,
        )
    return Check("fonts", ok=True, detail="Latin, Chinese, Japanese, Korean", is_needed=False)


def _has_font(language: str) -> bool:
    done = subprocess.run(
        ["fc-list", f":lang={language}", "family"],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=CHILD_WITHIN_S,
        check=False,
    )
    return bool(done.stdout.strip())


def output_path(path: Path) -> str:
    """A path as text, whatever its bytes."""
    from songid_desktop.cli.output import printable

    return printable(path)
