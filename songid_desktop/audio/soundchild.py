"""One sound process: its pipes, and the threads that talk and listen to it."""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from songid_desktop.audio import wire
from songid_desktop.audio.wire import Kind, Message
from songid_desktop.errors import Cancelled, DeviceError

ARGUMENT = "--sound-worker"
"""What a frozen program is started with to be the sound process; see `__main__`."""

_BOOTSTRAP = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[1]);"
    "from songid_desktop.audio.soundworker import serve; serve()"
)
_AFTER_END_S = 0.25
"""How long PortAudio may still take to say that the stream it was starting has died."""
_AFTER_CANCEL_S = 0.1
_GLANCE_S = 0.02
_BURIAL_S = 1.0

Receive = Callable[[Message], None]


class Silent(Exception):
    """The sound process did not answer in time."""


class Dead(Exception):
    """The sound process is gone."""


class SoundChild:
    """One process, the thread that listens to it, and the one that talks to it.

    Raises
    ------
    DeviceError
        When it can't be started.
    """

    def __init__(self) -> None:
        self.is_dead = False
        self.ended: set[int] = set()
        self._answers: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._asked = 0
        self._delivery = threading.Lock()
        self._receiver: tuple[int, Receive] | None = None
        self._outbox: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        try:
            self.process = subprocess.Popen(
                [sys.executable, *_arguments()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                # PortAudio and libasound write about every device that does not exist.
                stderr=subprocess.DEVNULL,
                # Ctrl+C in a terminal is for us, who then end this process.
                start_new_session=True,
                creationflags=_creation_flags(),
            )
        except OSError as error:
            reason = error.strerror or str(error)
            raise DeviceError(
                f"The part of the program that records and plays can't be started ({reason}). Close"
                " other programs."
            ) from error
        self._threads = (
            threading.Thread(target=self._listen, name="sound-listener", daemon=True),
            # A process that stands still takes nothing from its pipe, and who talks to it waits.
            threading.Thread(target=self._speak, name="sound-speaker", daemon=True),
        )
        for thread in self._threads:
            thread.start()

    def connect(self, number: int, receive: Receive) -> None:
        """From now on `receive` gets what comes from stream `number`, on a thread of this."""
        with self._delivery:
            self._receiver = (number, receive)
            self.ended.clear()

    def disconnect(self) -> None:
        """Nobody gets anything once this has returned."""
        with self._delivery:
            self._receiver = None

    def tell(self, message: Message) -> None:
        """Send a message; never waits."""
        self._outbox.put(message)

    def ask(
        self,
        question: Mapping[str, Any],
        limit_s: float,
        is_cancelled: Callable[[], bool],
        stream: int | None,
    ) -> dict[str, Any]:
        """The answer; `stream` is the one that the question opens.

        Raises
        ------
        Silent, Dead, Cancelled
        """
        self._asked += 1
        self.tell(wire.compose(Kind.ASK, self._asked, question))
        deadline = time.monotonic() + limit_s
        while True:
            with contextlib.suppress(queue.Empty):
                answer = self._answers.get(timeout=_GLANCE_S)
                if answer is None:
                    raise Dead
                if answer.number == self._asked:
                    return answer.facts()
                continue
            now = time.monotonic()
            if now >= deadline:
                raise Cancelled if is_cancelled() else Silent
            if is_cancelled():
                deadline = min(deadline, now + _AFTER_CANCEL_S)
            elif stream in self.ended:
                deadline = min(deadline, now + _AFTER_END_S)

    def _listen(self) -> None:
        pipe = self.process.stdout
        assert pipe is not None
        with contextlib.suppress(OSError, ValueError):
            while (message := wire.read(pipe)) is not None:  # type: ignore[arg-type]
                if message.kind is Kind.ANSWER:
                    self._answers.put(message)
                elif message.kind is Kind.ENDED:
                    self.ended.add(message.number)
                else:
                    self._deliver(message)
        self.is_dead = True
        self._answers.put(None)

    def _deliver(self, message: Message) -> None:
        with self._delivery:
            if self._receiver is not None and self._receiver[0] == message.number:
                self._receiver[1](message)

    def _speak(self) -> None:
        pipe = self.process.stdin
        assert pipe is not None
        with contextlib.suppress(OSError, ValueError):  # its end is noticed by who listens
            while (message := self._outbox.get()) is not None:
                wire.write(pipe, message)  # type: ignore[arg-type]

    def bury(self) -> None:
        """Kill the process, wait for its end and let go of its pipes."""
        self.is_dead = True
        self.disconnect()
        self.process.kill()
        self._outbox.put(None)
        try:
            self.process.wait(_BURIAL_S)
        except subprocess.TimeoutExpired:
            return  # held up inside the system: it will end later
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(_BURIAL_S)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


def _arguments() -> list[str]:
    if getattr(sys, "frozen", False):  # a frozen program is its own interpreter, see __main__
        return [ARGUMENT]
    search_path = [str(Path(entry).absolute()) for entry in sys.path]
    return ["-c", _BOOTSTRAP, json.dumps(search_path)]


def _creation_flags() -> int:
    if sys.platform == "win32":
        return subprocess.CREATE_NO_WINDOW
    return 0
