"""How like the named track the clip is, part by part: the evidence of a learned identifier."""

from __future__ import annotations

from itertools import pairwise
from typing import cast

import numpy as np
from PySide6.QtCore import QEvent, QPoint, QPointF, QRect, QRectF, Qt
from PySide6.QtGui import QColor, QHelpEvent, QPainter, QPainterPath, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from songid_desktop.types import FloatArray
from songid_desktop.ui import theme
from songid_desktop.ui.cursor_canvas import CursorCanvas
from songid_desktop.ui.theme import Canvas, Gap, Size, Type

TALL, SHORT = 112, 80
SHORT_BELOW = 680
"""Under this height of the panel (px) the curve leaves more room to the candidates."""
LEFT, TOP, RIGHT, BOTTOM = 36, 10, 12, 24
_LEVELS = (0.0, 0.5, 1.0)
_LINE_PX = 2.0
_FILL_ALPHA = 0.18
_GRID_ALPHA = 0.25
_TIME_ROOM = 64
_STEPS_S = (0.5, 1.0, 2.0, 5.0, 10.0)


class SimilarityCurve(CursorCanvas):
    """Cosine over the seconds of the clip, 0 (nothing alike) to 1 (the same); hidden where there
    is no such evidence. Pointer and arrow keys read it out."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._time_s: FloatArray = np.zeros(0, np.float32)
        self._cosine: FloatArray = np.zeros(0, np.float32)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.fit(SHORT_BELOW)
        self.setAccessibleName("Similarity over the clip")
        self.setToolTip(
            "How like the track each part of the clip is: 1 is the same, 0 is nothing alike"
        )
        self.hide()

    def fit(self, panel_height: int) -> None:
        """Take a height that suits the panel's."""
        self.setFixedHeight(SHORT if panel_height < SHORT_BELOW else TALL)

    def show_curve(self, curve: tuple[FloatArray, FloatArray] | None) -> None:
        """Show the curve of a match, or nothing."""
        if curve is None or len(curve[0]) < 2:
            self.hide()
            return
        self._time_s, self._cosine = curve
        self.setAccessibleDescription(words_of(self._time_s, self._cosine))
        self.show()
        self.update()

    def event(self, event: QEvent) -> bool:
        is_hint = event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent)
        if is_hint and self._picture_area().contains(cast("QHelpEvent", event).pos()):
            return True  # the readout says more, and nothing must stand on the curve
        return bool(super().event(event))

    # -- painting -----------------------------------------------------------------------------

    def _picture_area(self) -> QRect:
        return self.rect().adjusted(LEFT, TOP, -RIGHT, -BOTTOM)

    def _has_picture(self) -> bool:
        return len(self._time_s) > 1

    def cursor_ink(self) -> QColor:
        return QColor(Canvas.TEXT)

    def readout_at(self, at: QPoint) -> str:
        area = self._picture_area()
        seconds = self._from_s + (at.x() - area.left()) / area.width() * self._span_s
        return f"{seconds:.1f} s   {float(np.interp(seconds, self._time_s, self._cosine)):.2f}"

    @property
    def _from_s(self) -> float:
        return float(self._time_s[0])

    @property
    def _span_s(self) -> float:
        return max(1e-6, float(self._time_s[-1] - self._time_s[0]))

    def _point(self, seconds: float, cosine: float, area: QRect) -> QPointF:
        x = area.left() + (seconds - self._from_s) / self._span_s * area.width()
        y = area.bottom() + 1 - min(1.0, max(0.0, cosine)) * area.height()
        return QPointF(x, y)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(Canvas.BACKGROUND))
        painter.drawRoundedRect(QRectF(self.rect()), Size.RADIUS, Size.RADIUS)
        area = self._picture_area()
        if self._has_picture() and area.width() > 0:
            self._paint_grid(painter, area)
            self._paint_curve(painter, area)
            self._paint_cursor(painter, area)
        if self._is_ringed and self.hasFocus():
            painter.setPen(QPen(theme.colour("accent"), Size.FOCUS_RING))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            ring = QRectF(self.rect()).adjusted(1, 1, -1, -1)
            painter.drawRoundedRect(ring, Size.RADIUS, Size.RADIUS)

    def _paint_grid(self, painter: QPainter, area: QRect) -> None:
        painter.setFont(theme.font(Type.CAPTION))
        faint = QColor(Canvas.TICKS)
        faint.setAlphaF(_GRID_ALPHA)
        for level in _LEVELS:
            y = self._point(self._from_s, level, area).y()
            painter.setPen(QPen(faint, 1))
            painter.drawLine(QPointF(area.left(), y), QPointF(area.right() + 1, y))
            painter.setPen(QColor(Canvas.TICKS))
            box = QRectF(0, y - 9, LEFT - Gap.XS, 18)
            flags = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            painter.drawText(box, flags, f"{level:g}")
        for seconds in time_marks(self._from_s, self._span_s, area.width()):
            x = self._point(seconds, 0.0, area).x()
            word = f"{seconds:g} s"
            wide = painter.fontMetrics().horizontalAdvance(word) + 2
            left = min(max(x - wide / 2, area.left() - wide / 2), area.right() + RIGHT - wide)
            painter.drawText(
                QRectF(left, area.bottom() + 4, wide, 18), Qt.AlignmentFlag.AlignCenter, word
            )

    def _paint_curve(self, painter: QPainter, area: QRect) -> None:
        points = [
            self._point(seconds, cosine, area)
            for seconds, cosine in zip(self._time_s.tolist(), self._cosine.tolist(), strict=True)
        ]
        shape = QPainterPath(QPointF(points[0].x(), area.bottom() + 1))
        for point in points:
            shape.lineTo(point)
        shape.lineTo(QPointF(points[-1].x(), area.bottom() + 1))
        fill = QColor(Canvas.MATCHED)
        fill.setAlphaF(_FILL_ALPHA)
        painter.fillPath(shape, fill)
        painter.setPen(QPen(QColor(Canvas.MATCHED), _LINE_PX))
        for before, after in pairwise(points):
            painter.drawLine(before, after)


def time_marks(from_s: float, span_s: float, width_px: int) -> list[float]:
    """Round seconds to write below the curve, as many as there is room for."""
    most = max(1, width_px // _TIME_ROOM)
    step_s = next((step for step in _STEPS_S if span_s / step <= most), _STEPS_S[-1])
    first = int(np.ceil(from_s / step_s - 1e-6))
    last = int(np.floor((from_s + span_s) / step_s + 1e-6))
    return [number * step_s for number in range(first, last + 1)]


def words_of(time_s: FloatArray, cosine: FloatArray) -> str:
    """The curve in a sentence."""
    best = float(time_s[int(np.argmax(cosine))])
    return (
        f"From {float(cosine.min()):.2f} to {float(cosine.max()):.2f}, on average "
        f"{float(cosine.mean()):.2f}; most alike at {best:.1f} s of the clip"
    )
