"""How a model stands on this computer; apart, so that asking costs no import."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """Of one model on this computer."""

    INSTALLED = "installed"
    PARTIAL = "partial"
    """Some of it has arrived; installing goes on from there."""
    BUSY = "busy"
    """It is being changed at this moment, here or by another process."""
    DAMAGED = "damaged"
    """A quick look found it not whole; `faults` says what."""
    ABSENT = "absent"
    SHIPPED = "shipped"
    """It came with the program."""
