"""The ranked candidates: rows of 52 px, one common scale, a row that moves up slides.

One widget paints all rows, because rows that slide past one another are paint, not layout. To a
screen reader it is one list in words; arrows walk it, Enter plays.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QRect, QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import (
    QFocusEvent,
    QFontMetrics,
    QHelpEvent,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
)
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from songid_desktop.ui import announce, cover, theme
from songid_desktop.ui.theme import SLIDE_MS, Gap, Size, Type
from songid_desktop.ui.wording import joined, one_line, percent

_FRAME_MS = 16
_BAR, _SHORT_BAR, _SHORT_BELOW = 56, 40, 320
_BETWEEN = 2
_BAR_TALL = 6


@dataclass(frozen=True, slots=True)
class Row:
    """One candidate as it is shown."""

    track_id: int
    rank: int
    title: str
    artist: str
    confidence: float
    hint: str = ""
    image: QImage | None = None


class CandidateList(QWidget):
    """The candidates behind the best one."""

    activated = Signal(int)
    """Track id of a row that was double-clicked or entered."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows: tuple[Row, ...] = ()
        self._from: dict[int, float] = {}
        self._slide_began = 0.0
        self._current = -1
        self._timer = QTimer(self)
        self._timer.setInterval(_FRAME_MS)
        self._timer.timeout.connect(self._on_frame)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName("Other candidates")
        self.setToolTip("Other candidates; Enter or a double-click plays one")
        theme.set_font(self)

    @property
    def rows(self) -> tuple[Row, ...]:
        return self._rows

    @property
    def is_sliding(self) -> bool:
        return self._timer.isActive()

    def sizeHint(self) -> QSize:
        return QSize(Size.PANEL_MIN, Size.CANDIDATE_ROW * max(1, len(self._rows)))

    def minimumSizeHint(self) -> QSize:
        return QSize(200, Size.CANDIDATE_ROW)

    def show_rows(self, rows: Sequence[Row]) -> None:
        """Show `rows`; those that were there already slide to their new places."""
        rows = tuple(rows)
        if rows == self._rows:
            return
        old = {row.track_id: self._place(i) for i, row in enumerate(self._rows)}
        self._from = {
            row.track_id: old[row.track_id]
            for i, row in enumerate(rows)
            if row.track_id in old and old[row.track_id] != float(i)
        }
        self._rows = rows
        self._current = min(self._current, len(rows) - 1)
        said = "; ".join(f"{r.rank}: {r.title}, {percent(r.confidence)}" for r in rows)
        self.setAccessibleDescription(said or "None")
        if self._from and self.isVisible() and not theme.is_motion_reduced():
            self._slide_began = time.monotonic()
            self._timer.start()
        else:
            self._from = {}
            self._timer.stop()
        self.updateGeometry()
        self.update()

    def _place(self, index: int) -> float:
        """Where row `index` stands now, in rows from the top, mid-slide too."""
        start = self._from.get(self._rows[index].track_id)
        if start is None:
            return float(index)
        done = min(1.0, (time.monotonic() - self._slide_began) * 1000 / SLIDE_MS)
        eased = 1.0 - (1.0 - done) ** 3
        return start + (index - start) * eased

    def _on_frame(self) -> None:
        if (time.monotonic() - self._slide_began) * 1000 >= SLIDE_MS or not self.isVisible():
            self._timer.stop()
            self._from = {}
        self.update()

    def _visible_count(self) -> int:
        """Only whole rows are shown."""
        return min(len(self._rows), max(0, self.height() // Size.CANDIDATE_ROW))

    def row_at(self, y: float) -> Row | None:
        index = int(y // Size.CANDIDATE_ROW)
        return self._rows[index] if 0 <= index < self._visible_count() else None

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for index in reversed(range(self._visible_count())):
            top = round(self._place(index) * Size.CANDIDATE_ROW)
            box = QRect(0, top, self.width(), Size.CANDIDATE_ROW)
            self._paint_row(painter, box, self._rows[index], is_current=index == self._current)

    def _paint_row(self, painter: QPainter, box: QRect, row: Row, *, is_current: bool) -> None:
        if is_current and self.hasFocus():
            painter.setPen(QPen(theme.colour("accent"), Size.FOCUS_RING))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(QRectF(box).adjusted(1, 1, -1, -1), Size.RADIUS, Size.RADIUS)
        metrics = QFontMetrics(theme.font())
        middle = Qt.AlignmentFlag.AlignVCenter.value
        right_flag = Qt.AlignmentFlag.AlignRight.value
        rank_wide = metrics.horizontalAdvance("0")
        painter.setFont(theme.font())
        painter.setPen(theme.colour("muted"))
        x = Gap.XS
        painter.drawText(QRect(x, box.top(), rank_wide, box.height()), middle, str(row.rank))
        x += rank_wide + Gap.S
        side = Size.CANDIDATE_COVER
        art = QRectF(x, box.top() + (box.height() - side) / 2, side, side)
        cover.paint(painter, art, row.title, row.image, self.devicePixelRatioF())
        x += side + Gap.M
        number_wide = metrics.horizontalAdvance("<99 %")
        number_left = box.right() - Gap.XS - number_wide
        painter.setPen(theme.colour("text"))
        number = QRect(number_left, box.top(), number_wide, box.height())
        painter.drawText(number, middle | right_flag, percent(row.confidence))
        bar_wide = _BAR if self.width() >= _SHORT_BELOW else _SHORT_BAR
        bar_left = number_left - Gap.S - bar_wide
        bar = QRectF(bar_left, box.center().y() - _BAR_TALL / 2 + 0.5, bar_wide, _BAR_TALL)
        _paint_bar(painter, bar, row.confidence)
        self._paint_names(painter, QRect(x, box.top(), bar_left - Gap.M - x, box.height()), row)

    def _paint_names(self, painter: QPainter, box: QRect, row: Row) -> None:
        """Title over artist, the two together in the middle of the row."""
        lines = [(row.title, theme.font(Type.BODY, Type.STRONG), "text")]
        if row.artist:
            lines.append((row.artist, theme.font(Type.CAPTION), "muted"))
        metrics = [QFontMetrics(font) for _text, font, _role in lines]
        top = box.center().y() - (sum(m.height() for m in metrics) + _BETWEEN) // 2 + 1
        for (text, font, role), m in zip(lines, metrics, strict=True):
            painter.setFont(font)
            painter.setPen(theme.colour(role))
            shown = m.elidedText(one_line(text), Qt.TextElideMode.ElideRight, box.width())
            painter.drawText(box.left(), top + m.ascent(), shown)
            top += m.height() + _BETWEEN

    # Mouse and keys

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            row = self.row_at(event.pos().y())
            if row is None:
                QToolTip.hideText()
                return True
            first = joined([row.title, row.artist])
            QToolTip.showText(event.globalPos(), joined([first, row.hint], "\n"), self)
            return True
        return bool(super().event(event))

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        row = self.row_at(event.position().y())
        if row is not None:
            self.activated.emit(row.track_id)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        count = self._visible_count()
        if event.key() in (Qt.Key.Key_Up, Qt.Key.Key_Down) and count:
            step = 1 if event.key() == Qt.Key.Key_Down else -1
            self._select(min(max(self._current + step, 0), count - 1))
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and 0 <= self._current < count:
            self.activated.emit(self._rows[self._current].track_id)
        else:
            super().keyPressEvent(event)

    def _select(self, index: int) -> None:
        self._current = index
        row = self._rows[index]
        announce.say(self, f"{row.rank}: {joined([row.title, row.artist], ', ')}")
        self.update()

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        if self._rows and self._current < 0:
            self._select(0)
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.update()


def _paint_bar(painter: QPainter, bar: QRectF, confidence: float) -> None:
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(theme.colour("track"))
    painter.drawRoundedRect(bar, _BAR_TALL / 2, _BAR_TALL / 2)
    wide = bar.width() * min(1.0, confidence)
    if wide >= 1.0:
        painter.setBrush(theme.colour("accent"))
        bar.setWidth(max(wide, _BAR_TALL))
        painter.drawRoundedRect(bar, _BAR_TALL / 2, _BAR_TALL / 2)
