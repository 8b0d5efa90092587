"""Second step: the system's music folder with a count and an estimate, enrolled in the
background."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog, QFrame, QWidget

from songid_desktop.errors import Cancelled
from songid_desktop.identify.registry import DEFAULT_IDENTIFIER
from songid_desktop.types import CancelToken
from songid_desktop.ui import icons, theme, wording
from songid_desktop.ui.controls import ElidedLabel, IconLabel, button, column, label, row
from songid_desktop.ui.first_run_step import Step
from songid_desktop.ui.folder_choice import make_folder_dialog, music_folder
from songid_desktop.ui.theme import Gap, Type

if TYPE_CHECKING:
    from songid_desktop.ui.bridge import Job
    from songid_desktop.ui.services import Services

FILE_S = 240.0
"""A file of music is about four minutes; opening each one to know would take longer than this page
is looked at."""
RATE_X_PER_CORE = 100.0
"""Times real time one core enrols, decoding included: the low end of what was measured on
laptops."""
COUNT_AT_MOST = 50_000


@dataclass(frozen=True, slots=True)
class FolderCount:
    """How much music a folder seems to hold."""

    folder: Path
    files: int
    is_more: bool = False


def count_music(folder: Path, cancel: CancelToken) -> FolderCount:
    """Count audio files by their names, on a job thread.

    Raises
    ------
    Cancelled
    """
    from songid_desktop.catalog.scan import walk

    files = 0
    for found in walk([folder], cancel):
        if cancel.is_set():
            raise Cancelled
        files += found.problem is None
        if files >= COUNT_AT_MOST:
            return FolderCount(folder, files, is_more=True)
    return FolderCount(folder, files)


def count_words(count: FolderCount, cores: int) -> str:
    """What a folder holds, and how long enrolling takes."""
    if count.files == 0:
        return "No audio files in it."
    number = wording.plural(count.files, "audio file")
    number = f"more than {number}" if count.is_more else number
    takes = wording.hours(max(10.0, count.files * FILE_S / (RATE_X_PER_CORE * max(1, cores))))
    words = f"{number}; takes roughly {takes}, in the background."
    return words[0].upper() + words[1:]


class MusicStep(Step):
    """Proposes a folder; nothing is read but names until it is added."""

    word = "Music"
    heading = "Which music is yours?"
    lead = (
        "What is in your library can be named. Files are only read, never changed, and the first "
        "tracks can be named while the rest is still being enrolled."
    )

    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._services = services
        self.folder: Path | None = None
        self.count: FolderCount | None = None
        self._job: Job | None = None
        self._dialog: QFileDialog | None = None
        box = QFrame()
        theme.set_role(box, "card")
        line = row(Gap.M, gap=Gap.M)
        box.setLayout(line)
        self._sign = IconLabel("folder", "accent")
        line.addWidget(self._sign, 0, Qt.AlignmentFlag.AlignTop)
        names = column(gap=Gap.XS)
        self.folder_label = ElidedLabel("", size=Type.BODY, strong=True)
        names.addWidget(self.folder_label)
        self.count_label = label("", "muted", wraps=True)
        names.addWidget(self.count_label)
        line.addLayout(names, 1)
        self._lines.addWidget(box)
        buttons = row(gap=Gap.S)
        self.add_button = button(
            "Add this folder", "Enrol it in the background (Enter)", self.add, icon="folder-add",
            role="primary",
        )  # fmt: skip
        buttons.addWidget(self.add_button)
        self.other_button = button(
            "Another folder…", "Choose a folder of music", self.choose_other, icon="folder"
        )
        buttons.addWidget(self.other_button)
        buttons.addStretch(1)
        self._lines.addLayout(buttons)
        self._lines.addStretch(1)
        self.propose(music_folder())

    def propose(self, folder: Path | None) -> None:
        """Show a folder and count what is in it."""
        self.folder, self.count = folder, None
        self.add_button.setVisible(folder is not None)
        if folder is None:
            self.folder_label.set_full_text("Your system has no folder for music")
            self.count_label.setText("Choose the one where yours is, or go on without.")
            self._dress_other("Choose a folder…", "primary", "on_accent")
            return
        self._dress_other("Another folder…", "", "text")
        self.folder_label.set_full_text(str(folder))
        self.count_label.setText("Counting…")
        if self._job is not None:
            self._job.cancel()
        job = self._services.jobs.start(
            lambda job: count_music(folder, job.cancel_token), lane="count"
        )
        job.done.connect(self._take_count)
        job.failed.connect(self._take_no_count)
        self._job = job

    def _dress_other(self, words: str, role: str, icon_role: str) -> None:
        """The second button is the first where no folder is proposed."""
        self.other_button.setText(words)
        self.other_button.setAccessibleName(words)
        theme.set_role(self.other_button, role)
        icons.set_icon(self.other_button, "folder", icon_role)

    def _take_count(self, count: object) -> None:
        if not isinstance(count, FolderCount) or count.folder != self.folder:
            return
        self.count = count
        words = count_words(count, self._services.settings.enrol_jobs or os.cpu_count() or 1)
        self.count_label.setText(words)
        self.add_button.setEnabled(count.files > 0)

    def _take_no_count(self, error: BaseException) -> None:
        if not isinstance(error, Cancelled):
            self.count_label.setText(f"It could not be counted: {error}")

    def add(self) -> None:
        """Enrol the folder and go on."""
        if self.folder is None:
            return
        settings = self._services.settings
        self._services.enrolment.start([self.folder], (DEFAULT_IDENTIFIER,), settings.enrol_jobs)
        self._services.change_settings(last_folder=str(self.folder))
        self._satisfy(is_satisfied=True)
        self.done.emit()

    def choose_other(self) -> None:
        """Ask for a folder."""
        if self._dialog is not None:
            return
        dialog = make_folder_dialog(self._services, self.window())
        dialog.fileSelected.connect(lambda name: self.propose(Path(name)))
        dialog.finished.connect(self._drop_dialog)
        self._dialog = dialog
        dialog.open()

    def _drop_dialog(self, _result: int) -> None:
        if self._dialog is not None:
            self._dialog.deleteLater()
            self._dialog = None

    def leave(self) -> None:
        if self._job is not None:
            self._job.cancel()
        if self._dialog is not None:
            self._dialog.close()

    def enter(self) -> None:
        if self.folder is not None and self.count is None:
            self.propose(self.folder)

    def accept_key(self) -> bool:
        if self.folder is None or self.is_satisfied or not self.add_button.isEnabled():
            return False
        if self.count is None or self.count.files == 0:
            return False
        self.add()
        return True
