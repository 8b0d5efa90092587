"""Peaks of the live sound for drawing, found on a job thread a tenth of a second at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal
from shiboken6 import isValid

from songid_desktop.types import AudioBlock, Constellation
from songid_desktop.ui.services import Services

if TYPE_CHECKING:
    from songid_desktop.audio.ring import Ring
    from songid_desktop.landmark.peaks import StreamingPeaks

EVERY_S = 0.1
_WAITING_AT_MOST = 2


class PeakFinder(QObject):
    """Follows one ring after another; peaks of a listening that is over are dropped."""

    found = Signal(object)
    """A Constellation on the ring's clock."""

    def __init__(self, services: Services, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._services = services
        self._ring: Ring | None = None
        self._position = 0
        self._waiting = 0
        self._number = 0
        self._peaks: tuple[int, StreamingPeaks] | None = None

    def begin(self, ring: Ring) -> None:
        """A new listening at the ring's present end."""
        self._ring = ring
        self._position = ring.position
        self._number += 1

    def follow(self, position: int) -> None:
        """Sound up to `position` has been drawn."""
        ring = self._ring
        if ring is None or self._waiting >= _WAITING_AT_MOST:
            return
        if position - self._position < EVERY_S * ring.sample_rate:
            return
        block = ring.between(self._position, position)
        self._position = position
        self._waiting += 1
        number = self._number
        job = self._services.jobs.run(self._push, number, block, lane="peaks")
        job.done.connect(lambda peaks: self._take(peaks, number))
        job.failed.connect(self._give_up)

    def _push(self, number: int, block: AudioBlock) -> Constellation:
        """On the lane's thread, which alone touches `_peaks`."""
        if self._peaks is None or self._peaks[0] != number:
            from songid_desktop.landmark.peaks import StreamingPeaks

            self._peaks = (number, StreamingPeaks())
        return self._peaks[1].push(block)

    def _take(self, peaks: Constellation, number: int) -> None:
        self._waiting -= 1
        if number == self._number and isValid(self):
            self.found.emit(peaks)

    def _give_up(self, error: BaseException) -> None:
        # The picture can do without its peaks; the answer does not come from here.
        self._waiting -= 1
        self._services.report(error, "The constellation can't be drawn.")
        self._services.change_settings(show_constellation=False)
