"""How fast a folder is enrolled, and how many bytes an hour of music takes.

    SONGID_CORPUS=… python -m tests.bench.enrolment [--tracks 60] [--repeats 3]

"× real time per core" is seconds of music over seconds of processor time of all processes together,
decoding, hashing and writing included. Decoding alone, by the same library, runs in between for
comparison: what enrolment costs is best read as a multiple of that.
"""

from __future__ import annotations

import gc
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench import common


@dataclass(frozen=True)
class Run:
    audio_s: float
    cpu_s: float
    elapsed_s: float


def decode_only(files: Sequence[Path]) -> Run:
    """Every file to mono at the identifier's rate, and nothing else."""
    from songid_desktop.audio.decode import open_audio
    from songid_desktop.identify.registry import fingerprinter

    rate = fingerprinter("landmark").sample_rate
    cpu, began, audio_s = common.cpu_seconds(), time.perf_counter(), 0.0
    for file in files:
        with open_audio(file, rate) as blocks:
            for block in blocks:
                audio_s += block.duration_s
    return Run(audio_s, common.cpu_seconds() - cpu, time.perf_counter() - began)


def enrol_into(folder: Path, files: Sequence[Path], jobs: int) -> tuple[Run, int, int]:
    """Enrol into a new library; also its catalog's and its index's bytes."""
    from songid_desktop.paths import base_dir_paths

    paths = base_dir_paths(folder)
    cpu = common.cpu_seconds()
    began = time.perf_counter()
    report = common.enrol(paths, files, jobs)
    gc.collect()  # joins what is left of the workers, so that their time is counted
    elapsed_s = time.perf_counter() - began
    run = Run(report.audio_s, common.cpu_seconds() - cpu, elapsed_s)
    index = common.bytes_below(paths.index)
    catalog = common.bytes_below(paths.data) - index
    shutil.rmtree(folder)
    return run, catalog, index


def main() -> int:
    parser = common.parser(__doc__)
    parser.add_argument("--tracks", type=int, default=60, help="how many (default 60), 0 for all")
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    tracks = common.enrollable_tracks()
    # Every n-th, so that all packages and formats of the corpus take part.
    step = max(1, len(tracks) // args.tracks) if args.tracks else 1
    files = [track.path for track in tracks[::step]][: args.tracks or None]
    formats = sorted({file.suffix.lstrip(".") for file in files})
    alone, together, decoding = [], [], []
    sizes: tuple[int, int] = (0, 0)
    with common.scratch("enrolment") as folder:
        for number in range(args.repeats):
            common.say(f"round {number + 1} of {args.repeats}")
            decoding.append(decode_only(files))
            run, *_ = enrol_into(folder / "one", files, jobs=1)
            alone.append(run)
            run, *both = enrol_into(folder / "all", files, jobs=0)
            together.append(run)
            sizes = (both[0], both[1])
    hours = together[-1].audio_s / 3600
    common.header("enrolment")
    common.figure("music", f"{hours:.2f} h, {len(files)} files ({', '.join(formats)})")
    for name, runs in (
        ("decoding alone", decoding),
        ("enrolment, one worker", alone),
        ("enrolment, a worker per core", together),
    ):
        per_core = [run.audio_s / run.cpu_s for run in runs]
        common.figure(f"{name}: × real time per core", common.spread(per_core, digits=0))
        overall = [run.audio_s / run.elapsed_s for run in runs]
        common.figure(f"{name}: × real time by the clock", common.spread(overall, digits=0))
    ratio = [
        one.cpu_s / one.audio_s / (d.cpu_s / d.audio_s)
        for one, d in zip(together, decoding, strict=True)
    ]
    common.figure("processor time, enrolment over decoding alone", common.spread(ratio))
    common.figure("catalog", f"{sizes[0] / hours / 1e6:.2f} MB per hour of music")
    common.figure("index", f"{sizes[1] / hours / 1e6:.2f} MB per hour of music")
    return 0


if __name__ == "__main__":
    common.run(main)
