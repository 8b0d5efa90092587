"""The one enrolment job of the window: a thread around `identify.enrolment`.

Owned by the window's services (`services.enrolment`), so that pages, strip and first run share it.
What is asked for while a job runs waits in a queue and follows it; a job that fails keeps its
request, so that it can be tried again once what stood in its way is gone. Preparing the library
for another identifier may take hours: it stands back for whatever else wants to change the
library, and is taken up again after.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from songid_desktop.errors import Cancelled, CatalogBusy
from songid_desktop.paths import Paths
from songid_desktop.ui import wording
from songid_desktop.ui.enrol_request import EnrolRequest, describe_failure

if TYPE_CHECKING:
    from songid_desktop.catalog.records import EnrolProgress, EnrolReport

HOLDER = "the SongID Desktop window"
REPORT_EVERY_S = 0.1
"""A table of numbers that changes faster than this can't be read, and every change costs a
repaint."""

log = logging.getLogger(__name__)


class JobState(StrEnum):
    """What the enrolment is doing."""

    IDLE = "idle"
    RUNNING = "running"
    PAUSED = "paused"
    CANCELLING = "cancelling"


@dataclass(slots=True)
class _Run:
    """One thread's worth of work and what the GUI thread holds it by."""

    request: EnrolRequest
    cancel: threading.Event = field(default_factory=threading.Event)
    pause: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None
    reported_at: float = 0.0
    is_interrupted: bool = False
    """It ends early to let another go first, and is taken up again after it."""


class EnrolJob(QObject):
    """Signals arrive on the GUI thread, at most ten times a second while running."""

    changed = Signal()
    """`state`, `progress` or `queued` changed."""
    finished = Signal(object)
    """An EnrolReport, also after a cancel."""
    demo_finished = Signal()
    """The demo tunes are enrolled; `finished` follows."""
    prepared = Signal(object, object)
    """A preparation ended: its EnrolRequest, and the EnrolReport or None where another program was
    writing and it did not begin."""
    failed = Signal(str)
    """A sentence: another process holds the catalog, the disk is full, …"""

    _came = Signal(object, object)
    _ended = Signal(object, object)

    def __init__(self, paths: Paths, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._paths = paths
        self._run: _Run | None = None
        self._queue: list[EnrolRequest] = []
        self._progress: EnrolProgress | None = None
        self._failed_request: EnrolRequest | None = None
        self._waiting: list[Callable[[], None]] = []
        self._holds = 0
        self._is_closed = False
        self._came.connect(self._take_progress)
        self._ended.connect(self._take_end)

    # -- what there is to see -----------------------------------------------------------------

    @property
    def state(self) -> JobState:
        run = self._run
        if run is None:
            return JobState.IDLE
        if run.cancel.is_set() and not run.is_interrupted:
            return JobState.CANCELLING
        return JobState.PAUSED if run.pause.is_set() else JobState.RUNNING

    @property
    def is_active(self) -> bool:
        return self._run is not None

    @property
    def progress(self) -> EnrolProgress | None:
        """The newest word from the running job; None before the first and when idle."""
        return self._progress

    @property
    def request(self) -> EnrolRequest | None:
        """What is being enrolled."""
        return self._run.request if self._run is not None else None

    @property
    def what(self) -> str:
        """Label of the identifier that the library is being prepared for; empty for anything
        else."""
        run = self._run
        if run is None or not run.request.is_preparation:
            return ""
        return wording.joined([wording.identifier(n) for n in run.request.identifiers], ", ")

    @property
    def queued(self) -> int:
        """Requests waiting for the running one."""
        return len(self._queue)

    @property
    def can_retry(self) -> bool:
        return self._failed_request is not None and self._run is None

    # -- what can be asked --------------------------------------------------------------------

    def start(
        self, roots: Sequence[Path], identifiers: Sequence[str] = ("landmark",), jobs: int = 0
    ) -> None:
        """Enrol files and folders; while others are enrolled they wait and follow them, while the
        library is prepared they come first."""
        if roots:
            self._submit(EnrolRequest(tuple(roots), tuple(identifiers), jobs))
            if self._is_preparing():
                self._interrupt()

    def start_demo(self) -> None:
        """Make the demo tunes and enrol them: a matter of seconds, so a folder that is being
        enrolled stands back for them and is taken up again after."""
        demo, run = EnrolRequest(is_demo=True), self._run
        if run is None or run.request.is_demo or self.state is JobState.CANCELLING:
            self._submit(demo)
        elif demo not in self._queue:
            self._go_before(demo)

    def prepare(self, identifier: str, jobs: int = 0) -> None:
        """Fingerprint the tracks that the library has already and `identifier` lacks, after
        everything else."""
        self._submit(EnrolRequest((), (identifier,), jobs, is_preparation=True))

    def is_preparing(self, identifier: str) -> bool:
        """Whether the library is being prepared for `identifier`, or soon will be."""
        requests = [*([self._run.request] if self._run is not None else []), *self._queue]
        return any(each.is_preparation and identifier in each.identifiers for each in requests)

    def drop(self, identifier: str) -> bool:
        """End the preparation for `identifier`, or take it out of the queue; False where there was
        none. Everything else goes on."""
        if not self.is_preparing(identifier):
            return False
        self._queue = [
            each
            for each in self._queue
            if not (each.is_preparation and identifier in each.identifiers)
        ]
        run = self._run
        is_running = run is not None and run.request.is_preparation
        if run is not None and is_running and identifier in run.request.identifiers:
            run.is_interrupted = False
            run.cancel.set()
            run.pause.clear()
        self.changed.emit()
        return True

    def make_way(self, then: Callable[[], None]) -> None:
        """Call `then` as soon as no preparation holds the library; `release` must follow."""
        if self._is_preparing():
            self._waiting.append(then)
            self._interrupt()
        else:
            self._holds += 1
            then()

    def release(self) -> None:
        """What `make_way` was for is done: what stood back goes on."""
        self._holds -= 1
        if self._run is None:
            self._go_on()

    def retry(self) -> None:
        """Ask again for what failed last."""
        request, self._failed_request = self._failed_request, None
        if request is not None:
            self._submit(request)

    def pause(self) -> None:
        """Stop taking new files; what is in hand is finished."""
        if self._run is not None and not self._run.cancel.is_set():
            self._run.pause.set()
            self.changed.emit()

    def resume(self) -> None:
        if self._run is not None:
            self._run.pause.clear()
            self.changed.emit()

    def cancel(self) -> None:
        """Ask the job and what waits behind it to end; idle within 200 ms. What was added
        stays."""
        self._queue.clear()
        if self._run is not None and self.state is not JobState.CANCELLING:
            self._run.is_interrupted = False
            self._run.cancel.set()
            self._run.pause.clear()
            self.changed.emit()

    def close(self, wait_s: float = 5.0) -> None:
        """Cancel and wait for the thread. Called before the catalog closes."""
        self._is_closed = True
        run = self._run
        self.cancel()
        if run is not None and run.thread is not None:
            run.thread.join(wait_s)
            if run.thread.is_alive():
                log.warning("The enrolment did not end within %.0f s of closing.", wait_s)

    # -- inside -------------------------------------------------------------------------------

    def _submit(self, request: EnrolRequest) -> None:
        if self._is_closed:
            return
        running = self._run.request if self._run is not None else None
        if request == running or request in self._queue:
            return
        self._queue.append(request)
        self._queue.sort(key=lambda each: each.is_preparation)  # stable: others keep their turn
        if self._run is None and not self._holds:
            self._start_next()
        self.changed.emit()

    def _is_preparing(self) -> bool:
        """Whether a preparation holds the library, or is just letting go of it."""
        return self._run is not None and self._run.request.is_preparation

    def _go_before(self, request: EnrolRequest) -> None:
        """Enrol something now; what runs is taken up again after it."""
        if request not in self._queue:
            self._queue.insert(0, request)
            self._interrupt()

    def _interrupt(self) -> None:
        """What runs ends early and is taken up again after what waits, preparations last."""
        run = self._run
        if run is None or run.cancel.is_set():
            return
        at = len(self._queue) if run.request.is_preparation else 1
        self._queue.insert(at, run.request)
        run.is_interrupted = True
        run.cancel.set()
        run.pause.clear()
        self.changed.emit()

    def _start_next(self) -> None:
        self._progress = None
        self._failed_request = None
        run = _Run(self._queue.pop(0))
        self._run = run
        run.thread = threading.Thread(target=self._work, args=(run,), name="enrolment", daemon=True)
        run.thread.start()

    def _work(self, run: _Run) -> None:
        """Runs on the job's thread; the only thing it touches of Qt is emitting signals."""
        outcome: EnrolReport | Exception
        try:
            outcome = self._enrol(run)
        except Exception as error:  # noqa: BLE001 - a worker's entry point reports everything
            outcome = error
        try:
            self._ended.emit(run, outcome)
        except RuntimeError:
            log.debug("The window was gone before the enrolment ended.")

    def _enrol(self, run: _Run) -> EnrolReport:
        # Imported here, on this thread: decoding and SQL are nothing the first frame should pay.
        request = run.request
        report = self._reporter(run)
        if request.is_demo:
            from songid_desktop.evaluate.demo import install_demo_tunes

            return install_demo_tunes(
                self._paths, progress=report, cancel=run.cancel, holder=HOLDER
            )
        from songid_desktop.identify.enrolment import enrol_library, prepare_library

        if request.is_preparation:
            return prepare_library(
                self._paths,
                request.identifiers,
                jobs=request.jobs,
                progress=report,
                cancel=run.cancel,
                pause=run.pause,
                holder=HOLDER,
                low_priority=True,
            )
        return enrol_library(
            self._paths,
            request.roots,
            request.identifiers,
            jobs=request.jobs,
            progress=report,
            cancel=run.cancel,
            pause=run.pause,
            holder=HOLDER,
            low_priority=True,
        )

    def _reporter(self, run: _Run) -> Callable[[EnrolProgress], None]:
        def report(progress: EnrolProgress) -> None:
            now = time.monotonic()
            is_last = progress.phase == "finished"
            if is_last or now - run.reported_at >= REPORT_EVERY_S:
                run.reported_at = now
                try:
                    self._came.emit(run, progress)
                except RuntimeError:
                    run.cancel.set()

        return report

    def _take_progress(self, run: _Run, progress: EnrolProgress) -> None:
        if run is self._run:
            self._progress = progress
            self.changed.emit()

    def _take_end(self, run: _Run, outcome: EnrolReport | Exception) -> None:
        if run is not self._run:
            return
        self._run = None
        self._progress = None
        if isinstance(outcome, Cancelled) or run.is_interrupted:
            self._go_on()
            return
        if isinstance(outcome, CatalogBusy) and run.request.is_preparation:
            self._go_on()
            self.prepared.emit(run.request, None)
            return
        if isinstance(outcome, Exception):
            # What waits would meet the same wall: it is kept out until someone asks again.
            self._queue.clear()
            self._failed_request = run.request
            self.changed.emit()
            self.failed.emit(describe_failure(outcome))
            self._let_by()
            return
        self._go_on()
        if run.request.is_preparation:
            self.prepared.emit(run.request, outcome)
            return
        if run.request.is_demo and not outcome.was_cancelled:
            self.demo_finished.emit()
        self.finished.emit(outcome)

    def _let_by(self) -> None:
        """Call who waits for the library to be free."""
        waiting, self._waiting = self._waiting, []
        self._holds += len(waiting)
        for then in waiting:
            then()

    def _go_on(self) -> None:
        self._let_by()
        if self._queue and not self._is_closed and not self._holds:
            self._start_next()
        self.changed.emit()
