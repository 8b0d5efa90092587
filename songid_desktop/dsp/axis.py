"""The vertical axis of a spectrogram: row against frequency, and the marks.

Rows are counted from the lowest frequency up; row 0 is centred on `f_min`, the last one on `f_max`.
NumPy only, because the live display needs this in the first second of a start.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

AxisKind = Literal["mel", "log", "linear"]
Float64Array = npt.NDArray[np.float64]

# The mel scale of O'Shaughnessy (1987): linear below about 700 Hz, logarithmic above.
_MEL_CORNER_HZ = 700.0
_MEL_SCALE = 1127.0

_TICKS_125 = np.array([1.0, 2.0, 5.0])


@dataclass(frozen=True, slots=True)
class FrequencyAxis:
    """Rows between `f_min_hz` and `f_max_hz`, evenly spaced on the chosen scale.

    Raises
    ------
    ValueError
        When the limits are not 0 < f_min < f_max (f_min may be 0 on the linear and mel scales), or
        there are fewer than two rows.
    """

    kind: AxisKind
    f_min_hz: float
    f_max_hz: float
    n_rows: int

    def __post_init__(self) -> None:
        if self.kind not in ("mel", "log", "linear"):
            raise ValueError(f"axis kind {self.kind!r} is none of 'mel', 'log', 'linear'")
        if not 0.0 <= self.f_min_hz < self.f_max_hz:
            raise ValueError(f"axis limits {self.f_min_hz} … {self.f_max_hz} Hz are not in order")
        if self.kind == "log" and self.f_min_hz <= 0.0:
            raise ValueError("a logarithmic axis can't begin at 0 Hz")
        if self.n_rows < 2:
            raise ValueError(f"an axis needs at least two rows, not {self.n_rows}")

    def _forward(self, hz: npt.ArrayLike) -> Float64Array:
        values = np.asarray(hz, np.float64)
        if self.kind == "mel":
            return _MEL_SCALE * np.log1p(np.maximum(values, 0.0) / _MEL_CORNER_HZ)
        if self.kind == "log":
            return np.log(np.maximum(values, 1e-3))
        return values

    def _inverse(self, position: Float64Array) -> Float64Array:
        if self.kind == "mel":
            return _MEL_CORNER_HZ * np.expm1(position / _MEL_SCALE)
        if self.kind == "log":
            return np.exp(position)
        return position

    def row_of(self, hz: npt.ArrayLike) -> Float64Array:
        """Row (fractional, may lie outside 0 … n_rows-1) at which a frequency (Hz) stands."""
        low, high = self._forward([self.f_min_hz, self.f_max_hz])
        rows: Float64Array = (self._forward(hz) - low) * ((self.n_rows - 1) / (high - low))
        return rows

    def hz_of(self, row: npt.ArrayLike) -> Float64Array:
        """Frequency (Hz) at a row; fractional rows are welcome."""
        low, high = self._forward([self.f_min_hz, self.f_max_hz])
        rows = np.asarray(row, np.float64)
        return self._inverse(low + rows * ((high - low) / (self.n_rows - 1)))

    def row_centres_hz(self) -> Float64Array:
        """Frequency (Hz) of every row, lowest first; shape (n_rows,)."""
        return self.hz_of(np.arange(self.n_rows))

    def ticks_hz(self, most: int = 8) -> Float64Array:
        """Round frequencies to label: 1, 2 or 5 of every decade; when linear, multiples of a step.

        At most `most` of them, in growing order, all inside the axis.
        """
        marks = self._linear_ticks(most) if self.kind == "linear" else self._decade_ticks()
        inside = marks[(marks >= self.f_min_hz) & (marks <= self.f_max_hz)]
        while len(inside) > max(most, 1):
            rows = self.row_of(inside)
            # Drop the mark that stands closest above its neighbour: crowding goes first.
            inside = np.delete(inside, 1 + int(np.argmin(np.diff(rows))))
        return inside

    def _linear_ticks(self, most: int) -> Float64Array:
        raw_step = (self.f_max_hz - self.f_min_hz) / max(most, 1)
        decade = 10.0 ** np.floor(np.log10(raw_step))
        step = float(next(m for m in (1.0, 2.0, 5.0, 10.0) if m * decade >= raw_step) * decade)
        first = np.ceil(self.f_min_hz / step) * step
        return np.arange(first, self.f_max_hz + 0.5 * step, step)

    def _decade_ticks(self) -> Float64Array:
        low = int(np.floor(np.log10(max(self.f_min_hz, 1.0))))
        high = int(np.ceil(np.log10(self.f_max_hz)))
        decades = 10.0 ** np.arange(low, high + 1)
        marks: Float64Array = (decades[:, None] * _TICKS_125).reshape(-1)
        return marks
