"""The report's way to retrieve: one vector for the clip, its nearest neighbours by cosine among the
segments of the tracks that are as long as the clip.

A segment's vector is the mean of the vectors stored over it, made length 1: where a track has one
vector a window and the clip is as long as a window, that is the stored vector itself; a longer clip
is the mean of its windows, and so are the segments it is compared with. So any length of clip is
looked up in the same stored vectors.
"""

from __future__ import annotations

import threading

import numpy as np

from songid_desktop.errors import Cancelled
from songid_desktop.neural.index import VectorIndex
from songid_desktop.neural.sequence import (
    BoolArray,
    Candidate,
    Clip,
    SearchConfig,
    vertex_of,
)
from songid_desktop.neural.vectors import unit
from songid_desktop.types import FloatArray

_NEIGHBOURS = 512
"""Coded vectors that are looked at for the one vector of a clip."""
_PROBES = 64
_AT_ONCE = 32


def as_one(clip: Clip) -> tuple[FloatArray, int]:
    """The clip's one vector, and how many stored vectors a segment of its length has."""
    clip = clip.cut()
    return unit(clip.vectors.mean(axis=0)[None])[0], clip.n_rows


def search(
    index: VectorIndex,
    clip: Clip,
    config: SearchConfig,
    cancel: threading.Event | None = None,
) -> list[Candidate]:
    """The tracks with the segments nearest to a clip, best first, every track once.

    Raises
    ------
    Cancelled
        When `cancel` was set.
    """
    vector, n_rows = as_one(clip)
    # For a vector that does not change, the diagonal's mean is the segment's.
    still = np.repeat(vector[None], n_rows, axis=0)
    whole = index.tail.best_places(still, 1, cancel)
    order = np.argsort(-whole.score, kind="stable")[: config.candidates]
    proposed = list(zip(whole.track_id[order].tolist(), whole.step[order].tolist(), strict=True))
    proposed += _near(index, vector, n_rows, config)
    best: dict[int, Candidate] = {}
    for start in range(0, len(proposed), _AT_ONCE):
        if cancel is not None and cancel.is_set():
            raise Cancelled
        for track_id, row in proposed[start : start + _AT_ONCE]:
            found = _score_at(index, clip, (vector, n_rows), track_id, row)
            if found is not None and (track_id not in best or found.score > best[track_id].score):
                best[track_id] = found
    return sorted(best.values(), key=lambda one: (-one.score, one.track_id))


def _near(
    index: VectorIndex, vector: FloatArray, n_rows: int, config: SearchConfig
) -> list[tuple[int, int]]:
    """Segments around the coded vectors nearest to the clip's, the nearest first."""
    hits = index.nearest(vector[None], _NEIGHBOURS, _PROBES)
    if hits is None:
        return []
    chosen: list[tuple[int, int]] = []
    taken: dict[int, list[int]] = {}
    for one in np.argsort(-hits.cosine, kind="stable").tolist():
        track_id, row = int(hits.track_id[one]), int(hits.row[one])
        known = taken.setdefault(track_id, [])
        if len(known) < config.per_track and all(abs(row - at) > n_rows for at in known):
            known.append(row)
            chosen.append((track_id, row - n_rows // 2))
        if len(chosen) == config.candidates:
            break
    return chosen


def _score_at(
    index: VectorIndex, clip: Clip, wanted: tuple[FloatArray, int], track_id: int, row: int
) -> Candidate | None:
    vector, n_rows = wanted
    margin = n_rows // 2 + 2
    first = row - margin
    rows, inside = index.rows(track_id, first, n_rows + 2 * margin)
    score = segment_cosines(rows, inside, vector, n_rows)
    if not inside.any():
        return None
    at = int(np.argmax(score))
    peak = at + float(vertex_of(score[None], np.array([at]))[0])
    return Candidate(
        track_id=track_id,
        score=float(score[at]),
        offset_s=(first + peak) * clip.hop_s,
        step=(first + at) * clip.phases,
        inside=float(inside[at : at + n_rows].mean()),
    )


def segment_cosines(
    rows: FloatArray, inside: BoolArray, vector: FloatArray, n_rows: int
) -> FloatArray:
    """Cosine of a vector with the mean of each `n_rows` rows in turn; what lies outside the track
    counts as nothing that is like it."""
    total = np.cumsum(np.vstack([np.zeros((1, rows.shape[1])), rows]), axis=0)
    segments = unit((total[n_rows:] - total[:-n_rows]).astype(np.float32))
    heard = np.cumsum(np.append(0, inside))
    share = (heard[n_rows:] - heard[:-n_rows]) / n_rows
    scores: FloatArray = (segments @ vector) * share.astype(np.float32)
    return scores


def curve(index: VectorIndex, clip: Clip, candidate: Candidate) -> tuple[FloatArray, FloatArray]:
    """Cosine of the clip's one vector with every stored vector of the segment: time in the clip
    (s) and cosine."""
    vector, n_rows = as_one(clip)
    rows, _ = index.rows(candidate.track_id, candidate.step // clip.phases, n_rows)
    time_s = (np.arange(n_rows) * clip.hop_s).astype(np.float32)
    cosine: FloatArray = rows @ vector
    return time_s, cosine


def elsewhere(index: VectorIndex, clip: Clip, candidate: Candidate) -> float:
    """Mean cosine of the clip's vector with segments of the same track a little earlier and
    later."""
    vector, n_rows = as_one(clip)
    found = []
    for shift in (-2 * n_rows - 4, n_rows + 4):
        first = candidate.step // clip.phases + shift
        rows, inside = index.rows(candidate.track_id, first, n_rows + 4)
        if inside.all():
            found.append(segment_cosines(rows, inside, vector, n_rows).mean())
    return float(np.mean(found)) if found else 0.0
