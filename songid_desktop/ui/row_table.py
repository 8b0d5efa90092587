"""A table of 44 px rows in our own look, shared by Library and History.

Rows are painted whole: a tint for hover and selection, a line below, a ring round the row that the
keyboard is on. Cells are painted by a `RowDelegate` that each page derives.
"""

from __future__ import annotations

from PySide6.QtCore import QEvent, QItemSelectionModel, QModelIndex, QRect, Qt, Signal
from PySide6.QtGui import (
    QFocusEvent,
    QFontMetrics,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPen,
)
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStyledItemDelegate,
    QStyleOptionHeader,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from songid_desktop.ui import icons, paint_kit, theme
from songid_desktop.ui.paged_model import Index
from songid_desktop.ui.theme import Gap, Size, Type

CELL_PAD = Gap.S
SORT_SIGN = 14


class RowTable(QTableView):
    """Rows of one height, one look, no grid; nothing can be edited in place."""

    row_opened = Signal(int)
    """Double-click or Enter on a row."""
    remove_wanted = Signal()
    """Delete was pressed."""
    sort_wanted = Signal(int)
    """A header was clicked, or chosen by keyboard."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.hovered_row = -1
        self.shows_focus = False
        self.setHorizontalHeader(SortHeader(self))
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setCornerButtonEnabled(False)
        self.setMouseTracking(True)
        self.setTabKeyNavigation(False)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.setFrameShape(QTableView.Shape.NoFrame)
        vertical = self.verticalHeader()
        vertical.hide()
        vertical.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        vertical.setMinimumSectionSize(Size.ROW)
        vertical.setDefaultSectionSize(Size.ROW)
        self.verticalScrollBar().setSingleStep(Size.ROW // 2)
        theme.set_font(self)
        self.horizontalHeader().sectionClicked.connect(self.sort_wanted)

    # -- rows ---------------------------------------------------------------------------------

    def selected_rows(self) -> list[int]:
        """Rows that are selected, top to bottom."""
        rows: set[int] = set()
        for span in self.selected_spans():
            rows.update(range(span[0], span[1] + 1))
        return sorted(rows)

    def selected_spans(self) -> list[tuple[int, int]]:
        """Selected rows as spans (first, last), merged; cheap however many rows they hold."""
        if self.model() is None:
            return []
        chosen = self.selectionModel().selection()
        ranges = [chosen.at(place) for place in range(chosen.count())]
        spans = sorted((each.top(), each.bottom()) for each in ranges)
        merged: list[tuple[int, int]] = []
        for first, last in spans:
            if merged and first <= merged[-1][1] + 1:
                merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
            else:
                merged.append((first, last))
        return merged

    def visible_rows(self) -> tuple[int, int]:
        """First and last row in sight; (0, 0) when there is none."""
        model = self.model()
        count = model.rowCount() if model is not None else 0
        if count == 0:
            return (0, 0)
        first = self.verticalScrollBar().value() // Size.ROW
        shown = self.viewport().height() // Size.ROW + 1
        return (min(first, count - 1), min(first + shown, count - 1))

    def go_to(self, row: int) -> None:
        """Select one row and bring it into sight."""
        index = self.model().index(row, 0)
        flag = QItemSelectionModel.SelectionFlag
        self.selectionModel().setCurrentIndex(index, flag.ClearAndSelect | flag.Rows)
        self.scrollTo(index)

    # -- keyboard and pointer -----------------------------------------------------------------

    def keyPressEvent(self, event: QKeyEvent) -> None:
        self.shows_focus = True
        key = event.key()
        row = self.currentIndex().row()
        if key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and not event.modifiers() and row >= 0:
            self.row_opened.emit(row)
            return
        if key == Qt.Key.Key_Delete and not event.modifiers():
            self.remove_wanted.emit()
            return
        if key == Qt.Key.Key_Space:
            # Space listens, everywhere: the window takes it.
            event.ignore()
            return
        is_first = key in (Qt.Key.Key_Down, Qt.Key.Key_Up) and not self.selected_spans()
        if is_first and row >= 0:
            # Coming in, the keyboard stands on a row that is not chosen yet: that one comes first.
            self.go_to(row)
            return
        super().keyPressEvent(event)

    def moveCursor(
        self, action: QAbstractItemView.CursorAction, modifiers: Qt.KeyboardModifier
    ) -> QModelIndex:
        """Home and End go to the first and last row: a row is one thing here, not many cells."""
        ends = {
            QAbstractItemView.CursorAction.MoveHome: 0,
            QAbstractItemView.CursorAction.MoveEnd: self.model().rowCount() - 1,
        }
        if action in ends:
            return self.model().index(ends[action], max(0, self.currentIndex().column()))
        return super().moveCursor(action, modifiers)

    def keyboardSearch(self, search: str) -> None:
        """Typing letters would read every row of the table; the search field is for that."""

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self.shows_focus = False
        super().mousePressEvent(event)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        super().mouseDoubleClickEvent(event)
        index = self.indexAt(event.position().toPoint())
        if index.isValid() and event.button() is Qt.MouseButton.LeftButton:
            self.row_opened.emit(index.row())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        super().mouseMoveEvent(event)
        self._hover(self.indexAt(event.position().toPoint()).row())

    def viewportEvent(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Leave:
            self._hover(-1)
        return super().viewportEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:
        if event.reason() in (
            Qt.FocusReason.TabFocusReason,
            Qt.FocusReason.BacktabFocusReason,
            Qt.FocusReason.ShortcutFocusReason,
        ):
            self.shows_focus = True
            model = self.model()
            if not self.currentIndex().isValid() and model is not None and model.rowCount():
                self.go_to(self.visible_rows()[0])
        super().focusInEvent(event)
        self.viewport().update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.viewport().update()

    def currentChanged(self, current: Index, previous: Index) -> None:
        super().currentChanged(current, previous)
        for row in (current.row(), previous.row()):
            self.update_row(row)

    def _hover(self, row: int) -> None:
        if row != self.hovered_row:
            before, self.hovered_row = self.hovered_row, row
            self.update_row(before)
            self.update_row(row)

    def update_row(self, row: int) -> None:
        """Paint one row again."""
        if row >= 0:
            top = self.rowViewportPosition(row)
            self.viewport().update(QRect(0, top, self.viewport().width(), Size.ROW))


class SortHeader(QHeaderView):
    """Headers that show which way the table is sorted with our own arrow beside the word."""

    def __init__(self, table: QTableView) -> None:
        super().__init__(Qt.Orientation.Horizontal, table)
        self.sorted_section = -1
        self.is_descending = False
        self.sortable: frozenset[int] = frozenset()
        self.setSectionsClickable(True)
        self.setHighlightSections(False)
        self.setMinimumSectionSize(48)
        self.setFixedHeight(Size.CONTROL + Gap.XS)
        self.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        theme.set_font(self, Type.CAPTION, Type.STRONG)

    def set_sorted(self, section: int, *, is_descending: bool) -> None:
        """Show the arrow at `section`."""
        self.sorted_section, self.is_descending = section, is_descending
        self.viewport().update()

    def paintSection(self, painter: QPainter, rect: QRect, section: int) -> None:
        option = QStyleOptionHeader()
        self.initStyleOption(option)
        painter.save()
        painter.fillRect(rect, paint_kit.colour("surface"))
        is_under = self.rect().contains(self.mapFromGlobal(self.cursor().pos())) and (
            self.logicalIndexAt(self.mapFromGlobal(self.cursor().pos())) == section
        )
        is_sorted = section == self.sorted_section
        is_warm = is_sorted or (is_under and section in self.sortable)
        painter.setPen(paint_kit.colour("text" if is_warm else "muted"))
        painter.setFont(self.font())
        text = str(self.model().headerData(section, Qt.Orientation.Horizontal) or "")
        area = rect.adjusted(CELL_PAD, 0, -CELL_PAD, 0)
        sign_room = SORT_SIGN + Gap.XS if is_sorted else 0
        metrics = QFontMetrics(self.font())
        shown = metrics.elidedText(text, Qt.TextElideMode.ElideRight, area.width() - sign_room)
        wide = metrics.horizontalAdvance(shown)
        alignment = self.model().headerData(
            section, Qt.Orientation.Horizontal, int(Qt.ItemDataRole.TextAlignmentRole)
        )
        is_right = bool(alignment) and bool(alignment & Qt.AlignmentFlag.AlignRight)
        left = area.right() + 1 - wide if is_right else area.left()
        text_area = QRect(left, area.top(), wide + 1, area.height())
        painter.drawText(text_area, int(Qt.AlignmentFlag.AlignVCenter), shown)
        if is_sorted:
            x = left - SORT_SIGN - Gap.XS if is_right else left + wide + Gap.XS
            name = "sort-down" if self.is_descending else "sort-up"
            scale = self.devicePixelRatioF()
            sign = icons.pixmap(name, "accent", SORT_SIGN, scale)
            painter.drawPixmap(x, rect.top() + (rect.height() - SORT_SIGN) // 2, sign)
        painter.setPen(QPen(paint_kit.colour("line"), Size.LINE))
        painter.drawLine(rect.bottomLeft(), rect.bottomRight())
        painter.restore()


class RowDelegate(QStyledItemDelegate):
    """Paints the row below a cell; the page's delegate paints the cell over it."""

    def __init__(self, table: RowTable) -> None:
        super().__init__(table)
        self._table = table

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        painter.save()
        try:
            area = QRect(option.rect)
            self._paint_row(painter, area, index)
            self.paint_cell(painter, area.adjusted(CELL_PAD, 0, -CELL_PAD, -1), index)
            self._paint_ring(painter, area, index)
        finally:
            # A painter that is left saved takes the whole program down with it.
            painter.restore()

    def paint_cell(self, painter: QPainter, area: QRect, index: Index) -> None:
        """Paint what the cell says into `area`."""
        raise NotImplementedError

    def _paint_row(self, painter: QPainter, area: QRect, index: Index) -> None:
        chosen = self._table.selectionModel()
        if chosen is not None and chosen.isSelected(index):
            painter.fillRect(area, paint_kit.colour("selection"))
        elif index.row() == self._table.hovered_row:
            painter.fillRect(area, paint_kit.colour("hover"))
        painter.fillRect(
            area.left(), area.bottom(), area.width(), Size.LINE, paint_kit.colour("line")
        )

    def _paint_ring(self, painter: QPainter, area: QRect, index: Index) -> None:
        table = self._table
        is_here = table.currentIndex().row() == index.row()
        if not (is_here and table.shows_focus and table.hasFocus()):
            return
        header = table.horizontalHeader()
        shown = [
            section
            for section in map(header.logicalIndex, range(header.count()))
            if not header.isSectionHidden(section)
        ]
        ring, colour = Size.FOCUS_RING, paint_kit.colour("accent")
        painter.fillRect(area.left(), area.top(), area.width(), ring, colour)
        painter.fillRect(area.left(), area.bottom() - ring + 1, area.width(), ring, colour)
        if index.column() == shown[0]:
            painter.fillRect(area.left(), area.top(), ring, area.height(), colour)
        if index.column() == shown[-1]:
            painter.fillRect(area.right() - ring + 1, area.top(), ring, area.height(), colour)


def draw_text(
    painter: QPainter,
    area: QRect,
    text: str,
    role: str = "text",
    *,
    size: int = Type.BODY,
    strong: bool = False,
    is_right: bool = False,
) -> int:
    """One line of text, elided to `area`; the width it took (px)."""
    if not text:
        return 0
    painter.setFont(paint_kit.font(size, strong=strong))
    painter.setPen(paint_kit.colour(role))
    shown, wide = paint_kit.elided(text, area.width(), size, strong=strong)
    side = Qt.AlignmentFlag.AlignRight if is_right else Qt.AlignmentFlag.AlignLeft
    painter.drawText(area, int(side | Qt.AlignmentFlag.AlignVCenter), shown)
    return wide


def draw_gap(painter: QPainter, area: QRect, share: float) -> None:
    """A quiet bar where a text will be once it is read."""
    wide = int(area.width() * share)
    bar = QRect(area.left(), area.center().y() - 4, wide, 8)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(paint_kit.colour("track"))
    painter.drawRoundedRect(bar, 4, 4)
