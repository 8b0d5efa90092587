"""The Models section of the preferences: which models are here, and installing, checking and
removing them. Work goes on while the window of preferences is closed; closing the program pauses a
download, and Resume goes on with it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer, Signal
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QFileDialog, QWidget

from songid_desktop.errors import Cancelled, SongIDError
from songid_desktop.ui.controls import button, column, label, row
from songid_desktop.ui.file_dialog import dress
from songid_desktop.ui.model_row import ModelRow
from songid_desktop.ui.model_words import Activity, Doing, view
from songid_desktop.ui.theme import Gap, Type

if TYPE_CHECKING:
    from songid_desktop.neural.pace import InstallProgress
    from songid_desktop.neural.roster import Listed
    from songid_desktop.ui.bridge import Job
    from songid_desktop.ui.services import Services

LOOK_AGAIN_MS = 2_000
"""While another program changes a model, and somebody looks."""
_INTRODUCTION = (
    "What the learned identifiers run on. The published ones of AST and MERT are fetched from"
    " their authors' pages only when you ask for it; installed, they need no network. What you"
    " trained is added from its folder, and becomes an identifier of its own."
)


class ModelsSection(QWidget):
    """One row a model, in the order of the list."""

    changed = Signal()
    """A model was installed or removed."""

    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._services = services
        self._models: dict[str, Listed] = {}
        self._rows: dict[str, ModelRow] = {}
        self._doing: dict[str, Activity] = {}
        self._jobs: dict[str, Job] = {}
        self._is_reading = False
        self._timer = QTimer(self)
        self._timer.setInterval(LOOK_AGAIN_MS)
        self._timer.timeout.connect(self.read)
        lines = column(gap=Gap.XS)
        lines.addWidget(label(_INTRODUCTION, "muted", Type.CAPTION, wraps=True))
        self._lines = column(gap=Gap.XS)
        lines.addLayout(self._lines)
        self.add_button = button(
            "Add a model from a folder…",
            "Install a further AST or HuBERT checkpoint, or what was trained on this computer",
            self.choose_new,
            icon="folder-add",
        )
        foot = row()
        foot.addWidget(self.add_button)
        foot.addStretch(1)
        lines.addLayout(foot)
        self.setLayout(lines)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.read()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._timer.stop()

    # -- what there is ------------------------------------------------------------------------

    def row_of(self, name: str) -> ModelRow | None:
        """The row of a model, once the list was read."""
        return self._rows.get(name)

    def activity(self, name: str) -> Activity:
        return self._doing.get(name, Activity())

    def read(self) -> None:
        """Look again at what is on the disk; the rows follow."""
        if self._is_reading:
            return
        self._is_reading = True
        paths = self._services.paths

        def look() -> list[Listed]:
            from songid_desktop.neural.roster import listed

            return listed(paths)

        job = self._services.jobs.run(look)
        job.done.connect(self._take)
        job.failed.connect(self._services.report)
        job.finished.connect(self._end_reading)

    def _end_reading(self) -> None:
        self._is_reading = False

    def _take(self, models: list[Listed]) -> None:
        known = {each.name for each in models}
        # What is being installed, or could not be, is shown though nothing of it is there.
        models = [
            *models,
            *(
                model
                for name, model in self._models.items()
                if name not in known and (name in self._jobs or self.activity(name).trouble)
            ),
        ]
        self._models = {each.name: each for each in models}
        for name in [name for name in self._rows if name not in self._models]:
            gone = self._rows.pop(name)
            self._doing.pop(name, None)
            self._lines.removeWidget(gone)
            gone.hide()
            gone.deleteLater()
        for place, model in enumerate(models):
            self._have_row(model, place)
            self._show(model.name)
        is_busy_elsewhere = any(
            model.state.value == "busy" and model.name not in self._jobs for model in models
        )
        if is_busy_elsewhere and self.isVisible():
            self._timer.start()
        else:
            self._timer.stop()

    def _have_row(self, model: Listed, place: int) -> None:
        if model.name in self._rows:
            return
        made = ModelRow(model.label, model.name)
        made.asked.connect(self._asker(model.name))
        self._rows[model.name] = made
        self._lines.insertWidget(place, made)

    def _show(self, name: str) -> None:
        model, shown = self._models.get(name), self._rows.get(name)
        if model is not None and shown is not None:
            shown.show_view(view(model, self.activity(name)))

    def _set(self, name: str, activity: Activity) -> None:
        self._doing[name] = activity
        self._show(name)

    # -- what can be asked --------------------------------------------------------------------

    def _asker(self, name: str) -> Callable[[str], None]:
        return lambda key: self.ask(name, key)

    def ask(self, name: str, key: str) -> None:
        """Do what a row's button or menu says."""
        known: dict[str, Callable[[str], None]] = {
            "ask": self.ask_hub,
            "install": self.install,
            "cancel": self.cancel,
            "from": self.choose_folder,
            "verify": self.verify,
            "confirm": lambda name: self._set(name, Activity(Doing.CONFIRMING)),
            "remove": self.remove,
            "leave": self.leave,
        }
        if key in known and (name not in self._jobs or key == "cancel"):
            known[key](name)

    def leave(self, name: str) -> None:
        """Close a question or a message."""
        self._set(name, Activity())
        self.read()

    def ask_hub(self, name: str) -> None:
        """Find out size, licence and version, for the person to decide."""

        def look(job: Job) -> object:
            from songid_desktop.neural import install, official

            known = official.find(name)
            assert known is not None
            return install.ask(known, job.cancel_token)

        self._begin(name, Activity(Doing.ASKING), look, self._take_offer)

    def _take_offer(self, name: str, offer: object) -> None:
        self._set(name, Activity(Doing.OFFERING, offer=offer))  # type: ignore[arg-type]

    def install(self, name: str) -> None:
        """Fetch an official checkpoint, or go on with it."""
        offer, paths = self.activity(name).offer, self._services.paths

        def fetch(job: Job) -> object:
            from songid_desktop.neural import install, official
            from songid_desktop.ui.enrol_job import HOLDER

            known = official.find(name)
            assert known is not None
            return install.install(
                known,
                paths,
                holder=HOLDER,
                offer=offer,
                cancel=job.cancel_token,
                progress=job.report,
            )

        self._begin(name, Activity(Doing.INSTALLING), fetch, self._take_installed)

    def install_from(self, name: str, folder: Path) -> None:
        """Copy a checkpoint from a folder."""
        from songid_desktop.neural.roster import Listed
        from songid_desktop.neural.state import State

        paths = self._services.paths
        if name not in self._models:
            self._models[name] = Listed(name, "", name, "local", State.ABSENT, 0, False)
            self._have_row(self._models[name], len(self._rows))

        def copy(job: Job) -> object:
            from songid_desktop.neural.local import install_from
            from songid_desktop.ui.enrol_job import HOLDER

            return install_from(
                name,
                folder,
                paths,
                holder=HOLDER,
                cancel=job.cancel_token,
                progress=job.report,
            )

        self._begin(name, Activity(Doing.INSTALLING), copy, self._take_installed)

    def _take_installed(self, name: str, _lock: object) -> None:
        self._set(name, Activity())
        model = self._models.get(name)
        self._services.notify(f"{model.label if model else name} is installed.", kind="ok")
        self.changed.emit()

    def verify(self, name: str) -> None:
        """Check every byte of a model."""
        model, paths = self._models[name], self._services.paths

        def check(job: Job) -> object:
            from songid_desktop.neural.pace import InstallProgress, Step
            from songid_desktop.neural.roster import faults

            def tell(done: int, total: int) -> None:
                job.report(InstallProgress(Step.CHECKING, "", done, total))

            return faults(model, paths, cancel=job.cancel_token, progress=tell)

        self._begin(name, Activity(Doing.VERIFYING), check, self._take_checked)

    def _take_checked(self, name: str, found: object) -> None:
        wrong = [str(each) for each in found] if isinstance(found, list) else []
        self._set(name, Activity(trouble=" ".join(wrong), is_right=not wrong))

    def remove(self, name: str) -> None:
        """Delete a model."""
        model, paths = self._models[name], self._services.paths

        def delete(_job: Job) -> object:
            from songid_desktop.neural.roster import remove
            from songid_desktop.ui.enrol_job import HOLDER

            return remove(model, paths, holder=HOLDER)

        self._begin(name, Activity(Doing.REMOVING), delete, self._take_removed)

    def _take_removed(self, name: str, _freed: object) -> None:
        self._set(name, Activity())
        self.changed.emit()

    def cancel(self, name: str) -> None:
        """End what is being done with a model; what has arrived is kept."""
        job = self._jobs.get(name)
        if job is not None:
            job.cancel()
            self._set(name, replace(self.activity(name), is_ending=True))

    # -- running ------------------------------------------------------------------------------

    def _begin(
        self,
        name: str,
        activity: Activity,
        work: Callable[[Job], object],
        take: Callable[[str, object], None],
    ) -> None:
        if name in self._jobs:
            return
        self._set(name, activity)
        job = self._services.jobs.start(work)
        self._jobs[name] = job
        job.progress.connect(lambda progress: self._take_progress(name, progress))
        job.done.connect(lambda result: take(name, result))
        job.failed.connect(lambda error: self._take_failure(name, error))
        job.finished.connect(lambda: self._end(name))

    def _take_progress(self, name: str, progress: InstallProgress) -> None:
        self._set(name, replace(self.activity(name), progress=progress))

    def _take_failure(self, name: str, error: BaseException) -> None:
        if isinstance(error, Cancelled):
            self._set(name, Activity())
            return
        model = self._models.get(name)
        if isinstance(error, SongIDError) and model is not None:
            self._set(name, Activity(trouble=str(error)))
            if self.isVisible():
                return
        else:
            self._set(name, Activity())
        self._services.report(error, f"{model.label if model else name}:")

    def _end(self, name: str) -> None:
        self._jobs.pop(name, None)
        self.read()

    # -- folders ------------------------------------------------------------------------------

    def choose_folder(self, name: str) -> None:
        """Ask for the folder that a model is to be installed from."""
        self._open_dialog(lambda folder: self.install_from(name, folder))

    def choose_new(self) -> None:
        """Ask for the folder of a further model; it is called like its folder."""
        self._open_dialog(lambda folder: self.install_from(self.free_name(folder), folder))

    def free_name(self, folder: Path) -> str:
        """A name for the checkpoint in `folder` that no model has yet."""
        from songid_desktop.neural.official import is_good_name

        stem = re.sub(r"[^\w.-]+", "-", folder.name).strip("-._")[:60] or "model"
        stem = stem if is_good_name(stem) else f"my-{stem}"
        number = 1
        while (name := stem if number == 1 else f"{stem}-{number}") in self._models:
            number += 1
        return name

    def _open_dialog(self, take: Callable[[Path], None]) -> None:
        dialog = QFileDialog(self, "Choose the folder of a model", str(Path.home()))
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly, True)
        dialog.setLabelText(QFileDialog.DialogLabel.Accept, "Choose")
        dress(dialog)
        dialog.fileSelected.connect(lambda chosen: take(Path(chosen)))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()
