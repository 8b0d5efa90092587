"""Fitting a probability to looks, whatever it says: logistic regression whose weights
may only be as their features mean, the rival to expect, and what comes of it on other tracks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

RIDGE = 1e-6
FOLDS = 5


class FittedLead(Protocol):
    """What a probability is computed from."""

    @property
    def rivals(self) -> tuple[float, ...]: ...
    @property
    def clip_s(self) -> float: ...


class FittedLook(Protocol):
    """One look, as far as every fit needs it."""

    @property
    def path(self) -> str: ...
    @property
    def is_enrolled(self) -> bool: ...
    @property
    def is_right(self) -> bool: ...
    @property
    def lead(self) -> FittedLead: ...


Look = TypeVar("Look", bound=FittedLook)


def curve_weights(
    features: Floats,
    rows: Sequence[FittedLook],
    signs: Sequence[int],
    absent_weight: float,
    already: Floats | float = 0.0,
) -> tuple[float, ...]:
    """Logistic regression on whether the first candidate is right.

    Parameters
    ----------
    features : float64 array, shape (looks, k)
        The last one is the constant.
    signs : sequence of int, k
        Which way each feature may speak: 1 for, -1 against, 0 either.
    absent_weight : float
        Of a look whose track is not enrolled, against one whose track is.
    already : float64 array, shape (looks,), or 0
        What speaks for each one besides, in logits.
    """
    from scipy.optimize import minimize

    right = np.array([row.is_right and row.is_enrolled for row in rows])
    weight = np.where([row.is_enrolled for row in rows], 1.0, absent_weight)
    weight /= weight.sum()
    scale = np.append(features[:, :-1].std(axis=0) + 1e-9, 1.0)
    side = np.where(right, 1.0, -1.0)

    def loss(weights: Floats) -> tuple[float, Floats]:
        margin = side * (features / scale @ weights + already)
        slope = -side * weight / (1.0 + np.exp(np.clip(margin, -60, 60)))
        value = float((weight * np.logaddexp(0.0, -margin)).sum() + RIDGE * (weights @ weights))
        return value, (features / scale).T @ slope + 2 * RIDGE * weights

    bounds = [
        (0.0, None) if sign > 0 else (None, 0.0) if sign < 0 else (None, None) for sign in signs
    ]
    found = minimize(loss, np.zeros(len(scale)), jac=True, method="L-BFGS-B", bounds=bounds)
    return tuple((found.x / scale).tolist())


def typical_rival(rows: Sequence[FittedLook]) -> tuple[float, float]:
    """Line through the best rival's score among what must not be answered, against log length; its
    upper half, because a small library is to err on the careful side."""
    absent = [row for row in rows if not row.is_enrolled and row.lead.rivals]
    log_s = np.array([np.log(row.lead.clip_s) for row in absent])
    score = np.array([row.lead.rivals[0] for row in absent])
    slope, constant = np.polyfit(log_s, score, 1)
    above = score > constant + slope * log_s
    slope, constant = np.polyfit(log_s[above], score[above], 1)
    return float(constant), float(slope)


def fold_of(path: str) -> int:
    """Which part of the tracks this one belongs to."""
    return hashlib.sha256(path.encode()).digest()[0] % FOLDS


def cross_validated(
    rows: Sequence[Look], fitted: Callable[[Sequence[Look]], Callable[[Look], float]]
) -> Floats:
    """Probability of every row by a curve fitted on the other tracks."""
    fold = np.array([fold_of(row.path) for row in rows])
    probability = np.zeros(len(rows))
    for number in range(FOLDS):
        curve = fitted([row for row, own in zip(rows, fold, strict=True) if own != number])
        for at in np.flatnonzero(fold == number).tolist():
            probability[at] = curve(rows[at])
    return probability
