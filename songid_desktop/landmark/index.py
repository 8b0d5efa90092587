"""The index of one library: a few segments, a manifest that names them, and what came since.

On disk lie immutable segment files and ``manifest.json``, which is replaced as a whole; so readers
in other processes always see one consistent state. What the catalog holds beyond the manifest's
revision is taken into segments of this process's own. Only `save` writes the index, and only the
holder of the catalog's writer lock may call it. Whatever is missing, damaged or of another
configuration is rebuilt from the stored fingerprints: the index is a cache, never the only copy.

Opening maps files and reads what says which tracks are where, a few dozen bytes a track; hashes
and peaks stay on disk until a look-up touches them. `save` does what is quick; `compaction` merges
what has become large or worn, while look-ups and saves go on.

Its size is bounded by the configuration, not by the music: `density_hz` peaks a second at most,
each with at most `fan` hashes of four bytes. The fan trades bytes for recall (380 tracks, 59
validation clips a cell; first among all, in rooms with background 5 dB above the music, and at
0 dB; everything else as shipped):

====  ==========  =============  ============  ==============  ==============  ===============
fan   postings/s  kB per minute  room-5, 2 s   room0, 2 s      room0, 5 s      CPU ms a clip
====  ==========  =============  ============  ==============  ==============  ===============
2     59.6        26.8           88.1          96.6            100.0           8.2
3     89.4        34.3           93.2          100.0           98.3            8.8
4     119.2       41.4           93.2          100.0           98.3            9.0
6     178.6       56.3           96.6          100.0           98.3            10.3
8     237.7       70.5           98.3          98.3            98.3            10.3
10    296.3       84.5           100.0         98.3            98.3            10.4
14    411.0       113.3          98.3          98.3            98.3            11.0
====  ==========  =============  ============  ==============  ==============  ===============

White noise at 0 dB and rooms of -5 dB at 5 s were all right from a fan of 2 on. Of the bytes, 12.4
kB per minute are what verification reads (peaks and ridges) and most of the rest postings.
"""

from __future__ import annotations

import contextlib
import logging
import uuid
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from songid_desktop.landmark import background_check
from songid_desktop.landmark.background_check import BackgroundCheck
from songid_desktop.landmark.compaction import GROWTH, SEGMENT_POSTINGS, WORN
from songid_desktop.landmark.config import LandmarkConfig
from songid_desktop.landmark.manifest import (
    MANIFEST,
    Manifest,
    ManifestDamaged,
    Mark,
    Named,
    mark,
    read_manifest,
    sweep,
    write_manifest,
)
from songid_desktop.landmark.merge import merge_to_file, merge_to_memory
from songid_desktop.landmark.peaks import Peaks
from songid_desktop.landmark.scheme import LandmarkScheme, Layout, Scheme
from songid_desktop.landmark.segment import Segment, build_segment, most_frames
from songid_desktop.landmark.segment_file import (
    SUFFIX,
    SegmentDamaged,
    SegmentFile,
    SegmentWriter,
    open_segment,
    write_segment,
)
from songid_desktop.landmark.statistics import IndexStatistics, statistics_of
from songid_desktop.types import FingerprintReader

__all__ = ["MANIFEST", "IndexStatistics", "LandmarkIndex", "Part"]

log = logging.getLogger(__name__)

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]

_BATCH_PEAKS = 400_000
"""Peaks gathered before they become a segment in memory (some 4 hours of music)."""
SPILL_BYTES = 192 << 20
"""Segments in memory are moved to a file of this process's own when they reach this size, so that
the memory taken by a rebuild does not grow with the library."""
_COMPARED = 5
"""Tracks compared with the catalog to tell whether the index was made from it."""
SAVE_WEIGHT = 4_000_000
"""Peaks in files that a save rewrites at most (some 35 hours of music, seconds of work); what is
heavier is left to the compaction."""


@dataclass(slots=True, eq=False)
class Part:
    """A segment and which of its tracks still count."""

    segment: Segment
    alive: BoolArray
    file: SegmentFile | None = None
    is_own: bool = False
    """True for a file that only this process knows."""
    _order: IntArray | None = None

    @property
    def is_saved(self) -> bool:
        return self.file is not None and not self.is_own

    @property
    def weight(self) -> int:
        return len(self.segment.peaks) + 1

    def row_of(self, track_id: int) -> int | None:
        """Row of a track that counts."""
        if self._order is None:
            self._order = np.argsort(self.segment.track_id, kind="stable")
        ids = self.segment.track_id
        low = int(np.searchsorted(ids, track_id, "left", self._order))
        high = int(np.searchsorted(ids, track_id, "right", self._order))
        for row in self._order[low:high].tolist():
            if self.alive[row]:
                return int(row)
        return None


def whole_part(segment: Segment, file: SegmentFile | None = None) -> Part:
    """All tracks of a segment."""
    return Part(segment, np.ones(len(segment.track_id), np.bool_), file)


def grouped(parts: Sequence[Part], layout: Layout) -> Iterator[list[Part]]:
    """Parts in their order, in groups that make segments of bounded size."""
    group: list[Part] = []
    postings = frames = 0
    for part in parts:
        fits = postings + len(part.segment.postings) <= SEGMENT_POSTINGS
        if group and not (fits and frames + part.segment.line_frames <= most_frames(layout)):
            yield group
            group, postings, frames = [], 0, 0
        group.append(part)
        postings += len(part.segment.postings)
        frames += part.segment.line_frames
    if group:
        yield group


@dataclass(slots=True)
class _Pending:
    """Tracks that came but are in no segment yet: peaks, and the checksum of their bytes."""

    tracks: dict[int, tuple[Peaks, int]] = field(default_factory=dict)
    count: int = 0


class LandmarkIndex:
    """Look-up structure over the landmarks of a library. One thread at a time."""

    def __init__(self, directory: Path, identifier: str, scheme: Scheme | LandmarkConfig) -> None:
        self.directory = directory
        self.scheme: Scheme = (
            LandmarkScheme(scheme) if isinstance(scheme, LandmarkConfig) else scheme
        )
        self._identifier = identifier
        self._parts: list[Part] = []
        self._pending = _Pending()
        self._unreadable: set[int] = set()
        self._revision = 0
        self._saved_revision = 0
        self._catalog = ""
        self._adopted: Mark | None = None
        self._seen: Mark | None = None
        self._reader: FingerprintReader | None = None
        self._checker = BackgroundCheck()
        self._checked: set[Path] = set()
        self._incomplete = False
        self.rebuilt_because = ""
        """Why the stored index, or a part of it, was set aside at the last `open` or `refresh`;
        empty normally."""

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
        if self._checker.damaged:
            self._drop_damaged()
            self._catch_up()
            return True
        self._follow_compaction()
        if self._reader.revision() == self._revision:
            return False
        if mark(self.directory) != self._adopted:
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
        self._pending = _Pending()
        self._unreadable = set()
        self._revision = self._saved_revision = 0
        self._catalog = ""
        self._incomplete = False

    def _start_over(self, reason: str) -> None:
        log.info("The %s index is being rebuilt: %s.", self._identifier, reason)
        self.rebuilt_because = reason
        self._checker.stop()
        self._checker = BackgroundCheck()
        self._forget()

    def _load(self) -> None:
        self.rebuilt_because = ""
        self._forget()
        # A writer may take files away between the manifest and them; then there is a newer one.
        for attempt in range(3):
            self._adopted = mark(self.directory)
            if self._adopted is None:
                return
            is_last = attempt == 2
            try:
                manifest = read_manifest(self.directory, self.scheme.index_digest())
                parts, faults = self._open_parts(manifest)
            except ManifestDamaged as problem:
                if is_last or mark(self.directory) == self._adopted:
                    self._start_over(str(problem))
                    return
                continue
            if faults and not is_last and mark(self.directory) != self._adopted:
                continue
            self._adopt(manifest, parts)
            if faults:
                self._report_faults(faults)
            return

    def _open(self, path: Path) -> SegmentFile:
        digest, layout = self.scheme.index_digest(), self.scheme.layout
        return open_segment(path, digest, layout, for_look_ups=True)

    def _open_parts(self, manifest: Manifest) -> tuple[list[Part], list[str]]:
        """Segments that can be used, and what is wrong with the others."""
        parts, faults = [], []
        for named in manifest.segments:
            try:
                file = self._open(self.directory / named.file)
                if file.segment.byte_count <= background_check.CHECK_NOW_BYTES:
                    file.check(file.pieces())
            except (SegmentDamaged, OSError) as problem:
                faults.append(str(problem))
                continue
            part = whole_part(file.segment, file)
            rows = np.array(named.removed, np.int64)
            part.alive[rows[rows < len(part.alive)]] = False
            parts.append(part)
        return parts, faults

    def _adopt(self, manifest: Manifest, parts: list[Part]) -> None:
        self._parts = parts
        self._unreadable = set(manifest.unreadable)
        self._revision = self._saved_revision = manifest.revision
        self._catalog = manifest.catalog
        self._check_later()

    def _check_later(self) -> None:
        """Start to look at large files that this process has not looked at yet."""
        files = [part.file for part in self._parts if part.file is not None]
        fresh = [file for file in files if file.path not in self._checked]
        self._checked = {file.path for file in files}
        self._checker.stop()
        self._checker = BackgroundCheck()
        self._checker.start(fresh)

    def _report_faults(self, faults: Iterable[str]) -> None:
        self.rebuilt_because = "; ".join(faults)
        self._incomplete = True
        log.info(
            "Part of the %s index is being rebuilt: %s.", self._identifier, self.rebuilt_because
        )

    def _drop_damaged(self) -> None:
        """Set aside the files in which the background check found damage; their tracks are taken
        from the catalog again."""
        damaged = dict(self._checker.damaged)
        self._checker.damaged.clear()
        self._parts = [p for p in self._parts if p.file is None or p.file.path not in damaged]
        self._report_faults(damaged.values())

    def _follow_compaction(self) -> None:
        """Use what a compaction has made of the saved segments: the same tracks in fewer files.

        Anything else that a new manifest may say is a matter for `refresh`.
        """
        now = mark(self.directory)
        if now is None or now in (self._adopted, self._seen):
            return
        self._seen = now
        try:
            manifest = read_manifest(self.directory, self.scheme.index_digest())
        except ManifestDamaged:
            return
        if (manifest.catalog, manifest.revision) != (self._catalog, self._saved_revision):
            return
        parts, faults = self._open_parts(manifest)
        if faults:
            return
        ours = [part for part in self._parts if part.is_saved]
        alive = np.concatenate(
            [np.zeros(0, np.int64), *(part.segment.track_id[part.alive] for part in ours)]
        )
        for part in parts:
            part.alive &= np.isin(part.segment.track_id, alive)
        if sum(int(part.alive.sum()) for part in parts) != len(alive):
            return
        self._parts = parts + [part for part in self._parts if not part.is_saved]
        self._adopted = now
        self._check_later()

    def _catch_up(self) -> None:
        reader = self._reader
        assert reader is not None
        catalog = reader.catalog_id()
        is_other = bool(self._catalog and catalog) and self._catalog != catalog
        if is_other or reader.revision() < self._revision or not self._is_of(reader):
            self._start_over("the catalog is another one, or an older copy of it")
        self._catalog = catalog
        if self._incomplete:
            self._restore(reader)
        self._take_changes(reader)
        expected = reader.fingerprint_count(self._identifier, self.scheme.digest())
        is_settled = reader.revision() == self._revision  # else there is more to take in anyway
        if is_settled and expected != self.track_count + len(self._unreadable):
            # Only a catalog that was exchanged under the index can lead here.
            self._start_over("it does not fit the catalog")
            self._take_changes(reader)

    def _is_of(self, reader: FingerprintReader) -> bool:
        """Whether a few fingerprints of the catalog, old and new, are those the index holds."""
        digest = self.scheme.digest()
        for part in range(_COMPARED):
            since = self._revision * part // _COMPARED
            change = next(iter(reader.changes(self._identifier, digest, since)), None)
            if change is None or change.fingerprint is None or change.revision > self._revision:
                continue
            place = self._place(change.track_id)
            if place is None:
                # A part that was set aside may have held it.
                if change.track_id not in self._unreadable and not self._incomplete:
                    return False
            else:
                crc = int(place[0].segment.payload_crc[place[1]])
                if crc and crc != zlib.crc32(change.fingerprint.payload):
                    return False
        return True

    def _restore(self, reader: FingerprintReader) -> None:
        """Take tracks from the catalog that were in segments which had to be set aside."""
        for change in reader.changes(self._identifier, self.scheme.digest(), 0):
            if change.revision > self._revision or change.fingerprint is None:
                continue  # comes with the changes
            if change.track_id not in self._unreadable and not self._knows(change.track_id):
                self._add_payload(change.track_id, change.fingerprint.payload)
        self._incomplete = False
        self.flush()

    def _take_changes(self, reader: FingerprintReader) -> None:
        newest = reader.revision()
        if newest == self._revision:
            return
        changes = reader.changes(self._identifier, self.scheme.digest(), self._revision)
        for change in changes:
            if change.fingerprint is None:
                self.remove(change.track_id)
            else:
                self._add_payload(change.track_id, change.fingerprint.payload)
        self._revision = newest
        self.flush()

    def _add_payload(self, track_id: int, payload: bytes) -> None:
        try:
            peaks = self.scheme.unpack(payload)
        except ValueError as problem:
            log.warning("Track %d can't be searched for: %s.", track_id, problem)
            self.remove(track_id)
            self._unreadable.add(track_id)
        else:
            self.add(track_id, peaks, zlib.crc32(payload))

    # -- contents ----------------------------------------------------------------------------

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
            self._pending = _Pending()
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

    @property
    def revision(self) -> int:
        """The catalog's revision that is taken in."""
        return self._revision

    def parts(self) -> list[Part]:
        """Segments to search, those with no track left out; pending tracks are taken in first."""
        if self._reader is not None:
            self._follow_compaction()
        self.flush()
        return [part for part in self._parts if part.alive.any()]

    def track_peaks(self, track_id: int) -> Peaks | None:
        """Stored peaks of a track, for drawing."""
        if track_id in self._pending.tracks:
            return self._pending.tracks[track_id][0]
        place = self._place(track_id)
        return place[0].segment.track_peaks(place[1]) if place else None

    def statistics(self) -> IndexStatistics:
        """Sizes, for the user."""
        parts = self.parts()
        return statistics_of(
            [(part.segment, part.alive, part.file is None) for part in parts], self.scheme
        )

    # -- writing -----------------------------------------------------------------------------

    def save(self) -> None:
        """Write what only this process has, together with what is small or worn, and name it all
        in a new manifest. Only for the holder of the catalog's writer lock.

        Raises
        ------
        OSError
            When the disk refuses; the index on disk is then the one before.
        """
        if self._reader is not None and mark(self.directory) != self._adopted:
            # Somebody else saved since; what this process maps may have no name any more.
            self._load()
            self._catch_up()
        self.flush()
        self.directory.mkdir(parents=True, exist_ok=True)
        if faults := self._expect_sound(self._parts_to_write()):
            self._report_faults(faults)
            self._catch_up()
        for chosen in grouped(self._parts_to_write(), self.scheme.layout):
            path = self._write_part([(part.segment, part.alive) for part in chosen])
            final = path.with_suffix(SUFFIX)
            path.replace(final)
            file = self._open(final)
            self._checked.add(final)
            self._replace(chosen, whole_part(file.segment, file))
        manifest = self._manifest()
        write_manifest(self.directory, manifest)
        self._adopted = mark(self.directory)
        self._saved_revision = self._revision
        sweep(self.directory, manifest)

    def _expect_sound(self, chosen: list[Part]) -> list[str]:
        """Set aside files whose bytes have changed: merging them would give the damage a good
        checksum."""
        faults = []
        for part in chosen:
            try:
                if part.file is not None and not part.is_own:
                    part.file.check(part.file.pieces())
            except (SegmentDamaged, OSError) as problem:
                faults.append(str(problem))
                self._parts.remove(part)
        return faults

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

    def _parts_to_write(self) -> list[Part]:
        """All that only this process has; and, as long as that is quick, worn files and files not
        much heavier than what they would join."""
        chosen = [part for part in self._parts if not part.is_saved]
        weight = sum(part.weight for part in chosen)
        room = SAVE_WEIGHT
        saved = sorted((p for p in self._parts if p.is_saved), key=lambda part: part.weight)
        for part in saved:
            is_worn = part.alive.mean() < 1.0 - WORN
            is_next = bool(weight) and part.weight < GROWTH * weight
            if part.weight <= room and (is_worn or is_next):
                chosen.append(part)
                weight += part.weight
                room -= part.weight
        return chosen

    def _manifest(self) -> Manifest:
        segments = tuple(
            Named(part.file.path.name, tuple(np.flatnonzero(~part.alive).tolist()))
            for part in self._parts
            if part.file is not None and part.alive.any()
        )
        return Manifest(
            digest=self.scheme.index_digest(),
            catalog=self._catalog,
            revision=self._revision,
            segments=segments,
            unreadable=tuple(sorted(self._unreadable)),
        )
