"""The preferences: each applies at once, says what it does, and can be reset."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QWidget

from songid_desktop.settings import AXES, PALETTES, THEMES, Settings
from songid_desktop.ui.level_field import LevelField
from songid_desktop.ui.preference_row import PreferenceRow
from songid_desktop.ui.preferences import RESET_FIELDS, PreferencesDialog
from songid_desktop.ui.services import Services
from tests.support import qt
from tests.support.library_window import Notes, tree_problems


@pytest.fixture
def dialog(services: Services, shown: list[QWidget]) -> PreferencesDialog:
    made = PreferencesDialog(services)
    shown.append(made)
    qt.show(made)
    return made


def test_nothing_is_held_up_and_everything_is_named(dialog: PreferencesDialog) -> None:
    assert not dialog.isModal()
    assert tree_problems(dialog) == []
    assert len(dialog.findChildren(PreferenceRow)) >= 10


def test_a_section_is_kept_in_sight_while_what_is_above_and_below_comes(
    dialog: PreferencesDialog,
) -> None:
    dialog.resize(560, 420)
    qt.settle()
    bar = dialog._area.verticalScrollBar()
    dialog.show_section("models")
    heading = dialog._headings["models"]
    dialog.models.setMinimumHeight(900)  # its rows arrive
    qt.wait_until(lambda: heading.y() - bar.value() == 16, what="the heading at the top")
    bar.triggerAction(bar.SliderAction.SliderSingleStepSub)
    moved = bar.value()
    dialog.models.setMinimumHeight(1000)
    qt.settle()
    assert bar.value() == moved, "who scrolled stays where that led"


def test_a_change_applies_at_once(dialog: PreferencesDialog, services: Services) -> None:
    seen: list[Settings] = []
    services.settings_changed.connect(seen.append)
    dialog.continuous_box.click()
    dialog.clips_box.click()
    dialog.palette_choice.chosen.emit("viridis")
    dialog.theme_choice.chosen.emit("dark")
    dialog.jobs_choice.chosen.emit("1")
    now = services.settings
    assert (now.continuous, now.keep_matched_clips, now.palette) == (True, True, "viridis")
    assert (now.theme, now.enrol_jobs) == ("dark", 1)
    assert len(seen) == 5


def test_every_choice_of_the_settings_is_offered(dialog: PreferencesDialog) -> None:
    for button, choices in (
        (dialog.theme_choice, THEMES),
        (dialog.palette_choice, PALETTES),
        (dialog.axis_choice, AXES),
    ):
        assert {action.data() for action in button.menu_actions} == set(choices)


def test_changes_from_elsewhere_are_shown(dialog: PreferencesDialog, services: Services) -> None:
    services.change_settings(axis="log", range_low_db=-100.0, show_constellation=False)
    assert dialog.axis_choice.value == "log"
    assert dialog.low_field.value == -100
    assert not dialog.constellation_box.isChecked()


def test_a_range_that_is_too_narrow_falls_back_and_shows_it(
    dialog: PreferencesDialog, services: Services
) -> None:
    dialog.high_field.changed.emit(-85.0)
    assert services.settings.range_high_db == Settings().range_high_db
    assert dialog.high_field.value == Settings().range_high_db


def test_reset_and_its_undo(dialog: PreferencesDialog, services: Services) -> None:
    notes = Notes(services)
    services.change_settings(palette="grey", continuous=True, source="mic", first_run_done=True)
    dialog.reset()
    now = services.settings
    assert all(getattr(now, name) == getattr(Settings(), name) for name in RESET_FIELDS)
    assert now.source == "mic"  # what this window does not show stays
    notes.wait("were reset").run()
    assert (services.settings.palette, services.settings.continuous) == ("grey", True)


def test_the_row_of_the_demo_tunes_is_there_with_them(
    dialog: PreferencesDialog, services: Services
) -> None:
    assert not dialog._demo_row.isVisibleTo(dialog)
    services.paths.demo_tunes.mkdir(parents=True)
    dialog.show_settings(services.settings)
    assert dialog._demo_row.isVisibleTo(dialog)


@pytest.mark.parametrize(
    ("typed", "value"),
    [("-70", -70), ("\N{MINUS SIGN}75 dB", -75), ("-999", -140), ("what", -90), ("1e999", -90)],
)
def test_a_level_is_a_number_within_its_range(shown: list[QWidget], typed: str, value: int) -> None:
    field = LevelField("Darkest level", -140, -30)
    shown.append(field)
    field.set_value(-90)
    changed: list[float] = []
    field.changed.connect(changed.append)
    field.setText(typed)
    field.editingFinished.emit()
    assert field.value == value
    assert changed == ([] if value == -90 else [float(value)])
    QTest.keyClick(field, Qt.Key.Key_Up)
    assert field.value == min(-30, value + 5)
