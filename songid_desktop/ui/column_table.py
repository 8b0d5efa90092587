"""A table that sorts by its headers and whose columns come and go with the room there is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHeaderView, QMenu, QWidget

from songid_desktop.ui import icons
from songid_desktop.ui.column_model import ColumnModel, Header
from songid_desktop.ui.paged_model import PAGE_ROWS
from songid_desktop.ui.row_table import RowTable, SortHeader

LEAST_FIRST = 120


class ColumnTable(RowTable):
    """Derive it with the widths of its columns.

    Attributes
    ----------
    hide_below : mapping
        Under these widths of the table (px) a column goes.
    shares : mapping
        How the columns without a width of their own share what is left; the first of them takes
        the rest.
    """

    hide_below: Mapping[Any, int]
    shares: Mapping[Any, float]

    def __init__(self, model: ColumnModel, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(name)
        self.setModel(model)
        self._columns = model
        header = self.horizontalHeader()
        assert isinstance(header, SortHeader)
        header.setAccessibleName(f"Columns of “{name}”")
        header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.sort_header = header
        self.take_headers()

    @property
    def _headers(self) -> Mapping[Any, Header]:
        return self._columns.headers

    def take_headers(self) -> None:
        """The model's columns are others now."""
        headers = self._headers
        self.sort_header.sortable = frozenset(int(c) for c, h in headers.items() if h.order)

    def widths(self, room: int) -> Mapping[Any, int]:
        """The columns of a fixed width (px) in a table of `room` px."""
        raise NotImplementedError

    def free_room(self, room: int, widths: Mapping[Any, int]) -> int:  # noqa: ARG002
        """What `hide_below` is held against."""
        return room

    def visible_pages(self) -> list[int]:
        """Pages in sight."""
        first, last = self.visible_rows()
        return list(range(first // PAGE_ROWS, last // PAGE_ROWS + 1))

    def show_order(self, order: str, *, is_descending: bool) -> None:
        """Put the arrow where the rows are sorted."""
        for column, header in self._headers.items():
            if header.order == order:
                self.sort_header.set_sorted(int(column), is_descending=is_descending)

    def make_sort_menu(self, parent: QMenu) -> QMenu:
        """Every column that sorts, also those there is no room for; by keyboard too."""
        menu = QMenu("Sort by", parent)
        icons.set_icon(menu.menuAction(), "sort-down")
        for column, header in self._headers.items():
            if not header.order:
                continue
            action = menu.addAction(header.name)
            action.setCheckable(True)
            action.setChecked(int(column) == self.sort_header.sorted_section)
            action.triggered.connect(lambda _on, c=int(column): self.sort_wanted.emit(c))
        return menu

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.spread()

    def spread(self) -> None:
        """Give the columns the width there is."""
        room = self.viewport().width()
        widths = self.widths(room)
        free = self.free_room(room, widths)
        for column, least in self.hide_below.items():
            self.setColumnHidden(column, free < least)
        left = room
        for column, wide in widths.items():
            if not self.isColumnHidden(column):
                self.setColumnWidth(column, wide)
                left -= wide
        shown = {c: s for c, s in self.shares.items() if not self.isColumnHidden(c)}
        total = sum(shown.values())
        first, *others = shown
        for column in others:
            wide = int(left * shown[column] / total)
            self.setColumnWidth(column, wide)
            left -= wide
            total -= shown[column]
        self.setColumnWidth(first, max(LEAST_FIRST, left))
