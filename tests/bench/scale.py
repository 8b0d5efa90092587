"""A library of 1,000, 10,000 or 100,000 tracks of two minutes: how long until it can answer, how
long an answer takes, how many are right, how much memory and disk it needs.

    SONGID_CORPUS=… python -m tests.bench.scale --tracks 100000 [--work DIR] [--clips 60]

The first tracks are the corpus's own, enrolled as usual; what is missing to the number is synthetic
(`tests.bench.synthetic`: real landmarks at other speeds). Clips are cut from tracks of the corpus
that no synthetic track was made from, and are looked for among all; the same clips among the
corpus's own tracks alone are the answer to compare with. With --work everything that was made is
kept there, and a run that was interrupted goes on where it was. 100,000 tracks need 20 GB.

- *Warm*: every clip once more, after all clips were looked for.
- *Cold*: a fresh process that has answered from another, tiny index before; the files of this one
  were dropped from the system's cache (`posix_fadvise(DONTNEED)`, no process having them mapped);
  the share that is in the cache afterwards is printed, as `fincore` counts it.
- *Anonymous memory*: of the process that answers, from the system's own count (`smaps_rollup`):
  what it holds that is no page of a file.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from songid_desktop.types import Fingerprint, FingerprintChange, FloatArray
from tests.bench import common

CONDITIONS = ("clean", "white0", "room0")
LENGTHS_S = (2, 5)
PER_SEGMENT = 30_000
"""Synthetic tracks of one segment, what a compaction would make of them."""
COLD_CLIPS = 12
GIB = 1 << 30


@dataclass(frozen=True)
class QueryClip:
    """A clip at the method's rate, and where it is from."""

    track_id: int
    condition: str
    length_s: int
    start_s: float
    samples: FloatArray


@dataclass
class Found:
    """What became of one clip."""

    condition: str
    length_s: int
    is_right: bool
    wall_ms: float
    cpu_ms: float
    probability: float


class KeptReader:
    """The corpus's fingerprints as a catalog that claims synthetic tracks too."""

    def __init__(self, prints: dict[int, Fingerprint], synthetic: int) -> None:
        self._prints = prints
        self._synthetic = synthetic

    def catalog_id(self) -> str:
        return "bench"

    def revision(self) -> int:
        return len(self._prints)

    def changes(
        self, identifier: str, config_digest: str, since_revision: int
    ) -> Iterator[FingerprintChange]:
        del identifier, config_digest
        rows = list(self._prints.items())[since_revision:]
        for revision, (track_id, found) in enumerate(rows, start=since_revision + 1):
            yield FingerprintChange(revision, track_id, found)

    def fingerprint_count(self, identifier: str, config_digest: str) -> int:
        del identifier, config_digest
        return len(self._prints) + self._synthetic


# -- making the library ----------------------------------------------------------------------------


def enrolled(work: Path, digest: str) -> dict[str, tuple[int, Fingerprint]]:
    """Track number and fingerprint of every track of the corpus, by path; enrolled where needed."""
    kept = work / f"prints-{digest}.pickle"
    if kept.exists():
        found: dict[str, tuple[int, Fingerprint]] = pickle.loads(kept.read_bytes())
        return found
    from songid_desktop.catalog.catalog import Catalog
    from songid_desktop.paths import base_dir_paths

    paths = base_dir_paths(Path(os.environ.get("SONGID_BENCH_LIBRARY") or work / "library"))
    common.enrol(paths, [track.path for track in common.enrollable_tracks()])
    with Catalog.open(paths) as catalog:
        of = {track.track_id: str(track.path) for track in catalog.tracks()}
        changes = catalog.reader().changes("landmark", digest, 0)
        found = {
            of[change.track_id]: (change.track_id, change.fingerprint)
            for change in changes
            if change.fingerprint is not None and change.track_id in of
        }
    wanted = {str(track.path) for track in common.enrollable_tracks()}
    found = {path: one for path, one in found.items() if path in wanted}
    _keep(kept, found)
    return found


def _keep(path: Path, value: object) -> None:
    temporary = path.with_suffix(".writing")
    with temporary.open("wb") as file:
        pickle.dump(value, file, protocol=5)
    temporary.replace(path)


def make_clips(work: Path, role: str, split: str, most: int, numbers: dict[str, int]) -> Path:
    """Clips of the corpus's tracks of one role, made once and kept."""
    kept = work / f"clips-{role}-{split}-{most}.pickle"
    if kept.exists():
        return kept
    from songid_desktop.audio.decode import decode
    from songid_desktop.audio.resample import resample
    from songid_desktop.evaluate.clips import Surroundings, degrade, draw_start
    from songid_desktop.landmark.config import LandmarkConfig

    rate = LandmarkConfig().peaks.sample_rate
    around = Surroundings(common.corpus_folder(), split)
    clips = []
    tracks = [track for track in common.corpus_tracks(role) if str(track.path) in numbers]
    chosen = np.random.default_rng(3).permutation(len(tracks))[:most]
    for number in sorted(chosen.tolist()):
        track = tracks[number]
        rng = np.random.default_rng([11, number])
        sound = decode(track.path)
        for condition in CONDITIONS:
            for length_s in LENGTHS_S:
                count = length_s * sound.sample_rate
                start = draw_start(sound.samples, count, rng)
                if start is None:
                    continue
                made = degrade(sound, slice(start, start + count), condition, around, rng)
                samples = resample(np.asarray(made, np.float32), sound.sample_rate, rate)
                clips.append(
                    QueryClip(
                        numbers[str(track.path)],
                        condition,
                        length_s,
                        start / sound.sample_rate,
                        samples,
                    )
                )
    _keep(kept, clips)
    return kept


def make_index(work: Path, tracks: int, role: str) -> Path:
    """A folder with `index` and `prints.pickle`: the corpus's own tracks and synthetic ones."""
    from songid_desktop.identify.landmark import LandmarkIdentifier
    from songid_desktop.landmark.config import LandmarkConfig
    from songid_desktop.landmark.manifest import Manifest, Named, write_manifest
    from songid_desktop.landmark.peaks import unpack_peaks
    from tests.bench import synthetic

    config = LandmarkConfig()
    found = enrolled(work, config.digest())
    own = dict(list(found.values())[: min(tracks, len(found))])
    folder = work / f"{tracks}-{config.index_digest()}"
    index = folder / "index"
    index.mkdir(parents=True, exist_ok=True)
    missing = max(0, tracks - len(own))
    _keep(folder / "prints.pickle", (own, missing))
    if (folder / "complete").exists():
        return folder
    names = []
    if missing:
        roles = {str(track.path): track.role for track in common.corpus_tracks()}
        material = [
            unpack_peaks(one.payload)
            for path, (_, one) in found.items()
            if roles[path] not in {"query", "validation"}
        ]
        source = synthetic.kept_passages(
            work / f"passages-{config.index_digest()}.pickle", material, config
        )
        common.say(f"{source.postings_per_track:,.0f} postings a synthetic track")
        for first in range(0, missing, PER_SEGMENT):
            count = min(PER_SEGMENT, missing - first)
            names.append(f"synthetic{first:07}.segment")
            synthetic.write_synthetic(
                index / names[-1], source, synthetic.FIRST_TRACK_ID + first, count, config
            )
    reader = KeptReader(own, 0)
    with_own = folder / "own"
    identifier = LandmarkIdentifier(with_own)
    identifier.open(reader)
    identifier.save()
    identifier.close()
    for path in with_own.glob("*.segment"):
        shutil.copy(path, index / path.name)
        names.append(path.name)
    manifest = Manifest(config.index_digest(), "bench", reader.revision(), tuple(map(Named, names)))
    write_manifest(index, manifest)
    (folder / "complete").touch()
    return folder


# -- measuring, in processes of their own ----------------------------------------------------------


def measure(folder: Path, clips: Path, role: str) -> dict[str, Any]:
    """What one process finds out; `role` says which."""
    command = [sys.executable, "-m", "tests.bench.scale", "--child", role]
    command += ["--work", str(folder), "--with-clips", str(clips)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def child(folder: Path, clips_path: Path, role: str) -> dict[str, Any]:
    from songid_desktop.identify.landmark import LandmarkIdentifier

    clips: list[QueryClip] = pickle.loads(clips_path.read_bytes())
    own, synthetic = pickle.loads((folder / "prints.pickle").read_bytes())
    if role.startswith("cold"):
        some = clips[int(role.removeprefix("cold")) * len(clips) // COLD_CLIPS]
        _warm_up(some, own)
        clips = [some]
    before = anonymous_bytes()
    began = time.perf_counter()
    identifier = LandmarkIdentifier(folder / ("own" if role == "own" else "index"))
    identifier.open(KeptReader(own, 0 if role == "own" else synthetic))
    tracks = identifier.track_count
    opened_s = time.perf_counter() - began
    assert identifier.index.rebuilt_because == "", identifier.index.rebuilt_because
    opened_bytes = anonymous_bytes() - before
    if role in {"own", "warm"}:
        for clip in clips:
            identifier.rank(clip.samples)
    found = [_look(identifier, clip) for clip in clips]
    numbers = identifier.statistics()
    return {
        "tracks": tracks,
        "opened_ms": opened_s * 1e3,
        "opened_bytes": opened_bytes,
        "bytes": anonymous_bytes() - before,
        "whole_bytes": anonymous_bytes(),
        "found": [asdict(one) for one in found],
        "segments": numbers.segments,
        "postings": numbers.postings,
        "index_bytes": numbers.bytes,
        "bytes_of": numbers.bytes_of,
        "frames": numbers.frames,
    }


def _warm_up(clip: QueryClip, own: dict[int, Fingerprint]) -> None:
    """Answer once from a tiny index, so that no library is loaded when the clock runs."""
    from songid_desktop.identify.landmark import LandmarkIdentifier

    few = dict(list(own.items())[:2])
    identifier = LandmarkIdentifier(Path("nowhere"))
    identifier.open(KeptReader(few, 0))
    identifier.rank(clip.samples)
    identifier.close()


def _look(identifier: Any, clip: QueryClip) -> Found:
    began, cpu = time.perf_counter(), time.process_time()
    ranking = identifier.rank(clip.samples)
    wall_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu
    right = {clip.track_id}
    first = ranking.candidates[0].track_id if ranking.candidates else None
    is_right = first in right or clip.track_id in ranking.twins
    return Found(
        clip.condition,
        clip.length_s,
        bool(is_right),
        wall_s * 1e3,
        cpu_s * 1e3,
        float(ranking.probability),
    )


def anonymous_bytes() -> int:
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Anonymous:"):
            return int(line.split()[1]) * 1024
    return 0


def drop_from_cache(folder: Path) -> float:
    """Ask the system to forget what it has of the files; the share that it kept."""
    whole = kept = 0
    for path in folder.iterdir():
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(handle)
        whole += path.stat().st_size
        if shutil.which("fincore"):
            said = subprocess.run(
                ["fincore", "--bytes", "--noheadings", "--output", "RES", str(path)],
                capture_output=True,
                text=True,
                check=True,
            )
            kept += int(said.stdout.split()[0])
    return kept / max(whole, 1)


# -- the figures -----------------------------------------------------------------------------------


def report(folder: Path, clips: Path) -> None:
    own = measure(folder, clips, "own")
    warm = measure(folder, clips, "warm")
    common.header(
        f"{warm['tracks']:,} tracks, {own['tracks']:,} of them the corpus's own, "
        "the others synthetic (real landmarks at other speeds)"
    )
    common.figure("segments / postings", f"{warm['segments']} / {warm['postings']:,}")
    minutes = warm["frames"] * 0.032 / 60
    common.figure("disk", f"{warm['index_bytes'] / GIB:.2f} GiB")
    common.figure("bytes a minute of music", f"{warm['index_bytes'] / minutes:,.0f}")
    of = sorted(warm["bytes_of"].items(), key=lambda item: -item[1])
    common.figure("  of these", ", ".join(f"{n} {b / minutes:,.0f}" for n, b in of))
    common.figure("opened in", f"{warm['opened_ms']:.1f} ms")
    common.figure("anonymous memory of the open index", common.megabytes(warm["opened_bytes"]))
    common.figure("  of index and look-ups", common.megabytes(warm["bytes"]))
    common.figure("  of the whole process", common.megabytes(warm["whole_bytes"]))
    for length_s in LENGTHS_S:
        for name, one in (("own tracks alone", own), ("all tracks", warm)):
            some = [found for found in one["found"] if found["length_s"] == length_s]
            for clock in ("wall_ms", "cpu_ms"):
                values = [found[clock] for found in some]
                both = f"{common.percentile(values, 50):.1f} / {common.percentile(values, 95):.1f}"
                label = f"{length_s} s, {name}, warm, {clock.removesuffix('_ms')}"
                common.figure(f"{label}: p50 / p95", f"{both} ms", f"n = {len(values)}")
    _report_accuracy(own["found"], warm["found"])
    _report_cold(folder, clips)


def _report_accuracy(own: list[dict[str, Any]], warm: list[dict[str, Any]]) -> None:
    for condition in CONDITIONS:
        for length_s in LENGTHS_S:
            cell = [
                (before["is_right"], after["is_right"])
                for before, after in zip(own, warm, strict=True)
                if (before["condition"], before["length_s"]) == (condition, length_s)
            ]
            before, after = (100.0 * np.mean([pair[side] for pair in cell]) for side in (0, 1))
            lost = sum(a and not b for a, b in cell)
            common.figure(
                f"{condition} {length_s} s: first of own tracks → of all",
                f"{before:.1f} → {after:.1f} %",
                f"{lost} of {len(cell)} lost",
            )


def _report_cold(folder: Path, clips: Path) -> None:
    values, opened, kept = [], [], []
    for number in range(COLD_CLIPS):
        kept.append(drop_from_cache(folder / "index"))
        one = measure(folder, clips, f"cold{number}")
        values.append(one["found"][0]["wall_ms"])
        opened.append(one["opened_ms"])
    common.figure("index in the cache after dropping it", f"{100 * max(kept):.2f} % at most")
    common.figure("opened in, cold", common.spread(opened, " ms", 0))
    both = f"{common.percentile(values, 50):.0f} / {common.percentile(values, 95):.0f} ms"
    common.figure("first answer, cold: p50 / p95", both, f"n = {len(values)}")


def main() -> int:
    parser = common.parser(__doc__)
    parser.add_argument("--tracks", type=int, default=1000)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--clips", type=int, default=60, help="tracks that clips are cut from")
    parser.add_argument("--role", default="validation", help="… of this role")
    parser.add_argument("--split", default="train", help="side of the noises and rooms")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--with-clips", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(child(args.work, args.with_clips, args.child)))
        return 0
    with common.scratch("scale") as scratch:
        work: Path = (args.work or scratch).absolute()
        work.mkdir(parents=True, exist_ok=True)
        folder = make_index(work, args.tracks, args.role)
        own, _ = pickle.loads((folder / "prints.pickle").read_bytes())
        from songid_desktop.landmark.config import LandmarkConfig

        found = enrolled(work, LandmarkConfig().digest())
        numbers = {path: number for path, (number, _) in found.items() if number in own}
        clips = make_clips(work, args.role, args.split, args.clips, numbers)
        report(folder, clips)
    return 0


if __name__ == "__main__":
    common.run(main)
