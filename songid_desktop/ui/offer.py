"""A question over the page that waits for an answer without holding anything up."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QFrame

from songid_desktop.ui import announce, theme
from songid_desktop.ui.controls import ElidedLabel, IconLabel, button, icon_button, row
from songid_desktop.ui.theme import Gap, Type


class Offer(QFrame):
    """A line with a question, a button that accepts it and one that puts it away; gone after."""

    accepted = Signal()

    def __init__(self, text: str, accept: str, icon: str = "folder-add") -> None:
        super().__init__()
        theme.set_role(self, "offer")
        self._text = text
        layout = row(Gap.L, Gap.S, Gap.S, Gap.S, gap=Gap.M)
        layout.addWidget(IconLabel(icon, "accent"))
        layout.addWidget(ElidedLabel(text, size=Type.BODY, strong=True), 1)
        self._accept = button(accept, accept, self._on_accept)
        layout.addWidget(self._accept)
        layout.addWidget(icon_button("close", "Not now", "Not now (Esc)", self.dismiss))
        self.setLayout(layout)

    def announce(self) -> None:
        """Say it to screen readers and take the focus, so that Enter accepts."""
        announce.say(self, self._text)
        self._accept.setAutoDefault(True)
        self._accept.setFocus()

    def dismiss(self) -> None:
        """Put the question away."""
        self.hide()
        self.deleteLater()

    def _on_accept(self) -> None:
        self.accepted.emit()
        self.dismiss()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        from PySide6.QtCore import Qt

        if event.key() == Qt.Key.Key_Escape:
            self.dismiss()
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._accept.click()
        else:
            super().keyPressEvent(event)
