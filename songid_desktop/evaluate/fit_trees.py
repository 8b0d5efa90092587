"""Boosted trees for a probability, each feature allowed to speak one way only (scikit-learn's
histogram gradient boosting), as plain numbers that need no library to be read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from songid_desktop.errors import EnvironmentProblem
from songid_desktop.identify.calibration import Node, leaf_of

Floats = npt.NDArray[np.float64]

TREES = 150
LEAVES = 8
LEARNING_RATE = 0.06
LEAST_LOOKS = 60
"""In a leaf."""
_DIGITS = 6
_TOLERANCE = 0.02
"""Of the sum of all trees, in logits, once their numbers are rounded."""


def boosted(
    features: Floats,
    is_right: npt.NDArray[np.bool_],
    weight: Floats,
    signs: Sequence[int],
) -> tuple[float, tuple[Node, ...]]:
    """Fit trees to looks.

    Parameters
    ----------
    features : float64 array, shape (looks, k)
    is_right : bool array, shape (looks,)
    weight : float64 array, shape (looks,)
    signs : sequence of int, k
        Which way each feature may speak: 1 for, -1 against, 0 either.

    Returns
    -------
    float, tuple of Node
        Logits to begin with, and the trees whose leaves are added.

    Raises
    ------
    EnvironmentProblem
        scikit-learn is missing, or its trees can't be read.
    """
    try:
        from sklearn.ensemble import HistGradientBoostingClassifier
    except ImportError:
        raise EnvironmentProblem(
            "Fitting a probability needs scikit-learn: pip install scikit-learn. The program "
            "itself works without."
        ) from None
    model = HistGradientBoostingClassifier(
        max_iter=TREES,
        learning_rate=LEARNING_RATE,
        max_leaf_nodes=LEAVES,
        min_samples_leaf=LEAST_LOOKS,
        l2_regularization=5.0,
        monotonic_cst=list(signs),
        early_stopping=False,
        random_state=0,
    )
    model.fit(features, is_right, sample_weight=weight)
    trees = tuple(_tree(model._predictors[number][0].nodes, 0) for number in range(TREES))
    some = features[:: max(1, len(features) // 500)]
    wanted = np.asarray(model.decision_function(some))
    said = np.array([sum(leaf_of(tree, row) for tree in trees) for row in some])
    start = float(np.median(wanted - said))
    if np.abs(wanted - said - start).max() > _TOLERANCE:
        raise EnvironmentProblem(
            "This version of scikit-learn keeps its trees in another form, and they can't be read. "
            "Version 1.9 works."
        )
    return round(start, _DIGITS), trees


def _tree(nodes: Any, at: int) -> Node:
    node = nodes[at]
    if node["is_leaf"]:
        return round(float(node["value"]), _DIGITS)
    return (
        int(node["feature_idx"]),
        # Not rounded: looks that stand right on a threshold are not to change sides.
        float(node["num_threshold"]),
        _tree(nodes, int(node["left"])),
        _tree(nodes, int(node["right"])),
    )
