"""Jobs: results and errors come back on the GUI thread, in order, and nothing is left behind."""

from __future__ import annotations

import sys
import threading

import pytest
from PySide6.QtCore import QObject, QThread, Signal

from songid_desktop.errors import Cancelled
from songid_desktop.ui import bridge
from tests.support.qt import wait_until


@pytest.fixture
def jobs():
    made = bridge.Jobs()
    yield made
    assert made.close()


def test_a_result_comes_back_on_the_gui_thread(jobs):
    seen = []
    job = jobs.run(lambda: threading.current_thread().name)
    job.done.connect(lambda name: seen.append((name, QThread.currentThread().isMainThread())))
    wait_until(lambda: seen)
    assert seen[0][0] != threading.main_thread().name
    assert seen[0][1]


def test_an_error_comes_back_as_it_was_raised(jobs):
    seen = []

    def fail():
        raise ValueError("no")

    job = jobs.run(fail)
    job.done.connect(lambda _r: seen.append("done"))
    job.failed.connect(seen.append)
    wait_until(lambda: seen)
    assert isinstance(seen[0], ValueError)
    assert job.is_finished


def test_nothing_fires_before_the_caller_is_back_in_the_event_loop():
    jobs, seen = bridge.Jobs(is_inline=True), []
    job = jobs.run(lambda: 1)
    job.done.connect(seen.append)
    assert seen == []
    wait_until(lambda: seen)
    assert jobs.close()


def test_a_lane_runs_one_after_another_in_order(jobs):
    running, order, gate = [], [], threading.Lock()

    def step(number):
        assert gate.acquire(blocking=False), "two at once"
        running.append(number)
        gate.release()

    for number in range(40):
        jobs.run(step, number, lane="one").done.connect(lambda _r, n=number: order.append(n))
    wait_until(lambda: len(order) == 40)
    assert running == order == list(range(40))


def test_cancel_reaches_a_running_job_and_progress_shows_the_newest(jobs):
    seen, failures = [], []
    started = threading.Event()

    def work(job):
        for number in range(1000):
            job.report(number)
        started.set()
        assert job.cancel_token.wait(5)
        raise Cancelled

    job = jobs.start(work)
    job.progress.connect(seen.append)
    job.failed.connect(failures.append)
    # The GUI may be woken between any two reports; the last one must reach it all the same.
    wait_until(lambda: started.is_set() and seen and seen[-1] == 999)
    assert seen == sorted(set(seen))
    job.cancel()
    wait_until(lambda: failures)
    assert isinstance(failures[0], Cancelled)


def test_closing_lets_a_lane_finish_and_cancels_the_rest():
    jobs, written = bridge.Jobs(), []
    started, cancelled = threading.Event(), threading.Event()

    def wait_for_cancel(job):
        started.set()
        if job.cancel_token.wait(15):
            cancelled.set()

    jobs.start(wait_for_cancel)
    wait_until(started.is_set)  # one that has not begun would never begin
    for number in range(5):
        jobs.run(written.append, number, lane="rows")
    assert jobs.close()
    assert written == list(range(5))
    assert cancelled.is_set()
    late = []
    job = jobs.run(lambda: 1)
    job.failed.connect(late.append)
    wait_until(lambda: late)


def test_posts_from_many_threads_all_arrive():
    seen = []
    threads = [
        threading.Thread(target=lambda: [bridge.post(seen.append, 1) for _ in range(200)])
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(seen) == 1600)
    for thread in threads:
        thread.join()


def test_a_post_after_the_end_is_dropped_quietly():
    bridge.stop()
    bridge.post(lambda: pytest.fail("delivered"))
    bridge.start()


class _Emitter(QObject):
    said = Signal(bool)


def test_emitting_keeps_the_references_of_true_and_none():
    """PySide6 6.12.0 on Python 3.10 and 3.11 drops them until the interpreter aborts."""
    emitter, heard = _Emitter(), []
    emitter.said.connect(lambda _value: heard.append(1))
    counts = [sys.getrefcount(True), sys.getrefcount(None)]
    for _ in range(2000):
        emitter.said.emit(True)
    assert len(heard) == 2000
    if sys.version_info < (3, 12):  # from there on they are immortal
        assert abs(sys.getrefcount(True) - counts[0]) < 100
        assert abs(sys.getrefcount(None) - counts[1]) < 100
