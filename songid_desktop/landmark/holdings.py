"""The tracks an index holds, by number: added, removed, merged in memory, moved to disk when they
grow. Where they come from and what is kept of them is `index`."""

from __future__ import annotations

import contextlib
import logging
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from songid_desktop.landmark.merge import merge_to_file, merge_to_memory
from songid_desktop.landmark.parts import BoolArray, Part, whole_part
from songid_desktop.landmark.peaks import Peaks
from songid_desktop.landmark.scheme import Scheme
from songid_desktop.landmark.segment import Segment, build_segment
from songid_desktop.landmark.segment_file import (
    SUFFIX,
    SegmentDamaged,
    SegmentFile,
    SegmentWriter,
    open_segment,
    write_segment,
)

log = logging.getLogger(__name__)

_BATCH_PEAKS = 400_000
"""Peaks gathered before they become a segment in memory (some 4 hours of music)."""
SPILL_BYTES = 192 << 20
"""Segments in memory are moved to a file of this process's own when they reach this size, so that
the memory taken by a rebuild does not grow with the library."""


@dataclass(slots=True)
class Pending:
    """Tracks that came but are in no segment yet: peaks, and the checksum of their bytes."""

    tracks: dict[int, tuple[Peaks, int]] = field(default_factory=dict)
    count: int = 0


class Holdings:
    """Segments, and tracks that are in none yet. One thread at a time."""

    def __init__(self, directory: Path, scheme: Scheme) -> None:
        self.directory = directory
        self.scheme = scheme
        self._parts: list[Part] = []
        self._pending = Pending()
        self._unreadable: set[int] = set()

    def _place(self, track_id: int) -> tuple[Part, int] | None:
        for part in reversed(self._parts):
            row = part.row_of(track_id)
            if row is not None:
                return part, row
        return None

    def _knows(self, track_id: int) -> bool:
        return track_id in self._pending.tracks or self._place(track_id) is not None

    def add(self, track_id: int, peaks: Peaks, payload_crc: int = 0) -> None:
        """Make a track findable, in place of what was known under its number."""
        self.remove(track_id)
        self._pending.tracks[track_id] = peaks, payload_crc
        self._pending.count += len(peaks)
        if self._pending.count >= _BATCH_PEAKS:
            self.flush()

    def remove(self, track_id: int) -> None:
        """Make a track unfindable; unknown numbers are fine."""
        self._unreadable.discard(track_id)
        waiting = self._pending.tracks.pop(track_id, None)
        if waiting is not None:
            self._pending.count -= len(waiting[0])
        place = self._place(track_id)
        if place is not None:
            part, row = place
            part.alive[row] = False

    def flush(self) -> None:
        """Make pending tracks searchable: a segment in memory, merged with others its size."""
        if self._pending.tracks:
            waiting = self._pending.tracks
            self._pending = Pending()
            peaks = [one[0] for one in waiting.values()]
            crc = [one[1] for one in waiting.values()]
            self._parts.append(whole_part(build_segment(list(waiting), peaks, self.scheme, crc)))
        while True:
            tail = [part for part in self._parts if part.file is None]
            if len(tail) < 2 or tail[-1].weight * 2 < tail[-2].weight:
                break
            merged = merge_to_memory([(p.segment, p.alive) for p in tail[-2:]])
            self._replace(tail[-2:], whole_part(merged))
        if tail and sum(part.segment.byte_count for part in tail) >= SPILL_BYTES:
            self._spill(tail)

    def _replace(self, old: list[Part], new: Part) -> None:
        self._parts = [part for part in self._parts if part not in old]
        if len(new.segment.track_id):
            self._parts.append(new)

    def _spill(self, tail: list[Part]) -> None:
        """Move segments from memory to a file that only this process has; where nothing can be
        written they stay."""
        path = self.directory / f"{uuid.uuid4().hex}.own{SUFFIX}"
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            self._write_part([(part.segment, part.alive) for part in tail]).replace(path)
            file = self._open(path)
        except (OSError, SegmentDamaged) as problem:
            log.info("The index grows in memory: %s.", problem)
            return
        # Without its name the file lasts as long as it is mapped. Where that is not allowed, the
        # next writer removes it.
        with contextlib.suppress(OSError):
            path.unlink()
        part = whole_part(file.segment, file)
        part.is_own = True
        self._replace(tail, part)

    @property
    def track_count(self) -> int:
        return sum(int(part.alive.sum()) for part in self._parts) + len(self._pending.tracks)

    def track_peaks(self, track_id: int) -> Peaks | None:
        """Stored peaks of a track, for drawing."""
        if track_id in self._pending.tracks:
            return self._pending.tracks[track_id][0]
        place = self._place(track_id)
        return place[0].segment.track_peaks(place[1]) if place else None

    def _open(self, path: Path) -> SegmentFile:
        digest, layout = self.scheme.index_digest(), self.scheme.layout
        return open_segment(path, digest, layout, for_look_ups=True)

    def _write_part(self, parts: list[tuple[Segment, BoolArray]]) -> Path:
        digest, layout = self.scheme.index_digest(), self.scheme.layout
        if len(parts) > 1 or not parts[0][1].all():
            return merge_to_file(parts, self.directory, digest).temporary
        writer = SegmentWriter(self.directory, digest, layout)
        try:
            write_segment(writer, parts[0][0])
            return writer.complete()
        except BaseException:
            writer.abandon()
            raise
