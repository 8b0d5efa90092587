"""First run: hear, music, try; three steps that can all be skipped, over the window's pages.

The page only walks from step to step; what they do stands in `first_run_hear`, `first_run_music`
and `first_run_try`. Nothing here has to be done: "Skip all" is on every step, and what was skipped
is not asked again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QHideEvent, QKeyEvent, QShowEvent
from PySide6.QtWidgets import QFrame, QScrollArea, QStackedWidget, QVBoxLayout, QWidget

from songid_desktop.ui import announce, enrol_notes, theme
from songid_desktop.ui.controls import button, column, label, row
from songid_desktop.ui.first_run_hear import HearStep
from songid_desktop.ui.first_run_music import MusicStep
from songid_desktop.ui.first_run_step import Step, StepSigns
from songid_desktop.ui.first_run_try import TryStep
from songid_desktop.ui.theme import Gap, Type

if TYPE_CHECKING:
    from songid_desktop.ui.services import Services

CARD_WIDTH = 600
STEP_HEIGHT = 216
"""The tallest step: the card keeps its place from step to step."""


class FirstRunPage(QWidget):
    """Shown by the window instead of its pages while settings.first_run_done is False."""

    finished = Signal()
    """Done or skipped; first_run_done is already set. The window shows Listen."""
    demo_requested = Signal(object)
    """Path of a demo tune that should be played into the listening session (Listen page); after
    `finished`."""

    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._services = services
        self._is_done = False
        enrol_notes.install(services)
        self.hear = HearStep(services)
        self.music = MusicStep(services)
        self.try_out = TryStep(services)
        self.steps: tuple[Step, ...] = (self.hear, self.music, self.try_out)
        self._build()
        for step in self.steps:
            step.done.connect(self.go_on)
            step.changed.connect(self._show_buttons)
        self.try_out.demo_ready.connect(self._end_with_demo)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self._show_step(0)

    def _build(self) -> None:
        card = QFrame()
        theme.set_role(card, "card")
        card.setMaximumWidth(CARD_WIDTH)
        inside = column(Gap.XL, gap=Gap.L)
        card.setLayout(inside)
        inside.addWidget(label("Welcome to SongID Desktop", size=Type.TITLE, strong=True))
        self.signs = StepSigns([step.word for step in self.steps])
        inside.addWidget(self.signs)
        self._stack = QStackedWidget()
        self._stack.setMinimumHeight(STEP_HEIGHT)
        for step in self.steps:
            self._stack.addWidget(step)
        inside.addWidget(self._stack, 1)
        foot = row(gap=Gap.S)
        self.skip_all_button = button(
            "Skip all", "Go straight to the program; nothing of this is needed", self.skip_all,
            role="quiet",
        )  # fmt: skip
        foot.addWidget(self.skip_all_button)
        foot.addStretch(1)
        self.back_button = button("Back", "The step before", self.go_back, role="quiet")
        foot.addWidget(self.back_button)
        self.next_button = button("Next", "The next step (Enter)", self.go_on)
        foot.addWidget(self.next_button)
        inside.addLayout(foot)
        middle = row()
        middle.addStretch(1)
        middle.addWidget(card, 100)
        middle.addStretch(1)
        body = QWidget()
        lines = column(Gap.L)
        lines.addStretch(1)
        lines.addLayout(middle)
        lines.addStretch(2)
        body.setLayout(lines)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setWidget(body)
        body.setAutoFillBackground(False)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(area)

    @property
    def number(self) -> int:
        """Which step is shown, from 0."""
        return self._stack.currentIndex()

    def _show_step(self, number: int) -> None:
        before = self.steps[self.number]
        step = self.steps[number]
        self._stack.setCurrentIndex(number)
        if self.isVisible():
            before.leave()
            step.enter()
            self.setFocus(Qt.FocusReason.OtherFocusReason)
        self.signs.set_current(number)
        self._show_buttons()
        announce.say(self, f"Step {number + 1} of {len(self.steps)}: {step.word}. {step.lead}")

    def _show_buttons(self) -> None:
        step = self.steps[self.number]
        self.back_button.setVisible(self.number > 0)
        is_last = self.number == len(self.steps) - 1
        word = "Finish" if is_last else "Next"
        if not step.is_satisfied and not is_last:
            word = "Skip"
        self.next_button.setText(word)
        self.next_button.setAccessibleName(word)
        tip = {"Skip": "Go on without this", "Next": "The next step"}
        self.next_button.setToolTip(f"{tip.get(word, 'Go to the program')} (Enter)")
        self.skip_all_button.setVisible(not is_last)

    def go_on(self) -> None:
        """The next step, or the end."""
        if self.number + 1 < len(self.steps):
            self._show_step(self.number + 1)
        else:
            self.skip_all()

    def go_back(self) -> None:
        """The step before."""
        if self.number > 0:
            self._show_step(self.number - 1)

    def skip_all(self) -> None:
        """To the program; remembered."""
        if self._is_done:
            return
        self._is_done = True
        self.steps[self.number].leave()
        self._services.change_settings(first_run_done=True)
        self.finished.emit()

    def _end_with_demo(self, folder: object) -> None:
        self.skip_all()
        self.demo_requested.emit(folder)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if not event.spontaneous() and not self._is_done:
            self.steps[self.number].enter()
            self.setFocus(Qt.FocusReason.OtherFocusReason)

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        if not event.spontaneous():
            self.steps[self.number].leave()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            if not self.steps[self.number].accept_key():
                self.go_on()
        elif event.key() == Qt.Key.Key_Escape:
            self.skip_all()
        else:
            super().keyPressEvent(event)
