"""From a learned identifier's ranked list to a probability: how likely the first candidate is the
track that plays.

The cosine itself is no confidence: noise lowers it for the right track and for all others alike.
How far it stands above *other* recordings, and above the same track a little earlier and later,
says nearly everything. A logistic curve over these was fitted for each shipped model on tracks,
noise and rooms that nothing is judged on; its numbers are shipped as data
(`songid_desktop.evaluate.fit_neural` makes them). A model that no curve was fitted for (of the
user's own, or a published checkpoint) names a track as a possibility at most.
"""

from __future__ import annotations

import functools
import json
import math
import statistics
from dataclasses import dataclass
from pathlib import Path

from songid_desktop.identify.calibration import MATCH_AT
from songid_desktop.paths import resource

UNIT = 0.03
"""Cosine that is much of a lead."""
SUREST = 0.9999
"""No more than this is ever said: the clips it was fitted on can't tell more."""
RIVALS = 30
"""Other recordings that the first one is compared with."""
SHORT_S = 2.0
_RIVALRY = 1.5
"""Odds of the first against the best rival, in natural logarithms per `UNIT` of lead."""
_TWIN_LIKENESS = 0.75
"""Of one recording shifted against the hops, with noise 20 dB below it: 0.83 and more; of other
recordings 0.26 at most (8 tracks, CNN)."""
_TRANSPOSED_ODDS = 10.0
"""How many times less likely than "as enrolled" a change of pitch is beforehand. It also pays for
asking twice more: the curve was fitted on one question a clip."""
_UNFITTED_Z = 6.0
"""Standing of the first above the rivals, in their standard deviations, from which a model without
a curve names a track."""


@dataclass(frozen=True, slots=True)
class Lead:
    """What the probability is computed from.

    Attributes
    ----------
    score : float
        Mean cosine of the first candidate.
    elsewhere : float
        Mean score of the same track a little earlier and later.
    rivals : tuple of float
        Scores of the next best candidates that are other recordings, highest first, up to
        `RIVALS`.
    clip_s : float
    inside : float
        Share of the clip that lies inside the track.
    """

    score: float
    elsewhere: float
    rivals: tuple[float, ...]
    clip_s: float
    inside: float = 1.0


@dataclass(frozen=True, slots=True)
class NeuralCalibration:
    """A fitted curve.

    Attributes
    ----------
    weights : tuple of float
        One for each of `features`, in order; the last one is the constant. Empty where none was
        fitted.
    typical_rival : (float, float, float)
        Score of the best wrong candidate in a full library: constant, and per natural logarithm of
        the clip's seconds; and how far above the mean of the rivals it stands. Stands in for the
        rivals that a small library does not have.
    twin_likeness : float
        Mean cosine of the stored vectors of two tracks from which they are the same recording.
    """

    weights: tuple[float, ...]
    typical_rival: tuple[float, float, float]
    twin_likeness: float = _TWIN_LIKENESS

    def probability(self, lead: Lead) -> float:
        """Probability, 0 … 1, that the first candidate is what plays."""
        if not self.weights:
            return _unfitted(lead)
        values = self.features(lead)
        total = sum(weight * value for weight, value in zip(self.weights, values, strict=True))
        # Two recordings can't both be what plays: level with the best rival, half is the most.
        said = _logistic(total) * _logistic(_RIVALRY * (lead.score - self._best(lead)) / UNIT)
        return min(SUREST, said)

    def features(self, lead: Lead) -> tuple[float, ...]:
        """Lead over the best rival, over the mean of rivals, over what the track scores elsewhere,
        in units and as logarithms; the lead over the mean in deviations of the rivals; the score;
        the lead over the best times the clip's length; how much the clip falls short of `SHORT_S`
        (natural logarithm); the share outside the track; and 1."""
        best, mean, spread = self._best(lead), self._mean(lead), self._spread(lead)
        log_s = math.log(max(lead.clip_s, 0.5))
        gap = _compressed((lead.score - best) / UNIT)
        return (
            gap,
            _compressed((lead.score - mean) / UNIT),
            _compressed((lead.score - lead.elsewhere) / UNIT),
            _compressed((lead.score - mean) / spread),
            lead.score,
            gap * max(0.0, log_s),
            max(0.0, math.log(SHORT_S) - log_s),
            1.0 - lead.inside,
            1.0,
        )

    def _typical(self, lead: Lead) -> float:
        """Best rival to expect in a full library."""
        constant, slope, _ = self.typical_rival
        return constant + slope * math.log(max(lead.clip_s, 0.5))

    def _best(self, lead: Lead) -> float:
        # The fewer tracks, the fewer chances to be wrong; but one alone is no proof of itself.
        known = min(1.0, len(lead.rivals) / RIVALS)
        highest = max(lead.rivals[:1], default=self._typical(lead))
        return max(highest, known * highest + (1.0 - known) * self._typical(lead))

    def _mean(self, lead: Lead) -> float:
        rivals = lead.rivals[:RIVALS]
        typical = self._typical(lead) - self.typical_rival[2]
        return (sum(rivals) + (RIVALS - len(rivals)) * typical) / RIVALS

    def _spread(self, lead: Lead) -> float:
        rivals = lead.rivals[:RIVALS]
        own = statistics.pstdev(rivals) if len(rivals) >= RIVALS // 2 else 0.0
        return max(own, 0.25 * self.typical_rival[2], 0.2 * UNIT)


def transposed(probability: float) -> float:
    """Probability of a track that was looked for at another pitch, from what the curve says of its
    lead."""
    return probability / (probability + _TRANSPOSED_ODDS * (1.0 - probability))


SIGNS = (1, 1, 1, 1, 1, 1, -1, -1, 0)
"""Which way each feature may speak: a longer lead never against a match."""


def _unfitted(lead: Lead) -> float:
    if len(lead.rivals) < RIVALS // 2:
        return 0.0
    spread = max(statistics.pstdev(lead.rivals), 1e-3)
    above = (lead.score - statistics.fmean(lead.rivals)) / spread
    clear = (lead.score - lead.rivals[0]) / spread
    said = _logistic(above - _UNFITTED_Z) * _logistic(2.0 * (clear - 1.0))
    return min(MATCH_AT - 0.01, said)


def _compressed(value: float) -> float:
    """Logarithm that goes through zero, so that nothing large outweighs everything else."""
    return math.copysign(math.log1p(abs(value)), value)


def _logistic(value: float) -> float:
    return 1.0 / (1.0 + math.exp(-max(-60.0, min(60.0, value))))


UNFITTED = NeuralCalibration((), (0.0, 0.0, 0.0))


@functools.lru_cache(maxsize=8)
def load(name: str, path: Path | None = None) -> NeuralCalibration:
    """The shipped calibration of a learned identifier, or another file of the same shape; one that
    was never fitted where there is none."""
    source = path or resource("calibration", f"{name}.json")
    if not source.is_file():
        return UNFITTED
    data = json.loads(source.read_text(encoding="utf-8"))
    constant, slope, above = map(float, data["typical_rival"])
    return NeuralCalibration(
        tuple(map(float, data["weights"])),
        (constant, slope, above),
        float(data.get("twin_likeness", _TWIN_LIKENESS)),
    )
