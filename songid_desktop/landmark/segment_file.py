"""Segments on disk: one file each, written once, mapped for reading, checked by checksums.

A fixed prefix points to a JSON table at the end of the file, which lists every array with its place
and checksum. Files carry unique names and are never changed after they got them, so any number of
readers may work beside one writer.
"""

from __future__ import annotations

import json
import os
import struct
import threading
import uuid
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from songid_desktop.landmark.segment import ARRAYS, Segment

SUFFIX = ".segment"
_MAGIC = b"SongIDs1"
_PREFIX = struct.Struct("<8sQII")  # magic, place of the table, its length, its checksum
_ALIGNMENT = 64
_SMALL_ARRAYS = ("track_id", "start_frame", "frame_count", "directory", "peak_block")
_CHECK_AT_ONCE = 1 << 22


class SegmentDamaged(Exception):
    """The file is not a whole segment of the expected configuration."""


@dataclass(frozen=True, slots=True)
class SegmentFile:
    """A mapped segment, and what its arrays' bytes must add up to: place, length, checksum."""

    path: Path
    segment: Segment
    contents: dict[str, tuple[int, int, int]]

    def check(self, *, small_only: bool, stop: threading.Event | None = None) -> bool:
        """Compare checksums: of all arrays, or only of those that steer the reading.

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
            for name in _SMALL_ARRAYS if small_only else ARRAYS:
                place, left, wanted = self.contents[name]
                file.seek(place)
                value = 0
                while left > 0 and (data := file.read(min(left, _CHECK_AT_ONCE))):
                    if stop is not None and stop.is_set():
                        return False
                    value = zlib.crc32(data, value)
                    left -= len(data)
                if left or value != wanted:
                    raise SegmentDamaged(f"{self.path.name}: the bytes of {name} have changed")
        return True


def open_segment(path: Path, digest: str) -> SegmentFile:
    """Map a segment; its small arrays are checked, the large ones are not read.

    Raises
    ------
    SegmentDamaged
        When it is missing, cut short, altered, or of another configuration.
    """
    try:
        data = np.memmap(path, np.uint8, mode="r")
        table = _read_table(data)
        if table.digest != digest:
            raise SegmentDamaged(f"{path.name} belongs to another configuration")
        arrays = {}
        contents = {}
        for name, kind in ARRAYS.items():
            place, count, checksum = table.arrays[name]
            stop = place + count * np.dtype(kind).itemsize
            contents[name] = (place, stop - place, checksum)
            if not 0 <= place <= stop <= len(data):
                raise SegmentDamaged(f"{path.name} is cut short")
            # A plain array over the map: np.memmap's own class slows every index down.
            arrays[name] = np.asarray(data[place:stop]).view(kind)
        found = SegmentFile(path, Segment(**arrays), contents)
        found.check(small_only=True)
    except (OSError, ValueError, KeyError, TypeError, OverflowError) as problem:
        raise SegmentDamaged(f"{path.name} can't be read: {problem}") from problem
    if len(found.segment.directory) != (1 << found.segment.bucket_bits) + 1:
        raise SegmentDamaged(f"{path.name} has a directory of impossible size")
    return found


@dataclass(frozen=True, slots=True)
class _Table:
    """The file's own list of contents: per array its place, number of items and checksum."""

    digest: str
    arrays: dict[str, tuple[int, int, int]]


def _read_table(data: npt.NDArray[np.uint8]) -> _Table:
    magic, place, length, checksum = _PREFIX.unpack(
        data[: _PREFIX.size].tobytes().ljust(_PREFIX.size)
    )
    text = data[place : place + length].tobytes()
    if magic != _MAGIC or len(text) != length or zlib.crc32(text) != checksum:
        raise ValueError("it is not a whole segment")
    values = json.loads(text)
    return _Table(values["digest"], {k: tuple(v) for k, v in values["arrays"].items()})


class SegmentWriter:
    """Writes arrays one after the other; the file gets its name only when it is complete."""

    def __init__(self, directory: Path, digest: str) -> None:
        self.path = directory / f"{uuid.uuid4().hex}{SUFFIX}"
        self._temporary = self.path.with_suffix(".writing")
        self._digest = digest
        self._arrays: dict[str, tuple[int, int, int]] = {}
        self._file: BinaryIO = self._temporary.open("wb")
        self._file.write(bytes(_PREFIX.size))

    def write(self, name: str, parts: Iterable[npt.NDArray[np.generic]]) -> None:
        """One array, given whole or in pieces."""
        place = -(-self._file.tell() // _ALIGNMENT) * _ALIGNMENT
        self._file.write(bytes(place - self._file.tell()))
        kind = np.dtype(ARRAYS[name])
        checksum = count = 0
        for part in parts:
            data = np.ascontiguousarray(part, kind).data.cast("B")
            checksum = zlib.crc32(data, checksum)
            self._file.write(data)
            count += len(data) // kind.itemsize
        self._arrays[name] = (place, count, checksum)

    def finish(self) -> Path:
        """Write table and prefix, make it last, give it its name."""
        table = json.dumps({"digest": self._digest, "arrays": self._arrays}).encode()
        place = self._file.tell()
        self._file.write(table)
        self._file.seek(0)
        self._file.write(_PREFIX.pack(_MAGIC, place, len(table), zlib.crc32(table)))
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._temporary.replace(self.path)
        return self.path

    def abandon(self) -> None:
        """Take back what was written."""
        self._file.close()
        self._temporary.unlink(missing_ok=True)


def write_segment(directory: Path, digest: str, segment: Segment) -> Path:
    """Write a segment that lies in memory."""
    writer = SegmentWriter(directory, digest)
    try:
        for name in ARRAYS:
            writer.write(name, [getattr(segment, name)])
        return writer.finish()
    except BaseException:
        writer.abandon()
        raise
