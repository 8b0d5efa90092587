"""A machine that is slow at the wrong moment: `pytest tests/ui -p tests.support.shake`.

Every background job begins late and reports late, and every wait of a test now and then sees the
window stand still. What a test asserts at once though it arrives through a job fails here in the
first run, where an idle machine lets it pass a hundred times. `SONGID_SHAKE=jobs_ms,stall_ms`
sets the longest delays.
"""

from __future__ import annotations

import os
import random
import time

import pytest

from songid_desktop.ui import bridge
from tests.support import qt

JOBS_MS, STALL_MS = (float(text) for text in os.environ.get("SONGID_SHAKE", "120,0").split(","))


@pytest.fixture(autouse=True)
def shaken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Delays before and after the work of each job, and now and then between two events."""
    work, post, process_events = bridge.Jobs._work, bridge.post, qt.process_events
    chance = random.Random(os.getpid())

    def slow_work(jobs: bridge.Jobs, job: bridge.Job, function: object) -> None:
        time.sleep(chance.uniform(0.0, JOBS_MS) / 1000)
        work(jobs, job, function)  # type: ignore[arg-type]

    def slow_post(function: object, *args: object) -> None:
        if getattr(function, "__name__", "") == "_finish":
            time.sleep(chance.uniform(0.0, JOBS_MS) / 1000)
        post(function, *args)  # type: ignore[arg-type]

    def slow_events() -> None:
        if STALL_MS and chance.random() < 0.05:
            time.sleep(chance.uniform(0.0, STALL_MS) / 1000)
        process_events()

    monkeypatch.setattr(bridge.Jobs, "_work", slow_work)
    monkeypatch.setattr(bridge, "post", slow_post)
    monkeypatch.setattr(qt, "process_events", slow_events)
