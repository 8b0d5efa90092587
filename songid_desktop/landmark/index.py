"""The index of one library: a few segments, a manifest that names them, and what came since.

On disk lie immutable segment files and ``manifest.json``, which is replaced as a whole; so readers
in other processes always see one consistent state. What the catalog holds beyond the manifest's
revision is taken into segments of this process's own. Only `save` writes the index, and only the
holder of the catalog's writer lock may call it. Whatever is missing, damaged or of another
configuration is rebuilt from the stored fingerprints: the index is a cache, never the only copy.

Opening maps files and reads what says which tracks are where, a few dozen bytes a track; hashes
and peaks stay on disk until a look-up touches them. `save` does what is quick; `compaction` merges
what has become large or worn, while look-ups and saves go on.
"""

from __future__ import annotations

import logging
import zlib
from pathlib import Path

import numpy as np

from songid_desktop.following import CatalogFollower, Saved
from songid_desktop.landmark import background_check
from songid_desktop.landmark.background_check import BackgroundCheck
from songid_desktop.landmark.compaction import GROWTH, WORN
from songid_desktop.landmark.config import LandmarkConfig
from songid_desktop.landmark.holdings import Holdings, Pending
from songid_desktop.landmark.manifest import Manifest, Named, read_manifest, sweep, write_manifest
from songid_desktop.landmark.parts import Part, grouped, whole_part
from songid_desktop.landmark.scheme import LandmarkScheme, Scheme
from songid_desktop.landmark.segment_file import SUFFIX, SegmentDamaged
from songid_desktop.landmark.statistics import IndexStatistics, statistics_of
from songid_desktop.manifest import MANIFEST, ManifestDamaged, Mark, mark
from songid_desktop.types import FingerprintChange

__all__ = ["MANIFEST", "IndexStatistics", "LandmarkIndex", "Part"]

log = logging.getLogger(__name__)

SAVE_WEIGHT = 4_000_000
"""Peaks in files that a save rewrites at most (some 35 hours of music, seconds of work); what is
heavier is left to the compaction."""


class LandmarkIndex(Holdings, CatalogFollower[list[Part]]):
    """Look-up structure over the landmarks of a library. One thread at a time."""

    def __init__(self, directory: Path, identifier: str, scheme: Scheme | LandmarkConfig) -> None:
        if isinstance(scheme, LandmarkConfig):
            scheme = LandmarkScheme(scheme)
        Holdings.__init__(self, directory, scheme)
        CatalogFollower.__init__(self, directory, identifier, scheme.digest())
        self._saved_revision = 0
        self._seen: Mark | None = None
        self._checker = BackgroundCheck()
        self._checked: set[Path] = set()

    # -- following the catalog ------------------------------------------------------------------

    def wait_for_check(self, timeout_s: float) -> None:
        """Until the background check of large files is through, or the time is up."""
        self._checker.wait(timeout_s)

    def _drop(self) -> None:
        self._checker.stop()
        self._checker = BackgroundCheck()
        self._parts = []
        self._pending = Pending()
        self._unreadable = set()
        self._saved_revision = 0

    def _read(self) -> Saved[list[Part]]:
        manifest = read_manifest(self.directory, self.scheme.index_digest())
        parts, faults = self._open_parts(manifest)
        return Saved(manifest.catalog, manifest.revision, parts, faults, manifest.unreadable)

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

    def _use(self, saved: Saved[list[Part]]) -> None:
        self._parts = saved.contents
        self._unreadable = set(saved.unreadable)
        self._saved_revision = saved.revision
        self._check_later()

    def _check_later(self) -> None:
        """Start to look at large files that this process has not looked at yet."""
        files = [part.file for part in self._parts if part.file is not None]
        fresh = [file for file in files if file.path not in self._checked]
        self._checked = {file.path for file in files}
        self._checker.stop()
        self._checker = BackgroundCheck()
        self._checker.start(fresh)

    def _damage(self) -> list[str]:
        damaged = dict(self._checker.damaged)
        self._checker.damaged.clear()
        self._parts = [p for p in self._parts if p.file is None or p.file.path not in damaged]
        return list(damaged.values())

    def _look_around(self) -> None:
        self._follow_compaction()

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

    def _checksum(self, track_id: int, revision: int) -> int | None:
        del revision  # is not kept
        if track_id in self._pending.tracks:
            return self._pending.tracks[track_id][1]
        place = self._place(track_id)
        return None if place is None else int(place[0].segment.payload_crc[place[1]])

    def _is_unreadable(self, track_id: int) -> bool:
        return track_id in self._unreadable

    @property
    def _unreadable_count(self) -> int:
        return len(self._unreadable)

    def _take(self, change: FingerprintChange, payload: bytes) -> None:
        try:
            peaks = self.scheme.unpack(payload)
        except ValueError as problem:
            log.warning("Track %d can't be searched for: %s.", change.track_id, problem)
            self.remove(change.track_id)
            self._unreadable.add(change.track_id)
        else:
            self.add(change.track_id, peaks, zlib.crc32(payload))

    def _settle(self) -> None:
        self.flush()

    # -- contents ----------------------------------------------------------------------------

    def parts(self) -> list[Part]:
        """Segments to search, those with no track left out; pending tracks are taken in first."""
        if self._reader is not None:
            self._follow_compaction()
        self.flush()
        return [part for part in self._parts if part.alive.any()]

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
        self._follow_up()
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
