"""From live sound to picture columns: analysis, the clock of the view, and redrawing history.

`SpectrogramStream` owns no widget. It turns sound into columns at one column a device pixel, and
says which column stands at the right edge now: the view trails the newest sound by a few
hundredths of a second and moves at constant speed, because sound arrives in bursts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from songid_desktop.audio.ring import Ring
from songid_desktop.dsp.axis import AxisKind, FrequencyAxis
from songid_desktop.dsp.columns import StreamingColumns
from songid_desktop.types import AudioBlock, FloatArray

SPAN_S = 10.0
"""Seconds that the picture shows."""
N_FFT = 4096
F_MIN_HZ = 40.0
F_MAX_HZ = 12_000.0

TRAIL_S = 0.045
"""How far the view stays behind the newest column: two of the usual audio bursts."""
_PULL_S = 0.6
"""Time constant with which the view's clock follows the sound card's."""
_SNAP_S = 0.5
"""Further off than this the view jumps instead."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What the columns are made for."""

    width: int
    height: int
    axis: str
    sample_rate: int

    @property
    def hop(self) -> int:
        """Samples a device pixel."""
        return max(1, round(SPAN_S * self.sample_rate / max(1, self.width)))

    def make_columns(self) -> StreamingColumns:
        kind: AxisKind = (
            "log" if self.axis == "log" else "linear" if self.axis == "linear" else "mel"
        )
        return StreamingColumns(
            self.sample_rate,
            N_FFT,
            hop=self.hop,
            n_rows=max(2, self.height),
            axis=kind,
            f_min=0.0 if kind == "linear" else F_MIN_HZ,
            f_max=F_MAX_HZ,
        )


@dataclass(frozen=True, slots=True)
class Redrawn:
    """History analysed anew for another shape: the columns, and the analyser to go on with."""

    shape: Shape
    columns: StreamingColumns
    columns_db: FloatArray
    end_sample: int


def redraw(shape: Shape, block: AudioBlock) -> Redrawn:
    """Analyse `block` for `shape`; runs on a job thread, for it can take a tenth of a second."""
    columns = shape.make_columns()
    columns.reset(block.start_sample)
    columns_db = columns.push(block.samples)
    return Redrawn(shape, columns, columns_db, block.start_sample + len(block.samples))


class SpectrogramStream:
    """Columns of one listening, and where the view stands.

    `position` is the ring position up to which sound was taken.
    """

    def __init__(self, shape: Shape, start_sample: int) -> None:
        self.shape = shape
        self.columns = shape.make_columns()
        self.columns.reset(start_sample)
        self.begin_sample = start_sample
        """Where this listening began; older sound in the ring is none of it."""
        self.position = start_sample
        self._right = 0.0

    @classmethod
    def from_redrawn(cls, redrawn: Redrawn, begin_sample: int) -> SpectrogramStream:
        """Go on where the redrawn history ends."""
        stream = cls(redrawn.shape, begin_sample)
        stream.columns = redrawn.columns
        stream.position = redrawn.end_sample
        stream._right = float(redrawn.columns.column_count)
        return stream

    @property
    def axis(self) -> FrequencyAxis:
        return self.columns.axis

    @property
    def column_count(self) -> int:
        """Columns given out."""
        return self.columns.column_count

    def push(self, block: AudioBlock) -> FloatArray:
        """Columns that `block` completes; what was lost before it becomes silence, so that time
        stays true."""
        lost = block.start_sample - self.position
        samples = block.samples
        if lost < 0:
            samples = samples[-lost:]
        elif lost > 0:
            most = round(SPAN_S * self.shape.sample_rate)
            samples = np.concatenate([np.zeros(min(lost, most), np.float32), samples])
        self.position = max(self.position, block.start_sample + len(block.samples))
        return self.columns.push(samples)

    def column_of(self, time_s: FloatArray | float) -> FloatArray:
        """Column (fractional) at a stream time (s)."""
        begin_s = self.columns.time_of(0)
        columns = (np.asarray(time_s, np.float64) - begin_s) * self.columns.column_rate_hz
        return columns.astype(np.float32)

    def seconds_before_edge(self, column: float) -> float:
        """How long before the right edge's moment a column lies."""
        return (self.right_column - column) / self.columns.column_rate_hz

    @property
    def right_column(self) -> float:
        """The column at the right edge of the view."""
        return self._right

    def advance(self, elapsed_s: float) -> float:
        """Move the view's clock by `elapsed_s` of real time; gives the new right edge."""
        rate = self.columns.column_rate_hz
        goal = self.column_count - TRAIL_S * rate
        self._right += elapsed_s * rate
        error = goal - self._right
        if abs(error) > _SNAP_S * rate:
            self._right = goal
        else:
            self._right += error * (1.0 - math.exp(-max(0.0, elapsed_s) / _PULL_S))
        self._right = max(0.0, min(self._right, float(self.column_count)))
        return self._right

    def settle(self) -> None:
        """Nothing more will come: show all there is."""
        self._right = float(self.column_count)


def history(ring: Ring, stream: SpectrogramStream) -> AudioBlock:
    """The sound behind the picture, as far as the ring still has it."""
    span = round((SPAN_S + 1.0) * ring.sample_rate) + N_FFT
    begin = max(stream.begin_sample, stream.position - span)
    return ring.between(begin, stream.position)
