"""Change of sample rate: a linear-phase windowed-sinc filter in polyphase form, as one matrix
product a block.

NumPy alone: importing scipy.signal would cost the window's start more than all the resampling of
a session. The same filter serves files and live sound, so that fingerprints of both see the same
band edge.

Output sample n stands at input time n * from_rate / to_rate exactly: no delay is added.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from songid_desktop.types import FloatArray

ZERO_CROSSINGS = 40
"""Of the sinc on each side, at the lower of the two rates: with `STOP_BAND_DB` this passes up to
0.437 of the lower rate (8 kHz: 3.5 kHz) and stops from its Nyquist frequency on."""
STOP_BAND_DB = 80.0
KAISER_BETA = 0.1102 * (STOP_BAND_DB - 8.7)
TRANSITION = (STOP_BAND_DB - 7.95) / (14.36 * 2 * ZERO_CROSSINGS)
"""Width of the transition band as a share of the lower rate (Kaiser's formula)."""
CUTOFF = 0.5 - TRANSITION / 2

_LARGEST_MATRIX = 4_000_000
"""Coefficients (16 MB); rates with no common divisor to speak of are filtered sample by sample."""
_MOST_PHASES = 2_000
"""Of the filter; a ratio that needs more (44,101 : 48,000) is taken to within 3e-7 of itself."""
_OUTPUTS_A_ROW = 32
"""At least, so that even a ratio like 6 : 1 is a product of two matrices: 48 to 8 kHz runs 3 times
faster than with a matrix and a vector. And not many more by one matrix, of which most would be
zeros: 44.1 to 8 kHz runs 1.7 times faster by three."""
_PRODUCT_AT_ONCE = 250_000
"""Multiplications a matrix product is split into: below OpenBLAS's own threshold for a second
thread, whose spinning costs several times what it saves here (44.1 to 8 kHz ran at 650 instead of
3,000 times real time)."""


@dataclass(frozen=True, slots=True)
class _Design:
    """Filter for one pair of rates.

    Attributes
    ----------
    up, down : int
        Ratio of the rates: `down` input samples make `up` output samples.
    reach : int
        Input samples the filter looks at before and after an output sample's own.
    taps : float32 array, shape (up, 2 * reach + 1)
        Row p holds the coefficients for outputs n with ``(n * down) % up == p``.
    matrices : tuple of (int, float32 array of shape (samples, outputs)), or None
        The same laid out for whole rows of `span` input samples: those from the given place of the
        row on, times the matrix, are the next few of its `up` outputs.
    """

    up: int
    down: int
    reach: int
    taps: FloatArray
    matrices: tuple[tuple[int, FloatArray], ...] | None

    @property
    def span(self) -> int:
        """Input samples that a row of `up` outputs looks at."""
        return self.down + 2 * self.reach + 1


@functools.lru_cache(maxsize=16)
def _design(from_rate: int, to_rate: int) -> _Design:
    reach = math.ceil(ZERO_CROSSINGS * max(1.0, from_rate / to_rate))
    phases = max(1, min(_MOST_PHASES, _LARGEST_MATRIX // (2 * reach + 1)))
    down, up = Fraction(from_rate, to_rate).limit_denominator(phases).as_integer_ratio()
    if up < _OUTPUTS_A_ROW:
        up, down = up * (_OUTPUTS_A_ROW // up), down * (_OUTPUTS_A_ROW // up)
    scale = min(1.0, to_rate / from_rate)  # lower rate in units of the input rate
    half_width = ZERO_CROSSINGS / scale
    # Distance, in input samples, of each tap from the output sample that it contributes to.
    fraction = np.arange(up, dtype=np.float64)[:, None] / up
    distance = np.arange(-reach, reach + 1, dtype=np.float64)[None, :] - fraction
    inside = np.clip(1.0 - (distance / half_width) ** 2, 0.0, None)
    window = np.i0(KAISER_BETA * np.sqrt(inside)) / np.i0(KAISER_BETA)
    window[np.abs(distance) > half_width] = 0.0
    taps = 2 * CUTOFF * scale * np.sinc(2 * CUTOFF * scale * distance) * window
    taps /= taps.sum(axis=1, keepdims=True)  # exactly 1 at 0 Hz for every phase: no ripple tone
    is_small = (down + 2 * reach + 1) * up <= _LARGEST_MATRIX
    matrices = _matrices(up, down, reach, taps) if is_small else None
    return _Design(up, down, reach, taps.astype(np.float32), matrices)


def _matrices(
    up: int, down: int, reach: int, taps: npt.NDArray[np.float64]
) -> tuple[tuple[int, FloatArray], ...]:
    """See `_Design`."""
    parts = []
    width = -(-up // -(-up // _OUTPUTS_A_ROW))
    for begin in range(0, up, width):
        outputs = range(begin, min(begin + width, up))
        first = outputs[0] * down // up
        last = outputs[-1] * down // up + 2 * reach + 1
        matrix = np.zeros((last - first, len(outputs)), np.float32)
        for column, output in enumerate(outputs):
            own, phase = divmod(output * down, up)
            matrix[own - first : own - first + 2 * reach + 1, column] = taps[phase]
        parts.append((first, matrix))
    return tuple(parts)


class StreamResampler:
    """Resample a stream pushed in pieces of any size.

    The joined results of all `push` calls and the final `flush` are those of `resample` on the
    joined input; between them lies a delay of `ZERO_CROSSINGS` samples of the lower rate plus one
    block of the ratio's period.

    Parameters
    ----------
    from_rate, to_rate : int
        Hertz.
    """

    def __init__(self, from_rate: int, to_rate: int) -> None:
        if from_rate <= 0 or to_rate <= 0:
            raise ValueError(f"rates must be positive, not {from_rate} and {to_rate}")
        self.from_rate = from_rate
        self.to_rate = to_rate
        self._is_identity = from_rate == to_rate
        if not self._is_identity:
            self._filter = _design(from_rate, to_rate)
        self.reset()

    def reset(self) -> None:
        """Begin a new stream."""
        self._taken = 0
        self._given = 0
        # Input not yet used up; before its first sample there was silence.
        self._kept = np.zeros(0 if self._is_identity else self._filter.reach, np.float32)

    def push(self, samples: FloatArray) -> FloatArray:
        """Take in `samples` (float32, shape (n,)) and give the output that is certain by now
        (shape (m,))."""
        if self._is_identity:
            return samples
        self._taken += len(samples)
        self._kept = np.concatenate((self._kept, samples))
        return self._run(exhaust=False)

    def flush(self) -> FloatArray:
        """Give the rest, as if silence followed, and begin a new stream."""
        if self._is_identity:
            return np.zeros(0, np.float32)
        due = -(-self._taken * self._filter.up // self._filter.down) - self._given
        padding = 2 * self._filter.reach + 1 + self._filter.down
        self._kept = np.concatenate((self._kept, np.zeros(padding, np.float32)))
        rest = self._run(exhaust=True)[: max(0, due)]
        self.reset()
        return rest

    def _run(self, *, exhaust: bool) -> FloatArray:
        design = self._filter
        if design.matrices is None:
            result = _filter_each(design, self._kept, self._given)
            used = self._position_of(self._given + len(result)) - self._position_of(self._given)
        else:
            result, rows = _filter_rows(design, self._kept)
            used = rows * design.down
        self._given += len(result)
        if not exhaust:
            self._kept = self._kept[used:].copy()
        return result

    def _position_of(self, output: int) -> int:
        return output * self._filter.down // self._filter.up


def _filter_rows(design: _Design, signal: FloatArray) -> tuple[FloatArray, int]:
    """All full rows of `signal`, which begins `reach` samples before the first output's own."""
    assert design.matrices is not None
    rows = max(0, (len(signal) - design.span) // design.down + 1)
    result = np.empty((rows, design.up), np.float32)
    column = 0
    for first, matrix in design.matrices if rows else ():
        samples, outputs = matrix.shape
        windows = sliding_window_view(signal, samples)[first :: design.down][:rows]
        step = max(1, _PRODUCT_AT_ONCE // matrix.size)
        for at in range(0, rows, step):
            piece = np.ascontiguousarray(windows[at : at + step])  # else NumPy does without BLAS
            np.matmul(piece, matrix, out=result[at : at + step, column : column + outputs])
        column += outputs
    return result.reshape(-1), rows


def _filter_each(design: _Design, signal: FloatArray, first_output: int) -> FloatArray:
    """Every output that `signal` covers, each with its own phase of the filter."""
    width = 2 * design.reach + 1
    first, _ = divmod(first_output * design.down, design.up)
    # Largest count of outputs whose last tap still lies inside the signal.
    last_start = len(signal) - width
    if last_start < 0:
        return np.zeros(0, np.float32)
    count = ((last_start + first + 1) * design.up - 1) // design.down - first_output + 1
    count = max(0, count)
    windows = sliding_window_view(signal, width)
    result = np.empty(count, np.float32)
    step = 16_384
    for at in range(0, count, step):
        outputs = np.arange(first_output + at, first_output + min(count, at + step), dtype=np.int64)
        starts, phases = np.divmod(outputs * design.down, design.up)
        result[at : at + step] = np.einsum(
            "ij,ij->i", windows[starts - first], design.taps[phases], optimize=False
        )
    return result


def resample(samples: FloatArray, from_rate: int, to_rate: int) -> FloatArray:
    """Resample a whole signal.

    Parameters
    ----------
    samples : float32 array, shape (n,)
    from_rate, to_rate : int
        Hertz.

    Returns
    -------
    float32 array, shape (ceil(n * to_rate / from_rate),)
        Sample m stands at input time ``m * from_rate / to_rate``; silence is assumed on both
        sides.
    """
    if from_rate == to_rate:
        return np.ascontiguousarray(samples, np.float32)
    stream = StreamResampler(from_rate, to_rate)
    head = stream.push(np.ascontiguousarray(samples, np.float32))
    return np.concatenate((head, stream.flush()))
