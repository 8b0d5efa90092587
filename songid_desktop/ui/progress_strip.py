"""The slim strip at the foot of the window: what is being enrolled, how fast, how long still."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QProgressBar, QToolButton, QWidget

from songid_desktop.ui import icons, theme, wording
from songid_desktop.ui.controls import ElidedLabel, IconLabel, label
from songid_desktop.ui.enrol_job import EnrolJob, JobState
from songid_desktop.ui.wording import plural, time_left

HEIGHT = 44
BAR_WIDTH = 120
NARROW_BELOW = 900
"""Under this width (px) the file's name goes, and the numbers stay."""
_STEPS = 1000


class ProgressStrip(QFrame):
    """Hidden while nothing runs and nothing failed; a line high, or more for a failure. Goes below
    the pages in the window's main layout."""

    def __init__(self, job: EnrolJob, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._job = job
        self._failure = ""
        theme.set_role(self, "strip")
        self.setFixedHeight(HEIGHT)
        self.setAccessibleName("Enrolment progress")
        self._build()
        job.changed.connect(self._show_state)
        job.failed.connect(self._show_failure)
        job.finished.connect(self._forget_failure)
        job.prepared.connect(self._forget_failure)
        self.hide()
        self._show_state()

    def _build(self) -> None:
        self._row = row = QHBoxLayout(self)
        row.setContentsMargins(theme.Gap.L, 0, theme.Gap.S, 0)
        row.setSpacing(theme.Gap.M)
        self._sign = IconLabel("library", "accent")
        row.addWidget(self._sign)
        self.headline = ElidedLabel(strong=True)
        row.addWidget(self.headline, 2)
        self.trouble = label("", strong=True, wraps=True)
        self.trouble.hide()
        row.addWidget(self.trouble, 2)
        self.bar = QProgressBar(self)
        self.bar.setFixedWidth(BAR_WIDTH)
        self.bar.setTextVisible(False)
        self.bar.setRange(0, _STEPS)
        self.bar.setAccessibleName("Share of files done")
        row.addWidget(self.bar)
        self.numbers = ElidedLabel(role="muted")
        row.addWidget(self.numbers, 4)
        self.file_name = ElidedLabel(role="muted", middle=True)
        row.addWidget(self.file_name, 3)
        self.pause_button = self._button("pause", "Pause")
        self.pause_button.clicked.connect(self.toggle_pause)
        row.addWidget(self.pause_button)
        self.cancel_button = self._button("cancel", "Cancel")
        self.cancel_button.clicked.connect(self._end)
        row.addWidget(self.cancel_button)

    def _button(self, icon_name: str, word: str) -> QToolButton:
        button = QToolButton(self)
        button.setText(word)
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        theme.set_role(button, "quiet")
        icons.set_icon(button, icon_name)
        return button

    def _set_button(self, button: QToolButton, icon_name: str, word: str, tip: str) -> None:
        if button.text() != word:
            button.setText(word)
            icons.set_icon(button, icon_name)
        button.setToolTip(tip)
        button.setAccessibleName(tip)

    def toggle_pause(self) -> None:
        """Pause, resume, or try again, whatever the first button says."""
        if not self._job.is_active:
            self._failure = ""
            self._job.retry()
        elif self._job.state is JobState.PAUSED:
            self._job.resume()
        else:
            self._job.pause()

    def _end(self) -> None:
        if self._job.is_active:
            self._job.cancel()
        else:
            self._failure = ""
            self._show_state()

    def _forget_failure(self) -> None:
        self._failure = ""
        self._show_state()

    def _show_failure(self, message: str) -> None:
        self._failure = message
        self._show_state()

    def _show_state(self) -> None:
        is_failed = bool(self._failure) and not self._job.is_active
        if self._job.is_active:
            self._failure = ""
        wanted = self._job.is_active or is_failed
        if wanted == self.isHidden():
            self.headline.setMinimumWidth(0)
            self.setVisible(wanted)
        self.trouble.setVisible(is_failed)
        self.headline.setVisible(not is_failed)
        if is_failed:
            self._draw_failure()
        elif self._job.is_active:
            self._draw_progress()
        self._fit_height()

    def _fit_height(self) -> None:
        """A failure is said whole, over as many lines as it takes."""
        height = HEIGHT
        if not self.trouble.isHidden():
            self._row.activate()
            needed = self.trouble.heightForWidth(self.trouble.width())
            height = max(height, needed + 2 * theme.Gap.M)
        self.setFixedHeight(height)

    def _draw_failure(self) -> None:
        self._sign.set_icon("warning", "warn")
        self.trouble.setText(self._failure)
        for part in (self.bar, self.numbers, self.file_name):
            part.hide()
        self._set_button(self.pause_button, "refresh", "Try again", "Try the enrolment again")
        self._set_button(self.cancel_button, "close", "Close", "Close this message")
        self.pause_button.setEnabled(True)
        self.cancel_button.setEnabled(True)

    def _draw_progress(self) -> None:
        state, progress = self._job.state, self._job.progress
        self._sign.set_icon("library", "accent")
        self.bar.show()
        self.numbers.show()
        self.file_name.setVisible(self.width() >= NARROW_BELOW)
        is_paused = state is JobState.PAUSED
        word = "Resume" if is_paused else "Pause"
        doing = f"preparing for {self._job.what}" if self._job.what else "enrolling"
        tip = f"Go on {doing}" if is_paused else f"Pause {doing}; files in hand are finished"
        self._set_button(self.pause_button, "play" if is_paused else "pause", word, tip)
        self._set_button(self.cancel_button, "cancel", "Cancel", f"End {doing}; what is done stays")
        can_steer = state is not JobState.CANCELLING
        self.pause_button.setEnabled(can_steer and not self._is_demo())
        self.cancel_button.setEnabled(can_steer)
        self._say(self._headline())
        if progress is None or progress.phase != "enrolling" or progress.total <= 0:
            self.bar.setRange(0, 0)
            is_scanning = progress is not None and progress.phase == "scanning"
            found = progress.done if progress is not None and is_scanning else 0
            self.numbers.set_full_text(f"{plural(found, 'file')} found" if found else "")
            self.file_name.set_full_text("")
            return
        self.bar.setRange(0, _STEPS)
        self.bar.setValue(round(_STEPS * min(1.0, progress.done / progress.total)))
        self.numbers.set_full_text(self._numbers())
        self.file_name.set_full_text(progress.current.rsplit("/", 1)[-1])

    def _say(self, words: str) -> None:
        """The headline, in a width that fits the largest number to come: nothing jumps."""
        progress = self._job.progress
        widest = words
        if progress is not None and progress.phase == "enrolling":
            total = f"{progress.total:,}"
            widest = f"{self._verb()} {total} of {total}"
        wide = max(self.headline.fontMetrics().horizontalAdvance(text) for text in (words, widest))
        if self.headline.minimumWidth() < wide + 2:
            self.headline.setMinimumWidth(wide + 2)
        self.headline.set_full_text(words)

    def _is_demo(self) -> bool:
        return self._job.request is not None and self._job.request.is_demo

    def _headline(self) -> str:
        state, progress = self._job.state, self._job.progress
        if state is JobState.CANCELLING:
            return "Ending…"
        if progress is not None and progress.phase == "finished":
            return "Saving the index…"
        if progress is None or progress.phase == "scanning" or progress.total <= 0:
            if self._job.what:
                return f"Preparing for {self._job.what}…"
            return "Making the demo tunes…" if self._is_demo() else "Looking for music…"
        return f"{self._verb()} {progress.done:,} of {progress.total:,}"

    def _verb(self) -> str:
        what = f"{self._job.what}: " if self._job.what else ""
        if self._job.state is JobState.PAUSED:
            return f"{what}paused at" if what else "Paused at"
        return f"{what}preparing" if what else "Enrolling"

    def _numbers(self) -> str:
        progress = self._job.progress
        if progress is None:
            return ""
        parts = []
        if self._job.state is not JobState.PAUSED:
            parts.append(time_left(progress.eta_s))
            if progress.rate_x > 0:
                parts.append(wording.rate(progress.rate_x))
        if self._job.queued:
            parts.append(f"{self._job.queued:,} more waiting")
        if progress.failed:
            parts.append(f"{plural(progress.failed, 'file')} with a problem")
        return " · ".join(parts)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if event.size().width() != event.oldSize().width():
            self._fit_height()
        if self._job.is_active:
            self.file_name.setVisible(self.width() >= NARROW_BELOW)
