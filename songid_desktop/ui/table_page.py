"""What Library and History have in common: a table that follows the catalog, a search field above,
a sentence in its place when there is nothing to list, details of the chosen row beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QKeyEvent, QKeySequence, QResizeEvent, QShortcut, QShowEvent
from PySide6.QtWidgets import QFileDialog, QMenu, QWidget

from songid_desktop.errors import SongIDError
from songid_desktop.ui import icons
from songid_desktop.ui.chosen_row import ChosenRow
from songid_desktop.ui.column_model import ColumnModel, sorted_by
from songid_desktop.ui.column_table import ColumnTable
from songid_desktop.ui.paged_model import ROW_ROLE, TableSnapshot
from songid_desktop.ui.table_body import TableBody
from songid_desktop.ui.table_loader import TableLoader, TableReader

if TYPE_CHECKING:
    from songid_desktop.ui.library_bar import SearchField
    from songid_desktop.ui.services import Services

MenuEntry = tuple[str, str, Callable[[], object], bool]
"""Icon, words, what it does, whether that is possible now."""


class TablePage(QWidget):
    """The page makes `model`, `table`, `details`, `search`, `body` and `actions_`, then calls
    `follow`."""

    model: ColumnModel
    table: ColumnTable
    details: QWidget
    search: SearchField
    body: TableBody
    actions_: Any

    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._services = services
        self._file_dialog: QFileDialog | None = None
        self.snapshot: TableSnapshot | None = None
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)

    # -- what a page says ---------------------------------------------------------------------

    def show_row(self, row: Any) -> None:
        """Fill the details."""
        raise NotImplementedError

    def take_snapshot(self, snapshot: TableSnapshot) -> None:
        """Show what belongs to the rows that were read."""
        raise NotImplementedError

    def row_menu(self, row: Any, row_number: int) -> Sequence[MenuEntry]:
        """What can be done with a row."""
        raise NotImplementedError

    # -- following the catalog ----------------------------------------------------------------

    def follow(self, reader: TableReader, lane: str, view: Any) -> None:
        """Read the rows, and read them again whenever the catalog changes."""
        self.chosen_row = ChosenRow(self.table, self.model)
        self.loader = TableLoader(
            self._services,
            self.model,
            reader=reader,
            lane=lane,
            view=view,
            visible_pages=self.table.visible_pages,
        )
        self.loader.loaded.connect(self._take_snapshot)
        self.loader.failed.connect(self._take_trouble)
        self.search.wanted.connect(self._search_for)
        self.search.left_down.connect(self._focus_table)
        self.table.sort_wanted.connect(self.sort_by)
        self.table.customContextMenuRequested.connect(self._show_menu)
        self.chosen_row.changed.connect(self._show_chosen)
        self.actions_.changed.connect(self.loader.refresh)
        self.add_shortcuts({"Ctrl+Z": self.actions_.undo})
        self.table.show_order(view.order, is_descending=view.is_descending)
        self.loader.refresh()

    def add_shortcuts(self, keys: dict[str, Callable[[], object]]) -> None:
        """Keys that work while the focus is on this page."""
        for combination, run in keys.items():
            shortcut = QShortcut(QKeySequence(combination), self)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(run)

    def read_again(self) -> None:
        """After trouble."""
        self._services.refresh_counts()
        self.loader.refresh()

    def _take_snapshot(self, snapshot: TableSnapshot) -> None:
        self.snapshot = snapshot
        self.take_snapshot(snapshot)

    def _take_trouble(self, error: BaseException) -> None:
        if isinstance(error, SongIDError):
            self.body.show_trouble(str(error))
        else:
            self._services.report(error, "The library could not be read.")

    def show_table(self) -> None:
        """Rows there are; the keyboard goes to them if it waited for them."""
        self.body.show_rows()
        if self.hasFocus():
            self.table.setFocus(Qt.FocusReason.OtherFocusReason)

    # -- search and order ---------------------------------------------------------------------

    def focus_search(self) -> None:
        """Ctrl+F."""
        self.search.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.search.selectAll()

    def _search_for(self, text: str) -> None:
        self.loader.set_view(replace(self.loader.view, search=text))

    def sort_by(self, section: int) -> None:
        """A header was clicked: sort by it, or turn the order round."""
        header = self.model.headers[self.model.column(section)]
        if header.order:
            view = sorted_by(self.loader.view, header)
            self.loader.set_view(view)
            self.table.show_order(view.order, is_descending=view.is_descending)

    # -- the chosen row -----------------------------------------------------------------------

    def take_focus(self) -> None:
        """The rows, as soon as there are any. Not the search field: Space would write a blank
        there instead of listening."""
        target = self.table if self.table.isVisible() else self
        target.setFocus(Qt.FocusReason.OtherFocusReason)

    def _focus_table(self) -> None:
        self.table.setFocus(Qt.FocusReason.TabFocusReason)

    def _show_chosen(self, row: Any) -> None:
        if row is not None:
            self.show_row(row)
        self.body.show_details(is_wanted=row is not None)

    def _show_menu(self, place: QPoint) -> None:
        index = self.table.indexAt(place)
        if not index.isValid():
            index = self.table.currentIndex()
            place = self.table.visualRect(index).center()
        row = index.data(ROW_ROLE) if index.isValid() else None
        if row is not None:
            menu = self.make_menu(row, index.row())
            menu.popup(self.table.viewport().mapToGlobal(place))

    def make_menu(self, row: Any, row_number: int) -> QMenu:
        """What can be done with a row, and with all of them."""
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        for icon, words, run, is_possible in self.row_menu(row, row_number):
            action = menu.addAction(words, run)
            icons.set_icon(action, icon)
            action.setEnabled(is_possible)
        menu.addSeparator()
        menu.addMenu(self.table.make_sort_menu(menu))
        return menu

    # -- file dialogs -------------------------------------------------------------------------

    def _drop_file_dialog(self, _result: int) -> None:
        if self._file_dialog is not None:
            self._file_dialog.deleteLater()
            self._file_dialog = None

    # -- events -------------------------------------------------------------------------------

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape and self.table.selected_spans():
            self.chosen_row.clear()
            self.table.setFocus()
            return
        super().keyPressEvent(event)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if not self.isAncestorOf(self.window().focusWidget() or self.window()):
            self.take_focus()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._show_chosen(self.chosen_row.row)
