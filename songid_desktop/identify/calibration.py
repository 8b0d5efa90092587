"""From a ranked list to a probability: how likely the first candidate is the track that plays.

The score itself says little (it grows with the clip's length and cleanness); how far it stands
above the best *other* recording says nearly everything. A logistic curve over that lead and a few
companions was fitted on tracks, noise and rooms that nothing else was tuned or judged on; its
numbers, and where they come from, are shipped as data (`songid_desktop.evaluate.fit_calibration`
makes them).
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


@dataclass(frozen=True, slots=True)
class Lead:
    """What the probability is computed from.

    Attributes
    ----------
    score : float
        Verification score of the first candidate.
    runner_up : float
        The same of the best candidate that is another recording; 0 if there is none.
    votes, runner_up_votes : int
        Hashes that agree on the offset.
    clip_s : float
    """

    score: float
    runner_up: float
    votes: int
    runner_up_votes: int
    clip_s: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """A fitted curve.

    Attributes
    ----------
    weights : tuple of float
        One for each of `features`, in order; the last one is the constant.
    least_runner_up : float
        The runner-up's score is taken to be at least this: in a small library there may be no
        other candidate worth the name, which is no reason to be surer.
    """

    weights: tuple[float, ...]
    least_runner_up: float

    def probability(self, lead: Lead) -> float:
        """Probability, 0 … 1, that the first candidate is what plays."""
        total = sum(
            weight * value for weight, value in zip(self.weights, self.features(lead), strict=True)
        )
        return 1.0 / (1.0 + math.exp(-max(-60.0, min(60.0, total))))

    def features(self, lead: Lead) -> tuple[float, ...]:
        """Lead in score, lead in votes (compressed), length of the clip, and 1."""
        runner_up = max(lead.runner_up, self.least_runner_up)
        return (
            lead.score - runner_up,
            math.log1p(max(0, lead.votes)) - math.log1p(max(0, lead.runner_up_votes)),
            math.log(max(lead.clip_s, 0.5)),
            1.0,
        )


@functools.lru_cache(maxsize=4)
def load(path: Path | None = None) -> Calibration:
    """The shipped calibration of the landmark identifier, or another file of the same shape."""
    source = path or resource("calibration", "landmark.json")
    data = json.loads(source.read_text(encoding="utf-8"))
    return Calibration(tuple(map(float, data["weights"])), float(data["least_runner_up"]))
