"""The one large button: listen, stop, or wait for the device. Its ring follows the level."""

from __future__ import annotations

import math

from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFocusEvent, QKeyEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QAbstractButton, QWidget

from songid_desktop.ui import icons, theme
from songid_desktop.ui.controls import is_by_keyboard
from songid_desktop.ui.theme import Size

_LOOKS = {
    "idle": ("listen", "Listen", "Listen for music (Space)"),
    "listening": ("stop", "Stop listening", "Stop listening (Space or Esc)"),
    "paused": ("pause", "Waiting for sound", "Waiting for sound; press to stop (Space or Esc)"),
}
_SMOOTH = 0.35


class ListenButton(QAbstractButton):
    """72 px round, in a square with room for the ring."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        side = Size.LISTEN + 2 * (Size.LISTEN_RING + 4)
        self.setFixedSize(side, side)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        self._look = ""
        self._level = 0.0
        self._is_ringed = False
        """Whether the focus came, or was used, by keyboard: a click alone draws no ring."""
        self.set_look("idle")

    @property
    def look(self) -> str:
        """idle, listening or paused."""
        return self._look

    def set_look(self, look: str) -> None:
        """Show one of the three states."""
        if look == self._look:
            return
        self._look = look
        _icon, name, tooltip = _LOOKS[look]
        self.setAccessibleName(name)
        self.setToolTip(tooltip)
        self.set_level(0.0, at_once=True)
        self.update()

    def set_level(self, level: float, *, at_once: bool = False) -> None:
        """The sound's level, 0 … 1; the ring grows and shrinks towards it."""
        goal = min(1.0, max(0.0, level))
        moved = goal if at_once else self._level + (goal - self._level) * _SMOOTH
        if abs(moved - self._level) > 0.004 or at_once:
            self._level = moved
            self.update()

    def sizeHint(self) -> QSize:
        return self.size()

    def hitButton(self, position: object) -> bool:
        if not isinstance(position, QPoint):
            return False
        away = QPointF(position) - QRectF(self.rect()).center()
        return math.hypot(away.x(), away.y()) <= Size.LISTEN / 2 + Size.LISTEN_RING / 2

    def event(self, event: QEvent) -> bool:
        if event.type() in (QEvent.Type.HoverEnter, QEvent.Type.HoverLeave):
            self.update()
        return super().event(event)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        centre = QRectF(self.rect()).center()
        radius = Size.LISTEN / 2
        self._paint_ring(painter, centre, radius)
        fill = "accent"
        if self.isDown():
            fill = "accent_pressed"
        elif self.underMouse():
            fill = "accent_hover"
        painter.setPen(Qt.PenStyle.NoPen)
        ink = "on_accent"
        if self._look == "paused":
            painter.setPen(QPen(theme.colour("muted"), Size.FOCUS_RING, Qt.PenStyle.DashLine))
            fill, ink = "surface", "text"
        painter.setBrush(theme.colour(fill))
        inset = 1.0 if self._look == "paused" else 0.0
        painter.drawEllipse(centre, radius - inset, radius - inset)
        icon_size = 32
        sign = icons.pixmap(_LOOKS[self._look][0], ink, icon_size, self.devicePixelRatioF())
        half = icon_size / 2
        painter.drawPixmap(QPointF(centre.x() - half, centre.y() - half), sign)
        if self.hasFocus() and self._is_ringed:
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(theme.colour("accent"), Size.FOCUS_RING))
            painter.drawEllipse(centre, radius + 4, radius + 4)

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self._is_ringed = is_by_keyboard(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        self._is_ringed = True
        super().keyPressEvent(event)

    def _paint_ring(self, painter: QPainter, centre: QPointF, radius: float) -> None:
        if self._look != "listening":
            return
        reach = 2.0 + self._level * (Size.LISTEN_RING + 1)
        halo = QColor(theme.colour("accent", 0.30))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(halo)
        painter.drawEllipse(centre, radius + reach, radius + reach)
