"""The foot of the answer: by which method the music is named, and for how long it was heard."""

from __future__ import annotations

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QWidget

from songid_desktop.ui.controls import label, row
from songid_desktop.ui.identifier_choice import IdentifierChoice
from songid_desktop.ui.identifiers import Identifiers
from songid_desktop.ui.theme import Gap
from songid_desktop.ui.wording import clock

CLOCK_FROM_S = 60.0
"""From here on the time heard is said in minutes and seconds."""
OPENING_TOLD_MS = 400
"""An identifier that is ready within this time (ms) needs no words."""


class ListenFoot(QWidget):
    """Chooser at the left; at the right the seconds heard, or that an identifier is being made
    ready."""

    def __init__(self, identifiers: Identifiers) -> None:
        super().__init__()
        self._identifiers = identifiers
        self._text = ""
        self.opening = ""
        """Label of the identifier that is being made ready, if that takes long."""
        self.identifier = IdentifierChoice(identifiers)
        self.heard = label("", "muted")
        self.heard.setAccessibleName("Seconds heard")
        line = row(gap=Gap.M)
        line.addWidget(self.identifier)
        line.addStretch(1)
        line.addWidget(self.heard)
        self.setLayout(line)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(OPENING_TOLD_MS)
        self._timer.timeout.connect(self._tell_opening)
        identifiers.changed.connect(self._follow)

    def show_text(self, text: str) -> None:
        """What stands at the right while nothing is being made ready."""
        self._text = text
        self.heard.setText(f"Getting {self.opening} ready…" if self.opening else text)

    def show_heard(self, seconds: float) -> None:
        """For how long sound was heard; nothing at its beginning."""
        exact = f"heard {seconds:.1f} s" if seconds < CLOCK_FROM_S else f"heard {clock(seconds)}"
        self.show_text(exact if seconds else "")

    def _follow(self) -> None:
        chosen = self._identifiers.chosen
        if chosen is None or not chosen.is_opening:
            self._timer.stop()
            self._set_opening("")
        elif not self._timer.isActive() and chosen.label != self.opening:
            self._timer.start()

    def _tell_opening(self) -> None:
        chosen = self._identifiers.chosen
        if chosen is not None and chosen.is_opening:
            self._set_opening(chosen.label)

    def _set_opening(self, label_text: str) -> None:
        if label_text != self.opening:
            self.opening = label_text
            self.show_text(self._text)
