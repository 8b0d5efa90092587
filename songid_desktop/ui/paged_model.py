"""A table model that holds pages of rows where they were read, and gaps elsewhere.

A row that has not been read yet is a gap that the table draws as one; asking for it emits
`page_wanted`, and a `TableLoader` brings the page. Rows of the `tail` stand after the paged ones
and are always there.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import (
    QAbstractTableModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    Qt,
    Signal,
)

PAGE_ROWS = 100
"""A page is a few screens high: one read of some milliseconds while scrolling."""
PAGES_KEPT = 64

Ids = npt.NDArray[np.int64]
Index = QModelIndex | QPersistentModelIndex
Pages = dict[int, list[Any]]

ROW_ROLE = int(Qt.ItemDataRole.UserRole)
"""Role under which a cell gives what its row stands for, or None for a gap."""


@dataclass(frozen=True, slots=True)
class TableSnapshot:
    """What one read found: how many rows there are, and those in sight."""

    view: Any
    """What was asked for: search, order, filter. Compared with ==."""
    row_count: int = 0
    ids: Ids | None = None
    """Row ids in order, where the reader pages by them."""
    pages: Pages = field(default_factory=dict)
    tail: Sequence[Any] = ()
    extra: Any = None
    """What else the page shows: counts and the like."""


class PagedModel(QAbstractTableModel):
    """Rows in pages. A page of the window derives its columns from it."""

    page_wanted = Signal(int)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._view: Any = None
        self._paged_rows = 0
        self._ids: Ids | None = None
        self._pages: OrderedDict[int, list[Any]] = OrderedDict()
        self._tail: Sequence[Any] = ()

    @property
    def view(self) -> Any:
        """The view of the rows that are shown; None before the first."""
        return self._view

    @property
    def ids(self) -> Ids | None:
        return self._ids

    @property
    def paged_rows(self) -> int:
        """Rows before the tail."""
        return self._paged_rows

    def take(self, snapshot: TableSnapshot) -> None:
        """Show a snapshot. Another view resets the table; a newer state of the same view only
        grows or shrinks it, so that the eye, the scroll bar and the keyboard stay where they
        are."""
        rows = snapshot.row_count + len(snapshot.tail)
        before = self.rowCount()
        if snapshot.view != self._view or rows == 0 or before == 0:
            self.beginResetModel()
            self._put(snapshot)
            self.endResetModel()
            return
        if rows > before:
            self.beginInsertRows(QModelIndex(), before, rows - 1)
            self._put(snapshot)
            self.endInsertRows()
        elif rows < before:
            self.beginRemoveRows(QModelIndex(), rows, before - 1)
            self._put(snapshot)
            self.endRemoveRows()
        else:
            self._put(snapshot)
        self.dataChanged.emit(self.index(0, 0), self.index(rows - 1, self.columnCount() - 1))

    def _put(self, snapshot: TableSnapshot) -> None:
        self._view = snapshot.view
        self._paged_rows = snapshot.row_count
        self._ids = snapshot.ids
        self._tail = snapshot.tail
        self._pages = OrderedDict(snapshot.pages)

    def take_pages(self, pages: Pages) -> None:
        """Fill gaps."""
        for page, rows in pages.items():
            self._pages[page] = rows
            self._pages.move_to_end(page)
            first = page * PAGE_ROWS
            last = min(first + PAGE_ROWS, self._paged_rows) - 1
            if last >= first:
                self.dataChanged.emit(
                    self.index(first, 0), self.index(last, self.columnCount() - 1)
                )
        while len(self._pages) > PAGES_KEPT:
            self._pages.popitem(last=False)

    def row_at(self, row: int) -> Any:
        """What stands in a row; None for a gap, which is asked for."""
        if row >= self._paged_rows:
            place = row - self._paged_rows
            return self._tail[place] if place < len(self._tail) else None
        page, place = divmod(row, PAGE_ROWS)
        rows = self._pages.get(page)
        if rows is None:
            self.page_wanted.emit(page)
            return None
        return rows[place] if place < len(rows) else None

    def is_loaded(self, page: int) -> bool:
        return page in self._pages

    def find(self, key: object) -> int:
        """Row whose `identity` is `key`: anywhere where the reader pages by ids, else among those
        that are here; -1 when it is not."""
        if self._ids is not None and isinstance(key, int):
            places = np.flatnonzero(self._ids == key)
            return int(places[0]) if len(places) else -1
        for page, rows in self._pages.items():
            for place, row in enumerate(rows):
                if row is not None and self.identity(row) == key:
                    return page * PAGE_ROWS + place
        for place, row in enumerate(self._tail):
            if self.identity(row) == key:
                return self._paged_rows + place
        return -1

    def ids_in(self, spans: Sequence[tuple[int, int]]) -> list[int]:
        """Ids of the paged rows first … last (both included) of each span, in their order, also of
        those that were never in sight."""
        ids = self._ids
        if ids is None:
            return []
        return [int(each) for first, last in spans for each in ids[first : last + 1]]

    def identity(self, row: Any) -> object:
        """What makes a row the same row after it has moved."""
        raise NotImplementedError

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008  (Qt's signature)
        return 0 if parent.isValid() else self._paged_rows + len(self._tail)
