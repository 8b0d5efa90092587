"""From the start of the process to the first painted window, as a ratio to a bare PySide6 window.

    python -m tests.bench.startup [--runs 12]

Both run on the same private X server, in turn, so that what slows the machine slows both. "Painted"
is the window with sidebar, spectrogram and a Listen button that takes presses; "ready" is when
everything that loads after the first frame has loaded, so that a press listens at once.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from tests.bench import common
from tests.support.screen import private_display, started_window, window_manager

BARE = """
import sys, time
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication, QWidget
class Window(QWidget):
    def paintEvent(self, event):
        super().paintEvent(event)
        QTimer.singleShot(0, self.painted)
    def painted(self):
        print(time.time(), flush=True)
        app.quit()
app = QApplication(sys.argv)
window = Window()
window.resize(1180, 760)
window.show()
app.exec()
"""


def bare(environment: dict[str, str]) -> float:
    began = time.time()
    done = subprocess.run(
        [sys.executable, "-c", BARE], env=environment, capture_output=True, text=True, check=True
    )
    return float(done.stdout.split()[0]) - began


def ours(folder: Path, environment: dict[str, str]) -> tuple[float, float]:
    command = [sys.executable, "-m", "songid_desktop", "--base-dir", str(folder / "instance")]
    with started_window(command, Path.cwd(), log_folder=folder, **environment) as window:
        ready = window.wait_for("ready", 60)
        painted = window.wait_for("painted", 60)
        window.close()
    return painted, ready


def main() -> int:
    from songid_desktop import settings
    from songid_desktop.paths import base_dir_paths

    parser = common.parser(__doc__)
    parser.add_argument("--runs", type=int, default=12)
    args = parser.parse_args()
    plain, painted, ready = [], [], []
    with common.scratch("startup") as folder, private_display() as name, window_manager(name):
        known = settings.Settings(first_run_done=True)
        settings.save(base_dir_paths(folder / "instance").settings, known)
        environment = {**os.environ, "DISPLAY": name, "QT_QPA_PLATFORM": "xcb"}
        for number in range(args.runs + 1):
            one, (two, three) = bare(environment), ours(folder, environment)
            if number:  # the first round fills the disk cache
                plain.append(one)
                painted.append(two)
                ready.append(three)
    common.header("startup")
    common.figure("bare PySide6 window painted", common.spread(plain, " s"))
    common.figure("our window painted, spectrogram in it", common.spread(painted, " s"))
    common.figure("our window ready", common.spread(ready, " s"))
    for title, times, goal in (("painted", painted, "4"), ("ready", ready, "8")):
        ratios = [value / one for value, one in zip(times, plain, strict=True)]
        overall = statistics.median(times) / statistics.median(plain)
        common.figure(
            f"{title}, × bare window", f"{overall:.2f}; run by run {common.spread(ratios)}",
            f"goal: {goal}",
        )  # fmt: skip
    return 0


if __name__ == "__main__":
    common.run(main)
