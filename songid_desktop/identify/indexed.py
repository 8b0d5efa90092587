"""What identifiers over a landmark index have in common: the index itself, and the answers that
need no look at the sound."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from songid_desktop.errors import Cancelled
from songid_desktop.landmark.index import IndexStatistics, LandmarkIndex
from songid_desktop.types import (
    AudioBlock,
    Fingerprint,
    FingerprintReader,
    Identification,
    Verdict,
)


class Indexed:
    """An index and its upkeep, as `types.Identifier` has them."""

    _index: LandmarkIndex

    @property
    def name(self) -> str:
        raise NotImplementedError

    @property
    def config_digest(self) -> str:
        raise NotImplementedError

    def open(self, reader: FingerprintReader) -> None:
        self._index.open(reader)

    def refresh(self) -> bool:
        return self._index.refresh()

    def save(self) -> None:
        self._index.save()

    def close(self) -> None:
        self._index.close()

    @property
    def track_count(self) -> int:
        return self._index.track_count

    @property
    def index(self) -> LandmarkIndex:
        """The index itself, for statistics and measurements."""
        return self._index

    def statistics(self) -> IndexStatistics:
        return self._index.statistics()

    def add(self, track_id: int, fingerprint: Fingerprint) -> None:
        """Make a track findable until the next `open`; the catalog does this by itself.

        Raises
        ------
        ValueError
            When the fingerprint was made by another identifier or configuration, or is damaged.
        """
        wanted = (self.name, self.config_digest)
        given = (fingerprint.identifier, fingerprint.config_digest)
        if given != wanted:
            raise ValueError(f"a fingerprint of {' '.join(given)} does not fit {' '.join(wanted)}")
        self._index.add(track_id, self._index.scheme.unpack(fingerprint.payload))

    def remove(self, track_id: int) -> None:
        self._index.remove(track_id)

    def _answered(
        self, audio: AudioBlock, least_s: float, look: Callable[[], Identification]
    ) -> Identification:
        """What `look` finds, if there is enough to look at and anything to find."""
        name, began = self.name, time.perf_counter()
        if audio.duration_s < least_s:
            message = (
                f"Only {audio.duration_s:.1f} seconds were heard. "
                f"At least {least_s:.0f} second of sound is needed."
            )
            found = Identification(Verdict.NOT_ENOUGH_AUDIO, name, message=message)
        elif not self.track_count:
            message = "Your library has no tracks to compare with yet. Add a music folder first."
            found = Identification(Verdict.EMPTY_CATALOG, name, message=message)
        else:
            try:
                found = look()
            except Cancelled:
                message = "The identification was cancelled."
                found = Identification(Verdict.CANCELLED, name, message=message)
        total_ms = (time.perf_counter() - began) * 1e3
        timings = replace(found.timings, total_ms=total_ms)
        return replace(found, heard_s=audio.duration_s, timings=timings)
