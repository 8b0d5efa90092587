"""Takes the live sound from its ring bit by bit, each sample once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from songid_desktop.types import AudioBlock

if TYPE_CHECKING:
    from songid_desktop.audio.ring import Ring

TAKE_AT_MOST_S = 0.3
"""Sound taken in one frame at most; a backlog after a stall is worked off over several."""


class RingTap:
    """Stands where the sound was when it was made."""

    def __init__(self, ring: Ring) -> None:
        self.ring = ring
        self.position = ring.position
        """Up to where the sound was taken (samples on the ring's clock)."""

    def take(self, *, is_hurried: bool = False) -> AudioBlock:
        """What came since, maybe nothing. `is_hurried`: all of it, because nothing is drawn."""
        end = self.ring.position
        if not is_hurried:
            end = min(end, self.position + round(TAKE_AT_MOST_S * self.ring.sample_rate))
        block = self.ring.between(self.position, end)
        self.position = block.start_sample + len(block.samples)
        return block
