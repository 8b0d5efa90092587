"""A segment of a vector index: some tracks, and the coded vectors of all of them in lists.

Two files of one name: the tracks (small, read at every opening) with the checksums of the lists,
and the lists themselves, which are mapped. Both are written once and never changed.
"""

from __future__ import annotations

import json
import os
import struct
import threading
import uuid
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from songid_desktop.manifest import UNFINISHED
from songid_desktop.neural.inverted import (
    Coder,
    Entries,
    IntArray,
    Lists,
    ListsDamaged,
    joined,
    write_lists,
)
from songid_desktop.neural.manifest import LISTS, SEGMENT
from songid_desktop.types import FloatArray

BoolArray = npt.NDArray[np.bool_]

CHECK_NOW_BYTES = 64 << 20
"""Lists up to this size are checked whenever they are opened, larger ones in the background."""
_PIECE_BYTES = 1 << 22
_MAGIC = b"SIDvecs1"
_PREFIX = struct.Struct("<8sII")  # magic, length of the head, checksum of all that follows
_COLUMNS = ("track_id", "start", "count", "revision", "payload_sum")


class SegmentDamaged(Exception):
    """The segment's files are not those that were written."""


@dataclass(frozen=True, slots=True)
class Tracks:
    """The tracks of a segment, one a row, int64 columns.

    Attributes
    ----------
    track_id
    start : growing
        Row of the track's first vector on the segment's own line; other segments have theirs.
    count
        Vectors of the track.
    revision, payload_sum
        Of the catalog, when the track came, and the checksum of its bytes there.
    """

    track_id: IntArray
    start: IntArray
    count: IntArray
    revision: IntArray
    payload_sum: IntArray

    def __len__(self) -> int:
        return len(self.track_id)

    @property
    def n_rows(self) -> int:
        """Length of the line."""
        return int(self.start[-1] + self.count[-1]) if len(self) else 0

    def place_of(self, rows: IntArray) -> tuple[IntArray, IntArray]:
        """Track (as a place in these columns, -1 for none) and vector in it of every row."""
        if not len(self):
            return np.full(len(rows), -1), rows
        at = np.searchsorted(self.start, rows, "right") - 1
        within = rows - self.start[np.maximum(at, 0)]
        is_there = (at >= 0) & (within < self.count[np.maximum(at, 0)])
        return np.where(is_there, at, -1), within


def tracks_of(
    rows: Sequence[tuple[int, int, int, int]],
) -> Tracks:
    """Tracks side by side, from (track_id, count, revision, payload_sum) of each."""
    columns = np.array(rows, np.int64).reshape(-1, 4)
    start = np.cumsum(columns[:, 1]) - columns[:, 1]
    return Tracks(columns[:, 0], start, columns[:, 1], columns[:, 2], columns[:, 3])


@dataclass(slots=True, eq=False)
class Segment:
    """Mapped lists, their tracks, and which of those still count."""

    name: str
    path: Path
    tracks: Tracks
    lists: Lists
    sums: tuple[int, ...]
    alive: BoolArray
    is_own: bool = False
    """True for one that only this process knows."""
    _place: dict[int, int] = field(default_factory=dict)

    @property
    def lists_path(self) -> Path:
        return self.path.with_suffix(LISTS)

    @property
    def byte_count(self) -> int:
        """Of the lists."""
        return self.lists_path.stat().st_size if self.lists_path.exists() else 0

    def place_of(self, track_id: int) -> int | None:
        """Place of a track that counts."""
        if not self._place:
            self._place = {int(t): n for n, t in enumerate(self.tracks.track_id.tolist())}
        place = self._place.get(track_id)
        return place if place is not None and self.alive[place] else None

    def nearest(
        self, queries: FloatArray, count: int, probes: tuple[FloatArray, IntArray]
    ) -> tuple[IntArray, IntArray, IntArray, FloatArray]:
        """Nearest coded vectors of tracks that count: query, track_id, vector in the track,
        approximate cosine; shape (h,) each."""
        cosine, rows = self.lists.nearest(queries, count, probes)
        query = np.repeat(np.arange(len(queries)), rows.shape[1])
        flat = rows.reshape(-1)
        place, within = self.tracks.place_of(flat)
        good = (place >= 0) & (flat >= 0)
        good &= self.alive[np.maximum(place, 0)]
        return (
            query[good],
            self.tracks.track_id[place[good]],
            within[good],
            cosine.reshape(-1)[good],
        )

    def alive_entries(self) -> Entries:
        """What is in the lists of the tracks that count."""
        keep = np.repeat(self.alive, self.tracks.count)
        starts = np.repeat(self.tracks.start, self.tracks.count)
        within = np.arange(len(starts)) - np.repeat(
            np.cumsum(self.tracks.count) - self.tracks.count, self.tracks.count
        )
        by_row = np.zeros(self.tracks.n_rows, np.bool_)
        by_row[starts + within] = keep
        return joined(list(self.lists.entries(by_row)), self.lists.code_bytes)

    def check(self, stop: threading.Event | None = None) -> None:
        """Compare the lists' checksums, reading the file rather than the map.

        Raises
        ------
        SegmentDamaged
        """
        if _sums(self.lists_path, stop, len(self.sums)) not in (None, self.sums):
            raise SegmentDamaged(f"the bytes of {self.lists_path.name} have changed")

    def close(self) -> None:
        self.lists.close()


def _sums(path: Path, stop: threading.Event | None, most: int) -> tuple[int, ...] | None:
    """Checksums of a file's pieces, `most` and one at most; None when `stop` was set."""
    found: list[int] = []
    try:
        with path.open("rb") as file:
            while len(found) <= most and (data := file.read(_PIECE_BYTES)):
                if stop is not None and stop.is_set():
                    return None
                found.append(zlib.crc32(data))
    except OSError as problem:
        raise SegmentDamaged(f"{path.name} can't be read: {problem}") from problem
    return tuple(found)


def write_segment(
    directory: Path, digest: str, coder: Coder, tracks: Tracks, entries: Entries
) -> Path:
    """Write both files, and give them their names; the path of the tracks."""
    path = directory / f"{uuid.uuid4().hex}{SEGMENT}"
    lists = path.with_suffix(LISTS)
    unfinished = [lists.with_suffix(UNFINISHED), path.with_suffix(f".tracks{UNFINISHED}")]
    try:
        write_lists(unfinished[0], coder, entries)
        sums = _sums(unfinished[0], None, unfinished[0].stat().st_size) or ()
        head = {"digest": digest, "lists": lists.name, "sums": sums, "tracks": len(tracks)}
        data = json.dumps(head).encode()
        body = np.stack([getattr(tracks, name) for name in _COLUMNS]).astype("<i8").tobytes()
        with unfinished[1].open("wb") as file:
            file.write(_PREFIX.pack(_MAGIC, len(data), zlib.crc32(body, zlib.crc32(data))))
            file.write(data)
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        unfinished[0].replace(lists)
        unfinished[1].replace(path)
    except BaseException:
        for left in unfinished:
            left.unlink(missing_ok=True)
        raise
    return path


def open_segment(path: Path, digest: str, coder: Coder) -> Segment:
    """Map a segment; its tracks are checked, and the lists too where they are small.

    Raises
    ------
    SegmentDamaged
        When it is missing, cut short, altered, or of another configuration.
    """
    try:
        data = path.read_bytes()
        magic, length, checksum = _PREFIX.unpack_from(data)
        if magic != _MAGIC or zlib.crc32(data[_PREFIX.size :]) != checksum:
            raise SegmentDamaged(f"the bytes of {path.name} have changed")
        head = json.loads(data[_PREFIX.size : _PREFIX.size + length])
        if head["digest"] != digest:
            raise SegmentDamaged(f"{path.name} belongs to another configuration")
        body = np.frombuffer(data, "<i8", offset=_PREFIX.size + length)
        columns = body.astype(np.int64).reshape(len(_COLUMNS), head["tracks"])
        tracks = Tracks(*columns)
        sums = tuple(map(int, head["sums"]))
        lists = path.with_suffix(LISTS)
        size = lists.stat().st_size
        if -(-size // _PIECE_BYTES) != len(sums):
            raise SegmentDamaged(f"{lists.name} is of another size")
        # The lists' own head is in the first piece: without it, mapping them is not safe.
        first = len(sums) if size <= CHECK_NOW_BYTES else 1
        found = _sums(lists, None, first - 1)
        if found is None or found[:first] != sums[:first]:
            raise SegmentDamaged(f"the bytes of {lists.name} have changed")
        mapped = Lists(lists, coder)
    except (OSError, ValueError, KeyError, TypeError, struct.error, ListsDamaged) as problem:
        raise SegmentDamaged(f"{path.name} can't be read: {problem}") from problem
    alive = np.ones(len(tracks), np.bool_)
    return Segment(path.stem, path, tracks, mapped, sums, alive)
