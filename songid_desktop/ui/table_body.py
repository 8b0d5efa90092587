"""The middle of a page with a table: the rows and their details, or a sentence instead of them."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtWidgets import QFrame, QStackedWidget, QWidget

from songid_desktop.ui import theme
from songid_desktop.ui.controls import button, column, row
from songid_desktop.ui.empty_state import EmptyState
from songid_desktop.ui.row_table import RowTable
from songid_desktop.ui.theme import Gap

NO_DETAILS_BELOW = 640
"""Under this width (px) the details would leave no room for the rows."""


class TableBody(QStackedWidget):
    """Shows one of: nothing yet, the table, the empty state, "nothing matches", what is wrong."""

    def __init__(
        self,
        table: RowTable,
        details: QWidget,
        empty: EmptyState,
        show_all: Callable[[], object],
        read_again: Callable[[], object],
    ) -> None:
        super().__init__()
        self.table = table
        self.details = details
        self.empty = empty
        self.show_all_button = button("Show all", "Show everything again (Esc)", show_all)
        self.nothing = EmptyState("search", "", self.show_all_button)
        self.read_again_button = button(
            "Try again", "Read the library again", read_again, icon="refresh"
        )
        self.trouble = EmptyState("warning", "", self.read_again_button)
        self._blank = QWidget()
        self._list = QWidget()
        line = row(gap=Gap.M)
        self._list.setLayout(line)
        card = QFrame()
        theme.set_role(card, "card")
        inside = column(1, gap=0)
        inside.addWidget(table)
        card.setLayout(inside)
        line.addWidget(card, 1)
        line.addWidget(details)
        details.hide()
        for part in (self._blank, self._list, empty, self.nothing, self.trouble):
            self.addWidget(part)

    @property
    def is_list(self) -> bool:
        """True while the table is what is shown."""
        return self.currentWidget() is self._list

    def show_rows(self) -> None:
        self.setCurrentWidget(self._list)

    def show_empty(self) -> None:
        self.setCurrentWidget(self.empty)

    def show_nothing(self, words: str) -> None:
        """No row passes the search or filter."""
        self.nothing.set_text(words)
        self.setCurrentWidget(self.nothing)

    def show_trouble(self, words: str) -> None:
        """The rows can't be read."""
        self.trouble.set_text(words)
        self.setCurrentWidget(self.trouble)

    def show_details(self, *, is_wanted: bool) -> None:
        """Show or hide the pane at the right, as far as there is room."""
        self.details.setVisible(is_wanted and self.width() >= NO_DETAILS_BELOW)
