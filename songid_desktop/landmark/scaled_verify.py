"""Verifying tracks played at another speed, tempo or pitch, and finding the factor exactly.

The clip's spectrogram is read where a track's stored peaks should show under a hypothesis: the same
score as in `match`, but with times and frequencies scaled.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from songid_desktop.landmark.config import LandmarkConfig, PeakConfig
from songid_desktop.landmark.index import Part
from songid_desktop.landmark.match import Candidate, Clip
from songid_desktop.landmark.scaled import (
    Kind,
    Places,
    Scale,
    ScaleConfig,
    exact_places,
    find_places,
    look_at,
    middle_frame,
)
from songid_desktop.types import CancelToken

IntArray = npt.NDArray[np.int64]
Float64Array = npt.NDArray[np.float64]

_SHRINK_PEAKS = 10.0
"""As in `match`: a candidate that overlaps the clip by a few peaks can't win by luck."""
_LAGS = np.array([-0.5, 0.0, 0.5])
_COARSE, _FINE = np.linspace(-1.0, 1.0, 3), np.linspace(-1.0, 1.0, 5)
_PAIRED_WITHIN = (1.5, 1.2, 1.2)
"""Frames and bins between a stored peak and the clip's for them to be one; from round to round."""
_REWEIGHTED = 4
_ROUNDING = 0.3
_FEWEST_PAIRED = 12
_DOUBT = 3.0
"""Advantage (in log likelihood) of the kind of change that the spectrogram spoke for."""
_FARTHEST = 0.02
"""More than this can't be wrong with a factor that the spectrogram was read at."""
_REFINED = 6
"""Finalists that are brought to their very best, so that first and runner-up compare fairly."""
_BESIDE_BINS = np.array([-9.0, -7, -5, 5, 7, 9])
_ELSEWHERE_FRAMES = np.array([-23.0, -17, -13, -9, -7, -5, 5, 7, 9, 13, 17, 23])


@dataclass(frozen=True, slots=True)
class ScaledCandidate:
    """A track that may be playing, and how.

    Attributes
    ----------
    candidate : Candidate
        Its `offset_frames` is the place in the track, in the track's frames, of the clip's first
        sample.
    scale : Scale
    """

    candidate: Candidate
    scale: Scale

    @property
    def track_id(self) -> int:
        return self.candidate.track_id

    @property
    def score(self) -> float:
        return self.candidate.score


@dataclass(frozen=True, slots=True)
class _Guess:
    """A place to verify."""

    part: Part
    row: int
    middle: float
    scale: Scale
    votes: int
    score: float = 0.0
    n_peaks: int = 0


def search_scaled(
    parts: Sequence[Part],
    clip: Clip,
    config: LandmarkConfig,
    tried: ScaleConfig,
    cancel: CancelToken | None = None,
) -> list[ScaledCandidate]:
    """Candidates under any of the hypotheses, best first, every track once.

    Raises
    ------
    Cancelled
        When `cancel` was set.
    """
    reader = _Reader(clip)
    guesses: list[_Guess] = []
    for places in find_places(parts, clip, config, tried, cancel):
        guesses += _scored_where_voted(places, tried.scales(), reader)
    guesses = _each_once(guesses)[: tried.finalists]
    look_at(cancel)
    guesses = _each_once([_refined(one, reader, tried, _COARSE, 1) for one in guesses])
    look_at(cancel)
    guesses[:_REFINED] = [_refined(one, reader, tried, _FINE, 2) for one in guesses[:_REFINED]]
    guesses = _each_once(guesses)
    guesses[:1] = [_pinpointed(one, reader) for one in guesses[:1]]
    return [_candidate(one, reader, config.peaks) for one in guesses]


def _each_once(guesses: list[_Guess]) -> list[_Guess]:
    """Every track's best, best first."""
    best: dict[tuple[int, int], _Guess] = {}
    for one in sorted(guesses, key=lambda one: -one.score):
        best.setdefault((id(one.part), one.row), one)
    return list(best.values())


def _candidate(one: _Guess, reader: _Reader, config: PeakConfig) -> ScaledCandidate:
    segment = one.part.segment
    begin = one.middle - one.scale.tempo * reader.half_frames
    offset = begin - float(segment.start_frame[one.row])
    offset += _half_window(config) * (1.0 - one.scale.tempo)
    found = Candidate(
        part=one.part,
        row=one.row,
        score=one.score,
        votes=one.votes,
        line_frame=round(begin),
        offset_frames=offset,
        n_peaks=one.n_peaks,
    )
    return ScaledCandidate(found, one.scale)


def track_frame(found: ScaledCandidate, clip_frame: float, config: PeakConfig) -> float:
    """Frame of the track that a frame of the clip, counted from its beginning, corresponds to."""
    tempo = found.scale.tempo
    return found.candidate.offset_frames - _half_window(config) * (1.0 - tempo) + clip_frame * tempo


def _half_window(config: PeakConfig) -> float:
    """Frames are numbered by where they begin, but it is their middles that correspond: so much
    later."""
    return config.n_fft / 2 / config.hop_samples


class _Reader:
    """The clip's spectrogram with a margin of zeros, to be read where a track says."""

    def __init__(self, clip: Clip) -> None:
        self._clip = clip
        self.half_frames = middle_frame(clip)
        self.low_bin = clip.low_bin
        self.steps = clip.steps_per_frame
        self.n_rows, self.n_columns = clip.height.shape
        self._flat = np.pad(clip.height, ((1, 2), (1, 2))).reshape(-1)
        self._width = self.n_columns + 3

    @property
    def clip_peaks(self) -> tuple[Float64Array, Float64Array]:
        """Frames from the clip's middle and bins of its peaks, to a fraction."""
        peaks = self._clip.peaks[0]
        frame, column = exact_places(self._clip, peaks.frame, peaks.bin)
        order = np.argsort(frame)
        return frame[order] - self.half_frames, column[order]

    def stored(
        self, part: Part, middle: Float64Array, tempo: float
    ) -> tuple[IntArray, Float64Array, Float64Array]:
        """Stored peaks under the clip laid around each place, and a little more: the place, the
        frame counted from it, the bin; shape (p,) each."""
        first = np.floor(middle - self.half_frames * tempo).astype(np.int64) - 2
        span = math.ceil(2.0 * self.half_frames * tempo) + 5
        which, frame, column = part.segment.peaks_between(first, span)
        return which, frame + (first - middle)[which], column.astype(np.float64)

    def rows(self, from_middle: Float64Array, tempo: Float64Array | float) -> Float64Array:
        """Rows of the spectrogram for frames of the track counted from the clip's middle."""
        return from_middle * (self.steps / tempo) + self.half_frames * self.steps

    def read(
        self, row: Float64Array, column: Float64Array, *, between: bool = False
    ) -> tuple[Float64Array, npt.NDArray[np.bool_]]:
        """Heights at rows and bins, of their shape, 0 outside; and what lies inside.

        Between rows and bins, the nearest is taken, or the mean of the four around.
        """
        column = column - self.low_bin
        inside = (row > -0.5) & (row < self.n_rows - 0.5)
        inside &= (column > -0.5) & (column < self.n_columns - 0.5)
        row = np.where(inside, row, -1.0)
        column = np.where(inside, column, -1.0)
        if not between:
            place = (np.rint(row).astype(np.int64) + 1) * self._width
            place += np.rint(column).astype(np.int64) + 1
            return self._flat.take(place).astype(np.float64), inside
        upper, left = np.floor(row), np.floor(column)
        down, right = row - upper, column - left
        place = (upper.astype(np.int64) + 1) * self._width + left.astype(np.int64) + 1
        above = self._flat.take(place) * (1 - right) + self._flat.take(place + 1) * right
        place += self._width
        below = self._flat.take(place) * (1 - right) + self._flat.take(place + 1) * right
        return above * (1 - down) + below * down, inside


def _shrunk(total: npt.NDArray[np.floating], count: IntArray) -> Float64Array:
    """Energy above the clip's mean, in standard errors."""
    return np.asarray(total / np.sqrt(count + _SHRINK_PEAKS), np.float64)


def _sums(which: IntArray, height: Float64Array, n: int) -> Float64Array:
    return np.asarray(np.bincount(which, height, minlength=n), np.float64)


def _scored_where_voted(places: Places, scales: Sequence[Scale], reader: _Reader) -> list[_Guess]:
    """Places of tracks that still count, scored within half a frame of where they got votes."""
    part = places.part
    tempo = np.array([scale.tempo for scale in scales])[places.scale]
    pitch = np.array([scale.pitch for scale in scales])[places.scale]
    middle = places.middle.astype(np.float64)
    row = part.segment.track_at((middle - tempo * reader.half_frames).astype(np.int64))
    which, frame, column = reader.stored(part, middle, float(tempo.max()))
    column *= pitch[which]
    scores, counts = [], []
    for lag in _LAGS.tolist():
        height, inside = reader.read(reader.rows(frame - lag, tempo[which]), column)
        counts.append(np.bincount(which[inside], minlength=len(middle)))
        total = _sums(which, height, len(middle))
        scores.append(_shrunk(total, counts[-1]))
    best = np.argmax(scores, axis=0)
    return [
        _Guess(
            part=part,
            row=int(row[i]),
            middle=float(middle[i] + _LAGS[best[i]]),
            scale=scales[int(places.scale[i])],
            votes=int(places.votes[i]),
            score=float(scores[best[i]][i]),
            n_peaks=int(counts[best[i]][i]),
        )
        for i in np.flatnonzero(part.alive[row]).tolist()
    ]


# -- refinement -----------------------------------------------------------------------------------


def _refined(
    one: _Guess, reader: _Reader, tried: ScaleConfig, grid: Float64Array, rounds: int
) -> _Guess:
    """The same at its best factor and place nearby, found on finer and finer grids."""
    _, frame, column = reader.stored(one.part, np.array([one.middle]), one.scale.tempo * 1.01)
    origin = one.middle
    reach_factor = tried.step_of(one.scale.kind) / 2
    reach_frames = 0.75
    for _ in range(rounds):
        factor = one.scale.factor + np.repeat(grid, len(grid)) * reach_factor
        middle = one.middle + np.tile(grid, len(grid)) * reach_frames
        score, count = _scores(
            reader, one.scale.kind, frame - (middle - origin)[:, None], column, factor
        )
        top = int(np.argmax(score))
        if score[top] > one.score:
            one = replace(
                one,
                middle=float(middle[top]),
                scale=replace(one.scale, factor=float(factor[top])),
                score=float(score[top]),
                n_peaks=int(count[top]),
            )
        reach_factor *= 2.0 / (len(grid) - 1)
        reach_frames *= 2.0 / (len(grid) - 1)
    return one


def _scores(
    reader: _Reader,
    kind: Kind,
    frame: Float64Array,
    column: Float64Array,
    factor: Float64Array,
    *,
    between: bool = False,
) -> tuple[Float64Array, IntArray]:
    """Scores of one track's peaks under several factors (rows of `frame`), and counts of peaks."""
    tempo = np.ones_like(factor) if kind is Kind.PITCH else factor
    pitch = np.ones_like(factor) if kind is Kind.TEMPO else factor
    row = reader.rows(frame, tempo[:, None])
    height, inside = reader.read(row, column * pitch[:, None], between=between)
    count = inside.sum(axis=1)
    return _shrunk(height.sum(axis=1), count), count


def _pinpointed(one: _Guess, reader: _Reader) -> _Guess:
    """The winner's factor and place, as the stored peaks and those of the clip that belong to them
    say together: a straight line through their times, and one through their frequencies. What kind
    of change fits them best is seen best here, too."""
    _, frame, column = reader.stored(one.part, np.array([one.middle]), one.scale.tempo * 1.01)
    clip_frame, clip_bin = reader.clip_peaks
    shift, scale = 0.0, one.scale
    for reach in _PAIRED_WITHIN:
        expected = (frame - shift) / scale.tempo, column * scale.pitch
        stored, own = _pairs_within(expected, (clip_frame, clip_bin), reach)
        if len(stored) < _FEWEST_PAIRED:
            break
        paired = (frame[stored], column[stored], clip_frame[own], clip_bin[own])
        lines = {kind: _fit_line(kind, *paired) for kind in Kind}
        kind = min(Kind, key=lambda kind: lines[kind].misfit - (kind is scale.kind) * _DOUBT)
        shift, scale = lines[kind].shift, Scale(kind, lines[kind].factor)
    is_near = abs(scale.tempo - one.scale.tempo) < _FARTHEST
    is_near &= abs(scale.pitch - one.scale.pitch) < _FARTHEST
    if not is_near or abs(shift) > 1.0:
        return one
    return replace(one, scale=scale, middle=one.middle + shift)


def _pairs_within(
    some: tuple[Float64Array, Float64Array], others: tuple[Float64Array, Float64Array], reach: float
) -> tuple[IntArray, IntArray]:
    """Which of some points lie within ± `reach` frames and bins of which of others, the nearest
    one of each; others in order of time."""
    low = np.searchsorted(others[0], some[0] - reach)
    high = np.searchsorted(others[0], some[0] + reach, side="right")
    candidates = low[:, None] + np.arange(int((high - low).max(initial=0)))
    known = np.minimum(candidates, len(others[0]) - 1)
    away = np.abs(others[1][known] - some[1][:, None])
    away = np.where((candidates < high[:, None]) & (away <= reach), away, np.inf)
    if not away.size:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    nearest = np.argmin(away, axis=1)
    every = np.arange(len(away))
    found = np.flatnonzero(np.isfinite(away[every, nearest]))
    return found, known[found, nearest[found]]


@dataclass(frozen=True, slots=True)
class _Line:
    """Frame of the track at the clip's middle, factor, and how badly they fit."""

    shift: float
    factor: float
    misfit: float


def _fit_line(
    kind: Kind,
    frame: Float64Array,
    column: Float64Array,
    clip_frame: Float64Array,
    clip_bin: Float64Array,
) -> _Line:
    """Least squares. What is stored is rounded to whole frames and whole bins, so both count alike;
    what fits badly counts less: a sustained tone has its peak anywhere."""
    one, none = np.ones_like(frame), np.zeros_like(frame)
    times = np.stack([one, none if kind is Kind.PITCH else clip_frame], axis=1)
    bins = np.stack([none, none if kind is Kind.TEMPO else column], axis=1)
    lines = np.concatenate([times, bins])
    wanted = np.concatenate(
        [
            frame - clip_frame if kind is Kind.PITCH else frame,
            clip_bin - column if kind is Kind.TEMPO else clip_bin,
        ]
    )
    weight = np.ones_like(wanted)
    for _ in range(_REWEIGHTED):
        found = np.linalg.lstsq(lines * weight[:, None], wanted * weight, rcond=None)[0]
        away = ((lines @ found - wanted) / _ROUNDING) ** 2
        weight = 1.0 / np.sqrt(1.0 + away)
    return _Line(float(found[0]), float(found[1]), float(np.log1p(away).sum()))


# -- how a right candidate differs from one that is merely alike ---------------------------------


def score_elsewhere(found: ScaledCandidate, clip: Clip, config: PeakConfig) -> float:
    """Mean score of a candidate's track a little earlier and later than where it was found."""
    return _mean_score(found, clip, config, frames=_ELSEWHERE_FRAMES, bins=np.zeros(1))


def score_beside(found: ScaledCandidate, clip: Clip, config: PeakConfig) -> float:
    """Mean score of a candidate's peaks moved a few bins up and down, where it was found."""
    return _mean_score(found, clip, config, frames=np.zeros(1), bins=_BESIDE_BINS)


def _mean_score(
    found: ScaledCandidate,
    clip: Clip,
    config: PeakConfig,
    frames: Float64Array,
    bins: Float64Array,
) -> float:
    """Mean over the track moved by each of some frames, or each of some bins."""
    reader = _Reader(clip)
    part, tempo = found.candidate.part, found.scale.tempo
    start = float(part.segment.start_frame[found.candidate.row])
    middle = start + track_frame(found, reader.half_frames, config) + frames
    which, frame, column = reader.stored(part, middle, tempo)
    row = reader.rows(frame, tempo)
    scores = []
    for step in bins.tolist():
        height, inside = reader.read(row, column * found.scale.pitch + step)
        count = np.bincount(which[inside], minlength=len(middle))
        scores.append(_shrunk(_sums(which, height, len(middle)), count))
    return float(np.mean(scores))
