"""Memory after an hour of listening against that after a minute.

    python -m tests.bench.memory [--minutes 60] [--speed 8]

The real window, offscreen, in continuous mode, hears the tunes of its library round and round,
`--speed` times as fast as they sound; everything runs as it does in real time: looks, history rows,
spectrogram, constellation. "Own" memory is what is resident less what is shared with files on disk.
"""

from __future__ import annotations

import gc
import threading
import time
from collections import Counter
from pathlib import Path

from tests.bench import common
from tests.bench.window import RATE_HZ, BenchWindow, enrolled_music


def handles() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def main() -> int:
    parser = common.parser(__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--speed", type=float, default=8.0)
    args = parser.parse_args()
    rows = []
    with common.scratch("memory") as folder:
        window = BenchWindow(
            folder / "instance",
            enrolled_music(folder / "instance"),
            speed=args.speed,
            is_probed=False,
        )
        looks: Counter[str] = Counter()
        window.page.control.looked.connect(
            lambda look, _audio: looks.update([look.identification.verdict.value])
        )
        window.page.toggle()
        marks = sorted({1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 45.0, args.minutes})
        began = time.monotonic()
        for minute in (mark for mark in marks if mark <= args.minutes):
            wanted = minute * 60 * RATE_HZ
            while window.feed.ring.position < wanted:
                window.spin(0.2)
            gc.collect()
            rows.append((minute, common.resident_bytes(), handles(), threading.active_count()))
            common.say(f"{minute:.0f} min heard after {time.monotonic() - began:.0f} s")
        window.page.toggle()
        window.close()
    common.header(f"memory, {args.speed:g} × real time")
    common.figure("looks", f"{looks.total()}, {looks['match']} of them a match")
    for minute, own, open_handles, threads in rows:
        common.figure(
            f"after {minute:.0f} min: own memory, file handles, threads",
            f"{common.megabytes(own)}, {open_handles}, {threads}",
        )
    common.figure("growth from the first to the last", common.megabytes(rows[-1][1] - rows[0][1]))
    return 0


if __name__ == "__main__":
    common.run(main)
