"""The Listen page with files and kept clips."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFileDialog, QToolButton

from songid_desktop.errors import CatalogDamaged
from songid_desktop.types import AudioBlock, Identification, Reason, Verdict
from songid_desktop.ui import folder_choice
from songid_desktop.ui.answer_words import Action
from songid_desktop.ui.listen_state import ListenState
from tests.support import qt
from tests.support.library_window import tree_problems
from tests.support.listen_page import LONG_TITLE, press
from tests.support.listening import found


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

    def test_a_learned_identifier_without_tracks_says_whose_fault_it_is(self, desk, library):
        desk.page.identify_files(library[:2])
        for _ in range(2):
            desk.worker.answer(Identification(Verdict.EMPTY_CATALOG, "cnn"))
        answers = [file.answer for file in desk.page.batch.list.files]
        assert answers == ["CNN knows no track yet"] * 2
        desk.page.identify_files(library[:2])
        desk.worker.answer(Identification(Verdict.EMPTY_CATALOG, "landmark"))
        assert desk.page.batch.list.files[0].answer == "Your library is empty"

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
