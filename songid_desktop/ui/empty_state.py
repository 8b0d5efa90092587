"""What stands where a page has nothing to show: a drawing of one colour, a sentence, buttons."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QPushButton, QWidget

from songid_desktop.ui.controls import IconLabel, column, label, row
from songid_desktop.ui.theme import Gap, Type

SENTENCE_WIDTH = 420
_PICTURE = 56


class EmptyState(QWidget):
    """Centred; the sentence always shows whole, however many lines it takes."""

    def __init__(self, icon: str, text: str, *buttons: QPushButton) -> None:
        super().__init__()
        layout = column(Gap.XL, gap=Gap.L)
        layout.addStretch(2)
        layout.addWidget(IconLabel(icon, "muted", _PICTURE), 0, Qt.AlignmentFlag.AlignHCenter)
        self.sentence = label("", "muted", Type.CARD, wraps=True)
        self.sentence.setAlignment(Qt.AlignmentFlag.AlignCenter)
        layout.addWidget(self.sentence, 0, Qt.AlignmentFlag.AlignHCenter)
        line = row(gap=Gap.S)
        line.addStretch(1)
        for each in buttons:
            line.addWidget(each)
        line.addStretch(1)
        layout.addLayout(line)
        layout.addStretch(3)
        self.setLayout(layout)
        self.set_text(text)

    def set_text(self, text: str) -> None:
        """Show another sentence."""
        sentence = self.sentence
        sentence.setText(text)
        sentence.setAccessibleName(text)
        # A centred label that wraps is given the height of a wider one by the layout, and would
        # lose its last line.
        sentence.setFixedWidth(SENTENCE_WIDTH)
        sentence.setFixedHeight(max(1, sentence.heightForWidth(SENTENCE_WIDTH)))
