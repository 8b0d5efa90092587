"""The Listen page: from the button to the answer, the history and the way back when a device
goes."""

from __future__ import annotations

import time

import pytest
from mutagen.flac import FLAC
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFileDialog, QToolButton

from songid_desktop.audio.capture import CaptureState
from songid_desktop.catalog.catalog import Catalog
from songid_desktop.catalog.history import History
from songid_desktop.errors import CatalogDamaged
from songid_desktop.types import AudioBlock, Reason, Source, SourceKind, Verdict
from songid_desktop.ui import folder_choice, source_choice
from songid_desktop.ui.answer_words import Action
from songid_desktop.ui.listen import ListenPage
from songid_desktop.ui.listen_control import ListenState
from tests.support import qt
from tests.support.catalog import CheckSum, enrol_here, write_song
from tests.support.library_window import tree_problems
from tests.support.listening import MICROPHONE, RATE, found, install

LONG_TITLE = "とても長い題名の曲 " + "A title that goes on and on " * 4


class Desk:
    """The page with told machinery and a library of three tracks."""

    def __init__(self, services, shown):
        self.services = services
        self.page = ListenPage(services)
        shown.append(self.page)
        qt.show(self.page, 1000, 700)
        self.capture, self.worker, self.player = install(services)
        self.notes = []
        services.notified.connect(lambda text, _action, kind: self.notes.append((kind, text)))
        qt.wait_until(lambda: services.is_counted)

    def listen(self, heard_s=2.1):
        self.page.button.click()
        self.hear(heard_s)

    def hear(self, seconds):
        """Sound, and the ticks in which the page takes it."""
        self.capture.hear(seconds)
        end = self.capture.ring.position
        qt.wait_until(lambda: self.page.control._position == end, what="drained")

    def look(self, identification, heard_s=2.1):
        """One whole look."""
        before = len(self.worker.requests)
        self.hear(heard_s)
        qt.wait_until(lambda: len(self.worker.requests) > before, what="a look")
        self.worker.answer(identification)
        qt.settle()

    @property
    def words(self):
        return self.page.answer.words

    def rows(self):
        """The history, once everything on its way has arrived."""
        flushed = []
        self.services.jobs.run(lambda: None, lane="history").finished.connect(
            lambda: flushed.append(1)
        )
        qt.wait_until(lambda: flushed)
        with Catalog.open(self.services.paths) as catalog:
            return History(catalog).search()


@pytest.fixture
def library(paths, tmp_path):
    folder = tmp_path / "music"
    songs = []
    names = [("First Song", "Anna"), (LONG_TITLE.strip(), "日本の歌手"), ("Third", "Carl")]
    for number, (title, artist) in enumerate(names):
        songs.append(write_song(folder / f"{number}.flac", number, 3.0))
        tags = FLAC(songs[-1])
        tags["title"], tags["artist"] = title, artist
        tags.save()
    enrol_here(paths, folder, fingerprinters=[CheckSum(name="landmark")], jobs=1)
    return songs


@pytest.fixture
def desk(services, shown, library):
    made = Desk(services, shown)
    yield made
    made.page.stop()


def press(page, key):
    return page.listen_key(QKeyEvent(QEvent.Type.KeyPress, key, Qt.KeyboardModifier.NoModifier))


class TestListening:
    def test_from_the_button_to_the_answer(self, desk):
        assert desk.page.button.look == "idle"
        desk.page.button.click()
        assert desk.capture.is_open
        desk.hear(1.0)
        assert desk.page.control.state is ListenState.LISTENING
        assert desk.page.button.look == "listening"
        qt.wait_until(lambda: desk.words.line.startswith("heard 1."))
        assert desk.words.line.endswith("first guess at 2 s")
        desk.look(found(), 1.1)
        answer = desk.page.answer
        qt.wait_until(lambda: answer.track is not None)
        assert (desk.words.heading, desk.words.number) == ("Almost certain", "98 %")
        assert answer.title.text() == "First Song"
        assert answer.artist.text() == "Anna"
        assert desk.words.line == "14 of about 20 aligned hashes"
        assert not desk.capture.is_open
        assert desk.page.button.look == "idle"
        assert desk.page.spectrogram._picture.mark_counts[1:] == (2, 1)

    def test_the_place_in_the_track_goes_on(self, desk):
        begun = time.time()
        desk.listen(1.0)
        desk.look(found(offset_s=1.0), 1.1)
        answer = desk.page.answer
        qt.wait_until(lambda: answer.track is not None)
        # The offset of the clip's start, the 2.1 s heard, and what went by since.
        assert 3.0 < answer.place.now() < 3.3 + time.time() - begun
        first = answer.place.now()
        qt.wait_until(lambda: answer.place.now() > first + 0.2)
        assert answer.now.toolTip().endswith("to within 0.02 s")

    def test_ranked_candidates_in_one_scale(self, desk):
        desk.listen(1.0)
        desk.look(found(Verdict.UNSURE, (0.6, 0.2, 0.05)), 1.1)
        rows = desk.page.answer.candidates
        qt.wait_until(lambda: rows.rows)
        assert desk.words.heading == "Maybe"
        assert [row.rank for row in rows.rows] == [2, 3]
        assert rows.rows[0].title == LONG_TITLE.strip()
        assert not rows.is_sliding or rows.isVisible()
        desk.look(found(Verdict.UNSURE, (0.5, 0.3, 0.1), track_ids=lambda r: [0, 1, 3, 2][r]), 0.5)
        qt.wait_until(lambda: [row.track_id for row in rows.rows] == [3, 2])
        qt.wait_until(lambda: not rows.is_sliding)
        grabbed = desk.page.grab()
        assert not grabbed.isNull()

    def test_space_and_escape(self, desk):
        assert press(desk.page, Qt.Key.Key_Space)
        assert desk.page.control.is_active
        assert press(desk.page, Qt.Key.Key_Escape)
        assert not desk.page.control.is_active
        assert not press(desk.page, Qt.Key.Key_Escape)
        desk.page.button.setFocus()
        QTest.keyClick(desk.page.button, Qt.Key.Key_Space)
        assert desk.page.control.is_active

    def test_stale_answers_are_dropped(self, desk):
        desk.listen(2.1)
        qt.wait_until(lambda: desk.worker.requests)
        old = desk.worker.requests[-1]
        desk.page.button.click()
        desk.worker.answer(found(), request=old)
        qt.settle()
        assert desk.page.answer.track is None
        desk.page.button.click()
        desk.worker.answer(found(), request=old)
        qt.settle()
        assert desk.page.answer.track is None

    def test_listening_before_everything_is_loaded_waits_for_it(self, services, shown):
        page = ListenPage(services)
        shown.append(page)
        qt.show(page, 1000, 700)
        page.button.click()
        assert page.control.state is ListenState.STARTING
        capture, _worker, _player = install(services)
        assert capture.started == [""]
        page.stop()
        assert not capture.is_open

    def test_taken_back_before_everything_is_loaded_it_is_idle_again(self, services, shown):
        page = ListenPage(services)
        shown.append(page)
        qt.show(page, 1000, 700)
        page.button.click()
        page.button.click()
        assert page.control.state is ListenState.IDLE
        assert page.answer.words.is_idle

    def test_what_cannot_be_loaded_ends_the_wait(
        self, services, shown, warning_log, monkeypatch, tmp_path
    ):
        def fail():
            raise ImportError("libportaudio is gone")

        warning_log.allow("Listening is not possible")
        monkeypatch.setattr("songid_desktop.ui.services._import_machinery", fail)
        page = ListenPage(services)
        shown.append(page)
        qt.show(page, 1000, 700)
        for begin in (page.toggle, lambda: page.identify_files([tmp_path / "a.mp3"])):
            begin()
            assert page.control.state is not ListenState.IDLE
            services.prepare()
            qt.wait_until(lambda: page.control.state is ListenState.IDLE)
            assert page.answer.words.is_idle

    def test_frames_stop_when_nobody_listens_or_looks(self, desk):
        timer = desk.page.control._timer
        assert not timer.isActive()
        desk.listen(0.5)
        assert timer.isActive()
        assert timer.interval() == 16
        desk.page.hide()
        assert timer.interval() == 100
        desk.page.show()
        desk.page.button.click()
        assert not timer.isActive()

    def test_a_failing_identification_says_so_and_stops(self, desk, warning_log):
        warning_log.allow("index is damaged")
        desk.listen(2.1)
        qt.wait_until(lambda: desk.worker.requests)
        desk.worker.answer(error=CatalogDamaged("The index is damaged."))
        qt.settle()
        assert desk.words.heading == "That did not work"
        assert not desk.capture.is_open

    def test_a_bug_is_not_read_out(self, desk, warning_log):
        warning_log.allow("could not be identified")
        desk.listen(2.1)
        qt.wait_until(lambda: desk.worker.requests)
        desk.worker.answer(error=ValueError("zip() argument 2 is longer than argument 1"))
        qt.settle()
        assert desk.words.heading == "That did not work"
        assert "zip" not in desk.words.line
        assert str(desk.services.paths.log) in desk.notes[-1][1]


class TestVerdicts:
    @pytest.mark.parametrize(
        ("identification", "heading"),
        [
            (
                found(Verdict.NO_SIGNAL, (), reason=Reason.EXACT_ZEROS),
                "The microphone sends nothing",
            ),
            (found(Verdict.NO_SIGNAL, (), reason=Reason.TOO_QUIET), "Too quiet"),
            (found(Verdict.EMPTY_CATALOG, ()), "Your library is empty"),
            (found(Verdict.NO_MATCH, (), reason=Reason.NO_MUSIC), "No music heard"),
        ],
    )
    def test_each_is_shown_with_one_action(self, desk, identification, heading):
        desk.listen(1.0)
        desk.look(identification, 1.1)
        assert desk.words.heading == heading
        shown_buttons = [b for b in desk.page.answer.action_buttons if b.isVisible()]
        assert len(shown_buttons) == (
            2 if heading == "Your library is empty" and desk.words.second_action else 1
        )
        assert all(b.toolTip() for b in shown_buttons)
        desk.page.button.click()
        assert desk.words.heading == heading  # stopping does not wipe what was found out

    def test_a_miss_becomes_final_when_listening_is_stopped(self, desk):
        desk.listen(1.0)
        desk.look(found(Verdict.NO_MATCH, (0.02,), reason=Reason.NOT_SIMILAR), 1.1)
        assert desk.words.heading == "Listening…"
        assert [row.rank for row in desk.page.answer.candidates.rows] in ([], [1])
        desk.page.button.click()
        assert desk.words.heading == "Not in your library"
        assert desk.words.action is Action.KEEP_CLIP


class TestContinuous:
    def test_it_goes_on_after_a_match_and_writes_one_row(self, desk):
        begun = time.time()
        # Sound comes faster than time here, and the log of plays is about time.
        desk.page.control.clock = lambda: begun + desk.capture.ring.position / RATE
        desk.page.continuous.setChecked(True)
        assert desk.services.settings.continuous
        desk.listen(1.0)
        desk.look(found(offset_s=1.5), 1.1)
        assert desk.capture.is_open
        for _ in range(3):
            desk.look(found(offset_s=1.5), 0.5)
        desk.page.button.click()
        qt.wait_until(desk.rows, what="a row of the history")
        assert [(row.title, row.source) for row in desk.rows()] == [
            ("First Song", MICROPHONE.description)
        ]

    def test_a_miss_between_two_good_looks_takes_nothing_away(self, desk):
        desk.page.continuous.setChecked(True)
        desk.listen(1.0)
        desk.look(found(), 1.1)
        qt.wait_until(lambda: desk.page.answer.track is not None)
        desk.look(found(Verdict.NO_MATCH, (), reason=Reason.NOT_SIMILAR), 0.5)
        assert desk.words.heading == "Almost certain"

    def test_behind_another_page_each_play_is_told_once(self, desk):
        desk.page.continuous.setChecked(True)
        desk.listen(1.0)
        desk.page.hide()
        for _ in range(3):
            desk.look(found(), 1.1)
        qt.wait_until(lambda: desk.notes)
        desk.look(found(track_ids=lambda _rank: 3), 0.6)
        qt.wait_until(lambda: len(desk.notes) == 2)
        assert [text for _kind, text in desk.notes] == [
            "Heard: First Song · Anna", "Heard: Third · Carl",
        ]  # fmt: skip


class TestDevices:
    def test_an_unplugged_microphone_is_said_and_comes_back(self, desk):
        desk.listen(1.0)
        desk.capture.say(CaptureState.LOST, "The microphone is gone.", None)
        assert desk.page.button.look == "paused"
        assert desk.page.banner.isVisible()
        assert desk.page.banner.text.text() == "The microphone is gone."
        assert desk.words.heading == "No sound source"
        assert desk.page.control.is_active
        desk.capture.say(CaptureState.RUNNING)
        assert desk.page.button.look == "listening"
        assert not desk.page.banner.isVisible()
        desk.look(found(), 2.1)
        qt.wait_until(lambda: desk.page.answer.track is not None)

    def test_a_fallback_is_announced(self, desk):
        desk.listen(0.5)
        desk.capture.say(CaptureState.RUNNING, "USB is gone. Using Laptop microphone instead.")
        assert desk.page.banner.isVisible()
        assert desk.page.source.accessibleName().endswith("Laptop microphone")

    def test_another_source_is_taken_over_at_once(self, desk):
        desk.listen(0.5)
        desk.page.source.chosen.emit("monitor.of.speakers")
        assert desk.capture.started[-1] == "monitor.of.speakers"
        assert desk.services.settings.source == "monitor.of.speakers"

    def test_the_chooser_groups_and_greys(self):
        monitor = Source("mon", "Speakers", SourceKind.MONITOR)
        offered = source_choice.choices([MICROPHONE, monitor], "usb", "USB microphone")
        assert [each.group for each in offered] == [
            "", "Microphones", "What this computer plays", "Unplugged",
        ]  # fmt: skip
        assert not offered[-1].is_enabled
        assert offered[-1].label == "USB microphone (unplugged)"
        assert "Laptop microphone" in offered[0].hint
        assert [each.value for each in source_choice.choices([], "")] == [""]


class TestFiles:
    def test_a_file_is_named_and_recorded(self, desk, library):
        desk.page.identify_files([library[0]])
        assert desk.words.heading.startswith("Reading")
        assert desk.worker.requests[-1].path == library[0]
        desk.worker.answer(found(offset_s=12.0))
        qt.wait_until(lambda: desk.page.answer.track is not None)
        assert desk.page.answer.now.text() == "heard at 0:12"
        # The row is written after the track's name was found, which the page shows at once.
        qt.wait_until(desk.rows, what="a row of the history")
        assert [(row.title, row.source) for row in desk.rows()] == [("First Song", "0.flac")]

    def test_many_files_go_one_after_another(self, desk, library):
        desk.page.identify_files(library)
        for number, path in enumerate(library, 1):
            assert desk.page.heard_label.text() == f"file {number} of 3"
            assert desk.worker.requests[-1].path == path
            desk.worker.answer(found(track_ids=lambda _rank, n=number: n))
            qt.settle()
        assert desk.page.control.state is ListenState.IDLE
        qt.wait_until(lambda: len(desk.rows()) == 3)

    def answer_files(self, desk, *answers):
        for each in answers:
            if isinstance(each, Exception):
                desk.worker.answer(error=each)
            else:
                desk.worker.answer(each)
            qt.settle()

    def test_several_files_are_a_list_of_answers(self, desk, library, warning_log):
        warning_log.allow("damaged")
        files = [*library, library[0].with_name("torn.mp3")]
        desk.page.identify_files(files)
        batch = desk.page.batch
        assert batch.is_shown
        assert not desk.page.picture_bar.isVisible()
        assert batch.list.summary.text() == "4 files: 4 to go"
        texts = lambda: [  # noqa: E731
            tuple(batch.list.model.index(row, column).data() for column in range(3))
            for row in range(len(files))
        ]
        assert [answer for _name, answer, _sure in texts()] == ["Reading…", *["Waiting"] * 3]
        self.answer_files(
            desk,
            found(),
            found(Verdict.NO_MATCH, (0.02,), reason=Reason.NOT_SIMILAR),
            CatalogDamaged("The index is damaged."),
            found(Verdict.ERROR, (), reason=Reason.UNREADABLE, message="torn.mp3 is empty."),
        )
        qt.wait_until(lambda: "First Song" in texts()[0][1])
        assert texts() == [
            ("0.flac", "First Song · Anna", "98 %"),
            ("1.flac", "Not in your library", ""),
            ("2.flac", "That did not work", ""),
            ("torn.mp3", "This file can't be read", ""),
        ]
        wanted = "4 files: 1 named, 1 not in your library, 2 can't be read"
        assert batch.list.summary.text() == wanted
        # The panel follows the newest answer, and then what is chosen.
        assert desk.words.line == "torn.mp3 is empty."
        batch.list.table.go_to(2)
        assert desk.words.line == "The index is damaged."
        batch.list.table.go_to(0)
        qt.wait_until(lambda: desk.page.answer.track is not None)
        assert desk.page.answer.title.text() == "First Song"
        batch.list.table.row_opened.emit(0)
        qt.wait_until(lambda: desk.player.played)
        assert desk.player.played[0][0] == library[0]
        assert tree_problems(desk.page) == []

    def test_a_chosen_row_stays_while_others_are_read(self, desk, library):
        desk.page.identify_files(library)
        self.answer_files(desk, found())
        batch = desk.page.batch
        table = batch.list.table
        place = table.visualRect(table.model().index(0, 0)).center()
        QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=place)
        qt.wait_until(lambda: desk.page.answer.track is not None)
        self.answer_files(desk, found(track_ids=lambda _rank: 3))
        qt.wait_until(lambda: batch.list.files[1].track is not None)
        qt.wait_until(lambda: desk.page.answer.title.text() == "First Song")
        assert table.selected_rows() == [0]

    def test_more_files_go_behind_those_that_wait(self, desk, library):
        desk.page.identify_files(library[:1])
        assert not desk.page.batch.is_shown  # one file needs no list
        desk.page.identify_files(library[1:])
        assert desk.page.batch.is_shown
        assert desk.page.heard_label.text() == "file 1 of 3"
        self.answer_files(desk, *(found(track_ids=lambda _r, n=n: n) for n in (1, 2, 3)))
        assert desk.page.control.state is ListenState.IDLE
        named = lambda: [file.track and file.track.title for file in desk.page.batch.list.files]  # noqa: E731
        qt.wait_until(lambda: named() == ["First Song", LONG_TITLE.strip(), "Third"])
        qt.wait_until(lambda: len(desk.rows()) == 3)

    def test_the_list_goes_with_escape_and_with_listening(self, desk, library):
        desk.page.identify_files(library)
        self.answer_files(desk, found())
        batch = desk.page.batch
        assert press(desk.page, Qt.Key.Key_Escape)  # first: no more reading
        states = [file.state.value for file in batch.list.files]
        assert states == ["done", "dropped", "dropped"]
        assert batch.list.summary.text() == "3 files: 1 named, 2 not looked at"
        batch.list.table.go_to(2)
        assert (desk.words.heading, desk.words.line) == ("Not looked at", "2.flac")
        assert press(desk.page, Qt.Key.Key_Escape)  # then: the list goes
        assert not batch.is_shown
        assert desk.page.picture_bar.isVisible()
        assert not press(desk.page, Qt.Key.Key_Escape)
        desk.page.identify_files(library)
        assert batch.is_shown
        desk.listen(0.5)
        assert not batch.is_shown
        assert desk.page.spectrogram.isVisible()

    def test_the_dialog_is_in_our_look_and_remembers_its_folder(self, desk, library):
        desk.page.choose_file()
        (dialog,) = desk.page.findChildren(QFileDialog)
        assert dialog.directory().absolutePath()
        names = {each.accessibleName() for each in dialog.findChildren(QToolButton)}
        assert {"Back", "The folder above"} <= names
        dialog.filesSelected.emit([str(library[0])])
        dialog.close()
        assert desk.services.settings.last_folder == str(library[0].parent)
        assert desk.worker.requests[-1].path == library[0]
        assert folder_choice.begin_at(desk.services) == library[0].parent

    def test_an_unreadable_one_says_why(self, desk, tmp_path):
        desk.page.identify_files([tmp_path / "x.mp3"])
        desk.worker.answer(
            found(Verdict.ERROR, (), reason=Reason.UNREADABLE, message="x.mp3 is empty.")
        )
        qt.settle()
        assert (desk.words.heading, desk.words.line) == (
            "This file can't be read",
            "x.mp3 is empty.",
        )
        assert desk.words.action is Action.OPEN_FILE

    def test_escape_drops_the_rest(self, desk, library):
        desk.page.identify_files(library)
        old = desk.worker.requests[-1]
        assert press(desk.page, Qt.Key.Key_Escape)
        desk.worker.answer(found(), request=old)
        qt.settle()
        assert desk.page.answer.track is None
        assert desk.words.is_idle


class TestClips:
    def test_a_kept_clip_joins_its_row(self, desk):
        desk.listen(1.0)
        desk.look(found(), 1.1)
        qt.wait_until(lambda: desk.page.answer.track is not None)
        assert press(desk.page, Qt.Key.Key_K)
        qt.wait_until(lambda: any(row.clip for row in desk.rows()), what="a row with its clip")
        (row,) = desk.rows()
        assert row.clip.exists()
        assert row.clip.parent == desk.services.paths.clips
        import soundfile

        assert soundfile.info(row.clip).duration == pytest.approx(2.1, abs=0.1)
        qt.wait_until(lambda: any(kind == "ok" for kind, _text in desk.notes))

    def test_what_was_not_named_is_kept_as_a_row_of_its_own(self, desk):
        desk.listen(1.0)
        desk.page.results.keep_last()
        qt.wait_until(desk.rows)
        (row,) = desk.rows()
        assert (row.verdict, row.track_id) == ("no_match", None)
        assert row.clip.exists()

    def test_nothing_heard_is_nothing_kept(self, desk):
        desk.page.results.keep_last()
        assert desk.rows() == []
        assert "nothing to keep" in desk.notes[-1][1]

    def test_every_match_when_the_setting_says_so(self, desk):
        desk.services.change_settings(keep_matched_clips=True)
        desk.listen(1.0)
        desk.look(found(), 1.1)
        qt.wait_until(lambda: any(row.clip for row in desk.rows()), what="a row with its clip")
        assert len(desk.rows()) == 1

    @pytest.mark.parametrize("title", ["a/b\\c:*?", "..", "曲" * 200, "\x00", ""])
    def test_any_title_makes_a_file_name(self, title, tmp_path):
        import numpy as np

        from songid_desktop.ui.heard import clip_path, write_wave

        block = AudioBlock(np.array([0.0, 2.0, np.nan, -2.0], np.float32), 8000)
        first = clip_path(tmp_path, 0.0, title)
        write_wave(first, block)
        second = clip_path(tmp_path, 0.0, title)
        write_wave(second, block)
        assert first != second
        assert {first, second} == set(tmp_path.iterdir())


class TestPlaying:
    def test_it_plays_from_where_the_music_is_and_stops(self, desk):
        desk.listen(1.0)
        desk.look(found(offset_s=0.2), 1.1)
        answer = desk.page.answer
        qt.wait_until(lambda: answer.track is not None)
        answer.action_buttons[0].click()
        qt.wait_until(lambda: desk.player.played)
        path, start_s = desk.player.played[0]
        assert path == answer.track.path
        assert 1.5 < start_s <= 3.0  # however late: never past the end of a song of 3 s
        qt.wait_until(lambda: answer.action_buttons[0].text() == "Stop playing")
        answer.action_buttons[0].click()
        qt.wait_until(lambda: len(desk.player.played) == 2)
        qt.wait_until(lambda: answer.action_buttons[0].text() == "Play from here")

    def test_continuous_listening_waits_for_our_own_loudspeaker(self, desk, library):
        desk.page.continuous.setChecked(True)
        desk.listen(0.5)
        desk.services.play(library[0], 0.0)
        qt.wait_until(lambda: desk.page.control.state is ListenState.PAUSED)
        assert not desk.capture.is_open
        desk.services.stop_playing()
        qt.wait_until(lambda: desk.capture.is_open)
        assert desk.page.control.state is ListenState.LISTENING

    def test_a_candidate_is_played_by_enter(self, desk):
        desk.listen(1.0)
        desk.look(found(Verdict.UNSURE, (0.6, 0.2, 0.05), offset_s=1.0), 1.1)
        rows = desk.page.answer.candidates
        qt.wait_until(lambda: rows.rows)
        rows.setFocus(Qt.FocusReason.TabFocusReason)
        QTest.keyClick(rows, Qt.Key.Key_Down)
        QTest.keyClick(rows, Qt.Key.Key_Return)
        qt.wait_until(lambda: desk.player.played)
        assert desk.player.played[0][1] == 1.0


class TestIdle:
    def test_it_says_how_many_tracks_can_be_named(self, desk):
        assert desk.words.heading == "What is playing?"
        assert "3 tracks can be named" in desk.words.line

    def test_an_empty_library_offers_a_folder(self, services, shown):
        page = ListenPage(services)
        shown.append(page)
        install(services)
        qt.wait_until(lambda: page.answer.words.heading == "Your library is empty")
        asked = []
        services.library_requested.connect(asked.append)
        page.answer.action_chosen.emit(Action.ADD_FOLDER)
        page.answer.action_chosen.emit(Action.DEMO)
        assert asked == ["add_folder", "try_demo"]

    def test_settings_reach_the_picture(self, desk):
        desk.services.change_settings(palette="viridis", axis="log", show_constellation=False)
        view = desk.page.spectrogram
        assert (view._scale.palette, view._axis, view._shows_marks) == ("viridis", "log", False)
        assert desk.page.picture_bar.palette_choice.value == "viridis"

    def test_the_range_keeps_its_ends_apart(self, desk):
        bar = desk.page.picture_bar
        bar.levels.click()
        popup = bar._popup
        popup.low.setValue(0)
        settings = desk.services.settings
        assert settings.range_high_db - settings.range_low_db >= 20
        popup.high.setValue(-130)
        settings = desk.services.settings
        assert settings.range_high_db - settings.range_low_db >= 20
        popup._reset()
        assert desk.services.settings.range_low_db == -90
        popup.close()
