"""The identification worker: newest wins, stale answers are dropped, nothing is lost or leaked."""

from __future__ import annotations

import gc
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from songid_desktop.errors import CatalogError
from songid_desktop.identify.worker import Answer, IdentificationWorker, Request
from songid_desktop.paths import Paths
from songid_desktop.types import AudioBlock, CancelToken, Identification, Verdict
from tests.support.guards import WarningLog
from tests.support.identifying import ScriptedEngine, clip, found, wait_for, wait_for_cancel

Act = Callable[[AudioBlock, CancelToken | None], Identification]


def no_match(_audio: AudioBlock, _cancel: CancelToken | None) -> Identification:
    return found(Verdict.NO_MATCH)


class Scripted:
    """A worker over a scripted engine, with everything it delivered."""

    def __init__(self, paths: Paths, act: Act, **options: Any) -> None:
        self.answers: list[Answer] = []
        self.engine: ScriptedEngine | None = None

        def make(_paths: Paths) -> Any:
            self.engine = ScriptedEngine(act)
            return self.engine

        self.worker = IdentificationWorker(paths, self.answers.append, make_engine=make, **options)

    def submit(self, tag: object = None, **values: Any) -> None:
        values.setdefault("generation", self.worker.generation)
        self.worker.submit(Request(audio=clip(), tag=tag, **values))

    def tags(self) -> list[object]:
        return [answer.request.tag for answer in self.answers]


@contextmanager
def scripted(paths: Paths, act: Act = no_match, **options: Any) -> Iterator[Scripted]:
    made = Scripted(paths, act, **options)
    try:
        yield made
    finally:
        made.worker.close()


def test_answers_on_one_thread_of_its_own(paths: Paths) -> None:
    threads = []

    def act(_audio: AudioBlock, _cancel: CancelToken | None) -> Identification:
        threads.append(threading.current_thread())
        return found(Verdict.MATCH, 3)

    with scripted(paths, act) as made:
        for number in range(3):
            made.submit(number)
            wait_for(lambda number=number: len(made.answers) > number)
    assert made.tags() == [0, 1, 2]
    assert made.answers[0].identification is not None
    assert made.answers[0].identification.verdict is Verdict.MATCH
    assert len(set(threads)) == 1
    assert threads[0] is not threading.current_thread()
    assert made.engine is not None
    assert made.engine.is_closed


def test_warms_up_what_it_is_told_to(paths: Paths) -> None:
    with scripted(paths) as made:
        wait_for(lambda: made.engine is not None and made.engine.warmed == ["landmark"])
    with scripted(paths, warm="") as made:
        wait_for(lambda: made.engine is not None and made.engine.refreshed > 0)
        assert made.engine is not None
        assert made.engine.warmed == []


def test_another_identifier_is_made_ready_when_it_is_chosen(paths: Paths) -> None:
    told: list[tuple[str, Exception | None]] = []
    with scripted(paths, on_warm=lambda *what: told.append(what)) as made:
        wait_for(lambda: told == [("landmark", None)])
        made.worker.warm("cnn")
        wait_for(lambda: told == [("landmark", None), ("cnn", None)])
        assert made.engine is not None
        assert made.engine.warmed == ["landmark", "cnn"]


def test_a_request_that_waits_makes_its_identifier_ready_itself(paths: Paths) -> None:
    told: list[str] = []
    begun, go = threading.Event(), threading.Event()

    def act(_audio: AudioBlock, _cancel: CancelToken | None) -> Identification:
        begun.set()
        assert go.wait(10)
        return found(Verdict.NO_MATCH)

    with scripted(paths, act, warm="", on_warm=lambda name, _error: told.append(name)) as made:
        made.submit("first")
        assert begun.wait(10)
        made.worker.warm("cnn")
        made.submit("second", identifier="cnn")
        go.set()
        wait_for(lambda: told == ["cnn"])
        assert made.tags() == ["first", "second"]
        assert made.engine is not None
        assert made.engine.warmed == []


def test_what_can_not_be_made_ready_is_told(paths: Paths, warning_log: WarningLog) -> None:
    warning_log.allow("The library can't be followed at present: no weights")
    told: list[tuple[str, str]] = []

    def fail(_name: str) -> None:
        raise CatalogError("no weights")

    with scripted(paths, warm="", on_warm=lambda n, e: told.append((n, str(e)))) as made:
        wait_for(lambda: made.engine is not None and made.engine.refreshed > 0)
        assert made.engine is not None
        made.engine.warm = fail  # type: ignore[method-assign]
        made.worker.warm("cnn")
        wait_for(lambda: told == [("cnn", "no weights")])
        made.submit("still there")
        wait_for(lambda: made.tags() == ["still there"])


def test_the_newest_request_replaces_the_waiting_one(paths: Paths) -> None:
    go, begun = threading.Event(), threading.Event()

    def act(_audio: AudioBlock, _cancel: CancelToken | None) -> Identification:
        begun.set()
        go.wait(10)
        return found(Verdict.NO_MATCH)

    with scripted(paths, act) as made:
        made.submit("first")
        assert begun.wait(10)
        for tag in ("second", "third", "fourth"):
            made.submit(tag)
        go.set()
        wait_for(lambda: made.worker.is_idle)
    assert made.tags() == ["first", "fourth"]


def test_stale_requests_and_answers_are_dropped(paths: Paths) -> None:
    begun, go = threading.Event(), threading.Event()

    def act(_audio: AudioBlock, _cancel: CancelToken | None) -> Identification:
        begun.set()
        go.wait(10)
        return found(Verdict.MATCH, 1)

    with scripted(paths, act) as made:
        made.submit("running")
        assert begun.wait(10)
        made.submit("waiting")
        old = made.worker.generation
        assert made.worker.bump() == old + 1
        go.set()
        made.submit("too late", generation=old)
        assert made.worker.wait_until_idle(10)
        assert made.answers == []
        made.submit("new")
        wait_for(lambda: made.tags() == ["new"])


@pytest.mark.parametrize("round_number", range(3))
def test_cancel_is_idle_within_200_ms(paths: Paths, round_number: int) -> None:
    with scripted(paths, wait_for_cancel) as made:
        made.submit("long")
        wait_for(lambda: not made.worker.is_idle)
        begun = time.monotonic()
        made.worker.cancel()
        assert made.worker.wait_until_idle(0.2)
        assert time.monotonic() - begun < 0.2
        assert made.answers == []


def test_errors_are_delivered_and_the_worker_goes_on(paths: Paths, warning_log: WarningLog) -> None:
    warning_log.allow("Identification failed")
    wrong = iter([CatalogError("The disk is gone."), ZeroDivisionError("bug"), None])

    def act(_audio: AudioBlock, _cancel: CancelToken | None) -> Identification:
        error = next(wrong)
        if error is not None:
            raise error
        return found(Verdict.NO_MATCH)

    with scripted(paths, act) as made:
        for number in range(3):
            made.submit(number)
            wait_for(lambda number=number: len(made.answers) > number)
    errors = [answer.error for answer in made.answers]
    assert isinstance(errors[0], CatalogError)
    assert isinstance(errors[1], ZeroDivisionError)
    assert errors[2] is None
    assert [answer.identification is None for answer in made.answers] == [True, True, False]


def test_a_receiver_that_fails_does_not_end_the_worker(
    paths: Paths, warning_log: WarningLog
) -> None:
    warning_log.allow("could not be delivered")
    delivered: list[Answer] = []

    def deliver(answer: Answer) -> None:
        delivered.append(answer)
        if len(delivered) == 1:
            raise RuntimeError("window is gone")

    worker = IdentificationWorker(
        paths,
        deliver,
        make_engine=lambda _paths: ScriptedEngine(no_match),  # type: ignore[arg-type,return-value]
    )
    try:
        for count in (1, 2):
            worker.submit(Request(audio=clip()))
            wait_for(lambda count=count: len(delivered) == count)
    finally:
        worker.close()


def test_tells_when_the_catalog_changed(paths: Paths) -> None:
    changes: list[int] = []
    with scripted(paths, on_catalog_change=changes.append) as made:
        wait_for(lambda: made.engine is not None and made.engine.refreshed >= 1)
        assert made.engine is not None
        made.engine.counter = 9
        wait_for(lambda: changes == [9], timeout_s=2.0)
        made.submit("still answers")
        wait_for(lambda: made.tags() == ["still answers"])
    assert changes == [9]


def test_a_catalog_that_can_not_be_followed_is_logged_once(
    paths: Paths, warning_log: WarningLog
) -> None:
    warning_log.allow(re.escape("The library can't be followed at present: gone"))
    engine = ScriptedEngine(no_match)
    engine.refresh_error = CatalogError("gone")
    worker = IdentificationWorker(paths, lambda _answer: None, make_engine=lambda _paths: engine)  # type: ignore[arg-type,return-value]
    try:
        wait_for(lambda: engine.refreshed >= 2, timeout_s=5.0)
    finally:
        worker.close()


def test_a_request_is_a_clip_or_a_file() -> None:
    with pytest.raises(ValueError, match="either"):
        Request()
    with pytest.raises(ValueError, match="either"):
        Request(audio=clip(), path=Path("x.wav"))


def test_submitting_to_a_closed_worker_does_nothing(paths: Paths) -> None:
    with scripted(paths) as made:
        pass
    made.submit("after the end")
    made.worker.close()
    assert made.answers == []


def open_handles() -> int:
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0


def test_hundreds_of_cycles_leak_nothing(paths: Paths) -> None:
    def cycle() -> None:
        with scripted(paths, wait_for_cancel) as made:
            made.submit()
            made.worker.bump()
            made.submit()

    for _ in range(20):
        cycle()
    gc.collect()
    threads, handles, objects = threading.active_count(), open_handles(), len(gc.get_objects())
    for _ in range(300):
        cycle()
    gc.collect()
    assert threading.active_count() == threads
    assert open_handles() == handles
    assert len(gc.get_objects()) - objects < 300, "less than one object a cycle"
