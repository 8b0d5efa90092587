"""A table model whose cells are words: each column says what it is called, what it tells, and by
what it sorts. The rows of Library and History."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from PySide6.QtCore import Qt

from songid_desktop.ui.paged_model import ROW_ROLE, Index, PagedModel

ViewT = TypeVar("ViewT", bound=Any)


@dataclass(frozen=True, slots=True)
class Header:
    """What stands over a column."""

    text: str
    hint: str
    order: str = ""
    """The catalog's name for the order by this column; empty where it sorts nothing."""
    is_right: bool = False
    """Numbers stand at the right."""
    begins_descending: bool = False
    """What one wants first of it is the newest, the surest, the longest."""

    @property
    def name(self) -> str:
        """The column in words, also where its header is only a sign."""
        return self.text or self.hint.split(":", 1)[0].split(";", 1)[0]


class ColumnModel(PagedModel):
    """Derive it with `headers`, `cell_text` and `cell_tip`."""

    headers: Mapping[Any, Header]
    """Over the columns, by section, left to right."""

    def cell_text(self, row: Any, column: Any) -> str:
        """The words of a cell, as drawn and as read aloud; `row` is None for a gap."""
        raise NotImplementedError

    def cell_tip(self, row: Any, column: Any) -> str:
        """What the pointer is told."""
        raise NotImplementedError

    def columnCount(self, parent: Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.headers)

    def column(self, section: int) -> Any:
        """The column of a section."""
        return list(self.headers)[section]

    def headerData(
        self,
        section: int,
        orientation: Qt.Orientation,
        role: int = Qt.ItemDataRole.DisplayRole,
    ) -> Any:
        if orientation is not Qt.Orientation.Horizontal:
            return None
        header = self.headers[self.column(section)]
        if role == Qt.ItemDataRole.DisplayRole:
            return header.text
        if role in (Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.AccessibleDescriptionRole):
            return f"{header.hint}. Click to sort by it" if header.order else header.hint
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return header.name
        if role == Qt.ItemDataRole.TextAlignmentRole:
            right, left = Qt.AlignmentFlag.AlignRight, Qt.AlignmentFlag.AlignLeft
            return (right if header.is_right else left) | Qt.AlignmentFlag.AlignVCenter
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        row = self.row_at(index.row())
        if role == ROW_ROLE:
            return row
        column = self.column(index.column())
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return self.cell_text(row, column)
        if role == Qt.ItemDataRole.ToolTipRole:
            return self.cell_tip(row, column)
        return None


def sorted_by(view: ViewT, header: Header) -> ViewT:
    """`view` (a dataclass with `order` and `is_descending`) by this column; the same column again
    turns it round."""
    if view.order == header.order:
        return replace(view, is_descending=not view.is_descending)
    return replace(view, order=header.order, is_descending=header.begins_descending)
