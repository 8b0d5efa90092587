"""The landmark identifier: constellation peaks, hashes, offset votes, verification, probability.

A clip longer than the search window is looked at in up to three stretches, and the surest answer
counts.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from songid_desktop.audio.resample import resample
from songid_desktop.errors import Cancelled
from songid_desktop.identify import calibration
from songid_desktop.identify.answers import judged, moved, shares, sober
from songid_desktop.identify.calibration import RIVALS, Calibration, Lead
from songid_desktop.identify.indexed import Indexed
from songid_desktop.identify.scaled import (
    Pace,
    ScaledCalibration,
    ScaledRanking,
    in_words,
    is_noticeable,
    matches,
    rank_scaled,
)
from songid_desktop.landmark import evidence, placing
from songid_desktop.landmark.config import LandmarkConfig
from songid_desktop.landmark.evidence import Passage
from songid_desktop.landmark.index import LandmarkIndex
from songid_desktop.landmark.match import (
    Candidate,
    Clip,
    Votes,
    analyse,
    most_votes,
    score_beside,
    score_elsewhere,
    search,
)
from songid_desktop.landmark.peaks import pack_peaks, track_peaks
from songid_desktop.landmark.scaled import ScaleConfig
from songid_desktop.landmark.scaled_refine import as_played
from songid_desktop.landmark.spectrum import clean
from songid_desktop.types import (
    AudioBlock,
    CancelToken,
    Constellation,
    Evidence,
    Fingerprint,
    Fingerprinter,
    FloatArray,
    Identification,
    Match,
    Timings,
)

NAME = "landmark"
SCORE_UNIT = "standard errors"

_MOST_STRETCHES = 3
_SCALES = ScaleConfig()
_TWINS_AMONG = 6
"""First candidates that are compared with the best one for being the same recording."""


class LandmarkFingerprinter:
    """The half that enrolment needs: picklable, a few bytes, no index."""

    def __init__(self, config: LandmarkConfig | None = None) -> None:
        self.config = config or LandmarkConfig()

    @property
    def name(self) -> str:
        return NAME

    @property
    def config_digest(self) -> str:
        return self.config.digest()

    @property
    def sample_rate(self) -> int | None:
        return self.config.peaks.sample_rate

    def fingerprint(
        self, blocks: Iterable[AudioBlock], cancel: CancelToken | None = None
    ) -> Fingerprint:
        """Peaks of one track, in memory bounded whatever its length.

        The same sound gives the same bytes however it is cut into blocks.

        Raises
        ------
        Cancelled
            When `cancel` was set.
        """
        peaks, duration_s = track_peaks(blocks, self.config.peaks, cancel)
        return Fingerprint(NAME, self.config_digest, pack_peaks(peaks), duration_s)


def landmark_fingerprinter(config: LandmarkConfig | None = None) -> Fingerprinter:
    """A fingerprinter fit to travel to worker processes."""
    return LandmarkFingerprinter(config)


@dataclass(frozen=True, slots=True)
class Ranking:
    """What one stretch of a clip came to.

    Attributes
    ----------
    start_s, length_s : float
        Where in the clip the stretch begins, and how long it is.
    clip, votes
        The stretch as it was searched for, and the votes of every part of the index.
    candidates : list of Candidate
        Best first, every track once.
    near : list of Passage
        What is stored around the place of the first candidates.
    twins : frozenset of int
        Tracks that are the same recording as the first candidate.
    lead : Lead or None
        What the probability was computed from.
    probability : float
        That the first candidate is what plays.
    """

    start_s: float
    length_s: float
    clip: Clip
    votes: list[Votes]
    candidates: list[Candidate]
    near: list[Passage] = field(default_factory=list)
    twins: frozenset[int] = frozenset()
    lead: Lead | None = None
    probability: float = 0.0


class LandmarkIdentifier(LandmarkFingerprinter, Indexed):
    """`types.Identifier` over an index folder (normally ``paths.index / "landmark"``).

    Parameters
    ----------
    scales : ScaleConfig or None
        Which other speeds, tempos and pitches are tried where the plain search finds no match;
        None for none.
    """

    def __init__(
        self,
        index_dir: Path,
        config: LandmarkConfig | None = None,
        calibrated: Calibration | None = None,
        scales: ScaleConfig | None = _SCALES,
        scaled_calibrated: ScaledCalibration | None = None,
    ) -> None:
        super().__init__(config)
        self._scales = scales
        self._scaled_calibration = scaled_calibrated
        self._pace = Pace(scales.every_s if scales is not None else 0.0)
        self._index = LandmarkIndex(index_dir, NAME, self.config)
        self._calibration = calibrated

    def identify(
        self, audio: AudioBlock, top: int = 5, cancel: CancelToken | None = None
    ) -> Identification:
        """Name what is heard in `audio`; never raises for bad sound."""
        least_s = self.config.search.min_clip_s
        return self._answered(audio, least_s, lambda: self._identify(audio, top, cancel))

    # -- stages ---------------------------------------------------------------------------------

    def _identify(self, audio: AudioBlock, top: int, cancel: CancelToken | None) -> Identification:
        began = time.perf_counter()
        rate = self.config.peaks.sample_rate
        samples = resample(clean(audio.samples), audio.sample_rate, rate)
        fingerprint_s = match_s = 0.0
        rankings: list[Ranking] = []
        for start, stretch in self._stretches(samples):
            _look_at(cancel)
            started = time.perf_counter()
            clip = analyse(stretch, self.config)
            analysed = time.perf_counter()
            _look_at(cancel)
            ranking = self._rank(clip, len(stretch), start / rate)
            fingerprint_s += analysed - started
            match_s += time.perf_counter() - analysed
            rankings.append(ranking)
        _look_at(cancel)
        started = time.perf_counter()
        best = max(rankings, key=lambda ranking: ranking.probability)
        result = sober(self._settle(best, rankings, audio, top, cancel))
        match_s += time.perf_counter() - started
        total_s = time.perf_counter() - began
        timings = Timings(0.0, (total_s - match_s) * 1e3, match_s * 1e3, total_s * 1e3)
        return replace(result, timings=timings)

    def _settle(
        self,
        best: Ranking,
        rankings: list[Ranking],
        audio: AudioBlock,
        top: int,
        cancel: CancelToken | None,
    ) -> Identification:
        """The answer, after a look at other speeds, tempos and pitches."""
        scales = self._scales
        if scales is None:
            return self._answer(best, top)
        if best.probability >= calibration.MATCH_AT:
            return self._as_played(self._answer(best, top), best, scales)
        if self._pace.is_due(audio):
            scaled = self._ask_again(rankings, scales, cancel)
            if scaled is not None and scaled.probability > best.probability:
                self._pace.forget()
                return self._scaled_answer(scaled, scales, top)
            self._pace.came_to_nothing(audio)
        return self._answer(best, top)

    def _ask_again(
        self, rankings: list[Ranking], scales: ScaleConfig, cancel: CancelToken | None
    ) -> ScaledRanking | None:
        """What another speed, tempo or pitch explains, if it does. A factor too small to be named
        is none of them: that question was answered."""
        for ranking in rankings:
            _look_at(cancel)
            found = rank_scaled(
                self._index.parts(),
                ranking.clip,
                self.config,
                scales,
                clip_s=ranking.length_s,
                start_s=ranking.start_s,
                curve=self._scaled_calibration,
                cancel=cancel,
            )
            is_likely = found.probability >= calibration.UNSURE_AT
            if is_likely and is_noticeable(found.candidates[0].scale):
                return found
        return None

    def _stretches(self, samples: FloatArray) -> list[tuple[int, FloatArray]]:
        """Windows of the clip, with the sample each begins at."""
        window = round(self.config.search.window_s * self.config.peaks.sample_rate)
        # A little more than a window is not worth a second look.
        if len(samples) <= window * 1.1:
            return [(0, samples[:window])]
        spare = len(samples) - window
        count = min(_MOST_STRETCHES, 1 + -(-spare // window))
        starts = np.linspace(0, spare, count).astype(int).tolist()
        return [(start, samples[start : start + window]) for start in starts]

    def rank(self, samples: FloatArray, start_s: float = 0.0) -> Ranking:
        """Candidates for one stretch of sound at the configured rate, and the first one's
        probability. `start_s` is where the stretch begins in its clip."""
        return self._rank(analyse(samples, self.config), len(samples), start_s)

    def _rank(self, clip: Clip, n_samples: int, start_s: float) -> Ranking:
        candidates, votes = search(self._index.parts(), clip, self.config)
        length_s = n_samples / self.config.peaks.sample_rate
        return self._judge(Ranking(start_s, length_s, clip, votes, candidates))

    def without(self, ranking: Ranking, track_ids: Collection[int]) -> Ranking:
        """What the stretch would have come to had some tracks not been in the library."""
        others = [c for c in ranking.candidates if c.track_id not in track_ids]
        return self._judge(replace(ranking, candidates=others), track_ids)

    def _judge(self, ranking: Ranking, left_out: Collection[int] = ()) -> Ranking:
        """The ranking with what depends on who is first."""
        candidates, clip = ranking.candidates, ranking.clip
        if not candidates:
            return replace(ranking, near=[], twins=frozenset(), lead=None, probability=0.0)
        first = candidates[0]
        # One more: where all the others are twins, it is the first rival.
        near = evidence.passages(candidates[: _TWINS_AMONG + 1], clip.n_frames)
        twins = evidence.twins_among(near[0], near[1:_TWINS_AMONG], clip.n_frames)
        rivals = [c for c in candidates[1 : RIVALS + _TWINS_AMONG] if c.track_id not in twins]
        rival = next((one for one in near[1:] if one.candidate.track_id not in twins), None)
        own, other = most_votes(ranking.votes, first, {*twins, *left_out})
        lead = Lead(
            score=first.score,
            elsewhere=score_elsewhere(first, clip),
            beside=score_beside(first, clip),
            rivals=tuple(rival.score for rival in rivals[:RIVALS]),
            clip_s=ranking.length_s,
            votes=max(first.votes, own),
            other_votes=other,
            shared=evidence.agreement(near[0], clip),
            rival_shared=evidence.agreement(rival, clip) if rival else 0.0,
        )
        curve = self._calibration or calibration.load()
        probability = curve.probability(lead)
        return replace(ranking, near=near, twins=twins, lead=lead, probability=probability)

    def _answer(self, ranking: Ranking, top: int) -> Identification:
        clip, drawn = ranking.clip, self._drawn_peaks(ranking)
        chosen = ranking.candidates[: max(0, top)]
        confidences = shares(ranking.probability, [candidate.score for candidate in chosen])
        # A room does the same to whatever plays in it: what the first one shows holds for all.
        correction_s = 0.0
        if chosen and ranking.lead is not None:
            shared = ranking.lead.shared
            correction_s = placing.load().correction_s(chosen[0], clip, shared)
        near = [*ranking.near, *evidence.passages(chosen[len(ranking.near) :], clip.n_frames)]
        told = evidence.collect(near[: len(chosen)], clip, ranking.votes, self.config)
        found = tuple(
            self._match(ranking, candidate, seen, rank=rank, share=share, correction_s=correction_s)
            for rank, (candidate, share, seen) in enumerate(
                zip(chosen, confidences, told, strict=True), start=1
            )
        )
        verdict, reason, message = judged(ranking.probability, has_twins=bool(ranking.twins))
        return Identification(verdict, NAME, reason, message, found, query_peaks=drawn)

    def _scaled_answer(
        self, ranking: ScaledRanking, scales: ScaleConfig, top: int
    ) -> Identification:
        how = in_words(ranking.candidates[0].scale)
        verdict, reason, message = judged(
            ranking.probability, has_twins=bool(ranking.twins), how=how
        )
        found = matches(ranking, top, self.config, scales, NAME)
        drawn = self._drawn_peaks(ranking)
        return Identification(verdict, NAME, reason, message, found, query_peaks=drawn)

    def _as_played(
        self, result: Identification, ranking: Ranking, scales: ScaleConfig
    ) -> Identification:
        """A plain match, with how fast it is played where that is not as enrolled."""
        found = as_played(ranking.candidates[0], ranking.clip, self.config, scales)
        if found is None or not is_noticeable(found.scale) or not result.matches:
            return result
        twins, probability = ranking.twins, ranking.probability
        alone = ScaledRanking(ranking.start_s, ranking.clip, [found], twins, None, probability)
        first = matches(alone, 1, self.config, scales, NAME)[0]
        first = replace(first, score=result.matches[0].score)
        _, _, message = judged(probability, has_twins=bool(twins), how=in_words(found.scale))
        return replace(result, message=message, matches=(first, *result.matches[1:]))

    def _drawn_peaks(self, ranking: Ranking | ScaledRanking) -> Constellation:
        points = evidence.constellation(ranking.clip.peaks[0], self.config.peaks)
        return Constellation(points.time_s + np.float32(ranking.start_s), points.freq_hz)

    def _match(
        self,
        ranking: Ranking,
        candidate: Candidate,
        found: Evidence,
        *,
        rank: int,
        share: float,
        correction_s: float,
    ) -> Match:
        if candidate.track_id in ranking.twins:
            found = replace(found, summary=f"{found.summary}; the same recording as number 1")
        found_s = candidate.offset_frames * self.config.peaks.frame_s
        return Match(
            track_id=candidate.track_id,
            rank=rank,
            score=candidate.score,
            score_unit=SCORE_UNIT,
            confidence=share,
            offset_s=found_s + correction_s - ranking.start_s,
            offset_error_s=placing.load().error_after_s(correction_s, candidate.score),
            identifier=NAME,
            evidence=moved(found, ranking.start_s),
        )


def _look_at(cancel: CancelToken | None) -> None:
    if cancel is not None and cancel.is_set():
        raise Cancelled
