"""t-SNE, exact: many numbers a point onto a plane, so that neighbours stay neighbours.

Van der Maaten and Hinton (2008), as it is usually run: perplexity by bisection, exaggeration and
low momentum at first, a gain for every coordinate. Every pair of points is computed, which is right
for the hundreds of tracks of one picture (500 take some seconds) and wrong for many thousands. The
start is the first two principal components instead of chance, so the same vectors always give the
same picture.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from songid_desktop.errors import Cancelled
from songid_desktop.types import CancelToken

Floats = npt.NDArray[np.float64]

FEWEST = 4
"""Points; fewer have no neighbourhoods to keep."""
_PERPLEXITY = 30.0
_STEPS, _EXAGGERATED_STEPS = 750, 250
_EXAGGERATION = 12.0
_SLOW, _FAST = 0.5, 0.8
"""Momentum, while exaggerated and after."""
_LEAST_GAIN = 0.01
_START_SPREAD = 1e-4
_TINY = 1e-12


def embed(
    vectors: npt.NDArray[np.floating],
    perplexity: float = _PERPLEXITY,
    steps: int = _STEPS,
    *,
    cancel: CancelToken | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Floats:
    """Places on a plane.

    Parameters
    ----------
    vectors : float array, shape (n, d)
        At least `FEWEST` of them.
    perplexity : float
        About how many neighbours a point has; lowered where there are few points.

    Returns
    -------
    float64 array, shape (n, 2)
        Centred; the unit means nothing.

    Raises
    ------
    ValueError
        For too few points.
    Cancelled
    """
    count = len(vectors)
    if count < FEWEST:
        raise ValueError(f"{count} points are too few for a picture; {FEWEST} are needed")
    wanted = joint_probabilities(vectors, min(perplexity, (count - 1) / 3.0))
    places = _principal(vectors)
    rate = max(count / _EXAGGERATION / 4.0, 50.0)
    moved, gains = np.zeros_like(places), np.ones_like(places)
    early = min(_EXAGGERATED_STEPS, steps // 3)
    for step in range(steps):
        if cancel is not None and cancel.is_set():
            raise Cancelled
        is_early = step < early
        slope = _slope(wanted * _EXAGGERATION if is_early else wanted, places)
        is_turning = (slope > 0.0) != (moved > 0.0)
        gains = np.maximum(np.where(is_turning, gains + 0.2, gains * 0.8), _LEAST_GAIN)
        moved = (_SLOW if is_early else _FAST) * moved - rate * gains * slope
        places += moved
        places -= places.mean(axis=0)
        if progress is not None:
            progress(step + 1, steps)
    return places


def joint_probabilities(vectors: npt.NDArray[np.floating], perplexity: float) -> Floats:
    """How much two points are neighbours, over all pairs; symmetric, shape (n, n), sum 1.

    Each row's bandwidth is found by bisection so that the row has the wanted perplexity.
    """
    distances = _square_distances(np.asarray(vectors, np.float64))
    count = len(distances)
    np.fill_diagonal(distances, np.inf)
    nearest = distances.min(axis=1, keepdims=True)
    low = np.zeros((count, 1))
    high = np.full((count, 1), np.inf)
    beta = 1.0 / np.maximum(np.median(distances, axis=1, keepdims=True), _TINY)
    shifted = distances - nearest
    off_diagonal = np.where(np.isfinite(shifted), shifted, 0.0)
    rows = np.zeros_like(distances)
    for _ in range(60):
        weights = np.exp(-beta * shifted)
        total = weights.sum(axis=1, keepdims=True)
        entropy = np.log(total) + beta * (weights * off_diagonal).sum(axis=1, keepdims=True) / total
        rows = weights / total
        is_wide = entropy > np.log(perplexity)
        low = np.where(is_wide, beta, low)
        high = np.where(is_wide, high, beta)
        beta = np.where(np.isinf(high), beta * 2.0, (low + np.where(np.isinf(high), 0, high)) / 2.0)
    joint = rows + rows.T
    return np.asarray(np.maximum(joint / joint.sum(), _TINY), np.float64)


def _square_distances(points: Floats) -> Floats:
    sizes = (points**2).sum(axis=1)
    crossed = sizes[:, None] + sizes[None, :] - 2.0 * points @ points.T
    return np.asarray(np.maximum(crossed, 0.0), np.float64)


def _slope(wanted: Floats, places: Floats) -> Floats:
    """Gradient of the divergence between wanted and present neighbourhoods, shape (n, 2)."""
    kernel = 1.0 / (1.0 + _square_distances(places))
    np.fill_diagonal(kernel, 0.0)
    pull = (wanted - kernel / kernel.sum()) * kernel
    return np.asarray(4.0 * (pull.sum(axis=1, keepdims=True) * places - pull @ places), np.float64)


def _principal(vectors: npt.NDArray[np.floating]) -> Floats:
    """The first two principal components, tiny, with a sign that does not depend on the solver."""
    centred = np.asarray(vectors, np.float64) - np.mean(vectors, axis=0)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    places = np.zeros((len(centred), 2))
    kept = min(2, left.shape[1])
    places[:, :kept] = left[:, :kept] * sizes[:kept]
    signs = np.sign(places[np.abs(places).argmax(axis=0), [0, 1]])
    places *= np.where(signs == 0.0, 1.0, signs)
    spread = max(float(places[:, 0].std()), _TINY)
    return places / spread * _START_SPREAD
