"""Looking a clip up: hashes vote for (track, offset), the best of these are verified on the
spectrogram itself, and what remains is ranked.

Voting is quick and needs only some hashes to survive; verification then asks, for a few hundred
candidates, how much of the clip's whitened energy lies exactly where the track's stored peaks say
it should. That is far more telling than counting hashes, and finds the offset to a few
milliseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from songid_desktop.landmark.config import LandmarkConfig, SearchConfig
from songid_desktop.landmark.hashes import hash_pairs, pair_peaks
from songid_desktop.landmark.index import Part
from songid_desktop.landmark.peaks import Peaks, find_peaks
from songid_desktop.landmark.segment import Segment
from songid_desktop.landmark.spectrum import clean, power_frames, whiten
from songid_desktop.types import FloatArray

IntArray = npt.NDArray[np.int64]
U32Array = npt.NDArray[np.uint32]

_FOLD = 1 << 19
"""Places of the table in which votes are counted before they are sorted."""
_CROWD = 255
_KEPT_VOTES = 30_000
"""Votes that are sorted at least: some ten times what the best few hundred bins hold."""
_SHRINK_PEAKS = 10.0
"""Counted as further, indifferent peaks, so that a candidate that overlaps the clip by a few peaks
can't win by luck."""


_BESIDE_BINS = (-9, -7, -5, 5, 7, 9)
_ELSEWHERE_FRAMES = np.array([-23, -17, -13, -9, -7, -5, 5, 7, 9, 13, 17, 23])


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip made ready for looking up.

    Attributes
    ----------
    height : float32 array, shape (steps, bins)
        Whitened spectrogram, standardised over the clip, a fraction of a hop from row to row.
    steps_per_frame : int
    peaks : tuple of Peaks, one for each frame phase
    low_bin : int
        Bin that the first column of `height` stands for.
    keys : uint32 array, shape (k,), sorted
    key_step : int64 array, shape (k,)
        When the anchor of each key happens, in steps.
    """

    height: FloatArray
    steps_per_frame: int
    peaks: tuple[Peaks, ...]
    low_bin: int
    keys: U32Array
    key_step: IntArray

    @property
    def n_frames(self) -> int:
        return -(-len(self.height) // self.steps_per_frame)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A track that may be playing.

    Attributes
    ----------
    part : Part
    row : int
        Track's row in the part's segment.
    score : float
        Verification: how far the clip's energy at the track's peaks lies above that elsewhere, in
        standard errors.
    votes : int
        Hashes that agree on the offset, to within a frame.
    line_frame : int
        Frame of the segment's line at which the clip begins.
    offset_frames : float
        Position in the track of the clip's first sample, in frames, to a fraction of a step.
    n_peaks : int
        Stored peaks that the clip should show.
    """

    part: Part
    row: int
    score: float
    votes: int
    line_frame: int
    offset_frames: float
    n_peaks: int

    @property
    def track_id(self) -> int:
        return int(self.part.segment.track_id[self.row])


def analyse(samples: FloatArray, config: LandmarkConfig) -> Clip:
    """Spectrogram, peaks and hashes of a clip at the configured rate."""
    phases = config.search.phases
    step_samples = config.peaks.hop_samples // phases
    power = power_frames(clean(samples), config.peaks, step_samples)
    whitened = whiten(power, config.peaks, phases)
    found: list[Peaks] = []
    keys: list[U32Array] = []
    steps: list[IntArray] = []
    for phase in range(phases):
        peaks = find_peaks(whitened[phase::phases], config.peaks, config.search.density_hz)
        found.append(peaks)
        anchor, target = pair_peaks(peaks.frame, peaks.bin, config.hashes, config.search.fan)
        keys.append(hash_pairs(peaks.frame, peaks.bin, anchor, target))
        steps.append(peaks.frame[anchor] * phases + phase)
    key, step = np.concatenate(keys), np.concatenate(steps)
    order = np.argsort(key, kind="stable")
    return Clip(
        height=_standardise(whitened),
        steps_per_frame=phases,
        peaks=tuple(found),
        low_bin=config.peaks.low_bin,
        keys=key[order],
        key_step=step[order],
    )


def _standardise(whitened: FloatArray) -> FloatArray:
    """What rises above the background, with mean 0 and deviation 1 over the clip."""
    if not whitened.size:
        return whitened
    risen = np.maximum(whitened, 0.0)
    deviation = float(risen.std())
    if deviation <= 0.0:
        return np.zeros_like(risen)
    risen -= risen.mean()
    risen /= np.float32(deviation)
    return risen


@dataclass(frozen=True, slots=True)
class Votes:
    """Votes of one part: bins of one frame, the clip's beginning on the part's line, in order."""

    part: Part
    frame: IntArray
    count: IntArray

    def near(self, line_frame: int, reach: int) -> tuple[IntArray, IntArray]:
        """Bins within ± `reach` frames, relative to `line_frame`, and their counts."""
        low, high = np.searchsorted(self.frame, [line_frame - reach, line_frame + reach + 1])
        return self.frame[low:high] - line_frame, self.count[low:high]


def vote(part: Part, clip: Clip, rarest: npt.NDArray[np.bool_]) -> Votes:
    """Let the chosen hashes of the clip that a segment holds vote for where the clip begins.

    Most votes are stray and alone in their place. They are set aside first, by counting in a folded
    table, so that only bins with some chance of being among the best have to be sorted.
    """
    frame, which = part.segment.look_up(clip.keys[rarest])
    # Never negative: a line begins with a gap longer than any clip.
    back = -(-clip.key_step[rarest] // clip.steps_per_frame)
    start = frame - back.astype(np.uint32)[which]
    if len(start) > _KEPT_VOTES:
        folded = start & np.uint32(_FOLD - 1)
        table = np.minimum(np.bincount(folded, minlength=_FOLD), _CROWD // 3).astype(np.uint8)
        table = table + np.roll(table, 1) + np.roll(table, -1)
        crowd = table[folded]
        # The highest crowd that leaves enough votes.
        at_least = np.cumsum(np.bincount(crowd, minlength=_CROWD + 1)[::-1])[::-1]
        enough = int(np.flatnonzero(at_least >= _KEPT_VOTES)[-1])
        start = start[crowd >= enough]
    start = np.sort(start).astype(np.int64)
    is_first = np.empty(len(start), np.bool_)
    is_first[:1] = True
    np.not_equal(start[1:], start[:-1], out=is_first[1:])
    first = np.flatnonzero(is_first)
    return Votes(part, np.asarray(start[first], np.int64), np.diff(first, append=len(start)))


def choose_hashes(
    parts: Sequence[Part], clip: Clip, config: SearchConfig, clip_s: float
) -> npt.NDArray[np.bool_]:
    """Which of the clip's hashes to look up: the rarest, as long as their postings fit the budget.

    A hash that many tracks have says little about which one it is, and costs most.
    """
    cost = np.zeros(len(clip.keys), np.int64)
    for part in parts:
        cost += part.segment.bucket_sizes(clip.keys)
    budget = config.hits + config.hits_per_s * clip_s
    if cost.sum() <= budget:
        return np.ones(len(cost), np.bool_)
    # All hashes of the same cost stay or go together, so that their order plays no part.
    per_cost = np.bincount(cost)
    spent = np.cumsum(per_cost * np.arange(len(per_cost)))
    dearest = int(np.searchsorted(spent, budget, side="right"))
    return cost < max(dearest, 1 + int(cost.min()))


def _summed_with_neighbours(votes: Votes) -> IntArray:
    """A true offset falls between bins, so each bin is given what its neighbours got."""
    total = votes.count.copy()
    adjacent = np.diff(votes.frame) == 1
    total[:-1] += np.where(adjacent, votes.count[1:], 0)
    total[1:] += np.where(adjacent, votes.count[:-1], 0)
    return total


def search(
    parts: Sequence[Part], clip: Clip, config: LandmarkConfig
) -> tuple[list[Candidate], list[Votes]]:
    """Candidates, best first, every track once; and all the votes."""
    frames_s = clip.n_frames * config.peaks.frame_s
    rarest = choose_hashes(parts, clip, config.search, frames_s)
    all_votes = [vote(part, clip, rarest) for part in parts]
    totals = [_summed_with_neighbours(votes) for votes in all_votes]
    shortlist = _shortlist(totals, config.search.candidates)
    found: list[Candidate] = []
    for votes, total, chosen in zip(all_votes, totals, shortlist, strict=True):
        if len(chosen):
            found.extend(_verify(votes.part, votes.frame[chosen], total[chosen], clip))
    found.sort(key=lambda candidate: -candidate.score)
    best: dict[int, Candidate] = {}
    for candidate in found:
        best.setdefault(candidate.track_id, candidate)
    return list(best.values()), all_votes


def _shortlist(totals: list[IntArray], wanted: int) -> list[IntArray]:
    """Positions of the bins with most votes over all parts, `wanted` in all."""
    joined = np.concatenate([*totals, np.zeros(0, np.int64)])
    if len(joined) > wanted:
        threshold = np.partition(joined, len(joined) - wanted)[len(joined) - wanted]
    else:
        threshold = np.int64(0)
    chosen = []
    room = wanted - int((joined > threshold).sum())
    for total in totals:
        sure = np.flatnonzero(total > threshold)
        even = np.flatnonzero(total == threshold)[: max(0, room)]
        room -= len(even)
        chosen.append(np.sort(np.concatenate([sure, even])))
    return chosen


def _verify(part: Part, start: IntArray, votes: IntArray, clip: Clip) -> list[Candidate]:
    """Score candidates of one part at their best alignment, a fraction of a frame at a time."""
    row = part.segment.track_at(start)
    alive = part.alive[row]
    start, votes, row = start[alive], votes[alive], row[alive]
    if not len(start):
        return []
    lags = np.arange(-clip.steps_per_frame, 2 * clip.steps_per_frame + 1)
    scores, n_peaks = score_alignments(part.segment, start, lags, clip)
    best = np.argmax(scores, axis=0)
    every = np.arange(len(start))
    fraction = _vertex(scores, best)
    offset = (lags[best] + fraction) / clip.steps_per_frame
    position = start - part.segment.start_frame[row] + offset
    return [
        Candidate(
            part=part,
            row=int(row[i]),
            score=float(scores[best[i], i]),
            votes=int(votes[i]),
            line_frame=int(start[i]),
            offset_frames=float(position[i]),
            n_peaks=int(n_peaks[i]),
        )
        for i in every.tolist()
    ]


def score_alignments(
    segment: Segment, start: IntArray, lags: IntArray, clip: Clip, bins: int = 0
) -> tuple[FloatArray, IntArray]:
    """Verification scores of several starts of the clip, each shifted by several lags (steps), the
    stored peaks moved up by `bins`.

    Returns
    -------
    scores : float32 array, shape (lags, starts)
    n_peaks : int array, shape (starts,)
        Stored peaks that fall inside the clip, unshifted.
    """
    steps = clip.steps_per_frame
    which, frame, column = segment.peaks_between(start, clip.n_frames + 2)
    column = column - clip.low_bin + bins
    width = clip.height.shape[1]
    # Rows of zeros around the clip take what falls outside it, so that no lag needs a mask.
    least, most = int(lags.min()), int(lags.max())
    before, after = max(0, most), max(0, -least)
    padded = np.pad(clip.height, ((before + 1, after + 1), (0, 0))).reshape(-1)
    step = frame * steps
    near = (step >= least - 1) & (step <= len(clip.height) + most)
    near &= (column >= 0) & (column < width)
    which, step, column = which[near], step[near], column[near]
    place = np.clip(step, least, len(clip.height) + most) + before + 1
    index = place * width + column
    owner, first = np.unique(which, return_index=True)
    scores = np.zeros((len(lags), len(start)), np.float32)
    inside = (step >= 0) & (step < len(clip.height))
    counts = np.bincount(which[inside], minlength=len(start))
    if len(owner):
        share = 1.0 / np.sqrt(counts[owner] + _SHRINK_PEAKS)
        for number, lag in enumerate(lags.tolist()):
            total = np.add.reduceat(padded.take(index - lag * width, mode="clip"), first)
            scores[number, owner] = total * share
    return scores, counts


def _vertex(scores: FloatArray, best: IntArray) -> FloatArray:
    """Where between its neighbours the best lag's parabola peaks, in -0.5 … 0.5."""
    every = np.arange(scores.shape[1])
    inner = np.clip(best, 1, len(scores) - 2)
    left, middle, right = (scores[inner + step, every] for step in (-1, 0, 1))
    bend = left - 2.0 * middle + right
    usable = (bend < 0.0) & (inner == best)
    vertex = 0.5 * (left - right) / np.where(usable, bend, 1.0)
    return np.where(usable, np.clip(vertex, -0.5, 0.5), 0.0).astype(np.float32)


def score_elsewhere(candidate: Candidate, clip: Clip) -> float:
    """Mean score of a candidate's track a little earlier and later than where it was found.

    The same recording fits at one offset only; music that shares no more than its notes with the
    clip fits nearly as well a few frames away.
    """
    segment = candidate.part.segment
    steps = clip.steps_per_frame
    begin = segment.start_frame[candidate.row] + candidate.offset_frames
    start = np.floor(begin + _ELSEWHERE_FRAMES).astype(np.int64)
    lag = np.array([round((float(begin) % 1.0) * steps)])
    scores, _ = score_alignments(segment, start, lag, clip)
    return float(scores.mean())


def score_beside(candidate: Candidate, clip: Clip) -> float:
    """Mean score of a candidate's peaks moved a few bins up and down, where it was found.

    The same recording fits at its own pitch only; clicks and drums that happen to keep the same
    time fit at any.
    """
    segment = candidate.part.segment
    steps = clip.steps_per_frame
    begin = float(segment.start_frame[candidate.row] + candidate.offset_frames)
    start = np.array([int(begin)])
    lag = np.array([round((begin % 1.0) * steps)])
    moved = [score_alignments(segment, start, lag, clip, bins)[0] for bins in _BESIDE_BINS]
    return float(np.mean(moved))
