"""What is painted around and over the spectrogram: axes, the readout, the empty canvas."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QPointF, QRect, QRectF, Qt
from PySide6.QtGui import QColor, QPainter

from songid_desktop.dsp.axis import FrequencyAxis
from songid_desktop.ui import spectrogram_axes as axes
from songid_desktop.ui import theme
from songid_desktop.ui.spectrogram_stream import SPAN_S
from songid_desktop.ui.theme import Canvas, Gap, Size, Type

LEFT, TOP, RIGHT, BOTTOM = 64, 14, 14, 30
"""Gutters (px) around the picture; the axes stand in them."""

EMPTY_TEXT = "Press Listen, and the sound around you appears here"
EMPTY_HINT = "Time runs to the right, high notes lie at the top, bright is loud."
WAITING_TEXT = "Waiting for sound"
_TICK_ROOM = 44
_LABEL_APART = 18


def paint_axes(painter: QPainter, area: QRect, axis: FrequencyAxis, edge_word: str) -> None:
    """Hertz at the left, seconds below; `edge_word` stands at the right end."""
    painter.setPen(QColor(Canvas.TICKS))
    painter.setFont(theme.font(Type.CAPTION))
    marks = axis.ticks_hz(most=max(2, area.height() // _TICK_ROOM))
    above = float("-inf")
    # From the top down: where the mel axis crowds its low end, the higher mark stays.
    for value_hz, row in reversed(
        list(zip(marks.tolist(), axis.row_of(marks).tolist(), strict=True))
    ):
        y = area.bottom() + 1 - (row + 0.5) * area.height() / axis.n_rows
        if y - above < _LABEL_APART:
            continue
        above = y
        painter.drawLine(QPointF(area.left() - 6, y), QPointF(area.left() - 3, y))
        box = QRectF(0, y - 10, LEFT - 10, 20)
        flags = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(box, flags, axes.hertz(value_hz))
    for seconds in axes.time_marks(SPAN_S, area.width()):
        x = area.right() + 1 - seconds / SPAN_S * area.width()
        painter.drawLine(QPointF(x, area.bottom() + 4), QPointF(x, area.bottom() + 7))
        word = f"{axes.MINUS}{seconds:g} s" if seconds else edge_word
        _paint_time(painter, word, x, area)


def _paint_time(painter: QPainter, word: str, x: float, area: QRect) -> None:
    wide = painter.fontMetrics().horizontalAdvance(word) + 2
    left = min(max(x - wide / 2, area.left() - LEFT / 2), area.right() + 3 - wide)
    box = QRectF(left, area.bottom() + 8, wide, 18)
    painter.drawText(box, Qt.AlignmentFlag.AlignCenter, word)


def paint_empty(painter: QPainter, area: QRect, *, is_waiting: bool = False) -> None:
    """What will be here, or that no sound has come yet."""
    middle = area.center().y()
    painter.setPen(QColor(Canvas.TEXT))
    painter.setFont(theme.font(Type.CARD, Type.STRONG))
    wraps = Qt.AlignmentFlag.AlignHCenter.value | Qt.TextFlag.TextWordWrap.value
    upper = QRect(area.left(), area.top(), area.width(), middle - area.top())
    painter.drawText(
        upper,
        wraps | Qt.AlignmentFlag.AlignBottom.value,
        WAITING_TEXT if is_waiting else EMPTY_TEXT,
    )
    painter.setPen(QColor(Canvas.TICKS))
    painter.setFont(theme.font(Type.BODY))
    lower = QRect(area.left(), middle + Gap.S, area.width(), area.bottom() - middle)
    painter.drawText(lower, wraps | Qt.AlignmentFlag.AlignTop.value, EMPTY_HINT)


def paint_chip(painter: QPainter, text: str, at: QPoint, area: QRect) -> None:
    """The readout, beside the cursor and never over the edge."""
    painter.setFont(theme.font(Type.CAPTION))
    wide = painter.fontMetrics().horizontalAdvance(text) + 2 * Gap.S
    tall = painter.fontMetrics().height() + Gap.S
    x = at.x() + Gap.M if at.x() + Gap.M + wide < area.right() else at.x() - Gap.M - wide
    y = at.y() - Gap.M - tall if at.y() - Gap.M - tall > area.top() else at.y() + Gap.M
    x = min(max(x, area.left()), max(area.left(), area.right() - wide))
    box = QRectF(x, y, wide, tall)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    back = QColor(Canvas.BACKGROUND)
    back.setAlphaF(0.88)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(back)
    painter.drawRoundedRect(box, Size.RADIUS, Size.RADIUS)
    painter.setPen(QColor(Canvas.TEXT))
    painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)
