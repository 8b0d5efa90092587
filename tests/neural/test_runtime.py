"""What makes an encoder fast leaves its numbers as they are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from songid_desktop.neural.config import Model
from songid_desktop.neural.runtime import prepare
from tests.support.encoders import ALL, MERT, encoder


@pytest.mark.parametrize("model", ALL.values(), ids=ALL)
def test_folding_changes_nothing_but_rounding(model: Model) -> None:
    module = encoder(model)
    windows = torch.randn(3, *model.front_end.input_shape)
    with torch.inference_mode():
        before = module(windows)
        after = prepare(module, bfloat16=False)(windows)
    np.testing.assert_allclose(after, before, atol=1e-4)


@pytest.mark.parametrize("model", ALL.values(), ids=ALL)
def test_nothing_is_left_to_normalise_pictures_or_weights(model: Model) -> None:
    module = prepare(encoder(model), bfloat16=True)
    assert not any(isinstance(part, nn.BatchNorm2d) for part in module.modules())
    assert not any("parametrizations" in name for name, _ in module.named_parameters())


def test_the_head_stays_in_full_precision() -> None:
    module = prepare(encoder(MERT), bfloat16=True)
    assert {p.dtype for p in module.head.parameters()} == {torch.float32}  # type: ignore[union-attr]
    assert {p.dtype for p in module.backbone.parameters()} == {torch.bfloat16}  # type: ignore[union-attr]
