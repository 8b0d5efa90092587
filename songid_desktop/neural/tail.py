"""Tracks that are searched whole: all of a small library, and what came lately to a large one.

Every vector of the clip is compared with every vector of these tracks, and the score of every
position is computed: nothing is missed, at a cost that grows with the music.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from songid_desktop.errors import Cancelled
from songid_desktop.neural.inverted import IntArray
from songid_desktop.neural.vectors import Vectors, unit
from songid_desktop.types import FloatArray

MOST_ROWS = 64
"""Vectors of a clip on one grid that a search looks at, at most (16 s at 0.25 s)."""
LEAST_INSIDE = 0.5
"""Share of a clip's vectors that a score is a mean of at least, whatever lies outside the track."""
_CHUNK_ROWS = 1 << 14


@dataclass(frozen=True, slots=True)
class Recent:
    """A track of the tail.

    Attributes
    ----------
    vectors : Vectors
    revision, payload_sum : int
        Of the catalog, when it came, and the checksum of its bytes; 0 and 0 for a track that the
        catalog does not have.
    """

    vectors: Vectors
    revision: int = 0
    payload_sum: int = 0


@dataclass(frozen=True, slots=True)
class Places:
    """The best position in each track.

    Attributes
    ----------
    track_id : int64 array, shape (t,)
    score : float32 array, shape (t,)
        Mean cosine over the grid that fits best.
    step : int64 array, shape (t,)
        Position of the clip's first vector, in steps of the clip (`phases` to a row).
    """

    track_id: IntArray
    score: FloatArray
    step: IntArray


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Whole tracks side by side, each with room before it (and the last one after it) for clips
    that reach beyond its ends."""

    rows: FloatArray
    track_id: IntArray
    start: IntArray
    """Where the track's room begins; it ends where the next one's begins."""
    real: IntArray
    """Rows that are vectors of a track, summed up to each row."""


class Tail:
    """Some tracks in memory."""

    def __init__(self) -> None:
        self._tracks: dict[int, Recent] = {}
        self._chunks: list[_Chunk] | None = None
        self.count = 0

    def __len__(self) -> int:
        return len(self._tracks)

    def __contains__(self, track_id: int) -> bool:
        return track_id in self._tracks

    def items(self) -> list[tuple[int, Recent]]:
        return list(self._tracks.items())

    def get(self, track_id: int) -> Recent | None:
        return self._tracks.get(track_id)

    def put(self, track_id: int, recent: Recent) -> None:
        self.pop(track_id)
        self._tracks[track_id] = recent
        self.count += len(recent.vectors)
        self._chunks = None

    def pop(self, track_id: int) -> None:
        gone = self._tracks.pop(track_id, None)
        if gone is not None:
            self.count -= len(gone.vectors)
            self._chunks = None

    def best_places(
        self, query: FloatArray, phases: int, cancel: threading.Event | None = None
    ) -> Places:
        """The best position of a clip in every track.

        Parameters
        ----------
        query : float32 array, shape (n, dim)
            Vectors of the clip, `phases` to a row of the tracks.

        Raises
        ------
        Cancelled
        """
        if self._chunks is None:
            self._chunks = list(self._laid_out())
        found = []
        for chunk in self._chunks:
            if cancel is not None and cancel.is_set():
                raise Cancelled
            found.append(_places_in(chunk, query, phases))
        if not found:
            nothing = np.zeros(0, np.int64)
            return Places(nothing, np.zeros(0, np.float32), nothing)
        return Places(
            np.concatenate([one.track_id for one in found]),
            np.concatenate([one.score for one in found]),
            np.concatenate([one.step for one in found]),
        )

    def _laid_out(self) -> Iterator[_Chunk]:
        group: list[tuple[int, npt.NDArray[np.int8]]] = []
        rows = 0
        for track_id, recent in self._tracks.items():
            if not len(recent.vectors):
                continue
            group.append((track_id, recent.vectors.values))
            rows += len(recent.vectors) + MOST_ROWS
            if rows >= _CHUNK_ROWS:
                yield _chunk(group)
                group, rows = [], 0
        if group:
            yield _chunk(group)


def _chunk(group: list[tuple[int, npt.NDArray[np.int8]]]) -> _Chunk:
    dim = group[0][1].shape[1]
    total = sum(len(values) + MOST_ROWS for _, values in group) + MOST_ROWS
    rows = np.zeros((total, dim), np.float32)
    is_real = np.zeros(total + 1, np.int64)
    starts, at = [], 0
    for _, values in group:
        starts.append(at)
        at += MOST_ROWS
        rows[at : at + len(values)] = unit(values)
        is_real[at + 1 : at + 1 + len(values)] = 1
        at += len(values)
    ids = np.array([track_id for track_id, _ in group], np.int64)
    return _Chunk(rows, ids, np.array(starts, np.int64), np.cumsum(is_real))


def _places_in(chunk: _Chunk, query: FloatArray, phases: int) -> Places:
    cosine = query @ chunk.rows.T
    length = cosine.shape[1] - MOST_ROWS  # positions from which a whole clip fits in the chunk
    best: FloatArray | None = None
    of_phase = np.zeros(length, np.int8)
    for phase in range(min(phases, len(query))):
        grid = cosine[phase::phases][:MOST_ROWS]
        total = np.zeros(length, np.float32)
        for at, line in enumerate(grid):
            total += line[at : at + length]
        inside = chunk.real[len(grid) : len(grid) + length] - chunk.real[:length]
        total /= np.maximum(inside, LEAST_INSIDE * len(grid))
        if best is None:
            best = total
        else:
            of_phase[total > best] = phase
            np.maximum(best, total, out=best)
    assert best is not None
    edges = np.minimum(chunk.start, length - 1)
    highest = np.maximum.reduceat(best, edges)
    ends = np.append(edges[1:], length)
    row = np.array(
        [low + int(np.argmax(best[low:high])) for low, high in zip(edges, ends, strict=True)]
    )
    step = phases * (row - chunk.start - MOST_ROWS) - of_phase[row]
    return Places(chunk.track_id, highest, step)
