"""First step: the level meter moves, or the page says what to do about it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QWidget

from songid_desktop.errors import SongIDError
from songid_desktop.types import Source, SourceKind
from songid_desktop.ui import sound_settings
from songid_desktop.ui.choice import Choice, ChoiceButton
from songid_desktop.ui.controls import IconLabel, button, label, row
from songid_desktop.ui.first_run_step import Step
from songid_desktop.ui.meter import LevelMeter
from songid_desktop.ui.theme import Gap

if TYPE_CHECKING:
    from songid_desktop.audio.status import CaptureStatus
    from songid_desktop.ui.services import Services

TICK_MS = 33
HEARD_FROM_DBFS = -55.0
"""A level above this for a moment is sound, not the hiss of an open input."""
PATIENCE_S = 3.0
"""After this long without sound the step says what could be wrong."""
_GROUPS = {
    SourceKind.MICROPHONE: ("Microphones", "microphone"),
    SourceKind.MONITOR: ("What this computer plays", "speaker"),
}


class HearStep(Step):
    """Source chooser and level; the microphone is open only while this step is shown."""

    word = "Hear"
    heading = "Can it hear?"
    lead = (
        "Play some music, or say something: the bar should move. The microphone is open only here "
        "and while you listen, and nothing is recorded."
    )

    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._services = services
        self._is_shown = False
        self._position = 0
        self._last_tick = 0.0
        self._quiet_since = 0.0
        self._only_zeros = True
        line = row(gap=Gap.M)
        self.source = ChoiceButton("Sound source", "What to listen to", "microphone", role="")
        self.source.set_label("Looking for microphones…")
        self.source.setMaximumWidth(260)
        self.source.chosen.connect(self._choose)
        self.source.about_to_open.connect(self._list_sources)
        line.addWidget(self.source)
        self.meter = LevelMeter()
        line.addWidget(self.meter, 1)
        self._lines.addLayout(line)
        says = row(gap=Gap.S)
        self._sign = IconLabel("listen", "muted")
        says.addWidget(self._sign, 0, Qt.AlignmentFlag.AlignTop)
        self.words = label("Opening the microphone…", wraps=True)
        says.addWidget(self.words, 1)
        self._lines.addLayout(says)
        self.settings_button = button(
            "Sound settings", "Open the system's sound settings", self._open_settings,
            icon="external",
        )  # fmt: skip
        self._lines.addWidget(self.settings_button, 0, Qt.AlignmentFlag.AlignLeft)
        self.settings_button.hide()
        self._lines.addStretch(1)
        self._timer = QTimer(self)
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self._tick)
        services.prepared.connect(self._begin)
        services.capture_changed.connect(self._take_status)

    def enter(self) -> None:
        self._is_shown = True
        self._begin()

    def leave(self) -> None:
        if not self._is_shown:
            return
        self._is_shown = False
        self._timer.stop()
        self.meter.clear()
        if self._services.is_prepared:
            self._services.capture.stop()

    def _begin(self) -> None:
        if not self._is_shown or not self._services.is_prepared:
            return
        capture = self._services.capture
        capture.start(self._services.settings.source)
        self._position = capture.ring.position
        self._last_tick = self._quiet_since = time.monotonic()
        self._only_zeros = True
        self._timer.start()
        self._list_sources()

    # -- sources ------------------------------------------------------------------------------

    def _list_sources(self) -> None:
        from songid_desktop.audio.devices import list_sources

        job = self._services.jobs.run(list_sources, lane="sources")
        job.done.connect(self._take_sources)
        job.failed.connect(self._take_no_sources)

    def _take_sources(self, sources: object) -> None:
        if not isinstance(sources, tuple):
            return
        chosen = self._services.settings.source
        offers = [Choice("", "System default", "Whatever the system uses", "listen")]
        offers += [_offer(source) for source in sources]
        if chosen and chosen not in {offer.value for offer in offers}:
            chosen = ""
        self.source.set_choices(offers, chosen)

    def _take_no_sources(self, error: BaseException) -> None:
        if isinstance(error, SongIDError):
            self.source.set_label("No sound source")
            self._say(str(error), "unplugged", "warn", needs_settings=True)
        else:
            self._services.report(error, "The sound sources could not be listed.")

    def _choose(self, name: str) -> None:
        self._services.change_settings(source=name)
        self._satisfy(is_satisfied=False)
        self._begin()

    # -- level --------------------------------------------------------------------------------

    def _take_status(self, status: CaptureStatus) -> None:
        if self._is_shown and status.message:
            self._say(status.message, "unplugged", "warn", needs_settings=True)

    def _tick(self) -> None:
        from songid_desktop.audio.levels import measure

        now = time.monotonic()
        block, _lost = self._services.capture.ring.since(self._position)
        self._position = block.start_sample + len(block.samples)
        if len(block.samples):
            level = measure(block.samples)
            self.meter.take(level, now - self._last_tick)
            self._only_zeros = self._only_zeros and level.is_exact_zero
            if level.rms_dbfs > HEARD_FROM_DBFS:
                self._quiet_since = now
                self._satisfy(is_satisfied=True)
                self._say("It hears you.", "check", "ok")
        self._last_tick = now
        if now - self._quiet_since > PATIENCE_S and not self.is_satisfied:
            self._complain()

    def _complain(self) -> None:
        status = self._services.capture.status
        if status.message:
            return
        if self._only_zeros:
            words = (
                "Nothing at all comes in: the microphone may be muted, or not allowed for this "
                "program. Look in the sound settings, or choose another source above."
            )
            self._say(words, "warning", "warn", needs_settings=True)
        else:
            words = "It is very quiet. Play something louder, move closer, or turn the input up."
            self._say(words, "info", "muted", needs_settings=True)

    def _say(self, words: str, icon: str, role: str, *, needs_settings: bool = False) -> None:
        if self.words.text() != words:
            self.words.setText(words)
            self.words.setAccessibleName(words)
        self._sign.set_icon(icon, role)
        can_open = needs_settings and sound_settings.command() is not None
        self.settings_button.setVisible(can_open)

    def _open_settings(self) -> None:
        if not sound_settings.open_settings():
            self._services.notify("The sound settings could not be opened.", kind="warn")


def _offer(source: Source) -> Choice:
    group, icon = _GROUPS[source.kind]
    return Choice(source.name, source.description, source.name, icon, group)
