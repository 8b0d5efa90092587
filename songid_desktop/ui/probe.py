"""Measuring the GUI thread: CPU time of every event, and how long frames take to paint.

Off unless asked for (see `app.PROBE_VARIABLE`): a Python `notify` costs microseconds an event.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PySide6.QtCore import QEvent, QObject
from PySide6.QtWidgets import QApplication

KEPT_EVENTS = 500_000


class ProbedApplication(QApplication):
    """An application that notes the CPU time (s) of each event its thread handles.

    Nested events (a repaint inside a resize) count inside the outer one only: what matters is how
    long the thread was away from its event loop.
    """

    def __init__(self, arguments: Sequence[str]) -> None:
        super().__init__(list(arguments))
        self.event_cpu_s: deque[tuple[int, float]] = deque(maxlen=KEPT_EVENTS)
        """Pairs of event type and CPU seconds."""
        self._depth = 0

    def notify(self, receiver: QObject, event: QEvent) -> bool:
        if self._depth:
            return bool(super().notify(receiver, event))
        self._depth += 1
        kind = event.type()
        begun = time.thread_time()
        try:
            return bool(super().notify(receiver, event))
        finally:
            self._depth -= 1
            self.event_cpu_s.append((int(kind.value), time.thread_time() - begun))

    def write(self, path: Path) -> None:
        """Write percentiles of the events so far as JSON."""
        path.write_text(json.dumps(summary([cpu for _kind, cpu in self.event_cpu_s])) + "\n")


class FrameProbe:
    """How long each frame took to paint, and how far apart frames were (s, wall clock)."""

    def __init__(self) -> None:
        self.paint_s: deque[float] = deque(maxlen=KEPT_EVENTS)
        self.interval_s: deque[float] = deque(maxlen=KEPT_EVENTS)
        self._last: float | None = None

    def painted(self, begun: float, ended: float) -> None:
        """One frame was painted between two readings of `time.perf_counter`."""
        self.paint_s.append(ended - begun)
        if self._last is not None:
            self.interval_s.append(ended - self._last)
        self._last = ended

    def clear(self) -> None:
        self.paint_s.clear()
        self.interval_s.clear()
        self._last = None

    def summary(self) -> dict[str, dict[str, float]]:
        """Percentiles of both, in milliseconds."""
        return {"paint": summary(list(self.paint_s)), "interval": summary(list(self.interval_s))}


def summary(seconds: Sequence[float]) -> dict[str, float]:
    """Count, median, 95th and 99th percentile and maximum, in milliseconds."""
    if not seconds:
        return {"count": 0}
    milliseconds = np.asarray(seconds) * 1000.0
    p50, p95, p99 = np.percentile(milliseconds, [50, 95, 99])
    return {
        "count": len(milliseconds),
        "median_ms": float(p50),
        "p95_ms": float(p95),
        "p99_ms": float(p99),
        "max_ms": float(milliseconds.max()),
        "total_s": float(milliseconds.sum() / 1000.0),
    }
