"""Ridges: where a track's tones lie from moment to moment, for verification only.

A peak is the top of a hill in time and frequency, and few of them are left where reverberation and
noise have worn the hills down. A sustained tone keeps its *frequency* through all of that. So for
every 64 ms the strongest local maxima along frequency alone are stored too, a byte each. Given the
right candidates, they name the right one among them in two of three of the cases that peaks
got wrong (rooms and noise 10 and 6 dB above the music).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from songid_desktop.types import FloatArray

CodeArray = npt.NDArray[np.uint8]
IntArray = npt.NDArray[np.int64]

RIDGE_FRAMES = 2
"""Frames whose mean is looked at, one after the other."""
RIDGES = 8
"""Stored for each of these."""
RIDGE_LINE = "ridges"
"""Name of what a segment holds of them."""
_REACH = 3
"""A ridge is the highest point within ± this many bins."""
_COLUMN_MASK = 0x1FF
_FAR = 255
"""Code of a step that leads to no ridge but to where the next one is within reach."""


def no_ridges() -> CodeArray:
    """Of nothing."""
    return np.zeros((0, RIDGES), np.uint8)


def find_ridges(whitened: FloatArray) -> CodeArray:
    """Ridges of a whitened spectrogram whose first frame is an even one of the track.

    Parameters
    ----------
    whitened : float32 array, shape (frames, bins)

    Returns
    -------
    uint8 array, shape (ceil(frames / RIDGE_FRAMES), RIDGES)
        Steps from ridge to ridge up the spectrum, the first one from below the first column; 0
        where there is none. `ridge_columns` reads them.
    """
    count = -(-len(whitened) // RIDGE_FRAMES)
    if not count:
        return no_ridges()
    risen = np.maximum(whitened, 0.0)
    mean = risen[0 : 2 * count : 2]
    mean[: len(risen) // 2] += risen[1::2]
    at_least = _best_of(mean, RIDGES)
    codes, is_far = _steps(at_least)
    if is_far.any():  # one fewer makes room for the step between
        codes[is_far] = _with_far_step(_best_of(mean[is_far], RIDGES - 1))
    return codes


def _best_of(mean: FloatArray, wanted: int) -> IntArray:
    """Columns, counted from 1, of the highest local maxima of every row, in order; 0 for none
    (those come first). Shape (rows, wanted)."""
    rows, columns = mean.shape
    around = np.zeros((rows, columns + 2 * _REACH), np.float32)
    around[:, _REACH:-_REACH] = mean
    highest = np.maximum(around[:, :-1], around[:, 1:])  # of 2
    highest = np.maximum(highest[:, :-2], highest[:, 2:])  # of 4
    highest = np.maximum(highest[:, :-_REACH], highest[:, _REACH:])  # of 7
    # Height and column in one number, so that sorting the one brings the other along; the height
    # keeps 14 of its 23 bits.
    word = mean.view(np.uint32) & np.uint32(~_COLUMN_MASK & 0xFFFFFFFF)
    word |= np.arange(columns, dtype=np.uint32)
    word *= (mean == highest) & (mean > 0.0)
    best = np.partition(word, columns - wanted, axis=1)[:, columns - wanted :]
    column = (best & np.uint32(_COLUMN_MASK)).astype(np.int64)
    return np.sort(np.where(best > 0, column + 1, 0), axis=1)


def _steps(columns: IntArray) -> tuple[CodeArray, npt.NDArray[np.bool_]]:
    """Differences as codes, and the rows in which one is too large for that."""
    step = np.diff(columns, axis=1, prepend=0)
    is_far: npt.NDArray[np.bool_] = np.any(step >= _FAR, axis=1)
    return step.astype(np.uint8), is_far


def _with_far_step(columns: IntArray) -> CodeArray:
    """Codes of rows one short, with at most one gap that needs two steps (there is no room for two
    such gaps). The gap may have gone with the ridge that was left out; then nothing is divided."""
    step = np.diff(columns, axis=1, prepend=0)
    rows = np.arange(len(step))
    place = np.argmax(step, axis=1)
    rest = step[rows, place] - _FAR
    is_far = rest >= 0
    at = np.arange(RIDGES)
    # Behind the gap everything moves up by one; the gap itself is what was left of it.
    source = np.where(at > place[:, None], at - 1, at)
    codes = np.take_along_axis(step, np.minimum(source, RIDGES - 2), axis=1)
    codes[rows[is_far], place[is_far]] = _FAR
    codes[rows[is_far], place[is_far] + 1] = rest[is_far]
    codes[~is_far] = np.pad(step[~is_far], ((0, 0), (1, 0)))
    return codes.astype(np.uint8)


def ridge_columns(codes: CodeArray) -> tuple[IntArray, npt.NDArray[np.bool_]]:
    """Columns that codes stand for, and which of them do stand for a ridge; both of their shape."""
    column = np.cumsum(codes, axis=-1, dtype=np.int64) - 1
    is_real = (codes > 0) & (codes < _FAR)
    # Behind a far step there is always a ridge, even where nothing was left to add.
    is_real[..., 1:] |= codes[..., :-1] == _FAR
    return column, is_real
