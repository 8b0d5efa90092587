"""The line that says what is wrong with the sound source, over the picture; never a dialog."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtWidgets import QFrame

from songid_desktop.ui import announce, theme
from songid_desktop.ui.controls import ElidedLabel, IconLabel, row
from songid_desktop.ui.theme import Gap

if TYPE_CHECKING:
    from songid_desktop.audio.capture import CaptureStatus


class DeviceBanner(QFrame):
    """Hidden while all is well."""

    def __init__(self) -> None:
        super().__init__()
        theme.set_role(self, "banner")
        self.text = ElidedLabel()
        self._icon = IconLabel("unplugged", "warn")
        layout = row(Gap.M, Gap.S, Gap.M, Gap.S, gap=Gap.S)
        layout.addWidget(self._icon)
        layout.addWidget(self.text, 1)
        self.setLayout(layout)
        self.setAccessibleName("Sound source")
        self.hide()

    def show_status(self, status: CaptureStatus, *, is_active: bool) -> None:
        """Show what the capture has to say, while listening."""
        message = status.message if is_active else ""
        is_news = message != self.text.text()
        self.text.setText(message)
        self.text.set_hint(message)
        is_bad = status.state.value in ("lost", "stalled")
        self._icon.set_icon("unplugged" if is_bad else "warning", "warn")
        self.setVisible(bool(message))
        if message and is_news:
            announce.say(self, message, is_urgent=is_bad)
