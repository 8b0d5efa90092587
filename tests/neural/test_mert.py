"""The HuBERT encoder for music: waveform as MERT has it, or tokens of mel frames."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from transformers import HubertModel

from songid_desktop.neural.build import build
from songid_desktop.neural.config import FrontEnd, Model, TransformerBody
from songid_desktop.neural.mert import MertEncoder, picture_tokens, waveform_tokens
from tests.support.encoders import MERT, WAVE, encoder


def test_mel_frames_go_into_the_same_encoder() -> None:
    module = encoder(MERT)
    assert isinstance(module, MertEncoder)
    assert isinstance(module.backbone, HubertModel)
    assert picture_tokens(MERT) == (16, 32)
    with torch.inference_mode():
        pictures = torch.randn(3, 128, 64)
        assert module.tokens(pictures).shape == (3, 32, 32)
        np.testing.assert_allclose(module(pictures).norm(dim=1), 1, atol=1e-5)


def test_a_waveform_gives_as_many_tokens_as_stated() -> None:
    module = encoder(WAVE)
    assert isinstance(module, MertEncoder)
    with torch.inference_mode():
        sound = torch.randn(2, 8000)
        assert module.tokens(sound).shape == (2, waveform_tokens(WAVE), 32)
        np.testing.assert_allclose(module(sound).norm(dim=1), 1, atol=1e-5)


def test_the_official_geometry_has_75_tokens_a_second_and_95_million_weights() -> None:
    official = Model(
        name="mert",
        architecture="mert",
        front_end=FrontEnd(kind="waveform", sample_rate=24_000, window_s=5.0),
        body=TransformerBody(
            hidden=768, layers=12, attention_heads=12, intermediate=3072, layer_norm_eps=1e-5,
            conv_channels=(512,) * 7, conv_kernels=(10, 3, 3, 3, 3, 2, 2),
            conv_strides=(5, 2, 2, 2, 2, 2, 2), position_kernel=128,
        ),
        head="none",
        dim=768,
    )  # fmt: skip
    assert math.isclose(waveform_tokens(official) / 5, 75, rel_tol=0.01)
    with torch.device("meta"):
        module = build(official)
    assert 94e6 < sum(p.numel() for p in module.parameters()) < 95e6


@pytest.mark.parametrize("model", [MERT, WAVE], ids=["mel", "waveform"])
def test_a_gradient_reaches_every_weight(model: Model) -> None:
    module = build(model).train()
    module(torch.randn(2, *model.front_end.input_shape)).sum().backward()
    without = [name for name, p in module.named_parameters() if p.grad is None]
    assert all(name.startswith("head.classifier") for name in without)
