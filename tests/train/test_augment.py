"""Masks over log-mel frames."""

from __future__ import annotations

import numpy as np
import pytest

from songid_desktop.train.augment import coarse, mask_frames, standardised, warped
from songid_desktop.train.config import Masks
from songid_desktop.types import FloatArray

NOTHING = Masks(equalise_p=0, codec_p=0, time_p=0, frequency_p=0, warp_p=0)


def _frames(count: int = 5) -> FloatArray:
    return np.random.default_rng(1).normal(-3.0, 2.0, (count, 32, 20)).astype(np.float32)


@pytest.mark.parametrize("masks", [NOTHING, Masks(), Masks(1, 1, 1, 1, 0.3, 1, 0.3, 1, 0.1)])
def test_masked_windows_are_standardised_and_the_given_ones_untouched(masks: Masks) -> None:
    frames = _frames()
    before = frames.copy()
    masked = mask_frames(frames, masks, np.random.default_rng(2))
    np.testing.assert_array_equal(frames, before)
    np.testing.assert_allclose(masked.mean(axis=(1, 2)), 0.0, atol=1e-4)
    np.testing.assert_allclose(masked.std(axis=(1, 2)), 1.0, atol=1e-3)
    assert masked.dtype == np.float32


def test_without_masks_only_the_scale_changes() -> None:
    frames = _frames()
    masked = mask_frames(frames, NOTHING, np.random.default_rng(2))
    np.testing.assert_allclose(masked, standardised(frames), atol=1e-5)


def test_a_time_mask_blanks_whole_frames_and_a_frequency_mask_whole_bands() -> None:
    for masks, axis in (
        (Masks(0, 0, 0, 1.0, 0.5, 0, 0, 0), 1),
        (Masks(0, 0, 0, 0, 0, 1.0, 0.5, 0), 2),
    ):
        masked = mask_frames(_frames(30), masks, np.random.default_rng(2))
        flat = (np.ptp(masked, axis=axis) < 1e-4).sum(axis=1)
        most = 0.5 * masked.shape[3 - axis]
        assert flat.max() > 2
        assert flat.max() <= most


def test_an_equaliser_is_the_same_in_every_frame() -> None:
    frames = _frames()
    masked = mask_frames(frames, Masks(1, 1.0, 0, 0, 0, 0, 0, 0), np.random.default_rng(2))
    change = masked * frames.std(axis=(1, 2))[:, None, None] - frames
    # One factor (the window's new deviation) aside, each band moved as a whole.
    assert np.corrcoef(masked[0].ravel(), frames[0].ravel())[0, 1] > 0.5
    assert change.std() > 0.01


def test_a_coarse_codec_loses_only_what_is_masked() -> None:
    frames = _frames(1)[0]
    lost = coarse(frames, 6.0) < frames
    assert 0 < lost.mean() < 1
    assert not lost[frames.argmax(axis=0), np.arange(frames.shape[1])].any()


def test_a_warp_keeps_both_ends() -> None:
    frames = _frames(1)[0]
    moved = warped(frames, 0.2, np.random.default_rng(1))
    np.testing.assert_allclose(moved[:, 0], frames[:, 0], atol=1e-5)
    np.testing.assert_allclose(moved[:, -1], frames[:, -1], atol=1e-5)
    assert not np.allclose(moved, frames)
