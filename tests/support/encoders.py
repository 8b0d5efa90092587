"""Learned identifiers made small: every architecture, in sizes that run in milliseconds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import nn

from songid_desktop.neural.build import build
from songid_desktop.neural.config import CnnBody, FrontEnd, Model, TransformerBody
from songid_desktop.types import FloatArray

torch.set_num_threads(1)

CNN = Model(dim=32, body=CnnBody(channels=(4, 8, 8, 16, 16)), group_hidden=4)
BASELINE = Model(
    architecture="cnn_baseline", body=CnnBody(channels=(4, 8, 16)), head="mean", dim=16, n_classes=5
)
ENHANCED = replace(
    BASELINE, architecture="cnn_enhanced", body=CnnBody(channels=(4, 8, 8, 16)), retrieval="clip"
)
_BODY = TransformerBody(
    hidden=32,
    layers=2,
    attention_heads=2,
    intermediate=64,
    position_kernel=8,
    position_groups=4,
    stable_layer_norm=True,
    picture_channels=(4, 8),
)
AST = Model(name="ast", architecture="ast", body=_BODY, dim=32, group_hidden=4)
MERT = Model(name="mert", architecture="mert", body=_BODY, dim=32, group_hidden=4)
WAVE = Model(
    name="mert",
    architecture="mert",
    front_end=FrontEnd(kind="waveform"),
    body=replace(
        _BODY, conv_channels=(8, 8), conv_kernels=(10, 8), conv_strides=(20, 8), conv_norm="layer"
    ),
    head="attention",
    dim=16,
    n_classes=5,
    retrieval="clip",
)
ALL = {
    "cnn": CNN,
    "cnn_baseline": BASELINE,
    "cnn_enhanced": ENHANCED,
    "ast": AST,
    "mert": MERT,
    "mert_waveform": WAVE,
}


def encoder(model: Model, seed: int = 0) -> nn.Module:
    """An encoder with random weights whose normalisation has seen something, ready to use."""
    torch.manual_seed(seed)
    module = build(model)
    module.train()
    with torch.no_grad():
        module(torch.randn(8, *model.front_end.input_shape))
    return module.eval()


def noise(n_samples: int, seed: int = 0) -> FloatArray:
    """White noise at about -20 dB."""
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal(n_samples)).astype(np.float32)
