"""Fingerprint sequences: which track, and where in it, has the clip's vectors in their order.

Candidates come from two sides: all positions of the tracks that are searched whole, and positions
that several coded neighbours of the clip's vectors agree on. Each is then scored by the stored
vectors: the mean cosine along the diagonal, at every step of the clip's own grid around it. Between
two stored vectors stands their mean, so that every vector of the clip counts at every step, and the
steps beside the best one tell where between them the clip begins.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from songid_desktop.errors import Cancelled
from songid_desktop.neural.contents import Hits
from songid_desktop.neural.index import VectorIndex
from songid_desktop.neural.inverted import IntArray
from songid_desktop.neural.tail import LEAST_INSIDE, MOST_ROWS
from songid_desktop.neural.vectors import unit
from songid_desktop.types import FloatArray

BoolArray = npt.NDArray[np.bool_]

_AT_ONCE = 32
"""Positions scored between two looks at the cancel token."""
_AWAY_S = 1.5
"""So far from its place a track's own score says how alike it sounds all over."""


@dataclass(frozen=True, slots=True)
class SearchConfig:
    """How much is looked at.

    Attributes
    ----------
    neighbours : int
        Coded vectors that the vectors of the clip propose together; `fewest_neighbours` each at
        least, `most_neighbours` at most.
    probes : int
        Lists that they are looked for in, together; `fewest_probes` and `most_probes` each.
    candidates : int
        Positions that are scored by the stored vectors.
    per_track : int
        Of these, as many of one track at most.
    margin_rows : int
        Stored vectors before and after a position that it may be off by.
    """

    neighbours: int = 4096
    fewest_neighbours: int = 64
    most_neighbours: int = 512
    probes: int = 1024
    fewest_probes: int = 16
    most_probes: int = 256
    candidates: int = 96
    per_track: int = 3
    margin_rows: int = 2

    def shares(self, n_vectors: int) -> tuple[int, int]:
        """Neighbours and probes for each of so many vectors. A clip of a second has one chance
        only: it is looked for as thoroughly as a longer one in all."""
        n_vectors = max(1, n_vectors)
        neighbours = max(self.fewest_neighbours, self.neighbours // n_vectors)
        probes = max(self.fewest_probes, self.probes // n_vectors)
        return min(neighbours, self.most_neighbours), min(probes, self.most_probes)


@dataclass(frozen=True, slots=True)
class Clip:
    """What is looked for.

    Attributes
    ----------
    vectors : float32 array, shape (n, dim)
        One every ``hop_s / phases``; all zeros where nothing is heard, which is neither like
        anything nor unlike it.
    hop_s : float
        Of the stored vectors.
    phases : int
        Vectors of the clip to a stored one.
    """

    vectors: FloatArray
    hop_s: float
    phases: int

    @property
    def step_s(self) -> float:
        return self.hop_s / self.phases

    @property
    def n_rows(self) -> int:
        """Stored vectors that lie beside the clip."""
        return -(-len(self.vectors) // self.phases)

    @property
    def sounding(self) -> BoolArray:
        """Which of the vectors are of sound, shape (n,)."""
        return np.asarray(self.vectors.any(axis=1))

    def cut(self) -> Clip:
        """The clip, no longer than a search looks at."""
        return replace(self, vectors=self.vectors[: MOST_ROWS * self.phases])


@dataclass(frozen=True, slots=True)
class Candidate:
    """A track, and where in it the clip fits best.

    Attributes
    ----------
    track_id : int
    score : float
        Mean cosine along the diagonal; what lies outside the track counts as 0 from a half on.
    offset_s : float
        Where in the track the clip begins; negative where it begins before it.
    step : int
        The same in whole steps of the clip.
    inside : float
        Share of the clip that lies inside the track.
    """

    track_id: int
    score: float
    offset_s: float
    step: int
    inside: float = 1.0


@dataclass(frozen=True, slots=True)
class Aligned:
    """How the clip fits at each step around some positions.

    Attributes
    ----------
    first_step : int64 array, shape (k,)
    score, inside : float32 array, shape (k, steps)
        Column c belongs to step ``first_step + c``; see `Candidate`.
    """

    first_step: IntArray
    score: FloatArray
    inside: FloatArray


def search(
    index: VectorIndex,
    clip: Clip,
    config: SearchConfig,
    cancel: threading.Event | None = None,
) -> list[Candidate]:
    """The tracks in which the clip may be, best first, every track once.

    Raises
    ------
    Cancelled
        When `cancel` was set.
    """
    clip = clip.cut()
    proposed = propose(index, clip, config, cancel)
    best: dict[int, Candidate] = {}
    for start in range(0, len(proposed), _AT_ONCE):
        if cancel is not None and cancel.is_set():
            raise Cancelled
        for found in score_at(index, clip, proposed[start : start + _AT_ONCE], config.margin_rows):
            known = best.get(found.track_id)
            if known is None or found.score > known.score:
                best[found.track_id] = found
    return sorted(best.values(), key=lambda one: (-one.score, one.track_id))


def propose(
    index: VectorIndex,
    clip: Clip,
    config: SearchConfig,
    cancel: threading.Event | None = None,
) -> list[tuple[int, int]]:
    """Positions worth scoring: track and step in it, most promising first."""
    whole = index.tail.best_places(clip.vectors, clip.phases, cancel)
    order = np.argsort(-whole.score, kind="stable")[: config.candidates]
    proposed = list(zip(whole.track_id[order].tolist(), whole.step[order].tolist(), strict=True))
    if cancel is not None and cancel.is_set():
        raise Cancelled
    hits = index.nearest(clip.vectors, *config.shares(len(clip.vectors)))
    if hits is not None:
        proposed += agreed(hits, clip, config)
    return proposed


def agreed(hits: Hits, clip: Clip, config: SearchConfig) -> list[tuple[int, int]]:
    """Positions on which hits agree, the most agreed on first.

    A hit counts by how far it stands above the last of its query's: a query whose neighbours are
    all alike says nothing.
    """
    if not len(hits.query):
        return []
    floor = np.full(len(clip.vectors), np.inf, np.float32)
    np.minimum.at(floor, hits.query, hits.cosine)
    weight = hits.cosine - floor[hits.query] + 1e-4
    # Cells of two stored vectors, on two grids half a cell apart: whoever sits on the edge of the
    # one is in the middle of the other.
    step = hits.row * clip.phases - hits.query
    size = 2 * clip.phases
    track, place = np.unique(hits.track_id, return_inverse=True)
    scored: dict[tuple[int, int], float] = {}
    for shift in (0, clip.phases):
        cell = (step + shift) // size
        low = cell.min(initial=0)
        width = int(cell.max(initial=0) - low + 1)
        key, member = np.unique(place * width + (cell - low), return_inverse=True)
        total = np.bincount(member, weight)
        middle = np.bincount(member, weight * step) / total
        for one in np.argsort(-total)[: 2 * config.candidates].tolist():
            at = int(track[key[one] // width]), round(float(middle[one]))
            scored[at] = max(float(total[one]), scored.get(at, 0.0))
    return _spread(scored, clip.phases, config)


def _spread(
    scored: dict[tuple[int, int], float], phases: int, config: SearchConfig
) -> list[tuple[int, int]]:
    """The highest, leaving out what lies beside one that is taken."""
    taken: dict[int, list[int]] = {}
    chosen = []
    for track_id, step in sorted(scored, key=lambda at: -scored[at]):
        known = taken.setdefault(track_id, [])
        if len(known) >= config.per_track or any(abs(step - one) <= phases for one in known):
            continue
        known.append(step)
        chosen.append((track_id, step))
        if len(chosen) == config.candidates:
            break
    return chosen


def score_at(
    index: VectorIndex, clip: Clip, places: Sequence[tuple[int, int]], margin_rows: int
) -> list[Candidate]:
    """How well the clip fits into tracks around steps of theirs, at the best step of each; tracks
    that are gone are left out."""
    if not places:
        return []
    found = align(index, clip, places, margin_rows)
    best = np.argmax(found.score, axis=1)
    each = np.arange(len(best))
    peak = best + vertex_of(found.score, best)
    score, inside = found.score[each, best], found.inside[each, best]
    return [
        Candidate(
            track_id=track_id,
            score=float(score[one]),
            offset_s=float(found.first_step[one] + peak[one]) * clip.step_s,
            step=int(found.first_step[one] + best[one]),
            inside=float(inside[one]),
        )
        for one, (track_id, _) in enumerate(places)
        if found.inside[one].any()
    ]


def align(
    index: VectorIndex, clip: Clip, places: Sequence[tuple[int, int]], margin_rows: int
) -> Aligned:
    """The clip's score at every step within `margin_rows` stored vectors of some places."""
    phases, n = clip.phases, len(clip.vectors)
    firsts = [step // phases - margin_rows for _, step in places]
    count = clip.n_rows + 1 + 2 * margin_rows
    read = [
        index.rows(track_id, first, count)
        for (track_id, _), first in zip(places, firsts, strict=True)
    ]
    rows, inside = np.stack([one for one, _ in read]), np.stack([one for _, one in read])
    cosine, real = between(rows, inside, clip)
    n_steps = min((2 * margin_rows + 1) * phases, cosine.shape[1] - n + 1)
    diagonal = np.arange(n_steps)[:, None] + np.arange(n)
    along = cosine[:, diagonal, np.arange(n)].sum(axis=2)
    heard = (real[:, diagonal] & clip.sounding).sum(axis=2)
    n_heard = max(1, int(clip.sounding.sum()))
    score = along / np.maximum(heard, LEAST_INSIDE * n_heard)
    first_step = phases * np.array(firsts, np.int64)
    return Aligned(first_step, score.astype(np.float32), (heard / n_heard).astype(np.float32))


def between(rows: FloatArray, inside: BoolArray, clip: Clip) -> tuple[FloatArray, BoolArray]:
    """Cosines of a clip's vectors with stored ones, shape (k, r, dim), and with those between them.

    Returns
    -------
    float32 array, shape (k, s, n)
        Step ``phases * r`` is stored vector r, those after it are between it and the next.
    bool array, shape (k, s)
        Which of them there are.
    """
    phases = clip.phases
    own = rows @ clip.vectors.T
    if phases == 1:
        return own, inside
    likeness = np.einsum("krd,krd->kr", rows[:, :-1], rows[:, 1:])
    n_steps = phases * (rows.shape[1] - 1) + 1
    cosine = np.zeros((len(rows), n_steps, own.shape[2]), np.float32)
    real = np.zeros((len(rows), n_steps), np.bool_)
    cosine[:, ::phases], real[:, ::phases] = own, inside
    for part in range(1, phases):
        share = np.float32(part / phases)
        size = (1 - share) ** 2 + share**2 + 2 * share * (1 - share) * likeness
        mixed = (1 - share) * own[:, :-1] + share * own[:, 1:]
        cosine[:, part::phases] = mixed / np.sqrt(np.maximum(size, 1e-6))[:, :, None]
        real[:, part::phases] = inside[:, :-1] & inside[:, 1:]
    cosine[~real] = 0.0
    return cosine, real


def vertex_of(score: FloatArray, at: IntArray) -> FloatArray:
    """How far from column `at` each row's peak is, -0.5 … 0.5, by two lines of one slope through it
    and its neighbours; 0 at the ends.

    Likeness falls nearly straight to both sides: a parabola's error is twice as large (8 against 16
    ms at most, on plucked notes).
    """
    last = score.shape[1] - 1
    inner = np.clip(at, 1, max(1, last - 1))
    each = np.arange(len(at))
    if last < 2:
        return np.zeros(len(at), np.float32)
    left, middle, right = (score[each, inner + shift] for shift in (-1, 0, 1))
    fall = np.maximum(middle - np.minimum(left, right), 1e-9)
    vertex = np.clip(0.5 * (right - left) / fall, -0.5, 0.5)
    return np.where(inner == at, vertex, 0.0).astype(np.float32)


def curve(index: VectorIndex, clip: Clip, candidate: Candidate) -> tuple[FloatArray, FloatArray]:
    """Cosine of every vector of the clip with the track at a candidate's place: time in the clip
    (s) and cosine, shape (n,) each."""
    clip = clip.cut()
    phases, n = clip.phases, len(clip.vectors)
    first = candidate.step // phases
    rows, inside = index.rows(candidate.track_id, first, clip.n_rows + 2)
    cosine, _ = between(rows[None], inside[None], clip)
    at = candidate.step - first * phases + np.arange(n)
    time_s = (np.arange(n) * clip.step_s).astype(np.float32)
    return time_s, cosine[0, at, np.arange(n)]


def elsewhere(index: VectorIndex, clip: Clip, candidate: Candidate, margin_rows: int = 16) -> float:
    """Mean score of the same track a little earlier and later: high where clip and track merely
    sound alike."""
    clip = clip.cut()
    found = align(index, clip, [(candidate.track_id, candidate.step)], margin_rows)
    away = np.abs(found.first_step[0] + np.arange(found.score.shape[1]) - candidate.step)
    far = (away * clip.step_s >= _AWAY_S) & (found.inside[0] >= LEAST_INSIDE)
    return float(found.score[0][far].mean()) if far.any() else 0.0


def likeness(index: VectorIndex, clip: Clip, one: Candidate, other: Candidate) -> float:
    """Mean cosine of the stored vectors of two candidates beside the clip: near to 1 for the same
    recording."""
    clip = clip.cut()
    first = -(-one.step // clip.phases)
    rows, inside = index.rows(one.track_id, first, clip.n_rows)
    if not inside.any():
        return 0.0
    # In the other's own steps, which need not fall together with these.
    begin = first + int(np.argmax(inside))
    step = round(clip.phases * begin + other.step - one.step)
    as_clip = Clip(rows[inside], clip.hop_s, 1)
    found = score_at(index, as_clip, [(other.track_id, step // clip.phases)], 1)
    nearest = max((candidate.score for candidate in found), default=0.0)
    if step % clip.phases and found:
        nearest = max(nearest, _likeness_between(index, as_clip, other.track_id, step, clip.phases))
    return nearest


def _likeness_between(
    index: VectorIndex, as_clip: Clip, track_id: int, step: int, phases: int
) -> float:
    """The same where the other's stored vectors fall between those of the one."""
    rows, inside = index.rows(track_id, step // phases, len(as_clip.vectors) + 1)
    share = np.float32(step % phases / phases)
    mixed = (1 - share) * rows[:-1] + share * rows[1:]
    real = inside[:-1] & inside[1:]
    if not real.any():
        return 0.0
    cosine = np.einsum("rd,rd->r", unit(mixed), as_clip.vectors)
    return float(cosine[real].mean())
