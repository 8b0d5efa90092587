"""Hashes: pairs of peaks (anchor and target) as one number that survives noise around them.

A hash holds the anchor's bin, the step in bins to the target and the step in frames, and nothing of
when it happened: that is what it is looked up for. Both sides, track and clip, make them by the
same rule from their own peaks; the clip with more targets per anchor, because it has more peaks.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

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
    stop = min(first + _ROWS_AT_ONCE, len(frame))
    anchor = np.arange(first, stop)
    last = np.searchsorted(frame, frame[anchor] + config.max_frames, side="right")
    width = min(int((last - anchor).max()) - 1, _FARTHEST_TARGET)
    # Every row is its anchor's own and the next `width` peaks, which a view shows without a copy;
    # peaks at no time stand in for those beyond the last one.
    beyond = np.full(max(0, stop + width - len(frame)), -1)
    reach = slice(first, stop + width)
    when = np.concatenate([frame[reach], beyond]).astype(np.int32)
    where = np.concatenate([column[reach], beyond]).astype(np.int32)
    dt = sliding_window_view(when[1:], width) - when[: stop - first, None]
    good = (dt >= config.min_frames) & (dt <= config.max_frames)
    step = sliding_window_view(where[1:], width) - where[: stop - first, None]
    good &= np.abs(step) <= config.max_bins
    good &= np.cumsum(good, axis=1, dtype=np.int32) <= fan
    row, place = np.divmod(np.flatnonzero(good), max(1, width))
    return anchor[row], anchor[row] + place + 1


def key_order(keys: KeyArray) -> IntArray:
    """What sorts keys: by their lower half, then by their upper half, each of 16 bits, which NumPy
    counts instead of comparing: a quarter of the time."""
    lower = np.argsort(keys.astype(np.uint16), kind="stable")
    upper = np.argsort((keys >> np.uint32(16)).astype(np.uint16)[lower], kind="stable")
    return np.asarray(lower[upper], np.int64)


def hash_pairs(frame: IntArray, column: IntArray, anchor: IntArray, target: IntArray) -> KeyArray:
    """Keys of `KEY_BITS` bits for pairs of peaks, shape (p,)."""
    first = column[anchor]
    delta = column[target] - first + _DELTA_ZERO
    dt = frame[target] - frame[anchor]
    key = (first << (DELTA_BITS + TIME_BITS)) | (delta << TIME_BITS) | dt
    return key.astype(np.uint32)
