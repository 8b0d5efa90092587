"""Finding tracks that are played faster or slower, or higher or lower, than they were enrolled.

A clip's peaks are found once, to a fraction of a bin and of a frame. Each hypothesis about how the
track is played only moves them: to where they would lie if the track were played as it is. So a
hypothesis costs one look-up of a few hundred hashes and no spectrum. What gathers votes under any
of them is verified the other way round (`scaled_verify`): the track's stored peaks are moved to
where the clip should show them, and its spectrogram is read there.

This is the second question, asked when the plain search found nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from songid_desktop.errors import Cancelled
from songid_desktop.landmark.config import LandmarkConfig
from songid_desktop.landmark.hashes import hash_pairs, pair_peaks
from songid_desktop.landmark.index import Part
from songid_desktop.landmark.match import Clip
from songid_desktop.types import CancelToken, FloatArray

IntArray = npt.NDArray[np.int64]
Int32Array = npt.NDArray[np.int32]
Float64Array = npt.NDArray[np.float64]
U32Array = npt.NDArray[np.uint32]

_WINDOW_FRAMES = 2
"""Votes within this many frames of each other are votes for the same place."""
_FEWEST_VOTES = 3
_KEPT_PLACES = 200
"""Of one hypothesis and part: a few times what is verified of all."""
_PRICE_STEPS = 8.0
_RANK_SCALE = 16.0
"""A true hash is rarer by the factor e for so many stronger peaks beside its own (see `lookup`)."""
_DRAWN_HITS = 100_000
_LOOK_EVERY = 8
"""Hypotheses between two looks at the cancel token."""


class Kind(StrEnum):
    """How a track can be played otherwise than it was enrolled."""

    SPEED = "speed"
    TEMPO = "tempo"
    PITCH = "pitch"


@dataclass(frozen=True, slots=True)
class Scale:
    """How a track is played.

    Attributes
    ----------
    kind : Kind
    factor : float
        1.04 is 4 % faster, or higher, or both.
    """

    kind: Kind
    factor: float

    @property
    def tempo(self) -> float:
        """Seconds of the track that pass in one second of the clip."""
        return 1.0 if self.kind is Kind.PITCH else self.factor

    @property
    def pitch(self) -> float:
        """Frequency in the clip of what is 1 Hz in the track."""
        return 1.0 if self.kind is Kind.TEMPO else self.factor

    @property
    def semitones(self) -> float:
        """How much higher the clip sounds."""
        return 12.0 * math.log2(self.pitch)


@dataclass(frozen=True, slots=True)
class ScaleConfig:
    """What is tried, and at what cost."""

    speed_reach: float = 0.08
    tempo_reach: float = 0.08
    pitch_reach: float = 0.064
    """Factors up to 1 ± this are tried: a turntable's slider goes to 8 %, a semitone is 5.9 %."""
    step: float = 0.004
    """Between factors that move frequencies. In the middle between two, a third to a half of the
    hashes still fit that fit right on one (30 tracks, clips of 5 s)."""
    tempo_step: float = 0.008
    """Between factors that move times only, which hashes hardly notice."""
    density_hz: float = 20.0
    """Peaks a second of the clip that are paired: the strongest."""
    fan: int = 8
    pairs: int = 3000
    """Of the whole clip at most."""
    hits: int = 400_000
    """Postings looked at over all factors for any clip …"""
    hits_per_s: int = 60_000
    """… and for each second of it; the commonest hashes are left out. This bounds the time of a
    search whatever the library's size."""
    candidates: int = 150
    """(track, place, factor) with most votes that are verified …"""
    finalists: int = 48
    """… and those of them, each track once, whose factor and place are refined."""
    min_clip_s: float = 3.0
    every_s: float = 1.0
    """In a listening session, sound that came to nothing is searched again after this much more."""

    def scales(self) -> tuple[Scale, ...]:
        """Every hypothesis but the one that nothing was changed."""
        return (
            *_ladder(Kind.SPEED, self.speed_reach, self.step),
            *_ladder(Kind.TEMPO, self.tempo_reach, self.tempo_step),
            *_ladder(Kind.PITCH, self.pitch_reach, self.step),
        )

    def budget(self, clip_s: float) -> int:
        """Postings looked at for a clip of this length."""
        return int(self.hits + self.hits_per_s * clip_s)

    def step_of(self, kind: Kind) -> float:
        return self.tempo_step if kind is Kind.TEMPO else self.step


def _ladder(kind: Kind, reach: float, step: float) -> list[Scale]:
    count = round(reach / step)
    return [Scale(kind, 1.0 + n * step) for n in range(-count, count + 1) if n]


@dataclass(frozen=True, slots=True)
class Places:
    """Where on a part's line the clip's middle may fall, under which hypothesis (its number), with
    how many votes; shape (n,) each."""

    part: Part
    middle: IntArray
    scale: IntArray
    votes: IntArray


def middle_frame(clip: Clip) -> float:
    """Half a clip, in frames. Places are counted at a clip's middle, because there a small error
    of the factor matters least."""
    return len(clip.height) / clip.steps_per_frame / 2.0


def find_places(
    parts: Sequence[Part],
    clip: Clip,
    config: LandmarkConfig,
    tried: ScaleConfig,
    cancel: CancelToken | None = None,
) -> list[Places]:
    """The places with most votes under any hypothesis, `tried.candidates` or a few more in all.

    Raises
    ------
    Cancelled
        When `cancel` was set.
    """
    scales = tried.scales()
    pairs = _strong_pairs(clip, config, tried)
    budget = tried.budget(clip.n_frames * config.peaks.frame_s)
    wanted = _affordable(parts, _scaled_keys(pairs, scales, config), pairs, budget)
    found = [_vote(postings, pairs, scales, cancel) for postings in wanted]
    every = np.concatenate([np.zeros(0, np.int64), *(places.votes for places in found)])
    if len(every) > tried.candidates:
        least = int(np.partition(every, -tried.candidates)[-tried.candidates])
        found = [_with_votes(places, least, 2 * tried.candidates) for places in found]
    return [places for places in found if len(places.middle)]


def look_at(cancel: CancelToken | None) -> None:
    """Raise `Cancelled` when the token was set."""
    if cancel is not None and cancel.is_set():
        raise Cancelled


# -- hashes ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Pairs of the clip's strong peaks, where they lie to a fraction: bins, and frames from the
    clip's middle; and how many of the clip's peaks are stronger in the same second, for both
    ends together. Shape (p,) each."""

    anchor_bin: Float64Array
    target_bin: Float64Array
    anchor_frame: Float64Array
    target_frame: Float64Array
    rank: IntArray


@dataclass(frozen=True, slots=True)
class _Keys:
    """Hashes of all hypotheses, one after the other: the hash, the pair it is of, and the number
    of its hypothesis. Shape (k,) each."""

    key: U32Array
    pair: IntArray
    scale: IntArray


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Postings of one part to look at: of each chosen hash the first one, how many, the pair the
    hash is of, and the number of its hypothesis. Shape (k,) each."""

    part: Part
    first: IntArray
    count: IntArray
    pair: IntArray
    scale: IntArray


def _strong_pairs(clip: Clip, config: LandmarkConfig, tried: ScaleConfig) -> _Pairs:
    """Pairs of the strongest peaks of each second, on the first frame phase."""
    peaks = clip.peaks[0]
    second = (peaks.frame * config.peaks.frame_s).astype(np.int64)
    order = np.lexsort((-peaks.height, second))
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order)) - np.searchsorted(second[order], second[order])
    strong = np.flatnonzero(rank < tried.density_hz)
    frame, column, rank = peaks.frame[strong], peaks.bin[strong], rank[strong]
    anchor, target = pair_peaks(frame, column, config.hashes, tried.fan)
    if len(anchor) > tried.pairs:
        some = np.linspace(0, len(anchor) - 1, tried.pairs).astype(np.int64)
        anchor, target = anchor[some], target[some]
    # In the order of their hashes, which scaling hardly disturbs: look-ups then read memory in one
    # direction.
    order = np.lexsort((column[target], column[anchor]))
    anchor, target = anchor[order], target[order]
    exact_frame, exact_bin = exact_places(clip, frame, column)
    exact_frame -= middle_frame(clip)
    return _Pairs(
        anchor_bin=exact_bin[anchor],
        target_bin=exact_bin[target],
        anchor_frame=exact_frame[anchor],
        target_frame=exact_frame[target],
        rank=rank[anchor] + rank[target],
    )


def exact_places(
    clip: Clip, frame: IntArray, column: IntArray
) -> tuple[Float64Array, Float64Array]:
    """Frame and bin of peaks of the first phase to a fraction, by parabolas."""
    height = clip.height
    rows, columns = height.shape
    row = frame * clip.steps_per_frame
    at = column - clip.low_bin
    top = height[row, at]
    lower, upper = height[row, np.maximum(at - 1, 0)], height[row, np.minimum(at + 1, columns - 1)]
    before, after = height[np.maximum(row - 1, 0), at], height[np.minimum(row + 1, rows - 1), at]
    exact_row = row + _vertex(before, top, after)
    return exact_row / clip.steps_per_frame, column + _vertex(lower, top, upper)


def _vertex(left: FloatArray, middle: FloatArray, right: FloatArray) -> Float64Array:
    """Where the parabola through three points peaks, at most half a step from the middle one."""
    bend = (left - 2.0 * middle + right).astype(np.float64)
    usable = bend < -1e-6
    vertex = 0.5 * (left - right) / np.where(usable, bend, 1.0)
    return np.asarray(np.where(usable, np.clip(vertex, -0.5, 0.5), 0.0), np.float64)


def _scaled_keys(pairs: _Pairs, scales: Sequence[Scale], config: LandmarkConfig) -> _Keys:
    """The hashes that the track would have, for each hypothesis about how it is played."""
    tempo = np.array([[scale.tempo] for scale in scales])
    pitch = np.array([[scale.pitch] for scale in scales])
    anchor = np.rint(pairs.anchor_bin / pitch).astype(np.int64)
    target = np.rint(pairs.target_bin / pitch).astype(np.int64)
    step = np.rint((pairs.target_frame - pairs.anchor_frame) * tempo).astype(np.int64)
    low, high = np.minimum(anchor, target), np.maximum(anchor, target)
    possible = (low >= config.peaks.low_bin) & (high < config.peaks.high_bin)
    possible &= high - low <= config.hashes.max_bins
    possible &= (step >= config.hashes.min_frames) & (step <= config.hashes.max_frames)
    number, pair = np.nonzero(possible)
    count = np.arange(len(pair))
    frame = np.concatenate([np.zeros(len(pair), np.int64), step[possible]])
    column = np.concatenate([anchor[possible], target[possible]])
    key = hash_pairs(frame, column, count, count + len(pair))
    return _Keys(key, pair, number)


def _affordable(parts: Sequence[Part], keys: _Keys, pairs: _Pairs, hits: int) -> list[_Wanted]:
    """The postings that are most worth looking at, as many as the budget allows: those of rare
    hashes, of strong peaks."""
    ranges = [part.segment.buckets(keys.key) for part in parts]
    counts = [high - low for low, high in ranges]
    cost = np.sum(counts, axis=0, dtype=np.int64) if counts else np.zeros(len(keys.key), np.int64)
    keep = cost > 0
    if cost.sum() > hits:
        price = np.log(cost + 0.3) + pairs.rank[keys.pair] / _RANK_SCALE
        # Hashes of one price step stay or go together, so that their order plays no part.
        step = (price * _PRICE_STEPS).astype(np.int64)
        step -= step.min()
        spent = np.cumsum(np.bincount(step, cost))
        keep &= step < int(np.searchsorted(spent, hits, side="right"))
    return [
        _Wanted(part, low[keep], count[keep], keys.pair[keep], keys.scale[keep])
        for part, (low, _), count in zip(parts, ranges, counts, strict=True)
    ]


# -- votes ----------------------------------------------------------------------------------------


def _vote(
    wanted: _Wanted, pairs: _Pairs, scales: Sequence[Scale], cancel: CancelToken | None
) -> Places:
    """Places of one part that have most votes under each hypothesis."""
    bounds = np.searchsorted(wanted.scale, np.arange(len(scales) + 1)).tolist()
    middles, numbers, counts = [], [], []
    for number, scale in enumerate(scales):
        if number % _LOOK_EVERY == 0:
            look_at(cancel)
        own = slice(bounds[number], bounds[number + 1])
        middle, count = _crowded(_places_voted(wanted, own, pairs, scale))
        middles.append(middle)
        numbers.append(np.full(len(middle), number))
        counts.append(count)
    joined = (np.concatenate(each) for each in (middles, numbers, counts))
    return Places(wanted.part, *joined)


def _places_voted(wanted: _Wanted, own: slice, pairs: _Pairs, scale: Scale) -> IntArray:
    """Where each posting of one hypothesis puts the clip's middle."""
    frame = wanted.part.segment.frames_at(wanted.first[own], wanted.count[own])
    from_middle = np.rint(pairs.anchor_frame[wanted.pair[own]] * scale.tempo).astype(np.int64)
    return frame.astype(np.int64) - np.repeat(from_middle, wanted.count[own])


def votes_around(
    part: Part,
    clip: Clip,
    scale: Scale,
    *,
    middle: int,
    reach: int,
    config: LandmarkConfig,
    tried: ScaleConfig,
) -> IntArray:
    """Votes of one hypothesis for each frame from ``middle - reach`` to ``middle + reach``, for
    drawing."""
    pairs = _strong_pairs(clip, config, tried)
    keys = _scaled_keys(pairs, [scale], config)
    wanted = _affordable([part], keys, pairs, _DRAWN_HITS)[0]
    place = _places_voted(wanted, slice(None), pairs, scale) - (middle - reach)
    near = place[(place >= 0) & (place <= 2 * reach)]
    return np.bincount(near, minlength=2 * reach + 1)


def _crowded(place: IntArray) -> tuple[IntArray, IntArray]:
    """The few places where most votes fall together, and how many do."""
    place = np.sort(place)
    least, chosen = _FEWEST_VOTES, np.zeros(0, np.int64)
    while len(place) >= least:
        spread = place[least - 1 :] - place[: len(place) - least + 1]
        together = np.flatnonzero(spread <= _WINDOW_FRAMES)
        if not len(together):
            break
        chosen = together
        if len(chosen) <= _KEPT_PLACES:
            break
        least += max(1, least // 3)
    count = np.searchsorted(place, place[chosen] + _WINDOW_FRAMES, side="right") - chosen
    # Windows that overlap are one place: the fullest of them.
    order = np.argsort(-count, kind="stable")
    chosen, count = chosen[order], count[order]
    middle = place[chosen + count // 2]
    _, first = np.unique(middle // (2 * _WINDOW_FRAMES), return_index=True)
    return middle[first], count[first]


def _with_votes(places: Places, least: int, most: int) -> Places:
    """Those with at least `least` votes, the `most` best of them."""
    keep = np.flatnonzero(places.votes >= least)
    keep = keep[np.argsort(-places.votes[keep], kind="stable")[:most]]
    return Places(places.part, places.middle[keep], places.scale[keep], places.votes[keep])
