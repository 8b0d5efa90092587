"""How the picture runs: idle, listening, and listening while a folder is enrolled.

    python -m tests.bench.frames [--seconds 20]

The real window on a private X server (Xvfb, software drawing), hearing tunes
of its library. Frames are
painted spectrograms; "apart" is the time from one to the next. With SONGID_CORPUS set, that music
is enrolled in the third part, else generated files are.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench import common
from tests.bench.window import BenchWindow, enrolled_music, show_events
from tests.support.screen import private_display, window_manager


def files_to_enrol(folder: Path) -> list[Path]:
    if os.environ.get("SONGID_CORPUS"):
        return [track.path for track in common.enrollable_tracks()]
    from tests.support.music import write_short_tunes

    common.say("writing generated music to enrol")
    return write_short_tunes(folder / "tunes", 150, seconds=90.0)


def measure(window: BenchWindow, title: str, seconds: float, is_on: Callable[[], bool]) -> None:
    window.spin(2.0)  # past what only the beginning costs
    window.frames.clear()
    window.app.event_cpu_s.clear()
    cpu, thread, began = time.process_time(), time.thread_time(), time.monotonic()
    deadline = began + seconds
    while time.monotonic() < deadline and is_on():
        window.spin(0.5)
    elapsed = time.monotonic() - began
    process_share = (time.process_time() - cpu) / elapsed
    gui_share = (time.thread_time() - thread) / elapsed
    apart = [1000 * value for value in window.frames.interval_s]
    paint = [1000 * value for value in window.frames.paint_s]
    common.figure(f"{title}: measured for", f"{elapsed:.0f} s, {len(paint)} frames")
    if apart:
        common.figure(f"{title}: frames apart", common.spread(apart, " ms"))
        worst = common.percentile(apart, 95)
        common.figure(
            f"{title}: frames apart, 95th percentile",
            f"{worst:.1f} ms = {1000 / worst:.0f} a second",
        )
        common.figure(f"{title}: painting a frame", common.spread(paint, " ms"))
        share = 100 * sum(paint) / len(paint) * 30 / 1000
        common.figure(f"{title}: painting at 30 a second", f"{share:.1f} % of a core", "goal: 25 %")
    common.figure(f"{title}: GUI thread", f"{100 * gui_share:.1f} % of a core")
    common.figure(f"{title}: whole process", f"{100 * process_share:.1f} % of a core")
    show_events(title, [cpu for _kind, cpu in window.app.event_cpu_s])


def child(folder: Path, seconds: float) -> int:
    from songid_desktop.ui.enrol_job import JobState

    files = files_to_enrol(folder)
    window = BenchWindow(folder / "instance", enrolled_music(folder / "instance"))
    common.header("frames")
    measure(window, "idle", seconds / 2, lambda: True)
    window.page.toggle()
    measure(window, "listening", seconds, lambda: True)
    enrolment = window.services.enrolment
    enrolment.start(files)
    window.spin_until(lambda: enrolment.state is JobState.RUNNING)
    measure(window, "listening, enrolling", seconds, lambda: enrolment.state is JobState.RUNNING)
    window.page.toggle()
    enrolment.cancel()
    window.spin_until(lambda: enrolment.state is JobState.IDLE)
    window.close()
    return 0


def main() -> int:
    parser = common.parser(__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        return child(args.child, args.seconds)
    with common.scratch("frames") as folder, private_display() as name, window_manager(name):
        command = [sys.executable, "-m", "tests.bench.frames",
                   "--seconds", str(args.seconds), "--child", str(folder)]  # fmt: skip
        environment = {**os.environ, "DISPLAY": name, "QT_QPA_PLATFORM": "xcb"}
        return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    common.run(main)
