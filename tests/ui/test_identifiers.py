"""Several identifiers in the window: chosen without waiting, learnt in the background, shown."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QWidget

from songid_desktop.catalog.catalog import Catalog
from songid_desktop.catalog.records import EnrolProgress, EnrolReport
from songid_desktop.errors import CatalogBusy, CatalogError
from songid_desktop.paths import Paths
from songid_desktop.types import Identification, Verdict
from songid_desktop.ui import identifiers as module
from songid_desktop.ui.answer_words import Action
from songid_desktop.ui.enrol_job import JobState
from songid_desktop.ui.library import LibraryPage
from songid_desktop.ui.library_model import Column
from songid_desktop.ui.library_query import Filter
from songid_desktop.ui.progress_strip import ProgressStrip
from songid_desktop.ui.services import Services
from tests.support import qt
from tests.support.catalog import as_landmark, enrol_here, write_song
from tests.support.guards import WarningLog
from tests.support.library_window import Notes, make_library, tree_problems, until
from tests.support.listen_page import Desk
from tests.support.listening import ToldWorker, install
from tests.support.second_identifier import Offered

NAMES = ("Aqua.wav", "Boat.wav", "Calm.wav")


@pytest.fixture(autouse=True)
def others(offered: Offered) -> None:
    """Landmark, CNN, and AST that is not installed."""
    offered.add_others()


class Preparing:
    """Stands for `prepare_library`: ends when the test says so, or is cancelled."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []
        self.go = threading.Event()
        self.ended: list[str] = []
        self.error: Exception | None = None
        self.report = EnrolReport(updated=3)

    def __call__(
        self,
        _paths: Paths,
        identifiers: tuple[str, ...],
        *,
        progress: Callable[[EnrolProgress], None],
        cancel: threading.Event,
        **_more: Any,
    ) -> EnrolReport:
        self.calls.append(tuple(identifiers))
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        progress(EnrolProgress("enrolling", 1, 3, 0, 0, 90.0, 20.0, "a/b/song.mp3"))
        while not self.go.wait(0.005):
            if cancel.is_set():
                self.ended.append("cancelled")
                return EnrolReport(was_cancelled=True)
        self.ended.append("whole")
        return self.report


@pytest.fixture
def preparing(monkeypatch: pytest.MonkeyPatch) -> Preparing:
    made = Preparing()
    monkeypatch.setattr("songid_desktop.identify.enrolment.prepare_library", made)
    return made


@pytest.fixture
def music(tmp_path: Path) -> Path:
    return tmp_path / "music"


@pytest.fixture
def worker(services: Services, paths: Paths, music: Path) -> ToldWorker:
    """A library of three tracks that the landmarks know, and told machinery."""
    make_library(paths, music, NAMES)
    _capture, made, _player = install(services)
    until(lambda: services.is_counted, "the library's counts")
    return made


@pytest.fixture
def page(services: Services, shown: list[QWidget], worker: ToldWorker) -> LibraryPage:
    made = LibraryPage(services)
    shown.append(made)
    qt.show(made, 1000, 640)
    until(lambda: made.snapshot is not None)
    return made


def titles(page: LibraryPage) -> list[str]:
    model = page.model
    return [model.index(row, Column.TITLE).data() for row in range(model.rowCount())]


def enrol_some(paths: Paths, music: Path, offered: Offered, count: int = 2) -> None:
    """Let the CNN know some of the tracks."""
    for name in NAMES[:count]:
        enrol_here(paths, music / name, fingerprinters=(as_landmark(), offered.prints))


def count_again(services: Services) -> None:
    seen: list[object] = []
    services.counts_changed.connect(seen.append)
    services.refresh_counts()
    until(lambda: seen, "counts")


# -- choosing -------------------------------------------------------------------------------------


def test_every_identifier_is_offered_with_what_it_knows(
    services: Services, worker: ToldWorker
) -> None:
    worker.be_ready("landmark")
    by_name = {each.name: each for each in services.identifiers.all()}
    assert list(by_name) == ["landmark", "cnn", "ast"]
    assert by_name["landmark"].words == "knows the whole library"
    assert by_name["cnn"].words == "knows 0 of 3 tracks"
    assert by_name["ast"].words == "not installed"


def test_what_is_not_installed_says_what_it_needs_and_the_way_there(
    services: Services, worker: ToldWorker, warning_log: WarningLog
) -> None:
    warning_log.allow("AST is not installed")
    notes, pages = Notes(services), []
    services.page_requested.connect(pages.append)
    assert not services.identifiers.choose("ast")
    assert services.settings.identifier == "landmark"
    notes.wait("AST is not installed. Install its model.").run()
    assert pages == ["models"]


def test_choosing_has_the_worker_open_it(
    services: Services, worker: ToldWorker, preparing: Preparing
) -> None:
    assert worker.warmed == ["landmark"]
    worker.be_ready("landmark")
    assert services.identifiers.choose("cnn")
    assert worker.warmed == ["landmark", "cnn"]
    chosen = services.identifiers.chosen
    assert chosen is not None
    assert chosen.is_opening
    worker.be_ready("cnn")
    assert not services.identifiers.all()[1].is_opening


def test_one_that_had_nothing_to_open_is_made_ready_with_its_first_tracks(  # noqa: PLR0917
    services: Services,
    worker: ToldWorker,
    preparing: Preparing,
    paths: Paths,
    music: Path,
    offered: Offered,
) -> None:
    services.identifiers.choose("cnn")
    worker.be_ready("cnn")  # nothing is enrolled for it: nothing was opened
    until(lambda: preparing.calls)
    enrol_some(paths, music, offered, 1)
    count_again(services)
    until(lambda: worker.warmed == ["landmark", "cnn", "cnn"])
    assert services.identifiers.all()[1].is_opening
    worker.be_ready("cnn")
    count_again(services)
    assert worker.warmed == ["landmark", "cnn", "cnn"]


def test_one_that_can_not_be_opened_is_told(
    services: Services, worker: ToldWorker, warning_log: WarningLog, preparing: Preparing
) -> None:
    warning_log.allow("could not be made ready")
    notes = Notes(services)
    services.identifiers.choose("cnn")
    worker.be_ready("cnn", CatalogError("Its weights are damaged."))
    notes.wait("CNN could not be made ready. Its weights are damaged.")
    assert not services.identifiers.all()[1].is_opening
    count_again(services)
    assert worker.warmed == ["landmark", "cnn"], "not tried again and again"
    assert len(notes.texts) == 1


def test_a_model_that_is_installed_later_is_offered(
    services: Services, worker: ToldWorker, offered: Offered
) -> None:
    offered.install("ast")
    services.identifiers.look_again()
    assert services.identifiers.all()[2].info.is_installed


def test_one_that_is_gone_leaves_its_place_to_the_landmarks(
    services: Services, worker: ToldWorker, offered: Offered
) -> None:
    services.change_settings(prepare_in_background=False)
    notes = Notes(services)
    services.identifiers.choose("cnn")
    offered.infos = [each for each in offered.infos if each.name != "cnn"]
    services.identifiers.look_again()
    assert services.settings.identifier == "landmark"
    notes.wait("CNN is not installed any more. Landmark names the music now.")


# -- preparing ------------------------------------------------------------------------------------


def test_the_chosen_one_learns_the_library_by_itself(
    services: Services, worker: ToldWorker, preparing: Preparing
) -> None:
    count_again(services)
    assert preparing.calls == []
    notes = Notes(services)
    services.identifiers.choose("cnn")
    until(lambda: preparing.calls == [("cnn",)])
    assert services.identifiers.all()[1].is_preparing
    preparing.go.set()
    notes.wait("CNN knows 3 more tracks now.")
    until(lambda: not services.enrolment.is_active)


def test_one_that_knows_part_of_the_library_is_kept_up(  # noqa: PLR0917 (fixtures)
    services: Services,
    worker: ToldWorker,
    preparing: Preparing,
    paths: Paths,
    music: Path,
    offered: Offered,
) -> None:
    enrol_some(paths, music, offered)
    count_again(services)
    until(lambda: preparing.calls == [("cnn",)])


def test_what_can_not_be_prepared_is_not_tried_for_ever(
    services: Services, worker: ToldWorker, preparing: Preparing
) -> None:
    preparing.report = EnrolReport()
    preparing.go.set()
    services.identifiers.choose("cnn")
    until(lambda: preparing.ended == ["whole"])
    for _ in range(3):
        count_again(services)
    until(lambda: not services.enrolment.is_active)
    assert preparing.calls == [("cnn",)]
    services.identifiers.prepare("cnn")
    until(lambda: len(preparing.calls) == 2)


def test_who_ends_it_is_not_asked_again(
    services: Services, worker: ToldWorker, preparing: Preparing
) -> None:
    notes = Notes(services)
    services.identifiers.choose("cnn")
    until(lambda: preparing.calls)
    services.enrolment.cancel()
    go_on = notes.wait("Preparing for CNN was stopped.")
    assert services.settings.not_prepared == "cnn"
    count_again(services)
    qt.settle()
    assert preparing.calls == [("cnn",)]
    go_on.run()
    until(lambda: len(preparing.calls) == 2)
    assert services.settings.not_prepared == ""


def test_it_can_be_switched_off(
    services: Services, worker: ToldWorker, preparing: Preparing
) -> None:
    services.change_settings(prepare_in_background=False)
    services.identifiers.choose("cnn")
    count_again(services)
    assert preparing.calls == []
    services.identifiers.prepare("cnn")
    until(lambda: preparing.calls == [("cnn",)])


def test_while_another_program_writes_it_waits(
    services: Services,
    worker: ToldWorker,
    preparing: Preparing,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    notes = Notes(services)
    services.identifiers._retry.setInterval(20)
    assert module.RETRY_MS > 1000
    preparing.error = CatalogBusy("songid enroll is changing the library.")
    services.identifiers.choose("cnn")
    until(lambda: len(preparing.calls) == 2)
    assert notes.texts == []


def test_folders_come_first_and_it_goes_on_after(
    services: Services,
    worker: ToldWorker,
    preparing: Preparing,
    music: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[str] = []

    def enrol_library(_paths: Paths, roots: tuple[Path, ...], *_more: Any, **_named: Any) -> Any:
        done.append(roots[0].name)
        return EnrolReport(added=1)

    monkeypatch.setattr("songid_desktop.identify.enrolment.enrol_library", enrol_library)
    services.identifiers.choose("cnn")
    until(lambda: preparing.calls)
    services.enrolment.start([music])
    services.enrolment.start([music / "more"])
    until(lambda: len(preparing.calls) == 2)
    assert preparing.ended == ["cancelled"]
    assert done == ["music", "more"]
    assert services.settings.not_prepared == ""


def test_a_removal_need_not_wait_for_its_end(
    page: LibraryPage, services: Services, preparing: Preparing
) -> None:
    services.identifiers.choose("cnn")
    until(lambda: preparing.calls)
    page.table.go_to(0)
    page.remove_selected()
    services.enrolment.resume()
    until(lambda: titles(page) == ["Boat", "Calm"])
    until(lambda: len(preparing.calls) == 2)
    assert preparing.ended == ["cancelled"]


def test_closing_while_a_removal_waits_is_clean(
    page: LibraryPage, services: Services, preparing: Preparing
) -> None:
    services.identifiers.choose("cnn")
    until(lambda: preparing.calls)
    page.table.go_to(0)
    page.remove_selected()
    services.close()


def test_a_real_preparation_learns_every_track(
    services: Services, worker: ToldWorker, paths: Paths
) -> None:
    services.change_settings(enrol_jobs=1)
    services.identifiers.choose("cnn")
    qt.wait_until(lambda: services.counts and services.counts.enrolled.get("cnn") == 3, 60.0)
    with Catalog.open(paths) as catalog:
        assert catalog.counts().enrolled == {"landmark": 3, "cnn": 3}
    until(lambda: not services.enrolment.is_active)


def test_other_weights_make_it_pending_again(
    services: Services, worker: ToldWorker, paths: Paths, music: Path, offered: Offered
) -> None:
    services.change_settings(prepare_in_background=False)
    enrol_some(paths, music, offered, 3)
    count_again(services)
    until(lambda: services.identifiers.all()[1].enrolled == 3)
    offered.retrain()
    count_again(services)
    until(lambda: services.identifiers.all()[1].enrolled == 0)
    status = services.identifiers.all()[1]
    assert status.pending == 3
    assert status.can_prepare


# -- shown ----------------------------------------------------------------------------------------


def test_the_strip_names_what_is_prepared(
    services: Services, worker: ToldWorker, preparing: Preparing, shown: list[QWidget]
) -> None:
    strip = ProgressStrip(services.enrolment)
    shown.append(strip)
    qt.show(strip, 1000, 60)
    services.identifiers.choose("cnn")
    until(lambda: strip.headline.text() == "CNN: preparing 1 of 3")
    strip.toggle_pause()
    assert services.enrolment.state is JobState.PAUSED
    assert strip.headline.text() == "CNN: paused at 1 of 3"
    assert "preparing for CNN" in strip.cancel_button.toolTip()
    assert tree_problems(strip) == []


def test_each_has_a_column_of_signs_to_sort_by(
    page: LibraryPage, services: Services, paths: Paths, music: Path, offered: Offered
) -> None:
    services.change_settings(prepare_in_background=False)
    enrol_some(paths, music, offered, 1)
    services.catalog_changed.emit(99)
    section = len(Column) + 1
    until(lambda: page.model.index(0, section).data() == "enrolled")
    texts = [page.model.index(row, section).data() for row in range(3)]
    assert texts == ["enrolled", "pending", "pending"]
    header = page.model.headerData(section, Qt.Orientation.Horizontal)
    assert header == "CNN"
    tip = page.model.index(1, section).data(Qt.ItemDataRole.ToolTipRole)
    assert "CNN: pending" in tip
    page.sort_by(section)
    page.sort_by(section)
    until(lambda: titles(page) == ["Boat", "Calm", "Aqua"])
    assert not page.grab().isNull()


def test_filters_mean_the_chosen_one_or_another(
    page: LibraryPage, services: Services, paths: Paths, music: Path, offered: Offered
) -> None:
    services.change_settings(prepare_in_background=False)
    enrol_some(paths, music, offered, 1)
    services.catalog_changed.emit(99)
    page.filters.choose(Filter.PENDING)
    until(lambda: page.model.view is not None and page.model.view.only is Filter.PENDING)
    assert titles(page) == []
    services.identifiers.choose("cnn")
    until(lambda: titles(page) == ["Boat", "Calm"])
    assert page.filters.button(Filter.PENDING).text() == "Pending  2"
    assert "1 enrolled for CNN" in page.foot.counts.text()
    page.filters.identifier_chosen.emit("landmark")
    until(lambda: titles(page) == [])
    page.filters.identifier_chosen.emit("")
    until(lambda: titles(page) == ["Boat", "Calm"])


def test_a_narrow_table_keeps_the_chosen_ones_column(page: LibraryPage, services: Services) -> None:
    services.change_settings(prepare_in_background=False)
    services.identifiers.choose("cnn")
    landmark, cnn = len(Column), len(Column) + 1
    until(lambda: not page.table.isColumnHidden(cnn))
    assert not page.table.isColumnHidden(landmark)
    page.resize(480, 640)
    qt.settle()
    assert page.table.isColumnHidden(landmark)
    assert not page.table.isColumnHidden(cnn)


def test_the_library_offers_to_prepare(
    page: LibraryPage, services: Services, preparing: Preparing
) -> None:
    services.change_settings(prepare_in_background=False)
    bar = page.head.preparation
    assert not bar.isVisible()
    services.identifiers.choose("cnn")
    until(bar.isVisible)
    assert bar.words.text() == "CNN does not know your library yet."
    assert tree_problems(page) == []
    bar.button.click()
    until(lambda: preparing.calls == [("cnn",)])
    assert not bar.isVisible()


def test_the_window_of_identifiers_prepares_and_stops(
    page: LibraryPage, services: Services, preparing: Preparing
) -> None:
    pages: list[str] = []
    services.page_requested.connect(pages.append)
    page.filters.identifiers_button.click()
    dialog = page._identifiers_dialog
    assert dialog is not None
    assert tree_problems(dialog) == []
    assert [card.button.text() for card in dialog.cards.values()] == ["", "Prepare", "Models…"]
    dialog.cards["cnn"].button.click()
    until(lambda: preparing.calls == [("cnn",)])
    until(lambda: dialog.cards["cnn"].button.text() == "Stop")
    dialog.cards["cnn"].button.click()
    until(lambda: dialog.cards["cnn"].button.text() == "Prepare")
    assert services.settings.not_prepared == "cnn"
    dialog.cards["ast"].button.click()
    assert pages == ["models"]


# -- listening ------------------------------------------------------------------------------------


def test_listening_says_what_is_being_made_ready(desk: Desk, preparing: Preparing) -> None:
    desk.worker.be_ready("landmark")
    desk.page.foot._timer.setInterval(0)
    desk.services.identifiers.choose("cnn")
    heard = desk.page.heard_label
    qt.wait_until(lambda: heard.text() == "Getting CNN ready…")
    desk.listen(1.0)
    qt.wait_until(lambda: "getting CNN ready" in desk.words.line)
    desk.worker.be_ready("cnn")
    qt.wait_until(lambda: "ready" not in heard.text())


def test_an_identifier_that_knows_nothing_offers_to_learn(desk: Desk, preparing: Preparing) -> None:
    desk.services.change_settings(prepare_in_background=False)
    desk.services.identifiers.choose("cnn")
    qt.wait_until(lambda: desk.words.action is Action.PREPARE)
    assert desk.words.heading == "CNN does not know your library yet"
    desk.listen(1.0)
    desk.look(Identification(Verdict.EMPTY_CATALOG, "cnn"), 1.1)
    assert desk.words.action is Action.PREPARE
    desk.page._do(Action.PREPARE)
    qt.wait_until(lambda: preparing.calls == [("cnn",)])


def test_a_chosen_one_whose_model_went_says_so(desk: Desk, offered: Offered) -> None:
    desk.services.change_settings(prepare_in_background=False)
    desk.services.identifiers.choose("cnn")
    offered.install("cnn", is_installed=False)
    desk.services.identifiers.look_again()
    qt.wait_until(lambda: desk.words.action is Action.MODELS)
    assert desk.words.heading == "CNN is not installed"


def test_the_next_look_asks_the_newly_chosen_one(desk: Desk, preparing: Preparing) -> None:
    desk.listen(2.1)
    qt.wait_until(lambda: desk.worker.requests)
    assert desk.worker.requests[-1].identifier == "landmark"
    desk.services.identifiers.choose("cnn")
    desk.hear(0.6)
    qt.wait_until(lambda: desk.worker.requests[-1].identifier == "cnn")


def test_new_music_is_learnt_by_the_landmarks_first(  # noqa: PLR0917 (fixtures)
    page: LibraryPage,
    services: Services,
    preparing: Preparing,
    paths: Paths,
    music: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[str, ...]] = []

    def enrol_library(_paths: Paths, roots: Any, names: tuple[str, ...], **_more: Any) -> Any:
        asked.append(names)
        return enrol_here(paths, *roots, fingerprinters=(as_landmark(),))

    monkeypatch.setattr("songid_desktop.identify.enrolment.enrol_library", enrol_library)
    services.identifiers.choose("cnn")
    until(lambda: preparing.calls)
    write_song(music / "Drum.wav", 9)
    preparing.go.set()
    page.add_paths([music])
    until(lambda: asked == [("landmark",)])
    services.catalog_changed.emit(99)
    until(lambda: services.counts is not None and services.counts.tracks == 4)
    until(lambda: len(preparing.calls) >= 2 and not services.enrolment.is_active)
