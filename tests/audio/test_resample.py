"""Resampling keeps time and pitch, passes what fits and stops what doesn't."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from songid_desktop.audio.resample import StreamResampler, resample

RATES = st.sampled_from([8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000, 96_000])
PAIRS = [(48_000, 8_000), (44_100, 8_000), (44_100, 48_000), (11_025, 48_000), (44_101, 48_000)]


def sine(hertz: float, rate: int, seconds: float = 1.0) -> np.ndarray:
    return np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate).astype(np.float32)


def middle(samples: np.ndarray) -> np.ndarray:
    return samples[len(samples) // 4 : -len(samples) // 4]


@pytest.mark.parametrize(("from_rate", "to_rate"), PAIRS)
def test_a_tone_keeps_its_place_and_height(from_rate: int, to_rate: int) -> None:
    tone = 0.43 * min(from_rate, to_rate)
    result = resample(sine(tone, from_rate, 0.5), from_rate, to_rate)
    # 44,101 : 48,000 is rounded to a ratio of small numbers: 0.5 us in this time
    tolerance = 3e-2 if from_rate == 44_101 else 3e-4
    expected = sine(tone, to_rate, len(result) / to_rate)
    assert np.abs(middle(result - expected)).max() < tolerance


@pytest.mark.parametrize(("from_rate", "to_rate"), [p for p in PAIRS if p[1] < p[0]])
def test_what_the_lower_rate_cannot_carry_is_stopped(from_rate: int, to_rate: int) -> None:
    for share in (0.505, 0.7, 1.0):
        tone = sine(min(share * to_rate, 0.499 * from_rate), from_rate)
        assert np.abs(middle(resample(tone, from_rate, to_rate))).max() < 2e-4


@given(from_rate=RATES, to_rate=RATES, count=st.integers(0, 3000), seed=st.integers(0, 2**32 - 1))
def test_pieces_give_what_the_whole_gives(
    from_rate: int, to_rate: int, count: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    whole = rng.uniform(-1, 1, count).astype(np.float32)
    stream = StreamResampler(from_rate, to_rate)
    results = []
    at = 0
    while at < count:
        step = int(rng.integers(0, 700))
        results.append(stream.push(whole[at : at + step]))
        at += step
    results.append(stream.flush())
    joined = np.concatenate(results)
    expected = resample(whole, from_rate, to_rate)
    assert len(joined) == len(expected) == -(-count * to_rate // from_rate)
    assert np.allclose(joined, expected, atol=1e-5)


def test_a_flushed_stream_begins_anew() -> None:
    stream = StreamResampler(48_000, 8_000)
    tone = sine(500, 48_000, 0.1)
    first = np.concatenate((stream.push(tone), stream.flush()))
    second = np.concatenate((stream.push(tone), stream.flush()))
    assert np.array_equal(first, second)


@pytest.mark.parametrize(("from_rate", "to_rate"), PAIRS)
def test_a_constant_stays_one(from_rate: int, to_rate: int) -> None:
    result = resample(np.full(from_rate // 2, 0.5, np.float32), from_rate, to_rate)
    assert np.abs(middle(result) - 0.5).max() < 1e-5


def test_there_and_back_is_the_same_music() -> None:
    rng = np.random.default_rng(3)
    narrow = resample(rng.normal(0, 0.1, 8_000).astype(np.float32), 8_000, 44_100)
    back = resample(resample(narrow, 44_100, 48_000), 48_000, 44_100)
    assert np.abs(middle(back - narrow)).max() < 1e-3


def test_odd_rates_cost_bounded_memory() -> None:
    for from_rate, to_rate in ((767_999, 8_000), (1_001, 48_000), (999_983, 44_100)):
        result = resample(sine(100, from_rate, 0.05), from_rate, to_rate)
        assert len(result) == pytest.approx(0.05 * to_rate, abs=2)


def test_no_rate_is_refused() -> None:
    with pytest.raises(ValueError, match="positive"):
        StreamResampler(0, 8_000)
