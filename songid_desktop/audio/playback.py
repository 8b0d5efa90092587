"""Plays a local file from any offset, in stereo, through the default output.

One thread decodes a little ahead and hands the sound to the sound process, which plays it. A sound
server that restarts costs a short silence, and so does a sound process that dies.
"""

from __future__ import annotations

import atexit
import logging
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from songid_desktop.audio.decode import open_audio
from songid_desktop.audio.loudspeaker import Loudspeaker
from songid_desktop.audio.resample import StreamResampler
from songid_desktop.audio.soundprocess import SoundProcess
from songid_desktop.errors import AudioFileError, Cancelled, DeviceError
from songid_desktop.types import FloatArray

_WAIT_S = 0.02
_STOP_WAIT_S = 0.1
_KEEP_READY_S = 30.0
"""How long the sound process stays after a track, for the next one to begin at once."""

_log = logging.getLogger(__name__)


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
        self._loudspeaker: Loudspeaker | None = None
        self._process = SoundProcess(self._is_unwanted)
        self._current = self._cancel
        """Set when what the player's thread is at is not wanted any more."""
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
        loudspeaker = self._loudspeaker
        if self._playing is None:
            return 0.0
        if loudspeaker is None:
            return self._start_s
        return self._start_s + max(0.0, loudspeaker.played_s - loudspeaker.delay_s)

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
            self._process.kill()

    def _interrupt(self) -> None:
        self._cancel.set()
        self._cancel = threading.Event()
        self._request = None
        self._playing = None
        if self._loudspeaker is not None:
            self._loudspeaker.fade()
        self._wake.set()

    def _is_unwanted(self) -> bool:
        return self._current.is_set()

    # -- the player's own thread -------------------------------------------------------------

    def _run(self) -> None:
        while True:
            if not self._wake.wait(_KEEP_READY_S if self._process.pid is not None else None):
                self._process.kill()
                continue
            with self._lock:
                self._wake.clear()
                request, self._request = self._request, None
                cancel = self._current = self._cancel
                if request is None:
                    self._idle.set()
                    if self._is_closed:
                        self._process.kill()
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
        output = Loudspeaker(self._process)
        try:
            self._process.start()  # gets ready while the file is opened
            with open_audio(path, cancel=cancel) as reader:
                output.open(cancel)
                with self._lock:
                    if cancel.is_set():
                        return None
                    self._loudspeaker = output
                for frames in _resampled(reader.stereo_pieces(start_s), output.rate):
                    self._feed(frames, output, cancel)
                while not output.is_drained:
                    self._pause(output, cancel)
                cancel.wait(output.delay_s)  # what is on its way to the loudspeaker
        except Cancelled:
            output.wait_for_fade()
            return None
        except (AudioFileError, DeviceError) as error:
            return str(error)
        except Exception as error:  # noqa: BLE001 - a thread that dies plays no more
            _log.exception("Playback failed")
            return f"The track can't be played: {error}."
        finally:
            with self._lock:
                self._loudspeaker = None
            output.close()
        return "" if not cancel.is_set() else None

    def _feed(self, frames: FloatArray, output: Loudspeaker, cancel: threading.Event) -> None:
        while len(frames):
            count = min(len(frames), output.free)
            output.put(frames[:count])
            frames = frames[count:]
            if len(frames):
                self._pause(output, cancel)
        if cancel.is_set():
            raise Cancelled

    @staticmethod
    def _pause(output: Loudspeaker, cancel: threading.Event) -> None:
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


_open_players: weakref.WeakSet[Player] = weakref.WeakSet()


def _close_at_exit(player: Player) -> None:
    if not _open_players:
        atexit.unregister(_close_all)
        atexit.register(_close_all)
    _open_players.add(player)


def _close_all() -> None:
    for player in tuple(_open_players):
        player.close()
