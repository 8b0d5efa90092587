"""The one large button: listen, stop, or wait for the device. Its ring follows the level."""

from __future__ import annotations

import math
from functools import lru_cache

from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QFocusEvent, QKeyEvent, QPainter, QPaintEvent, QPen, QPixmap
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
_ICON = 32
_SIDE = Size.LISTEN + 2 * (Size.LISTEN_RING + 4)


class ListenButton(QAbstractButton):
    """72 px round, in a square with room for the ring."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFixedSize(_SIDE, _SIDE)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        self._look = ""
        self._level = self._reach = 0.0
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
        self._level = goal if at_once else self._level + (goal - self._level) * _SMOOTH
        reach = round(2 * (2.0 + self._level * (Size.LISTEN_RING + 1))) / 2
        if reach != self._reach:  # half a pixel is the least one can see
            self._reach = reach
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
        state = "pressed" if self.isDown() else "hover" if self.underMouse() else ""
        theme_name, ratio = theme.current().name, self.devicePixelRatioF()
        reach = self._reach if self._look == "listening" else 0.0
        if reach:
            painter.drawPixmap(0, 0, _halo(reach, theme_name, ratio))
        painter.drawPixmap(0, 0, _disc(self._look, state, theme_name, ratio))
        if self.hasFocus() and self._is_ringed:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(QPen(theme.colour("accent"), Size.FOCUS_RING))
            radius = Size.LISTEN / 2 + 4
            painter.drawEllipse(QRectF(self.rect()).center(), radius, radius)

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self._is_ringed = is_by_keyboard(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        self._is_ringed = True
        super().keyPressEvent(event)


def _canvas(ratio: float) -> QPixmap:
    pixmap = QPixmap(round(_SIDE * ratio), round(_SIDE * ratio))
    pixmap.setDevicePixelRatio(ratio)
    pixmap.fill(Qt.GlobalColor.transparent)
    return pixmap


# Smooth circles cost a millisecond each; the ring changes every frame, in few sizes.
@lru_cache(maxsize=128)
def _halo(reach: float, _theme_name: str, ratio: float) -> QPixmap:
    pixmap = _canvas(ratio)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(theme.colour("accent", 0.30))
    radius = Size.LISTEN / 2 + reach
    painter.drawEllipse(QPointF(_SIDE / 2, _SIDE / 2), radius, radius)
    painter.end()
    return pixmap


@lru_cache(maxsize=64)
def _disc(look: str, state: str, _theme_name: str, ratio: float) -> QPixmap:
    pixmap = _canvas(ratio)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    centre, radius = QPointF(_SIDE / 2, _SIDE / 2), Size.LISTEN / 2
    ink = "on_accent"
    if look == "paused":
        painter.setPen(QPen(theme.colour("muted"), Size.FOCUS_RING, Qt.PenStyle.DashLine))
        painter.setBrush(theme.colour(state or "surface"))
        ink, radius = "text", radius - 1.0
    else:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour(f"accent_{state}" if state else "accent"))
    painter.drawEllipse(centre, radius, radius)
    sign = icons.pixmap(_LOOKS[look][0], ink, _ICON, ratio)
    painter.drawPixmap(QPointF((_SIDE - _ICON) / 2, (_SIDE - _ICON) / 2), sign)
    painter.end()
    return pixmap
