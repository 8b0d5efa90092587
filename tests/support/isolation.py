"""A home of its own for a test run: nothing of the user's is read, written or talked to.

Imported by `tests/conftest.py` before anything of the program, because Qt, platformdirs and the
sound libraries read these variables once.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

_PRIVATE = {
    "HOME": "home",
    "XDG_DATA_HOME": "data",
    "XDG_CONFIG_HOME": "config",
    "XDG_STATE_HOME": "state",
    "XDG_CACHE_HOME": "cache",
    "XDG_RUNTIME_DIR": "run",
}

_TALKS_TO_THE_USERS_SESSION = (
    "DBUS_SESSION_BUS_ADDRESS",
    "PULSE_SERVER",
    "PULSE_RUNTIME_PATH",
    "PULSE_SOURCE",
    "PULSE_SINK",
    "PIPEWIRE_REMOTE",
    "PIPEWIRE_NODE",
    "PIPEWIRE_RUNTIME_DIR",
    "WAYLAND_DISPLAY",
    "SESSION_MANAGER",
    "XDG_DATA_DIRS_USER",
)


def isolate() -> Path:
    """Point every folder variable below one new folder and return it.

    The folder stands right under the system's temporary folder and has a short name: socket paths
    in a runtime folder may have no more than 107 bytes.
    """
    base = Path(tempfile.mkdtemp(prefix="sid-"))
    for variable, name in _PRIVATE.items():
        folder = base / name
        folder.mkdir(mode=0o700)
        os.environ[variable] = str(folder)
    for variable in _TALKS_TO_THE_USERS_SESSION:
        os.environ.pop(variable, None)
    # A window test that wants a real display starts one and says so; nothing opens on the user's.
    if "SONGID_TEST_DISPLAY" not in os.environ:
        os.environ.pop("DISPLAY", None)
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    os.environ["QT_LOGGING_RULES"] = os.environ.get("QT_LOGGING_RULES", "")
    os.environ.setdefault("PYTHONFAULTHANDLER", "1")
    return base


def clean_up(base: Path) -> None:
    shutil.rmtree(base, ignore_errors=True)
