"""From stored vectors to coded ones: what is learned from, what is coded, how segments join."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from songid_desktop.neural.inverted import (
    SAMPLES_PER_LIST,
    Coder,
    Entries,
    joined,
    list_count,
)
from songid_desktop.neural.segment import Segment, Tracks, tracks_of
from songid_desktop.neural.tail import Recent
from songid_desktop.neural.vectors import unit, unpack
from songid_desktop.types import FingerprintChange, FloatArray

_BATCH_ROWS = 1 << 14
_MOST_SAMPLED = 1 << 18
"""Vectors that a coder is learned from at most (134 MB while it is learned)."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes at which the index changes its ways. Fewer in tests.

    Attributes
    ----------
    exact_vectors : int
        Up to here a library is searched whole; also the most that is ever kept in memory.
    tail_vectors : int
        From here a save makes a segment of what came lately.
    segment_vectors : int
        Coded vectors in a segment at most: joining two happens in memory.
    stride : int
        Every so many-th vector of a track is coded. Neighbours are nearly alike, and a clip is
        looked at on finer grids than the tracks.
    growth : float
        The coder is learned anew when the library has outgrown it by this factor.
    worn : float
        Share of removed tracks from which a segment is written again.
    """

    exact_vectors: int = 65_536
    tail_vectors: int = 16_384
    segment_vectors: int = 4_000_000
    stride: int = 2
    growth: float = 8.0
    worn: float = 0.2


def sample(changes: Iterable[FingerprintChange], count: int, n_tracks: int, dim: int) -> FloatArray:
    """Vectors from all over the library to learn from: float32 (up to `count`, dim)."""
    each = max(1, -(-count // max(1, n_tracks)))
    rng = np.random.default_rng(0)
    parts = []
    for change in changes:
        if change.fingerprint is None:
            continue
        try:
            values = unpack(change.fingerprint.payload).values
        except ValueError:
            continue
        if values.shape[1] == dim:
            parts.append(values[rng.permutation(len(values))[:each]])
    if not parts:
        return np.zeros((0, dim), np.float32)
    return unit(np.concatenate(parts)[:_MOST_SAMPLED])


def train_coder(
    changes: Iterable[FingerprintChange], n_tracks: int, planned: int, dim: int
) -> Coder | None:
    """A coder for `planned` coded vectors; None where there is nothing to learn from."""
    n_lists = list_count(planned)
    wanted = min(_MOST_SAMPLED, SAMPLES_PER_LIST * n_lists)
    vectors = sample(changes, wanted, n_tracks, dim)
    return Coder.train(vectors, n_lists) if len(vectors) else None


def code_tracks(
    recent: Sequence[tuple[int, Recent]], coder: Coder, stride: int
) -> tuple[Tracks, Entries]:
    """Tracks side by side, and every `stride`-th of their vectors coded."""
    tracks = tracks_of([(one, len(of.vectors), of.revision, of.payload_sum) for one, of in recent])
    parts = []
    for values, rows in _batches(recent, tracks, stride):
        lists, codes = coder.encode(values)
        parts.append(Entries(lists, rows, codes))
    return tracks, joined(parts, coder.code_bytes)


def _batches(
    recent: Sequence[tuple[int, Recent]], tracks: Tracks, stride: int
) -> Iterator[tuple[FloatArray, np.ndarray[tuple[int], np.dtype[np.int64]]]]:
    values, rows, gathered = [], [], 0
    for (_, track), start in zip(recent, tracks.start.tolist(), strict=True):
        chosen = track.vectors.values[::stride]
        values.append(chosen)
        rows.append(start + stride * np.arange(len(chosen), dtype=np.int64))
        gathered += len(chosen)
        if gathered >= _BATCH_ROWS:
            yield unit(np.concatenate(values)), np.concatenate(rows)
            values, rows, gathered = [], [], 0
    if gathered:
        yield unit(np.concatenate(values)), np.concatenate(rows)


def merged(segments: Sequence[Segment], code_bytes: int) -> tuple[Tracks, Entries]:
    """Segments as one, without the tracks that no longer count."""
    columns: list[tuple[np.ndarray[tuple[int], np.dtype[np.int64]], ...]] = []
    entries: list[Entries] = []
    base = 0
    for segment in segments:
        tracks, alive = segment.tracks, segment.alive
        columns.append(
            (
                tracks.track_id[alive],
                tracks.start[alive] + base,
                tracks.count[alive],
                tracks.revision[alive],
                tracks.payload_sum[alive],
            )
        )
        found = segment.alive_entries()
        found.rows = found.rows + base
        entries.append(found)
        base += tracks.n_rows
    return Tracks(*(np.concatenate(column) for column in zip(*columns, strict=True))), joined(
        entries, code_bytes
    )
