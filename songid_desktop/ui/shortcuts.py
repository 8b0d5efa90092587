"""The F1 sheet: every key, in one small window."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QGridLayout, QWidget

from songid_desktop.ui import theme
from songid_desktop.ui.controls import button, column, label, row
from songid_desktop.ui.theme import Gap, Type

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


class ShortcutSheet(QDialog):
    """Not modal; Esc closes it."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Keyboard shortcuts")
        self.setMinimumWidth(420)
        self._body = QWidget()
        layout = column(Gap.XL, gap=Gap.L)
        layout.addWidget(label("Keyboard shortcuts", size=Type.TITLE, strong=True))
        layout.addWidget(self._body)
        foot = row()
        foot.addStretch(1)
        foot.addWidget(button("Close", "Close this sheet (Esc)", self.close))
        layout.addLayout(foot)
        self.setLayout(layout)

    def fill(self, pages: Sequence[tuple[str, Keys]], titles: Sequence[str]) -> None:
        """Show the general keys, those that go to pages, and those of each page."""
        going = [(f"Ctrl+{number}", title) for number, title in enumerate(titles, 1)]
        grid = QGridLayout()
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(Gap.XL)
        grid.setVerticalSpacing(Gap.XS)
        line = 0
        for heading, keys in (("Everywhere", [*GENERAL, *going]), *pages):
            if not keys:
                continue
            title = label(heading, "muted", Type.BODY, strong=True)
            title.setContentsMargins(0, Gap.S if line else 0, 0, 0)
            grid.addWidget(title, line, 0, 1, 2)
            line += 1
            for combination, meaning in keys:
                name = label(combination, strong=True)
                grid.addWidget(name, line, 0, Qt.AlignmentFlag.AlignTop)
                grid.addWidget(label(meaning), line, 1)
                line += 1
        grid.setColumnStretch(1, 1)
        fresh = QWidget()
        fresh.setLayout(grid)
        layout = self.layout()
        if layout is not None:
            layout.replaceWidget(self._body, fresh)
        self._body.deleteLater()
        self._body = fresh
        theme.set_font(fresh)
        self.adjustSize()
