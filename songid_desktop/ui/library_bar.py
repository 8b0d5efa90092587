"""Search field and filters, as Library and History use them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QButtonGroup, QHBoxLayout, QLineEdit, QPushButton, QWidget

from songid_desktop.ui import theme, wording
from songid_desktop.ui.choice import Choice, ChoiceButton
from songid_desktop.ui.controls import IconLabel, button, icon_button
from songid_desktop.ui.library_query import Filter
from songid_desktop.ui.theme import Gap, Size

if TYPE_CHECKING:
    from songid_desktop.catalog.records import LibraryCounts

DEBOUNCE_MS = 150
SIGN = 18


class SearchField(QLineEdit):
    """One search field: asks a moment after the last key, at once on Enter; Esc clears it."""

    wanted = Signal(str)
    """The text to search for, without blanks at its ends."""
    left_down = Signal()
    """Down or Enter: on to the table."""

    def __init__(self, hint: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._asked = ""
        self.setPlaceholderText(hint)
        self.setAccessibleName(hint)
        self.setToolTip(f"{hint} (Ctrl+F)")
        self.setMaxLength(200)
        self.setMinimumWidth(120)
        self.setMaximumWidth(420)
        theme.set_font(self)
        self._sign = IconLabel("search", "muted", SIGN)
        self._sign.setParent(self)
        self.clear_button = icon_button(
            "close", "Clear the search", "Clear the search (Esc)", self.clear_now
        )
        self.clear_button.setParent(self)
        self.clear_button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.clear_button.setCursor(Qt.CursorShape.ArrowCursor)
        self.clear_button.hide()
        self.setTextMargins(SIGN + Gap.S, 0, Size.CONTROL - Gap.S, 0)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(DEBOUNCE_MS)
        self._timer.timeout.connect(self._ask)
        self.textChanged.connect(self._wait)

    def clear_now(self) -> None:
        """Empty the field and search at once."""
        self.clear()
        self._ask()

    def _wait(self, text: str) -> None:
        self.clear_button.setVisible(bool(text))
        self._timer.start()

    def _ask(self) -> None:
        self._timer.stop()
        text = self.text().strip()
        if text != self._asked:
            self._asked = text
            self.wanted.emit(text)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._sign.move(Gap.S + 2, (self.height() - SIGN) // 2)
        top = (self.height() - self.clear_button.height()) // 2
        self.clear_button.move(self.width() - self.clear_button.width(), top)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key = event.key()
        if key == Qt.Key.Key_Escape and self.text():
            self.clear_now()
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Down):
            self._ask()
            self.left_down.emit()
        else:
            super().keyPressEvent(event)


_WORDS = {
    Filter.ALL: ("All", "All tracks and files"),
    Filter.ENROLLED: ("Enrolled", "Tracks that can be recognised"),
    Filter.PENDING: ("Pending", "Tracks that are not enrolled yet"),
    Filter.PROBLEMS: ("Problems", "Files that could not be read, or only in part"),
    Filter.MISSING: ("Missing", "Tracks whose file is not where it was"),
}


class FilterBar(QWidget):
    """Which tracks are shown: one of a row of buttons, each with its number."""

    chosen = Signal(object)
    """A Filter."""
    identifier_chosen = Signal(str)
    """Whose states the numbers and filters mean; empty for any."""
    identifiers_wanted = Signal()
    """The window with all identifiers was asked for."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._buttons: dict[Filter, QPushButton] = {}
        self._group = QButtonGroup(self)
        self._group.setExclusive(True)
        line = QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(Gap.XS)
        for only, (word, tip) in _WORDS.items():
            made = button(word, tip, role="quiet", checkable=True)
            made.toggled.connect(lambda is_on, only=only: self._toggle(only, is_on=is_on))
            self._group.addButton(made)
            self._buttons[only] = made
            line.addWidget(made)
        line.addStretch(1)
        self.identifier = ChoiceButton("States for", "Whose states the filters and numbers mean")
        self.identifier.chosen.connect(self.identifier_chosen)
        self.identifier.hide()
        line.addWidget(self.identifier)
        self.identifiers_button = button(
            "Identifiers", "What each identifier knows of the library, and prepare it",
            self.identifiers_wanted.emit, icon="constellation", role="quiet",
        )  # fmt: skip
        line.addWidget(self.identifiers_button)
        self._buttons[Filter.ALL].setChecked(True)

    @property
    def current(self) -> Filter:
        return next(only for only, made in self._buttons.items() if made.isChecked())

    def choose(self, only: Filter) -> None:
        """Press a button."""
        self._buttons[only].setChecked(True)

    def button(self, only: Filter) -> QPushButton:
        return self._buttons[only]

    def show_identifiers(self, names: Sequence[str], value: str) -> None:
        """Offer the identifiers in use, where there are several; `value` is the one that holds."""
        several = len(names) > 1
        self.identifier.setVisible(several)
        if several:
            offered = [Choice(name, wording.identifier(name)) for name in names]
            self.identifier.set_choices(
                [*offered, Choice("", "Any identifier", "A state for at least one of them")], value
            )

    def set_counts(self, counts: LibraryCounts | None, identifier: str = "") -> None:
        """Write the numbers on the buttons; a zero stands on none but All."""
        if counts is None:
            return
        enrolled, pending, failed = (
            {name: n for name, n in each.items() if not identifier or name == identifier}
            for each in (counts.enrolled, counts.pending, counts.failed)
        )
        numbers = {
            Filter.ALL: counts.tracks,
            Filter.ENROLLED: max(enrolled.values(), default=0),
            Filter.PENDING: max(pending.values(), default=0),
            Filter.PROBLEMS: sum(failed.values()) + counts.problems,
            Filter.MISSING: counts.missing,
        }
        for only, number in numbers.items():
            word = _WORDS[only][0]
            text = f"{word}  {number:,}" if number else word
            made = self._buttons[only]
            if made.text() != text:
                made.setText(text)
                made.setAccessibleName(f"{word}, {number:,}")

    def _toggle(self, only: Filter, *, is_on: bool) -> None:
        if is_on:
            self.chosen.emit(only)
