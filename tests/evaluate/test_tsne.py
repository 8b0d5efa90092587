"""Neighbours stay neighbours, and the same vectors give the same picture."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from songid_desktop.errors import Cancelled
from songid_desktop.evaluate.tsne import embed, joint_probabilities
from songid_desktop.types import CancelToken


def clusters(count: int, each: int, dim: int = 16) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    middles = 5.0 * rng.standard_normal((count, dim))
    points = middles.repeat(each, axis=0) + rng.standard_normal((count * each, dim))
    return points, np.arange(count).repeat(each)


def test_what_belongs_together_lies_together() -> None:
    points, groups = clusters(4, 25)
    places = embed(points, steps=300)
    distances = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    assert np.mean(groups[distances.argmin(axis=1)] == groups) > 0.98
    assert np.abs(places.mean(axis=0)).max() < 1e-6 * np.abs(places).max() + 1e-9


def test_it_is_the_same_every_time() -> None:
    points, _ = clusters(3, 6)
    assert np.array_equal(embed(points, steps=50), embed(points, steps=50))


@pytest.mark.parametrize("perplexity", [3.0, 8.0])
def test_rows_have_the_wanted_perplexity(perplexity: float) -> None:
    points, _ = clusters(2, 15)
    joint = joint_probabilities(points, perplexity)
    assert joint.sum() == pytest.approx(1.0, abs=1e-6)
    assert np.allclose(joint, joint.T)
    # What is near is likelier than what is far.
    assert joint[:15, :15].sum() > 5 * joint[:15, 15:].sum()


@given(st.integers(4, 12), st.integers(1, 5), st.integers(0, 3))
@settings(max_examples=20)
def test_few_or_equal_points_give_finite_places(count: int, dim: int, kinds: int) -> None:
    points = np.random.default_rng(count).integers(0, kinds + 1, (count, dim)).astype(np.float32)
    places = embed(points, steps=30)
    assert places.shape == (count, 2)
    assert np.isfinite(places).all()


def test_too_few_points_are_refused() -> None:
    with pytest.raises(ValueError, match="3 points are too few"):
        embed(np.zeros((3, 4)))


def test_cancel_ends_it() -> None:
    cancel = CancelToken()
    points, _ = clusters(3, 6)
    with pytest.raises(Cancelled):
        embed(points, cancel=cancel, progress=lambda done, _total: done == 5 and cancel.set())
