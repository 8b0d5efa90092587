"""The report's own configuration as an identifier: the side-by-side baseline of every evaluation.

For evaluation only; the registry offers it nowhere else. It answers as the report does, by votes
alone. The report has no notion of "not in the library", so the confidence is a plain map of ours,
**not calibrated**: with v₁ votes for the first track and v₂ for the second,

    1 - (v₂ + 10) / (v₁ + 10)

which grows with v₁, falls with v₂, and is 0 for equals; ten votes are what chance gives.

A clip is analysed at its own rate, as the report does with its files, and is therefore found only
among tracks of that rate: bins of other rates are other frequencies, so no hash agrees.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from songid_desktop.errors import Cancelled
from songid_desktop.identify.calibration import MATCH_AT, UNSURE_AT
from songid_desktop.identify.indexed import Indexed
from songid_desktop.landmark.index import LandmarkIndex
from songid_desktop.landmark.report import ReportConfig, survey_blocks
from songid_desktop.landmark.report_evidence import collect, constellation
from songid_desktop.landmark.report_votes import (
    LONGEST_FRAMES,
    Clip,
    ReportScheme,
    Tally,
    hash_clip,
    pack,
    rank,
    vote,
)
from songid_desktop.types import (
    AudioBlock,
    CancelToken,
    Fingerprint,
    Fingerprinter,
    Identification,
    Match,
    Reason,
    Timings,
    Verdict,
)

NAME = "report"
SCORE_UNIT = "aligned hashes"
MIN_CLIP_S = 1.0

_MOST_STRETCHES = 3
_CHANCE_VOTES = 10.0


class ReportFingerprinter:
    """The half that enrolment needs: picklable, a few bytes, no index."""

    def __init__(self, config: ReportConfig | None = None) -> None:
        self.config = config or ReportConfig()

    @property
    def name(self) -> str:
        return NAME

    @property
    def config_digest(self) -> str:
        return self.config.digest()

    @property
    def sample_rate(self) -> int | None:
        """None: the report works at the file's own rate."""
        return None

    def fingerprint(
        self, blocks: Iterable[AudioBlock], cancel: CancelToken | None = None
    ) -> Fingerprint:
        """Peaks of one track, in memory bounded but for the peaks themselves.

        Raises
        ------
        Cancelled
            When `cancel` was set.
        """
        survey = survey_blocks(blocks, [self.config.pns], self.config, cancel)
        payload = pack(survey.peaks(self.config), survey.sample_rate)
        duration_s = survey.n_samples / survey.sample_rate
        return Fingerprint(NAME, self.config_digest, payload, duration_s)


def report_fingerprinter(config: ReportConfig | None = None) -> Fingerprinter:
    """A fingerprinter fit to travel to worker processes."""
    return ReportFingerprinter(config)


@dataclass(frozen=True, slots=True)
class Ranking:
    """What one stretch of a clip came to: where it begins in the clip, its hashes, and the tracks
    by votes, best first."""

    start_s: float
    clip: Clip
    tallies: list[Tally]

    @property
    def lead(self) -> float:
        """The first one's confidence."""
        votes = [tally.votes for tally in self.tallies[:2]]
        if not votes:
            return 0.0
        second = votes[1] if len(votes) > 1 else 0
        return 1.0 - (second + _CHANCE_VOTES) / (votes[0] + _CHANCE_VOTES)


class ReportIdentifier(ReportFingerprinter, Indexed):
    """`types.Identifier` over an index folder of its own."""

    def __init__(self, index_dir: Path, config: ReportConfig | None = None) -> None:
        super().__init__(config)
        self._index = LandmarkIndex(index_dir, NAME, ReportScheme(self.config))

    def identify(
        self, audio: AudioBlock, top: int = 5, cancel: CancelToken | None = None
    ) -> Identification:
        """Name what is heard in `audio`; never raises for bad sound."""
        return self._answered(audio, MIN_CLIP_S, lambda: self._identify(audio, top, cancel))

    # -- stages ---------------------------------------------------------------------------------

    def _identify(self, audio: AudioBlock, top: int, cancel: CancelToken | None) -> Identification:
        fingerprint_s = match_s = 0.0
        best: Ranking | None = None
        for stretch in _stretches(audio, self.config):
            started = time.perf_counter()
            survey = survey_blocks([stretch], [self.config.pns], self.config, cancel)
            clip = hash_clip(survey.peaks(self.config), self.config)
            analysed = time.perf_counter()
            tallies = self._vote(clip, max(2, top), cancel)
            ranking = Ranking(
                (stretch.start_sample - audio.start_sample) / audio.sample_rate, clip, tallies
            )
            if best is None or ranking.lead > best.lead:
                best = ranking
            fingerprint_s += analysed - started
            match_s += time.perf_counter() - analysed
        assert best is not None
        started = time.perf_counter()
        result = self._answer(best, top, audio.sample_rate)
        match_s += time.perf_counter() - started
        timings = Timings(fingerprint_ms=fingerprint_s * 1e3, match_ms=match_s * 1e3)
        return replace(result, timings=timings)

    def _vote(self, clip: Clip, top: int, cancel: CancelToken | None) -> list[Tally]:
        ballots = []
        for part in self._index.parts():
            if cancel is not None and cancel.is_set():
                raise Cancelled
            ballots.append(vote(part, clip))
        return rank(ballots, top)

    def _answer(self, ranking: Ranking, top: int, rate: int) -> Identification:
        chosen = ranking.tallies[: max(0, top)]
        matches = tuple(
            self._match(ranking, tally, place, share, rate)
            for place, (tally, share) in enumerate(
                zip(chosen, _shares(ranking, chosen), strict=True), start=1
            )
        )
        if ranking.lead >= MATCH_AT:
            verdict, reason, message = Verdict.MATCH, None, "This track is playing."
        elif ranking.lead >= UNSURE_AT:
            verdict, reason = Verdict.UNSURE, None
            message = "This may be the track. A longer or clearer clip would tell."
        else:
            verdict, reason = Verdict.NO_MATCH, Reason.NOT_SIMILAR
            message = "Nothing in your library is similar enough to what was heard."
        drawn = constellation(ranking.clip.peaks, self.config, rate, ranking.start_s)
        return Identification(verdict, NAME, reason, message, matches, query_peaks=drawn)

    def _match(
        self, ranking: Ranking, tally: Tally, place: int, confidence: float, rate: int
    ) -> Match:
        frame_s = self.config.hop_samples / rate
        return Match(
            track_id=tally.track_id,
            rank=place,
            score=float(tally.votes),
            score_unit=SCORE_UNIT,
            confidence=confidence,
            offset_s=tally.offset_frames * frame_s - ranking.start_s,
            offset_error_s=frame_s,
            identifier=NAME,
            evidence=collect(tally, ranking.clip, self.config, rate, ranking.start_s),
        )


def _stretches(audio: AudioBlock, config: ReportConfig) -> list[AudioBlock]:
    """Parts of the clip short enough to be looked up, evenly spread when they can't cover it."""
    window = (LONGEST_FRAMES - 1) * config.hop_samples
    spare = len(audio.samples) - window
    if spare <= 0:
        return [audio]
    count = min(_MOST_STRETCHES, 1 + -(-spare // window))
    return [
        AudioBlock(
            audio.samples[start : start + window], audio.sample_rate, audio.start_sample + start
        )
        for start in np.linspace(0, spare, count).astype(int).tolist()
    ]


def _shares(ranking: Ranking, chosen: list[Tally]) -> list[float]:
    """Confidence of every candidate: the first one's lead; half of the rest is spread over the
    others by their votes, so the sum is at most 1 and the order that of the votes."""
    lead, others = ranking.lead, [tally.votes for tally in chosen[1:]]
    rest = 0.5 * (1.0 - lead) / max(1, sum(others))
    return [lead, *(min(lead, rest * votes) for votes in others)][: len(chosen)]
