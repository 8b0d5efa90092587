"""The music a training learns from: which tracks have which part, and their samples in one file.

Every track is decoded once, at the model's rate, into a 16-bit cache that all trainings share; the
cache is mapped into memory, so that any window of any track is a slice.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from songid_desktop.errors import AudioFileError, Cancelled, EnvironmentProblem, UsageError
from songid_desktop.types import CancelToken

Int16Array = npt.NDArray[np.int16]

ROLES = ("train", "validation")
"""The only parts of a collection that a training ever opens."""
_SHORTEST_S = 3.0
_PEAK = 30_000
"""Each track is cached at this peak: quiet ones keep their resolution."""
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Item:
    """One track of a collection. `group` is what it was published with (album, package)."""

    path: str
    role: str
    group: str = ""


def read_collection(folder: Path) -> tuple[Item, ...]:
    """The tracks of a folder that may be learned from or be looked at for model choice.

    A ``manifest.csv`` (path, role) is honoured, else a ``metadata.csv`` as `songid dataset scan`
    writes it (path, split); without either a fifth of the files, by their names, is held out.

    Raises
    ------
    UsageError
        When the folder is not there or holds no audio.
    """
    if not folder.is_dir():
        raise UsageError(f"There is no folder {folder} to learn from.")
    for table, column, group in (
        ("manifest.csv", "role", "package"),
        ("metadata.csv", "split", "album"),
    ):
        if (folder / table).is_file():
            items = _listed(folder / table, column, group)
            break
    else:
        items = _walked(folder)
    if not any(item.role == "train" for item in items):
        raise UsageError(
            f"{folder} holds no audio to learn from. A folder with music files, or one that "
            "“songid dataset scan” has listed, is needed."
        )
    return tuple(items)


def _listed(table: Path, column: str, group: str) -> list[Item]:
    with table.open(encoding="utf-8", errors="surrogateescape", newline="") as lines:
        rows = list(csv.DictReader(lines))
    if rows and not {"path", column} <= rows[0].keys():
        raise UsageError(f"{table} has no columns “path” and “{column}”.")
    return [
        Item(row["path"], row[column], row.get(group) or str(Path(row["path"]).parent))
        for row in rows
        if row[column] in ROLES
    ]


def _walked(folder: Path) -> list[Item]:
    from songid_desktop.catalog.scan import walk

    root = folder.absolute()
    items = []
    for found in walk([folder]):
        if found.problem is not None:
            continue
        place = os.path.relpath(found.path, root)
        share = hashlib.sha256(os.fsencode(place)).digest()[0]
        items.append(Item(place, "validation" if share < 51 else "train", str(Path(place).parent)))
    items.sort(key=lambda item: os.fsencode(item.path))
    return items


@dataclass(frozen=True, slots=True)
class Track:
    """Where a track stands in the cache (samples)."""

    path: str
    role: str
    group: str
    start: int
    count: int


class Music:
    """Decoded tracks. `samples` is int16, shape (all samples of all tracks,), mapped from disk."""

    def __init__(
        self, samples: Int16Array, tracks: Sequence[Track], sample_rate: int, digest: str
    ) -> None:
        self.samples = samples
        self.tracks = tuple(tracks)
        self.sample_rate = sample_rate
        self.digest = digest

    def part(self, role: str) -> tuple[Track, ...]:
        return tuple(track for track in self.tracks if track.role == role)

    def of(self, track: Track) -> Int16Array:
        """All samples of one track."""
        return self.samples[track.start : track.start + track.count]

    def hours(self, role: str) -> float:
        return sum(track.count for track in self.part(role)) / self.sample_rate / 3600.0


Progress = Callable[[int, int, str], None]


def load_music(
    folder: Path,
    sample_rate: int,
    cache: Path,
    *,
    jobs: int = 1,
    most_tracks: int = 0,
    progress: Progress | None = None,
    cancel: CancelToken | None = None,
) -> Music:
    """The training and validation tracks of `folder`, decoded now or found in `cache`.

    Parameters
    ----------
    cache : Path
        Folder; made where it is not there.
    most_tracks : int
        Take no more than so many of each part, spread over all; 0 takes all.

    Raises
    ------
    UsageError
        When nothing in the folder can be used as sound.
    """
    items = read_collection(folder)
    if most_tracks:
        items = _thinned(items, most_tracks)
    key = _key(folder, items, sample_rate)
    listing, sound = cache / f"music-{key}.json", cache / f"music-{key}.i16"
    if not (listing.is_file() and sound.is_file()):
        _decode_all(
            folder, items, sample_rate, listing, sound, jobs=jobs, progress=progress, cancel=cancel
        )
    listed = json.loads(listing.read_text("utf-8"))
    samples = np.memmap(sound, np.int16, mode="r")
    if len(samples) != listed["samples"]:
        listing.unlink()
        raise EnvironmentProblem(
            f"The cache of decoded music in {cache} is damaged and was taken away; "
            "the same command makes it again."
        )
    tracks = [Track(**track) for track in listed["tracks"]]
    return Music(samples, tracks, sample_rate, listed["digest"])


def _thinned(items: Sequence[Item], most: int) -> tuple[Item, ...]:
    kept: list[Item] = []
    for role in ROLES:
        part = [item for item in items if item.role == role]
        step = max(1.0, len(part) / most)
        kept += [part[int(number * step)] for number in range(min(most, len(part)))]
    return tuple(kept)


def _key(folder: Path, items: Sequence[Item], sample_rate: int) -> str:
    """Changes with the list of files and with each file's size and time."""
    hasher = hashlib.sha256(
        f"{_VERSION} {sample_rate} {folder.absolute()}".encode(errors="replace")
    )
    for item in items:
        path = folder / item.path
        stat = path.stat() if path.is_file() else None
        line = (item.path, item.role, item.group, stat and (stat.st_size, stat.st_mtime_ns))
        hasher.update(repr(line).encode("utf-8", "backslashreplace"))
    return hasher.hexdigest()[:16]


def _decode_all(
    folder: Path,
    items: Sequence[Item],
    sample_rate: int,
    listing: Path,
    sound: Path,
    *,
    jobs: int,
    progress: Progress | None,
    cancel: CancelToken | None,
) -> None:
    """Decode into a new file and put it in place when it is whole."""
    sound.parent.mkdir(parents=True, exist_ok=True)
    part = sound.with_suffix(f".{os.getpid()}.part")
    tracks: list[dict[str, Any]] = []
    hasher, at = hashlib.sha256(), 0
    try:
        with part.open("wb") as out:
            for number, (item, samples) in enumerate(_decoded(folder, items, sample_rate, jobs)):
                if cancel is not None and cancel.is_set():
                    raise Cancelled("Stopped while the music was being decoded.")
                if progress is not None:
                    progress(number + 1, len(items), item.path)
                if samples is None or len(samples) < _SHORTEST_S * sample_rate:
                    continue
                out.write(samples.tobytes())
                hasher.update(samples.tobytes())
                tracks.append(
                    {"path": item.path, "role": item.role, "group": item.group}
                    | {"start": at, "count": len(samples)}
                )
                at += len(samples)
        if not any(track["role"] == "train" for track in tracks):
            raise UsageError(
                f"No file in {folder} can be learned from: none could be read as sound, or all "
                f"are shorter than {_SHORTEST_S:g} s."
            )
        part.replace(sound)
    finally:
        part.unlink(missing_ok=True)
    whole = {"tracks": tracks, "samples": at, "digest": hasher.hexdigest()}
    temporary = listing.with_suffix(f".{os.getpid()}.part")
    temporary.write_text(json.dumps(whole), "utf-8")
    temporary.replace(listing)


def _decoded(folder: Path, items: Sequence[Item], sample_rate: int, jobs: int) -> Any:
    paths = [folder / item.path for item in items]
    rates = [sample_rate] * len(items)
    if jobs <= 1:
        yield from zip(items, map(decode_track, paths, rates), strict=True)
        return
    import multiprocessing

    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        yield from zip(items, pool.map(decode_track, paths, rates, chunksize=4), strict=True)


def decode_track(path: Path, sample_rate: int) -> Int16Array | None:
    """A track at its cached level; None where it can't be read or is silent."""
    from songid_desktop.audio.decode import decode

    try:
        samples = decode(path, sample_rate).samples
    except (AudioFileError, OSError):
        return None
    peak = float(np.max(np.abs(samples), initial=0.0))
    if peak < 1e-5:
        return None
    return np.round(samples * np.float32(_PEAK / peak)).astype(np.int16)
