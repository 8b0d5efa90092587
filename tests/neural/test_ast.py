"""The Audio Spectrogram Transformer: our small one and the official geometry are the same code."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from songid_desktop.neural.ast import AstEncoder, ast_config
from songid_desktop.neural.build import build
from songid_desktop.neural.config import CnnBody, FrontEnd, Model, TransformerBody
from tests.support.encoders import AST, encoder


def test_tokens_are_the_patches_alone_and_vectors_have_length_one() -> None:
    module = encoder(AST)
    assert isinstance(module, AstEncoder)
    with torch.inference_mode():
        pictures = torch.randn(3, 128, 64)
        assert module.tokens(pictures).shape == (3, 8 * 4, 32)
        np.testing.assert_allclose(module(pictures).norm(dim=1), 1, atol=1e-5)


def test_the_official_geometry_is_transformers_default() -> None:
    official = Model(
        name="ast",
        architecture="ast",
        front_end=FrontEnd(kind="fbank", n_mels=128, n_frames=1024),
        body=TransformerBody(
            hidden=768, layers=12, attention_heads=12, intermediate=3072, frequency_stride=10,
            time_stride=10,
        ),
        head="none",
        dim=768,
    )  # fmt: skip
    from transformers import ASTConfig

    ours, theirs = ast_config(official).to_dict(), ASTConfig().to_dict()
    assert {k: v for k, v in ours.items() if theirs[k] != v} == {}
    with torch.device("meta"):
        module = build(official)
    assert 86e6 < sum(p.numel() for p in module.parameters()) < 87e6


@pytest.mark.parametrize("head", ["divide_encode", "mean", "attention"])
def test_every_head_trains(head: str) -> None:
    module = build(replace(AST, head=head, n_classes=4)).train()  # type: ignore[arg-type]
    vectors, logits = module.classify(torch.randn(2, 128, 64))  # type: ignore[operator]
    (vectors.sum() + logits.sum()).backward()
    assert all(p.grad is not None for p in module.parameters())
    assert logits.shape == (2, 4)


def test_positions_begin_apart() -> None:
    module = build(AST)
    assert isinstance(module, AstEncoder)
    assert module.backbone.embeddings.position_embeddings.std() > 0.01


def test_a_convolution_is_no_transformer() -> None:
    with pytest.raises(TypeError, match="transformer"):
        ast_config(Model(body=CnnBody()))
