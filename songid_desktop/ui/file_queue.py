"""Files that wait to be named, and how far that is."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from pathlib import Path


class FileQueue:
    """First come, first served."""

    def __init__(self) -> None:
        self._waiting: deque[Path] = deque()
        self._count = 0
        self._number = 0
        self.in_hand: Path | None = None

    def __bool__(self) -> bool:
        """Whether any wait."""
        return bool(self._waiting)

    @property
    def place(self) -> tuple[int, int]:
        """Number of the file in hand, and how many there are."""
        return self._number, self._count

    def start(self, files: Sequence[Path]) -> None:
        """Begin anew with these."""
        self._waiting = deque(files)
        self._count, self._number = len(files), 0
        self.in_hand = None

    def add(self, files: Sequence[Path]) -> None:
        """More, behind those that wait."""
        self._waiting.extend(files)
        self._count += len(files)

    def take(self) -> Path:
        """The next one, now in hand."""
        self.in_hand = self._waiting.popleft()
        self._number += 1
        return self.in_hand

    def clear(self) -> None:
        """Forget those that wait."""
        self._waiting.clear()
