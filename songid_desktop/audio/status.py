"""What a capture is doing, in a form that can be shown."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from songid_desktop.types import Source


class CaptureState(StrEnum):
    """Where a capture stands."""

    CLOSED = "closed"
    """Not listening; the microphone is closed."""
    OPENING = "opening"
    RUNNING = "running"
    STALLED = "stalled"
    """The device is open but delivers nothing."""
    LOST = "lost"
    """There is no device to listen to at present; tried again by itself until `stop`."""


@dataclass(frozen=True, slots=True)
class CaptureStatus:
    """One moment of a capture.

    Attributes
    ----------
    wanted : str
        Stable name of the source asked for; empty for the system's default.
    source : Source or None
        The one really listened to.
    device_rate : int or None
        Rate (Hz) the device was opened at.
    message : str
        One or two sentences for people; empty when all is as asked.
    lost_samples : int
        Samples (at the ring's rate) that the device or the machine lost since `start`.
    changed_at : float
        Unix time (s) of this status.
    """

    state: CaptureState
    wanted: str
    source: Source | None
    device_rate: int | None
    message: str
    lost_samples: int
    changed_at: float
