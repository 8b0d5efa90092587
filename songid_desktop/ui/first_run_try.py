"""Third step: see a match without library, microphone or network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QProgressBar, QWidget

from songid_desktop.ui.controls import IconLabel, button, label, row
from songid_desktop.ui.first_run_step import Step
from songid_desktop.ui.theme import Gap

if TYPE_CHECKING:
    from songid_desktop.ui.services import Services

_READY = (
    "The tunes are made on this computer in a few seconds. You can remove them again in the "
    "preferences."
)


class TryStep(Step):
    """Makes the demo tunes, enrols them, then hands one to the Listen page."""

    word = "Try"
    heading = "See it name a tune"
    lead = (
        "A few short demo tunes are made and enrolled. Then one plays into a noisy, made-up café, "
        "and you see it being recognised. It needs no microphone and no network, and you hear "
        "nothing."
    )
    demo_ready = Signal(object)
    """The folder of the tunes: they are enrolled."""

    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._services = services
        self._is_waiting = False
        self.start_button = button(
            "Play a demo tune", "Make the tunes and recognise one (Enter)", self.start, icon="demo",
            role="primary",
        )  # fmt: skip
        self._lines.addWidget(self.start_button, 0, Qt.AlignmentFlag.AlignLeft)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setAccessibleName("Making the demo tunes")
        self.bar.hide()
        self._lines.addWidget(self.bar)
        says = row(gap=Gap.S)
        self._sign = IconLabel("info", "muted")
        says.addWidget(self._sign, 0, Qt.AlignmentFlag.AlignTop)
        self.words = label(_READY, "muted", wraps=True)
        says.addWidget(self.words, 1)
        self._lines.addLayout(says)
        self._lines.addStretch(1)
        enrolment = services.enrolment
        enrolment.changed.connect(self._show_progress)
        enrolment.demo_finished.connect(self._take_end)
        enrolment.failed.connect(self._take_failure)

    def start(self) -> None:
        """Make the tunes; goes on by itself."""
        if not self._is_waiting:
            self._is_waiting = True
            self.start_button.setEnabled(False)
            self.bar.show()
            self._say("Making and enrolling the tunes…", "demo", "accent")
            self._services.enrolment.start_demo()
            self._show_progress()

    def accept_key(self) -> bool:
        self.start()
        return True

    def _show_progress(self) -> None:
        job = self._services.enrolment
        is_ours = job.request is not None and job.request.is_demo
        progress = job.progress if is_ours else None
        if not self._is_waiting:
            return
        if progress is None or progress.total <= 0:
            self.bar.setRange(0, 0)
        else:
            self.bar.setRange(0, progress.total)
            self.bar.setValue(progress.done)

    def _take_end(self) -> None:
        if self._is_waiting:
            self._stop_waiting()
            self._satisfy(is_satisfied=True)
            self.demo_ready.emit(self._services.paths.demo_tunes)

    def _take_failure(self, message: str) -> None:
        if self._is_waiting:
            self._stop_waiting()
            self._say(message, "warning", "warn")

    def _stop_waiting(self) -> None:
        self._is_waiting = False
        self.bar.hide()
        self.start_button.setEnabled(True)
        self._say(_READY, "info", "muted")

    def _say(self, words: str, icon: str, role: str) -> None:
        self.words.setText(words)
        self._sign.set_icon(icon, role)
