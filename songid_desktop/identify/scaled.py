"""The landmark identifier's second question: does a track of the library play at another speed,
tempo or pitch than it was enrolled with?

Asked only when the plain search found nothing. Some ninety hypotheses have ninety times the chances
to be wrong, so the probability has a curve of its own: rivals are the best of other recordings
*under any hypothesis*, and the curve was fitted on what exactly this search gives for music that is
enrolled and that is not (`songid_desktop.evaluate.fit_scaled`).
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from songid_desktop.identify.answers import moved, shares
from songid_desktop.identify.calibration import RIVALS, drums_alone, logistic
from songid_desktop.landmark import evidence
from songid_desktop.landmark.config import LandmarkConfig
from songid_desktop.landmark.index import Part
from songid_desktop.landmark.match import Clip
from songid_desktop.landmark.scaled import Kind, Scale, ScaleConfig
from songid_desktop.landmark.scaled_evidence import agreement, collect_scaled
from songid_desktop.landmark.scaled_reading import ScaledCandidate
from songid_desktop.landmark.scaled_verify import (
    score_beside,
    score_elsewhere,
    search_scaled,
)
from songid_desktop.paths import resource
from songid_desktop.types import AudioBlock, CancelToken, Evidence, FloatArray, Match

SCORE_UNIT = "standard errors"
_TWINS_AMONG = 6
"""First candidates that are compared with the best one for being the same recording."""
_RIVALRY = 1.5
"""Odds of the first against the best rival, in natural logarithms per standard error of lead."""
_SHARE_ELSEWHERE, _SHARE_BESIDE = 0.6, 0.3
"""Share of its score that a right candidate keeps a little earlier or later, and a little higher or
lower: few keep more."""
_CHANCE_VOTES = 5.0
"""Votes that one wrong place or another gets in any library."""
_TAIL_SAMPLES = 1024
_UNHEARD = {Kind.SPEED: 0.003, Kind.TEMPO: 0.006, Kind.PITCH: 0.003}
"""Changes smaller than this are within what a plain search takes for no change, and not named."""


@dataclass(frozen=True, slots=True)
class ScaledLead:
    """What the probability is computed from.

    Attributes
    ----------
    score : float
        Verification score of the first candidate, at its own factor.
    elsewhere, beside : float
        Mean score of the same track a little earlier and later, and a little higher and lower.
    rivals : tuple of float
        Scores of the next best candidates that are other recordings, each at its own best factor,
        highest first, up to `RIVALS`.
    votes, rival_votes : int
        Hashes that agreed on the first candidate, and at most on any of the rivals.
    clip_s : float
    shared : float
        Share of the first one's peaks that the clip has too.
    """

    score: float
    elsewhere: float
    beside: float
    rivals: tuple[float, ...]
    votes: int
    rival_votes: int
    clip_s: float
    shared: float = 1.0


@dataclass(frozen=True, slots=True)
class ScaledCalibration:
    """A fitted curve.

    Attributes
    ----------
    weights : tuple of float
        One for each of `features`, in order; the last one is the constant.
    typical_rival : (float, float)
        Score of the best wrong candidate in a full library: constant, and per natural logarithm of
        the clip's seconds. Stands in for the rivals that a small library does not have.
    drums : float
        Weight of `calibration.drums_alone`, fitted on looks at the pitch and tempo of the library:
        the same drums at another tempo are the same mistake.
    """

    weights: tuple[float, ...]
    typical_rival: tuple[float, float]
    drums: float = 0.0

    def probability(self, lead: ScaledLead) -> float:
        """Probability, 0 … 1, that the first candidate is what plays."""
        values = self.features(lead)
        total = sum(weight * value for weight, value in zip(self.weights, values, strict=True))
        total += self.drums * drums_alone(lead)
        # Two recordings can't both be what plays: level with the best rival, half is the most.
        return logistic(total) * logistic(_RIVALRY * values[0])

    def features(self, lead: ScaledLead) -> tuple[float, ...]:
        """Lead over the best rival and over the mean of rivals, lead in votes (natural logarithm);
        how much more of the score than usual remains elsewhere, and beside; the clip's length
        (natural logarithm of seconds); and 1.

        No lead is longer than that over the same track elsewhere: a held chord out of another piece
        scores high, but as high a little earlier and later.
        """
        log_s = math.log(max(lead.clip_s, 0.5))
        typical = self.typical_rival[0] + self.typical_rival[1] * log_s
        missing = max(0, RIVALS - len(lead.rivals))
        # The fewer tracks, the fewer chances to be wrong; but one alone is no proof of itself.
        best = max([typical * missing / RIVALS, *lead.rivals[:1]])
        mean = (sum(lead.rivals[:RIVALS]) + missing * typical) / RIVALS
        sharp = max(0.0, lead.score - max(lead.elsewhere, 0.0))
        return (
            min(lead.score - best, sharp),
            min(lead.score - mean, sharp),
            math.log((lead.votes + _CHANCE_VOTES) / (lead.rival_votes + _CHANCE_VOTES)),
            _excess(lead.elsewhere, lead.score, _SHARE_ELSEWHERE),
            _excess(lead.beside, lead.score, _SHARE_BESIDE),
            log_s,
            1.0,
        )


def _excess(other: float, score: float, usual: float) -> float:
    """How far the share of the score that remains goes beyond the usual."""
    return max(0.0, max(other, 0.0) / max(score, 1.0) - usual)


@functools.lru_cache(maxsize=4)
def load(path: Path | None = None) -> ScaledCalibration:
    """The shipped curve, or another file of the same shape."""
    source = path or resource("calibration", "landmark_scaled.json")
    data = json.loads(source.read_text(encoding="utf-8"))
    constant, slope = map(float, data["typical_rival"])
    weights = tuple(map(float, data["weights"]))
    return ScaledCalibration(weights, (constant, slope), float(data["drums"]))


@dataclass(frozen=True, slots=True)
class ScaledRanking:
    """What one stretch of a clip came to.

    Attributes
    ----------
    start_s : float
        Where in the clip the stretch begins.
    clip : Clip
    candidates : list of ScaledCandidate
        Best first, every track once.
    twins : frozenset of int
        Tracks that are the same recording as the first candidate.
    lead : ScaledLead or None
        What the probability was computed from.
    probability : float
        That the first candidate is what plays.
    """

    start_s: float
    clip: Clip
    candidates: list[ScaledCandidate]
    twins: frozenset[int]
    lead: ScaledLead | None
    probability: float


def rank_scaled(
    parts: Sequence[Part],
    clip: Clip,
    config: LandmarkConfig,
    tried: ScaleConfig,
    *,
    clip_s: float,
    start_s: float = 0.0,
    curve: ScaledCalibration | None = None,
    cancel: CancelToken | None = None,
) -> ScaledRanking:
    """Candidates for one analysed stretch of sound, and the first one's probability.

    Raises
    ------
    Cancelled
        When `cancel` was set.
    """
    if clip_s < tried.min_clip_s:
        return ScaledRanking(start_s, clip, [], frozenset(), None, 0.0)
    candidates = search_scaled(parts, clip, config, tried, cancel)
    if not candidates:
        return ScaledRanking(start_s, clip, [], frozenset(), None, 0.0)
    first = candidates[0]
    near = evidence.passages([c.candidate for c in candidates[:_TWINS_AMONG]], clip.n_frames)
    twins = evidence.twins_among(near[0], near[1:], clip.n_frames)
    rivals = [other for other in candidates[1:] if other.track_id not in twins]
    lead = ScaledLead(
        score=first.score,
        elsewhere=score_elsewhere(first, clip, config.peaks),
        beside=score_beside(first, clip, config.peaks),
        rivals=tuple(other.score for other in rivals[:RIVALS]),
        votes=first.candidate.votes,
        rival_votes=max((other.candidate.votes for other in rivals), default=0),
        clip_s=clip_s,
        shared=agreement(first, clip, config),
    )
    probability = (curve or load()).probability(lead)
    return ScaledRanking(start_s, clip, candidates, twins, lead, probability)


def is_noticeable(scale: Scale) -> bool:
    """Whether a change is large enough to be named."""
    return abs(scale.factor - 1.0) >= _UNHEARD[scale.kind]


def in_words(scale: Scale) -> str:
    """How the track is played, to follow "is playing": ``, 4 % faster than in your library``."""
    if not is_noticeable(scale):
        return ""
    per_cent = f"{abs(scale.factor - 1.0) * 100:.1f} %"
    if scale.kind is Kind.SPEED:
        return f", {per_cent} {'faster' if scale.factor > 1 else 'slower'} than in your library"
    if scale.kind is Kind.TEMPO:
        pace = "faster" if scale.factor > 1 else "slower"
        return f", {per_cent} {pace} than in your library at the same pitch"
    step = abs(scale.semitones)
    unit = "semitone" if round(step, 1) == 1.0 else "semitones"
    side = "higher" if scale.factor > 1 else "lower"
    return f", {step:.1f} {unit} {side} than in your library at the same tempo"


def matches(
    ranking: ScaledRanking, top: int, config: LandmarkConfig, tried: ScaleConfig, identifier: str
) -> tuple[Match, ...]:
    """The first candidates as matches."""
    chosen = ranking.candidates[: max(0, top)]
    confidences = shares(ranking.probability, [one.score for one in chosen])
    return tuple(
        Match(
            track_id=one.track_id,
            rank=rank,
            score=one.score,
            score_unit=SCORE_UNIT,
            confidence=confidence,
            offset_s=_offset_s(one, ranking.start_s, config),
            offset_error_s=_offset_error_s(one, config),
            identifier=identifier,
            speed=one.scale.tempo if is_noticeable(one.scale) else None,
            pitch_semitones=one.scale.semitones if is_noticeable(one.scale) else None,
            evidence=_evidence(ranking, one, config, tried),
        )
        for rank, (one, confidence) in enumerate(zip(chosen, confidences, strict=True), start=1)
    )


def _evidence(
    ranking: ScaledRanking, one: ScaledCandidate, config: LandmarkConfig, tried: ScaleConfig
) -> Evidence:
    found = collect_scaled(one, ranking.clip, config, tried)
    if one.track_id in ranking.twins:
        found = replace(found, summary=f"{found.summary}; the same recording as number 1")
    return moved(found, ranking.start_s, one.scale.tempo)


def _offset_s(found: ScaledCandidate, start_s: float, config: LandmarkConfig) -> float:
    """Position in the track of the clip's first sample, for a stretch that begins at `start_s`."""
    return found.candidate.offset_frames * config.peaks.frame_s - start_s * found.scale.tempo


def _offset_error_s(found: ScaledCandidate, config: LandmarkConfig) -> float:
    """Spread of the offset. Stretching time without pitch moves sounds about by itself."""
    aligned = config.peaks.frame_s / 4 * float(np.clip(24.0 / max(found.score, 1.0), 1.0, 8.0))
    return aligned if found.scale.kind is Kind.SPEED else aligned + 0.01


class Pace:
    """Spares a listening session most of the cost: a sound that just came to nothing is not
    searched again before it has gone on for a while.

    It is the same sound only when the samples say so, whatever a block's position is: two files
    both begin at 0.
    """

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._rate = 0
        self._end = 0
        self._tail: FloatArray = np.zeros(0, np.float32)

    def is_due(self, audio: AudioBlock) -> bool:
        """Whether to search: not when `audio` goes on by less than `every_s` from what was last
        searched in vain."""
        newer = audio.start_sample + len(audio.samples) - self._end
        if audio.sample_rate != self._rate or not 0 < newer < self._every_s * self._rate:
            return True
        stop = len(audio.samples) - newer
        there = audio.samples[max(0, stop - len(self._tail)) : stop]
        return not np.array_equal(there, self._tail)

    def came_to_nothing(self, audio: AudioBlock) -> None:
        """Remember a search that found nothing."""
        self._rate = audio.sample_rate
        self._end = audio.start_sample + len(audio.samples)
        self._tail = audio.samples[-_TAIL_SAMPLES:].copy()

    def forget(self) -> None:
        """Search whatever comes next."""
        self._rate = 0
