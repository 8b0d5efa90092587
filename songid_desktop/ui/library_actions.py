"""What the Library page does to the catalog: add, rescan, remove and take back, each off the GUI
thread, each ending in one note."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from songid_desktop.errors import SongIDError
from songid_desktop.identify.registry import DEFAULT_IDENTIFIER
from songid_desktop.paths import Paths
from songid_desktop.ui.enrol_job import HOLDER
from songid_desktop.ui.library_counts import is_made
from songid_desktop.ui.toasts import ToastAction
from songid_desktop.ui.wording import plural

if TYPE_CHECKING:
    from songid_desktop.catalog.catalog import Catalog
    from songid_desktop.catalog.writer import CatalogWriter
    from songid_desktop.ui.services import Services

LANE = "library-changes"
FILES_STAY = "The files themselves stay where they are."


class LibraryActions(QObject):
    """Changes of the library, with undo."""

    changed = Signal()
    """The catalog was changed from here: look again at once."""

    def __init__(self, services: Services, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._services = services
        self._undo_tokens: list[tuple[str, str]] = []

    # -- enrolment ----------------------------------------------------------------------------

    def enrol(self, paths: Sequence[Path]) -> None:
        """Enrol files and folders in the background."""
        jobs = self._services.settings.enrol_jobs
        # The quickest first, so that what is added can be named at once; what others lack is
        # prepared after it.
        self._services.enrolment.start(paths, (DEFAULT_IDENTIFIER,), jobs)

    def rescan(self) -> None:
        """Look again at everything the library was made from."""
        job = self._services.jobs.run(read_roots, self._services.paths, lane=LANE)
        job.done.connect(self._rescan_roots)
        job.failed.connect(self._services.report)

    def _rescan_roots(self, roots: object) -> None:
        if isinstance(roots, list) and roots:
            self.enrol(roots)
        else:
            self._services.notify("There are no folders to rescan yet. Add one first.")

    # -- removal ------------------------------------------------------------------------------

    def remove_tracks(self, ids: Sequence[int]) -> None:
        """Take tracks out of the library; no file is touched."""
        if not ids or self._is_busy("Tracks"):
            return
        what = f"{plural(len(ids), 'track')} removed from the library."
        # A rescan would bring the files straight back: they are kept out until added by name.
        self._change(lambda writer: writer.remove_tracks(ids, keep_out=True), what)

    def remove_folder(self, folder: Path) -> None:
        """Forget a folder and the tracks that live only in it; no file is touched."""
        if self._is_busy("Folders"):
            return
        self._change(
            lambda writer: writer.remove_folder(folder),
            f"“{folder.name or folder}” is no longer part of the library.",
        )

    def undo(self) -> None:
        """Take back the last removal (Ctrl+Z)."""
        if not self._undo_tokens:
            self._services.notify("There is nothing to undo.")
        elif not self._is_busy("Removals"):
            token, what = self._undo_tokens.pop()
            self._undo(token, what)

    def _is_busy(self, what: str) -> bool:
        """Say why not, while the one writer of the catalog is the running enrolment. A
        preparation stands back."""
        request = self._services.enrolment.request
        if request is None or request.is_preparation:
            return False
        self._services.notify(
            f"{what} can be changed when the enrolment has ended, or is cancelled.", kind="warn"
        )
        return True

    def _change(self, change: Callable[[CatalogWriter], str], what: str) -> None:
        def call(catalog: Catalog) -> str:
            with catalog.writer(HOLDER) as writer:
                return change(writer)

        self._write(call, lambda token: self._take_removal(str(token), what), self._services.report)

    def _write(
        self,
        call: Callable[[Catalog], object],
        take: Callable[[object], None],
        fail: Callable[[Exception], None],
    ) -> None:
        """Change the catalog on a job thread, as soon as no preparation holds it."""

        def begin() -> None:
            job = self._services.with_catalog(call, lane=LANE)
            job.done.connect(take)
            job.failed.connect(fail)
            job.finished.connect(self._services.enrolment.release)

        self._services.enrolment.make_way(begin)

    def _take_removal(self, token: str, what: str) -> None:
        self._undo_tokens.append((token, what))
        self.changed.emit()
        self._services.notify(
            f"{what} {FILES_STAY}", ToastAction("Undo", lambda: self._undo_named(token, what))
        )

    def _undo_named(self, token: str, what: str) -> None:
        if (token, what) in self._undo_tokens:
            self._undo_tokens.remove((token, what))
        self._undo(token, what)

    def _undo(self, token: str, what: str) -> None:
        def call(catalog: Catalog) -> int:
            with catalog.writer(HOLDER) as writer:
                return writer.undo_remove(token)

        def fail(error: Exception) -> None:
            if isinstance(error, SongIDError):
                self._undo_tokens.append((token, what))
            self._services.report(error)

        self._write(call, self._take_undo, fail)

    def _take_undo(self, count: object) -> None:
        self.changed.emit()
        number = count if isinstance(count, int) else 0
        self._services.notify(f"{plural(number, 'track')} back in the library.", kind="ok")


def read_roots(paths: Paths) -> list[Path]:
    """What a rescan looks at; nothing while there is no catalog. For a job thread."""
    from songid_desktop.catalog.catalog import Catalog

    if not is_made(paths):
        return []
    with Catalog.open(paths, create=False) as catalog:
        return catalog.roots()
