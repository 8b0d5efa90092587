"""Segments with what still counts of them: what an index is made of and a look-up goes through."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from songid_desktop.landmark.compaction import SEGMENT_POSTINGS
from songid_desktop.landmark.scheme import Layout
from songid_desktop.landmark.segment import Segment, most_frames
from songid_desktop.landmark.segment_file import SegmentFile

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]


@dataclass(slots=True, eq=False)
class Part:
    """A segment and which of its tracks still count."""

    segment: Segment
    alive: BoolArray
    file: SegmentFile | None = None
    is_own: bool = False
    """True for a file that only this process knows."""
    _order: IntArray | None = None

    @property
    def is_saved(self) -> bool:
        return self.file is not None and not self.is_own

    @property
    def weight(self) -> int:
        return len(self.segment.peaks) + 1

    def row_of(self, track_id: int) -> int | None:
        """Row of a track that counts."""
        if self._order is None:
            self._order = np.argsort(self.segment.track_id, kind="stable")
        ids = self.segment.track_id
        low = int(np.searchsorted(ids, track_id, "left", self._order))
        high = int(np.searchsorted(ids, track_id, "right", self._order))
        for row in self._order[low:high].tolist():
            if self.alive[row]:
                return int(row)
        return None


def whole_part(segment: Segment, file: SegmentFile | None = None) -> Part:
    """All tracks of a segment."""
    return Part(segment, np.ones(len(segment.track_id), np.bool_), file)


def grouped(parts: Sequence[Part], layout: Layout) -> Iterator[list[Part]]:
    """Parts in their order, in groups that make segments of bounded size."""
    group: list[Part] = []
    postings = frames = 0
    for part in parts:
        fits = postings + len(part.segment.postings) <= SEGMENT_POSTINGS
        if group and not (fits and frames + part.segment.line_frames <= most_frames(layout)):
            yield group
            group, postings, frames = [], 0, 0
        group.append(part)
        postings += len(part.segment.postings)
        frames += part.segment.line_frames
    if group:
        yield group
