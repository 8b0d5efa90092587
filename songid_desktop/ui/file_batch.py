"""Keeps the list of several files in step with the identification, and the answer panel in step
with the list: it follows what is being read until somebody chooses a row."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QStackedWidget

from songid_desktop.errors import SongIDError
from songid_desktop.types import Identification
from songid_desktop.ui import answer_words
from songid_desktop.ui.file_list import FileList, FileRow, FileState
from songid_desktop.ui.listen_control import ListenControl
from songid_desktop.ui.listen_results import ListenResults
from songid_desktop.ui.listen_state import ListenState
from songid_desktop.ui.track_cards import TrackCard


class FileBatch(QObject):
    """`place` is the stack whose first widget is the picture; the list is made when it is first
    needed, and stands before the picture while there is more than one file."""

    def __init__(
        self, control: ListenControl, results: ListenResults, place: QStackedWidget
    ) -> None:
        super().__init__(place)
        self._control = control
        self._results = results
        self._place = place
        self.list: FileList | None = None
        self._files: list[FileRow] = []
        self._chosen = -1
        control.state_changed.connect(self._on_state)
        control.file_answered.connect(self._on_answer)
        control.failed.connect(self._on_failed)
        control.began.connect(lambda _ring: self.close())

    @property
    def is_shown(self) -> bool:
        """Whether the list stands before the picture."""
        return self.list is not None and self._place.currentWidget() is self.list

    def close(self) -> None:
        """Back to the picture."""
        if self.is_shown:
            self._place.setCurrentIndex(0)

    def take(self, files: Sequence[Path], *, is_more: bool) -> None:
        """Files that were asked for, behind others or instead of them."""
        rows = [FileRow(path) for path in files]
        if not is_more:
            self._files, self._chosen = [], -1
        is_new = not is_more or not self.is_shown
        self._files += rows
        if len(self._files) < 2:
            self.close()
            return
        if self.list is None:
            self.list = self._make_list()
        if is_new:
            self.list.show_files(self._files)
        else:
            self.list.add_files(rows)
        self._place.setCurrentWidget(self.list)

    def _make_list(self) -> FileList:
        made = FileList()
        made.chosen.connect(self._choose)
        made.opened.connect(self._open)
        made.closed.connect(self.close)
        self._place.addWidget(made)
        return made

    # -- what the control says ----------------------------------------------------------------

    @property
    def _number(self) -> int:
        """Place of the file in hand in the list."""
        return self._control.file_place[0] - 1

    def _touch(self, number: int) -> None:
        if self.list is not None and number < len(self.list.files):
            self.list.touch(number)

    def _on_state(self, state: str) -> None:
        number = self._number
        if state == ListenState.FILE:
            if 0 <= number < len(self._files):
                self._files[number].state = FileState.READING
                self._touch(number)
            return
        for each, file in enumerate(self._files):
            if file.state in (FileState.WAITING, FileState.READING):
                file.state = FileState.DROPPED
                self._touch(each)

    def _on_answer(self, _path: Path, found: Identification) -> None:
        number = self._number
        if not 0 <= number < len(self._files):
            return
        file = self._files[number]
        file.state, file.found = FileState.DONE, found
        self._touch(number)
        best = found.best
        if best is not None and file.is_named:

            def name(cards: dict[int, TrackCard]) -> None:
                card = cards.get(best.track_id)
                file.track = card.track if card is not None else None
                if number < len(self._files) and self._files[number] is file:
                    self._touch(number)

            self._results.look_up([best.track_id], name)
        self._follow(number)

    def _on_failed(self, error: BaseException) -> None:
        number = self._number
        if self._control.state is ListenState.FILE and 0 <= number < len(self._files):
            words = str(error) if isinstance(error, SongIDError) else "Something went wrong."
            self._files[number].state = FileState.DONE
            self._files[number].error = words
            self._touch(number)
            self._follow(number)

    def _follow(self, number: int) -> None:
        """The newest answer is shown, unless somebody looks at another."""
        if not self.is_shown or self.list is None:
            return
        if self._chosen >= 0:
            self._show(self._chosen)
        else:
            self.list.lead_to(number)

    # -- what the person says -----------------------------------------------------------------

    def _choose(self, number: int) -> None:
        self._chosen = number
        self._show(number)

    def _show(self, number: int) -> None:
        file = self._files[number]
        if file.found is not None:
            self._results.show_file(file.found)
        elif file.error:
            self._results.show_words(answer_words.failed(file.error))
        else:
            self._results.show_words(answer_words.not_read(file.path.name, file.answer))

    def _open(self, number: int) -> None:
        self._choose(number)
        if self._files[number].is_named:
            self._results.play_file()
