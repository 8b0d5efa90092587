"""The log-mel front end: shapes, what it is blind to, and that overlapping windows share frames
without a difference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from songid_desktop.neural.config import FrontEnd
from songid_desktop.neural.logmel import LogMel, mel_filters, windows
from tests.support.encoders import noise

FRONT = FrontEnd()
LOG_MEL = LogMel(FRONT)


def test_pictures_have_the_stated_shape_and_are_standardised() -> None:
    pictures = LOG_MEL.of_windows(noise(3 * 8000).reshape(3, 8000))
    assert pictures.shape == (3, 128, 64)
    assert pictures.dtype == np.float32
    assert pictures.flags.c_contiguous
    np.testing.assert_allclose(pictures.mean(axis=(1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(pictures.std(axis=(1, 2)), 1, atol=1e-3)


@given(level_db=st.floats(-90, 40), seed=st.integers(0, 99))
def test_the_level_of_the_sound_does_not_matter(level_db: float, seed: int) -> None:
    sound = noise(8000, seed)[None]
    louder = (sound * 10 ** (level_db / 20)).astype(np.float32)
    np.testing.assert_allclose(LOG_MEL.of_windows(louder), LOG_MEL.of_windows(sound), atol=2e-3)


def test_silence_is_flat_and_finite() -> None:
    assert not LOG_MEL.of_windows(np.zeros((2, 8000), np.float32)).any()


@given(
    n_samples=st.integers(0, 40_000),
    step_frames=st.integers(1, 70),
    seed=st.integers(0, 9),
)
def test_a_stream_gives_what_its_windows_give(n_samples: int, step_frames: int, seed: int) -> None:
    step = step_frames * FRONT.hop
    sound = noise(n_samples, seed)
    alone = LOG_MEL.of_windows(windows(sound, FRONT, step / 8000))
    together = LOG_MEL.of_stream(sound, step)
    assert together.shape == alone.shape
    np.testing.assert_allclose(together, alone, atol=1e-4)


def test_a_step_between_frames_works_too() -> None:
    sound = noise(12_000)
    np.testing.assert_allclose(
        LOG_MEL.of_stream(sound, 1111),
        LOG_MEL.of_windows(windows(sound, FRONT, 1111 / 8000)),
        atol=1e-4,
    )


def test_a_window_knows_nothing_of_its_surroundings() -> None:
    quiet, loud = noise(16_000), noise(16_000)
    loud[8000:] *= 100
    np.testing.assert_array_equal(
        LOG_MEL.of_stream(quiet, 8000)[0], LOG_MEL.of_stream(loud, 8000)[0]
    )


def test_a_tone_shows_in_the_band_at_its_frequency() -> None:
    time_s = np.arange(8000) / 8000
    centres = 700 * np.expm1(np.linspace(np.log1p(60 / 700), np.log1p(3700 / 700), FRONT.n_mels))
    for hz in (200.0, 1000.0, 3000.0):
        tone = np.sin(2 * np.pi * hz * time_s).astype(np.float32)
        picture = LOG_MEL.of_windows(tone[None])[0]
        assert abs(picture.mean(axis=1).argmax() - np.abs(centres - hz).argmin()) <= 1


def test_windows_begin_at_phase_and_hop_and_lie_inside() -> None:
    sound = np.arange(20_000, dtype=np.float32)
    view = windows(sound, FRONT, 0.25, 0.125)
    np.testing.assert_array_equal(view[:, 0], 1000 + 2000 * np.arange(len(view)))
    assert view[-1, -1] < 20_000 <= view[-1, -1] + 2001
    assert windows(sound[:7999], FRONT, 0.25).shape == (0, 8000)


def test_no_band_is_deaf() -> None:
    assert (mel_filters(FRONT).sum(axis=0) > 0.2).all()


def test_without_standardising_the_fixed_numbers_count() -> None:
    front = replace(FRONT, standardise=False)
    plain = LogMel(front).of_windows(noise(8000)[None])
    scaled = LogMel(replace(front, mean=2.0, deviation=4.0)).of_windows(noise(8000)[None])
    np.testing.assert_allclose(scaled, (plain - 2) / 4, atol=1e-5)


def test_frames_that_begin_inside_the_window_are_centred_too() -> None:
    few = replace(FRONT, n_frames=40)
    assert few.pad_samples < 0
    log_mel, sound = LogMel(few), noise(16_000)
    assert log_mel.of_stream(sound, 2000).shape == (5, 128, 40)
    np.testing.assert_allclose(
        log_mel.of_stream(sound, 2000), log_mel.of_windows(windows(sound, few, 0.25)), atol=1e-4
    )


def test_windows_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="8000"):
        LOG_MEL.of_windows(np.zeros((1, 7000), np.float32))


def test_a_window_of_a_single_frame_has_nothing_to_share() -> None:
    short = replace(FRONT, window_s=0.13, n_frames=3)
    log_mel, sound = LogMel(short), noise(4000)
    np.testing.assert_allclose(
        log_mel.of_stream(sound, 250),
        log_mel.of_windows(windows(sound, short, 250 / 8000)),
        atol=1e-4,
    )


@given(semitones=st.floats(-2, 2), seed=st.integers(0, 9))
def test_moved_filters_undo_a_change_of_pitch(semitones: float, seed: int) -> None:
    """Tones, and the same tones higher or lower by a factor, give nearly the same picture."""
    factor = 2.0 ** (semitones / 12)
    rng = np.random.default_rng(seed)
    hz, size = rng.uniform(150, 3000, 12), rng.uniform(0.3, 1.0, 12)
    time_s = np.arange(8000) / 8000

    def sounds(by: float) -> np.ndarray:
        tones = size[:, None] * np.sin(2 * np.pi * by * hz[:, None] * time_s)
        return tones.sum(axis=0).astype(np.float32)[None]

    as_it_was = LOG_MEL.of_windows(sounds(1.0))[0]
    undone = LogMel(FRONT, factor).of_windows(sounds(factor))[0]
    moved = LOG_MEL.of_windows(sounds(factor))[0]
    assert np.abs(undone - as_it_was).mean() <= 0.15
    if abs(semitones) > 0.5:
        assert np.abs(undone - as_it_was).mean() < 0.5 * np.abs(moved - as_it_was).mean()
