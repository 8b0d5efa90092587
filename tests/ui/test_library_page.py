"""The Library page over real catalogs: search, sort, filter, remove, undo, follow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QWidget

from songid_desktop.catalog.catalog import Catalog
from songid_desktop.paths import Paths
from songid_desktop.types import Track
from songid_desktop.ui import theme
from songid_desktop.ui.enrol_request import EnrolRequest
from songid_desktop.ui.library import EMPTY_WORDS, LibraryPage
from songid_desktop.ui.library_model import Column, cell_text, cell_tip
from songid_desktop.ui.library_query import Filter
from songid_desktop.ui.paged_model import PAGE_ROWS
from songid_desktop.ui.services import Services
from tests.support import qt
from tests.support.catalog import CheckSum, Refusing, enrol_here, write_song
from tests.support.guards import WarningLog
from tests.support.library_window import Notes, make_library, tree_problems, until

NAMES = ("Aqua.wav", "Boat.wav", "夜明けのうた.wav", "x" * 120 + ".wav", "Zebra & <Friends>.wav")


@pytest.fixture
def music(tmp_path: Path) -> Path:
    return tmp_path / "music"


@pytest.fixture
def opened(services: Services, shown: list[QWidget]) -> Callable[..., LibraryPage]:
    """Opens the page and waits for its first read."""

    def open_page(width: int = 1000, height: int = 640) -> LibraryPage:
        page = LibraryPage(services)
        shown.append(page)
        qt.show(page, width, height)
        until(lambda: page.snapshot is not None or page.body.currentWidget() is page.body.trouble)
        return page

    return open_page


Opened = Callable[..., LibraryPage]


def titles(page: LibraryPage) -> list[str]:
    model = page.model
    return [model.index(row, Column.TITLE).data() for row in range(model.rowCount())]


def settled(page: LibraryPage) -> None:
    until(lambda: not page.loader.is_busy, what="the table to rest")


def test_an_empty_library_says_what_to_do(opened: Opened, services: Services) -> None:
    page = opened()
    assert page.body.currentWidget() is page.body.empty
    assert page.body.empty.sentence.text() == EMPTY_WORDS
    assert not page.search.isVisible()
    assert tree_problems(page) == []


def test_tracks_are_listed_whatever_their_names(
    opened: Opened, services: Services, paths: Paths, music: Path
) -> None:
    tracks = make_library(paths, music, NAMES)
    page = opened()
    assert titles(page) == [track.title for track in tracks]
    assert "5 tracks" in page.foot.counts.text()
    assert tree_problems(page) == []


def test_headers_sort_both_ways(
    opened: Opened, services: Services, paths: Paths, music: Path
) -> None:
    make_library(paths, music, NAMES)
    page = opened()
    page.table.sort_wanted.emit(int(Column.TITLE))
    until(lambda: page.model.view == page.loader.view)
    upwards = titles(page)
    page.table.sort_wanted.emit(int(Column.TITLE))
    until(lambda: page.model.view == page.loader.view)
    assert titles(page) == upwards[::-1]
    assert upwards[0] == "Aqua"
    assert page.table.sort_header.is_descending


def test_search_finds_and_escape_brings_all_back(
    opened: Opened, services: Services, paths: Paths, music: Path
) -> None:
    make_library(paths, music, NAMES)
    page = opened()
    page.search.setText("夜明け")
    until(lambda: titles(page) == ["夜明けのうた"], what="one row")
    QTest.keyClicks(page.search, " nothing")
    until(lambda: page.body.currentWidget() is page.body.nothing)
    assert "nothing" in page.body.nothing.sentence.text()
    QTest.keyClick(page.search, Qt.Key.Key_Escape)
    until(lambda: len(titles(page)) == 5)
    assert page.search.text() == ""


def test_files_that_failed_are_rows_with_reason_and_remedy(
    opened: Opened, services: Services, paths: Paths, music: Path
) -> None:
    music.mkdir()
    (music / "hollow.wav").write_bytes(b"")
    make_library(paths, music, NAMES[:2])
    page = opened()
    assert titles(page) == ["Aqua", "Boat", "hollow.wav"]
    page.show_problems()
    until(lambda: titles(page) == ["hollow.wav"])
    page.table.go_to(0)
    row = page.model.row_at(0)
    assert cell_text(row, Column.ARTIST) == "Empty file"
    assert "Copy it again" in cell_tip(row, Column.STATE)
    assert page.details.isVisible()
    words = [label.text() for label in page.details.findChildren(QLabel)]
    assert any("Copy it again" in text for text in words)
    assert page.filters.button(Filter.PROBLEMS).text().endswith("1")


def test_states_have_words_in_row_tip_and_pane(
    opened: Opened, services: Services, paths: Paths, music: Path
) -> None:
    make_library(paths, music, NAMES[:1])
    enrol_here(paths, music, fingerprinters=(CheckSum(), Refusing()))
    page = opened()
    row = page.model.row_at(0)
    assert isinstance(row, Track)
    words = cell_text(row, Column.STATE)
    assert "Checksum enrolled" in words
    assert "Refusing failed" in words
    assert "not my kind of music" in cell_tip(row, Column.STATE)
    page.filters.choose(Filter.PROBLEMS)
    until(lambda: page.model.view.only is Filter.PROBLEMS)
    assert titles(page) == ["Aqua"]


def test_missing_is_a_state_not_a_deletion(
    opened: Opened, warning_log: WarningLog, services: Services, paths: Paths, music: Path
) -> None:
    make_library(paths, music, NAMES[:2])
    (music / "Aqua.wav").unlink()
    enrol_here(paths, music)
    warning_log.allow("the file is missing")
    page = opened()
    page.filters.choose(Filter.MISSING)
    until(lambda: titles(page) == ["Aqua"])
    notes = Notes(services)
    page.table.row_opened.emit(0)
    assert "missing" in notes.texts[0]


def test_removal_touches_no_file_and_can_be_undone(
    opened: Opened, services: Services, paths: Paths, music: Path
) -> None:
    make_library(paths, music, NAMES)
    page = opened()
    notes = Notes(services)
    page.table.selectAll()
    QTest.keyClick(page.table, Qt.Key.Key_Delete)
    undo = notes.wait("5 tracks removed")
    until(lambda: page.model.rowCount() == 0)
    assert all((music / name).exists() for name in NAMES)
    undo.run()
    notes.wait("5 tracks back")
    until(lambda: page.model.rowCount() == 5)


def test_control_z_undoes_the_last_removal_once(
    opened: Opened, services: Services, paths: Paths, music: Path
) -> None:
    make_library(paths, music, NAMES)
    page = opened()
    notes = Notes(services)
    page.table.go_to(1)
    page.remove_selected()
    notes.wait("1 track removed")
    until(lambda: page.model.rowCount() == 4)
    page.actions_.undo()
    notes.wait("1 track back")
    until(lambda: page.model.rowCount() == 5)
    page.actions_.undo()
    notes.wait("nothing to undo")


def test_nothing_is_removed_while_an_enrolment_writes(  # noqa: PLR0917 (fixtures)
    opened: Opened,
    warning_log: WarningLog,
    services: Services,
    paths: Paths,
    music: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_library(paths, music, NAMES[:1])
    page = opened()
    notes = Notes(services)
    warning_log.allow("when the enrolment has ended")
    running = property(lambda _self: EnrolRequest((music,)))
    monkeypatch.setattr(type(services.enrolment), "request", running)
    page.table.go_to(0)
    page.remove_selected()
    notes.wait("when the enrolment has ended")


def test_tracks_enrolled_elsewhere_appear(
    opened: Opened, services: Services, paths: Paths, music: Path
) -> None:
    make_library(paths, music, NAMES[:2])
    page = opened()
    page.table.go_to(1)
    write_song(music / "Aardvark.wav", 99)
    enrol_here(paths, music)
    services.catalog_changed.emit(1)
    until(lambda: page.model.rowCount() == 3)
    # The chosen row is still the same track, one row further down.
    current = page.table.currentIndex()
    assert (current.row(), current.siblingAtColumn(Column.TITLE).data()) == (2, "Boat")


def test_home_and_end_go_to_the_first_and_last_row(
    opened: Opened, paths: Paths, music: Path
) -> None:
    make_library(paths, music, NAMES)
    page = opened()
    page.table.setFocus(Qt.FocusReason.TabFocusReason)
    QTest.keyClick(page.table, Qt.Key.Key_End)
    assert page.table.selected_rows() == [4]
    QTest.keyClick(page.table, Qt.Key.Key_Home)
    assert page.table.selected_rows() == [0]
    QTest.keyClick(page.table, Qt.Key.Key_End, Qt.KeyboardModifier.ShiftModifier)
    assert page.table.selected_rows() == [0, 1, 2, 3, 4]


def test_a_gap_is_read_when_it_comes_into_sight(
    opened: Opened, services: Services, paths: Paths, music: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("songid_desktop.ui.row_reader.PAGE_ROWS", 10)
    monkeypatch.setattr("songid_desktop.ui.paged_model.PAGE_ROWS", 10)
    monkeypatch.setattr("songid_desktop.ui.column_table.PAGE_ROWS", 10)
    make_library(paths, music, [f"{number:03d}.wav" for number in range(60)])
    page = opened()
    settled(page)
    assert not page.model.is_loaded(5)
    page.table.scrollToBottom()
    until(lambda: page.model.is_loaded(5), what="the last page")
    page.table.viewport().repaint()
    assert page.model.index(59, Column.TITLE).data() == "059"
    assert PAGE_ROWS >= 50  # a page holds more than a screen


def test_show_track_clears_what_hides_it(
    opened: Opened, services: Services, paths: Paths, music: Path
) -> None:
    tracks = make_library(paths, music, NAMES)
    page = opened()
    page.search.setText("aqua")
    until(lambda: page.model.rowCount() == 1)
    page.show_track(tracks[3].track_id)
    until(lambda: page.details.shown == tracks[3])


def test_a_dropped_folder_is_enrolled(
    opened: Opened, services: Services, paths: Paths, music: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(services.enrolment, "start", lambda *args: asked.append(args))
    page = opened()
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(music))])
    event = QDropEvent(
        QPointF(5, 5),
        Qt.DropAction.CopyAction,
        data,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    page.dropEvent(event)
    assert asked == [([music], ("landmark",), 0)]


def test_rescan_asks_for_the_folders_it_knows(
    opened: Opened, services: Services, paths: Paths, music: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_library(paths, music, NAMES[:1])
    asked: list[object] = []
    monkeypatch.setattr(services.enrolment, "start", lambda roots, *_more: asked.append(roots))
    page = opened()
    page.rescan()
    until(lambda: asked)
    assert asked == [[music]]


def test_folders_can_be_looked_at_and_removed(
    opened: Opened, services: Services, paths: Paths, music: Path
) -> None:
    make_library(paths, music, NAMES[:2])
    page = opened()
    notes = Notes(services)
    page.manage_folders()
    dialog = page._folders_dialog
    assert dialog is not None
    until(lambda: dialog.count == 1)
    dialog.places.setCurrentRow(0)
    dialog._remove_chosen()
    undo = notes.wait("no longer part")
    until(lambda: page.model.rowCount() == 0 and dialog.count == 0)
    undo.run()
    until(lambda: page.model.rowCount() == 2)
    assert tree_problems(dialog) == []


def test_a_damaged_catalog_is_a_sentence_on_the_page(opened: Opened, paths: Paths) -> None:
    paths.data.mkdir(parents=True)
    paths.catalog.write_bytes(b"this is no database" * 100)
    page = opened()
    assert page.body.currentWidget() is page.body.trouble
    sentence = page.body.trouble.sentence
    assert sentence.text()
    assert sentence.height() >= sentence.heightForWidth(sentence.width())


def test_a_repaired_catalog_is_read_again_when_asked(
    opened: Opened, services: Services, paths: Paths, music: Path, warning_log: WarningLog
) -> None:
    warning_log.allow("database")
    make_library(paths, music, NAMES[:1])
    whole = paths.catalog.read_bytes()
    paths.catalog.write_bytes(b"this is no database" * 1000)
    page = opened()
    assert page.body.currentWidget() is page.body.trouble
    paths.catalog.write_bytes(whole)
    page.body.read_again_button.click()
    until(lambda: titles(page) == ["Aqua"])


def test_a_catalog_that_is_just_being_made_is_no_trouble(
    opened: Opened, services: Services, paths: Paths
) -> None:
    paths.data.mkdir(parents=True)
    paths.catalog.touch()
    notes = Notes(services)
    page = opened()
    services.refresh_counts()
    until(lambda: services.is_counted)
    assert page.body.currentWidget() is page.body.empty
    assert notes.texts == []


@pytest.mark.parametrize("choice", ["light", "dark"])
@pytest.mark.parametrize("size", [(763, 560), (1003, 760), (1743, 1080)])
def test_every_size_has_room_for_title_and_state(  # noqa: PLR0917 (fixtures)
    opened: Opened,
    qapp: QApplication,
    paths: Paths,
    music: Path,
    size: tuple[int, int],
    choice: str,
) -> None:
    make_library(paths, music, NAMES)
    theme.apply(qapp, choice)
    page = opened(*size)
    page.table.go_to(0)
    page.grab()
    table = page.table
    wide = sum(table.columnWidth(column) for column in Column if not table.isColumnHidden(column))
    assert wide == table.viewport().width()
    assert not table.isColumnHidden(Column.TITLE)
    assert not table.isColumnHidden(Column.STATE)
    assert table.columnWidth(Column.TITLE) >= 120


def test_a_request_is_a_value() -> None:
    assert EnrolRequest((Path("a"),)) == EnrolRequest((Path("a"),))


def test_catalogs_are_closed(opened: Opened, services: Services, paths: Paths, music: Path) -> None:
    make_library(paths, music, NAMES[:1])
    page = opened()
    settled(page)
    with Catalog.open(paths) as catalog, catalog.writer("somebody else") as writer:
        writer.remove_tracks([1])


def test_down_chooses_the_first_row_even_of_one(opened: Opened, paths: Paths, music: Path) -> None:
    make_library(paths, music, NAMES[:1])
    page = opened()
    page.table.setFocus(Qt.FocusReason.TabFocusReason)
    QTest.keyClick(page.table, Qt.Key.Key_Down)
    assert page.table.selected_rows() == [0]
    assert page.details.isVisible()
    QTest.keyClick(page.table, Qt.Key.Key_Escape)
    assert page.table.selected_rows() == []
    assert not page.details.isVisible()
