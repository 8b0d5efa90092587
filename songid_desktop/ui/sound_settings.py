"""The way to the system's own sound settings, where a microphone is muted or forbidden."""

from __future__ import annotations

import shutil
import sys

_LINUX = (
    ("gnome-control-center", "sound"),
    ("systemsettings", "kcm_pulseaudio"),
    ("pavucontrol", "--tab=4"),
    ("pavucontrol-qt", "--tab=4"),
    ("xfce4-mixer",),
)
_PLACES = {
    "darwin": (
        "open",
        "x-apple.systempreferences:com.apple.preference.security?Privacy_Microphone",
    ),
    "win32": ("explorer.exe", "ms-settings:privacy-microphone"),
}


def command() -> tuple[str, ...] | None:
    """What opens them here; None where nothing is known to."""
    if sys.platform in _PLACES:
        return _PLACES[sys.platform]
    return next((each for each in _LINUX if shutil.which(each[0])), None)


def open_settings() -> bool:
    """Open them beside the window; False when there is no way, or it failed."""
    import subprocess

    found = command()
    if found is None:
        return False
    try:
        subprocess.Popen(
            found,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError:
        return False
    return True
