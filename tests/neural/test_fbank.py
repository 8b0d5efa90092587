"""AST's own filter bank is what transformers computes for it."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from transformers import ASTFeatureExtractor

from songid_desktop.neural.config import FrontEnd
from songid_desktop.neural.fbank import Fbank
from tests.support.encoders import noise

FRONT = FrontEnd(
    kind="fbank",
    sample_rate=16_000,
    window_s=10.24,
    n_fft=512,
    frame_samples=400,
    hop=160,
    n_frames=1024,
    f_min=20.0,
    f_max=8000.0,
    standardise=False,
    mean=-4.2677393,
    deviation=2 * 4.5689974,
)


@pytest.mark.parametrize("seconds", [0.5, 5.0, 12.0])
def test_it_is_the_reference(seconds: float) -> None:
    # Noise with a slope, so that the mean of a frame and the pre-emphasis have something to do.
    sound = np.cumsum(noise(round(seconds * 16_000)) * 0.05).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that one filter of 128 is empty: as in pretraining
        reference = ASTFeatureExtractor()(sound, sampling_rate=16_000, return_tensors="np")
    ours = Fbank(FRONT).of_windows(sound[None])[0]
    np.testing.assert_allclose(ours.T, reference.input_values[0], atol=1e-4)
