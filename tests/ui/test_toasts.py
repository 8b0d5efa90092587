"""Notes at the lower right: at most two, paused while looked at, with an action."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QEvent, QPointF, Qt
from PySide6.QtGui import QEnterEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLineEdit, QWidget

from songid_desktop.ui import toasts
from songid_desktop.ui.toasts import AT_MOST, ToastAction, ToastArea
from tests.support import qt
from tests.support.library_window import tree_problems, until


@pytest.fixture
def area(shown: list[QWidget]) -> ToastArea:
    host = QWidget()
    shown.append(host)
    made = ToastArea(host)
    qt.show(host, 800, 400)
    return made


def test_a_note_stands_at_the_lower_right_whole(area: ToastArea) -> None:
    area.notify("12 tracks removed from the library. " * 3, ToastAction("Undo", print))
    host = area.parentWidget()
    assert isinstance(host, QWidget)
    assert host.rect().contains(area.geometry())
    note = area.notes[0]
    assert note.height() >= note.heightForWidth(note.width())
    assert host.height() - area.geometry().bottom() < 24
    area.set_foot(44)
    assert host.height() - area.geometry().bottom() >= 44
    assert tree_problems(area) == []


def test_never_more_than_two(area: ToastArea) -> None:
    for number in range(5):
        area.notify(f"note {number}")
    assert [note.text for note in area.notes] == ["note 3", "note 4"]
    assert len(area.notes) == AT_MOST


def test_the_same_words_are_one_note(area: ToastArea) -> None:
    area.notify("Once.")
    area.notify("Once.")
    assert len(area.notes) == 1


def test_the_action_runs_once_and_closes(area: ToastArea) -> None:
    ran: list[int] = []
    area.notify("Gone.", ToastAction("Undo", lambda: ran.append(1)))
    button = area.notes[0].action_button
    assert button is not None
    button.click()
    button.click()
    assert ran == [1]
    assert area.notes == ()
    assert not area.isVisible()


def test_a_note_goes_by_itself(area: ToastArea, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toasts, "SHOWN_MS", 30)
    area.notify("Soon gone.")
    until(lambda: not area.notes)


def test_the_clock_stands_still_under_the_pointer(area: ToastArea) -> None:
    area.notify("Look at me.")
    note = area.notes[0]
    assert not note.is_waiting
    enter = QEnterEvent(QPointF(1, 1), QPointF(1, 1), QPointF(1, 1))
    QApplication.sendEvent(note, enter)
    assert note.is_waiting
    QApplication.sendEvent(note, QEvent(QEvent.Type.Leave))
    assert not note.is_waiting


def test_the_clock_stands_still_under_the_focus_and_escape_closes(area: ToastArea) -> None:
    area.notify("By keyboard.", ToastAction("Undo", print))
    note = area.notes[0]
    note.close_button.setFocus(Qt.FocusReason.TabFocusReason)
    until(lambda: note.is_waiting)
    QTest.keyClick(note.close_button, Qt.Key.Key_Escape)
    assert area.notes == ()


def test_a_note_that_goes_hands_the_keyboard_on_only_if_it_was_there(
    area: ToastArea, shown: list[QWidget]
) -> None:
    left: list[int] = []
    area.focus_left.connect(lambda: left.append(1))
    field = QLineEdit(area.parentWidget())
    field.show()
    area.notify("Once.")
    area.notes[0].close_button.setFocus()
    field.setFocus()
    area.notes[0].close_note()
    assert left == []
    assert area.window().focusWidget() is field
    area.notify("Twice.")
    area.notes[0].close_button.setFocus()
    area.notes[0].close_note()
    assert left == [1]


def test_plain_text_only(area: ToastArea) -> None:
    area.notify("<b>Zebra & <Friends></b>")
    assert area.notes[0]._label.textFormat() == Qt.TextFormat.PlainText
    assert area.notes[0].accessibleName() == "<b>Zebra & <Friends></b>"
