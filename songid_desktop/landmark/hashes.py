"""Hashes: pairs of peaks (anchor and target) as one number that survives noise around them.

A hash holds the anchor's bin, the step in bins to the target and the step in frames, and nothing of
when it happened: that is what it is looked up for. Both sides, track and clip, make them by the
same rule from their own peaks; the clip with more targets per anchor, because it has more peaks.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from songid_desktop.landmark.config import HashConfig

IntArray = npt.NDArray[np.int64]
KeyArray = npt.NDArray[np.uint32]

BIN_BITS, DELTA_BITS, TIME_BITS = 9, 8, 6
KEY_BITS = BIN_BITS + DELTA_BITS + TIME_BITS
_DELTA_ZERO = 1 << (DELTA_BITS - 1)

_FARTHEST_TARGET = 400  # in peaks; ends the search in sounds with absurdly many of them


def pair_peaks(
    frame: IntArray, column: IntArray, config: HashConfig, fan: int
) -> tuple[IntArray, IntArray]:
    """Anchor and target positions of every pair, shape (p,) each.

    Parameters
    ----------
    frame, column : int64 arrays, shape (n,)
        Peaks in order of frame, then bin.
    fan : int
        Targets an anchor has at most: the nearest ones in time (then lowest) in its zone.
    """
    n = len(frame)
    taken = np.zeros(n, np.int64)
    anchors: list[IntArray] = []
    targets: list[IntArray] = []
    open_anchors = np.arange(n)
    for step in range(1, min(n, _FARTHEST_TARGET)):
        if len(open_anchors) and open_anchors[-1] + step >= n:
            open_anchors = open_anchors[: int(np.searchsorted(open_anchors, n - step))]
        target = open_anchors + step
        dt = frame[target] - frame[open_anchors]
        good = (
            (dt >= config.min_frames)
            & (dt <= config.max_frames)
            & (np.abs(column[target] - column[open_anchors]) <= config.max_bins)
        )
        anchors.append(open_anchors[good])
        targets.append(target[good])
        taken[anchors[-1]] += 1
        open_anchors = open_anchors[(dt <= config.max_frames) & (taken[open_anchors] < fan)]
        if not len(open_anchors):
            break
    if not anchors:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    return np.concatenate(anchors), np.concatenate(targets)


def hash_pairs(frame: IntArray, column: IntArray, anchor: IntArray, target: IntArray) -> KeyArray:
    """Keys of `KEY_BITS` bits for pairs of peaks, shape (p,)."""
    first = column[anchor]
    delta = column[target] - first + _DELTA_ZERO
    dt = frame[target] - frame[anchor]
    key = (first << (DELTA_BITS + TIME_BITS)) | (delta << TIME_BITS) | dt
    return key.astype(np.uint32)
