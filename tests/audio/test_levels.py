"""Levels are what a meter of the textbook shows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from songid_desktop.audio.levels import FLOOR_DBFS, measure, to_dbfs


def sine(amplitude: float, count: int = 48_000) -> np.ndarray:
    return (amplitude * np.sin(2 * np.pi * 441 * np.arange(count) / count)).astype(np.float32)


@given(db=st.floats(-110, 20))
def test_a_sine_is_three_decibels_under_its_peak(db: float) -> None:
    level = measure(sine(10 ** (db / 20)))
    assert level.peak_dbfs == pytest.approx(db, abs=0.01)
    assert level.rms_dbfs == pytest.approx(db - 3.01, abs=0.01)
    assert not level.is_exact_zero


def test_silence_is_exact_zero_at_the_floor() -> None:
    for samples in (np.zeros(100, np.float32), np.zeros(0, np.float32)):
        level = measure(samples)
        assert level.is_exact_zero
        assert level.rms_dbfs == level.peak_dbfs == FLOOR_DBFS


def test_a_whisper_of_noise_is_not_zero() -> None:
    level = measure(np.full(100, 1e-30, np.float32))
    assert not level.is_exact_zero
    assert level.rms_dbfs == FLOOR_DBFS


def test_clipping_is_runs_at_full_scale() -> None:
    clipped = np.clip(sine(4.0), -1, 1)
    share = float(np.mean(np.abs(clipped) >= 1.0))
    assert measure(clipped).clipped_fraction == pytest.approx(share, rel=0.02)
    assert measure(sine(0.9)).clipped_fraction == 0.0


def test_single_peaks_at_full_scale_are_not_clipping() -> None:
    samples = sine(0.5)
    samples[::1000] = 1.0
    assert measure(samples).clipped_fraction == 0.0


@given(st.lists(st.floats(width=32), max_size=50))
def test_any_samples_give_figures(values: list[float]) -> None:
    level = measure(np.array(values, np.float32))
    assert np.isfinite([level.rms_dbfs, level.peak_dbfs, level.clipped_fraction]).all()
    assert level.rms_dbfs <= level.peak_dbfs + 1e-3
    assert 0.0 <= level.clipped_fraction <= 1.0


def test_decibels_of_nothing_are_the_floor() -> None:
    assert to_dbfs(0.0) == to_dbfs(float("nan")) == to_dbfs(1e-12) == FLOOR_DBFS
    assert to_dbfs(1.0) == 0.0
