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
_ROWS_AT_ONCE = 2048


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
    anchors: list[IntArray] = []
    targets: list[IntArray] = []
    for first in range(0, len(frame), _ROWS_AT_ONCE):
        anchor, target = _pair_some(frame, column, first, config, fan)
        anchors.append(anchor)
        targets.append(target)
    if not anchors:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    return np.concatenate(anchors), np.concatenate(targets)


def _pair_some(
    frame: IntArray, column: IntArray, first: int, config: HashConfig, fan: int
) -> tuple[IntArray, IntArray]:
    """Pairs of `_ROWS_AT_ONCE` anchors from `first` on: one row of a table for each, one column for
    each of the peaks after it."""
    anchor = np.arange(first, min(first + _ROWS_AT_ONCE, len(frame)))
    last = np.searchsorted(frame, frame[anchor] + config.max_frames, side="right")
    width = min(int((last - anchor).max()) - 1, _FARTHEST_TARGET)
    target = np.minimum(anchor[:, None] + np.arange(1, width + 1), len(frame) - 1)
    dt = frame[target] - frame[anchor, None]
    good = (
        (dt >= config.min_frames)
        & (dt <= config.max_frames)
        & (np.abs(column[target] - column[anchor, None]) <= config.max_bins)
        # The last peak stands in for all beyond it.
        & (np.arange(1, width + 1) < (len(frame) - anchor)[:, None])
    )
    good &= np.cumsum(good, axis=1, dtype=np.int32) <= fan
    row, place = np.nonzero(good)
    return anchor[row], target[row, place]


def hash_pairs(frame: IntArray, column: IntArray, anchor: IntArray, target: IntArray) -> KeyArray:
    """Keys of `KEY_BITS` bits for pairs of peaks, shape (p,)."""
    first = column[anchor]
    delta = column[target] - first + _DELTA_ZERO
    dt = frame[target] - frame[anchor]
    key = (first << (DELTA_BITS + TIME_BITS)) | (delta << TIME_BITS) | dt
    return key.astype(np.uint32)
