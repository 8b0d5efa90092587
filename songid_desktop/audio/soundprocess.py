"""The program's side of the sound process: asks PortAudio there, and survives what happens to it.

Every question has a time limit. A sound process that does not answer in time is killed, one that
died is noticed, and the next question starts a new one.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from songid_desktop.audio.feed import Feed
from songid_desktop.audio.portaudio import (
    SERVER_DEVICES,
    Device,
    PortAudioMissing,
    StreamSpec,
    describe,
)
from songid_desktop.audio.soundchild import Dead, Receive, Silent, SoundChild
from songid_desktop.audio.wire import Kind, Message
from songid_desktop.errors import Cancelled, DeviceError
from songid_desktop.types import FloatArray

_PATIENCE_S = 3.0
_MOST_PATIENCE_S = 12.0
"""A headset that changes from music to speech can take seconds to open, so each answer that was
not waited for doubles the patience."""
_CLOSING_S = 1.0

_log = logging.getLogger(__name__)


class SoundProcessLost(DeviceError):
    """PortAudio hung or crashed; the next question starts it anew."""


class SoundProcess:
    """PortAudio in a process of its own, started when first asked; one stream at a time.

    For use from one thread, but for `fade` and `kill`.

    Parameters
    ----------
    is_cancelled : callable
        Asked while waiting for an answer; true ends the waiting with `Cancelled`.
    """

    def __init__(self, is_cancelled: Callable[[], bool] = lambda: False) -> None:
        self._is_cancelled = is_cancelled
        self._child: SoundChild | None = None
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
            self._child = SoundChild()
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

    def find_server_device(self, *, is_output: bool = False) -> int | None:
        """Index of the ALSA plugin that leads to the sound server, or None."""
        found = {
            device.label: device.index
            for device in self.devices()
            if (device.outputs if is_output else device.inputs) > 0
        }
        names = (*SERVER_DEVICES, "default") if is_output else SERVER_DEVICES
        return next((found[name] for name in names if name in found), None)

    def open_input(self, spec: StreamSpec, feed: Feed) -> int:
        """Open and start a stream of float32 frames into `feed`; its number.

        Raises
        ------
        DeviceError
            When the device refuses; PortAudio's words are in the sentence.
        SoundProcessLost
            When PortAudio hangs or crashes over it.
        """

        def hear(message: Message) -> None:
            frames = np.frombuffer(message.body, np.float32).reshape(-1, spec.channels)
            feed.take(frames, message.at, has_overflow=message.flag)

        return self._open(spec, hear, is_input=True)[0]

    def open_output(
        self, spec: StreamSpec, on_played: Callable[[int, bool], None]
    ) -> tuple[int, float]:
        """Open and start a stream that plays what `play` gives it, and silence; its number and its
        latency (s).

        Parameters
        ----------
        on_played : callable
            Told of the frames played so far, and whether it has faded to silence, after every
            block, on another thread.

        Raises
        ------
        DeviceError, SoundProcessLost
        """
        number, facts = self._open(
            spec, lambda message: on_played(message.frames, message.flag), is_input=False
        )
        return number, float(facts["latency_s"])

    def _open(
        self, spec: StreamSpec, receive: Receive, *, is_input: bool
    ) -> tuple[int, dict[str, Any]]:
        self.start()
        child = self._child
        assert child is not None
        self._numbers += 1
        number = self._numbers
        question = {
            "do": "open",
            "number": number,
            "is_input": is_input,
            "options": {
                "samplerate": spec.rate,
                "blocksize": spec.block_frames,
                "device": spec.device,
                "channels": spec.channels,
                "latency": spec.latency_s,
            },
            "env": dict(spec.env),
        }
        child.connect(number, receive)
        try:
            return number, self._ask(question, stream=number)
        except BaseException:
            child.disconnect()
            raise

    def play(self, number: int, frames: FloatArray) -> None:
        """Have stream `number` play `frames` (float32, shape (n, channels)) after what it has."""
        if self._child is not None:
            self._child.tell(Message(Kind.SOUND, number, frames=len(frames), body=frames.tobytes()))

    def fade(self, number: int) -> None:
        """Let stream `number` fall silent without a click. From any thread."""
        child = self._child
        if child is not None:
            child.tell(Message(Kind.FADE, number))

    def close_stream(self) -> None:
        """Close the stream; what is not played yet is dropped. When this returns, nothing comes
        from it any more."""
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
        except Silent:
            self.kill()
            self._patience_s = min(2 * self._patience_s, _MOST_PATIENCE_S)
            _log.info("The sound process did not answer (%s) and was ended", question["do"])
            raise SoundProcessLost("The sound system does not answer.") from None
        except Dead:
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
