"""Saving the spectrogram as a PNG file."""

from __future__ import annotations

import time
from pathlib import Path

from PySide6.QtCore import QIODevice, QSaveFile, Qt
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QFileDialog, QWidget

from songid_desktop.errors import EnvironmentProblem
from songid_desktop.ui.services import Services


def ask_and_save(services: Services, image: QImage, parent: QWidget) -> QFileDialog:
    """Ask for a name; the image is the one that was seen when the question came."""
    dialog = QFileDialog(parent, "Save the picture")
    dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
    dialog.setDefaultSuffix("png")
    dialog.setNameFilters(["PNG image (*.png)"])
    dialog.selectFile(time.strftime("Spectrogram %Y-%m-%d %H.%M.%S.png"))
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.fileSelected.connect(lambda name: save(services, image, Path(name)))
    dialog.open()
    return dialog


def save(services: Services, image: QImage, path: Path) -> None:
    """Write the file off the GUI thread and say how it went."""
    job = services.jobs.run(write, image, path)
    job.done.connect(lambda _result: services.notify(f"Saved as {path.name}.", kind="ok"))
    job.failed.connect(services.report)


def write(image: QImage, path: Path) -> None:
    """Write `image` whole or not at all.

    Raises
    ------
    EnvironmentProblem
        When the place can't be written.
    """
    target = QSaveFile(str(path))
    is_saved = (
        target.open(QIODevice.OpenModeFlag.WriteOnly)
        and image.save(target, "PNG")  # type: ignore[call-overload]
        and target.commit()
    )
    if not is_saved:
        raise EnvironmentProblem(
            f"The picture could not be saved as {path}: {target.errorString()}. Choose another "
            "place."
        )
