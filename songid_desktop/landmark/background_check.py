"""A second look at large segment files, in a thread of its own, so that opening need not wait."""

from __future__ import annotations

import threading

from songid_desktop.landmark.segment_file import SegmentDamaged, SegmentFile

CHECK_NOW_BYTES = 32 << 20
"""Segments up to this size are checked whole when opened, larger ones in the background."""


class BackgroundCheck:
    """Reads large segment files once in a thread of its own and remembers what does not add up."""

    def __init__(self) -> None:
        self.damage = ""
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, files: list[SegmentFile]) -> None:
        large = [file for file in files if file.segment.byte_count > CHECK_NOW_BYTES]
        if large:
            self._thread = threading.Thread(
                target=self._run, args=(large,), name="landmark index check", daemon=True
            )
            self._thread.start()

    def _run(self, files: list[SegmentFile]) -> None:
        for file in files:
            try:
                if not file.check(small_only=False, stop=self._stop):
                    return
            except SegmentDamaged as problem:
                self.damage = str(problem)
                return
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
