"""What the benchmarks share: the corpus, a library made from it, and figures with their spread.

The corpus is a folder with `manifest.csv` (columns path, role, duration_s and more), named by the
variable SONGID_CORPUS. Tests never need it; the benchmarks that need music say so.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support import isolation

if TYPE_CHECKING:
    from songid_desktop.catalog.enrol import EnrolProgress, EnrolReport
    from songid_desktop.paths import Paths

ABSENT_ROLES = ("absent", "validation_absent")
SEEN_ABSENT = "validation_absent"
"""Absent tracks that development may look at; `absent` is for the final evaluation."""


@dataclass(frozen=True)
class CorpusTrack:
    path: Path
    role: str
    duration_s: float


def corpus_folder() -> Path:
    named = os.environ.get("SONGID_CORPUS", "")
    if not (Path(named) / "manifest.csv").is_file():
        raise SystemExit(
            "This benchmark needs music: set SONGID_CORPUS to a folder with a manifest.csv."
        )
    return Path(named)


def corpus_tracks(*roles: str, minimum_s: float = 0.0) -> list[CorpusTrack]:
    """Tracks of those roles (all of them without any), in the manifest's order."""
    folder = corpus_folder()
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    tracks = [
        CorpusTrack(folder / row["path"], row["role"], float(row["duration_s"])) for row in rows
    ]
    return [
        track
        for track in tracks
        if (not roles or track.role in roles)
        and track.duration_s >= minimum_s
        and track.path.is_file()
    ]


def enrollable_tracks() -> list[CorpusTrack]:
    """What a catalog holds: everything but the absent ones."""
    return [track for track in corpus_tracks() if track.role not in ABSENT_ROLES]


def noise_files(split: str = "train") -> list[Path]:
    """Background recordings of the corpus: café, street, rain and the like."""
    folder = corpus_folder()
    with (folder / "noise_rooms.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    named = [folder / r["path"] for r in rows if r["kind"] != "room" and r["split"] == split]
    return [path for path in named if path.is_file()]


@contextmanager
def scratch(name: str) -> Iterator[Path]:
    """A private home and a folder for this run, gone afterwards."""
    home = isolation.isolate()
    folder = Path(tempfile.mkdtemp(prefix=f"songid-bench-{name}-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        isolation.clean_up(home)


@contextmanager
def library(tracks: Sequence[CorpusTrack], folder: Path) -> Iterator[Paths]:
    """An instance with `tracks` enrolled. With SONGID_BENCH_LIBRARY set, one is kept there between
    runs (an unchanged file costs a stat)."""
    from songid_desktop.paths import base_dir_paths

    kept = os.environ.get("SONGID_BENCH_LIBRARY")
    paths = base_dir_paths(Path(kept) if kept else folder / "library")
    began = time.monotonic()
    report = enrol(paths, [track.path for track in tracks])
    say(
        f"library: {report.added} tracks enrolled, {report.unchanged} were there "
        f"({time.monotonic() - began:.0f} s)"
    )
    yield paths


def enrol(paths: Paths, files: Sequence[Path], jobs: int = 0) -> EnrolReport:
    from songid_desktop.identify.enrolment import enrol_library

    said = 0.0

    def progress(now: EnrolProgress) -> None:
        nonlocal said
        if time.monotonic() - said > 20:
            said = time.monotonic()
            say(f"{now.done} of {now.total} files")

    return enrol_library(paths, files, jobs=jobs, holder="benchmark", progress=progress)


def bytes_below(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def say(text: str) -> None:
    """Progress, apart from the figures on standard output."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def spread(values: Sequence[float], unit: str = "", digits: int = 2) -> str:
    """Median and the range that holds the middle half, with the number of values."""
    if not values:
        return "no values"
    if len(values) < 4:
        low, high = min(values), max(values)
    else:
        low, _, high = statistics.quantiles(values, n=4)
    middle = statistics.median(values)
    return f"{middle:.{digits}f}{unit} ({low:.{digits}f}–{high:.{digits}f}, n = {len(values)})"


def percentile(values: Sequence[float], percent: float) -> float:
    """Nearest-rank percentile: a value that occurred (infinity stays infinity)."""
    ordered = sorted(values)
    rank = max(1, -(-len(ordered) * percent // 100))
    return ordered[int(rank) - 1]


def figure(name: str, value: str, note: str = "") -> None:
    """One line of the result."""
    print(f"{name:<58} {value}" + (f"   [{note}]" if note else ""), flush=True)


def header(title: str) -> None:
    cores = os.cpu_count()
    print(f"# {title}: {cores} cores, Python {platform.python_version()}, {platform.machine()}")


def parser(doc: str | None) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def cpu_seconds() -> float:
    """User and system time (s) of this process and of its children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def resident_bytes(pid: int | None = None) -> int:
    """Memory that process holds now, without what it shares with files on disk."""
    text = Path(f"/proc/{pid or 'self'}/statm").read_text()
    _, resident, shared, *_ = (int(word) for word in text.split())
    return (resident - shared) * os.sysconf("SC_PAGE_SIZE")


def peak_bytes(pid: int | None = None) -> int:
    """The most memory that process ever held at once (VmHWM)."""
    for line in Path(f"/proc/{pid or 'self'}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    return 0


def megabytes(count: float) -> str:
    return f"{count / 1e6:.1f} MB"


def run(main: Any) -> None:
    """Start a benchmark's main function."""
    raise SystemExit(main())
