"""A second look at large segment files, in a thread of its own, so that opening need not wait.

Reading all of a large index at every start would cost more than it is worth (14 GB at 100,000
tracks), so a start looks at a bounded part of it, other pieces every time; `full` looks at all.
Damage that was not found yet can only cost votes: what is read is kept within bounds, and no track
is named without being verified.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from pathlib import Path

from songid_desktop.landmark.segment_file import Piece, SegmentDamaged, SegmentFile

CHECK_NOW_BYTES = 16 << 20
"""Segments up to this size are checked whole when opened, larger ones in the background."""
CHECK_LATER_BYTES = 128 << 20
"""Most that one opening reads in the background."""
_PAUSE_S = 0.02
"""After every piece: the disk belongs to the look-ups."""


class BackgroundCheck:
    """Reads pieces of large segment files in a thread and remembers what does not add up."""

    def __init__(self) -> None:
        self.damaged: dict[Path, str] = {}
        """Files that are damaged, and how."""
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, files: Sequence[SegmentFile], most_bytes: int | None = None) -> None:
        chosen = _choose(files, CHECK_LATER_BYTES if most_bytes is None else most_bytes)
        if chosen:
            self._thread = threading.Thread(
                target=self._run, args=(chosen,), name="landmark index check", daemon=True
            )
            self._thread.start()

    def _run(self, chosen: list[tuple[SegmentFile, list[Piece]]]) -> None:
        for file, pieces in chosen:
            try:
                for piece in pieces:
                    if self._stop.wait(_PAUSE_S) or not file.check([piece], self._stop):
                        return
            except SegmentDamaged as problem:
                self.damaged[file.path] = str(problem)
            except OSError:
                continue  # a writer replaced it meanwhile; what is mapped stays whole

    def wait(self, timeout_s: float) -> None:
        """Until everything was read, or the time is up."""
        if self._thread is not None:
            self._thread.join(timeout_s)

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None


def _choose(files: Sequence[SegmentFile], most_bytes: int) -> list[tuple[SegmentFile, list[Piece]]]:
    """Pieces of the large files, at random when there are more than may be read; in the order in
    which they lie on disk."""
    large = [file for file in files if file.segment.byte_count > CHECK_NOW_BYTES]
    every = [(number, piece) for number, file in enumerate(large) for piece in file.pieces()]
    random.shuffle(every)
    taken: list[list[Piece]] = [[] for _ in large]
    left = most_bytes
    for number, piece in every:
        if piece.length <= left:
            taken[number].append(piece)
            left -= piece.length
    return [
        (file, sorted(pieces, key=lambda piece: piece.place))
        for file, pieces in zip(large, taken, strict=True)
        if pieces
    ]
