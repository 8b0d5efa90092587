"""The landmark identifier: constellation peaks, hashes, offset votes, verification, probability.

A clip longer than the search window is looked at in up to three stretches, and the surest answer
counts.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from songid_desktop.audio.resample import resample
from songid_desktop.errors import Cancelled
from songid_desktop.identify import calibration
from songid_desktop.identify.calibration import RIVALS, Calibration, Lead
from songid_desktop.landmark import evidence
from songid_desktop.landmark.config import LandmarkConfig
from songid_desktop.landmark.index import IndexStatistics, LandmarkIndex
from songid_desktop.landmark.match import (
    Candidate,
    Clip,
    Votes,
    analyse,
    score_beside,
    score_elsewhere,
    search,
)
from songid_desktop.landmark.peaks import pack_peaks, track_peaks, unpack_peaks
from songid_desktop.landmark.spectrum import clean
from songid_desktop.types import (
    AudioBlock,
    CancelToken,
    Constellation,
    Evidence,
    Fingerprint,
    Fingerprinter,
    FingerprintReader,
    FloatArray,
    Identification,
    Match,
    Reason,
    Timings,
    Verdict,
)

NAME = "landmark"
SCORE_UNIT = "standard errors"

_MOST_STRETCHES = 3
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
    twins: frozenset[int] = frozenset()
    lead: Lead | None = None
    probability: float = 0.0


class LandmarkIdentifier(LandmarkFingerprinter):
    """`types.Identifier` over an index folder (normally ``paths.index / "landmark"``)."""

    def __init__(
        self,
        index_dir: Path,
        config: LandmarkConfig | None = None,
        calibrated: Calibration | None = None,
    ) -> None:
        super().__init__(config)
        self._index = LandmarkIndex(index_dir, NAME, self.config)
        self._calibration = calibrated

    def open(self, reader: FingerprintReader) -> None:
        self._index.open(reader)

    def refresh(self) -> bool:
        return self._index.refresh()

    def save(self) -> None:
        self._index.save()

    def close(self) -> None:
        self._index.close()

    @property
    def track_count(self) -> int:
        return self._index.track_count

    @property
    def index(self) -> LandmarkIndex:
        """The index itself, for statistics and measurements."""
        return self._index

    def statistics(self) -> IndexStatistics:
        return self._index.statistics()

    def add(self, track_id: int, fingerprint: Fingerprint) -> None:
        """Make a track findable until the next `open`; the catalog does this by itself.

        Raises
        ------
        ValueError
            When the fingerprint was made by another identifier or configuration, or is damaged.
        """
        if (fingerprint.identifier, fingerprint.config_digest) != (NAME, self.config_digest):
            raise ValueError(
                f"a fingerprint of {fingerprint.identifier} {fingerprint.config_digest} "
                f"does not fit {NAME} {self.config_digest}"
            )
        self._index.add(track_id, unpack_peaks(fingerprint.payload))

    def remove(self, track_id: int) -> None:
        self._index.remove(track_id)

    def identify(
        self, audio: AudioBlock, top: int = 5, cancel: CancelToken | None = None
    ) -> Identification:
        """Name what is heard in `audio`; never raises for bad sound."""
        began = time.perf_counter()
        if audio.duration_s < self.config.search.min_clip_s:
            return Identification(
                Verdict.NOT_ENOUGH_AUDIO,
                NAME,
                message=(
                    f"Only {audio.duration_s:.1f} seconds were heard. "
                    f"At least {self.config.search.min_clip_s:.0f} second of sound is needed."
                ),
                heard_s=audio.duration_s,
                timings=_timings(began),
            )
        if not self.track_count:
            return Identification(
                Verdict.EMPTY_CATALOG,
                NAME,
                message="Your library has no tracks to compare with yet. Add a music folder first.",
                heard_s=audio.duration_s,
                timings=_timings(began),
            )
        try:
            return self._identify(audio, top, cancel, began)
        except Cancelled:
            return Identification(
                Verdict.CANCELLED,
                NAME,
                message="The identification was cancelled.",
                heard_s=audio.duration_s,
                timings=_timings(began),
            )

    # -- stages ---------------------------------------------------------------------------------

    def _identify(
        self, audio: AudioBlock, top: int, cancel: CancelToken | None, began: float
    ) -> Identification:
        rate = self.config.peaks.sample_rate
        samples = resample(clean(audio.samples), audio.sample_rate, rate)
        fingerprint_s = match_s = 0.0
        best: Ranking | None = None
        for start, stretch in self._stretches(samples):
            _look_at(cancel)
            started = time.perf_counter()
            clip = analyse(stretch, self.config)
            analysed = time.perf_counter()
            _look_at(cancel)
            ranking = self._rank(clip, len(stretch), start / rate)
            fingerprint_s += analysed - started
            match_s += time.perf_counter() - analysed
            if best is None or ranking.probability > best.probability:
                best = ranking
        assert best is not None
        _look_at(cancel)
        started = time.perf_counter()
        result = self._answer(best, top)
        match_s += time.perf_counter() - started
        total_s = time.perf_counter() - began
        return replace(
            result,
            heard_s=audio.duration_s,
            timings=Timings(0.0, (total_s - match_s) * 1e3, match_s * 1e3, total_s * 1e3),
        )

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
        return self._judge(replace(ranking, candidates=others))

    def _judge(self, ranking: Ranking) -> Ranking:
        """The ranking with what depends on who is first."""
        candidates, clip = ranking.candidates, ranking.clip
        if not candidates:
            return replace(ranking, twins=frozenset(), lead=None, probability=0.0)
        first = candidates[0]
        twins = evidence.twins_among(first, candidates[1:_TWINS_AMONG], clip.n_frames)
        rivals = [c.score for c in candidates[1 : RIVALS + _TWINS_AMONG] if c.track_id not in twins]
        lead = Lead(
            score=first.score,
            elsewhere=score_elsewhere(first, clip),
            beside=score_beside(first, clip),
            rivals=tuple(rivals[:RIVALS]),
            clip_s=ranking.length_s,
            votes=first.votes,
        )
        curve = self._calibration or calibration.load()
        return replace(ranking, twins=twins, lead=lead, probability=curve.probability(lead))

    def _answer(self, ranking: Ranking, top: int) -> Identification:
        drawn = self._drawn_peaks(ranking)
        chosen = ranking.candidates[: max(0, top)]
        shares = _shares(ranking, chosen)
        matches = tuple(
            self._match(ranking, candidate, rank, share)
            for rank, (candidate, share) in enumerate(zip(chosen, shares, strict=True), start=1)
        )
        if ranking.probability >= calibration.MATCH_AT:
            verdict, reason, message = Verdict.MATCH, None, "This track is playing."
            if ranking.twins:
                message = "This track is playing. Your library holds this recording more than once."
        elif ranking.probability >= calibration.UNSURE_AT:
            verdict, reason = Verdict.UNSURE, None
            message = "This may be the track. A longer or clearer clip would tell."
        else:
            verdict, reason = Verdict.NO_MATCH, Reason.NOT_SIMILAR
            message = "Nothing in your library is similar enough to what was heard."
        return Identification(verdict, NAME, reason, message, matches, query_peaks=drawn)

    def _drawn_peaks(self, ranking: Ranking) -> Constellation:
        points = evidence.constellation(ranking.clip.peaks[0], self.config.peaks)
        return Constellation(points.time_s + np.float32(ranking.start_s), points.freq_hz)

    def _match(self, ranking: Ranking, candidate: Candidate, rank: int, confidence: float) -> Match:
        votes = next((v for v in ranking.votes if v.part is candidate.part), None)
        found = evidence.collect(candidate, ranking.clip, votes, self.config)
        if candidate.track_id in ranking.twins:
            found = replace(found, summary=f"{found.summary}; the same recording as number 1")
        return Match(
            track_id=candidate.track_id,
            rank=rank,
            score=candidate.score,
            score_unit=SCORE_UNIT,
            confidence=confidence,
            offset_s=candidate.offset_frames * self.config.peaks.frame_s - ranking.start_s,
            offset_error_s=self._offset_error_s(candidate),
            identifier=NAME,
            evidence=_moved(found, ranking.start_s),
        )

    def _offset_error_s(self, candidate: Candidate) -> float:
        """Spread of the offset: a step at first, less the better the alignment."""
        step_s = self.config.peaks.frame_s / self.config.search.phases
        return step_s * float(np.clip(12.0 / max(candidate.score, 1.0), 0.5, 4.0))


def _look_at(cancel: CancelToken | None) -> None:
    if cancel is not None and cancel.is_set():
        raise Cancelled


def _timings(began: float) -> Timings:
    return Timings(total_ms=(time.perf_counter() - began) * 1e3)


def _shares(ranking: Ranking, chosen: list[Candidate]) -> list[float]:
    """Confidence of every candidate; they sum to at most 1.

    The first one has the whole probability, because which of several files of one recording is
    named does not make the answer less right. What is left belongs mostly to "not in your
    library"; half of it is spread over the others, falling with their distance from the first.
    """
    if not chosen:
        return []
    first = ranking.candidates[0]
    weight = [2.0 ** (candidate.score - first.score) for candidate in chosen[1:]]
    rest = 0.5 * (1.0 - ranking.probability) / max(1.0, sum(weight))
    # Nobody but the first may look more likely than the first.
    return [ranking.probability] + [min(rest * w, ranking.probability) for w in weight]


def _moved(found: Evidence, by_s: float) -> Evidence:
    """Evidence of a stretch, on the clock of the clip it was cut from."""
    if by_s == 0.0:
        return found
    step = np.float32(by_s)
    pairs = found.matched_pairs + np.array([step, 0.0, step, 0.0], np.float32)
    query, matched = found.query_peaks, found.matched_peaks
    histogram = found.offset_histogram
    return replace(
        found,
        query_peaks=Constellation(query.time_s + step, query.freq_hz),
        matched_peaks=Constellation(matched.time_s + step, matched.freq_hz),
        matched_pairs=pairs,
        offset_histogram=None if histogram is None else (histogram[0] - step, histogram[1]),
    )
