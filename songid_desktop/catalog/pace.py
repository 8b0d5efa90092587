"""How an enrolment is getting on, told at a bearable rate."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from songid_desktop.catalog.records import EnrolProgress

_TELL_EVERY_S = 0.1
_ETA_AFTER_S = 1.0
"""Before that a guess would only jump about."""


class Pace:
    """Counts files, bytes and seconds of sound; calls `tell` at most ten times a second."""

    def __init__(self, tell: Callable[[EnrolProgress], None] | None) -> None:
        self._tell = tell
        self._told_at = 0.0
        self._phase = "scanning"
        self._done = 0
        self._total = 0
        self._bytes_done = 0
        self._bytes_total = 0
        self._begun_at = time.monotonic()
        self._paused_s = 0.0
        self._current = ""
        self._in_hand_s: dict[Path, float] = {}
        self._decoded_bytes = 0
        self.audio_s = 0.0
        """Seconds of sound fingerprinted."""

    def scanned(self, name: str) -> None:
        """One more file was found."""
        self._done += 1
        self._total += 1
        self._current = name
        self.tick(0, 0)

    def start_work(self, files: int, size: int) -> None:
        """The scan is over: so much is to be done."""
        self._phase = "enrolling"
        self._done, self._total = 0, files
        self._bytes_done, self._bytes_total = 0, size
        self._begun_at, self._paused_s = time.monotonic(), 0.0
        self._current = ""

    def began(self, name: str) -> None:
        self._current = name

    def heard(self, path: Path, decoded_s: float) -> None:
        """A file in hand has come so far."""
        self._in_hand_s[path] = decoded_s

    def decoded(self, path: Path, duration_s: float) -> None:
        """A file's sound has been fingerprinted."""
        self._in_hand_s.pop(path, None)
        self.audio_s += duration_s

    def concluded(self, path: Path, size: int) -> None:
        """Nothing more is to be done for a file."""
        self._in_hand_s.pop(path, None)
        self._done += 1
        self._bytes_done += size

    @contextmanager
    def paused(self, added: int, failed: int) -> Iterator[None]:
        """Time that does not count."""
        began_at = time.monotonic()
        self._send(added, failed, is_paused=True)
        try:
            yield
        finally:
            self._paused_s += time.monotonic() - began_at

    def finished(self, added: int, failed: int) -> None:
        self._phase, self._current = "finished", ""
        self._in_hand_s.clear()
        self._send(added, failed)

    def tick(self, added: int, failed: int) -> None:
        """Tell how things stand, if it is time to."""
        if time.monotonic() - self._told_at >= _TELL_EVERY_S:
            self._send(added, failed)

    def _send(self, added: int, failed: int, *, is_paused: bool = False) -> None:
        self._told_at = time.monotonic()
        if self._tell is None:
            return
        elapsed_s = max(1e-9, self._told_at - self._begun_at - self._paused_s)
        heard_s = self.audio_s + sum(self._in_hand_s.values())
        self._tell(
            EnrolProgress(
                phase=self._phase,
                done=self._done,
                total=self._total,
                added=added,
                failed=failed,
                rate_x=heard_s / elapsed_s if self._phase != "scanning" else 0.0,
                eta_s=self._eta_s(elapsed_s),
                current=self._current,
                is_paused=is_paused,
            )
        )

    def _eta_s(self, elapsed_s: float) -> float | None:
        """By bytes: what is known of a file before it is opened. The files in hand count by how
        far they have been heard, at the bytes per second of those done."""
        if self._phase == "finished":
            return 0.0
        if self._phase == "scanning" or elapsed_s < _ETA_AFTER_S or self._bytes_done == 0:
            return None
        partly = 0.0
        if self.audio_s > 0:
            partly = sum(self._in_hand_s.values()) * self._bytes_done / self.audio_s
        done = min(self._bytes_done + partly, float(self._bytes_total))
        return (self._bytes_total - done) * elapsed_s / done
