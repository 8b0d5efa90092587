"""What the Listen page can be doing."""

from __future__ import annotations

from enum import StrEnum


class ListenState(StrEnum):
    """What the page is doing."""

    IDLE = "idle"
    STARTING = "starting"
    """Listen was pressed; the machinery is not loaded, or no sound has come yet."""
    LISTENING = "listening"
    PAUSED = "paused"
    """The device is away, or our own playback holds listening up; goes on by itself."""
    FILE = "file"
    """A file is being identified."""
