import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from songid_desktop.landmark.config import PeakConfig
from songid_desktop.landmark.peaks import track_peaks
from songid_desktop.landmark.ridges import RIDGE_FRAMES, RIDGES, find_ridges, ridge_columns
from songid_desktop.landmark.spectrum import power_frames, whiten
from tests.support.landmark_library import RATE, block, tune

CONFIG = PeakConfig()


def columns_of(codes):
    """Set of columns of every row."""
    column, is_real = ridge_columns(codes)
    return [set(row[real].tolist()) for row, real in zip(column, is_real, strict=True)]


@st.composite
def spectra(draw):
    """Any whitened spectrogram: few lines on nothing, or noise all over."""
    frames = draw(st.integers(0, 9))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    spectrum = np.full((frames, CONFIG.high_bin - CONFIG.low_bin), -1.0, np.float32)
    for _ in range(draw(st.integers(0, 20))):
        spectrum[:, rng.integers(0, spectrum.shape[1])] = rng.uniform(0.1, 4.0)
    if draw(st.booleans()):
        spectrum += rng.standard_normal(spectrum.shape).astype(np.float32)
    return spectrum


@settings(max_examples=60, deadline=None)
@given(spectra())
def test_ridges_are_the_strongest_maxima_along_frequency(spectrum):
    found = columns_of(find_ridges(spectrum))
    assert len(found) == -(-len(spectrum) // RIDGE_FRAMES)
    for row, columns in enumerate(found):
        some = spectrum[row * RIDGE_FRAMES : (row + 1) * RIDGE_FRAMES]
        mean = np.maximum(some, 0.0).sum(axis=0)
        around = np.pad(mean, 3)
        highest = np.max([around[k : k + len(mean)] for k in range(7)], axis=0)
        maxima = np.flatnonzero((mean > 0) & (mean == highest))
        assert columns <= set(maxima.tolist())
        # One may be given up for a gap that a byte can't bridge; equal ones are as good.
        assert len(columns) >= min(RIDGES, len(maxima)) - 1
        left_out = [mean[at] for at in maxima if at not in columns]
        if len(columns) == RIDGES and left_out:
            # Heights are compared by 14 of their bits.
            assert min(mean[list(columns)]) >= max(left_out) * (1.0 - 2.0**-14)


def test_a_gap_wider_than_a_byte_is_bridged():
    spectrum = np.full((2, 468), -1.0, np.float32)
    spectrum[:, [3, 450]] = 2.0
    assert columns_of(find_ridges(spectrum)) == [{3, 450}]


@pytest.mark.parametrize("gap", [253, 254, 255, 256, 257])
def test_no_ridge_is_lost_behind_a_gap_of_about_a_byte(gap):
    spectrum = np.full((2, 468), -1.0, np.float32)
    spectrum[:, [60, 60 + gap, 70 + gap]] = 2.0
    assert columns_of(find_ridges(spectrum)) == [{60, 60 + gap, 70 + gap}]


def test_a_gap_that_goes_with_the_weakest_ridge_is_not_divided():
    spectrum = np.full((2, 468), -1.0, np.float32)
    near = [5, 33, 38, 68, 88, 157, 179]
    spectrum[:, near] = 2.0
    spectrum[:, 453] = 1.0  # 274 above the one before: no room for it and the step between
    assert columns_of(find_ridges(spectrum)) == [set(near)]


def test_ridges_do_not_depend_on_the_blocks():
    sound = tune(3, 80.0)  # more than two sections
    whole = track_peaks([block(sound)], CONFIG)[0].ridges
    cut = track_peaks([block(part) for part in np.split(sound, [12_345, 400_001])], CONFIG)[0]
    np.testing.assert_array_equal(cut.ridges, whole)
    at_once = find_ridges(whiten(power_frames(sound, CONFIG), CONFIG))
    assert np.mean(np.any(whole != at_once, axis=1)) < 0.01


@settings(max_examples=10, deadline=None)
@given(gain_db=st.floats(-80.0, 30.0))
def test_level_does_not_matter(gain_db):
    sound = tune(2, 6.0)
    plain = track_peaks([block(sound)], CONFIG)[0].ridges
    scaled = track_peaks([block(sound * np.float32(10 ** (gain_db / 20)))], CONFIG)[0].ridges
    assert np.mean(plain != scaled) < 0.02


def test_silence_has_no_ridges():
    codes = track_peaks([block(np.zeros(4 * RATE))], CONFIG)[0].ridges
    assert len(codes)
    assert not codes.any()
