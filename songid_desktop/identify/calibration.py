"""From a ranked list to a probability: how likely the first candidate is the track that plays.

The score itself says little: it grows with the clip's length and cleanness, and music alike in key
and metre scores too. How far it stands above *other* recordings, and above the same track a little
earlier and later, says nearly everything. A logistic curve over these leads was fitted on tracks,
noise and rooms that nothing else was tuned or judged on; its numbers, and where they come from, are
shipped as data (`songid_desktop.evaluate.fit_calibration` makes them).
"""

from __future__ import annotations

import functools
import json
import math
from dataclasses import dataclass
from pathlib import Path

from songid_desktop.paths import resource

MATCH_AT = 0.9
"""Probability from which the first candidate is answered as a match."""
UNSURE_AT = 0.5
"""Probability from which it is named as a possibility."""


_RIVALRY = 1.5
"""Odds of the first against the best rival, in natural logarithms per standard error of lead."""
_SHARE_ELSEWHERE, _SHARE_BESIDE = 0.6, 0.3
"""Share of its score that a right candidate keeps a little earlier or later, and a little higher or
lower: one of twenty keeps more, under all conditions of the fit."""
RIVALS = 30
"""Other recordings that the first one is compared with."""


@dataclass(frozen=True, slots=True)
class Lead:
    """What the probability is computed from.

    Attributes
    ----------
    score : float
        Verification score of the first candidate.
    elsewhere : float
        Mean score of the same track a little earlier and later: high where clip and track merely
        share their notes.
    beside : float
        Mean score of the same track at the same time a little higher and lower in pitch: high where
        clicks or drums merely keep the same time.
    rivals : tuple of float
        Scores of the next best candidates that are other recordings, highest first, up to
        `RIVALS`.
    clip_s : float
    """

    score: float
    elsewhere: float
    beside: float
    rivals: tuple[float, ...]
    clip_s: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """A fitted curve.

    Attributes
    ----------
    weights : tuple of float
        One for each of `features`, in order; the last one is the constant.
    typical_rival : (float, float)
        Score of the best wrong candidate in a full library: constant, and per natural logarithm of
        the clip's seconds. Stands in for the rivals that a small library does not have; having
        none is no reason to be surer.
    """

    weights: tuple[float, ...]
    typical_rival: tuple[float, float]

    def probability(self, lead: Lead) -> float:
        """Probability, 0 … 1, that the first candidate is what plays."""
        values = self.features(lead)
        total = sum(weight * value for weight, value in zip(self.weights, values, strict=True))
        # Two recordings can't both be what plays: level with the best rival, half is the most.
        return _logistic(total) * _logistic(_RIVALRY * values[0])

    def features(self, lead: Lead) -> tuple[float, ...]:
        """Lead over the best rival, over the mean of rivals, over half of what the track scores
        elsewhere; how much of the score remains elsewhere, and beside; the clip's length (natural
        logarithm of seconds); and 1."""
        log_s = math.log(max(lead.clip_s, 0.5))
        typical = self.typical_rival[0] + self.typical_rival[1] * log_s
        missing = max(0, RIVALS - len(lead.rivals))
        best = max(lead.rivals[:1], default=0.0)
        # The fewer tracks, the fewer chances to be wrong; but one alone is no proof of itself.
        best = max(best, typical * missing / RIVALS)
        mean = (sum(lead.rivals[:RIVALS]) + missing * typical) / RIVALS
        return (
            lead.score - best,
            lead.score - mean,
            lead.score - 0.5 * max(lead.elsewhere, 0.0),
            _excess(lead.elsewhere, lead.score, _SHARE_ELSEWHERE),
            _excess(lead.beside, lead.score, _SHARE_BESIDE),
            log_s,
            1.0,
        )


def _excess(other: float, score: float, usual: float) -> float:
    """How far the share of the score that remains goes beyond the usual."""
    return max(0.0, max(other, 0.0) / max(score, 1.0) - usual)


def _logistic(value: float) -> float:
    return 1.0 / (1.0 + math.exp(-max(-60.0, min(60.0, value))))


@functools.lru_cache(maxsize=4)
def load(path: Path | None = None) -> Calibration:
    """The shipped calibration of the landmark identifier, or another file of the same shape."""
    source = path or resource("calibration", "landmark.json")
    data = json.loads(source.read_text(encoding="utf-8"))
    constant, slope = map(float, data["typical_rival"])
    return Calibration(tuple(map(float, data["weights"])), (constant, slope))
