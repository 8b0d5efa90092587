"""A line over the library's table while the chosen identifier lacks some of the tracks."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame

from songid_desktop.ui import theme
from songid_desktop.ui.controls import ElidedLabel, IconLabel, button, row
from songid_desktop.ui.identifiers import IdentifierStatus
from songid_desktop.ui.theme import Gap
from songid_desktop.ui.wording import plural


class PreparationBar(QFrame):
    """Says what the chosen identifier lacks, and lets it learn that; hidden where it lacks
    nothing, and while it learns (the strip at the foot of the window shows that)."""

    wanted = Signal(str)
    """Name of an identifier to prepare the library for."""

    def __init__(self) -> None:
        super().__init__()
        theme.set_role(self, "offer")
        self._name = ""
        self.words = ElidedLabel("")
        self.button = button("Prepare", "Prepare the library", lambda: self.wanted.emit(self._name))
        line = row(Gap.M, Gap.XS, Gap.S, Gap.XS, gap=Gap.M)
        line.addWidget(IconLabel("ring", "accent", 16))
        line.addWidget(self.words, 1)
        line.addWidget(self.button)
        self.setLayout(line)
        self.hide()

    def show_status(self, status: IdentifierStatus | None) -> None:
        """Follow the chosen identifier."""
        is_due = status is not None and status.can_prepare
        if status is not None and is_due:
            self._name = status.name
            self.words.setText(lacking_words(status))
            self.button.setText(f"Prepare for {status.label}")
            self.button.setAccessibleName(self.button.text())
            self.button.setToolTip(
                f"Fingerprint the tracks that {status.label} lacks, in the background"
            )
        self.setVisible(is_due)


def lacking_words(status: IdentifierStatus) -> str:
    """What an identifier lacks, as a sentence."""
    if not status.enrolled:
        return f"{status.label} does not know your library yet."
    lacking = plural(status.pending, "track")
    verb = "is" if status.pending == 1 else "are"
    return f"{lacking} {verb} pending for {status.label}."
