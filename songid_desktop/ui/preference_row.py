"""One preference: its name, what it does in a line, and its control at the right."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QWidget

from songid_desktop.ui.controls import column, label, row
from songid_desktop.ui.theme import Gap, Size, Type


class PreferenceRow(QWidget):
    """Name over effect, control right; at least a control high."""

    def __init__(self, name: str, effect: str, control: QWidget) -> None:
        super().__init__()
        self.setMinimumHeight(Size.ROW)
        words = column(gap=2)
        words.addStretch(1)
        title = label(name)
        title.setBuddy(control)
        words.addWidget(title)
        words.addWidget(label(effect, "muted", Type.CAPTION, wraps=True))
        words.addStretch(1)
        line = row(0, 2, 0, 2, gap=Gap.L)
        line.addLayout(words, 1)
        line.addWidget(control, 0, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.setLayout(line)
        if not control.accessibleDescription():
            control.setAccessibleDescription(effect)
