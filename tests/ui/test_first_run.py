"""The first run: three steps that can all be skipped, and what each of them does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QWidget

from songid_desktop.audio.ring import Ring
from songid_desktop.audio.status import CaptureState, CaptureStatus
from songid_desktop.errors import DeviceError
from songid_desktop.types import Source, SourceKind
from songid_desktop.ui import first_run_hear, first_run_music
from songid_desktop.ui.first_run import FirstRunPage
from songid_desktop.ui.services import Services
from tests.support import qt
from tests.support.catalog import write_song
from tests.support.guards import WarningLog
from tests.support.library_window import tree_problems, until

Opened = Callable[[], FirstRunPage]
SOURCES = (
    Source("mic", "Laptop microphone", SourceKind.MICROPHONE, is_default=True),
    Source("mon", "Speakers", SourceKind.MONITOR),
)


class FakeCapture:
    """A microphone that the test speaks into."""

    def __init__(self) -> None:
        self.ring = Ring(48_000, 5.0)
        self.started: list[str] = []
        self.stopped = 0
        self.status = CaptureStatus(CaptureState.RUNNING, "", None, 48_000, "", 0, 0.0)

    def start(self, name: str = "") -> None:
        self.started.append(name)

    def stop(self) -> None:
        self.stopped += 1

    def close(self) -> None:
        self.stopped += 1

    def speak(self, level: float) -> None:
        time_s = np.arange(4800) / 48_000
        self.ring.write((level * np.sin(2 * np.pi * 440 * time_s)).astype(np.float32))


@pytest.fixture
def capture(services: Services, monkeypatch: pytest.MonkeyPatch) -> FakeCapture:
    made = FakeCapture()
    monkeypatch.setattr("songid_desktop.audio.devices.list_sources", lambda: SOURCES)
    services._capture = made  # type: ignore[assignment]
    services.is_prepared = True
    return made


@pytest.fixture
def music(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "Music"
    folder.mkdir()
    monkeypatch.setattr(first_run_music, "music_folder", lambda: folder)
    return folder


@pytest.fixture
def opened(services: Services, shown: list[QWidget], music: Path) -> Opened:
    def open_page() -> FirstRunPage:
        services.change_settings(first_run_done=False)
        page = FirstRunPage(services)
        shown.append(page)
        qt.show(page, 820, 520)
        return page

    return open_page


def test_everything_can_be_skipped_and_is_not_asked_again(
    opened: Opened, services: Services
) -> None:
    page = opened()
    ended: list[int] = []
    page.finished.connect(lambda: ended.append(1))
    for number in range(3):
        assert page.number == number
        assert tree_problems(page) == []
        page.next_button.click()
    assert ended == [1]
    assert services.settings.first_run_done


def test_escape_skips_all_at_once(opened: Opened, services: Services) -> None:
    page = opened()
    QTest.keyClick(page, Qt.Key.Key_Escape)
    QTest.keyClick(page, Qt.Key.Key_Escape)
    assert services.settings.first_run_done


def test_back_and_forth(opened: Opened) -> None:
    page = opened()
    assert not page.back_button.isVisible()
    page.go_on()
    page.go_back()
    assert page.number == 0
    assert "1 of 3" in page.signs.accessibleName()


# -- hear -----------------------------------------------------------------------------------------


def test_the_meter_moves_and_says_so(opened: Opened, capture: FakeCapture) -> None:
    page = opened()
    assert capture.started == [""]
    assert page.next_button.text() == "Skip"
    until(lambda: capture.speak(0.2) or page.hear.is_satisfied)
    assert "hears" in page.hear.words.text()
    assert page.hear.meter.shown_dbfs > -40
    assert page.next_button.text() == "Next"


def test_the_microphone_is_closed_with_the_step(opened: Opened, capture: FakeCapture) -> None:
    page = opened()
    page.go_on()
    assert capture.stopped == 1
    page.go_back()
    assert len(capture.started) == 2
    page.hide()
    assert capture.stopped == 2


@pytest.mark.parametrize(("level", "words"), [(0.0, "muted"), (0.0005, "very quiet")])
def test_silence_is_explained(
    opened: Opened,
    capture: FakeCapture,
    monkeypatch: pytest.MonkeyPatch,
    level: float,
    words: str,
) -> None:
    monkeypatch.setattr(first_run_hear, "PATIENCE_S", 0.1)
    page = opened()
    until(lambda: capture.speak(level) or words in page.hear.words.text())
    assert not page.hear.is_satisfied


def test_another_source_is_chosen_and_remembered(
    opened: Opened, services: Services, capture: FakeCapture
) -> None:
    page = opened()
    until(lambda: len(page.hear.source.menu_actions) > 2)
    labels = [action.text() for action in page.hear.source.menu_actions]
    assert "Laptop microphone" in labels
    page.hear.source.chosen.emit("mon")
    assert services.settings.source == "mon"
    assert capture.started[-1] == "mon"


def test_no_source_at_all_is_a_sentence(
    opened: Opened, capture: FakeCapture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise DeviceError("No sound server is running.")

    monkeypatch.setattr("songid_desktop.audio.devices.list_sources", fail)
    page = opened()
    until(lambda: "No sound server" in page.hear.words.text())


# -- music ----------------------------------------------------------------------------------------


def test_the_music_folder_is_proposed_with_a_count_and_enrolled(
    opened: Opened, services: Services, music: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(services.enrolment, "start", lambda roots, *_more: asked.append(roots))
    for number in range(3):
        write_song(music / "deep" / f"{number}.wav", number)
    (music / "notes.txt").write_text("no music")
    page = opened()
    page.go_on()
    until(lambda: page.music.count is not None)
    assert page.music.count_label.text().startswith("3 audio files; takes roughly")
    QTest.keyClick(page, Qt.Key.Key_Return)
    assert asked == [[music]]
    assert page.number == 2


def test_an_empty_folder_is_not_added_by_enter(
    opened: Opened, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(services.enrolment, "start", lambda *args: asked.append(args))
    page = opened()
    page.go_on()
    until(lambda: page.music.count is not None)
    assert page.music.count_label.text() == "No audio files in it."
    assert not page.music.add_button.isEnabled()
    QTest.keyClick(page, Qt.Key.Key_Return)
    assert asked == []
    assert page.number == 2


def test_a_system_without_a_music_folder(
    services: Services, shown: list[QWidget], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_run_music, "music_folder", lambda: None)
    page = FirstRunPage(services)
    shown.append(page)
    qt.show(page)
    page.go_on()
    assert not page.music.add_button.isVisible()
    assert page.music.other_button.isVisible()


def test_counting_stops_when_asked(tmp_path: Path) -> None:
    from songid_desktop.errors import Cancelled

    write_song(tmp_path / "a.wav", 1)
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        first_run_music.count_music(tmp_path, cancel)


def test_a_large_number_is_said_as_such() -> None:
    many = first_run_music.FolderCount(Path("m"), 50_000, is_more=True)
    words = first_run_music.count_words(many, 2)
    assert words.startswith("More than 50,000 audio files; takes roughly 17 hours")


# -- try ------------------------------------------------------------------------------------------


def test_the_demo_is_made_then_handed_to_the_listen_page(
    opened: Opened, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    enrolment = services.enrolment
    monkeypatch.setattr(enrolment, "start_demo", lambda: None)
    page = opened()
    order: list[object] = []
    page.finished.connect(lambda: order.append("finished"))
    page.demo_requested.connect(order.append)
    page.go_on()
    page.go_on()
    began = time.monotonic()
    QTest.keyClick(page, Qt.Key.Key_Return)
    assert not page.try_out.start_button.isEnabled()
    enrolment.demo_finished.emit()
    assert order == ["finished", services.paths.demo_tunes]
    assert services.settings.first_run_done
    assert time.monotonic() - began < 5


def test_a_demo_that_fails_can_be_tried_again(
    opened: Opened,
    services: Services,
    monkeypatch: pytest.MonkeyPatch,
    warning_log: WarningLog,
) -> None:
    warning_log.allow("disk is full")
    monkeypatch.setattr(services.enrolment, "start_demo", lambda: None)
    page = opened()
    page.go_on()
    page.go_on()
    page.try_out.start()
    services.enrolment.failed.emit("The disk is full.")
    assert "disk is full" in page.try_out.words.text()
    assert page.try_out.start_button.isEnabled()
