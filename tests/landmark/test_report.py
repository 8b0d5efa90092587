"""The report's peaks are those its text asks for, however the sound arrives."""

from __future__ import annotations

import itertools
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from songid_desktop.errors import Cancelled
from songid_desktop.landmark.report import (
    ReportConfig,
    decibel_frames,
    survey_blocks,
    window_max,
)
from tests.support.landmark_library import block, tune

RATE = 11_025
CONFIG = ReportConfig()


def surveyed(sound, sizes=(20,), config=CONFIG):
    return survey_blocks([block(sound, RATE)], sizes, config)


def textbook(sound, config):
    """The same by the plainest means: everything at once, whole medians, SciPy's filter."""
    from scipy.ndimage import maximum_filter

    half = np.zeros(config.n_fft // 2, np.float32)
    decibels = decibel_frames(np.concatenate([half, sound, half]), config)
    decibels = np.maximum(decibels, decibels.max() - config.top_db)
    threshold = config.eth * np.median(decibels, axis=0)
    is_peak = (decibels == maximum_filter(decibels, config.pns)) & (decibels > threshold)
    is_peak &= decibels > decibels.min()
    return decibels, np.argwhere(is_peak)


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 50),
    pns=st.sampled_from([20, 30, 40, 7]),
    eth=st.sampled_from([0.3, 0.5, 0.7]),
    gain_db=st.sampled_from([-40.0, 0.0, 10.0]),
)
def test_peaks_are_the_textbooks(seed, pns, eth, gain_db):
    config = ReportConfig(pns=pns, eth=eth)
    sound = tune(seed, 4.0, RATE) * np.float32(10 ** (gain_db / 20))
    sound += 1e-4 * np.random.default_rng(seed).standard_normal(len(sound)).astype(np.float32)
    decibels, expected = textbook(sound, config)
    peaks = surveyed(sound, [pns], config).peaks(config)
    found = set(zip(peaks.frame.tolist(), peaks.bin.tolist(), strict=True))
    wanted = set(map(tuple, expected.tolist()))
    assert peaks.n_frames == len(decibels)
    assert found == wanted
    assert len(found) > 5


def test_peaks_of_a_long_sound_are_the_textbooks_but_for_the_medians_steps():
    decibels, expected = textbook(LONG_TUNE, CONFIG)
    peaks = WHOLE.peaks(CONFIG)
    found = set(zip(peaks.frame.tolist(), peaks.bin.tolist(), strict=True))
    wanted = set(map(tuple, expected.tolist()))
    limit = CONFIG.eth * np.median(decibels, axis=0)
    for frame, column in found ^ wanted:
        assert abs(decibels[frame, column] - limit[column]) < 0.1 * CONFIG.eth
    assert len(found & wanted) > 300


@settings(max_examples=6, deadline=None)
@given(cuts=st.lists(st.integers(0, 55 * RATE), max_size=6))
def test_blocks_play_no_part(cuts):
    sound = LONG_TUNE
    edges = [0, *sorted(cuts), len(sound)]
    blocks = [block(sound[low:high], RATE, low) for low, high in itertools.pairwise(edges)]
    cut = survey_blocks(blocks, (20, 40), CONFIG)
    assert cut.n_samples == len(sound)
    for config in (CONFIG, ReportConfig(pns=40, eth=0.7)):
        some, other = cut.peaks(config), WHOLE.peaks(config)
        assert some.n_frames == other.n_frames
        np.testing.assert_array_equal(some.frame, other.frame)
        np.testing.assert_array_equal(some.bin, other.bin)


LONG_TUNE = tune(3, 55.0, RATE)
WHOLE = survey_blocks([block(LONG_TUNE, RATE)], (20, 40), CONFIG)


@given(
    size=st.integers(1, 12),
    axis=st.sampled_from([0, 1]),
    shape=st.tuples(st.integers(1, 15), st.integers(1, 15)),
)
def test_window_max_is_scipys(size, axis, shape):
    from scipy.ndimage import maximum_filter1d

    values = np.random.default_rng(size).standard_normal(shape).astype(np.float32)
    expected = maximum_filter1d(values, size, axis=axis, mode="constant", cval=-np.inf)
    np.testing.assert_array_equal(window_max(values, size, axis), expected)


def test_larger_windows_keep_fewer_peaks_and_only_ones_of_smaller_windows():
    survey = surveyed(tune(1, 20.0, RATE), (20, 30, 40))
    sets = []
    for pns in (20, 30, 40):
        peaks = survey.peaks(ReportConfig(pns=pns))
        sets.append(set(zip(peaks.frame.tolist(), peaks.bin.tolist(), strict=True)))
    assert sets[2] < sets[1] < sets[0]


def test_the_threshold_weighs_loud_bins_one_way_and_quiet_ones_the_other():
    """Medians in dB have a sign: a higher ETH drops peaks of loud bins, and admits some of quiet
    ones."""
    survey = surveyed(tune(2, 20.0, RATE) + 3e-4 * np.sin(np.arange(20 * RATE)))
    low, high = (survey.peaks(ReportConfig(eth=eth)) for eth in (0.3, 0.7))
    is_loud = survey.median_db > 1.0
    is_quiet = survey.median_db < -1.0
    for mask, fewer, more in ((is_loud, high, low), (is_quiet, low, high)):
        fewer_set, more_set = (
            {(f, b) for f, b in zip(p.frame.tolist(), p.bin.tolist(), strict=True) if mask[b]}
            for p in (fewer, more)
        )
        assert fewer_set <= more_set


@pytest.mark.parametrize(
    "sound",
    [
        np.zeros(0),
        np.zeros(1),
        np.zeros(5 * RATE),
        np.full(3 * RATE, np.nan),
        np.full(3 * RATE, np.inf),
        np.full(3 * RATE, 3e38),
        np.ones(3 * RATE),
        np.eye(1, 3 * RATE, 5000)[0],
    ],
    ids=["none", "one", "zeros", "nan", "inf", "huge", "constant", "click"],
)
def test_any_sound_gives_peaks_inside_it(sound):
    survey = surveyed(np.asarray(sound, np.float32))
    peaks = survey.peaks(CONFIG)
    assert survey.n_frames == 1 + len(sound) // CONFIG.hop_samples
    assert np.isfinite(survey.median_db).all()
    assert ((peaks.frame >= 0) & (peaks.frame < survey.n_frames)).all()
    assert ((peaks.bin >= 0) & (peaks.bin < CONFIG.n_bins)).all()


def test_silence_and_the_floor_have_no_peaks():
    assert len(surveyed(np.zeros(5 * RATE, np.float32)).peaks(CONFIG)) == 0
    sound = np.zeros(10 * RATE, np.float32)
    sound[: 2 * RATE] = tune(5, 2.0, RATE)
    peaks = surveyed(sound).peaks(CONFIG)
    assert len(peaks) > 10
    assert peaks.frame.max() <= 2 * RATE // CONFIG.hop_samples + 3


def test_blocks_of_another_rate_are_taken_at_the_first_ones():
    sound = tune(4, 6.0, RATE)
    from songid_desktop.audio.resample import resample

    blocks = [
        block(sound[: 3 * RATE], RATE),
        block(resample(sound[3 * RATE :], RATE, 16_000), 16_000),
    ]
    survey = survey_blocks(blocks, (20,), CONFIG)
    assert survey.sample_rate == RATE
    assert survey.n_samples == pytest.approx(len(sound), abs=4)


def test_no_blocks_at_all():
    survey = survey_blocks([], (20,), CONFIG)
    assert survey.n_samples == 0
    assert len(survey.peaks(CONFIG)) == 0


def test_a_cancel_is_heeded():
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        survey_blocks([block(tune(1, 1.0, RATE), RATE)], (20,), CONFIG, cancel)


def test_digests_name_what_differs():
    plain = ReportConfig()
    assert plain.digest() == ReportConfig().digest()
    assert ReportConfig(fan=15).digest() == plain.digest()
    assert ReportConfig(fan=15).index_digest() != plain.index_digest()
    for other in (ReportConfig(pns=30), ReportConfig(eth=0.5), ReportConfig(top_db=60.0)):
        assert other.digest() != plain.digest()
        assert other.index_digest() != plain.index_digest()


@pytest.mark.parametrize("values", [{"n_fft": 8192}, {"max_frames": 1024}, {"pns": 1}, {"fan": 0}])
def test_what_fits_no_hash_is_refused(values):
    with pytest.raises(ValueError, match=r"\d"):
        ReportConfig(**values)
