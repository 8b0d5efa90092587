"""Work off the GUI thread, results back on it: one small file.

`post` runs a callable on the GUI thread, from any thread. `Jobs.run` runs a function on a
background thread and hands its result *or* its error back through the signals of a `Job`, which
fire on the GUI thread, so plain functions and lambdas may be connected. Jobs of one named `lane`
run one after another, in order (history rows, settings); others run side by side.

Everything lives in plain Python threads: they are joined by `Jobs.close`, and a job that ignores
its cancel token cannot keep the process alive, for the threads are daemons.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QCoreApplication, QObject, Qt, QThread, Signal
from shiboken6 import isValid

from songid_desktop.errors import Cancelled

log = logging.getLogger(__name__)


class _Poster(QObject):
    """Lives on the GUI thread and calls what other threads send it."""

    posted = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.posted.connect(self._call, Qt.ConnectionType.QueuedConnection)

    def _call(self, function: Callable[[], None]) -> None:
        function()


_posters: list[_Poster] = []


def start() -> None:
    """Make the way back to the GUI thread; called once on it, before any `post`."""
    app = QCoreApplication.instance()
    if app is None or QThread.currentThread() is not app.thread():
        raise RuntimeError("bridge.start() belongs on the GUI thread, after the application")
    if not _posters:
        _posters.append(_Poster())


def stop() -> None:
    """Drop what is still on its way; later posts are dropped too."""
    while _posters:
        poster = _posters.pop()
        if isValid(poster):
            poster.deleteLater()


def post(function: Callable[..., object], *args: Any) -> None:
    """Call `function(*args)` on the GUI thread soon. Safe from any thread, also while closing."""
    for poster in tuple(_posters):
        try:
            poster.posted.emit(lambda: function(*args))
        except RuntimeError:  # the poster's C++ half went while the program was closing
            log.debug("A late result was dropped while closing.")


class Job(QObject):
    """One piece of work. Exactly one of `done` and `failed` fires, then `finished`; none of them
    before the caller returned to the event loop."""

    done = Signal(object)
    """The function's result."""
    failed = Signal(object)
    """The exception it raised; `Cancelled` when it was asked to end."""
    progress = Signal(object)
    """What the function passed to `report`, the newest only when the GUI is behind."""
    finished = Signal()

    def __init__(self, lane: str = "") -> None:
        super().__init__()
        self.lane = lane
        self.cancel_token = threading.Event()
        self.is_finished = False
        self._newest: list[object] = []
        self._newest_lock = threading.Lock()

    def cancel(self) -> None:
        """Ask for an early end."""
        self.cancel_token.set()

    def report(self, value: object) -> None:
        """Called by the function on its own thread: show how far it is."""
        with self._newest_lock:
            is_waiting = bool(self._newest)
            self._newest[:] = [value]
        if not is_waiting:
            post(self._deliver_progress)

    def _deliver_progress(self) -> None:
        with self._newest_lock:
            values, self._newest = self._newest, []
        if values and isValid(self):
            self.progress.emit(values[0])

    def _deliver(self, result: object, error: BaseException | None) -> None:
        self.is_finished = True
        if not isValid(self):
            return
        if error is None:
            self.done.emit(result)
        else:
            self.failed.emit(error)
        if isValid(self):
            self.finished.emit()


class Jobs:
    """All background work of one window. `is_inline` runs each job at once on the calling thread,
    for tests; results still arrive through the event loop."""

    def __init__(self, *, is_inline: bool = False) -> None:
        self._is_inline = is_inline
        self._lanes: dict[str, queue.SimpleQueue[Callable[[], None] | None]] = {}
        self._threads: list[threading.Thread] = []
        self._running: set[Job] = set()
        self._is_closed = False

    def run(self, function: Callable[..., object], *args: Any, lane: str = "", **named: Any) -> Job:
        """Start `function(*args, **named)` off the GUI thread and return its job at once."""
        return self.start(lambda _job: function(*args, **named), lane=lane)

    def start(self, function: Callable[[Job], object], lane: str = "") -> Job:
        """Like `run` for a function that reports progress or can be cancelled: it is given the
        job."""
        job = Job(lane)
        if self._is_closed:
            post(job._deliver, None, Cancelled())
            return job
        self._running.add(job)
        self._submit(lambda: self._work(job, function), lane)
        return job

    def _submit(self, work: Callable[[], None], lane: str) -> None:
        if self._is_inline:
            work()
            return
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        if not lane:
            self._spawn(work, "songid-job")
            return
        if lane not in self._lanes:
            waiting: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
            self._lanes[lane] = waiting
            self._spawn(lambda: _drain(waiting), f"songid-{lane}")
        self._lanes[lane].put(work)

    def _spawn(self, work: Callable[[], None], name: str) -> None:
        thread = threading.Thread(target=work, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self, job: Job, function: Callable[[Job], object]) -> None:
        result: object = None
        error: BaseException | None = None
        try:
            if job.cancel_token.is_set():
                raise Cancelled  # noqa: TRY301  (one way out for every kind of end)
            result = function(job)
        except BaseException as caught:  # noqa: BLE001  (handed to the caller, whatever it is)
            error = caught
        post(self._finish, job, result, error)

    def _finish(self, job: Job, result: object, error: BaseException | None) -> None:
        self._running.discard(job)
        job._deliver(result, error)

    @property
    def running(self) -> int:
        """How many jobs have not delivered yet."""
        return len(self._running)

    def close(self, timeout_s: float = 5.0) -> bool:
        """Let lanes finish what they hold, cancel the rest, wait; False when a thread stayed."""
        self._is_closed = True
        for waiting in self._lanes.values():
            waiting.put(None)
        for job in tuple(self._running):
            if not job.lane:
                job.cancel()
        for thread in self._threads:
            thread.join(timeout_s)
        return not any(thread.is_alive() for thread in self._threads)


def _drain(waiting: queue.SimpleQueue[Callable[[], None] | None]) -> None:
    while (work := waiting.get()) is not None:
        work()
