"""The default loudspeaker: frames go in, and it is opened again when the sound system loses it.

The frames wait twice: in the sound process, which plays them, and here until it has said so, since
that process may die and another go on where it stopped.
"""

from __future__ import annotations

import contextlib
import threading
import time

import numpy as np

from songid_desktop.audio import devices
from songid_desktop.audio.portaudio import StreamSpec
from songid_desktop.audio.soundprocess import SoundProcess
from songid_desktop.errors import Cancelled, DeviceError
from songid_desktop.types import FloatArray

_RATES = (48_000, 44_100, 96_000)
_BLOCK_S = 0.02
_LATENCY_S = 0.06
_AHEAD_S = 2.0
_FADE_WAIT_S = 0.06
_OPENING_S = 1.5
_GIVE_UP_AFTER_S = 5.0
_STANDSTILL_S = 2.0
"""An open loudspeaker that takes no sound for this long is opened again."""
_RETRY_S = 0.2


class Loudspeaker:
    """Plays stereo frames in turn. For use from one thread, but for `fade` and the properties.

    Parameters
    ----------
    process : SoundProcess
        Where PortAudio is asked.
    """

    def __init__(self, process: SoundProcess) -> None:
        self.rate = _RATES[0]
        self.delay_s = 0.0
        """From `played_s` to the ear."""
        self._process = process
        self._stream: int | None = None
        self._data = np.zeros((round(_AHEAD_S * self.rate), 2), np.float32)
        self._written = 0
        self._sent = 0
        self._played = 0
        self._played_before = 0
        """Frames played by the streams before this one."""
        self._moved_at = 0.0
        self._is_fading = False
        self._is_silent = False
        self._lock = threading.Lock()

    # -- frames ------------------------------------------------------------------------------

    @property
    def free(self) -> int:
        """How many frames `put` takes now."""
        return len(self._data) - (self._written - self._played)

    @property
    def played_s(self) -> float:
        """Seconds played so far."""
        return self._played / self.rate

    @property
    def is_drained(self) -> bool:
        """Whether all that was put in is played."""
        return self._played == self._written

    def put(self, frames: FloatArray) -> None:
        """Play frames (float32, shape (n, 2), n at most `free`) after those before."""
        at = self._written % len(self._data)
        first = min(len(frames), len(self._data) - at)
        self._data[at : at + first] = frames[:first]
        self._data[: len(frames) - first] = frames[first:]
        self._written += len(frames)
        self._send()

    def _send(self) -> None:
        if self._stream is None:
            return
        at = self._sent % len(self._data)
        count = self._written - self._sent
        first = min(count, len(self._data) - at)
        for piece in (self._data[at : at + first], self._data[: count - first]):
            if len(piece):
                self._process.play(self._stream, piece)
        self._sent = self._written

    def _note(self, played: int, is_silent: bool) -> None:
        """What the sound process says after every block, on a thread of its own."""
        total = self._played_before + played
        if total != self._played or is_silent:
            self._moved_at = time.monotonic()
        self._played, self._is_silent = total, is_silent

    def fade(self) -> None:
        """Fall silent without a click. Returns at once; from any thread."""
        with self._lock:
            self._is_fading = True
            if self._stream is not None:
                self._process.fade(self._stream)

    def wait_for_fade(self) -> None:
        """Wait until it is silent, or can't be any more."""
        deadline = time.monotonic() + _FADE_WAIT_S
        while not self._is_silent and self.is_open and time.monotonic() < deadline:
            time.sleep(0.005)

    # -- the device --------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether the device is there and takes sound."""
        if self._stream is None or not self._process.is_active(self._stream):
            return False
        return self.is_drained or time.monotonic() - self._moved_at < _STANDSTILL_S

    def open(self, cancel: threading.Event) -> None:
        """Open at the first rate that the device takes; a sound server takes any. Before the first
        `put`. A server that just restarts is waited for.

        Raises
        ------
        DeviceError
            When there is no loudspeaker.
        Cancelled
        """
        errors: list[DeviceError] = []
        deadline = time.monotonic() + _OPENING_S
        while True:
            for rate in _RATES[:1] if devices.has_server() else _RATES:
                self.rate = rate
                self._data = np.zeros((round(_AHEAD_S * rate), 2), np.float32)
                try:
                    self._open()
                except DeviceError as error:
                    errors.append(error)
                else:
                    return
            if time.monotonic() > deadline:
                raise DeviceError(
                    "Nothing can be played: no loudspeaker or headphones answer. Connect some, or"
                    f" look at the system's sound settings. ({errors[0]})"
                )
            self._wait_and_refresh(cancel)

    def _wait_and_refresh(self, cancel: threading.Event) -> None:
        if cancel.wait(_RETRY_S):
            raise Cancelled
        with contextlib.suppress(DeviceError):  # said by the next attempt
            self._process.refresh()  # what was plugged in since the last look

    def _open(self) -> None:
        device = self._process.find_server_device(is_output=True) if devices.has_server() else None
        spec = StreamSpec(
            device=device,
            rate=self.rate,
            channels=2,
            block_frames=round(_BLOCK_S * self.rate),
            latency_s=_LATENCY_S,
            env={
                "PULSE_LATENCY_MSEC": "60",
                "PULSE_PROP_OVERRIDE": "application.name='SongID Desktop' media.role=music",
            },
        )
        self._sent = self._played_before = self._played
        self._moved_at = time.monotonic()
        stream, self.delay_s = self._process.open_output(spec, self._note)
        with self._lock:
            self._stream = stream
            if self._is_fading:
                self._process.fade(stream)
        self._moved_at = time.monotonic()
        self._send()

    def keep_open(self, cancel: threading.Event) -> None:
        """Open again if the stream ended or stands still, for as long as that can be hoped for.

        Raises
        ------
        DeviceError
            When there was no loudspeaker for some seconds.
        Cancelled
        """
        if self.is_open:
            return
        self.close()
        deadline = time.monotonic() + _GIVE_UP_AFTER_S
        while True:
            try:
                self._open()
            except DeviceError:
                if time.monotonic() > deadline:
                    raise DeviceError(
                        "Playback stopped: the sound output went away and did not come back."
                    ) from None
            else:
                return
            self._wait_and_refresh(cancel)

    def close(self) -> None:
        """Close the device; what is not played yet stays for the next time."""
        with self._lock:
            stream, self._stream = self._stream, None
        if stream is not None:
            self._process.close_stream()
