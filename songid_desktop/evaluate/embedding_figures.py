"""What can be said of vectors alone: how alike pairs are, which tracks are most and least alike,
and how often one vector a clip finds its track.

Vectors have length 1, so an inner product is a cosine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from songid_desktop.types import FloatArray

ELSEWHERE_S = 5.0
"""Two places of one track that are at least so far apart are not the same moment."""
_PAIRS = 20_000
_STRICT = 99.9
"""Percentile of other tracks' cosines that a pair of the same moment should stand above."""


@dataclass(frozen=True, slots=True)
class Track:
    """Vectors of one track, or of the stretch of it that is looked at.

    `vectors` is float32, shape (n, dim); vector k begins `start_s + k * hop_s` into the track.
    """

    vectors: FloatArray
    hop_s: float
    start_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Query:
    """Vectors of a clip of track number `track`, which begins there at `start_s`."""

    track: int
    vectors: FloatArray
    hop_s: float
    start_s: float


@dataclass(frozen=True, slots=True)
class Triplet:
    """Three tracks by number, and the mean of their three cosines."""

    tracks: tuple[int, int, int]
    cosine: float


def unit(rows: FloatArray) -> FloatArray:
    """Rows with length 1; rows of zeros stay zeros."""
    sizes = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.asarray(rows / np.maximum(sizes, 1e-12), np.float32)


def track_vectors(tracks: Sequence[Track]) -> FloatArray:
    """One vector a track: the direction of the mean of all of its own; shape (tracks, dim)."""
    return unit(np.stack([np.mean(track.vectors, axis=0) for track in tracks]))


# -- pairs ---------------------------------------------------------------------------------------


def same_moment(tracks: Sequence[Track], queries: Sequence[Query]) -> FloatArray:
    """Cosines between the vectors of clips and those of their tracks at the same moment."""
    found: list[FloatArray] = []
    for query in queries:
        track = tracks[query.track]
        times_s = query.start_s + query.hop_s * np.arange(len(query.vectors))
        rows = np.rint((times_s - track.start_s) / track.hop_s).astype(np.intp)
        inside = (rows >= 0) & (rows < len(track.vectors))
        pairs = track.vectors[rows[inside]] * query.vectors[inside]
        found.append(pairs.sum(axis=1, dtype=np.float32))
    return np.concatenate(found) if found else np.zeros(0, np.float32)


def same_track(
    tracks: Sequence[Track], rng: np.random.Generator, pairs: int = _PAIRS
) -> FloatArray:
    """Cosines between vectors of one track, `ELSEWHERE_S` or more apart."""
    found: list[FloatArray] = []
    each = -(-pairs // max(1, len(tracks)))
    for track in tracks:
        apart = int(np.ceil(ELSEWHERE_S / track.hop_s))
        count = len(track.vectors)
        if count <= apart:
            continue
        one = rng.integers(0, count - apart, each)
        other = one + apart + (rng.random(each) * (count - apart - one)).astype(np.intp)
        pair = track.vectors[one] * track.vectors[other]
        found.append(pair.sum(axis=1, dtype=np.float32))
    return np.concatenate(found) if found else np.zeros(0, np.float32)


def other_tracks(
    tracks: Sequence[Track], rng: np.random.Generator, pairs: int = _PAIRS
) -> FloatArray:
    """Cosines between vectors of different tracks."""
    if len(tracks) < 2:
        return np.zeros(0, np.float32)
    one = rng.integers(0, len(tracks), pairs)
    other = (one + rng.integers(1, len(tracks), pairs)) % len(tracks)
    place = rng.random((2, pairs))
    cosines = [
        float(_at(tracks[a], p) @ _at(tracks[b], q))
        for a, b, p, q in zip(one.tolist(), other.tolist(), *place.tolist(), strict=True)
    ]
    return np.asarray(cosines, np.float32)


def _at(track: Track, share: float) -> FloatArray:
    return np.asarray(track.vectors[int(share * len(track.vectors))], np.float32)


def share_above(positives: FloatArray, negatives: FloatArray) -> float:
    """Share of `positives` above nearly all (`_STRICT` per cent) of `negatives`."""
    if not len(positives) or not len(negatives):
        return 0.0
    return float(np.mean(positives > np.percentile(negatives, _STRICT)))


def histogram(cosines: FloatArray, edges: npt.NDArray[np.floating]) -> list[float]:
    """Shares in per cent between the edges; the outermost take what lies beyond."""
    counts, _ = np.histogram(np.clip(cosines, edges[0], edges[-1]), edges)
    return [round(100.0 * float(count) / max(1, len(cosines)), 3) for count in counts]


# -- triplets ------------------------------------------------------------------------------------


def triplets(cosines: npt.NDArray[np.floating], count: int, *, most_alike: bool) -> list[Triplet]:
    """The `count` triplets of tracks with the highest (or lowest) mean cosine, best first.

    Parameters
    ----------
    cosines : float array, shape (n, n)
        Symmetric. Memory grows with n², time with n³: 500 tracks take a second.
    """
    signed = np.asarray(cosines if most_alike else -cosines, np.float64)
    tracks = len(signed)
    best: list[tuple[float, int, int, int]] = []
    rows, columns = np.triu_indices(tracks, 1)
    pair = signed[rows, columns]
    for first in range(tracks - 2):
        # Pairs behind `first` stand at the end, because the indices are in order of their row.
        begin = int(np.searchsorted(rows, first, side="right"))
        second, third = rows[begin:], columns[begin:]
        sums = pair[begin:] + signed[first, second] + signed[first, third]
        kept = np.argpartition(-sums, count - 1)[:count] if len(sums) > count else slice(None)
        best += zip(
            sums[kept].tolist(),
            [first] * len(second[kept]),
            second[kept].tolist(),
            third[kept].tolist(),
            strict=True,
        )
        best = sorted(best, key=lambda one: (-one[0], one[1:]))[:count]
    sign = 1.0 if most_alike else -1.0
    return [Triplet((a, b, c), sign * total / 3.0) for total, a, b, c in best]


def in_triplets(found: Sequence[Triplet]) -> list[int]:
    """The tracks of triplets, each once, in the order in which they come."""
    return list(dict.fromkeys(track for one in found for track in one.tracks))


# -- one vector a clip ---------------------------------------------------------------------------


def ranks_by_track(tracks: FloatArray, queries: Sequence[Query]) -> list[int]:
    """Rank of the right track for every clip, by one vector a clip and one a track."""
    asked = unit(np.stack([np.mean(query.vectors, axis=0) for query in queries]))
    return _ranks(asked @ tracks.T, [query.track for query in queries])


def ranks_by_place(tracks: Sequence[Track], queries: Sequence[Query]) -> list[int]:
    """The same with one vector for every place of a track at which a clip of that length fits: a
    track counts as its most similar place."""
    length = min(len(query.vectors) for query in queries)
    asked = unit(np.stack([np.mean(query.vectors, axis=0) for query in queries]))
    best = np.stack([(asked @ _means(track.vectors, length).T).max(axis=1) for track in tracks])
    return _ranks(best.T, [query.track for query in queries])


def _means(vectors: FloatArray, length: int) -> FloatArray:
    """Directions of the means of `length` vectors in a row."""
    length = min(length, len(vectors))
    sums = np.cumsum(vectors, axis=0, dtype=np.float64)
    sums = np.concatenate([np.zeros((1, sums.shape[1])), sums])
    return unit(np.asarray(sums[length:] - sums[:-length], np.float32))


def _ranks(cosines: FloatArray, right: Sequence[int]) -> list[int]:
    """1 for a track that is above all others; ties count against it."""
    own = cosines[np.arange(len(right)), list(right)]
    return [int(rank) for rank in (cosines >= own[:, None]).sum(axis=1)]
