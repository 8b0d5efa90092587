"""What an identifier's ranked list comes to as an answer: verdict, sentence, confidences, and
evidence on the clip's own clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from songid_desktop.identify import calibration
from songid_desktop.types import (
    Constellation,
    Evidence,
    FloatArray,
    Identification,
    Reason,
    Verdict,
)

_LEAST_PITCHES = 4.5
"""Agreement on fewer pitches is a held tone met by chance, not music recognised. Right matches of
59 validation tracks, 1, 2 and 5 s, clean and in white noise at 0 dB: 6.2 at least (335 clips).
Chords of three tones that lay on a sustained passage of another track: 3.2 to 4.1."""
_ONE_PITCH_SEMITONES = 0.75
_HELD_TONE = 0.4
"""The most that is said of a held tone."""


def judged(
    probability: float, *, has_twins: bool, how: str = ""
) -> tuple[Verdict, Reason | None, str]:
    """Verdict, reason and message for the first candidate's probability.

    Parameters
    ----------
    has_twins : bool
        The library holds the recording more than once.
    how : str
        Said of how it is played, after "is playing".
    """
    if probability >= calibration.MATCH_AT:
        message = f"This track is playing{how}."
        if has_twins:
            message += " Your library holds this recording more than once."
        return Verdict.MATCH, None, message
    if probability >= calibration.UNSURE_AT:
        message = f"This may be the track{how}. A longer or clearer clip would tell."
        return Verdict.UNSURE, None, message
    message = "Nothing in your library is similar enough to what was heard."
    return Verdict.NO_MATCH, Reason.NOT_SIMILAR, message


def shares(probability: float, scores: Sequence[float]) -> list[float]:
    """Confidence of every candidate, best first; they sum to at most 1.

    The first one has the whole probability, because which of several files of one recording is
    named does not make the answer less right. What is left belongs mostly to "not in your
    library"; half of it is spread over the others, falling with their distance from the first.
    """
    if not scores:
        return []
    weight = [2.0 ** (score - scores[0]) for score in scores[1:]]
    rest = 0.5 * (1.0 - probability) / max(1.0, sum(weight))
    # Nobody but the first may look more likely than the first.
    return [probability] + [min(rest * w, probability) for w in weight]


def sober(answer: Identification) -> Identification:
    """The answer, unless clip and track agree on little more than a held tone.

    A dial tone lies on any sustained note of that pitch, and then far above every track without
    one: what makes a match stand out says nothing here.
    """
    best = answer.best
    if best is None or best.confidence <= _HELD_TONE:
        return answer
    if pitches(best.evidence.matched_peaks.freq_hz) >= _LEAST_PITCHES:
        return answer
    verdict, reason, message = judged(_HELD_TONE, has_twins=False)
    down = _HELD_TONE / best.confidence
    matches = tuple(replace(match, confidence=match.confidence * down) for match in answer.matches)
    return replace(answer, verdict=verdict, reason=reason, message=message, matches=matches)


def pitches(freq_hz: FloatArray) -> float:
    """How many pitches peaks are spread over: the exponential of the entropy of their groups.

    The commonest frequency takes what is next to it, the commonest of the rest likewise, and so on.

    Parameters
    ----------
    freq_hz : float32 array, shape (n,)

    Returns
    -------
    float
        0 for no peaks, 1 for a single tone; k for k tones with equally many peaks.
    """
    step, count = np.unique(12.0 * np.log2(freq_hz[freq_hz > 0]), return_counts=True)
    groups: list[int] = []
    while len(step):
        near = np.abs(step - step[count.argmax()]) <= _ONE_PITCH_SEMITONES
        groups.append(int(count[near].sum()))
        step, count = step[~near], count[~near]
    share = np.array(groups) / max(1, sum(groups))
    return float(np.exp(-np.sum(share * np.log(share)))) if groups else 0.0


def moved(found: Evidence, by_s: float, tempo: float = 1.0) -> Evidence:
    """Evidence of a stretch, on the clock of the clip it was cut from `by_s` after its beginning;
    `tempo` is how fast the track is played."""
    if by_s == 0.0:
        return found
    step = np.float32(by_s)
    pairs = found.matched_pairs + np.array([step, 0.0, step, 0.0], np.float32)
    query, matched = found.query_peaks, found.matched_peaks
    histogram = found.offset_histogram
    if histogram is not None:
        histogram = histogram[0] - step * np.float32(tempo), histogram[1]
    return replace(
        found,
        query_peaks=Constellation(query.time_s + step, query.freq_hz),
        matched_peaks=Constellation(matched.time_s + step, matched.freq_hz),
        matched_pairs=pairs,
        offset_histogram=histogram,
    )
