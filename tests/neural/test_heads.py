"""The heads: what they keep, what they forget, and what dropout does to the classifier."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from songid_desktop.neural.heads import (
    AttentionPooling,
    Classifier,
    DivideEncode,
    MeanPooling,
    TokenHead,
    normalised,
)
from tests.support.encoders import AST, WAVE


def test_each_group_looks_at_its_own_features_alone() -> None:
    head = DivideEncode(24, 6, hidden=5)
    features = torch.randn(2, 24)
    changed = features.clone()
    changed[:, 4:8] += 1  # the second group of four
    with torch.no_grad():
        differs = (head(features) - head(changed)).abs().amax(dim=0) > 1e-7
    assert differs.tolist() == [False, True, False, False, False, False]


def test_divided_features_equal_one_network_a_group() -> None:
    head = DivideEncode(12, 3, hidden=4)
    features = torch.randn(5, 12)
    with torch.no_grad():
        for group in range(3):
            part = features[:, 4 * group : 4 * group + 4]
            hidden = torch.nn.functional.elu(part @ head.weight_in[group] + head.bias_in[group])
            out = hidden @ head.weight_out[group] + head.bias_out[group]
            np.testing.assert_allclose(head(features)[:, group], out[:, 0], atol=1e-5)


def test_features_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ValueError, match="equal groups"):
        DivideEncode(10, 4)


def test_poolings_forget_the_order_of_tokens() -> None:
    tokens = torch.randn(2, 7, 8)
    shuffled = tokens[:, torch.randperm(7)]
    for pooling in (MeanPooling(), AttentionPooling(8)):
        with torch.no_grad():
            np.testing.assert_allclose(pooling(tokens), pooling(shuffled), atol=1e-5)


def test_attention_that_knows_nothing_is_the_mean() -> None:
    pooling = AttentionPooling(8)
    torch.nn.init.zeros_(pooling.score.weight)
    tokens = torch.randn(2, 7, 8)
    with torch.no_grad():
        np.testing.assert_allclose(pooling(tokens), tokens.mean(dim=1), atol=1e-6)


def test_multi_sample_dropout_averages_in_training_and_is_off_in_use() -> None:
    embedding = torch.randn(4, 16)
    torch.manual_seed(1)
    many = Classifier(16, 3, dropout=0.5, samples=4000)
    with torch.no_grad():
        in_training = many.train()(embedding)
        in_use = many.eval()(embedding)
    np.testing.assert_allclose(in_training, in_use, atol=0.1)
    np.testing.assert_array_equal(in_use, many.linear(embedding).detach())


def test_a_head_that_keeps_places_tells_orders_apart() -> None:
    head = TokenHead(AST, 32, 32)
    tokens = torch.randn(2, 32, 32)
    with torch.no_grad():
        assert (head(tokens) - head(tokens.flip(1))).abs().max() > 1e-3


def test_no_head_gives_the_pooled_features() -> None:
    from dataclasses import replace

    head = TokenHead(replace(WAVE, head="none", n_classes=0), 9, 32)
    tokens = torch.randn(2, 9, 32)
    np.testing.assert_allclose(head(tokens), tokens.mean(dim=1))
    assert not list(head.parameters())


def test_classifying_gives_vectors_and_logits() -> None:
    vectors, logits = TokenHead(WAVE, 9, 32).classify(torch.randn(2, 9, 32))
    assert vectors.shape == (2, 16)
    assert logits.shape == (2, 5)
    with pytest.raises(ValueError, match="classification"):
        TokenHead(AST, 32, 32).classify(torch.randn(2, 32, 32))


def test_nothing_normalises_to_nothing_without_a_fault() -> None:
    assert torch.isfinite(normalised(torch.zeros(1, 8, dtype=torch.bfloat16))).all()
