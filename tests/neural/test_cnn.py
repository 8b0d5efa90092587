"""The convolutional encoders: the report's geometry, and the one that ships."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from songid_desktop.neural.build import build
from songid_desktop.neural.config import CnnBody, FrontEnd, Model, ModelError
from tests.support.encoders import BASELINE, CNN, ENHANCED, encoder


def parameter_count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_shipped_geometry_is_small_enough_to_travel() -> None:
    module = encoder(Model())
    assert 1_400_000 < parameter_count(module) < 1_700_000
    with torch.inference_mode():
        assert module(torch.randn(2, 128, 64)).shape == (2, 128)


@pytest.mark.parametrize("model", [CNN, BASELINE, ENHANCED], ids=lambda m: m.architecture)
def test_vectors_have_length_one(model: Model) -> None:
    with torch.inference_mode():
        vectors = encoder(model)(torch.randn(3, 128, 64))
    assert vectors.shape == (3, model.dim)
    np.testing.assert_allclose(vectors.norm(dim=1), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("architecture", "channels", "dim"),
    [("cnn_baseline", (32, 64, 128), 128), ("cnn_enhanced", (64, 128, 256, 512), 256)],
)
def test_the_reports_encoders_have_its_sizes(
    architecture: str, channels: tuple[int, ...], dim: int
) -> None:
    front = FrontEnd(
        sample_rate=22_050, window_s=5.0, n_fft=2048, frame_samples=2048, hop=512, n_mels=64,
        n_frames=216, f_max=11_000.0,
    )  # fmt: skip
    model = Model(
        architecture=architecture,  # type: ignore[arg-type]
        front_end=front,
        body=CnnBody(channels=channels),
        head="mean",
        dim=dim,
        n_classes=200,
    )
    module = build(model).eval()
    convolutions = [part for part in module.modules() if isinstance(part, nn.Conv2d)]
    assert tuple(c.out_channels for c in convolutions) == channels
    with torch.inference_mode():
        vectors, logits = module.classify(torch.randn(2, 64, 216))  # type: ignore[operator]
    assert vectors.shape == (2, dim)
    assert logits.shape == (2, 200)


def test_a_gradient_reaches_every_weight() -> None:
    for model in (CNN, ENHANCED):
        module = build(model).train()
        if model.n_classes:
            vectors, logits = module.classify(torch.randn(4, 128, 64))  # type: ignore[operator]
            (vectors.sum() + logits.sum()).backward()
        else:
            module(torch.randn(4, 128, 64)).sum().backward()
        assert all(p.grad is not None for p in module.parameters())


def test_a_missing_head_is_said() -> None:
    module = build(Model(architecture="cnn_baseline", body=CnnBody(channels=(4,)), head="mean"))
    with pytest.raises(ValueError, match="classification"):
        module.classify(torch.randn(1, 128, 64))  # type: ignore[operator]


def test_a_stage_without_a_step_is_refused() -> None:
    with pytest.raises(ModelError, match="stage"):
        build(Model(body=CnnBody(channels=(4, 8), strides=((2, 2),))))
