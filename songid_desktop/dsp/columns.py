"""Columns of the live spectrogram: sound in, decibels per display row out, as the sound arrives.

One transform of `n_fft` samples every `hop` samples; a row wider than a transform bin shows the
loudest bin it covers (so that a single line never vanishes), a narrower one interpolates. A
full-scale sine reads 0 dB in its row, up to 1.4 dB less between two bins, whatever the transform's
length. NumPy only: SciPy would cost the start of the window half a second.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from songid_desktop.dsp.axis import AxisKind, FrequencyAxis
from songid_desktop.types import FloatArray

FLOOR_DB = -120.0
"""What digital silence reads, and the least value a column holds."""

_FLOOR_POWER = 10.0 ** (FLOOR_DB / 10.0)
_LOUDEST = np.float32(1e9)  # beyond this the square of a spectrum leaves float32
_BATCH_COLUMNS = 64  # bounds memory when a long block is pushed at once


class StreamingColumns:
    """Turns a stream of mono sound into spectrogram columns.

    Parameters
    ----------
    sample_rate : int
        Hertz of the sound that will be pushed.
    n_fft : int
        Samples a column looks at.
    hop : int
        Samples from one column to the next; default: 60 columns a second.
    n_rows : int
        Display rows, lowest frequency first.
    axis : "mel", "log" or "linear"
    f_min, f_max : float
        Limits of the axis (Hz); `f_max` defaults to, and is never above, half the rate.

    The same samples give the same columns however they are cut into blocks.
    """

    def __init__(
        self,
        sample_rate: int,
        n_fft: int = 2048,
        *,
        hop: int | None = None,
        n_rows: int = 512,
        axis: AxisKind = "mel",
        f_min: float = 30.0,
        f_max: float | None = None,
    ) -> None:
        if sample_rate <= 0 or n_fft < 16:
            raise ValueError(f"can't analyse {n_fft} samples at {sample_rate} Hz")
        self.sample_rate = sample_rate
        self.n_fft = n_fft
        self.hop = max(1, round(sample_rate / 60)) if hop is None else hop
        if self.hop < 1:
            raise ValueError(f"hop must be at least one sample, not {self.hop}")
        nyquist = sample_rate / 2
        self.axis = FrequencyAxis(axis, f_min, min(f_max or nyquist, nyquist), n_rows)
        self._window = np.hanning(n_fft + 1)[:-1].astype(np.float32)
        self._gain = np.float32((2.0 / self._window.sum()) ** 2)
        self._rows = _RowMap(self.axis, sample_rate, n_fft)
        self._pending: FloatArray = np.zeros(0, np.float32)
        self._skip = 0
        self._column = 0
        self._start_sample = 0

    @property
    def column_rate_hz(self) -> float:
        """Columns a second."""
        return self.sample_rate / self.hop

    @property
    def column_count(self) -> int:
        """Columns given out since the last `reset`."""
        return self._column

    def time_of(self, column: float) -> float:
        """Stream time (s) of the middle of a column, counted from the last `reset`."""
        return (self._start_sample + column * self.hop + self.n_fft / 2) / self.sample_rate

    def reset(self, start_sample: int = 0) -> None:
        """Forget what was pushed; the next sample is number `start_sample` of the stream."""
        self._pending = np.zeros(0, np.float32)
        self._skip = 0
        self._column = 0
        self._start_sample = start_sample

    def push(self, samples: npt.NDArray[np.floating]) -> FloatArray:
        """Take the next samples; give the columns that are complete.

        Returns
        -------
        float32 array, shape (k, n_rows)
            Decibels relative to a full-scale sine, `FLOOR_DB` at the least; oldest column first.
        """
        fresh = np.asarray(samples, np.float32)
        if not np.isfinite(fresh).all():
            # A broken sample must blank its own moment, not the columns around it.
            fresh = np.nan_to_num(fresh, nan=0.0, posinf=0.0, neginf=0.0)
        fresh = np.clip(fresh[self._skip :], -_LOUDEST, _LOUDEST)
        self._skip = max(0, self._skip - len(samples))
        stream = np.concatenate([self._pending, fresh]) if len(self._pending) else fresh
        count = max(0, (len(stream) - self.n_fft) // self.hop + 1)
        columns = np.empty((count, self.axis.n_rows), np.float32)
        if count:
            frames = np.lib.stride_tricks.sliding_window_view(stream, self.n_fft)[:: self.hop]
            for first in range(0, count, _BATCH_COLUMNS):
                last = min(first + _BATCH_COLUMNS, count)
                columns[first:last] = self._analyse(frames[first:last])
        # A hop longer than the transform leaves sound out that may not have come yet.
        self._skip += max(0, count * self.hop - len(stream))
        self._pending = stream[count * self.hop :].copy()
        self._column += count
        return columns

    def _analyse(self, frames: FloatArray) -> FloatArray:
        spectrum = np.fft.rfft(frames * self._window, axis=1)
        power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32) * self._gain
        return self._rows.apply(10.0 * np.log10(np.maximum(power, _FLOOR_POWER)))


class _RowMap:
    """From transform bins to display rows: interpolation below, maximum above."""

    def __init__(self, axis: FrequencyAxis, sample_rate: int, n_fft: int) -> None:
        bin_hz = sample_rate / n_fft
        last_bin = n_fft // 2
        edges = axis.hz_of(np.arange(axis.n_rows + 1) - 0.5) / bin_hz
        centre = np.clip(axis.row_centres_hz() / bin_hz, 0.0, last_bin)
        wide = np.diff(edges) > 1.0
        # Spacing grows with frequency on every scale, so the rows that interpolate come first.
        self._split = int(np.argmax(wide)) if wide.any() else axis.n_rows
        low = np.minimum(centre[: self._split].astype(np.intp), last_bin - 1)
        self._low = low
        self._weight = (centre[: self._split] - low).astype(np.float32)
        starts = np.clip(np.round(edges[self._split : -1]), 0, last_bin).astype(np.intp)
        stop = int(np.clip(np.round(edges[-1]), 0, last_bin + 1))
        self._stop = max(stop, int(starts[-1]) + 1) if len(starts) else 0
        self._starts = starts

    def apply(self, bins_db: FloatArray) -> FloatArray:
        lower = bins_db[:, self._low]
        narrow = lower + (bins_db[:, self._low + 1] - lower) * self._weight
        if not len(self._starts):
            return narrow
        wide = np.maximum.reduceat(bins_db[:, : self._stop], self._starts, axis=1)
        return np.concatenate([narrow, wide], axis=1)
