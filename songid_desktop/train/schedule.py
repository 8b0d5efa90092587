"""Rates: how long a training is, how fast it learns at each step, and the optimiser."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from songid_desktop.train.config import Optimiser, Train


def total_steps(train: Train, tracks: int) -> int:
    """Steps of a training whose length is given in steps or in epochs."""
    if train.epochs:
        windows = train.epochs * train.windows_per_track * tracks
        return max(1, round(windows / train.batch))
    return train.steps


def learning_rate(optimiser: Optimiser, step: int, steps: int) -> float:
    """Of the step that follows `step` others; ``plateau`` and ``constant`` stay where they are
    once warm."""
    top = optimiser.learning_rate
    warm = max(1, round(optimiser.warmup_share * steps))
    if optimiser.schedule in {"constant", "plateau"}:
        return top
    if optimiser.schedule == "cosine":
        return top * 0.5 * (1.0 + math.cos(math.pi * step / steps))
    if optimiser.schedule == "trapezoid":
        left = (steps - step) / max(1.0, optimiser.cooldown_share * steps)
        return top * min(1.0, (step + 1) / warm, max(left, 1e-3))
    if step < warm:
        share = 0.5 * (1.0 - math.cos(math.pi * step / warm))
        return top * (0.04 + 0.96 * share)
    share = (step - warm) / max(1, steps - warm)
    return top * (0.5 * (1.0 + math.cos(math.pi * share)) + 1e-4)


def make_optimiser(settings: Optimiser, parameters: list[Tensor]) -> torch.optim.Optimizer:
    """Adam or AdamW over the weights that learn."""
    rate, decay = settings.learning_rate, settings.weight_decay
    if settings.kind == "adam":
        return torch.optim.Adam(parameters, lr=rate)
    return torch.optim.AdamW(parameters, lr=rate, weight_decay=decay)
