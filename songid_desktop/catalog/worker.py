"""A worker process of enrolment: takes one file at a time, holds nothing.

It has no database, writes no file, and may be killed at any instant. It ends by itself when the
process that started it is gone, however that went: the pipe from it closes.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import sys
import threading
import time
from collections.abc import Sequence
from typing import BinaryIO

from songid_desktop.catalog import protocol
from songid_desktop.catalog.stages import Refused, examine, fingerprint_file
from songid_desktop.types import FileProblem, Fingerprinter

_BEAT_EVERY_S = 0.25
_NICENESS = 10


def serve() -> None:
    """Work until the pipe on standard input closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    inbox, outbox = _take_over_pipes()
    setup = protocol.read_message(inbox)
    if not isinstance(setup, protocol.Setup):
        return
    if setup.is_low_priority and hasattr(os, "nice"):
        os.nice(_NICENESS)
    try:
        fingerprinters: Sequence[Fingerprinter] = pickle.loads(setup.fingerprinters)  # noqa: S301 (from our own process)
    except Exception as error:  # noqa: BLE001 (told to the parent)
        protocol.write_message(outbox, protocol.Unfit(f"{type(error).__name__}: {error}"))
        return
    worker = _Worker(outbox, {item.name: item for item in fingerprinters})
    threading.Thread(target=worker.listen, args=(inbox,), daemon=True).start()
    protocol.write_message(outbox, protocol.Ready())
    worker.run()


def _take_over_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Our pipes, moved out of the way of any library that prints."""
    inbox, outbox = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return inbox, outbox


class _Worker:
    def __init__(self, outbox: BinaryIO, fingerprinters: dict[str, Fingerprinter]) -> None:
        self._outbox = outbox
        self._fingerprinters = fingerprinters
        self._tasks: queue.SimpleQueue[protocol.Task] = queue.SimpleQueue()
        self._may_run = threading.Event()
        self._may_run.set()
        self._last_beat = 0.0

    def listen(self, inbox: BinaryIO) -> None:
        """On a thread of its own, so that the parent's end is noticed in the middle of a file."""
        while (message := protocol.read_message(inbox)) is not None:
            if isinstance(message, protocol.Task):
                self._tasks.put(message)
            elif isinstance(message, protocol.SetPaused):
                (self._may_run.clear if message.is_paused else self._may_run.set)()
        os._exit(0)

    def run(self) -> None:
        while True:
            task = self._tasks.get()
            try:
                result: protocol.Result = self._do(task)
            except Exception as error:  # noqa: BLE001 (any file may upset any library: told, not fatal)
                result = Refused(
                    FileProblem.CORRUPT,
                    f"The file can't be read ({type(error).__name__}: {error}).",
                )
            try:
                protocol.write_message(self._outbox, result)
            except OSError:
                sys.exit(0)

    def _do(self, task: protocol.Task) -> protocol.Result:
        self._last_beat = 0.0
        self._may_run.wait()
        if task.identifiers is None:
            return examine(task.path, beat=self._beat)
        chosen = [self._fingerprinters[name] for name in task.identifiers]
        return fingerprint_file(task.path, chosen, beat=self._beat)

    def _beat(self, decoded_s: float) -> None:
        """Between two blocks of sound: the place to tell how far we are, and to stand still."""
        self._may_run.wait()
        now = time.monotonic()
        if now - self._last_beat >= _BEAT_EVERY_S:
            self._last_beat = now
            protocol.write_message(self._outbox, protocol.Beat(decoded_s))
