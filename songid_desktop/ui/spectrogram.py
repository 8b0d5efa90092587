"""The live spectrogram: a plain widget that draws image rings with QPainter.

Why not pyqtgraph: its ImageItem takes 3 ms a frame on this picture's size, a scatter of 500 points
another millisecond, and its import half a second; two `drawImage` calls a layer take 0.7 ms, and
the marks scroll with the pixels. The widget knows nothing of devices or identification: it is given
sound (`begin`, `push`), peaks and matches in stream time, and a clock (`advance`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

import numpy as np
from PySide6.QtCore import QPoint, QRect, QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import (
    QColor,
    QImage,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from songid_desktop.audio.ring import Ring
from songid_desktop.dsp.axis import FrequencyAxis
from songid_desktop.types import AudioBlock, Constellation, Evidence, FloatArray
from songid_desktop.ui import spectrogram_cursor as cursor
from songid_desktop.ui import theme
from songid_desktop.ui.bridge import Job
from songid_desktop.ui.cursor_canvas import CursorCanvas
from songid_desktop.ui.lit_peaks import LitPeaks
from songid_desktop.ui.probe import FrameProbe
from songid_desktop.ui.spectrogram_paint import (
    BOTTOM,
    LEFT,
    RIGHT,
    TOP,
    paint_axes,
    paint_empty,
)
from songid_desktop.ui.spectrogram_picture import Mark, Picture, Scale
from songid_desktop.ui.spectrogram_stream import (
    Redrawn,
    Shape,
    SpectrogramStream,
    history,
    redraw,
)
from songid_desktop.ui.theme import Canvas, Size

REDRAW_AFTER_MS = 90
"""A window that is being dragged larger is redrawn when it has rested this long."""
_PEAKS_KEPT = 4000
SAMPLE_RATE = 48_000
"""Assumed for the axis while there is no sound yet (Hz)."""


class Runner(Protocol):
    """`Jobs.run`, as far as it is needed here."""

    def __call__(self, function: Callable[..., object], *args: object) -> Job: ...


class SpectrogramView(CursorCanvas):
    """See the module."""

    frozen_changed = Signal(bool)

    def __init__(self, run: Runner, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._run = run
        self._ring: Ring | None = None
        self._stream: SpectrogramStream | None = None
        self._picture: Picture | None = None
        self._frozen: tuple[Picture, SpectrogramStream, float] | None = None
        self._axis = "mel"
        self._scale = Scale()
        self._shows_marks = True
        self._is_live = False
        self._ended_at = ""
        self._peaks = np.zeros((0, 2), np.float32)
        self._lit, self._lit_track = LitPeaks(), 0
        self._redraws = 0
        self.probe: FrameProbe | None = None
        """Set one to measure; see `probe.py`."""
        self._redraw_timer = QTimer(self)
        self._redraw_timer.setSingleShot(True)
        self._redraw_timer.setInterval(REDRAW_AFTER_MS)
        self._redraw_timer.timeout.connect(self._redraw_history)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(280, 160)
        self.setAccessibleName("Live spectrogram")
        self.setAccessibleDescription(
            "The last ten seconds of sound by time and frequency. Arrow keys read it out."
        )

    def sizeHint(self) -> QSize:
        return QSize(640, 420)

    # What is shown

    def begin(self, ring: Ring) -> None:
        """Start a new listening at the ring's present end."""
        self._ring = ring
        self._peaks = np.zeros((0, 2), np.float32)
        self._lit, self._lit_track = LitPeaks(), 0
        self.set_frozen(frozen=False)
        self._stream = SpectrogramStream(self._shape(ring), ring.position)
        self._picture = self._new_picture(self._stream.shape)
        self._is_live = True
        self.update()

    def push(self, block: AudioBlock) -> None:
        """The next sound of this listening."""
        if self._stream is None or self._picture is None:
            return
        columns = self._stream.push(block)
        if len(columns):
            self._picture.add(columns)

    def advance(self, elapsed_s: float) -> None:
        """A frame: move on by `elapsed_s` and repaint."""
        if self._stream is None or not self._is_live:
            return
        self._stream.advance(elapsed_s)
        if self._frozen is None:
            self.update(self._picture_area())

    def end(self) -> None:
        """Listening is over: the picture stays, with the time of its end."""
        if self._stream is not None:
            self._stream.settle()
        self._is_live = False
        self._ended_at = time.strftime("%H:%M:%S")
        self.update()

    @property
    def is_live(self) -> bool:
        """Whether sound is coming in."""
        return self._is_live

    def add_peaks(self, peaks: Constellation) -> None:
        """Peaks newly found; stream time (s of the ring's clock) and Hz."""
        fresh = np.stack([peaks.time_s, peaks.freq_hz], axis=1)
        self._peaks = np.concatenate([self._peaks, fresh])[-_PEAKS_KEPT:]
        if self._stream is not None and self._picture is not None:
            self._picture.add_peaks(_marks(self._stream, fresh))
            self.update(self._picture_area())

    def show_match(self, evidence: Evidence, clip_start_s: float, track_id: int = 0) -> None:
        """Light up what speaks for a match; evidence counts from the clip's start, which lies at
        `clip_start_s` of stream time. Looks at one track add up, another track starts anew."""
        if track_id != self._lit_track:
            self.clear_match()
            self._lit_track = track_id
        peaks, pairs = self._lit.add(evidence, clip_start_s)
        self._light(peaks, pairs)

    def clear_match(self) -> None:
        """Nothing is lit any more."""
        self._lit, self._lit_track = LitPeaks(), 0
        if self._picture is not None:
            self._picture.unlight()
            self.update(self._picture_area())

    def _light(self, peaks: FloatArray, pairs: FloatArray) -> None:
        if self._stream is not None and self._picture is not None:
            ends = zip(
                _marks(self._stream, pairs[:, :2]), _marks(self._stream, pairs[:, 2:]), strict=True
            )
            self._picture.light(_marks(self._stream, peaks), list(ends))
            self.update(self._picture_area())

    # How it is shown

    def set_axis(self, axis: str) -> None:
        """mel, log or linear; what was heard is drawn anew."""
        if axis != self._axis:
            self._axis = axis
            self._redraw_history()

    def set_scale(self, palette: str, low_db: float, high_db: float) -> None:
        """Palette and range of levels."""
        scale = Scale(palette, low_db, high_db)
        if scale == self._scale:
            return
        self._scale = scale
        for picture in (self._picture, self._frozen[0] if self._frozen else None):
            if picture is not None:
                picture.set_scale(scale)
        self.update()

    def set_marks_shown(self, *, shown: bool) -> None:
        """With or without the constellation."""
        self._shows_marks = shown
        self.update()

    @property
    def is_frozen(self) -> bool:
        return self._frozen is not None

    def set_frozen(self, *, frozen: bool) -> None:
        """Hold the picture still, while listening goes on behind it."""
        if frozen == self.is_frozen or (frozen and self._picture is None):
            return
        if frozen and self._picture is not None and self._stream is not None:
            self._frozen = (self._picture.copy(), self._stream, self._stream.right_column)
            self._ended_at = time.strftime("%H:%M:%S")
        else:
            self._frozen = None
        self.frozen_changed.emit(frozen)
        self.update()

    # Redrawing history

    def _shape(self, ring: Ring) -> Shape:
        area, ratio = self._picture_area(), self.devicePixelRatioF()
        return Shape(
            max(2, round(area.width() * ratio)),
            max(2, round(area.height() * ratio)),
            self._axis,
            ring.sample_rate,
        )

    def _new_picture(self, shape: Shape) -> Picture:
        return Picture(shape.width, shape.height, self._scale, pixel_ratio=self.devicePixelRatioF())

    def _redraw_history(self) -> None:
        if self._ring is None or self._stream is None:
            self.update()
            return
        shape = self._shape(self._ring)
        if shape == self._stream.shape:
            return
        self._redraws += 1
        number = self._redraws
        job = self._run(redraw, shape, history(self._ring, self._stream))
        job.done.connect(lambda redrawn: self._take_redrawn(number, redrawn))

    def _take_redrawn(self, number: int, redrawn: Redrawn) -> None:
        if number != self._redraws or self._ring is None or self._stream is None:
            return
        self.set_frozen(frozen=False)
        picture = self._new_picture(redrawn.shape)
        picture.add(redrawn.columns_db)
        stream = SpectrogramStream.from_redrawn(redrawn, self._stream.begin_sample)
        self._picture, self._stream = picture, stream
        if self._is_live:
            self.push(self._ring.between(stream.position, self._ring.position))
        stream.settle()
        picture.add_peaks(_marks(stream, self._peaks))
        self._light(self._lit.peaks, self._lit.pairs)
        self.update()

    # Painting

    def _picture_area(self) -> QRect:
        return self.rect().adjusted(LEFT, TOP, -RIGHT, -BOTTOM)

    def _has_picture(self) -> bool:
        return self._shown() is not None

    def _shown(self) -> tuple[Picture, SpectrogramStream, float] | None:
        if self._frozen is not None:
            return self._frozen
        if self._picture is None or self._stream is None:
            return None
        return self._picture, self._stream, self._stream.right_column

    def paintEvent(self, event: QPaintEvent) -> None:
        begun = time.perf_counter()
        painter = QPainter(self)
        area = self._picture_area()
        if not area.contains(event.rect()):
            self._paint_frame(painter)
            paint_axes(painter, area, self._frequency_axis(area), self._edge_word())
        self._paint_picture(painter, area)
        self._paint_cursor(painter, area)
        painter.end()
        if self.probe is not None:
            self.probe.painted(begun, time.perf_counter())

    def _paint_frame(self, painter: QPainter) -> None:
        painter.fillRect(self.rect(), theme.colour("bg"))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        path = QPainterPath()
        path.addRoundedRect(QRectF(self.rect()), Size.RADIUS_CARD, Size.RADIUS_CARD)
        painter.fillPath(path, QColor(Canvas.BACKGROUND))
        if self.hasFocus() and self._is_ringed:
            painter.setPen(QPen(theme.colour("accent"), Size.FOCUS_RING))
            painter.drawRoundedRect(
                QRectF(self.rect()).adjusted(1, 1, -1, -1), Size.RADIUS_CARD, Size.RADIUS_CARD
            )
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, on=False)

    def _paint_picture(self, painter: QPainter, area: QRect) -> None:
        shown = self._shown()
        if shown is None:
            painter.fillRect(area, QColor(Canvas.BACKGROUND))
            paint_empty(painter, area)
            return
        picture, _stream, right = shown
        if not picture.count:
            painter.fillRect(area, QColor(Canvas.BACKGROUND))
            paint_empty(painter, area, is_waiting=True)
            return
        ratio = self.devicePixelRatioF()
        painter.save()
        painter.translate(area.topLeft())
        if (picture.width, picture.height) == (
            round(area.width() * ratio),
            round(area.height() * ratio),
        ):
            painter.scale(1 / ratio, 1 / ratio)
        else:  # being resized: stretched until the redrawn history is there
            painter.scale(area.width() / picture.width, area.height() / picture.height)
        painter.setClipRect(0, 0, picture.width, picture.height)
        picture.draw(painter, right, with_marks=self._shows_marks)
        painter.restore()

    def _edge_word(self) -> str:
        is_past = self._frozen is not None or (not self._is_live and self._stream is not None)
        return self._ended_at if is_past else "now"

    def _frequency_axis(self, area: QRect) -> FrequencyAxis:
        shown = self._shown()
        if shown is not None:
            return shown[1].axis
        return (
            Shape(max(2, area.width()), max(2, area.height()), self._axis, 48_000)
            .make_columns()
            .axis
        )

    def cursor_ink(self) -> QColor:
        return QColor(Canvas.BACKGROUND if self._scale.palette == "print" else Canvas.TEXT)

    def readout_at(self, at: QPoint) -> str:
        shown = self._shown()
        return "" if shown is None else cursor.readout(at, self._picture_area(), *shown)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._redraw_timer.start()

    # Out

    def render_image(self, scale: float = 2.0) -> QImage:
        """The picture with its axes, for saving; without cursor and focus ring."""
        image = QImage(self.size() * scale, QImage.Format.Format_RGB32)
        image.setDevicePixelRatio(scale)
        image.fill(QColor(Canvas.BACKGROUND))
        painter = QPainter(image)
        area = self._picture_area()
        paint_axes(painter, area, self._frequency_axis(area), self._edge_word())
        shown = self._shown()
        if shown is None:
            paint_empty(painter, area)
        else:
            picture, _stream, right = shown
            painter.translate(area.topLeft())
            painter.scale(area.width() / picture.width, area.height() / picture.height)
            painter.setClipRect(0, 0, picture.width, picture.height)
            picture.draw(painter, right, with_marks=self._shows_marks)
        painter.end()
        return image


def _marks(stream: SpectrogramStream, points: FloatArray) -> list[Mark]:
    """(time s, Hz) rows as places in the picture."""
    if not len(points):
        return []
    columns = stream.column_of(points[:, 0])
    rows = stream.axis.row_of(points[:, 1])
    return [Mark(float(c), float(r)) for c, r in zip(columns, rows, strict=True)]
