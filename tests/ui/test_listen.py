"""The Listen page: from the button to the answer, the history and the way back when a device
goes."""

from __future__ import annotations

import time

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from songid_desktop.audio.capture import CaptureState
from songid_desktop.errors import CatalogDamaged
from songid_desktop.types import Reason, Source, SourceKind, Verdict
from songid_desktop.ui import source_choice
from songid_desktop.ui.answer_words import Action
from songid_desktop.ui.listen import ListenPage
from songid_desktop.ui.listen_state import ListenState
from tests.support import qt
from tests.support.listen_page import LONG_TITLE, press
from tests.support.listening import MICROPHONE, RATE, found, install


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
