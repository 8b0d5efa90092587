"""Brings rows to a table: one read at a time, the newest wish first, nothing on the GUI thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from PySide6.QtCore import QObject, QTimer, Signal

from songid_desktop.errors import Cancelled
from songid_desktop.ui.paged_model import Ids, PagedModel, Pages, TableSnapshot

if TYPE_CHECKING:
    from songid_desktop.ui.bridge import Job
    from songid_desktop.ui.services import Services

REST_MS = 250
"""Least pause between two reads because of changes in the catalog; a table that changes more often
can't be read."""
SHARE = 4
"""A long read is followed by a pause this many times as long, so that reading takes a fifth of a
core at most."""


class TableReader(Protocol):
    """What is read, on a job thread."""

    def snapshot(
        self, view: Any, pages: Sequence[int], cancel: threading.Event
    ) -> TableSnapshot: ...

    def pages(self, view: Any, ids: Ids | None, pages: Sequence[int]) -> Pages: ...


class TableLoader(QObject):
    """Keeps a PagedModel up to date with the catalog.

    Parameters
    ----------
    lane : str
        Reads of one table run one after another.
    view : object
        What to show at first.
    visible_pages : callable
        Pages in sight now; they come with every snapshot.
    """

    loaded = Signal(object)
    """A TableSnapshot that the model has taken."""
    failed = Signal(object)

    def __init__(
        self,
        services: Services,
        model: PagedModel,
        *,
        reader: TableReader,
        lane: str,
        view: Any,
        visible_pages: Callable[[], list[int]],
    ) -> None:
        super().__init__(model)
        self._services = services
        self._model = model
        self._reader = reader
        self._lane = lane
        self._view = view
        self._visible_pages = visible_pages
        self._job: Job | None = None
        self._is_stale = False
        self._is_view_new = True
        self._pages_wanted: list[int] = []
        self._started_at = 0.0
        self._rest = self._timer(REST_MS)
        self._soon = self._timer(0)
        model.page_wanted.connect(self._want_page)
        services.catalog_changed.connect(self.refresh)

    def _timer(self, interval_ms: int) -> QTimer:
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.setInterval(interval_ms)
        timer.timeout.connect(self._go_on)
        return timer

    @property
    def view(self) -> Any:
        """What is wanted; the model's own view is what is shown."""
        return self._view

    @property
    def is_busy(self) -> bool:
        """True while something is on its way."""
        return self._job is not None or self._is_stale or bool(self._pages_wanted)

    def set_view(self, view: Any) -> None:
        """Show another search, order or filter, at once."""
        if view == self._view:
            return
        self._view = view
        self._is_view_new = True
        self._pages_wanted.clear()
        self._is_stale = True
        self._rest.stop()
        if self._job is not None:
            self._job.cancel()
        self._go_on()

    def refresh(self, *_args: object) -> None:
        """Read again what is shown; many calls in a row are one read."""
        self._is_stale = True
        if self._job is None and not self._rest.isActive():
            self._soon.start()

    def _want_page(self, page: int) -> None:
        if page in self._pages_wanted:
            self._pages_wanted.remove(page)
        self._pages_wanted.append(page)
        if self._job is None and not self._soon.isActive():
            self._soon.start()

    def _go_on(self) -> None:
        if self._job is not None:
            return
        if self._is_stale and not self._rest.isActive():
            self._read_snapshot()
        elif self._pages_wanted:
            self._read_pages()

    def _read_snapshot(self) -> None:
        self._is_stale = False
        view = self._view
        pages = [0] if self._is_view_new else self._visible_pages()
        reader = self._reader
        self._started_at = time.monotonic()
        job = self._services.jobs.start(
            lambda job: reader.snapshot(view, pages, job.cancel_token), lane=self._lane
        )
        self._follow(job, self._take_snapshot)

    def _read_pages(self) -> None:
        newest = self._pages_wanted[-1]
        visible = set(self._visible_pages())
        # Pages that were scrolled past are not worth reading.
        wanted = [page for page in self._pages_wanted if page in visible] or [newest]
        self._pages_wanted.clear()
        wanted = [page for page in wanted if not self._model.is_loaded(page)]
        if not wanted or self._is_view_new:
            return
        view, ids = self._view, self._model.ids
        job = self._services.jobs.run(self._reader.pages, view, ids, wanted, lane=self._lane)
        self._follow(job, lambda pages: self._take_pages(view, pages))

    def _follow(self, job: Job, take: Callable[[Any], None]) -> None:
        self._job = job
        job.done.connect(take)
        job.failed.connect(self._take_failure)
        job.finished.connect(self._end_job)

    def _end_job(self) -> None:
        self._job = None
        self._go_on()

    def _take_snapshot(self, snapshot: TableSnapshot) -> None:
        if snapshot.view != self._view:
            return
        took_ms = (time.monotonic() - self._started_at) * 1000
        self._rest.start(max(REST_MS, int(took_ms * SHARE)))
        self._is_view_new = False
        self._model.take(snapshot)
        self.loaded.emit(snapshot)

    def _take_pages(self, view: Any, pages: Pages) -> None:
        if view == self._model.view:
            self._model.take_pages(pages)

    def _take_failure(self, error: BaseException) -> None:
        if not isinstance(error, Cancelled):
            self.failed.emit(error)
