"""Live sound from a source into a ring."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from songid_desktop.audio.ring import Ring
from songid_desktop.types import Source

SAMPLE_RATE = 48_000
"""Hertz; of the ring, whatever the device runs at."""


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
    """What a capture is doing, fit to be shown.

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


class Capture:
    """Listens to a source until told to stop, through everything that may happen to it.

    Parameters
    ----------
    on_status : callable or None
        Called with each new `CaptureStatus` on the capture's own thread; must return quickly.
    """

    def __init__(self, on_status: Callable[[CaptureStatus], None] | None = None) -> None:
        raise NotImplementedError

    @property
    def ring(self) -> Ring:
        """What is heard: 48 kHz mono, the same object for the capture's life."""
        raise NotImplementedError

    @property
    def status(self) -> CaptureStatus:
        raise NotImplementedError

    def start(self, source_name: str = "") -> None:
        """Listen to the source of that name, or to the default; changes over when listening
        already. Returns at once."""
        raise NotImplementedError

    def stop(self) -> None:
        """Close the microphone. Returns within 200 ms."""
        raise NotImplementedError

    def close(self) -> None:
        """Stop and end the capture's thread. Returns within 200 ms; may be called twice."""
        raise NotImplementedError
