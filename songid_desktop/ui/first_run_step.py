"""What the steps of the first run have in common, and the signs that say where one is."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFontMetrics, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from songid_desktop.ui import icons, theme
from songid_desktop.ui.controls import column, label
from songid_desktop.ui.theme import Gap, Type

DOT = 24


class Step(QWidget):
    """One step: a heading, a sentence, and what the step adds below."""

    done = Signal()
    """Go on to the next step."""
    changed = Signal()
    """`is_satisfied` may have changed."""
    word = ""
    heading = ""
    lead = ""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.is_satisfied = False
        self._lines = column(gap=Gap.M)
        self._lines.addWidget(label(self.heading, size=Type.CARD, strong=True, wraps=True))
        self.lead_label = label(self.lead, "muted", wraps=True)
        self._lines.addWidget(self.lead_label)
        self.setLayout(self._lines)

    def enter(self) -> None:
        """The step came into sight."""

    def leave(self) -> None:
        """The step goes out of sight: let go of devices and stop looking."""

    def accept_key(self) -> bool:
        """Enter was pressed; True when the step used it."""
        return False

    def _satisfy(self, *, is_satisfied: bool) -> None:
        if is_satisfied != self.is_satisfied:
            self.is_satisfied = is_satisfied
            self.changed.emit()


class StepSigns(QWidget):
    """Numbered dots with a word each; what is behind carries a tick."""

    def __init__(self, words: Sequence[str]) -> None:
        super().__init__()
        self._words = tuple(words)
        self._current = 0
        self.setFixedHeight(DOT + Gap.XS)
        theme.set_font(self)

    def set_current(self, number: int) -> None:
        """Which step is shown, from 0."""
        self._current = number
        name = f"Step {number + 1} of {len(self._words)}: {self._words[number]}"
        self.setAccessibleName(name)
        self.setToolTip(name)
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(320, DOT + Gap.XS)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002  (Qt's signature)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        left = 0.0
        middle = self.height() / 2
        for number, word in enumerate(self._words):
            is_here, is_past = number == self._current, number < self._current
            self._paint_dot(
                painter, QRectF(left + 1, middle - DOT / 2 + 1, DOT - 2, DOT - 2), number
            )
            font = theme.font(Type.BODY, Type.STRONG if is_here else Type.REGULAR)
            painter.setFont(font)
            painter.setPen(theme.colour("text" if is_here else "muted"))
            wide = QFontMetrics(font).horizontalAdvance(word)
            text_area = QRectF(left + DOT + Gap.S, 0, wide + 2, self.height())
            painter.drawText(text_area, int(Qt.AlignmentFlag.AlignVCenter), word)
            left += DOT + Gap.S + wide + Gap.M
            if number + 1 < len(self._words):
                painter.setPen(QPen(theme.colour("accent" if is_past else "line"), 2))
                painter.drawLine(QPointF(left, middle), QPointF(left + Gap.XXL, middle))
                left += Gap.XXL + Gap.M
        painter.end()

    def _paint_dot(self, painter: QPainter, box: QRectF, number: int) -> None:
        is_filled = number <= self._current
        painter.setPen(QPen(theme.colour("accent" if is_filled else "muted"), 1.5))
        painter.setBrush(theme.colour("accent" if is_filled else "surface"))
        painter.drawEllipse(box)
        if number < self._current:
            scale = self.devicePixelRatioF()
            sign = icons.pixmap("check", "on_accent", 16, scale)
            inset = (box.width() - 16) / 2
            painter.drawPixmap(QPointF(box.left() + inset, box.top() + inset), sign)
            return
        painter.setFont(theme.font(Type.CAPTION, Type.STRONG))
        painter.setPen(theme.colour("on_accent" if is_filled else "muted"))
        painter.drawText(box, int(Qt.AlignmentFlag.AlignCenter), str(number + 1))
