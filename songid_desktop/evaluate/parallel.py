"""Independent tasks in worker processes, their results as they come.

Workers end with their parent whatever ended it, compute with one thread each, and look at a shared
flag between two steps of a task, so that a cancel is quick and keeps what was done.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Protocol, TypeVar

from songid_desktop.errors import Cancelled, EnvironmentProblem
from songid_desktop.identify.registry import look_in, looked_in
from songid_desktop.paths import Paths
from songid_desktop.types import CancelToken

T = TypeVar("T")
R = TypeVar("R")

_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
_LOOK_EVERY_S = 0.1


class Flag(Protocol):
    """What a task looks at: a threading or a multiprocessing event."""

    def is_set(self) -> bool: ...


_flag: Flag = threading.Event()


def is_cancelled() -> bool:
    """Asked by tasks between two steps."""
    return _flag.is_set()


def default_jobs() -> int:
    """One worker a core that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return max(1, os.cpu_count() or 1)


def run_tasks(
    function: Callable[[T], R],
    tasks: Iterable[T],
    *,
    jobs: int,
    cancel: CancelToken | None = None,
) -> Iterator[R]:
    """Results of ``function(task)`` in the order in which they are ready.

    With `jobs` 1 everything is done on the calling thread.

    Raises
    ------
    Cancelled
        After what the running tasks had done was given.
    EnvironmentProblem
        When a worker process died.
    """
    if jobs == 1:
        yield from _in_turn(function, tasks, cancel)
    else:
        yield from _at_once(function, tasks, jobs, cancel)


def run_alone(function: Callable[[T], R], task: T) -> R:
    """``function(task)`` in a process of its own, with one thread: for measurements of time."""
    (result,) = _at_once(function, [task], 1, None)
    return result


def _in_turn(
    function: Callable[[T], R], tasks: Iterable[T], cancel: CancelToken | None
) -> Iterator[R]:
    global _flag  # noqa: PLW0603 - one flag a process, as in the workers
    _flag = cancel or threading.Event()
    for task in tasks:
        if _flag.is_set():
            raise Cancelled
        yield function(task)
    if _flag.is_set():
        raise Cancelled


def _at_once(
    function: Callable[[T], R], tasks: Iterable[T], jobs: int, cancel: CancelToken | None
) -> Iterator[R]:
    context = multiprocessing.get_context("spawn")
    flag = context.Event()
    remaining = iter(tasks)
    running: set[Future[R]] = set()
    try:
        with (
            _one_thread_each(),
            ProcessPoolExecutor(jobs, context, _begin_worker, (flag, looked_in())) as pool,
        ):
            try:
                while True:
                    if cancel is not None and cancel.is_set():
                        flag.set()
                        remaining = iter(())
                    # A few wait in line, so that no worker stands idle.
                    while len(running) < 2 * jobs and (task := next(remaining, _END)) is not _END:
                        running.add(pool.submit(function, task))
                    if not running:
                        break
                    done, running = wait(running, _LOOK_EVERY_S, FIRST_COMPLETED)
                    for future in done:
                        yield future.result()
            finally:
                flag.set()
                pool.shutdown(wait=False, cancel_futures=True)
    except BrokenProcessPool as error:
        raise EnvironmentProblem(
            "A worker process ended unexpectedly (too little free memory?). What was measured is "
            "kept: give the same command again, with fewer --jobs, to go on."
        ) from error
    if cancel is not None and cancel.is_set():
        raise Cancelled


_END: Any = object()


@contextlib.contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes started within compute with one thread: as many as cores are at work already."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _begin_worker(flag: Flag, models: Paths | None) -> None:
    """First thing in every worker, which is to know the same models as its parent."""
    global _flag  # noqa: PLW0603 - a worker has one flag for its life
    _flag = flag
    if models is not None:
        look_in(models)
    # The terminal sends Ctrl+C to everyone; the parent decides what becomes of it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, name="parent watch", daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
