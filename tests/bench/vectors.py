"""What a search for vectors costs and loses as a library grows.

    python -m tests.bench.vectors [--tracks 100 1000 10000 100000] [--exact-queries 60]

The vectors are made up: their likeness from one to the next, within a track and between tracks,
and the directions they fill, are about those of the CNN's vectors of 150 tracks. They lie in a
database as the catalog's do. Past `--real` tracks the same tracks are counted several times
over, each time in a segment of their own: what is looked up is as much, and as large, as it would
be.

Printed for each size: bytes, time to make the index, CPU and wall-clock milliseconds of a search
for 5 s, memory; and of clips in noise, how many a search of everything finds first, and how many
the index does.
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from songid_desktop.neural.coding import Limits, merged
from songid_desktop.neural.index import VectorIndex
from songid_desktop.neural.inverted import Entries
from songid_desktop.neural.segment import Tracks, open_segment, write_segment
from songid_desktop.neural.sequence import Clip, SearchConfig, search
from songid_desktop.neural.tail import Recent, Tail
from songid_desktop.neural.vectors import pack, unpack
from songid_desktop.types import Fingerprint, FingerprintChange, FloatArray

NAME, DIGEST, DIM, HOP_S, PHASES = "cnn", "bench", 128, 0.25, 2
TRACK_S = 150.0
CLIP_S = 5.0
_TAPS = np.array([0.35, 0.8, 1.0, 0.8, 0.35])
_OWN = 0.41
"""Norm of a track's mean vector."""
_SPECTRUM = 1.0 / np.sqrt(1.0 + np.arange(DIM) / 18.0)
"""Size of the directions: about 52 of 128 count."""


def fine_vectors(track_id: int, seconds: float = TRACK_S) -> FloatArray:
    """A track's vectors, `PHASES` for each stored one."""
    rng = np.random.default_rng([5, track_id])
    count = round((seconds - 1.0) / HOP_S * PHASES) + 1
    noise = rng.standard_normal((count + len(_TAPS) - 1, DIM)).astype(np.float32)
    rows = np.zeros((count, DIM), np.float32)
    for at, tap in enumerate(_TAPS / np.sqrt((_TAPS**2).sum())):
        rows += np.float32(tap) * noise[at : at + count]
    own = rng.standard_normal(DIM)
    rows = rows * np.sqrt(1.0 - _OWN**2) + _OWN * own
    rows *= _SPECTRUM
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


class Stored:
    """Payloads in a database, asked for as the catalog's are."""

    def __init__(self, path: Path, n_tracks: int, n_real: int) -> None:
        self._database = sqlite3.connect(path)
        self._database.execute("PRAGMA cache_size = -8192")
        self.n_tracks = n_tracks
        self.n_stored = min(n_tracks, n_real)
        self._is_planned = False
        self._database.execute("CREATE TABLE IF NOT EXISTS payloads (id INTEGER PRIMARY KEY, b)")
        have = self._database.execute("SELECT count(*) FROM payloads").fetchone()[0]
        for track_id in range(have, self.n_stored):
            payload = pack(fine_vectors(track_id)[::PHASES], HOP_S)
            self._database.execute("INSERT INTO payloads VALUES (?, ?)", (track_id, payload))
        self._database.commit()

    def catalog_id(self) -> str:
        return "bench"

    def revision(self) -> int:
        return self.n_stored

    def changes(self, identifier: str, digest: str, since: int) -> Iterator[FingerprintChange]:
        for track_id in range(since, self.n_stored):
            payload = self.payload(track_id)
            print_ = Fingerprint(identifier, digest, payload, TRACK_S)
            yield FingerprintChange(track_id + 1, track_id, print_)

    def payload(self, track_id: int) -> bytes:
        found: bytes = self._database.execute(
            "SELECT b FROM payloads WHERE id = ?", (track_id % self.n_stored,)
        ).fetchone()[0]
        return found

    def fingerprint_count(self, identifier: str, digest: str) -> int:
        del identifier, digest
        if not self._is_planned:  # asked for the first time by whoever plans the lists
            self._is_planned = True
            return self.n_tracks
        return self.n_stored

    def payload_part(
        self, identifier: str, digest: str, track_id: int, start: int, length: int
    ) -> bytes | None:
        del identifier, digest
        found: bytes = self._database.execute(
            "SELECT substr(b, ?, ?) FROM payloads WHERE id = ?",
            (start + 1, length, track_id % self.n_stored),
        ).fetchone()[0]
        return found


def multiply(index: VectorIndex, stored: Stored) -> None:
    """Count what is coded several times over, in segments of their own: other tracks, other
    places, the same lists."""
    contents = index._contents
    assert contents.coder is not None
    rng = np.random.default_rng(3)
    tracks, entries = merged(contents.segments, contents.coder.code_bytes)
    for times in range(1, stored.n_tracks // stored.n_stored):
        ids = tracks.track_id + times * stored.n_stored
        others = Tracks(ids, tracks.start, tracks.count, ids + 1, tracks.payload_sum)
        codes = entries.codes[rng.permutation(len(entries))]
        copied = Entries(entries.lists, entries.rows, codes)
        path = write_segment(index.directory, index.index_digest, contents.coder, others, copied)
        segment = open_segment(path, index.index_digest, contents.coder)
        segment.is_own = True
        contents.segments.append(segment)


def clips(n_tracks: int, count: int, noise: float) -> list[tuple[int, int, Clip]]:
    """Clips of `CLIP_S` in noise: track, step, clip."""
    rng = np.random.default_rng(11)
    wanted = round((CLIP_S - 1.0) / HOP_S * PHASES) + 1
    made = []
    for _ in range(count):
        track_id = int(rng.integers(n_tracks))
        whole = fine_vectors(track_id)
        first = int(rng.integers(len(whole) - wanted))
        # Noise over overlapping windows is alike from one to the next, as music is.
        around = fine_vectors(10**7 + int(rng.integers(10**6)))[:wanted]
        rows = whole[first : first + wanted] + noise * around
        rows += 0.5 * noise * rng.standard_normal(rows.shape) / np.sqrt(DIM)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        made.append((track_id, first, Clip(rows.astype(np.float32), HOP_S, PHASES)))
    return made


def exact_first(stored: Stored, clip: Clip) -> int:
    """The track that fits best of all."""
    best, score = -1, -1.0
    for begin in range(0, stored.n_stored, 100):
        tail = Tail()
        for track_id in range(begin, min(begin + 100, stored.n_stored)):
            tail.put(track_id, Recent(unpack(stored.payload(track_id))))
        places = tail.best_places(clip.vectors, clip.phases)
        at = int(np.argmax(places.score))
        if places.score[at] > score:
            best, score = int(places.track_id[at]), float(places.score[at])
    return best


def memory_mb() -> float:
    """Memory of this process that is in no file."""
    try:
        text = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return float("nan")
    return int(text.split("RssAnon:")[1].split()[0]) / 1e3


def measure(n_tracks: int, n_real: int, folder: Path, n_exact: int, noise: float) -> None:
    stored = Stored(folder / "payloads.sqlite3", n_tracks, n_real)
    index = VectorIndex(folder / f"{n_tracks}", NAME, DIGEST, DIM, Limits())
    began, cpu = time.perf_counter(), time.process_time()
    index.open(stored)
    if n_tracks > stored.n_stored:
        multiply(index, stored)
    index.save()
    made_s, made_cpu_s = time.perf_counter() - began, time.process_time() - cpu
    numbers = index.statistics()
    minutes = n_tracks * TRACK_S / 60.0
    print(
        f"{n_tracks:,} tracks of {TRACK_S:.0f} s: {numbers.tracks_searched_whole:,} searched "
        "whole, "
        f"{numbers.coded_vectors:,} coded vectors in {numbers.lists:,} lists, "
        f"{numbers.segments} segments; stored {len(stored.payload(0)) / TRACK_S * 60 / 1e3:.2f} kB "
        f"a minute, index {numbers.bytes / minutes / 1e3:.2f} kB a minute; "
        f"made in {made_s:.0f} s ({made_cpu_s:.0f} s CPU)"
    )
    config = SearchConfig()
    for _, _, clip in clips(stored.n_stored, 4, noise):
        search(index, clip, config)
    times = []
    for _, _, clip in clips(stored.n_stored, 100, noise):
        wall, cpu = time.perf_counter(), time.process_time()
        search(index, clip, config)
        times.append((time.perf_counter() - wall, time.process_time() - cpu))
    wall_ms, cpu_ms = (np.array(column) * 1e3 for column in zip(*times, strict=True))
    print(
        f"  search of {CLIP_S:.0f} s: CPU p50 {np.median(cpu_ms):.1f} ms, "
        f"p95 {np.percentile(cpu_ms, 95):.1f} ms; wall p50 {np.median(wall_ms):.1f} ms, "
        f"p95 {np.percentile(wall_ms, 95):.1f} ms; {memory_mb():.0f} MB in memory"
    )
    asked = clips(stored.n_stored, n_exact, noise)
    found = [search(index, clip, config) for _, _, clip in asked]
    named = [one[0].track_id % stored.n_stored if one else -1 for one in found]
    right = sum(name == track_id for name, (track_id, _, _) in zip(named, asked, strict=True))
    best = [exact_first(stored, clip) for _, _, clip in asked]
    exactly = sum(one == track_id for one, (track_id, _, _) in zip(best, asked, strict=True))
    agree = sum(one == name for one, name in zip(best, named, strict=True))
    print(
        f"  first of {len(asked)} clips in noise ({noise:g}): searching everything {exactly}, "
        f"the index {right}; both name the same {agree}",
        flush=True,
    )
    index.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tracks", type=int, nargs="+", default=[100, 1000, 10_000, 100_000])
    parser.add_argument("--real", type=int, default=10_000, help="tracks of their own vectors")
    parser.add_argument("--exact-queries", type=int, default=60)
    parser.add_argument("--noise", type=float, default=1.3)
    parser.add_argument("--work", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.work or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for n_tracks in options.tracks:
            measure(n_tracks, options.real, folder, options.exact_queries, options.noise)


if __name__ == "__main__":
    sys.exit(main())
