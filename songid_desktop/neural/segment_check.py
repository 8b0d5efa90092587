"""Looks at the bytes of large segments after the index is open, at its leisure."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

from songid_desktop.neural.segment import Segment, SegmentDamaged

log = logging.getLogger(__name__)


class BackgroundCheck:
    """One thread that reads files and compares checksums.

    Attributes
    ----------
    damaged : dict
        Name of each segment that is not as it was written, and what is wrong with it.
    """

    def __init__(self) -> None:
        self.damaged: dict[str, str] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, segments: Sequence[Segment]) -> None:
        """Look at some segments, in place of those looked at so far."""
        self.stop()
        if not segments:
            return
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._look, args=(list(segments), self._stop), name="vector check", daemon=True
        )
        self._thread.start()

    def _look(self, segments: Sequence[Segment], stop: threading.Event) -> None:
        for segment in segments:
            try:
                segment.check(stop)
            except SegmentDamaged as problem:
                # A file that was swept meanwhile is whole where it is mapped.
                if segment.lists_path.exists() and not stop.is_set():
                    log.info("Part of the index is damaged: %s.", problem)
                    self.damaged[segment.name] = str(problem)

    def wait(self, timeout_s: float) -> None:
        if self._thread is not None:
            self._thread.join(timeout_s)

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
