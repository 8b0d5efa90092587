"""The signal screen: levels, and the measure of music."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from songid_desktop.evaluate.demo_tunes import TUNE_RATE_HZ, TUNES, render
from songid_desktop.evaluate.rooms import background
from songid_desktop.evaluate.singing import sing
from songid_desktop.identify.music import FEATURE_NAMES, music_features, shipped_model
from songid_desktop.identify.screen import (
    CLIPPED_FRACTION,
    TOO_QUIET_DBFS,
    measure_music,
    screen,
)
from songid_desktop.paths import resource
from songid_desktop.types import AudioBlock, FloatArray, Reason

RATE = 16_000


def white(seconds: float, seed: int = 0, level: float = 0.1) -> FloatArray:
    rng = np.random.default_rng(seed)
    return np.asarray(level * rng.standard_normal(round(seconds * RATE)), np.float32)


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (np.zeros(RATE, np.float32), Reason.EXACT_ZEROS),
        (np.zeros(0, np.float32), Reason.EXACT_ZEROS),
        (white(1.0, level=10 ** ((TOO_QUIET_DBFS - 1) / 20)), Reason.TOO_QUIET),
        (white(1.0, level=10 ** ((TOO_QUIET_DBFS + 1) / 20)), None),
        (white(1.0), None),
        (np.clip(white(1.0, level=1.0), -1, 1), Reason.CLIPPING),
    ],
)
def test_levels(samples: FloatArray, reason: Reason | None) -> None:
    result = screen(AudioBlock(samples, RATE))
    assert result.reason is reason
    assert bool(result.message) == (reason is not None)
    assert result.is_hopeless == (reason in (Reason.EXACT_ZEROS, Reason.TOO_QUIET))


def test_a_few_clipped_peaks_are_not_worth_a_word() -> None:
    samples = white(2.0)
    samples[: int(len(samples) * CLIPPED_FRACTION * 0.5)] = 1.0
    assert screen(AudioBlock(samples, RATE)).reason is None


@pytest.mark.parametrize("seconds", [2.0, 5.0, 15.0])
def test_noise_and_a_crowd_are_no_music(seconds: float) -> None:
    for seed in range(3):
        assert measure_music(AudioBlock(white(seconds, seed), RATE)).is_no_music
    brown = np.cumsum(white(seconds)) * 0.01
    brown -= np.linspace(brown[0], brown[-1], len(brown))
    assert measure_music(AudioBlock(brown.astype(np.float32), RATE)).is_no_music


@pytest.mark.parametrize("number", range(len(TUNES)))
def test_tunes_are_music_alone_and_among_talkers(number: int) -> None:
    tune = render(TUNES[number]).mean(axis=1).astype(np.float32)
    talk = background(len(tune), TUNE_RATE_HZ, seed=number)
    for samples in (tune, tune + talk * np.sqrt(np.mean(tune**2))):
        for start_s in (3.0, 14.0, 25.0):
            begin = round(start_s * TUNE_RATE_HZ)
            clip = samples[begin : begin + 3 * TUNE_RATE_HZ].astype(np.float32)
            assert not measure_music(AudioBlock(clip, TUNE_RATE_HZ)).is_no_music


def test_singing_is_music() -> None:
    for seed in range(500, 530):
        voice = AudioBlock(sing(3.0, RATE, seed), RATE)
        assert not measure_music(voice).is_no_music, seed


def test_too_short_to_tell_counts_as_music() -> None:
    assert not measure_music(AudioBlock(white(1.0), RATE)).is_no_music


@pytest.mark.parametrize("factor", [1e-4, 0.1, 5.0])
def test_level_has_no_share_in_it(factor: float) -> None:
    samples = sing(4.0, RATE, 3)
    plain = music_features(AudioBlock(samples, RATE))
    scaled = music_features(AudioBlock((samples * factor).astype(np.float32), RATE))
    assert scaled == pytest.approx(plain, abs=0.05)


def test_the_rate_has_hardly_any() -> None:
    low = measure_music(AudioBlock(sing(4.0, 16_000, 8), 16_000))
    high = measure_music(AudioBlock(sing(4.0, 48_000, 8), 48_000))
    assert low.is_no_music == high.is_no_music


@given(
    arrays.arrays(
        np.float32,
        st.integers(0, 40_000),
        elements=st.floats(-1, 1, width=32),
        fill=st.floats(-1, 1, width=32),
    )
)
def test_any_sound_gets_a_measure(samples: FloatArray) -> None:
    measured = measure_music(AudioBlock(samples, 8000))
    assert 0.0 <= measured.score <= 1.0


def test_the_shipped_numbers_say_where_they_come_from() -> None:
    stored = json.loads(resource("calibration", "screen.json").read_text(encoding="utf-8"))
    assert stored["features"] == list(FEATURE_NAMES)
    assert "fit_screen" in stored["provenance"]
    denied, judged = map(int, stored["called_no_music"]["music"]["all"].split(" of "))
    assert judged > 500
    assert denied / judged < 0.01, "music is hardly ever denied"
    model = shipped_model()
    assert len(model.weights) == len(model.mean) == len(model.scale) == len(FEATURE_NAMES)
    assert 0 < model.threshold < 0.5
