"""Boosted trees as numbers: what they say, and which way each feature may speak."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from songid_desktop.evaluate.fit_trees import boosted
from songid_desktop.identify.calibration import leaf_of

SIGNS = (1, -1, 0)


def looks(count=4000):
    rng = np.random.default_rng(3)
    features = rng.standard_normal((count, 3))
    # Not additive: the first feature says nothing where the second is high.
    logits = 3.0 * features[:, 0] * (features[:, 1] < 0.5) - 2.0 * features[:, 1]
    return features, rng.random(count) < 1.0 / (1.0 + np.exp(-logits))


@pytest.fixture(scope="module")
def model():
    features, is_right = looks()
    return boosted(features, is_right, np.ones(len(features)), SIGNS)


def logits(model, features):
    start, trees = model
    return start + sum(leaf_of(tree, features) for tree in trees)


def test_what_is_likely_is_called_likely(model):
    features, is_right = looks()
    said = 1.0 / (1.0 + np.exp(-np.array([logits(model, row) for row in features])))
    for low in (0.0, 0.25, 0.5, 0.75):
        part = (said >= low) & (said < low + 0.25)
        assert is_right[part].mean() == pytest.approx(said[part].mean(), abs=0.06)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-4, 4), min_size=3, max_size=3), st.floats(0, 4), st.sampled_from([0, 1]))
def test_no_feature_speaks_against_its_meaning(model, at, more, which):
    moved = list(at)
    moved[which] += more
    change = logits(model, moved) - logits(model, at)
    assert change * SIGNS[which] >= 0.0


def test_a_heavier_weight_of_what_is_wrong_makes_less_sure():
    features, is_right = looks()
    heavier = boosted(features, is_right, np.where(is_right, 1.0, 4.0), SIGNS)
    plain = boosted(features, is_right, np.ones(len(features)), SIGNS)
    some = features[:200]
    assert np.mean([logits(heavier, row) for row in some]) < np.mean(
        [logits(plain, row) for row in some]
    )
