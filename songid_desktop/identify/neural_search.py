"""What one stretch of a clip comes to for a learned identifier: candidates, twins, probability,
and the answer with its evidence.

Everything here needs the vector search (FAISS), so it is imported when a library is opened, not
before.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np

from songid_desktop.identify.answers import judged, shares
from songid_desktop.identify.neural_calibration import (
    RIVALS,
    UNIT,
    Lead,
    NeuralCalibration,
    transposed,
)
from songid_desktop.identify.scaled import in_words
from songid_desktop.landmark.scaled import Kind, Scale
from songid_desktop.neural import clip_search, sequence
from songid_desktop.neural.config import Model
from songid_desktop.neural.index import VectorIndex
from songid_desktop.neural.sequence import Candidate, Clip, SearchConfig
from songid_desktop.types import (
    CancelToken,
    Evidence,
    FloatArray,
    Identification,
    Match,
)

SCORE_UNIT = "mean cosine"
_TWINS_AMONG = 6
"""First candidates that are compared with the best one for being the same recording."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """What one stretch of a clip came to.

    Attributes
    ----------
    start_s, length_s : float
        Where in the clip the stretch begins, and how long it is.
    clip : Clip
        Its vectors.
    candidates : list of Candidate
        Best first, every track once.
    twins : frozenset of int
        Tracks that are the same recording as the first candidate.
    lead : Lead or None
        What the probability was computed from.
    probability : float
        That the first candidate is what plays.
    semitones : float
        How much higher than the library's the clip was taken to sound.
    """

    start_s: float
    length_s: float
    clip: Clip
    candidates: list[Candidate]
    twins: frozenset[int] = frozenset()
    lead: Lead | None = None
    probability: float = 0.0
    semitones: float = 0.0


class NeuralSearch:
    """Ranks stretches of clips against one index.

    Parameters
    ----------
    name : str
        Of the identifier.
    model : Model
        Whose vectors these are; it says which of the two ways of retrieval is taken.
    """

    def __init__(
        self,
        index: VectorIndex,
        name: str,
        model: Model,
        calibrated: NeuralCalibration,
        config: SearchConfig | None = None,
    ) -> None:
        self.index = index
        self._name = name
        self._model = model
        self._calibration = calibrated
        self._config = config or SearchConfig()
        self._is_sequence = model.retrieval == "sequence"

    @property
    def twin_likeness(self) -> float:
        """Likeness from which two tracks are the same recording."""
        return self._calibration.twin_likeness

    def rank(
        self,
        vectors: FloatArray,
        length_s: float,
        start_s: float = 0.0,
        cancel: CancelToken | None = None,
        semitones: float = 0.0,
    ) -> Ranking:
        """Candidates for one stretch of sound, and the first one's probability.

        Parameters
        ----------
        vectors : float32 array, shape (n, dim)
            One every ``model.hop_s / model.query_phases``; all zeros where nothing is heard.
        semitones : float
            How much higher the sound was taken to be when they were made.

        Raises
        ------
        Cancelled
        """
        clip = Clip(vectors, self._model.hop_s, self._model.query_phases)
        if not clip.sounding.any():
            return Ranking(start_s, length_s, clip, [], semitones=semitones)
        look = sequence.search if self._is_sequence else clip_search.search
        candidates = look(self.index, clip, self._config, cancel)
        return self._judge(Ranking(start_s, length_s, clip, candidates, semitones=semitones))

    def without(self, ranking: Ranking, track_ids: Collection[int]) -> Ranking:
        """What the stretch would have come to had some tracks not been in the library."""
        others = [c for c in ranking.candidates if c.track_id not in track_ids]
        return self._judge(replace(ranking, candidates=others))

    def _judge(self, ranking: Ranking) -> Ranking:
        """The ranking with what depends on who is first."""
        candidates, clip = ranking.candidates, ranking.clip
        if not candidates:
            return replace(ranking, twins=frozenset(), lead=None, probability=0.0)
        first = candidates[0]
        twins = frozenset(
            other.track_id
            for other in candidates[1:_TWINS_AMONG]
            if sequence.likeness(self.index, clip, first, other) >= self._calibration.twin_likeness
        )
        rivals = [c.score for c in candidates[1:] if c.track_id not in twins]
        away = sequence.elsewhere if self._is_sequence else clip_search.elsewhere
        lead = Lead(
            score=first.score,
            elsewhere=away(self.index, clip, first),
            rivals=tuple(rivals[:RIVALS]),
            clip_s=ranking.length_s * float(clip.sounding.mean()),
            inside=first.inside,
        )
        probability = self._calibration.probability(lead)
        if ranking.semitones:
            probability = transposed(probability)
        return replace(ranking, twins=twins, lead=lead, probability=probability)

    def answer(self, ranking: Ranking, top: int) -> Identification:
        """Verdict, sentence and the first `top` candidates."""
        chosen = ranking.candidates[: max(0, top)]
        confidences = shares(ranking.probability, [one.score / UNIT for one in chosen])
        matches = tuple(
            self._match(ranking, candidate, rank, confidence)
            for rank, (candidate, confidence) in enumerate(
                zip(chosen, confidences, strict=True), start=1
            )
        )
        verdict, reason, message = judged(
            ranking.probability,
            has_twins=bool(ranking.twins),
            how=in_words(Scale(Kind.PITCH, 2.0 ** (ranking.semitones / 12.0))),
        )
        return Identification(verdict, self._name, reason, message, matches)

    def _match(self, ranking: Ranking, candidate: Candidate, rank: int, confidence: float) -> Match:
        return Match(
            track_id=candidate.track_id,
            rank=rank,
            score=candidate.score,
            score_unit=SCORE_UNIT,
            confidence=confidence,
            offset_s=candidate.offset_s - ranking.start_s,
            offset_error_s=self._offset_error_s(candidate),
            identifier=self._name,
            pitch_semitones=ranking.semitones or None,
            evidence=self._evidence(ranking, candidate),
        )

    def _offset_error_s(self, candidate: Candidate) -> float:
        """Spread of the offset: a part of a step, more the fainter the likeness."""
        step_s = self._model.hop_s / (self._model.query_phases if self._is_sequence else 1)
        return step_s * float(np.clip(0.15 / max(candidate.score, 0.05), 0.2, 1.0))

    def _evidence(self, ranking: Ranking, candidate: Candidate) -> Evidence:
        look = sequence.curve if self._is_sequence else clip_search.curve
        time_s, cosine = look(self.index, ranking.clip, candidate)
        heard_s = ranking.length_s * float(ranking.clip.sounding.mean())
        summary = f"mean cosine {candidate.score:.2f} over {heard_s:.1f} s"
        rivals = [
            one.score
            for one in ranking.candidates
            if one.track_id != candidate.track_id and one.track_id not in ranking.twins
        ]
        first = ranking.candidates[0]
        if candidate.track_id in ranking.twins:
            summary += "; the same recording as number 1"
        elif candidate is first and rivals:
            summary += f", {candidate.score - rivals[0]:.2f} above any other recording"
        elif candidate is not first:
            summary += f", {first.score - candidate.score:.2f} below number 1"
        return Evidence(
            summary=summary, similarity_curve=(time_s + np.float32(ranking.start_s), cosine)
        )
