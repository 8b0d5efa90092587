"""A picture that is read out: a cross under the pointer or the arrow keys, and a chip with what
stands there in words."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QPoint, QPointF, QRect, Qt
from PySide6.QtGui import QColor, QFocusEvent, QHideEvent, QKeyEvent, QMouseEvent, QPainter, QPen
from PySide6.QtWidgets import QWidget

from songid_desktop.ui import announce
from songid_desktop.ui import spectrogram_cursor as cursor
from songid_desktop.ui.controls import is_by_keyboard
from songid_desktop.ui.spectrogram_paint import paint_chip
from songid_desktop.ui.theme import Canvas


class CursorCanvas(QWidget):
    """Keys, with the focus on it: arrows move the cursor (with Shift in larger steps), Esc puts it
    away. Derive it with the picture."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._cursor: QPoint | None = None
        self._is_ringed = False
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.CrossCursor)

    # What the picture says

    def _picture_area(self) -> QRect:
        """Where in the widget the picture is."""
        raise NotImplementedError

    def _has_picture(self) -> bool:
        """Whether there is anything to read."""
        raise NotImplementedError

    def cursor_ink(self) -> QColor:
        """A colour that is seen on the picture."""
        raise NotImplementedError

    def readout_at(self, at: QPoint) -> str:
        """What stands at a point of the picture, in words."""
        raise NotImplementedError

    # The cursor

    def readout(self) -> str:
        """What stands under the cursor: hertz, note, level, time; empty without a cursor."""
        at = self._cursor
        if at is None or not self._has_picture() or not self._picture_area().contains(at):
            return ""
        return self.readout_at(at)

    def _paint_cursor(self, painter: QPainter, area: QRect) -> None:
        words = self.readout()
        if not words or self._cursor is None:
            return
        line = self.cursor_ink()
        line.setAlphaF(Canvas.CURSOR_ALPHA)
        painter.setPen(QPen(line, 1))
        x, y = self._cursor.x() + 0.5, self._cursor.y() + 0.5
        painter.drawLine(QPointF(area.left(), y), QPointF(area.right() + 1, y))
        painter.drawLine(QPointF(x, area.top()), QPointF(x, area.bottom() + 1))
        paint_chip(painter, words, self._cursor, area)

    def _set_cursor(self, at: QPoint | None) -> None:
        self._cursor = at
        self.update(self._picture_area())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        at = event.position().toPoint()
        self._set_cursor(at if self._picture_area().contains(at) else None)

    def leaveEvent(self, event: QEvent) -> None:
        self._set_cursor(None)
        super().leaveEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        is_leap = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        at = cursor.moved(self._cursor, event.key(), self._picture_area(), is_leap=is_leap)
        if at is not None and self._has_picture():
            self._set_cursor(at)
            announce.say(self, self.readout())
        elif event.key() == Qt.Key.Key_Escape and self._cursor is not None:
            self._set_cursor(None)
        else:
            super().keyPressEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self._is_ringed = is_by_keyboard(event)
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self._cursor = None
        self.update()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._cursor = None
