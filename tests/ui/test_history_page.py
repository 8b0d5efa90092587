"""The History page over a real catalog: search, edit, favourites, delete, undo, export, follow."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QFileDialog, QWidget

from songid_desktop.catalog.catalog import Catalog
from songid_desktop.catalog.history import History
from songid_desktop.catalog.records import Play
from songid_desktop.paths import Paths
from songid_desktop.ui import theme
from songid_desktop.ui.history import FORMATS, HistoryPage
from songid_desktop.ui.history_actions import file_name
from songid_desktop.ui.history_model import Column, cell_text, sure_words
from songid_desktop.ui.services import Services
from tests.support import qt
from tests.support.guards import WarningLog
from tests.support.library_window import Notes, tree_problems, until

NOW = 1_790_000_000.0
Opened = Callable[..., HistoryPage]


def plays() -> list[Play]:
    """Newest first: a match, a guess, something unknown with its sound kept."""
    return [
        Play(NOW, NOW + 12, title="夜明けのうた", artist="久石", path=Path("/music/a.flac"),
             offset_s=83.0, confidence=0.991, identifier="landmark", source="Laptop microphone"),
        Play(NOW - 9e4, NOW - 9e4 + 185, title="x" * 120, artist="Ensemble", confidence=0.62,
             path=Path("/music/b.flac"), identifier="landmark", verdict="unsure",
             source="Laptop microphone", is_favourite=True),
        Play(NOW - 3e5, NOW - 3e5 + 15, verdict="no_match", identifier="landmark",
             clip=Path("/clips/1.flac"), source="Monitor"),
    ]  # fmt: skip


def add(paths: Paths, *rows: Play) -> None:
    with Catalog.open(paths) as catalog:
        history = History(catalog)
        for row in reversed(rows):
            history.add(row)


def stored(paths: Paths) -> list[Play]:
    with Catalog.open(paths) as catalog:
        return History(catalog).search()


@pytest.fixture
def opened(services: Services, shown: list[QWidget]) -> Opened:
    def open_page(width: int = 1100, height: int = 640) -> HistoryPage:
        page = HistoryPage(services)
        shown.append(page)
        qt.show(page, width, height)
        until(lambda: page.snapshot is not None)
        return page

    return open_page


def titles(page: HistoryPage) -> list[str]:
    model = page.model
    return [model.index(row, Column.TITLE).data() for row in range(model.rowCount())]


def test_nothing_heard_yet_leads_to_listening(opened: Opened, services: Services) -> None:
    page = opened()
    asked: list[str] = []
    services.page_requested.connect(asked.append)
    empty = page.body.currentWidget()
    assert empty is not None
    buttons = [b for b in empty.findChildren(QWidget) if b.accessibleName() == "Listen"]
    QTest.mouseClick(buttons[0], Qt.MouseButton.LeftButton)
    assert asked == ["listen"]
    assert tree_problems(page) == []


def test_rows_say_when_what_and_how_surely(opened: Opened, paths: Paths) -> None:
    add(paths, *plays())
    page = opened()
    assert titles(page) == ["夜明けのうた", "x" * 120, "Not named yet"]
    first, second, third = (page.model.row_at(row) for row in range(3))
    assert sure_words(first) == "Almost certain, 99 %"
    assert sure_words(second) == "Maybe, 62 %"
    assert sure_words(third) == "Not in your library"
    assert cell_text(first, Column.OFFSET) == "1:23"
    assert cell_text(first, Column.HEARD) == "12 s"
    assert cell_text(second, Column.HEARD) == "3:05"
    assert "sound kept" in cell_text(third, Column.MARKS)
    assert page.counts_line.text() == "3 plays · 1 favourite"
    page.table.go_to(0)
    assert tree_problems(page) == []


def click_header(page: HistoryPage, column: Column) -> None:
    header = page.table.sort_header
    place = QPoint(header.sectionViewportPosition(column) + 12, header.height() // 2)
    QTest.mouseClick(header.viewport(), Qt.MouseButton.LeftButton, pos=place)
    until(lambda: page.model.view == page.loader.view)


def test_headers_sort_both_ways(opened: Opened, paths: Paths) -> None:
    add(paths, *plays())
    page = opened()
    newest_first = titles(page)
    click_header(page, Column.WHEN)
    assert titles(page) == newest_first[::-1]
    click_header(page, Column.SURE)
    assert titles(page) == ["夜明けのうた", "x" * 120, "Not named yet"]  # the surest first
    click_header(page, Column.SURE)
    assert titles(page) == ["x" * 120, "夜明けのうた", "Not named yet"]
    assert not page.table.sort_header.is_descending
    click_header(page, Column.TITLE)
    assert titles(page) == ["x" * 120, "夜明けのうた", "Not named yet"]
    assert page.counts_line.text() == "3 plays · 1 favourite"  # nothing is left out


def test_the_order_can_be_chosen_by_keyboard(opened: Opened, paths: Paths) -> None:
    add(paths, *plays())
    page = opened()
    menu = page.make_menu(page.model.row_at(0), 0)
    (sort,) = [action.menu() for action in menu.actions() if action.text() == "Sort by"]
    names = {action.text(): action for action in sort.actions()}
    assert names["Heard"].isChecked()
    assert {"Title", "Artist", "Sure", "Favourites"} <= set(names)
    names["Favourites"].trigger()
    until(lambda: page.model.view == page.loader.view)
    assert titles(page)[0] == "x" * 120
    menu.deleteLater()


def test_what_was_chosen_is_deleted_wherever_it_stands_by_then(
    opened: Opened, services: Services, paths: Paths
) -> None:
    add(paths, *plays())
    page = opened()
    notes = Notes(services)
    page.table.go_to(1)
    # Heard while the finger was on its way to the key: every row is one further down now.
    add(paths, Play(time.time(), time.time() + 3, title="Just now", confidence=0.9))
    page.delete_selected()
    notes.wait("1 play deleted")
    assert [play.title for play in stored(paths)] == ["Just now", "夜明けのうた", ""]


def test_search_and_favourites_narrow(opened: Opened, paths: Paths) -> None:
    add(paths, *plays())
    page = opened()
    page.search.setText("monitor")
    until(lambda: titles(page) == ["Not named yet"])
    page.search.setText("")
    until(lambda: len(titles(page)) == 3)
    page.favourites_button.setChecked(True)
    until(lambda: titles(page) == ["x" * 120])
    page.search.setText("nothing like it")
    until(lambda: page.body.currentWidget() is page.body.nothing)
    page._clear()
    until(lambda: len(titles(page)) == 3)


def test_something_unknown_can_be_named_later_and_un_named(
    opened: Opened, services: Services, paths: Paths
) -> None:
    add(paths, *plays())
    page = opened()
    notes = Notes(services)
    page.table.go_to(2)
    page.edit_selected()
    assert page.details.title_field.hasFocus()
    QTest.keyClicks(page.details.title_field, "That film song")
    QTest.keyClick(page.details.title_field, Qt.Key.Key_Return)
    undo = notes.wait("saved")
    until(lambda: titles(page)[2] == "That film song")
    until(lambda: page.details._title.text() == "That film song")  # also while the field has focus
    page.details.artist_field.setFocus()
    qt.settle()
    assert notes.texts == ["“That film song” saved."]  # Enter and leaving are one edit
    undo.run()
    until(lambda: titles(page)[2] == "Not named yet")
    assert stored(paths)[2].title == ""


def test_a_note_is_kept_when_its_field_is_left(opened: Opened, paths: Paths) -> None:
    add(paths, *plays())
    page = opened()
    page.table.go_to(0)
    page.details.note_field.setFocus()
    page.details.note_field.setPlainText("at the end of the evening")
    page.table.go_to(1)
    until(lambda: stored(paths)[0].note == "at the end of the evening")
    until(lambda: page.details.shown is not None and page.details.shown.is_favourite)
    assert page.details.note_field.toPlainText() == ""


def test_stars_by_pointer_and_by_keyboard(opened: Opened, paths: Paths) -> None:
    add(paths, *plays())
    page = opened()
    table = page.table
    place = QPoint(
        table.columnViewportPosition(Column.MARKS) + 14, table.rowViewportPosition(0) + 20
    )
    QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=place)
    until(lambda: stored(paths)[0].is_favourite)
    until(lambda: page.model.row_at(0).is_favourite)
    table.go_to(0)
    page.star_selected()
    until(lambda: not stored(paths)[0].is_favourite)


def test_deleting_can_be_undone(opened: Opened, services: Services, paths: Paths) -> None:
    add(paths, *plays())
    page = opened()
    notes = Notes(services)
    page.table.selectAll()
    QTest.keyClick(page.table, Qt.Key.Key_Delete)
    undo = notes.wait("3 plays deleted")
    until(lambda: page.model.rowCount() == 0)
    assert stored(paths) == []
    undo.run()
    until(lambda: page.model.rowCount() == 3)
    assert [play.title for play in stored(paths)] == [play.title for play in plays()]


def test_control_z_takes_back_the_last_change(
    opened: Opened, services: Services, paths: Paths
) -> None:
    add(paths, *plays())
    page = opened()
    notes = Notes(services)
    page.table.go_to(1)
    page.delete_selected()
    notes.wait("1 play deleted")
    page.actions_.undo()
    notes.wait("back in the history")
    until(lambda: page.model.rowCount() == 3)
    page.actions_.undo()
    notes.wait("nothing to undo")


def test_enter_plays_the_track_from_where_it_was(
    opened: Opened, services: Services, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(paths, *plays())
    asked: list[tuple[Path, float]] = []
    monkeypatch.setattr(services, "play", lambda path, start_s=0.0: asked.append((path, start_s)))
    page = opened()
    page.table.go_to(0)
    QTest.keyClick(page.table, Qt.Key.Key_Return)
    page.table.go_to(2)
    QTest.keyClick(page.table, Qt.Key.Key_Return)
    assert asked == [(Path("/music/a.flac"), 83.0), (Path("/clips/1.flac"), 0.0)]


def test_what_has_nothing_to_play_says_so(
    opened: Opened, services: Services, paths: Paths, warning_log: WarningLog
) -> None:
    warning_log.allow("no file to play")
    add(paths, Play(NOW, NOW + 1, verdict="no_match"))
    page = opened()
    notes = Notes(services)
    page.table.row_opened.emit(0)
    page.play_clip(page.model.row_at(0))
    assert "no file to play" in notes.texts[0]
    assert "not kept" in notes.texts[1]


def test_rows_appear_as_they_are_written(opened: Opened, services: Services, paths: Paths) -> None:
    add(paths, *plays())
    page = opened()
    page.table.go_to(0)
    add(paths, Play(time.time(), time.time() + 3, title="Just now", confidence=0.9))
    services.catalog_changed.emit(2)
    until(lambda: titles(page)[0] == "Just now")
    chosen = page.chosen
    assert chosen is not None
    assert (page.table.currentIndex().row(), chosen.title) == (1, "夜明けのうた")


@pytest.mark.parametrize("fmt", sorted(FORMATS))
def test_everything_shown_is_exported(
    opened: Opened, services: Services, paths: Paths, tmp_path: Path, fmt: str
) -> None:
    add(paths, *plays())
    page = opened()
    notes = Notes(services)
    target = tmp_path / file_name(fmt)
    page.choose_export_file(fmt, [])
    dialog = page._file_dialog
    assert isinstance(dialog, QFileDialog)
    dialog.fileSelected.emit(str(target))
    dialog.reject()
    notes.wait(target.name)
    text = target.read_text(encoding="utf-8")
    assert "夜明けのうた" in text or "a.flac" in text
    if fmt == "json":
        assert len(json.loads(text)) == 3
    if fmt == "csv":
        assert len(list(csv.reader(text.splitlines()))) == 4
    until(lambda: page._file_dialog is None)


def test_the_export_menu_offers_what_is_chosen(
    opened: Opened, paths: Paths, tmp_path: Path
) -> None:
    add(paths, *plays())
    page = opened()
    one = [action.text() for action in page.make_export_menu().actions()]
    assert one == ["All 3 plays shown", *(name for name, _hint in FORMATS.values())]
    page.table.selectAll()
    both = [action.text() for action in page.make_export_menu().actions() if action.text()]
    assert both[0] == "The 3 chosen plays"
    assert len(both) == 2 * len(one)
    target = tmp_path / "two.json"
    page.actions_.export(page.model.ids_in([(0, 1)]), target, "json")
    until(target.exists)
    until(lambda: len(json.loads(target.read_text(encoding="utf-8"))) == 2)


def test_an_export_that_fails_is_told(
    opened: Opened, services: Services, paths: Paths, tmp_path: Path, warning_log: WarningLog
) -> None:
    warning_log.allow(".")
    add(paths, *plays())
    page = opened()
    notes = Notes(services)
    page.actions_.export([1], tmp_path / "no" / "such" / "x.csv", "csv")
    until(lambda: notes.texts)
    assert "Error" not in notes.texts[0]


@pytest.mark.parametrize("choice", ["light", "dark"])
@pytest.mark.parametrize("size", [(763, 560), (1003, 760), (1743, 1080)])
def test_columns_fill_every_size(
    opened: Opened, qapp: QApplication, paths: Paths, size: tuple[int, int], choice: str
) -> None:
    add(paths, *plays())
    theme.apply(qapp, choice)
    page = opened(*size)
    for chosen in (False, True):
        if chosen:
            page.table.go_to(0)
            qt.settle()
        page.grab()
        table = page.table
        columns = [column for column in Column if not table.isColumnHidden(column)]
        assert sum(map(table.columnWidth, columns)) == table.viewport().width()
        assert {Column.WHEN, Column.TITLE, Column.SURE} <= set(columns)


def test_what_plays_can_be_stopped_where_it_was_started(
    opened: Opened, services: Services, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(paths, *plays())
    said: list[object] = []
    monkeypatch.setattr(services, "play", lambda path, _start_s=0.0: said.append(path))
    monkeypatch.setattr(services, "stop_playing", lambda: said.append("stop"))
    page = opened()
    page.table.go_to(0)
    button = page.details.track_button
    assert button.text() == "Play from 1:23"
    button.click()
    services.playing_changed.emit(Path("/music/a.flac"))
    assert button.text() == "Stop"
    button.click()
    services.playing_changed.emit(None)
    assert button.text() == "Play from 1:23"
    assert said == [Path("/music/a.flac"), "stop"]
