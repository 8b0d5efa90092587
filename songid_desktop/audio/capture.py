"""Live sound from a source into a ring: the microphone that the rest of the program holds.

One thread of its own opens, watches and reopens the device (`listening`), so the caller never
waits for one. PortAudio itself lives in a process of its own (`soundprocess`), which may hang or
crash: PortAudio's thread there only copies, and one here puts the sound into the ring.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace

from songid_desktop.audio.listening import Listening
from songid_desktop.audio.ring import Ring
from songid_desktop.audio.soundprocess import SoundProcess
from songid_desktop.audio.status import CaptureState, CaptureStatus
from songid_desktop.errors import Cancelled, DeviceError
from songid_desktop.types import Source

__all__ = ["SAMPLE_RATE", "Capture", "CaptureState", "CaptureStatus"]

SAMPLE_RATE = 48_000
"""Hertz; of the ring, whatever the device runs at."""

_STOP_WAIT_S = 0.15
_PATIENCE_S = 3.0
"""A call into the sound system that takes longer is reported."""
_AFTER_BUG_S = 2.0

_log = logging.getLogger(__name__)


class Capture:
    """Listens to a source until told to stop, through everything that may happen to it.

    Parameters
    ----------
    on_status : callable or None
        Called with each new `CaptureStatus`, on a thread of the capture's own; must return
        quickly.
    """

    def __init__(self, on_status: Callable[[CaptureStatus], None] | None = None) -> None:
        self._ring = Ring(SAMPLE_RATE)
        self._on_status = on_status
        self._lock = threading.Lock()
        self._status_lock = threading.RLock()
        self._status = CaptureStatus(CaptureState.CLOSED, "", None, None, "", 0, time.time())
        self._told = self._status
        self._wanted: str | None = None
        self._request = 0
        self._handled = -1
        self._has_to_get_ready = False
        self._is_closed = False
        self._wake = threading.Event()
        self._idle = threading.Event()
        self._idle.set()
        self._thread: threading.Thread | None = None
        self._listening: Listening | None = None
        self._sound = SoundProcess(lambda: self._request != self._handled)
        _close_at_exit(self)

    @property
    def ring(self) -> Ring:
        """What is heard: 48 kHz mono, the same object for the capture's life."""
        return self._ring

    @property
    def status(self) -> CaptureStatus:
        return self._status

    def get_ready(self) -> None:
        """Do beforehand what the first `start` would have to wait for. Returns at once."""
        with self._lock:
            if not self._is_closed:
                self._has_to_get_ready = True
                self._ensure_thread()

    def start(self, source_name: str = "") -> None:
        """Listen to the source of that name, or to the default; changes over when listening
        already. Returns at once: what becomes of it is told by `status`."""
        with self._lock:
            if self._is_closed:
                raise RuntimeError("the capture is closed")
            if self._wanted is None:
                self._ring.clear()
                with self._status_lock:
                    self._status = CaptureStatus(
                        CaptureState.OPENING, source_name, None, None, "", 0, time.time()
                    )
            self._wanted = source_name
            self._request += 1
            self._idle.clear()
            self._ensure_thread()

    def stop(self) -> None:
        """Close the microphone. Returns within 200 ms."""
        with self._lock:
            self._ask_to_stop()
        if not self._idle.wait(_STOP_WAIT_S):
            # The sound system hangs: nothing more is taken from it, and the device closes when
            # it answers again.
            self._publish(CaptureState.CLOSED, None, None, "", self._status.lost_samples)

    def close(self) -> None:
        """Stop and end the capture's thread. Returns within 200 ms; may be called twice."""
        with self._lock:
            self._is_closed = True
            self._ask_to_stop()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(_STOP_WAIT_S)
            self._sound.kill()

    def _ensure_thread(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
            self._thread.start()
        self._wake.set()

    def _ask_to_stop(self) -> None:
        self._wanted = None
        self._request += 1
        listening = self._listening
        feed = listening.feed if listening is not None else None
        if feed is not None:
            feed.is_live = False
        self._wake.set()

    # -- the capture's own thread ------------------------------------------------------------

    def _run(self) -> None:
        while True:
            listening = self._listening
            self._wake.wait(None if listening is None else listening.tick_s)
            self._wake.clear()
            with self._lock:
                wanted, request, is_closed = self._wanted, self._request, self._is_closed
                is_new, self._handled = request != self._handled, request
            try:
                with self._overseen():
                    self._step(wanted, is_new=is_new)
            except Cancelled:
                continue  # asked for something else meanwhile
            except Exception as error:  # noqa: BLE001 - a thread that dies listens no more
                _log.exception("Listening was interrupted")
                self._recover(error)
            if wanted is None:
                with self._lock:
                    if self._request == request:
                        self._idle.set()
                if is_closed:
                    self._sound.kill()
                    return

    def _step(self, wanted: str | None, *, is_new: bool) -> None:
        if wanted is None:
            listening, self._listening = self._listening, None
            if listening is not None:
                listening.close()
            self._publish(CaptureState.CLOSED, None, None, "", self._status.lost_samples)
            if self._has_to_get_ready and not self._is_closed:
                self._has_to_get_ready = False
                with contextlib.suppress(DeviceError):  # said when there is something to hear
                    self._sound.start()
            return
        if self._listening is None:
            self._listening = Listening(self._ring, wanted, self._publish, self._sound)
        elif is_new:
            self._listening.change(wanted)
        self._listening.step()

    def _recover(self, error: Exception) -> None:
        listening, self._listening = self._listening, None
        if listening is not None:
            with contextlib.suppress(Exception):
                listening.close()
        message = f"Listening was interrupted by an error ({error}). It is tried again by itself."
        self._publish(CaptureState.LOST, None, None, message, self._status.lost_samples)
        self._wake.wait(_AFTER_BUG_S)

    @contextlib.contextmanager
    def _overseen(self) -> Iterator[None]:
        """Tell when the sound system does not answer; only opening and closing can hang."""
        listening = self._listening
        if listening is not None and listening.is_steady:
            yield
            return
        timer = threading.Timer(_PATIENCE_S, self._complain)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _complain(self) -> None:
        if self._wanted is not None:
            self._publish(
                CaptureState.LOST,
                None,
                None,
                "The sound system does not answer. Listening goes on by itself when it does.",
                self._status.lost_samples,
            )

    def _publish(
        self,
        state: CaptureState,
        source: Source | None,
        device_rate: int | None,
        message: str,
        lost_samples: int,
    ) -> None:
        with self._status_lock:
            old = self._status
            wanted = old.wanted if self._wanted is None else self._wanted
            new = CaptureStatus(
                state, wanted, source, device_rate, message, lost_samples, time.time()
            )
            if replace(new, changed_at=old.changed_at) == old and self._told is old:
                return
            self._status = self._told = new
            if self._on_status is not None:
                try:
                    self._on_status(new)
                except Exception:  # noqa: BLE001 - its bug is not the microphone's
                    _log.exception("A listener to the capture's status failed")


_open_captures: weakref.WeakSet[Capture] = weakref.WeakSet()


def _close_at_exit(capture: Capture) -> None:
    """A sound process ends by itself with the program; this ends it in order."""
    if not _open_captures:
        atexit.unregister(_close_all)
        atexit.register(_close_all)
    _open_captures.add(capture)


def _close_all() -> None:
    for capture in tuple(_open_captures):
        capture.close()
