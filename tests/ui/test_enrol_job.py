"""The window's enrolment: one at a time, followed, paused, ended, and told about."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtWidgets import QWidget

from songid_desktop.catalog.catalog import Catalog
from songid_desktop.catalog.records import EnrolProgress, EnrolReport, ProblemFile
from songid_desktop.errors import Cancelled, CatalogBusy
from songid_desktop.paths import Paths
from songid_desktop.types import FileProblem
from songid_desktop.ui import enrol_notes
from songid_desktop.ui.enrol_job import EnrolJob, JobState
from songid_desktop.ui.enrol_request import describe_failure
from songid_desktop.ui.library_head import progress_words
from songid_desktop.ui.progress_strip import ProgressStrip
from songid_desktop.ui.services import Services
from tests.support import qt
from tests.support.catalog import write_song
from tests.support.guards import WarningLog
from tests.support.library_window import Notes, tree_problems, until


class Played:
    """Stands for `enrol_library`: does what the test says, when it says so."""

    def __init__(self) -> None:
        self.calls: list[tuple[Path, ...]] = []
        self.go = threading.Event()
        self.error: Exception | None = None
        self.seen: list[str] = []
        self.report = EnrolReport(added=3)

    def __call__(
        self,
        _paths: Paths,
        roots: tuple[Path, ...],
        _identifiers: tuple[str, ...],
        *,
        progress: Callable[[EnrolProgress], None],
        cancel: threading.Event,
        pause: threading.Event,
        **_more: Any,
    ) -> EnrolReport:
        self.calls.append(tuple(roots))
        progress(EnrolProgress("enrolling", 312, 1204, 300, 2, 182.0, 170.0, "a/b/song.mp3"))
        while not self.go.wait(0.005):
            if cancel.is_set():
                return EnrolReport(added=1, was_cancelled=True)
            self.seen.append("paused" if pause.is_set() else "running")
        if self.error is not None:
            raise self.error
        return self.report


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Played:
    made = Played()
    monkeypatch.setattr("songid_desktop.identify.enrolment.enrol_library", made)
    return made


@pytest.fixture
def job(paths: Paths, qt_guard: list[str]) -> Iterator[EnrolJob]:
    made = EnrolJob(paths)
    yield made
    made.close()
    qt.settle()
    made.deleteLater()


def wait_idle(job: EnrolJob) -> None:
    until(lambda: job.state is JobState.IDLE)


def test_progress_and_report_arrive(job: EnrolJob, played: Played) -> None:
    reports: list[EnrolReport] = []
    job.finished.connect(reports.append)
    job.start([Path("music")])
    assert job.state is JobState.RUNNING
    until(lambda: job.progress is not None)
    assert job.progress is not None
    assert job.progress.done == 312
    played.go.set()
    wait_idle(job)
    assert reports == [played.report]


def test_requests_wait_their_turn_and_are_not_doubled(job: EnrolJob, played: Played) -> None:
    for name in ("one", "two", "two", "one", "three"):
        job.start([Path(name)])
    assert job.queued == 2
    played.go.set()
    until(lambda: len(played.calls) == 3)
    wait_idle(job)
    assert played.calls == [(Path("one"),), (Path("two"),), (Path("three"),)]


def test_pause_and_resume_reach_the_worker(job: EnrolJob, played: Played) -> None:
    job.start([Path("music")])
    until(lambda: "running" in played.seen)
    job.pause()
    assert job.state is JobState.PAUSED
    until(lambda: played.seen[-1] == "paused")
    job.resume()
    assert job.state is JobState.RUNNING
    until(lambda: played.seen[-1] == "running")


def test_cancel_ends_what_runs_and_what_waits(job: EnrolJob, played: Played) -> None:
    job.start([Path("one")])
    job.start([Path("two")])
    until(lambda: played.seen)
    job.pause()
    job.cancel()
    assert job.state is JobState.CANCELLING
    wait_idle(job)
    assert played.calls == [(Path("one"),)]


def test_a_refusal_is_a_sentence_and_can_be_tried_again(job: EnrolJob, played: Played) -> None:
    said: list[str] = []
    job.failed.connect(said.append)
    played.error = CatalogBusy("songid enroll (process 7) is changing the library.")
    played.go.set()
    job.start([Path("music")])
    wait_idle(job)
    until(lambda: said)
    assert said == ["songid enroll (process 7) is changing the library."]
    assert job.can_retry
    played.error = None
    job.retry()
    until(lambda: len(played.calls) == 2)
    wait_idle(job)
    assert not job.can_retry


def test_cancelled_is_no_failure(job: EnrolJob, played: Played) -> None:
    said: list[str] = []
    job.failed.connect(said.append)
    played.error = Cancelled()
    played.go.set()
    job.start([Path("music")])
    wait_idle(job)
    assert said == []


def test_a_full_disk_is_told_without_class_names(warning_log: WarningLog) -> None:
    warning_log.allow("The enrolment failed")
    text = describe_failure(OSError(28, "No space left on device"))
    assert "No space left on device" in text
    assert "kept" in text
    assert "Error" not in text
    assert "fault" in describe_failure(KeyError("x"))


def test_the_demo_goes_first_and_the_folder_after(
    job: EnrolJob, played: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []

    def install(_paths: Paths, **_more: Any) -> EnrolReport:
        order.append("demo")
        return EnrolReport(added=8)

    monkeypatch.setattr("songid_desktop.evaluate.demo.install_demo_tunes", install)
    job.demo_finished.connect(lambda: order.append("told"))
    job.start([Path("music")])
    until(lambda: played.seen)
    job.start_demo()
    until(lambda: len(played.calls) == 2)
    assert order == ["demo", "told"]
    assert job.state is JobState.RUNNING
    played.go.set()
    wait_idle(job)


def test_closing_ends_the_thread(paths: Paths, played: Played, qt_guard: list[str]) -> None:
    made = EnrolJob(paths)
    made.start([Path("music")])
    until(lambda: played.seen)
    made.close()
    assert not any(thread.name == "enrolment" for thread in threading.enumerate())
    made.start([Path("other")])
    assert played.calls == [(Path("music"),)]
    qt.settle()
    made.deleteLater()


# -- the strip ------------------------------------------------------------------------------------


@pytest.fixture
def strip(job: EnrolJob, shown: list[QWidget]) -> ProgressStrip:
    host = QWidget()
    shown.append(host)
    made = ProgressStrip(job, host)
    qt.show(host, 1100, 60)
    made.setFixedWidth(1100)
    return made


def test_the_strip_is_there_only_while_something_runs(
    strip: ProgressStrip, job: EnrolJob, played: Played
) -> None:
    assert not strip.isVisible()
    job.start([Path("music")])
    until(lambda: "312" in strip.headline.text())
    assert strip.isVisible()
    assert strip.headline.text() == "Enrolling 312 of 1,204"
    assert "about 3 min left" in strip.numbers.text()
    assert "182 × real time" in strip.numbers.text()
    assert "2 files with a problem" in strip.numbers.text()
    assert strip.file_name.text() == "song.mp3"
    assert tree_problems(strip) == []
    played.go.set()
    wait_idle(job)
    until(lambda: not strip.isVisible())


def test_the_strips_buttons_pause_resume_and_cancel(
    strip: ProgressStrip, job: EnrolJob, played: Played
) -> None:
    job.start([Path("music")])
    until(lambda: "312" in strip.headline.text())
    strip.pause_button.click()
    assert strip.headline.text().startswith("Paused")
    assert strip.pause_button.text() == "Resume"
    strip.pause_button.click()
    assert strip.pause_button.text() == "Pause"
    strip.cancel_button.click()
    assert strip.headline.text() == "Ending…"
    assert not strip.cancel_button.isEnabled()
    wait_idle(job)


def test_the_strip_keeps_a_failure_until_it_is_closed_or_tried_again(
    strip: ProgressStrip, job: EnrolJob, played: Played
) -> None:
    played.error = CatalogBusy("songid enroll (process 7) is changing the library.")
    played.go.set()
    job.start([Path("music")])
    until(lambda: "process 7" in strip.trouble.text())
    assert strip.isVisible()
    played.error = None
    strip.pause_button.click()
    wait_idle(job)
    until(lambda: not strip.isVisible())
    assert len(played.calls) == 2


def test_a_long_failure_is_said_whole(strip: ProgressStrip, job: EnrolJob, played: Played) -> None:
    played.error = CatalogBusy("The disk that holds the library is full. " * 8)
    played.go.set()
    job.start([Path("music")])
    until(strip.trouble.isVisible)
    one_line = strip.fontMetrics().height()
    for width in (1100, 700):
        strip.setFixedWidth(width)
        qt.settle()
        needed = strip.trouble.heightForWidth(strip.trouble.width())
        assert one_line < needed <= strip.height()


# -- the note at the end --------------------------------------------------------------------------


def problem(name: str) -> ProblemFile:
    return ProblemFile(Path(name), FileProblem.EMPTY, "The file is empty.")


def test_the_foot_of_the_library_knows_that_it_is_paused() -> None:
    progress = EnrolProgress("enrolling", 30, 37, 30, 0, 80.0, 5.0, "a.ogg")
    assert progress_words(progress) == "Enrolling 30 of 37, a few seconds left"
    assert progress_words(progress, is_paused=True) == "Paused at 30 of 37"


@pytest.mark.parametrize(
    ("report", "text"),
    [
        (
            EnrolReport(added=1204, failed=(problem("a"), problem("b"), problem("c"))),
            "1,204 tracks added, 3 files could not be read.",
        ),
        (EnrolReport(added=1), "1 track added."),
        (EnrolReport(unchanged=7), "Nothing new in 7 files."),
        (EnrolReport(), "No music was found there."),
        (
            EnrolReport(moved=2, missing=1),
            "2 tracks found at a new place, 1 file missing.",
        ),
        (
            EnrolReport(added=2, was_cancelled=True),
            "Enrolment ended early: 2 tracks added. A rescan (F5) goes on where it stopped.",
        ),
    ],
)
def test_the_end_in_one_line(report: EnrolReport, text: str) -> None:
    assert enrol_notes.summary(report) == text


def test_an_unplugged_drive_is_named() -> None:
    text = enrol_notes.summary(EnrolReport(missing_roots=(Path("/media/stick"),)))
    assert "stick" in text
    assert "nothing was removed" in text


def test_the_note_leads_to_the_problems(
    services: Services, played: Played, warning_log: WarningLog
) -> None:
    warning_log.allow("could not be read")
    enrol_notes.install(services)
    assert enrol_notes.install(services) is enrol_notes.install(services)
    notes = Notes(services)
    pages: list[str] = []
    services.page_requested.connect(pages.append)
    played.report = EnrolReport(added=1, failed=(problem("a"),))
    played.go.set()
    services.enrolment.start([Path("music")])
    notes.wait("could not be read").run()
    assert pages == ["library"]


def test_the_demo_leads_to_a_tune_being_recognised(services: Services) -> None:
    services.paths.demo_tunes.mkdir(parents=True)
    tune = services.paths.demo_tunes / "01 Tune.flac"
    tune.write_bytes(b"")
    asked: list[object] = []
    services.files_requested.connect(asked.append)
    enrol_notes.install(services)
    notes = Notes(services)
    services.enrolment.demo_finished.emit()
    services.enrolment.finished.emit(EnrolReport(added=8))
    assert notes.texts == ["The demo tunes are in your library."]
    notes.actions[0].run()
    assert asked == [[tune]]
    services.enrolment.finished.emit(EnrolReport(added=1))
    assert notes.texts[-1] == "1 track added."


# -- the real thing -------------------------------------------------------------------------------


@pytest.mark.slow
def test_cancelling_a_real_enrolment_is_quick(
    job: EnrolJob, paths: Paths, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """The claim is 200 ms on an idle machine; the limit, and the second and third try, leave room
    for a busy one."""
    for number in range(12):
        write_song(tmp_path / "music" / f"{number}.wav", number, seconds=240.0)
    waits_s = []
    for _ in range(3):
        job.start([tmp_path / "music"], jobs=1)
        until(lambda: job.progress is not None and job.progress.phase == "enrolling")
        began = time.monotonic()
        job.cancel()
        wait_idle(job)
        waits_s.append(time.monotonic() - began)
        if waits_s[-1] < 1.0:
            break
    record_property("cancel_to_idle_s", waits_s[-1])
    print("cancel to idle:", ", ".join(f"{wait_s * 1000:.0f} ms" for wait_s in waits_s))
    assert waits_s[-1] < 1.0
    with Catalog.open(paths) as catalog:
        assert catalog.track_count() < 12
