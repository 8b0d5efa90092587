"""The index of one library: a few segments, a manifest that names them, and what came since.

On disk lie immutable segment files and ``manifest.json``, which is replaced as a whole; so readers
in other processes always see one consistent state. What the catalog holds beyond the manifest's
revision is taken into segments in memory. Only `save` writes, and only the holder of the catalog's
writer lock may call it. Whatever is missing, damaged or of another configuration is rebuilt from
the stored fingerprints: the index is a cache, never the only copy.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from songid_desktop.landmark import background_check
from songid_desktop.landmark.background_check import BackgroundCheck
from songid_desktop.landmark.config import LandmarkConfig
from songid_desktop.landmark.merge import merge_to_file, merge_to_memory
from songid_desktop.landmark.peaks import Peaks, pack_peaks, unpack_peaks
from songid_desktop.landmark.segment import Segment, build_segment
from songid_desktop.landmark.segment_file import (
    SUFFIX,
    SegmentDamaged,
    SegmentFile,
    open_segment,
)
from songid_desktop.types import FingerprintReader

log = logging.getLogger(__name__)

BoolArray = npt.NDArray[np.bool_]

MANIFEST = "manifest.json"
_VERSION = 1
_BATCH_PEAKS = 400_000
"""Peaks gathered before they become a segment in memory (some 4 hours of music)."""
_COMPARED = 5
"""Tracks compared with the catalog to tell whether the index was made from it."""
_GROWTH = 4
"""Saved segments are this much heavier than the next smaller one, so there are never many."""
_WORN = 0.25
"""A segment file is rewritten once this share of its tracks has gone."""


@dataclass(slots=True, eq=False)
class Part:
    """A segment and which of its tracks still count."""

    segment: Segment
    alive: BoolArray
    file: SegmentFile | None = None


@dataclass(frozen=True, slots=True)
class IndexStatistics:
    """For the user: how large the index is and what it is made of."""

    tracks: int
    segments: int
    postings: int
    peaks: int
    bytes: int
    bytes_in_memory: int


@dataclass(slots=True)
class _Pending:
    """Tracks that came but are in no segment yet."""

    peaks: dict[int, Peaks] = field(default_factory=dict)
    count: int = 0


class LandmarkIndex:
    """Look-up structure over the landmarks of a library. One thread at a time."""

    def __init__(self, directory: Path, identifier: str, config: LandmarkConfig) -> None:
        self.directory = directory
        self._identifier = identifier
        self._config = config
        self._parts: list[Part] = []
        self._place: dict[int, tuple[Part, int]] = {}
        self._pending = _Pending()
        self._unreadable: set[int] = set()
        self._revision = 0
        self._catalog = ""
        self._manifest_mark: tuple[int, int] | None = None
        self._reader: FingerprintReader | None = None
        self._checker = BackgroundCheck()
        self.rebuilt_because = ""
        """Why the stored index was set aside at the last `open` or `refresh`; empty normally."""

    # -- opening and following the catalog ------------------------------------------------------

    def open(self, reader: FingerprintReader) -> None:
        """Map what is on disk, check it, and take in what the catalog holds beyond it."""
        self._reader = reader
        self._load()
        self._catch_up()

    def refresh(self) -> bool:
        """Take in changes of the catalog, adopting what another process saved meanwhile."""
        if self._reader is None:
            return False
        if self._checker.damage:
            self._start_over(self._checker.damage)
            self._catch_up()
            return True
        if self._reader.revision() == self._revision:
            return False
        if self._mark() != self._manifest_mark:
            self._load()
        self._catch_up()
        return True

    def wait_for_check(self, timeout_s: float) -> None:
        """Until the background check of large files is through, or the time is up."""
        self._checker.wait(timeout_s)

    def close(self) -> None:
        """Let go of files and memory."""
        self._checker.stop()
        self._forget()
        self._reader = None

    def _forget(self) -> None:
        self._parts = []
        self._place = {}
        self._pending = _Pending()
        self._unreadable = set()
        self._revision = 0
        self._catalog = ""

    def _start_over(self, reason: str) -> None:
        log.info("The landmark index is being rebuilt: %s.", reason)
        self.rebuilt_because = reason
        self._checker.stop()
        self._checker = BackgroundCheck()
        self._forget()

    def _mark(self) -> tuple[int, int] | None:
        try:
            found = (self.directory / MANIFEST).stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns

    def _load(self) -> None:
        self.rebuilt_because = ""
        self._forget()
        # A writer may take files away between the manifest and them; then there is a newer one.
        for attempt in range(3):
            self._manifest_mark = self._mark()
            if self._manifest_mark is None:
                return
            try:
                self._read_manifest()
            except (SegmentDamaged, ValueError, KeyError, TypeError, OSError) as problem:
                self._forget()
                if self._mark() == self._manifest_mark or attempt == 2:
                    self._start_over(str(problem))
                    return
            else:
                self._checker.stop()
                self._checker = BackgroundCheck()
                self._checker.start([p.file for p in self._parts if p.file is not None])
                return

    def _read_manifest(self) -> None:
        outer = json.loads((self.directory / MANIFEST).read_bytes())
        text = outer["state"]
        if zlib.crc32(text.encode()) != outer["checksum"]:
            raise ValueError("its manifest was altered")
        state = json.loads(text)
        digest = self._config.index_digest()
        if state["version"] != _VERSION or state["digest"] != digest:
            raise ValueError("it was made by another configuration")
        for entry in state["segments"]:
            file = open_segment(self.directory / entry["file"], digest)
            if file.segment.byte_count <= background_check.CHECK_NOW_BYTES:
                file.check(small_only=False)
            alive = np.ones(len(file.segment.track_id), np.bool_)
            alive[entry["removed"]] = False
            self._attach(Part(file.segment, alive, file))
        self._unreadable = set(state["unreadable"])
        self._revision = int(state["revision"])
        self._catalog = str(state["catalog"])

    def _attach(self, part: Part) -> None:
        self._parts.append(part)
        for row in np.flatnonzero(part.alive).tolist():
            self._place[int(part.segment.track_id[row])] = (part, row)

    def _catch_up(self) -> None:
        reader = self._reader
        assert reader is not None
        catalog = _catalog_id(reader)
        is_other = bool(self._catalog and catalog) and self._catalog != catalog
        if is_other or reader.revision() < self._revision or not self._is_of(reader):
            self._start_over("the catalog is another one, or an older copy of it")
        self._catalog = catalog
        self._take_changes(reader)
        expected = reader.fingerprint_count(self._identifier, self._config.digest())
        is_settled = reader.revision() == self._revision  # else there is more to take in anyway
        if is_settled and expected != self.track_count + len(self._unreadable):
            # Only a catalog that was exchanged under the index can lead here.
            self._start_over("it does not fit the catalog")
            self._take_changes(reader)

    def _is_of(self, reader: FingerprintReader) -> bool:
        """Whether a few fingerprints of the catalog, old and new, are those the index holds."""
        digest = self._config.digest()
        for part in range(_COMPARED):
            since = self._revision * part // _COMPARED
            change = next(iter(reader.changes(self._identifier, digest, since)), None)
            if change is None or change.fingerprint is None or change.revision > self._revision:
                continue
            peaks = self.track_peaks(change.track_id)
            if peaks is None:
                if change.track_id not in self._unreadable:
                    return False
            elif pack_peaks(peaks) != change.fingerprint.payload:
                return False
        return True

    def _take_changes(self, reader: FingerprintReader) -> None:
        newest = reader.revision()
        if newest == self._revision:
            return
        changes = reader.changes(self._identifier, self._config.digest(), self._revision)
        for change in changes:
            if change.fingerprint is None:
                self.remove(change.track_id)
            else:
                self._add_payload(change.track_id, change.fingerprint.payload)
        self._revision = newest
        self.flush()

    def _add_payload(self, track_id: int, payload: bytes) -> None:
        try:
            peaks = unpack_peaks(payload)
        except ValueError as problem:
            log.warning("Track %d can't be searched for: %s.", track_id, problem)
            self.remove(track_id)
            self._unreadable.add(track_id)
        else:
            self.add(track_id, peaks)

    # -- contents ----------------------------------------------------------------------------

    def add(self, track_id: int, peaks: Peaks) -> None:
        """Make a track findable, in place of what was known under its number."""
        self.remove(track_id)
        self._pending.peaks[track_id] = peaks
        self._pending.count += len(peaks)
        if self._pending.count >= _BATCH_PEAKS:
            self.flush()

    def remove(self, track_id: int) -> None:
        """Make a track unfindable; unknown numbers are fine."""
        self._unreadable.discard(track_id)
        waiting = self._pending.peaks.pop(track_id, None)
        if waiting is not None:
            self._pending.count -= len(waiting)
        place = self._place.pop(track_id, None)
        if place is not None:
            part, row = place
            part.alive[row] = False

    def flush(self) -> None:
        """Make pending tracks searchable: a segment in memory, merged with others its size."""
        if self._pending.peaks:
            waiting = self._pending.peaks
            self._pending = _Pending()
            segment = build_segment(list(waiting), list(waiting.values()), self._config.hashes)
            self._attach(Part(segment, np.ones(len(waiting), np.bool_)))
        while True:
            tail = [part for part in self._parts if part.file is None]
            if len(tail) < 2 or _weight(tail[-1]) * 2 < _weight(tail[-2]):
                return
            merged = merge_to_memory([(p.segment, p.alive) for p in tail[-2:]])
            self._replace(tail[-2:], Part(merged, np.ones(len(merged.track_id), np.bool_)))

    def _replace(self, old: list[Part], new: Part) -> None:
        self._parts = [part for part in self._parts if part not in old]
        if len(new.segment.track_id):
            self._attach(new)

    @property
    def track_count(self) -> int:
        return len(self._place) + len(self._pending.peaks)

    @property
    def revision(self) -> int:
        """The catalog's revision that is taken in."""
        return self._revision

    def parts(self) -> list[Part]:
        """Segments to search, those with no track left out; pending tracks are taken in first."""
        self.flush()
        return [part for part in self._parts if part.alive.any()]

    def track_peaks(self, track_id: int) -> Peaks | None:
        """Stored peaks of a track, for drawing."""
        if track_id in self._pending.peaks:
            return self._pending.peaks[track_id]
        place = self._place.get(track_id)
        return place[0].segment.track_peaks(place[1]) if place else None

    def statistics(self) -> IndexStatistics:
        """Sizes, for the user."""
        parts = self.parts()
        return IndexStatistics(
            tracks=self.track_count,
            segments=len(parts),
            postings=sum(len(part.segment.postings) for part in parts),
            peaks=sum(len(part.segment.peaks) for part in parts),
            bytes=sum(part.segment.byte_count for part in parts),
            bytes_in_memory=sum(p.segment.byte_count for p in parts if p.file is None),
        )

    # -- writing -----------------------------------------------------------------------------

    def save(self) -> None:
        """Write what is only in memory, merge what has become small or worn, and name it all in a
        new manifest. Only for the holder of the catalog's writer lock.

        Raises
        ------
        OSError
            When the disk refuses; the index on disk is then the one before.
        """
        self.flush()
        self.directory.mkdir(parents=True, exist_ok=True)
        chosen = self._parts_to_merge()
        if chosen:
            path = merge_to_file(
                [(part.segment, part.alive) for part in chosen],
                self.directory,
                self._config.index_digest(),
            )
            file = open_segment(path, self._config.index_digest())
            alive = np.ones(len(file.segment.track_id), np.bool_)
            self._replace(chosen, Part(file.segment, alive, file))
        self._write_manifest()
        self._sweep()

    def _parts_to_merge(self) -> list[Part]:
        """All in memory; worn files; and files not much heavier than what they would join."""
        chosen = [p for p in self._parts if p.file is None or p.alive.mean() < 1.0 - _WORN]
        weight = sum(_weight(part) for part in chosen)
        for part in sorted((p for p in self._parts if p not in chosen), key=_weight):
            if not weight or _weight(part) >= _GROWTH * weight:
                break
            chosen.append(part)
            weight += _weight(part)
        return chosen

    def _write_manifest(self) -> None:
        state = json.dumps(
            {
                "version": _VERSION,
                "digest": self._config.index_digest(),
                "catalog": self._catalog,
                "revision": self._revision,
                "segments": [
                    {
                        "file": part.file.path.name,
                        "removed": np.flatnonzero(~part.alive).tolist(),
                    }
                    for part in self._parts
                    if part.file is not None
                ],
                "unreadable": sorted(self._unreadable),
            }
        )
        text = json.dumps({"checksum": zlib.crc32(state.encode()), "state": state})
        temporary = self.directory / f"{MANIFEST}.writing"
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.directory / MANIFEST)
        self._manifest_mark = self._mark()

    def _sweep(self) -> None:
        """Remove segment files nobody names any more. Readers that map them keep their view; where
        the system forbids removing mapped files, the next save tries again."""
        named = {part.file.path.name for part in self._parts if part.file is not None}
        for path in self._strays(named):
            with contextlib.suppress(OSError):
                path.unlink()

    def _strays(self, named: set[str]) -> Iterator[Path]:
        for path in self.directory.iterdir():
            is_ours = path.suffix in {SUFFIX, ".writing"}
            if is_ours and path.name not in named:
                yield path


def _catalog_id(reader: FingerprintReader) -> str:
    """The catalog's own name, where the reader knows one (the protocol does not ask for it)."""
    found = getattr(reader, "catalog_id", None)
    return str(found()) if callable(found) else ""


def _weight(part: Part) -> int:
    return len(part.segment.peaks) + 1
