"""The picture of the live spectrogram: decibel columns in, pixels out, nothing of Qt's widgets.

Two image rings of one column per device pixel, written in place and drawn as two slices each: the
sound (RGB32, opaque) and over it the constellation (ARGB32, transparent), so that peaks are
stamped once, when they become known, and then scroll for free. Plain images cost 0.7 ms a frame
where pyqtgraph's ImageItem with a ScatterPlotItem costs 4 to 6, and pyqtgraph half a second of
start-up.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPen

from songid_desktop.types import FloatArray
from songid_desktop.ui import colormaps
from songid_desktop.ui.theme import Canvas, Size

FLOOR_DB = -140.0
"""What a column that was never heard holds."""

Pixels = npt.NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Scale:
    """How decibels become colours."""

    palette: str = "magma"
    low_db: float = -90.0
    high_db: float = -10.0

    def colours(self, columns_db: FloatArray) -> Pixels:
        """Words of RGB32 for decibels, any shape."""
        step = (colormaps.STEPS - 1) / max(1.0, self.high_db - self.low_db)
        index = (columns_db - np.float32(self.low_db)) * np.float32(step)
        np.clip(index, 0, colormaps.STEPS - 1, out=index)
        return colormaps.words(self.palette)[index.astype(np.uint8)]


@dataclass(frozen=True, slots=True)
class Mark:
    """A peak: absolute column (fractional) and row from the bottom (fractional)."""

    column: float
    row: float


class Picture:
    """The last `width` columns and some before them.

    Parameters
    ----------
    width, height : int
        Device pixels that are shown; one column and one row each.
    spare : int
        Columns kept beyond `width`, for a view that trails the newest column.
    pixel_ratio : float
        Device pixels a logical one, for the size of the marks.
    """

    def __init__(
        self, width: int, height: int, scale: Scale, *, spare: int = 96, pixel_ratio: float = 1.0
    ) -> None:
        self.width, self.height = width, height
        self.capacity = width + spare
        self.pixel_ratio = pixel_ratio
        self.scale = scale
        self.count = 0
        """Columns ever written."""
        self._db: FloatArray = np.full((self.capacity, height), FLOOR_DB, np.float32)
        self._sound = QImage(self.capacity, height, QImage.Format.Format_RGB32)
        self._marks = QImage(self.capacity, height, QImage.Format.Format_ARGB32_Premultiplied)
        self._sound_pixels = _pixels(self._sound)
        self._mark_pixels = _pixels(self._marks)
        self._peaks: list[Mark] = []
        self._matched: list[Mark] = []
        self._pairs: list[tuple[Mark, Mark]] = []
        self._make_sprites()
        self._recolour_all()

    # Sound

    def add(self, columns_db: FloatArray) -> None:
        """Append columns; float32, shape (k, height), lowest frequency first."""
        fresh = columns_db[-self.capacity :]
        first = self.count + len(columns_db) - len(fresh)
        slots = np.arange(first, first + len(fresh)) % self.capacity
        self._db[slots] = fresh
        # Row 0 is the lowest frequency and the image's last line.
        self._sound_pixels[:, slots] = self.scale.colours(fresh).T[::-1]
        self._mark_pixels[:, slots] = 0
        self.count += len(columns_db)

    def set_scale(self, scale: Scale) -> None:
        """Other colours or another range, for what is there already too."""
        is_other_palette = scale.palette != self.scale.palette
        self.scale = scale
        self._recolour_all()
        if is_other_palette:
            self._make_sprites()
            self._stamp_all()

    def db_at(self, column: float, row: float) -> float | None:
        """Decibels at an absolute column and a row; None where nothing is kept."""
        at, line = math.floor(column), math.floor(row + 0.5)
        is_kept = max(0, self.count - self.capacity) <= at < self.count
        if not is_kept or not 0 <= line < self.height:
            return None
        return float(self._db[at % self.capacity, line])

    def columns(self) -> FloatArray:
        """A copy of the columns that are kept, oldest first; shape (k, height)."""
        kept = min(self.count, self.capacity)
        slots = np.arange(self.count - kept, self.count) % self.capacity
        return self._db[slots]

    def _recolour_all(self) -> None:
        self._sound_pixels[:] = self.scale.colours(self._db).T[::-1]
        # What was not heard yet is no silence: it stays the canvas.
        self._sound_pixels[:, self.count :] = QColor(Canvas.BACKGROUND).rgb()

    # Constellation

    def add_peaks(self, peaks: list[Mark]) -> None:
        """Hollow rings, from now on part of the picture."""
        self._forget_old()
        self._peaks.extend(peaks)
        self._stamp(lambda painter: self._draw_rings(painter, peaks))

    def light(self, peaks: list[Mark], pairs: list[tuple[Mark, Mark]]) -> None:
        """Light up more peaks and pairs; what is lit stays. Only the new ones are drawn: all of a
        long match would take a quarter of a second."""
        self._forget_old()
        self._matched.extend(peaks)
        self._pairs.extend(pairs)

        def draw(painter: QPainter) -> None:
            self._draw_pairs(painter, pairs)
            self._draw_sprite(painter, self._dot, peaks)

        self._stamp(draw)

    def unlight(self) -> None:
        """Nothing is lit any more."""
        if self._matched or self._pairs:
            self._matched, self._pairs = [], []
            self._stamp_all()

    def clear_marks(self) -> None:
        self._peaks, self._matched, self._pairs = [], [], []
        self._mark_pixels[:] = 0

    @property
    def mark_counts(self) -> tuple[int, int, int]:
        """Peaks, matched peaks and pairs that are kept."""
        return len(self._peaks), len(self._matched), len(self._pairs)

    def _forget_old(self) -> None:
        oldest = self.count - self.capacity
        self._peaks = [mark for mark in self._peaks if mark.column >= oldest]
        self._matched = [mark for mark in self._matched if mark.column >= oldest]
        self._pairs = [pair for pair in self._pairs if pair[0].column >= oldest]

    def _stamp_all(self) -> None:
        self._forget_old()
        self._mark_pixels[:] = 0
        self._stamp(self._draw_all)

    def _draw_all(self, painter: QPainter) -> None:
        self._draw_rings(painter, self._peaks)
        self._draw_pairs(painter, self._pairs)
        self._draw_sprite(painter, self._dot, self._matched)

    def _stamp(self, draw: Callable[[QPainter], None]) -> None:
        painter = QPainter(self._marks)
        draw(painter)
        painter.end()

    def _places(self, mark: Mark, reach: float) -> list[tuple[float, float]]:
        """Pixels at which a mark stands in the ring: two when it lies over the seam, none when it
        is gone."""
        if not self.count - self.capacity <= mark.column < self.count:
            return []
        x, y = mark.column % self.capacity, self.height - 1 - mark.row
        if not 0 <= y < self.height:
            return []
        places = [(x, y)]
        if x < reach:
            places.append((x + self.capacity, y))
        elif x > self.capacity - reach:
            places.append((x - self.capacity, y))
        return places

    def _draw_rings(self, painter: QPainter, peaks: list[Mark]) -> None:
        self._draw_sprite(painter, self._ring, peaks)

    def _draw_sprite(self, painter: QPainter, sprite: QImage, marks: list[Mark]) -> None:
        half = sprite.width() / 2
        for mark in marks:
            for x, y in self._places(mark, half):
                painter.drawImage(QPointF(round(x - half), round(y - half)), sprite)

    def _draw_pairs(self, painter: QPainter, pairs: list[tuple[Mark, Mark]]) -> None:
        colour = QColor(Canvas.MATCHED_ON_LIGHT if self._is_light else Canvas.MATCHED)
        colour.setAlphaF(Canvas.PAIR_ALPHA)
        painter.setPen(QPen(colour, max(1.0, self.pixel_ratio)))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.drawLines(
            [
                QLineF(x, y, x + other.column - one.column, y + one.row - other.row)
                for one, other in pairs
                for x, y in self._places(one, abs(other.column - one.column) + 1)
            ]
        )

    @property
    def _is_light(self) -> bool:
        return colormaps.is_light(self.scale.palette)

    def _make_sprites(self) -> None:
        ink = QColor(Canvas.PEAK_ON_LIGHT if self._is_light else Canvas.PEAK)
        faint = QColor(ink)
        faint.setAlphaF(Canvas.PEAK_ALPHA)
        fill = QColor(Canvas.MATCHED_ON_LIGHT if self._is_light else Canvas.MATCHED)
        self._ring = _circle(Size.PEAK * self.pixel_ratio, faint, None, 1.1 * self.pixel_ratio)
        self._dot = _circle((Size.PEAK + 2) * self.pixel_ratio, ink, fill, 1.2 * self.pixel_ratio)

    # Out

    def draw(self, painter: QPainter, right_column: float, *, with_marks: bool) -> None:
        """Draw the `width` columns that end before `right_column`, at 0, 0 in device pixels."""
        first = math.floor(right_column) - self.width
        at = first % self.capacity
        before_seam = min(self.width, self.capacity - at)
        for image in (self._sound, self._marks) if with_marks else (self._sound,):
            painter.drawImage(0, 0, image, at, 0, before_seam, self.height)
            if before_seam < self.width:
                rest = self.width - before_seam
                painter.drawImage(before_seam, 0, image, 0, 0, rest, self.height)

    def copy(self) -> Picture:
        """A picture of its own with the same content, for freezing."""
        twin = Picture(
            self.width,
            self.height,
            self.scale,
            spare=self.capacity - self.width,
            pixel_ratio=self.pixel_ratio,
        )
        twin.count = self.count
        twin._db[:] = self._db
        twin._sound_pixels[:] = self._sound_pixels
        twin._mark_pixels[:] = self._mark_pixels
        twin._peaks, twin._matched = list(self._peaks), list(self._matched)
        twin._pairs = list(self._pairs)
        return twin


def _pixels(image: QImage) -> Pixels:
    """The image's own memory as an array, shape (height, width); writing it writes the image."""
    view = np.frombuffer(image.bits(), np.uint32).reshape(image.height(), -1)
    view[:] = 0
    return view[:, : image.width()]


def _circle(diameter: float, line: QColor, fill: QColor | None, stroke: float) -> QImage:
    side = 2 * math.ceil((diameter + stroke) / 2) + 1
    image = QImage(side, side, QImage.Format.Format_ARGB32_Premultiplied)
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(line, stroke))
    painter.setBrush(fill if fill is not None else Qt.BrushStyle.NoBrush)
    edge = (side - diameter) / 2
    painter.drawEllipse(QRectF(edge, edge, diameter, diameter))
    painter.end()
    return image
