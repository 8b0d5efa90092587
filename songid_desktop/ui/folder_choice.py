"""The dialog that asks for a folder of music, starting where music is likely to be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QStandardPaths
from PySide6.QtWidgets import QFileDialog, QWidget

from songid_desktop.ui.file_dialog import dress

if TYPE_CHECKING:
    from songid_desktop.ui.services import Services


def music_folder() -> Path | None:
    """The system's folder for music, when it exists."""
    where = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.MusicLocation)
    home = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.HomeLocation)
    if not where or Path(where) == Path(home):
        return None
    return Path(where) if Path(where).is_dir() else None


def begin_at(services: Services) -> Path:
    """Where a dialog about music opens: where the last one ended, else where music should be."""
    last = services.settings.last_folder
    start = Path(last) if last and Path(last).is_dir() else music_folder()
    return start or Path.home()


def make_folder_dialog(services: Services, parent: QWidget) -> QFileDialog:
    """A dialog for one folder; the caller opens it and connects `fileSelected`."""
    dialog = QFileDialog(parent, "Add a folder of music", str(begin_at(services)))
    dialog.setFileMode(QFileDialog.FileMode.Directory)
    dialog.setOption(QFileDialog.Option.ShowDirsOnly, True)
    dialog.setLabelText(QFileDialog.DialogLabel.Accept, "Add folder")
    return dress(dialog)
