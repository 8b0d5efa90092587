"""The program's side of the sound process: asks PortAudio there, and survives what happens to it.

Every question has a time limit. A sound process that does not answer in time is killed, one that
died is noticed, and the next question starts a new one.
"""

from __future__ import annotations

import contextlib
import json
import logging
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from songid_desktop.audio import wire
from songid_desktop.audio.feed import Feed
from songid_desktop.audio.portaudio import (
    SERVER_DEVICES,
    Device,
    PortAudioMissing,
    StreamSpec,
    describe,
)
from songid_desktop.audio.wire import Kind, Message
from songid_desktop.errors import Cancelled, DeviceError

ARGUMENT = "--sound-worker"
"""What a frozen program is started with to be the sound process; see `__main__`."""

_BOOTSTRAP = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[1]);"
    "from songid_desktop.audio.soundworker import serve; serve()"
)
_PATIENCE_S = 3.0
_MOST_PATIENCE_S = 12.0
"""A headset that changes from music to speech can take seconds to open, so each answer that was
not waited for doubles the patience."""
_CLOSING_S = 1.0
_AFTER_END_S = 0.25
"""How long PortAudio may still take to say that the stream it was starting has died."""
_AFTER_CANCEL_S = 0.1
_GLANCE_S = 0.02
_BURIAL_S = 1.0

_log = logging.getLogger(__name__)


class SoundProcessLost(DeviceError):
    """PortAudio hung or crashed; the next question starts it anew."""


class _Silent(Exception):
    """The sound process did not answer in time."""


class _Dead(Exception):
    """The sound process is gone."""


class SoundProcess:
    """PortAudio in a process of its own, started when first asked; one stream at a time.

    For use from one thread, but for `kill`.

    Parameters
    ----------
    is_cancelled : callable
        Asked while waiting for an answer; true ends the waiting with `Cancelled`.
    """

    def __init__(self, is_cancelled: Callable[[], bool] = lambda: False) -> None:
        self._is_cancelled = is_cancelled
        self._child: _Child | None = None
        self._devices: tuple[Device, ...] | None = None
        self._patience_s = _PATIENCE_S
        self._numbers = 0

    @property
    def pid(self) -> int | None:
        """Process number, if it runs."""
        child = self._child
        return child.process.pid if child is not None and not child.is_dead else None

    def start(self) -> None:
        """Start the process if it does not run, without waiting for it.

        Raises
        ------
        DeviceError
            When it can't be started.
        """
        if self._child is None or self._child.is_dead:
            self.kill()
            self._child = _Child()
            self._devices = None

    def devices(self) -> tuple[Device, ...]:
        """The devices that PortAudio knew when it was last (re)started."""
        self.start()
        if self._devices is None:
            self._devices = _described(self._ask({"do": "list"}))
        return self._devices

    def refresh(self) -> None:
        """Start PortAudio anew, so that it sees the devices there are now. Ends the stream."""
        self.start()
        if self._devices is None:  # a new process, which looks by itself
            self.devices()
        else:
            self._devices = _described(self._ask({"do": "refresh"}))

    def find_device(self, name: str) -> Device | None:
        """The input of that stable name."""
        return next((device for device in self.devices() if device.name == name), None)

    def find_server_device(self) -> int | None:
        """Index of the ALSA plugin that leads to the sound server, or None."""
        found = {device.label: device.index for device in self.devices() if device.inputs > 0}
        return next((found[name] for name in SERVER_DEVICES if name in found), None)

    def open_input(self, spec: StreamSpec, feed: Feed) -> int:
        """Open and start a stream of float32 frames into `feed`; its number.

        Raises
        ------
        DeviceError
            When the device refuses; PortAudio's words are in the sentence.
        SoundProcessLost
            When PortAudio hangs or crashes over it.
        """
        self.start()
        assert self._child is not None
        self._numbers += 1
        number = self._numbers
        options = {
            "samplerate": spec.rate,
            "blocksize": spec.block_frames,
            "device": spec.device,
            "channels": spec.channels,
            "latency": spec.latency_s,
        }
        self._child.connect(number, feed, spec.channels)
        question = {"do": "open", "number": number, "options": options, "env": dict(spec.env)}
        try:
            self._ask(question, stream=number)
        except BaseException:
            if self._child is not None:
                self._child.disconnect()
            raise
        return number

    def close_stream(self) -> None:
        """Close the stream. When this returns, its feed is not written to any more."""
        child = self._child
        if child is None:
            return
        child.disconnect()
        if child.is_dead:
            self.kill()
            return
        with contextlib.suppress(DeviceError):
            self._ask({"do": "close"}, limit_s=_CLOSING_S, may_cancel=False)

    def is_active(self, number: int) -> bool:
        """Whether that stream still runs; a server's death ends it, and so does the process's."""
        child = self._child
        return child is not None and not child.is_dead and number not in child.ended

    def kill(self) -> None:
        """End the process at once, whatever it is doing. From any thread."""
        child, self._child = self._child, None
        if child is not None:
            child.bury()

    # -- asking ------------------------------------------------------------------------------

    def _ask(
        self,
        question: Mapping[str, Any],
        *,
        stream: int | None = None,
        limit_s: float = 0.0,
        may_cancel: bool = True,
    ) -> dict[str, Any]:
        child = self._child
        assert child is not None
        is_cancelled = self._is_cancelled if may_cancel else lambda: False
        if is_cancelled():
            raise Cancelled
        try:
            answer = child.ask(question, limit_s or self._patience_s, is_cancelled, stream)
        except Cancelled:
            self.kill()
            raise
        except _Silent:
            self.kill()
            self._patience_s = min(2 * self._patience_s, _MOST_PATIENCE_S)
            _log.info("The sound process did not answer (%s) and was ended", question["do"])
            raise SoundProcessLost("The sound system does not answer.") from None
        except _Dead:
            self.kill()
            if is_cancelled():
                raise Cancelled from None
            _log.info("The sound process died (%s)", question["do"])
            raise SoundProcessLost("The sound system broke down.") from None
        if "missing" in answer:
            raise PortAudioMissing
        if "error" in answer:
            raise DeviceError(_sentence(question["do"], answer["error"]))
        self._patience_s = _PATIENCE_S
        return answer


def list_devices() -> tuple[Device, ...]:
    """All devices there are now, asked for in a process of its own: PortAudio reads its list only
    when it starts, and a new start would cost a running stream.

    Raises
    ------
    DeviceError
        When PortAudio is missing or does not answer.
    """
    process = SoundProcess()
    try:
        return process.devices()
    finally:
        process.kill()


def _described(answer: Mapping[str, Any]) -> tuple[Device, ...]:
    return describe(answer["devices"], answer["host_apis"])


def _sentence(act: str, words: str) -> str:
    if act == "open":
        return f"The device could not be opened: {words}."
    return f"The sound system could not be started: {words}."


class _Child:
    """One process and the thread that listens to it."""

    def __init__(self) -> None:
        self.is_dead = False
        self.ended: set[int] = set()
        self._answers: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._asked = 0
        self._delivery = threading.Lock()
        self._stream: tuple[int, Feed, int] | None = None
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
                f"The part of the program that records can't be started ({reason}). Close other"
                " programs."
            ) from error
        self._thread = threading.Thread(target=self._listen, name="sound-listener", daemon=True)
        self._thread.start()

    def connect(self, number: int, feed: Feed, channels: int) -> None:
        """From now on the sound of stream `number` goes to `feed`."""
        with self._delivery:
            self._stream = (number, feed, channels)
            self.ended.clear()

    def disconnect(self) -> None:
        """No feed gets anything once this has returned."""
        with self._delivery:
            self._stream = None

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
        _Silent, _Dead, Cancelled
        """
        self._asked += 1
        try:
            assert self.process.stdin is not None
            wire.write(self.process.stdin, wire.tell(Kind.ASK, self._asked, question))  # type: ignore[arg-type]
        except (OSError, ValueError):
            raise _Dead from None
        deadline = time.monotonic() + limit_s
        while True:
            with contextlib.suppress(queue.Empty):
                answer = self._answers.get(timeout=_GLANCE_S)
                if answer is None:
                    raise _Dead
                if answer.number == self._asked:
                    return answer.facts()
                continue
            now = time.monotonic()
            if now >= deadline:
                raise Cancelled if is_cancelled() else _Silent
            if is_cancelled():
                deadline = min(deadline, now + _AFTER_CANCEL_S)
            elif stream in self.ended:
                deadline = min(deadline, now + _AFTER_END_S)

    def _listen(self) -> None:
        pipe = self.process.stdout
        assert pipe is not None
        with contextlib.suppress(OSError, ValueError):
            while (message := wire.read(pipe)) is not None:  # type: ignore[arg-type]
                if message.kind is Kind.SOUND:
                    self._deliver(message)
                elif message.kind is Kind.ENDED:
                    self.ended.add(message.number)
                else:
                    self._answers.put(message)
        self.is_dead = True
        self._answers.put(None)

    def _deliver(self, message: Message) -> None:
        with self._delivery:
            if self._stream is None or self._stream[0] != message.number:
                return
            _, feed, channels = self._stream
            frames = np.frombuffer(message.body, np.float32).reshape(-1, channels)
            feed.take(frames, message.at, has_overflow=message.has_overflow)

    def bury(self) -> None:
        """Kill the process, wait for its end and let go of its pipes."""
        self.is_dead = True
        self.disconnect()
        self.process.kill()
        try:
            self.process.wait(_BURIAL_S)
        except subprocess.TimeoutExpired:
            return  # held up inside the system: it will end later
        if self._thread is not threading.current_thread():
            self._thread.join(_BURIAL_S)
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
