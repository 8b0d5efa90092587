"""Hundreds of listenings leave nothing behind."""

from __future__ import annotations

import gc
import queue
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from songid_desktop.audio.capture import Capture, CaptureState
from songid_desktop.audio.decode import decode
from songid_desktop.audio.ring import Ring
from songid_desktop.identify.session import ListeningSession
from songid_desktop.identify.worker import Answer, IdentificationWorker, Request
from songid_desktop.paths import base_dir_paths
from tests.bench.common import resident_bytes
from tests.support.guards import open_handles
from tests.support.music import TuneLibrary
from tests.support.sound import PrivateSoundServer, wait_until

pytestmark = pytest.mark.slow

RATE_HZ = 48_000


def grows(cycle: Callable[[], None], warm_up: int, cycles: int) -> tuple[int, int, float]:
    """By how many threads, handles and MB the process grows over `cycles` after a `warm_up`."""

    def now() -> tuple[int, int, int]:
        gc.collect()
        return threading.active_count(), len(open_handles()), resident_bytes()

    for _ in range(warm_up):
        cycle()
    before = now()
    for _ in range(cycles):
        cycle()
    after = now()
    return after[0] - before[0], after[1] - before[1], (after[2] - before[2]) / 1e6


def test_listening_over_and_over_leaks_nothing(library: TuneLibrary) -> None:
    """Session, worker, looks and answers, from press to match; the sound is written faster than
    it would play."""
    music = decode(library.tunes[0], RATE_HZ, length_s=12).samples
    answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
    worker = IdentificationWorker(base_dir_paths(library.base_dir), answers.put)
    ring = Ring(RATE_HZ)

    def listen() -> None:
        session = ListeningSession(ring)
        generation = worker.bump()
        for begin in range(0, len(music), RATE_HZ // 2):
            ring.write(np.ascontiguousarray(music[begin : begin + RATE_HZ // 2]))
            audio = session.due()
            if audio is None:
                continue
            worker.submit(Request(audio, generation=generation))
            answer = answers.get(timeout=20)
            assert answer.identification, answer.error
            session.take(answer.identification, audio)
            if session.is_done:
                return
        raise AssertionError("no match in 12 s")

    try:
        threads, handles, megabytes = grows(listen, warm_up=60, cycles=300)
    finally:
        worker.close()
    assert (threads, handles) == (0, 0)
    assert megabytes < 15


@pytest.mark.sound
def test_opening_the_microphone_over_and_over_leaks_nothing(
    server: PrivateSoundServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in server.own_env.items():
        monkeypatch.setenv(name, value)
    at_rest = server.recording_count()
    capture = Capture()

    def open_and_close() -> None:
        capture.start()
        wait_until(
            lambda: capture.status.state is CaptureState.RUNNING and capture.ring.position > 0, 20
        )
        capture.stop()

    try:
        threads, handles, megabytes = grows(open_and_close, warm_up=10, cycles=60)
    finally:
        capture.close()
    assert threads <= 0
    assert handles <= 2
    assert megabytes < 15
    wait_until(lambda: server.recording_count() == at_rest, 5)
