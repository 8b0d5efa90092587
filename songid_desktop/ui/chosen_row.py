"""Which row a table is on, followed through everything that moves rows about.

Rows shift under the selection when tracks are enrolled or music is heard, and a new order or search
resets the table: what was chosen is then looked up again by what it is, not by where it stood.
"""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QObject, Signal

from songid_desktop.ui.paged_model import PagedModel
from songid_desktop.ui.row_table import RowTable


class ChosenRow(QObject):
    """The chosen row of `table`, whose model is `model`; call `keep` after each read."""

    changed = Signal(object)
    """What the row stands for now, or None when nothing is chosen (or it is still a gap)."""

    def __init__(self, table: RowTable, model: PagedModel) -> None:
        super().__init__(table)
        self._table = table
        self._model = model
        self._key: object = None
        self._is_keeping = False
        chosen = table.selectionModel()
        chosen.selectionChanged.connect(self._follow)
        chosen.currentChanged.connect(self._follow)
        model.dataChanged.connect(self._look_again)

    @property
    def row(self) -> Any:
        """What the chosen row stands for; None when nothing is chosen."""
        index = self._table.currentIndex()
        if not index.isValid() or not self._table.selected_spans():
            return None
        return self._model.row_at(index.row())

    def _follow(self, *_args: object) -> None:
        if self._is_keeping:
            return
        row = self.row
        self._key = None if row is None else self._model.identity(row)
        self.changed.emit(row)

    def _look_again(self, *_args: object) -> None:
        """Cells changed: the same row as it is now, or a gap that has been filled. Another row in
        its place is no choice of anybody's; `keep` sorts that out."""
        row = self.row
        if row is not None and self._key in (None, self._model.identity(row)):
            self._key = self._model.identity(row)
            self.changed.emit(row)

    def clear(self) -> None:
        """Choose nothing."""
        self._table.clearSelection()
        self._key = None
        self.changed.emit(None)

    def keep(self) -> None:
        """After a read: choose again what was chosen, wherever it stands now."""
        if self._key is None:
            return
        row = self.row
        if row is None or self._model.identity(row) != self._key:
            number = self._model.find(self._key)
            if number < 0:
                self.clear()
                return
            self._is_keeping = True
            self._table.go_to(number)
            self._is_keeping = False
        self.changed.emit(self.row)
