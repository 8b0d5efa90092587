"""The sound process: PortAudio in a process of its own, which may hang, crash or be killed.

A sound server that dies at the moment a stream starts leaves PortAudio waiting for ever, and
nothing frees a library from that but the end of its process. So the program never calls PortAudio
itself: it asks this process (`soundprocess`), and kills it when it does not answer.

It ends by itself when the process that started it is gone, however that went: the pipe from it
closes. Besides the standard library only sounddevice is imported, so that it starts in a tenth of
a second.
"""

from __future__ import annotations

import array
import collections
import contextlib
import ctypes
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, BinaryIO

from songid_desktop.audio import wire
from songid_desktop.audio.wire import Kind, Message

_MOST_WAITING = 1_500
"""Blocks kept for a program that does not read (30 s of them); what comes then is lost, and the
program counts it as lost against the clock."""

_alsa_handler: Any = None


def serve() -> None:
    """Answer until the pipe on standard input closes."""
    inbox, outbox = _take_over_pipes()
    answers: queue.SimpleQueue[Message] = queue.SimpleQueue()
    questions: queue.SimpleQueue[Message] = queue.SimpleQueue()
    worker = _Worker(answers)
    threading.Thread(target=_listen, args=(inbox, questions, worker), daemon=True).start()
    threading.Thread(target=_speak, args=(outbox, answers), daemon=True).start()
    worker.get_ready()
    while True:
        question = questions.get()
        answers.put(wire.compose(Kind.ANSWER, question.number, worker.answer(question.facts())))


def _take_over_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Our pipes, moved out of the way of any library that prints."""
    inbox, outbox = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return inbox, outbox


def _listen(inbox: BinaryIO, questions: queue.SimpleQueue[Message], worker: _Worker) -> None:
    """On a thread of its own, so that the program's end is noticed while PortAudio hangs."""
    while (message := wire.read(inbox)) is not None:
        if message.kind is Kind.ASK:
            questions.put(message)
        else:
            worker.take(message)
    os._exit(0)


def _speak(outbox: BinaryIO, answers: queue.SimpleQueue[Message]) -> None:
    """On a thread of its own, so that PortAudio's never waits for the pipe."""
    try:
        while True:
            wire.write(outbox, answers.get())
    except OSError:
        os._exit(0)


class _Worker:
    """PortAudio, with at most one stream."""

    def __init__(self, outbox: queue.SimpleQueue[Message]) -> None:
        self._outbox = outbox
        self._sound: ModuleType | None = None
        self._stream: Any = None
        self._playing: _Playing | None = None

    def take(self, message: Message) -> None:
        """Sound to play, or the end of it; from the thread that listens to the program."""
        playing = self._playing
        if playing is None or playing.number != message.number:
            return
        if message.kind is Kind.SOUND:
            playing.waiting.append(message.body)
        else:
            playing.is_fading = True

    def get_ready(self) -> None:
        """Load PortAudio before anything is asked."""
        with contextlib.suppress(Exception):  # said in answer to the first question
            self._module()

    def answer(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """Do as asked; ``{"missing": words}`` without PortAudio, ``{"error": words}`` when it
        refuses."""
        try:
            sound = self._module()
        except OSError as error:
            return {"missing": _words(error)}
        except Exception as error:  # noqa: BLE001 - told to the program
            return {"error": _words(error)}
        act: Callable[[ModuleType, Mapping[str, Any]], dict[str, Any]] = {
            "list": self._list,
            "refresh": self._refresh,
            "open": self._open,
            "close": self._close,
        }[question["do"]]
        try:
            return act(sound, question)
        except Exception as error:  # noqa: BLE001 - told to the program
            return {"error": _words(error)}

    def _module(self) -> ModuleType:
        """sounddevice; importing it initialises PortAudio."""
        if self._sound is None:
            _silence_alsa()
            import sounddevice

            self._sound = sounddevice
        return self._sound

    @staticmethod
    def _list(sound: ModuleType, _question: Mapping[str, Any]) -> dict[str, Any]:
        return {"devices": list(sound.query_devices()), "host_apis": list(sound.query_hostapis())}

    def _refresh(self, sound: ModuleType, question: Mapping[str, Any]) -> dict[str, Any]:
        """Start PortAudio anew, so that it sees the devices there are now."""
        self._close(sound, question)
        while sound._initialized:
            sound._terminate()
        sound._initialize()
        return self._list(sound, question)

    def _open(self, sound: ModuleType, question: Mapping[str, Any]) -> dict[str, Any]:
        self._close(sound, question)
        os.environ.update(question["env"])
        number = question["number"]
        common = {
            **question["options"],
            "dtype": "float32",
            # It is called too when the stream dies while it starts, which PortAudio's own call
            # can miss and then wait for ever: the program hears of it and need not wait.
            "finished_callback": lambda: self._outbox.put(Message(Kind.ENDED, number)),
            "clip_off": True,
            "dither_off": True,
        }
        if question["is_input"]:
            stream = sound.RawInputStream(callback=self._hearing(number), **common)
        else:
            self._playing = _Playing(number, self._outbox)
            stream = sound.RawOutputStream(callback=self._playing, **common)
        try:
            stream.start()
        except Exception:
            stream.close()
            raise
        self._stream = stream
        return {"latency_s": stream.latency}

    def _hearing(self, number: int) -> Callable[..., None]:
        """PortAudio's callback for a stream: copies and returns."""
        outbox, now = self._outbox, time.monotonic

        def hear(data: Any, frames: int, _time: Any, status: Any) -> None:
            if outbox.qsize() < _MOST_WAITING:
                has_overflow = bool(status.input_overflow)
                outbox.put(Message(Kind.SOUND, number, now(), frames, has_overflow, bytes(data)))

        return hear

    def _close(self, _sound: ModuleType, _question: Mapping[str, Any]) -> dict[str, Any]:
        self._playing = None
        stream, self._stream = self._stream, None
        if stream is not None:
            with contextlib.suppress(Exception):  # of a dead stream
                stream.abort()
            stream.close()
        return {}


class _Playing:
    """What a stream plays: sound put in by one thread, taken by PortAudio's callback."""

    def __init__(self, number: int, outbox: queue.SimpleQueue[Message]) -> None:
        self.number = number
        self.waiting: collections.deque[bytes] = collections.deque()
        self.is_fading = False
        self._outbox = outbox
        self._used = 0
        """Bytes of the first piece that are played already."""
        self._played = 0
        self._is_silent = False

    def __call__(self, output: Any, frames: int, _time: Any, _status: Any) -> None:
        """PortAudio's callback: fills `output` and returns."""
        size = len(output)
        filled = 0 if self._is_silent else self._fill(output, size)
        if filled < size:
            output[filled:size] = bytes(size - filled)
        self._played += filled * frames // size
        if self.is_fading and not self._is_silent:
            _fade(output, frames)
            self._is_silent = True
        if self._outbox.qsize() < _MOST_WAITING:
            self._outbox.put(Message(Kind.PLAYED, self.number, 0.0, self._played, self._is_silent))

    def _fill(self, output: Any, size: int) -> int:
        filled = 0
        while filled < size and self.waiting:
            piece = self.waiting[0]
            count = min(size - filled, len(piece) - self._used)
            output[filled : filled + count] = piece[self._used : self._used + count]
            filled += count
            self._used += count
            if self._used == len(piece):
                self.waiting.popleft()
                self._used = 0
        return filled


def _fade(output: Any, frames: int) -> None:
    """Turn a block down from full to nothing."""
    samples = array.array("f", bytes(output))
    channels = len(samples) // frames
    for at in range(len(samples)):
        samples[at] *= 1.0 - (at // channels + 1) / frames
    output[0 : len(output)] = samples.tobytes()


def _silence_alsa() -> None:
    """Keep libasound from writing to the terminal about every device that does not exist."""
    global _alsa_handler  # noqa: PLW0603 - must live as long as libasound does
    if _alsa_handler is not None or not sys.platform.startswith("linux"):
        return
    prototype = ctypes.CFUNCTYPE(
        None, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p
    )
    _alsa_handler = prototype(lambda *_: None)
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libasound.so.2").snd_lib_error_set_handler(_alsa_handler)


def _words(error: Exception) -> str:
    """PortAudio's own words for what went wrong, without the code."""
    first = error.args[0] if error.args else error
    return str(first).split(" [", 1)[0].rstrip(".") or type(error).__name__
