"""Opening a library of 1,000 tracks: how long until it can answer, and the most memory held.

    SONGID_CORPUS=… python -m tests.bench.scale [--tracks 1000] [--opens 5]

The corpus is enrolled first; what is missing to the number is made from it by playing its tracks
faster (7 %, 15 %, 24 %, …), which moves every peak, so that they are other recordings of music with
the same statistics. Each opening is a process of its own; files are in the system's cache.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np

from tests.bench import common

SPEEDS = (1.07, 1.15, 1.24, 1.33, 0.93, 0.86)
MADE_RATE_HZ = 16_000

CHILD = """
import json, sys, time
from pathlib import Path
began = time.perf_counter()
import numpy
base_line = time.perf_counter() - began
from songid_desktop.paths import base_dir_paths
from songid_desktop.types import AudioBlock
paths = base_dir_paths(Path(sys.argv[1]))
clip = numpy.load(sys.argv[2])
def peak():
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
def rollup(name):
    for line in open("/proc/self/smaps_rollup"):
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
from songid_desktop.catalog.catalog import Catalog
from songid_desktop.identify.engine import Engine
from songid_desktop.identify.landmark import LandmarkIdentifier
before = peak()
began = time.perf_counter()
with Catalog.open(paths) as catalog:
    tracks = catalog.counts().tracks
    opened = time.perf_counter() - began
    listed = len(catalog.tracks(limit=100))
    shown = time.perf_counter() - began
began = time.perf_counter()
with Engine(paths) as engine:
    count = engine.track_count()
    ready = time.perf_counter() - began
    began = time.perf_counter()
    first = engine.identify(AudioBlock(clip, 16000))
    answered = time.perf_counter() - began
    began = time.perf_counter()
    for _ in range(5):
        engine.identify(AudioBlock(clip, 16000))
    again = (time.perf_counter() - began) / 5
    own = rollup("Anonymous")
print(json.dumps(dict(numpy=base_line, tracks=tracks, count=count, opened=opened, shown=shown,
    ready=ready, answered=answered, again=again, before=before, peak=peak(), own=own,
    verdict=first.verdict)))
"""


def fill_up(folder: Path, wanted: int, have: list[common.CorpusTrack]) -> list[Path]:
    """`wanted` more files, made from the corpus at other speeds."""
    from songid_desktop.audio.decode import decode
    from songid_desktop.errors import AudioFileError
    from tests.support.sound import write_wav

    folder.mkdir(parents=True, exist_ok=True)
    made: list[Path] = []
    for speed in SPEEDS:
        for number, track in enumerate(have):
            if len(made) >= wanted:
                return made
            path = folder / f"{speed:.2f} {number:04}.wav"
            if not path.exists():
                try:
                    samples = decode(track.path, MADE_RATE_HZ).samples
                except AudioFileError:
                    continue
                # The same samples, said to be at a higher rate, play faster and higher.
                write_wav(path, samples, round(MADE_RATE_HZ * speed))
            made.append(path)
            if len(made) % 50 == 0:
                common.say(f"{len(made)} of {wanted} made")
    return made


def main() -> int:
    parser = common.parser(__doc__)
    parser.add_argument("--tracks", type=int, default=1000)
    parser.add_argument("--opens", type=int, default=5)
    args = parser.parse_args()
    corpus = common.enrollable_tracks()[: args.tracks]
    runs = []
    with common.scratch("scale") as folder, common.library(corpus, folder) as paths:
        made = fill_up(paths.data.parent / "made", args.tracks - len(corpus), corpus)
        report = common.enrol(paths, made)
        common.say(f"{report.added} of those enrolled")
        from songid_desktop.audio.decode import decode

        clip = folder / "clip.npy"
        np.save(clip, decode(corpus[7].path, MADE_RATE_HZ, start_s=20, length_s=5).samples)
        for number in range(args.opens + 1):
            command = [sys.executable, "-c", CHILD, str(paths.data.parent), str(clip)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(done.stderr)
            if number:
                runs.append(json.loads(done.stdout))
        sizes = common.bytes_below(paths.index), common.bytes_below(paths.data)
    common.header(f"{runs[0]['tracks']} tracks, {len(made)} of them made from others")
    for key, title in (
        ("numpy", "for scale: importing numpy"),
        ("opened", "catalog opened and counted"),
        ("shown", "…and the first 100 rows read"),
        ("ready", "identifier open (index mapped)"),
        ("answered", "first answer to a 5 s clip"),
        ("again", "each later answer"),
    ):
        common.figure(title, common.spread([1000 * run[key] for run in runs], " ms", 1))
    ratio = statistics.median(r["ready"] + r["opened"] for r in runs) / statistics.median(
        r["numpy"] for r in runs
    )
    common.figure("open altogether, × importing numpy", f"{ratio:.2f}")
    common.figure("peak memory, mapped files included", megabytes_of(runs, "peak"))
    common.figure("peak before anything was opened", megabytes_of(runs, "before"))
    common.figure("memory of its own after six answers", megabytes_of(runs, "own"))
    common.figure("tracks that can be found", str(runs[0]["count"]))
    common.figure("index / whole library on disk", " / ".join(map(common.megabytes, sizes)))
    return 0


def megabytes_of(runs: list[dict[str, float]], key: str) -> str:
    return common.spread([run[key] / 1e6 for run in runs], " MB", 1)


if __name__ == "__main__":
    common.run(main)
