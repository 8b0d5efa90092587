import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from songid_desktop.identify.answers import pitches, sober
from songid_desktop.identify.calibration import UNSURE_AT
from songid_desktop.types import Constellation, Evidence, Identification, Match, Reason, Verdict


def answer(freq_hz, confidence=0.98):
    """A match whose evidence is peaks of these frequencies, and a runner-up."""
    peaks = np.asarray(freq_hz, np.float32)
    evidence = Evidence(matched_peaks=Constellation(np.zeros_like(peaks), peaks))
    first = Match(1, 1, 30.0, "standard errors", confidence, 5.0, 0.01, "landmark",
                  evidence=evidence)  # fmt: skip
    second = Match(2, 2, 12.0, "standard errors", 1 - confidence, 9.0, 0.01, "landmark")
    return Identification(Verdict.MATCH, "landmark", matches=(first, second))


@given(st.lists(st.floats(80.0, 3500.0), min_size=1, max_size=4), st.integers(5, 60))
def test_tones_that_lie_on_a_sustained_passage_are_no_match(tones_hz, peaks_of_each):
    said = sober(answer(np.repeat(tones_hz, peaks_of_each)))
    assert said.verdict is Verdict.NO_MATCH
    assert said.reason is Reason.NOT_SIMILAR
    assert said.message
    assert [match.track_id for match in said.matches] == [1, 2]  # a caller can still judge
    confidences = [match.confidence for match in said.matches]
    assert UNSURE_AT > confidences[0] >= confidences[1]


@given(st.integers(8, 30))
def test_agreement_on_many_pitches_is_left_as_it_is(count):
    found = answer(110.0 * 2.0 ** (np.arange(count) / 6))
    assert sober(found) is found


def test_an_answer_without_candidates_is_left_as_it_is():
    nothing = Identification(Verdict.NO_MATCH, "landmark", Reason.NOT_SIMILAR)
    assert sober(nothing) is nothing


@given(st.integers(1, 30), st.integers(1, 20), st.floats(50.0, 400.0))
def test_equal_tones_count_each_once(tones, peaks_of_each, lowest_hz):
    freq_hz = lowest_hz * 2.0 ** (np.arange(tones) / 6)
    found = pitches(np.repeat(freq_hz, peaks_of_each).astype(np.float32))
    assert abs(found - tones) < 1e-6


@given(st.integers(2, 30))
def test_many_peaks_of_one_tone_outweigh_a_few_others(others):
    freq_hz = np.concatenate([np.full(200, 440.0), 600.0 + 100.0 * np.arange(others)])
    assert 1.0 < pitches(freq_hz.astype(np.float32)) < 1 + others


def test_no_peaks_have_no_pitch():
    assert pitches(np.zeros(0, np.float32)) == 0.0
    assert pitches(np.zeros(3, np.float32)) == 0.0
