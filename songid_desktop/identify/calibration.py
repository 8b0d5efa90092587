"""From a ranked list to a probability: how likely the first candidate is the track that plays.

The score itself says little: it grows with the clip's length and cleanness, and music alike in key
and metre scores too. How far it stands above *other* recordings, and above the same track a little
earlier and later, says nearly everything; the hashes that voted for it are a witness of their own.
Boosted trees over these were fitted on tracks, noise and rooms that nothing is judged on; their
numbers, and where they come from, are shipped as data (`songid_desktop.evaluate.fit_calibration`
makes them). A logistic curve over the same had to choose between drums that two pieces share and
percussive music in a room: which of the two it is shows in several signs together.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from songid_desktop.paths import resource

MATCH_AT = 0.9
"""Probability from which the first candidate is answered as a match."""
UNSURE_AT = 0.5
"""Probability from which it is named as a possibility."""


_RIVALRY = 1.5
"""Odds of the first against the best rival, in natural logarithms per standard error of lead …"""
_VOTE_RIVALRY = 2.0
"""… and per natural logarithm of votes more than any other track's."""
_CHANCE_VOTES = 5.0
"""Votes that one wrong place or another gets in any library."""
_DRUMMING = 0.15
"""Share of its score that a recording with tones in it seldom keeps at other pitches."""
_ALL_SHARED = 0.9
"""Share of its peaks that a track has in common with its own clean clip."""
_MUCH_SHARED = 0.4
"""Share of its peaks that a wrong track seldom has in common with the clip."""
SUREST = 0.9999
"""No more than this is ever said: the clips it was fitted on can't tell more."""
SHORT_S = 2.0
"""A shorter clip may hold no more than a chord or a bar of drums that other music has too."""
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
    votes : int
        Hashes that agree on the first candidate's place, or on any other place of its track where
        there are more: music that repeats itself has votes for every repeat.
    other_votes : int
        Most of them for any place of any other recording.
    shared : float
        Share of the first one's peaks that the clip has too.
    rival_shared : float
        The same of the best rival.
    """

    score: float
    elsewhere: float
    beside: float
    rivals: tuple[float, ...]
    clip_s: float
    votes: int = 0
    other_votes: int = 0
    shared: float = 0.0
    rival_shared: float = 0.0


Node: TypeAlias = float | tuple[int, float, "Node", "Node"]
"""A leaf's logits; or a feature's number, a threshold, the node where the feature is no greater,
and the one where it is."""


def leaf_of(node: Node, features: Sequence[float]) -> float:
    """What a tree says of some features, in logits."""
    while not isinstance(node, float):
        feature, threshold, below, above = node
        node = below if features[feature] <= threshold else above
    return node


@dataclass(frozen=True, slots=True)
class Calibration:
    """A fitted sum of trees. None of them lets a feature speak against its meaning (`SIGNS`).

    Attributes
    ----------
    start : float
        Logits before any tree.
    trees : tuple of Node
    typical_rival : (float, float)
        Score of the best wrong candidate in a full library: constant, and per natural logarithm of
        the clip's seconds. Stands in for the rivals that a small library does not have; having
        none is no reason to be surer.
    """

    start: float
    trees: tuple[Node, ...]
    typical_rival: tuple[float, float]

    def probability(self, lead: Lead) -> float:
        """Probability, 0 … 1, that the first candidate is what plays."""
        values = self.features(lead)
        total = self.start + sum(leaf_of(tree, values) for tree in self.trees)
        # Two recordings can't both be what plays: level with the best rival, half is the most.
        ahead = _RIVALRY * (lead.score - self._best_rival(lead))
        ahead += _VOTE_RIVALRY * max(0.0, _vote_lead(lead))
        return min(SUREST, logistic(total) * logistic(ahead))

    def _typical(self, lead: Lead) -> float:
        """Best rival to expect in a full library."""
        return self.typical_rival[0] + self.typical_rival[1] * _log_s(lead)

    def _best_rival(self, lead: Lead) -> float:
        # The fewer tracks, the fewer chances to be wrong; but one alone is no proof of itself.
        missing = max(0, RIVALS - len(lead.rivals))
        return max(max(lead.rivals[:1], default=0.0), self._typical(lead) * missing / RIVALS)

    def features(self, lead: Lead) -> tuple[float, ...]:
        """Lead over the best rival, over what the track scores elsewhere, over the mean of rivals,
        and the votes, all as logarithms; the lead as a share of the score; the shares of the score
        that remain elsewhere and beside; the clip's length (natural logarithm of seconds), how
        much it falls short of `SHORT_S`, the length times the lead's share; the lead in votes
        (natural logarithm), that where it is a lead, and its square; the share of common peaks,
        how far it goes beyond `_MUCH_SHARED`, and beyond the best rival's; the lead's share times
        what does not remain elsewhere; the score, how far it stands above what remains beside and
        elsewhere, and above the best rival, over the square root of the length, as all of these
        grow; and `drums_alone`."""
        missing = max(0, RIVALS - len(lead.rivals))
        best = self._best_rival(lead)
        mean = (sum(lead.rivals[:RIVALS]) + missing * self._typical(lead)) / RIVALS
        scale = max(lead.score, 1.0)
        share = max(-1.0, (lead.score - best) / scale)
        log_s = _log_s(lead)
        vote_lead = _vote_lead(lead)
        root = math.sqrt(max(lead.clip_s, 1.0))
        return (
            _compressed(lead.score - best),
            _compressed(lead.score - max(lead.elsewhere, 0.0)),
            _compressed(lead.score - mean),
            _compressed(float(lead.votes)),
            share,
            max(lead.elsewhere, 0.0) / scale,
            max(lead.beside, 0.0) / scale,
            log_s,
            max(0.0, math.log(SHORT_S) - log_s),
            share * max(0.0, log_s),
            vote_lead,
            max(0.0, vote_lead),
            max(0.0, vote_lead) ** 2,
            lead.shared,
            max(0.0, lead.shared - _MUCH_SHARED),
            max(0.0, lead.shared - lead.rival_shared),
            max(0.0, share) * max(0.0, 1.0 - max(lead.elsewhere, 0.0) / scale),
            lead.score / root,
            (lead.score - max(lead.beside, 0.0)) / root,
            (lead.score - max(lead.elsewhere, 0.0)) / root,
            (lead.score - best) / root,
            drums_alone(lead),
        )


SIGNS = (1, 1, 1, 1, 1, -1, -1, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1)
"""Which way each feature may speak: a longer lead never against a match."""


class _Fitting(Protocol):
    """What any of the two curves is given."""

    @property
    def score(self) -> float: ...
    @property
    def beside(self) -> float: ...
    @property
    def shared(self) -> float: ...


def drums_alone(lead: _Fitting) -> float:
    """How much it looks as if clip and track had their drums in common and nothing else, 0 … 1:
    what fits does so at other pitches too, and much of the track is not in the clip. Loops of drums
    are sold, and used in more than one piece."""
    beside = max(lead.beside, 0.0) / max(lead.score, 1.0)
    return max(0.0, beside - _DRUMMING) * max(0.0, _ALL_SHARED - lead.shared)


def _vote_lead(lead: Lead) -> float:
    return math.log((lead.votes + _CHANCE_VOTES) / (lead.other_votes + _CHANCE_VOTES))


def _log_s(lead: Lead) -> float:
    return math.log(max(lead.clip_s, 0.5))


def _compressed(value: float) -> float:
    """Logarithm that goes through zero, so that nothing large outweighs everything else."""
    return math.copysign(math.log1p(abs(value)), value)


def logistic(value: float) -> float:
    """Probability of odds given in natural logarithms."""
    return 1.0 / (1.0 + math.exp(-max(-60.0, min(60.0, value))))


@functools.lru_cache(maxsize=4)
def load(path: Path | None = None) -> Calibration:
    """The shipped calibration of the landmark identifier, or another file of the same shape."""
    source = path or resource("calibration", "landmark.json")
    data = json.loads(source.read_text(encoding="utf-8"))
    constant, slope = map(float, data["typical_rival"])
    trees = tuple(_node(tree) for tree in data["trees"])
    return Calibration(float(data["start"]), trees, (constant, slope))


def _node(stored: Any) -> Node:
    if isinstance(stored, list):
        feature, threshold, below, above = stored
        return int(feature), float(threshold), _node(below), _node(above)
    return float(stored)
