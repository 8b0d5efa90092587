"""Says what dropping will do, over the page, while something is dragged across it."""

from __future__ import annotations

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from songid_desktop.ui import icons, theme
from songid_desktop.ui.theme import Gap, Size, Type

_ICON = 40


class DropHint(QWidget):
    """A dashed outline and a sentence; the pointer passes through it."""

    def __init__(self, words: str, parent: QWidget, icon: str = "folder-add") -> None:
        super().__init__(parent)
        self._words = words
        self._icon = icon
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAccessibleName(words)
        self.hide()

    def show_over(self) -> None:
        """Cover the parent."""
        parent = self.parentWidget()
        if parent is not None:
            self.setGeometry(parent.rect())
        self.raise_()
        self.show()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002  (Qt's signature)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.fillRect(self.rect(), theme.colour("bg", 0.88))
        pen = QPen(theme.colour("accent"), Size.FOCUS_RING, Qt.PenStyle.DashLine)
        painter.setPen(pen)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        box = QRectF(self.rect()).adjusted(Gap.L, Gap.L, -Gap.L, -Gap.L)
        painter.drawRoundedRect(box, Size.RADIUS_CARD, Size.RADIUS_CARD)
        middle = box.center()
        sign = icons.pixmap(self._icon, "accent", _ICON, self.devicePixelRatioF())
        painter.drawPixmap(round(middle.x() - _ICON / 2), round(middle.y() - _ICON - Gap.S), sign)
        painter.setFont(theme.font(Type.CARD, Type.STRONG))
        painter.setPen(theme.colour("text"))
        line = QRectF(box.left(), middle.y() + Gap.S, box.width(), 24)
        painter.drawText(line, int(Qt.AlignmentFlag.AlignCenter), self._words)
        painter.end()
