"""The real window inside the benchmark's own process, hearing generated music at any speed.

Only the sound device is replaced: `MusicFeed` stands where the capture stands, with the same ring.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from songid_desktop.types import FloatArray
from tests.bench import common

RATE_HZ = 48_000
_BLOCK_S = 0.01


class MusicFeed:
    """Writes `music` round and round into its ring, `speed` times as fast as it sounds.

    Has what the window asks of a `Capture`.
    """

    def __init__(self, music: FloatArray, on_status: Callable[[Any], None], speed: float) -> None:
        from songid_desktop.audio.capture import CaptureState, CaptureStatus
        from songid_desktop.audio.ring import Ring
        from songid_desktop.types import Source, SourceKind

        self.ring = Ring(RATE_HZ)
        self._music = music
        self._speed = speed
        self._on_status = on_status
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        source = Source("feed", "Generated music", SourceKind.MICROPHONE, is_default=True)

        def status(state: CaptureState) -> CaptureStatus:
            return CaptureStatus(state, "", source, RATE_HZ, "", 0, time.monotonic())

        self._running, self._closed = status(CaptureState.RUNNING), status(CaptureState.CLOSED)
        self.status = self._closed

    def start(self, source_name: str = "") -> None:
        del source_name
        self.stop()
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, name="music feed", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
            self.status = self._closed
            self._on_status(self.status)

    def close(self) -> None:
        self.stop()

    def _run(self) -> None:
        self.status = self._running
        self._on_status(self.status)
        began, written = time.monotonic(), 0
        while not self._stop.wait(_BLOCK_S):
            due = int((time.monotonic() - began) * self._speed * RATE_HZ)
            count = min(due - written, RATE_HZ)  # what a sleeping machine missed is not made up
            at = (written + np.arange(count)) % len(self._music)
            self.ring.write(self._music[at])
            written = due


class BenchWindow:
    """Window, services and application, driven from the benchmark."""

    def __init__(
        self, base_dir: Path, music: FloatArray, speed: float = 1.0, *, is_probed: bool = True
    ) -> None:
        if is_probed:  # keeps a number for each event: not while memory is measured
            os.environ["SONGID_PROBE_EVENTS"] = str(base_dir / "events.json")
        from songid_desktop import settings
        from songid_desktop.paths import base_dir_paths
        from songid_desktop.ui import app, bridge, theme
        from songid_desktop.ui.probe import FrameProbe
        from songid_desktop.ui.services import Services
        from songid_desktop.ui.window import MainWindow

        paths = base_dir_paths(base_dir)
        settings.save(
            paths.settings, settings.Settings(first_run_done=True, continuous=True, theme="dark")
        )
        self.app: Any = app.make_application()
        bridge.start()
        self._bridge = bridge
        self.services: Any = Services(paths)
        theme.apply(self.app, "dark")
        self.window: Any = MainWindow(self.services)
        painted: list[bool] = []
        self.window.first_painted.connect(lambda: painted.append(True))
        self.window.resize(1180, 760)
        self.window.show()
        self.spin_until(lambda: bool(painted))
        self.services.prepare()
        self.window.start_late()
        self.spin_until(lambda: self.services.is_prepared)
        self.services._capture.close()
        self.feed = MusicFeed(music, self.services._on_capture_status, speed)
        self.services._capture = self.feed
        self.page: Any = self.window._pages["listen"]
        self.frames = FrameProbe()
        if is_probed:
            self.page.spectrogram.probe = self.frames

    def spin(self, seconds: float) -> None:
        """Let the application run for that long."""
        from PySide6.QtCore import QEventLoop, QTimer

        loop = QEventLoop()
        QTimer.singleShot(round(seconds * 1000), loop.quit)
        loop.exec()

    def spin_until(self, claim: Callable[[], bool], timeout_s: float = 60.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not claim():
            if time.monotonic() > deadline:
                raise SystemExit("The window did not get as far as this benchmark needs.")
            self.spin(0.01)

    def close(self) -> None:
        self.window.close()
        self.spin(0.1)
        self.services.close()
        self._bridge.stop()


def enrolled_music(base_dir: Path) -> FloatArray:
    """Put the demo tunes into the library of `base_dir` and give all of them one after the other:
    float32, shape (n,), 48 kHz. So answers are found and drawn, as they are in real use."""
    from songid_desktop.audio.decode import decode
    from songid_desktop.evaluate.demo import install_demo_tunes
    from songid_desktop.paths import base_dir_paths

    paths = base_dir_paths(base_dir)
    install_demo_tunes(paths)
    tunes = sorted(paths.demo_tunes.glob("*.flac"))
    return np.concatenate([decode(tune, RATE_HZ).samples for tune in tunes])


def show_events(title: str, cpu_s: list[float]) -> None:
    if not cpu_s:
        common.figure(f"{title}: GUI events", "none")
        return
    worst = 1000 * common.percentile(cpu_s, 99)
    common.figure(f"{title}: CPU per GUI event, 99th percentile", f"{worst:.2f} ms", "goal: 16 ms")
