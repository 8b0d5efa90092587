"""The few preferences there are, in one small window that never blocks the others.

A change applies at once through the settings store and is shown by whoever follows
`settings_changed`; closing the window confirms nothing.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QFrame, QScrollArea, QVBoxLayout, QWidget

from songid_desktop.settings import Settings
from songid_desktop.ui.choice import Choice, ChoiceButton
from songid_desktop.ui.controls import CheckBox, button, column, divider, label, row
from songid_desktop.ui.identifier_choice import IdentifierChoice
from songid_desktop.ui.level_field import LevelField
from songid_desktop.ui.models_section import ModelsSection
from songid_desktop.ui.preference_row import PreferenceRow
from songid_desktop.ui.theme import Gap, Type
from songid_desktop.ui.toasts import ToastAction

if TYPE_CHECKING:
    from songid_desktop.ui.services import Services

_THEMES = (
    Choice("system", "Like the system"),
    Choice("light", "Light", icon="sun"),
    Choice("dark", "Dark", icon="moon"),
)
_PALETTES = (
    Choice("magma", "Magma", "Dark to bright through red"),
    Choice("viridis", "Viridis", "Readable with every kind of colour blindness"),
    Choice("cividis", "Cividis", "Made for red and green blindness"),
    Choice("grey", "Grey"),
    Choice("print", "Print", "Dark on light, for paper"),
)
_AXES = (
    Choice("mel", "Mel", "As the ear spaces pitches"),
    Choice("log", "Logarithmic", "Every octave the same height"),
    Choice("linear", "Linear", "Every hertz the same height"),
)
RESET_FIELDS = (
    "theme",
    "palette",
    "axis",
    "range_low_db",
    "range_high_db",
    "show_constellation",
    "identifier",
    "continuous",
    "keep_matched_clips",
    "enrol_jobs",
    "prepare_in_background",
)
"""What Reset resets: what this window shows, and nothing else."""


class PreferencesDialog(QDialog):
    """Not modal; a change applies at once through the settings store. The window keeps one and
    shows it."""

    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._services = services
        self._is_showing = False
        self._headings: dict[str, QWidget] = {}
        self._wanted_section = ""
        self.setWindowTitle("Preferences")
        self.setMinimumSize(480, 360)
        self.resize(560, 680)
        self._lines = column(Gap.XL, Gap.L, Gap.XL, Gap.L, gap=Gap.XS)
        self._make_controls()
        self._fill()
        body = QWidget()
        body.setLayout(self._lines)
        self._area = area = QScrollArea()
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setWidget(body)
        area.verticalScrollBar().rangeChanged.connect(lambda *_range: self._go_to_section())
        area.verticalScrollBar().actionTriggered.connect(self._forget_section)
        body.setAutoFillBackground(False)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(0)
        outer.addWidget(area, 1)
        outer.addWidget(divider())
        foot = row(Gap.XL, Gap.M, Gap.XL, Gap.M)
        foot.addWidget(
            button(
                "Reset", "Set everything in this window back as it came", self.reset, icon="undo"
            )
        )
        foot.addStretch(1)
        foot.addWidget(button("Close", "Close this window (Esc)", self.close))
        outer.addLayout(foot)
        services.settings_changed.connect(self.show_settings)
        services.catalog_changed.connect(self._show_demo)
        self.show_settings(services.settings)

    # -- building -----------------------------------------------------------------------------

    def _make_controls(self) -> None:
        self.theme_choice = self._choice("theme", "Theme")
        self.palette_choice = self._choice("palette", "Palette")
        self.axis_choice = self._choice("axis", "Frequency axis")
        self.low_field = self._level("range_low_db", "Darkest level", -140, -30)
        self.high_field = self._level("range_high_db", "Brightest level", -80, 20)
        self.constellation_box = self._check("show_constellation", "Show the constellation")
        self.identifier_choice = IdentifierChoice(self._services.identifiers, role="")
        self.continuous_box = self._check("continuous", "Keep listening")
        self.clips_box = self._check("keep_matched_clips", "Keep the sound of matches")
        self.jobs_choice = self._choice("enrol_jobs", "Processes for enrolling")
        self.prepare_box = self._check("prepare_in_background", "Prepare in the background")
        self.demo_button = button(
            "Remove the demo tunes", "Take the demo tunes out of the library and delete them",
            self._remove_demo, icon="trash",
        )  # fmt: skip

        self.models = ModelsSection(self._services)
        self.models.changed.connect(self._services.identifiers.look_again)

    def _fill(self) -> None:
        self._section("Look")
        self._row("Theme", "Light or dark, or as the system has it.", self.theme_choice)
        self._row("Palette", "Colours of the spectrogram.", self.palette_choice)
        self._row("Frequency axis", "How the spectrogram spaces pitches.", self.axis_choice)
        levels = QWidget()
        pair = row(gap=Gap.S)
        levels.setLayout(pair)
        pair.addWidget(self.low_field)
        pair.addWidget(label("to", "muted"))
        pair.addWidget(self.high_field)
        self._row("Levels shown", "What is darkest and brightest in the picture.", levels)
        self._row(
            "Constellation",
            "Draws the peaks that fingerprints are made from over the spectrogram.",
            self.constellation_box,
        )
        self._section("Listening")
        self._row("Identifier", "The method that names what is heard.", self.identifier_choice)
        self._row(
            "Continuous",
            "Goes on after a match; each piece becomes one row of the history.",
            self.continuous_box,
        )
        self._row(
            "Keep clips",
            "Keeps the sound of every match beside its row in the history. Off: nothing that is "
            "recorded is kept unless you ask.",
            self.clips_box,
        )
        self._section("Library")
        self._row(
            "Processes",
            "More enrol faster, fewer leave more of the computer to other programs.",
            self.jobs_choice,
        )
        self._row(
            "Prepare in the background",
            "Lets the chosen identifier, and those in use, learn the tracks they lack while the "
            "computer has time.",
            self.prepare_box,
        )
        self._demo_row = self._row(
            "Demo tunes", "Made on this computer for a first try.", self.demo_button
        )
        self._section("Models")
        self._lines.addWidget(self.models)
        self._lines.addStretch(1)

    def _section(self, words: str) -> None:
        if self._lines.count():
            self._lines.addSpacing(Gap.M)
        heading = label(words, size=Type.CARD, strong=True)
        self._headings[words.casefold()] = heading
        self._lines.addWidget(heading)

    def show_section(self, name: str) -> None:
        """Scroll to a section, called by its heading in small letters; elsewhere stay. What is
        read later and moves it is followed, until somebody scrolls."""
        self._wanted_section = name if name in self._headings else ""
        self._lines.activate()
        self._go_to_section()

    def _go_to_section(self) -> None:
        heading = self._headings.get(self._wanted_section)
        if heading is not None:
            self._area.verticalScrollBar().setValue(max(0, heading.y() - Gap.L))

    def _forget_section(self, _action: int) -> None:
        self._wanted_section = ""

    def _row(self, name: str, effect: str, control: QWidget) -> PreferenceRow:
        made = PreferenceRow(name, effect, control)
        self._lines.addWidget(made)
        return made

    def _choice(self, field: str, name: str) -> ChoiceButton:
        made = ChoiceButton(name, name, role="")
        made.chosen.connect(lambda value: self._change(field, value))
        return made

    def _check(self, field: str, name: str) -> CheckBox:
        made = CheckBox("", name)
        made.setAccessibleName(name)
        made.setFixedWidth(CheckBox.BOX + 2 * Gap.XS)
        made.toggled.connect(lambda is_on: self._change(field, is_on))
        return made

    def _level(self, field: str, name: str, low_db: int, high_db: int) -> LevelField:
        made = LevelField(name, low_db, high_db)
        made.changed.connect(lambda value: self._change(field, value))
        return made

    # -- showing and changing -----------------------------------------------------------------

    def show_settings(self, settings: Settings) -> None:
        """Make every control say what holds now."""
        self._is_showing = True
        self.theme_choice.set_choices(_THEMES, settings.theme)
        self.palette_choice.set_choices(_PALETTES, settings.palette)
        self.axis_choice.set_choices(_AXES, settings.axis)
        self.low_field.set_value(round(settings.range_low_db))
        self.high_field.set_value(round(settings.range_high_db))
        self.constellation_box.setChecked(settings.show_constellation)
        self.continuous_box.setChecked(settings.continuous)
        self.clips_box.setChecked(settings.keep_matched_clips)
        self.prepare_box.setChecked(settings.prepare_in_background)
        self.jobs_choice.set_choices(job_choices(settings.enrol_jobs), str(settings.enrol_jobs))
        self._show_demo()
        self._is_showing = False

    def _change(self, field: str, value: object) -> None:
        if self._is_showing:
            return
        if field == "enrol_jobs":
            value = int(str(value))
        self._services.change_settings(**{field: value})
        # A range under 10 dB is refused by the settings as a whole: show what holds now.
        self.show_settings(self._services.settings)

    def reset(self) -> None:
        """Everything in this window as it came; can be undone from the note."""
        before = {name: getattr(self._services.settings, name) for name in RESET_FIELDS}
        defaults = {name: getattr(Settings(), name) for name in RESET_FIELDS}
        if before == defaults:
            self._services.notify("The preferences are as they came.")
            return
        self._services.change_settings(**defaults)
        undo = ToastAction("Undo", lambda: self._services.change_settings(**before))
        self._services.notify("The preferences were reset.", undo)

    # -- demo tunes ---------------------------------------------------------------------------

    def _show_demo(self, *_args: object) -> None:
        self._demo_row.setVisible(self._services.paths.demo_tunes.is_dir())

    def _remove_demo(self) -> None:
        from songid_desktop.ui.enrol_job import HOLDER

        request = self._services.enrolment.request
        if request is not None and not request.is_preparation:
            self._services.notify(
                "The demo tunes can be removed when the enrolment has ended.", kind="warn"
            )
            return

        def remove() -> int:
            from songid_desktop.evaluate.demo import remove_demo_tunes

            return remove_demo_tunes(self._services.paths, holder=HOLDER)

        def begin() -> None:
            job = self._services.jobs.run(remove, lane="library-changes")
            job.done.connect(
                lambda _count: self._services.notify("The demo tunes are gone.", kind="ok")
            )
            job.failed.connect(self._services.report)
            job.finished.connect(self._end_removal)

        self.demo_button.setEnabled(False)
        self._services.enrolment.make_way(begin)

    def _end_removal(self) -> None:
        self._services.enrolment.release()
        self.demo_button.setEnabled(True)
        self._show_demo()


def job_choices(current: int) -> list[Choice]:
    """Automatic, and one entry a core."""
    cores = os.cpu_count() or 1
    numbers = sorted({*range(1, min(cores, 16) + 1), *([current] if current else [])})
    return [
        Choice("0", "One per core", "As many as the computer has cores"),
        *(Choice(str(number), str(number)) for number in numbers),
    ]
