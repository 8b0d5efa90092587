"""The factor and place of one candidate, exactly."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from songid_desktop.landmark.config import LandmarkConfig
from songid_desktop.landmark.match import Candidate, Clip
from songid_desktop.landmark.scaled import Kind, Scale, ScaleConfig
from songid_desktop.landmark.scaled_reading import (
    Guess,
    Reader,
    ScaledCandidate,
    as_candidate,
    shrunk,
)

IntArray = npt.NDArray[np.int64]
Float64Array = npt.NDArray[np.float64]

COARSE, FINE = np.linspace(-1.0, 1.0, 3), np.linspace(-1.0, 1.0, 5)
"""Grids that are tried around a factor and a place."""
_PAIRED_WITHIN = (1.5, 1.2, 1.2)
"""Frames and bins between a stored peak and the clip's for them to be one; from round to round."""
_REWEIGHTED = 4
_ROUNDING = 0.3
_FEWEST_PAIRED = 12
_DOUBT = 3.0
"""Advantage (in log likelihood) of the kind of change that the spectrogram spoke for."""
_FARTHEST = 0.02
"""More than this can't be wrong with a factor that the spectrogram was read at."""
_IMPRESSED_WITHIN = (1.5, 1.5, 1.2)
_UNCHANGED = 0.0015
_MOST_PAIRED = 0.6
"""Share of the track's peaks that the clip has too, from which nothing can be amiss."""
_EVENLY_PAIRED, _EVEN = 0.25, 0.6
"""Or this share, if no third of the clip has less than so much of it: what runs a little off fits
in one place, not from end to end."""
_TIGHT_WITHIN, _TIGHT = 0.5, 0.5
"""And this share of them within so many frames of each other's time. Of clips played 5 % faster or
slower 19 to 52 % are, of unchanged ones 65 % and more (clean), 53 (white noise as loud), 36 (rooms:
those are looked at more closely); 20 validation tracks."""
_ANCHORS = 9
_GAIN = 1.05
"""How much better a changed track has to fit than an unchanged one, as a ratio of scores."""


def refined(
    one: Guess, reader: Reader, tried: ScaleConfig, grid: Float64Array, rounds: int
) -> Guess:
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
    reader: Reader,
    kind: Kind,
    frame: Float64Array,
    column: Float64Array,
    factor: Float64Array,
) -> tuple[Float64Array, IntArray]:
    """Scores of one track's peaks under several factors (rows of `frame`), and counts of peaks."""
    tempo = np.ones_like(factor) if kind is Kind.PITCH else factor
    pitch = np.ones_like(factor) if kind is Kind.TEMPO else factor
    row = reader.rows(frame, tempo[:, None])
    height, inside = reader.read(row, column * pitch[:, None])
    count = inside.sum(axis=1)
    return shrunk(height.sum(axis=1), count), count


def pinpointed(one: Guess, reader: Reader) -> Guess:
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


def as_played(
    found: Candidate, clip: Clip, config: LandmarkConfig, tried: ScaleConfig
) -> ScaledCandidate | None:
    """How a track that the plain search found is played, if otherwise than it was enrolled.

    The plain search finds a track that runs a little off too: by the part of the clip that fits.
    Costs little where nothing is changed.
    """
    reader = Reader(clip)
    start = float(found.part.segment.start_frame[found.row])
    middle = start + found.offset_frames + reader.half_frames
    _, frame, column = reader.stored(found.part, np.array([middle]), 1.0 + tried.tempo_reach)
    scale, is_sure = _first_impression(frame, column, reader.clip_peaks)
    if is_sure and scale.factor == 1.0:
        return None
    plain = Guess(found.part, found.row, middle, Scale(Kind.SPEED, 1.0), found.votes)
    plain = _at_best(plain, reader, (frame, column), np.ones(1), np.zeros(1))
    changed = replace(plain, scale=scale, score=0.0)
    if scale.pitch == 1.0:
        # Which part of the clip fits is unknown: it may be anywhere in it.
        factors = np.array([one.factor for one in tried.scales() if one.kind is Kind.TEMPO])
        anchors = np.linspace(-1.0, 1.0, _ANCHORS) * reader.half_frames
        changed = replace(changed, scale=Scale(Kind.TEMPO, 1.0))
        changed = _at_best(changed, reader, (frame, column), factors, anchors)
    changed = pinpointed(refined(changed, reader, tried, FINE, 2), reader)
    if changed.score < plain.score * _GAIN:
        return None
    return as_candidate(changed, reader, config.peaks)


def _first_impression(
    frame: Float64Array, column: Float64Array, clip_peaks: tuple[Float64Array, Float64Array]
) -> tuple[Scale, bool]:
    """How the pairs of peaks that lie near each other say that a track is played, and whether there
    are enough of them to believe it when nothing seems changed."""
    shift, tempo, pitch, share = 0.0, 1.0, 1.0, 0.0
    inside = np.abs(frame) < np.abs(clip_peaks[0]).max(initial=0.0)
    for reach in _IMPRESSED_WITHIN:
        expected = (frame - shift) / tempo, column * pitch
        stored, own = _pairs_within(expected, clip_peaks, reach)
        share = len(stored) / max(1, int(inside.sum()))
        if len(stored) < _FEWEST_PAIRED:
            break
        paired = (frame[stored], column[stored], clip_peaks[0][own], clip_peaks[1][own])
        in_time, in_pitch = _fit_line(Kind.TEMPO, *paired), _fit_line(Kind.PITCH, *paired)
        shift, tempo, pitch = in_time.shift, in_time.factor, in_pitch.factor
        if max(abs(tempo - 1.0), abs(pitch - 1.0)) < _UNCHANGED:
            is_sure = share >= _MOST_PAIRED or (
                _is_even(frame[inside], frame[stored])
                and _is_tight(clip_peaks[0][own] - frame[stored])
            )
            return Scale(Kind.SPEED, 1.0), is_sure
    if abs(pitch - 1.0) < _UNCHANGED:
        return Scale(Kind.TEMPO, tempo), False
    is_pitch = abs(tempo - 1.0) < 0.5 * abs(pitch - 1.0)
    return Scale(Kind.PITCH if is_pitch else Kind.SPEED, pitch), False


def _is_even(every: Float64Array, paired: Float64Array) -> bool:
    """Whether peaks are paired alike from the clip's beginning to its end."""
    edges = np.quantile(every, [1 / 3, 2 / 3]) if len(every) else np.zeros(2)
    counts = np.bincount(np.searchsorted(edges, every), minlength=3)
    shares = np.bincount(np.searchsorted(edges, paired), minlength=3) / np.maximum(counts, 1)
    share = len(paired) / max(1, len(every))
    return bool(share >= _EVENLY_PAIRED and shares.min() >= _EVEN * share)


def _is_tight(late: Float64Array) -> bool:
    """Whether paired peaks come at the same time, and not anywhere within reach of each other: a
    held tone has a peak wherever one is looked for."""
    near = np.abs(late - np.median(late)) <= _TIGHT_WITHIN
    return bool(near.mean() >= _TIGHT)


def _at_best(
    one: Guess,
    reader: Reader,
    stored: tuple[Float64Array, Float64Array],
    factors: Float64Array,
    anchors: Float64Array,
) -> Guess:
    """The same at the best of some factors, if its place is right at one of some moments of the
    clip (frames from its middle). What is stored: frames from the guess's middle, and bins."""
    factor = np.repeat(factors, len(anchors))
    tempo = np.ones_like(factor) if one.scale.kind is Kind.PITCH else factor
    shift = np.tile(anchors, len(factors)) * (1.0 - tempo)
    frame, column = stored
    score, count = _scores(reader, one.scale.kind, frame - shift[:, None], column, factor)
    top = int(np.argmax(score))
    return replace(
        one,
        middle=one.middle + float(shift[top]),
        scale=replace(one.scale, factor=float(factor[top])),
        score=float(score[top]),
        n_peaks=int(count[top]),
    )


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


def _least_squares(lines: Float64Array, wanted: Float64Array, weight: Float64Array) -> Float64Array:
    """Weighted, for two unknowns: by their normal equations, thirty times as fast as in general."""
    weighed = lines * weight[:, None]
    aim = wanted * weight
    first, second = weighed.T
    a, b, c = first @ first, first @ second, second @ second
    one, two = first @ aim, second @ aim
    rest = a * c - b * b
    if rest <= 1e-9 * a * c:  # they can't be told apart
        return np.asarray(np.linalg.lstsq(weighed, aim, rcond=None)[0], np.float64)
    found: Float64Array = np.array([c * one - b * two, a * two - b * one]) / rest
    return found


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
        found = _least_squares(lines, wanted, weight)
        away = ((lines @ found - wanted) / _ROUNDING) ** 2
        weight = 1.0 / np.sqrt(1.0 + away)
    return _Line(float(found[0]), float(found[1]), float(np.log1p(away).sum()))
