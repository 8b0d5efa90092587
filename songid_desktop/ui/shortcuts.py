"""The F1 sheet: every key, in one small window."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QFrame, QGridLayout, QScrollArea, QWidget

from songid_desktop.ui import theme
from songid_desktop.ui.controls import button, column, label, row
from songid_desktop.ui.theme import Gap, Size, Type

Keys = Sequence[tuple[str, str]]

GENERAL: Keys = (
    ("Space", "Listen, or stop"),
    ("Esc", "Cancel"),
    ("Ctrl+O", "Name the music of an audio file"),
    ("Ctrl+F", "Search"),
    ("Ctrl+,", "Preferences"),
    ("F1", "This sheet"),
    ("Ctrl+Q", "Quit"),
)

_TITLE_BAR = 48


class ShortcutSheet(QDialog):
    """Not modal; Esc closes it."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Keyboard shortcuts")
        self.setMinimumWidth(420)
        self.body = QScrollArea()
        self.body.setWidgetResizable(True)
        self.body.setFrameShape(QFrame.Shape.NoFrame)
        self.body.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.body.setAccessibleName("Keyboard shortcuts")
        layout = column(Gap.XL, gap=Gap.L)
        layout.addWidget(label("Keyboard shortcuts", size=Type.TITLE, strong=True))
        layout.addWidget(self.body, 1)
        foot = row()
        foot.addStretch(1)
        foot.addWidget(button("Close", "Close this sheet (Esc)", self.close))
        layout.addLayout(foot)
        self.setLayout(layout)

    def fill(self, pages: Sequence[tuple[str, Keys]], titles: Sequence[str]) -> None:
        """Show the general keys, those that go to pages, and those of each page; the first two
        parts at the left, the others at the right, so that the sheet fits a small window."""
        going = [(f"Ctrl+{number}", title) for number, title in enumerate(titles, 1)]
        parts = [("Everywhere", [*GENERAL, *going]), *pages]
        fresh = QWidget()
        sides = row(gap=Gap.XXL)
        for side in (parts[:2], parts[2:]):
            column_of_parts = column(gap=Gap.M)
            for heading, keys in side:
                if keys:
                    column_of_parts.addLayout(_part(heading, keys))
            column_of_parts.addStretch(1)
            sides.addLayout(column_of_parts)
        fresh.setLayout(sides)
        theme.set_role(fresh, "page")
        self.body.setWidget(fresh)
        self._fit(fresh)

    def _fit(self, fresh: QWidget) -> None:
        """As large as the keys ask for, as far as the screen has room; then they scroll."""
        wide = fresh.sizeHint().width()
        high = max(fresh.heightForWidth(wide), fresh.sizeHint().height())
        self.body.setMinimumWidth(wide + Size.SCROLL_BAR)
        around = self.sizeHint().height() - self.body.sizeHint().height()
        room = self.screen().availableGeometry().height() - _TITLE_BAR
        self.resize(self.sizeHint().width(), min(high + around, room))


def _part(heading: str, keys: Keys) -> QGridLayout:
    grid = QGridLayout()
    grid.setContentsMargins(0, 0, 0, 0)
    grid.setHorizontalSpacing(Gap.L)
    grid.setVerticalSpacing(Gap.XS)
    grid.addWidget(label(heading, "muted", strong=True), 0, 0, 1, 2)
    for line, (combination, meaning) in enumerate(keys, 1):
        grid.addWidget(label(combination, strong=True), line, 0, Qt.AlignmentFlag.AlignTop)
        words = label(meaning, wraps=True)
        words.setMinimumWidth(200)
        grid.addWidget(words, line, 1)
    grid.setColumnStretch(1, 1)
    return grid
