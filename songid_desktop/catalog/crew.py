"""Who does the work of an enrolment: processes, or (in tests) the calling thread itself.

Processes are started by hand and not through `multiprocessing`: then the caller's main module is
not imported a second time, a worker that dies takes exactly one known file with it, and cancelling
is to kill them, which is safe since they hold nothing, and takes milliseconds whatever they do.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from songid_desktop.catalog import protocol
from songid_desktop.catalog.stages import examine, fingerprint_file
from songid_desktop.errors import EnvironmentProblem
from songid_desktop.types import CancelToken, Fingerprinter

SILENCE_LIMIT_S = 300.0
"""A worker that is busy and gives no sign of life for this long is stuck."""
_STARTS_LIMIT = 3
_LAST_WAIT_S = 1.0
_BOOTSTRAP = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[1]);"
    "from songid_desktop.catalog.worker import serve; serve()"
)
_ONE_THREAD = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "NUMEXPR_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
    ),
    "1",
)


@dataclass(frozen=True, slots=True)
class Done:
    """A task came to an end."""

    task: protocol.Task
    result: protocol.Result


@dataclass(frozen=True, slots=True)
class Working:
    """A task gave a sign of life."""

    task: protocol.Task
    decoded_s: float


@dataclass(frozen=True, slots=True)
class Died:
    """The worker went down with this task."""

    task: protocol.Task


Event = Done | Working | Died


class Crew(Protocol):
    @property
    def free(self) -> int:
        """Tasks that can be taken on now."""
        ...

    def submit(self, task: protocol.Task) -> None: ...

    def next_event(self, timeout_s: float) -> Event | None:
        """What happened next, None when nothing did in time."""
        ...

    def set_paused(self, is_paused: bool) -> None: ...

    def close(self) -> None:
        """End at once; what is under way is lost."""
        ...


class InlineCrew:
    """Does each task on the calling thread, when its event is asked for."""

    def __init__(self, fingerprinters: Sequence[Fingerprinter], cancel: CancelToken | None) -> None:
        self._fingerprinters = {item.name: item for item in fingerprinters}
        self._cancel = cancel
        self._task: protocol.Task | None = None

    @property
    def free(self) -> int:
        return 0 if self._task is not None else 1

    def submit(self, task: protocol.Task) -> None:
        self._task = task

    def next_event(self, timeout_s: float) -> Event | None:
        task, self._task = self._task, None
        if task is None:
            time.sleep(timeout_s)
            return None
        if task.identifiers is None:
            return Done(task, examine(task.path, self._cancel))
        chosen = [self._fingerprinters[name] for name in task.identifiers]
        return Done(task, fingerprint_file(task.path, chosen, self._cancel))

    def set_paused(self, is_paused: bool) -> None:
        """Nothing runs between two events anyway."""

    def close(self) -> None:
        self._task = None


class _Hand:
    """One worker process and the thread that listens to it."""

    def __init__(
        self, setup: protocol.Setup, inbox: queue.SimpleQueue[tuple[_Hand, object]]
    ) -> None:
        self.task: protocol.Task | None = None
        self.is_ready = False
        self.heard_at = time.monotonic()
        self._inbox = inbox
        try:
            self._process = subprocess.Popen(
                [sys.executable, *_worker_arguments()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=os.environ | _ONE_THREAD,
                # Ctrl+C in a terminal is for us; we tell the workers.
                start_new_session=True,
                creationflags=_creation_flags(setup.is_low_priority),
            )
        except OSError as error:
            raise EnvironmentProblem(
                f"No worker process can be started ({error.strerror or error}). Close other"
                " programs and run it again; what was enrolled so far is kept."
            ) from error
        self._thread = threading.Thread(target=self._listen, name="enrol-listener", daemon=True)
        self._thread.start()
        self.tell(setup)

    @property
    def pid(self) -> int:
        return self._process.pid

    def _listen(self) -> None:
        pipe = self._process.stdout
        assert pipe is not None
        message: object | None = None
        while True:
            try:
                message = protocol.read_message(pipe)  # type: ignore[arg-type]
            except (OSError, ValueError, EOFError, pickle.UnpicklingError):
                message = None
            self._inbox.put((self, message))
            if message is None:
                return

    def tell(self, message: object) -> None:
        # A worker that is gone is noticed by its listener.
        with contextlib.suppress(OSError, ValueError):
            assert self._process.stdin is not None
            protocol.write_message(self._process.stdin, message)  # type: ignore[arg-type]

    def kill(self) -> None:
        self._process.kill()

    def bury(self) -> None:
        """Wait for the end of a killed or dead process and let go of its pipes."""
        self._process.kill()
        try:
            self._process.wait(_LAST_WAIT_S)
        except subprocess.TimeoutExpired:
            return  # held up inside the system, by a dead network share say: it will end later
        self._thread.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


class ProcessCrew:
    """Up to `jobs` worker processes, started as they are needed."""

    def __init__(
        self, fingerprinters: Sequence[Fingerprinter], jobs: int, *, is_low_priority: bool
    ) -> None:
        self._setup = protocol.Setup(
            pickle.dumps(list(fingerprinters), protocol=pickle.HIGHEST_PROTOCOL), is_low_priority
        )
        self._jobs = max(1, jobs)
        self._hands: list[_Hand] = []
        self._inbox: queue.SimpleQueue[tuple[_Hand, object]] = queue.SimpleQueue()
        self._is_paused = False
        self._failed_starts = 0

    @property
    def free(self) -> int:
        return self._jobs - sum(hand.task is not None for hand in self._hands)

    @property
    def pids(self) -> list[int]:
        return [hand.pid for hand in self._hands]

    def submit(self, task: protocol.Task) -> None:
        hand = next((hand for hand in self._hands if hand.task is None), None)
        if hand is None:
            hand = _Hand(self._setup, self._inbox)
            self._hands.append(hand)
            if self._is_paused:
                hand.tell(protocol.SetPaused(True))
        hand.task = task
        hand.heard_at = time.monotonic()
        hand.tell(task)

    def next_event(self, timeout_s: float) -> Event | None:
        """What happened next.

        Raises
        ------
        EnvironmentProblem
            Workers can't be started.
        """
        self._kill_stuck()
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                hand, message = self._inbox.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                return None
            if (event := self._take(hand, message)) is not None:
                return event

    def _take(self, hand: _Hand, message: object) -> Event | None:
        hand.heard_at = time.monotonic()
        task = hand.task
        if message is None:
            return self._lose(hand)
        if isinstance(message, protocol.Ready):
            hand.is_ready = True
            self._failed_starts = 0
        elif isinstance(message, protocol.Unfit):
            raise EnvironmentProblem(
                f"The worker processes can't load what they need ({message.message})."
                " Installing the program again should help."
            )
        elif isinstance(message, protocol.Beat) and task is not None:
            return Working(task, message.decoded_s)
        elif isinstance(message, protocol.Result) and task is not None:
            hand.task = None
            return Done(task, message)
        return None

    def _lose(self, hand: _Hand) -> Event | None:
        if hand not in self._hands:
            return None
        self._hands.remove(hand)
        hand.bury()
        if hand.is_ready:
            return None if hand.task is None else Died(hand.task)
        self._failed_starts += 1
        if self._failed_starts >= _STARTS_LIMIT:
            raise EnvironmentProblem(
                "Worker processes end as soon as they are started. What was enrolled so far is"
                " kept; `songid doctor` checks the installation."
            )
        if hand.task is not None:
            self.submit(hand.task)
        return None

    def _kill_stuck(self) -> None:
        if self._is_paused:
            return
        limit = time.monotonic() - SILENCE_LIMIT_S
        for hand in self._hands:
            if hand.task is not None and hand.heard_at < limit:
                hand.kill()

    def set_paused(self, is_paused: bool) -> None:
        self._is_paused = is_paused
        for hand in self._hands:
            hand.heard_at = time.monotonic()
            hand.tell(protocol.SetPaused(is_paused))

    def close(self) -> None:
        for hand in self._hands:
            hand.kill()
        for hand in self._hands:
            hand.bury()
        self._hands.clear()


def _worker_arguments() -> list[str]:
    if getattr(sys, "frozen", False):  # a frozen program is its own interpreter, see __main__
        return ["--enrol-worker"]
    search_path = [str(Path(entry).absolute()) for entry in sys.path]
    return ["-c", _BOOTSTRAP, json.dumps(search_path)]


def _creation_flags(is_low_priority: bool) -> int:
    if sys.platform == "win32":
        flags = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP
        return flags | (subprocess.BELOW_NORMAL_PRIORITY_CLASS if is_low_priority else 0)
    return 0
