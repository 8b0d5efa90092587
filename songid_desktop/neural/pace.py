"""How far an install is, how fast it goes and how long it still takes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

_TELL_EVERY_S = 0.1
_OVER_S = 6.0
"""The rate is that of the last seconds, so that it follows a line that changes."""


class Step(StrEnum):
    """What an install is doing."""

    ASKING = "asking"
    DOWNLOADING = "downloading"
    COPYING = "copying"
    CONVERTING = "converting"
    CHECKING = "checking"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class InstallProgress:
    """A word from a running install."""

    step: Step
    file: str = ""
    done_bytes: int = 0
    total_bytes: int = 0
    rate_bytes_s: float = 0.0
    """0 while it can't be told."""
    eta_s: float | None = None
    waits_for: str = ""
    """Why nothing arrives at present, fit for the middle of a sentence; it is tried again."""


Tell = Callable[[InstallProgress], None]


class Pace:
    """Gathers what arrives and tells it at most ten times a second; a new step at once."""

    def __init__(self, tell: Tell | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._tell = tell or (lambda _progress: None)
        self._clock = clock
        self._step, self._file = Step.ASKING, ""
        self._before = 0
        self._total = 0
        self._told_at = float("-inf")
        self._marks: deque[tuple[float, int]] = deque()

    def begin(self, step: Step, total_bytes: int = 0) -> None:
        """Another step begins."""
        self._step, self._file, self._total, self._before = step, "", total_bytes, 0
        self._marks.clear()
        self._tell(InstallProgress(step, total_bytes=total_bytes))

    def begin_file(self, name: str, before_bytes: int) -> None:
        """Another file of the step; `before_bytes` of the total are behind it."""
        self._file, self._before = name, before_bytes
        self._marks.clear()
        self._told_at = float("-inf")

    def arrived(self, file_bytes: int) -> None:
        """So many bytes of the present file are here."""
        now = self._clock()
        is_whole = self._before + file_bytes >= self._total
        self._marks.append((now, file_bytes))
        while len(self._marks) > 2 and now - self._marks[0][0] > _OVER_S:
            self._marks.popleft()
        if now - self._told_at < _TELL_EVERY_S and not is_whole:
            return
        self._told_at = now
        done = self._before + file_bytes
        (first_at, first), (last_at, last) = self._marks[0], self._marks[-1]
        rate = (last - first) / (last_at - first_at) if last_at - first_at > 0.5 else 0.0
        eta_s = (self._total - done) / rate if rate > 0 else None
        self._tell(InstallProgress(self._step, self._file, done, self._total, rate, eta_s))

    def waits(self, reason: str) -> None:
        """Nothing arrives; it will be tried again."""
        here = self._marks[-1][1] if self._marks else 0
        self._marks.clear()
        done = self._before + here
        self._tell(InstallProgress(self._step, self._file, done, self._total, waits_for=reason))
