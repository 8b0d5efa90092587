"""Segments on disk: one file each, written once, mapped for reading, checked by checksums.

A fixed prefix points to a JSON table at the end of the file, which lists every array with its
place, type and the checksums of its pieces. Files carry unique names and are never changed after
they got them, so any number of readers may work beside one writer.

What steers the reading (table, tracks) is checked at every opening; it is small at any size of
library. Directories, postings and peaks may hold gigabytes: they are checked piece by piece in the
background, and reading them never trusts them to stay within bounds.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import struct
import threading
import uuid
import zlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from songid_desktop.landmark import ahead
from songid_desktop.landmark.scheme import Layout, LineSpec
from songid_desktop.landmark.segment import ARRAYS, Segment, array_kind
from songid_desktop.manifest import UNFINISHED

SUFFIX = ".segment"
PIECE_BYTES = 1 << 22
"""One checksum for so many bytes of an array."""
_MAGIC = b"SongIDs2"
_PREFIX = struct.Struct("<8sQII")  # magic, place of the table, its length, its checksum
_ALIGNMENT = 64
_CHECKED_AT_ONCE = ("track_id", "start_frame", "frame_count", "payload_crc")
_LINE = "line "


class SegmentDamaged(Exception):
    """The file is not a whole segment of the expected configuration."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """One array in a file: place, number of items, type, checksum of every piece."""

    place: int
    count: int
    kind: str
    sums: tuple[int, ...]

    @property
    def byte_count(self) -> int:
        return self.count * np.dtype(self.kind).itemsize


@dataclass(frozen=True, slots=True)
class Piece:
    """Some bytes of a file and what their CRC-32 must be."""

    array: str
    place: int
    length: int
    checksum: int


@dataclass(frozen=True, slots=True)
class SegmentFile:
    """A mapped segment, and what its arrays' bytes must add up to."""

    path: Path
    segment: Segment
    contents: dict[str, _Entry]

    def pieces(self, *, small_only: bool = False) -> list[Piece]:
        """All that can be checked, or only what steers the reading."""
        found = []
        for name, entry in self.contents.items():
            if small_only and name not in _CHECKED_AT_ONCE:
                continue
            for number, checksum in enumerate(entry.sums):
                before = number * PIECE_BYTES
                length = min(PIECE_BYTES, entry.byte_count - before)
                found.append(Piece(name, entry.place + before, length, checksum))
        return found

    def check(self, pieces: Iterable[Piece], stop: threading.Event | None = None) -> bool:
        """Compare checksums.

        Reads the file rather than the map, which would make all of it resident in this process.

        Returns
        -------
        bool
            False when `stop` was set before the end.

        Raises
        ------
        SegmentDamaged
        OSError
            When the file is gone; a map of it stays whole.
        """
        with self.path.open("rb") as file:
            for piece in pieces:
                if stop is not None and stop.is_set():
                    return False
                file.seek(piece.place)
                data = file.read(piece.length)
                if len(data) != piece.length or zlib.crc32(data) != piece.checksum:
                    raise SegmentDamaged(
                        f"{self.path.name}: the bytes of {piece.array} have changed"
                    )
        return True


def open_segment(
    path: Path, digest: str, layout: Layout | None = None, *, for_look_ups: bool = False
) -> SegmentFile:
    """Map a segment; its small arrays are checked, the large ones are not read.

    Parameters
    ----------
    for_look_ups : bool
        Whether it will be read here and there rather than from one end to the other.

    Raises
    ------
    SegmentDamaged
        When it is missing, cut short, altered, or of another configuration.
    """
    layout = layout or Layout()
    try:
        data = _map(path, for_look_ups=for_look_ups)
        table = _read_table(data)
        if (table.digest, table.layout) != (digest, layout):
            raise SegmentDamaged(f"{path.name} belongs to another configuration")
        segment = _mapped_segment(data, table)
        if for_look_ups and ahead.IS_SUPPORTED:
            segment = replace(segment, ahead=_ahead(path, table))
        found = SegmentFile(path, segment, table.arrays)
        found.check(found.pieces(small_only=True))
        _expect_consistent(segment, path)
    except (OSError, ValueError, KeyError, TypeError, OverflowError) as problem:
        raise SegmentDamaged(f"{path.name} can't be read: {problem}") from problem
    return found


def _map(path: Path, *, for_look_ups: bool) -> npt.NDArray[np.uint8]:
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    if for_look_ups and hasattr(mmap, "MADV_RANDOM"):
        # Else every touch of a place that is not in memory brings a hundred kilobytes around it.
        mapped.madvise(mmap.MADV_RANDOM)
    return np.frombuffer(mapped, np.uint8)


def _ahead(path: Path, table: _Table) -> ahead.Ahead:
    rows = {_LINE + spec.name: spec for spec in table.layout.lines}
    places = {}
    for name, entry in table.arrays.items():
        size = np.dtype(entry.kind).itemsize
        if name in rows:
            places[rows[name].name] = entry.place, size * rows[name].width
        else:
            places[name] = entry.place, size
    return ahead.Ahead(path, places)


def _expect_consistent(segment: Segment, path: Path) -> None:
    n_tracks = len(segment.track_id)
    per_track = (segment.start_frame, segment.frame_count, segment.payload_crc)
    if len(segment.directory) != (1 << segment.bucket_bits) + 1:
        raise SegmentDamaged(f"{path.name} has a directory of impossible size")
    rows = [len(segment.lines[spec.name]) * spec.every_frames for spec in segment.layout.lines]
    if any(len(array) != n_tracks for array in per_track) or any(
        n_frames != segment.line_frames for n_frames in rows
    ):
        raise SegmentDamaged(f"{path.name} has arrays that do not fit together")


@dataclass(frozen=True, slots=True)
class _Table:
    """The file's own list of contents."""

    digest: str
    layout: Layout
    arrays: dict[str, _Entry]


def _read_table(data: npt.NDArray[np.uint8]) -> _Table:
    magic, place, length, checksum = _PREFIX.unpack(
        data[: _PREFIX.size].tobytes().ljust(_PREFIX.size)
    )
    text = data[place : place + length].tobytes()
    if magic != _MAGIC or len(text) != length or zlib.crc32(text) != checksum:
        raise ValueError("it is not a whole segment")
    values = json.loads(text)
    arrays = {
        name: _Entry(place, count, kind, tuple(sums))
        for name, (place, count, kind, sums) in values["arrays"].items()
    }
    layout = values["layout"]
    lines = tuple(LineSpec(**spec) for spec in layout.pop("lines"))
    return _Table(values["digest"], Layout(**layout, lines=lines), arrays)


def _mapped_segment(data: npt.NDArray[np.uint8], table: _Table) -> Segment:
    arrays: dict[str, npt.NDArray[np.generic]] = {}
    for name, entry in table.arrays.items():
        stop = entry.place + entry.byte_count
        if not 0 <= entry.place <= stop <= len(data):
            raise ValueError("it is cut short")
        arrays[name] = data[entry.place : stop].view(entry.kind)
    own = {name: arrays[name] for name in ARRAYS}
    if any(own[name].dtype != array_kind(name, table.layout) for name in ARRAYS):
        raise ValueError("its arrays are of other types")
    lines = {
        spec.name: arrays[_LINE + spec.name].view(spec.kind).reshape(-1, spec.width)
        for spec in table.layout.lines
    }
    return Segment(**own, layout=table.layout, lines=lines)  # type: ignore[arg-type]  # checked


class SegmentWriter:
    """Writes arrays one after the other; the file gets its name only when it is complete."""

    def __init__(
        self,
        directory: Path,
        digest: str,
        layout: Layout | None = None,
        unfinished: str = UNFINISHED,
    ) -> None:
        self.path = directory / f"{uuid.uuid4().hex}{SUFFIX}"
        self.temporary = self.path.with_suffix(unfinished)
        self._digest = digest
        self._layout = layout or Layout()
        self._arrays: dict[str, _Entry] = {}
        self._file: BinaryIO = self.temporary.open("wb")
        self._file.write(bytes(_PREFIX.size))

    def write(self, name: str, parts: Iterable[npt.NDArray[np.generic]]) -> None:
        """One array of the segment, given whole or in pieces."""
        self._write(name, parts, array_kind(name, self._layout))

    def write_line(self, spec: LineSpec, parts: Iterable[npt.NDArray[np.generic]]) -> None:
        """What is stored along the tracks, all of the line, whole or in pieces."""
        self._write(_LINE + spec.name, parts, spec.kind)

    def _write(self, name: str, parts: Iterable[npt.NDArray[np.generic]], kind: str) -> None:
        place = -(-self._file.tell() // _ALIGNMENT) * _ALIGNMENT
        self._file.write(bytes(place - self._file.tell()))
        sums: list[int] = []
        checksum = written = 0
        for part in parts:
            data = np.ascontiguousarray(part, kind).reshape(-1).view(np.uint8).data
            at = 0
            while at < len(data):
                # Up to the end of the piece that is being written.
                some = data[at : at + PIECE_BYTES - written % PIECE_BYTES]
                checksum = zlib.crc32(some, checksum)
                self._file.write(some)
                at += len(some)
                written += len(some)
                if written % PIECE_BYTES == 0:
                    sums.append(checksum)
                    checksum = 0
        if written % PIECE_BYTES:
            sums.append(checksum)
        count = written // np.dtype(kind).itemsize
        self._arrays[name] = _Entry(place, count, kind, tuple(sums))

    def complete(self) -> Path:
        """Write table and prefix and make it last, still under its temporary name."""
        arrays = {n: (e.place, e.count, e.kind, e.sums) for n, e in self._arrays.items()}
        values = {"digest": self._digest, "layout": asdict(self._layout), "arrays": arrays}
        table = json.dumps(values).encode()
        place = self._file.tell()
        self._file.write(table)
        self._file.seek(0)
        self._file.write(_PREFIX.pack(_MAGIC, place, len(table), zlib.crc32(table)))
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        return self.temporary

    def finish(self) -> Path:
        """Complete the file and give it its name."""
        self.complete().replace(self.path)
        return self.path

    def abandon(self) -> None:
        """Take back what was written."""
        self._file.close()
        with contextlib.suppress(OSError):
            self.temporary.unlink(missing_ok=True)


def write_segment(writer: SegmentWriter, segment: Segment) -> None:
    """Write the arrays of a segment that lies in memory."""
    for name in ARRAYS:
        writer.write(name, [getattr(segment, name)])
    for spec in segment.layout.lines:
        writer.write_line(spec, [segment.lines[spec.name]])
