"""Plays a local file from any offset, in stereo, through the default output.

One thread decodes a little ahead into a queue; PortAudio's callback takes from it. A sound server
that restarts costs a short silence.
"""

from __future__ import annotations

import atexit
import logging
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from songid_desktop.audio import devices, portaudio
from songid_desktop.audio.decode import open_audio
from songid_desktop.audio.resample import StreamResampler
from songid_desktop.errors import AudioFileError, Cancelled, DeviceError
from songid_desktop.types import FloatArray

_RATES = (48_000, 44_100, 96_000)
_BLOCK_S = 0.02
_LATENCY_S = 0.06
_AHEAD_S = 2.0
_WAIT_S = 0.02
_FADE_WAIT_S = 0.06
_GIVE_UP_AFTER_S = 5.0
_STOP_WAIT_S = 0.1

_log = logging.getLogger(__name__)


class _Queue:
    """Stereo frames on their way from the decoding thread to the callback; one writer, one
    reader, no locks."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._data = np.zeros((round(_AHEAD_S * rate), 2), np.float32)
        self._written = 0
        self.played = 0
        self.is_ending = False
        self.is_stopped = False
        self.is_silent = False

    @property
    def free(self) -> int:
        return len(self._data) - (self._written - self.played)

    @property
    def is_drained(self) -> bool:
        return self.is_ending and self.played == self._written

    def put(self, frames: FloatArray) -> None:
        """Append frames, shape (n, 2), n at most `free`."""
        at = self._written % len(self._data)
        first = min(len(frames), len(self._data) - at)
        self._data[at : at + first] = frames[:first]
        self._data[: len(frames) - first] = frames[first:]
        self._written += len(frames)

    def __call__(
        self, output: npt.NDArray[np.float32], count: int, _time: Any, _status: Any
    ) -> None:
        """PortAudio's callback: fill `output`, float32, shape (count, 2)."""
        if self.is_silent:
            output.fill(0.0)
            return
        ready = min(count, self._written - self.played)
        at = self.played % len(self._data)
        first = min(ready, len(self._data) - at)
        output[:first] = self._data[at : at + first]
        output[first:ready] = self._data[: ready - first]
        output[ready:] = 0.0
        self.played += ready
        if self.is_stopped:  # one block of fading, against the click
            output *= np.linspace(1.0, 0.0, count, dtype=np.float32)[:, None]
            self.is_silent = True


class Player:
    """Plays one file at a time through the default output.

    Parameters
    ----------
    on_end : callable or None
        Called on the player's own thread with "" when a track came to its end, or with a sentence
        when it could not be played (on). Not called after `stop`, nor for a track that another
        `play` replaced.
    """

    def __init__(self, on_end: Callable[[str], None] | None = None) -> None:
        self._on_end = on_end
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._idle = threading.Event()
        self._idle.set()
        self._cancel = threading.Event()
        self._request: tuple[Path, float] | None = None
        self._playing: Path | None = None
        self._start_s = 0.0
        self._queue: _Queue | None = None
        self._delay_s = 0.0
        self._is_closed = False
        self._thread: threading.Thread | None = None
        _close_at_exit(self)

    @property
    def playing(self) -> Path | None:
        """The file being played, or about to be."""
        return self._playing

    @property
    def position_s(self) -> float:
        """Where in the track what is heard now stands (s); 0.0 when nothing plays."""
        queue = self._queue
        if self._playing is None:
            return 0.0
        if queue is None:
            return self._start_s
        return self._start_s + max(0.0, queue.played / queue.rate - self._delay_s)

    def play(self, path: Path, start_s: float = 0.0) -> None:
        """Play `path` from `start_s`, instead of what plays now. Returns at once."""
        with self._lock:
            if self._is_closed:
                raise RuntimeError("the player is closed")
            self._interrupt()
            self._request = (path, max(0.0, start_s))
            self._playing, self._start_s = path, max(0.0, start_s)
            self._idle.clear()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="player", daemon=True)
                self._thread.start()
            self._wake.set()

    def stop(self) -> None:
        """Fall silent within 100 ms."""
        with self._lock:
            self._interrupt()
        if threading.current_thread() is not self._thread:
            self._idle.wait(_STOP_WAIT_S)

    def close(self) -> None:
        """Stop and end the player's thread; may be called twice."""
        with self._lock:
            self._is_closed = True
            self._interrupt()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(2 * _STOP_WAIT_S)

    def _interrupt(self) -> None:
        self._cancel.set()
        self._cancel = threading.Event()
        self._request = None
        self._playing = None
        if self._queue is not None:
            self._queue.is_stopped = True
        self._wake.set()

    # -- the player's own thread -------------------------------------------------------------

    def _run(self) -> None:
        while True:
            self._wake.wait()
            with self._lock:
                self._wake.clear()
                request, self._request = self._request, None
                cancel = self._cancel
                if request is None:
                    self._idle.set()
                    if self._is_closed:
                        return
                    continue
            sentence = self._play_one(*request, cancel)
            with self._lock:
                is_current = not cancel.is_set()
                if is_current:
                    self._playing = None
            if is_current and self._on_end is not None and sentence is not None:
                try:
                    self._on_end(sentence)
                except Exception:  # noqa: BLE001 - its bug is not the player's
                    _log.exception("A listener to the end of playback failed")
            self._wake.set()

    def _play_one(self, path: Path, start_s: float, cancel: threading.Event) -> str | None:
        """Play to the end; "" then, a sentence when it failed, None when it was interrupted."""
        output = _Output()
        try:
            with open_audio(path, cancel=cancel) as reader:
                output.open()
                queue = output.queue
                with self._lock:
                    if cancel.is_set():
                        return None
                    self._queue, self._delay_s = queue, output.delay_s
                for frames in _resampled(reader.stereo_pieces(start_s), queue.rate):
                    self._feed(frames, output, cancel)
                queue.is_ending = True
                while not queue.is_drained:
                    self._pause(output, cancel)
                cancel.wait(output.delay_s)  # what is on its way to the loudspeaker
        except Cancelled:
            _wait_for_fade(output)
            return None
        except (AudioFileError, DeviceError) as error:
            return str(error)
        except Exception as error:  # noqa: BLE001 - a thread that dies plays no more
            _log.exception("Playback failed")
            return f"The track can't be played: {error}."
        finally:
            with self._lock:
                self._queue = None
            output.close()
        return "" if not cancel.is_set() else None

    def _feed(self, frames: FloatArray, output: _Output, cancel: threading.Event) -> None:
        while len(frames):
            count = min(len(frames), output.queue.free)
            output.queue.put(frames[:count])
            frames = frames[count:]
            if len(frames):
                self._pause(output, cancel)
        if cancel.is_set():
            raise Cancelled

    @staticmethod
    def _pause(output: _Output, cancel: threading.Event) -> None:
        if cancel.wait(_WAIT_S):
            raise Cancelled
        output.keep_open(cancel)


def _resampled(pieces: Iterator[tuple[FloatArray, int]], rate: int) -> Iterator[FloatArray]:
    """Stereo pieces (samples, rate) at the rate of the output."""
    sides: list[StreamResampler] = []
    for samples, from_rate in pieces:
        if not sides or sides[0].from_rate != from_rate:
            if sides:
                yield np.column_stack([side.flush() for side in sides])
            sides = [StreamResampler(from_rate, rate), StreamResampler(from_rate, rate)]
        left, right = sides[0].push(samples[:, 0]), sides[1].push(samples[:, 1])
        yield np.column_stack((left, right))
    if sides:
        yield np.column_stack([side.flush() for side in sides])


def _wait_for_fade(output: _Output) -> None:
    queue = output.queue
    deadline = time.monotonic() + _FADE_WAIT_S
    while not queue.is_silent and output.is_open and time.monotonic() < deadline:
        time.sleep(0.005)


class _Output:
    """The default loudspeaker, opened again when the sound system loses it."""

    def __init__(self) -> None:
        self.queue = _Queue(_RATES[0])
        self.delay_s = 0.0
        self._stream: Any = None

    @property
    def is_open(self) -> bool:
        return self._stream is not None and portaudio.is_active(self._stream)

    def open(self) -> None:
        """Open at the first rate that the device takes; a sound server takes any."""
        errors: list[DeviceError] = []
        for rate in _RATES[:1] if devices.has_server() else _RATES:
            queue = self.queue if self.queue.rate == rate else _Queue(rate)
            try:
                self._open(queue)
            except DeviceError as error:
                errors.append(error)
            else:
                self.queue = queue
                return
        try:
            portaudio.refresh()  # what was plugged in since the last look
            self._open(self.queue)
        except DeviceError:
            raise DeviceError(
                "Nothing can be played: no loudspeaker or headphones answer. Connect some, or look"
                f" at the system's sound settings. ({errors[0]})"
            ) from None

    def _open(self, queue: _Queue) -> None:
        device = portaudio.find_server_device(is_output=True) if devices.has_server() else None
        spec = portaudio.StreamSpec(
            is_input=False,
            device=device,
            rate=queue.rate,
            channels=2,
            block_frames=round(_BLOCK_S * queue.rate),
            latency_s=_LATENCY_S,
            env={
                "PULSE_LATENCY_MSEC": "60",
                "PULSE_PROP_OVERRIDE": "application.name='SongID Desktop' media.role=music",
            },
        )
        self._stream = portaudio.open_stream(spec, queue)
        latency = self._stream.latency
        self.delay_s = float(latency) if isinstance(latency, int | float) else _LATENCY_S

    def keep_open(self, cancel: threading.Event) -> None:
        """Open again if the stream ended, for as long as that can be hoped for.

        Raises
        ------
        DeviceError
            When there was no loudspeaker for some seconds.
        """
        if self.is_open:
            return
        self.close()
        deadline = time.monotonic() + _GIVE_UP_AFTER_S
        while True:
            try:
                self._open(self.queue)
            except DeviceError:
                if time.monotonic() > deadline:
                    raise DeviceError(
                        "Playback stopped: the sound output went away and did not come back."
                    ) from None
            else:
                return
            if cancel.wait(0.2):
                raise Cancelled
            portaudio.refresh()

    def close(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            portaudio.close_stream(stream)


_open_players: weakref.WeakSet[Player] = weakref.WeakSet()


def _close_at_exit(player: Player) -> None:
    if not _open_players:
        atexit.unregister(_close_all)
        atexit.register(_close_all)
    _open_players.add(player)


def _close_all() -> None:
    for player in tuple(_open_players):
        player.close()
