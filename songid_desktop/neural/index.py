"""The index of one library's vectors: what finds candidates fast, derived from what is stored.

A small library is searched whole, from memory. Past a measured size (`Limits.exact_vectors`) the
vectors are coded into inverted lists on disk (`inverted`), in immutable segments that are mapped,
and a manifest that is replaced as a whole names them; so readers in other processes always see one
consistent state. The vectors themselves stay in the catalog, and candidates are scored from there:
a minute of music takes 30.7 kB in the catalog and 4.8 kB here. What the catalog holds beyond the
segments is searched whole until there is enough of it for a segment.

Only `save` writes the index, and only the holder of the catalog's writer lock may call it. Whatever
is missing, damaged or of another configuration is made again from the catalog.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from songid_desktop.manifest import MANIFEST, ManifestDamaged, Mark, mark
from songid_desktop.neural.coding import Limits, train_coder
from songid_desktop.neural.contents import Contents, Hits, IndexDamaged
from songid_desktop.neural.manifest import Manifest, read_manifest, sweep, write_manifest
from songid_desktop.neural.origin import is_of
from songid_desktop.neural.segment import CHECK_NOW_BYTES
from songid_desktop.neural.segment_check import BackgroundCheck
from songid_desktop.neural.statistics import IndexStatistics, faults_of, statistics_of
from songid_desktop.neural.stored import StoredVectors
from songid_desktop.neural.tail import Recent, Tail
from songid_desktop.neural.vectors import Vectors, unpack
from songid_desktop.types import FingerprintReader, FloatArray

__all__ = ["Hits", "IndexStatistics", "Limits", "VectorIndex"]

log = logging.getLogger(__name__)

_FORESIGHT = 2.0
"""A coder is made for a library this many times as large as the present one."""


class VectorIndex:
    """Look-up structure over the vectors of a library. One thread at a time.

    Parameters
    ----------
    directory : Path
        Where the index may lie; made when it is first needed.
    identifier, digest : str
        Whose fingerprints the reader is asked for.
    dim : int
        Numbers in a vector: others can't be searched.
    """

    def __init__(
        self,
        directory: Path,
        identifier: str,
        digest: str,
        dim: int,
        limits: Limits | None = None,
    ) -> None:
        self.directory = directory
        self.limits = limits or Limits()
        self.dim = dim
        self._identifier = identifier
        self._digest = digest
        self._reader: FingerprintReader | None = None
        self._stored: StoredVectors | None = None
        self._checker = BackgroundCheck()
        self._adopted: Mark | None = None
        self._contents = self._nothing()
        self._revision = 0
        self._catalog = ""
        self._incomplete = False
        self._spill_at = self.limits.exact_vectors
        self.rebuilt_because = ""
        """Why the stored index, or a part of it, was set aside at the last `open` or `refresh`;
        empty normally."""

    @property
    def index_digest(self) -> str:
        """Of all that decides what the files of the index hold."""
        return f"{self._digest}-{self.dim}-{self.limits.stride}"

    def _nothing(self) -> Contents:
        return Contents(self.directory, self.index_digest, self.dim, self.limits)

    def _forget(self) -> None:
        self._contents.close()
        self._contents = self._nothing()
        self._revision = 0
        self._catalog = ""
        self._incomplete = False

    # -- opening and following the catalog ------------------------------------------------------

    def open(self, reader: FingerprintReader) -> None:
        """Map what is on disk, check it, and take in what the catalog holds beyond it."""
        self._reader = reader
        self._stored = StoredVectors(reader, self._identifier, self._digest)
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
        if self._reader.revision() == self._revision:
            return False
        if mark(self.directory) != self._adopted:
            self._load()
        self._catch_up()
        return True

    def close(self) -> None:
        """Let go of files and memory."""
        self._checker.stop()
        self._forget()
        self._reader = self._stored = None

    def wait_for_check(self, timeout_s: float) -> None:
        """Until the background check of large files is through, or the time is up."""
        self._checker.wait(timeout_s)

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
                manifest = read_manifest(self.directory, self.index_digest)
                contents, faults = Contents.of(
                    self.directory, self.index_digest, self.dim, self.limits, manifest
                )
            except ManifestDamaged as problem:
                if is_last or mark(self.directory) == self._adopted:
                    self._start_over(str(problem))
                    return
                continue
            if faults and not is_last and mark(self.directory) != self._adopted:
                contents.close()
                continue
            self._contents = contents
            self._revision, self._catalog = manifest.revision, manifest.catalog
            if faults:
                self._report_faults(faults)
            self._check_later()
            return

    def _check_later(self) -> None:
        """Start to look at large files that were not looked at when they were opened."""
        saved = [one for one in self._contents.segments if not one.is_own]
        self._checker.start([one for one in saved if one.byte_count > CHECK_NOW_BYTES])

    def _report_faults(self, faults: Iterable[str]) -> None:
        self.rebuilt_because = "; ".join(faults)
        self._incomplete = True
        log.info(
            "Part of the %s index is being rebuilt: %s.", self._identifier, self.rebuilt_because
        )

    def _drop_damaged(self) -> None:
        """Set aside the segments in which the background check found damage; their tracks are
        taken from the catalog again."""
        damaged = dict(self._checker.damaged)
        self._checker.damaged.clear()
        self._set_aside(damaged)

    def _set_aside(self, damaged: dict[str, str]) -> None:
        segments = self._contents.segments
        for segment in [one for one in segments if one.name in damaged]:
            segments.remove(segment)
            segment.close()
        self._report_faults(damaged.values())

    def _catch_up(self) -> None:
        reader = self._reader
        assert reader is not None
        catalog = reader.catalog_id()
        is_other = bool(self._catalog and catalog) and self._catalog != catalog
        if is_other or reader.revision() < self._revision or not self._fits(reader):
            self._start_over("the catalog is another one, or an older copy of it")
        self._catalog = catalog
        if self._incomplete:
            self._restore(reader)
        self._take_changes(reader)
        expected = reader.fingerprint_count(self._identifier, self._digest)
        is_settled = reader.revision() == self._revision  # else there is more to take in anyway
        if is_settled and expected != self.track_count + len(self._contents.unreadable):
            # Only a catalog that was exchanged under the index can lead here.
            self._start_over("it does not fit the catalog")
            self._catalog = catalog
            self._take_changes(reader)

    def _fits(self, reader: FingerprintReader) -> bool:
        contents, tracks = self._contents, (self._identifier, self._digest)
        return is_of(reader, tracks, self._revision, contents, is_whole=not self._incomplete)

    def _restore(self, reader: FingerprintReader) -> None:
        """Take tracks from the catalog that were in segments which had to be set aside."""
        for change in reader.changes(self._identifier, self._digest, 0):
            if change.revision > self._revision or change.fingerprint is None:
                continue  # comes with the changes
            if (
                change.track_id not in self._contents.unreadable
                and self._contents.origin(change.track_id) is None
            ):
                self._take(change.track_id, change.fingerprint.payload, change.revision)
        self._incomplete = False

    def _take_changes(self, reader: FingerprintReader) -> None:
        newest = reader.revision()
        if newest == self._revision:
            return
        for change in reader.changes(self._identifier, self._digest, self._revision):
            if change.fingerprint is None:
                self.remove(change.track_id)
            else:
                self._take(change.track_id, change.fingerprint.payload, change.revision)
        self._revision = newest

    def _take(self, track_id: int, payload: bytes, revision: int) -> None:
        contents, checksum = self._contents, zlib.crc32(payload)
        if contents.origin(track_id) == (revision, checksum):
            return
        try:
            vectors = self._unpacked(payload)
        except ValueError as problem:
            log.warning("Track %d can't be searched for: %s.", track_id, problem)
            contents.remove(track_id)
            contents.unreadable.add(track_id)
            return
        contents.put(track_id, Recent(vectors, revision, checksum))
        if contents.tail.count > self._spill_at:
            self._spill()

    def _unpacked(self, payload: bytes) -> Vectors:
        vectors = unpack(payload)
        if vectors.values.shape[1] != self.dim:
            raise ValueError(f"vectors have {vectors.values.shape[1]} numbers, not {self.dim}")
        return vectors

    # -- contents -------------------------------------------------------------------------------

    def add(self, track_id: int, vectors: Vectors) -> None:
        """Make a track findable until the next `open`, in place of what was known under its
        number."""
        self._contents.put(track_id, Recent(vectors))

    def remove(self, track_id: int) -> None:
        """Make a track unfindable; unknown numbers are fine."""
        self._contents.remove(track_id)

    @property
    def track_count(self) -> int:
        return self._contents.track_count

    @property
    def revision(self) -> int:
        """The catalog's revision that is taken in."""
        return self._revision

    @property
    def tail(self) -> Tail:
        """Tracks that are searched whole."""
        return self._contents.tail

    def nearest(self, queries: FloatArray, count: int, n_probe: int) -> Hits | None:
        """The `count` nearest coded vectors of each query in each segment; None where nothing is
        coded."""
        return self._contents.nearest(queries, count, n_probe)

    def rows(
        self, track_id: int, first: int, count: int
    ) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
        """Stored vectors of a track from row `first` on, float32 (count, dim), and which of the
        rows there are; `first` may be negative."""
        return self._contents.rows(self._stored, track_id, first, count)

    def statistics(self) -> IndexStatistics:
        """Sizes, for the user."""
        return statistics_of(self._contents, self.directory)

    def faults(self) -> list[str]:
        """What is wrong with the files of the index; every byte of them is read."""
        return faults_of(self.directory, self.index_digest, self.dim)

    def saved_files(self) -> set[str]:
        """Names of the files that the index on disk consists of."""
        if mark(self.directory) is None:
            return set()
        return {MANIFEST} | read_manifest(self.directory, self.index_digest).files

    # -- coding and writing ---------------------------------------------------------------------

    def _spill(self) -> None:
        """Make a segment of the tail, which has become too large to be searched whole."""
        contents, reader = self._contents, self._reader
        assert reader is not None
        if contents.coder is None:
            n_tracks = reader.fingerprint_count(self._identifier, self._digest)
            mean = contents.tail.count / max(1, len(contents.tail))
            planned = round(_FORESIGHT * mean * n_tracks / self.limits.stride)
            changes = reader.changes(self._identifier, self._digest, 0)
            coder = train_coder(changes, n_tracks, planned, self.dim)
            if coder is None:
                return
            contents.adopt_coder(coder, planned)
        try:
            contents.spill()
            contents.join(own_only=True)
            self._spill_at = self.limits.exact_vectors
        except (OSError, IndexDamaged) as problem:
            self._spill_at = 2 * contents.tail.count
            log.info("The %s index grows in memory: %s.", self._identifier, problem)

    def save(self) -> None:
        """Write what only this process has, and name it in a new manifest. Only for the holder of
        the catalog's writer lock.

        Raises
        ------
        OSError
            When the disk refuses; the index on disk is then the one before.
        """
        if self._reader is not None and mark(self.directory) != self._adopted:
            # Somebody else saved since; what this process maps may have no name any more.
            self._load()
            self._catch_up()
        self._fit_coder()
        contents = self._contents
        if contents.coder is not None and contents.tail.count >= self.limits.tail_vectors:
            contents.spill()
        try:
            contents.join(own_only=False)
        except IndexDamaged as damage:
            self._set_aside({damage.name: str(damage)})
            self._catch_up()
        self.directory.mkdir(parents=True, exist_ok=True)
        manifest = self._manifest()
        write_manifest(self.directory, manifest)
        self._adopted = mark(self.directory)
        for segment in contents.segments:
            segment.is_own = False
        sweep(self.directory, manifest)

    def _fit_coder(self) -> None:
        """Begin anew when the library has outgrown its coder, or no longer needs one."""
        contents = self._contents
        if contents.coder is None or self._reader is None:
            return
        stride = self.limits.stride
        alive = sum(int(one.tracks.count[one.alive].sum()) for one in contents.segments)
        total = alive + contents.tail.count
        if total > self.limits.growth * contents.planned * stride:
            self._start_over("the library has grown")
        elif total < self.limits.exact_vectors // 2:
            self._start_over("the library is small enough to be searched whole")
        else:
            return
        self._catch_up()

    def _manifest(self) -> Manifest:
        contents = self._contents
        coder, coder_sum = contents.coder_file()
        waiting = [of.revision for _, of in contents.tail.items() if of.revision]
        # Tracks of the tail are taken from the catalog again by whoever opens the index.
        revision = min([self._revision, *(one - 1 for one in waiting)])
        return Manifest(
            digest=self.index_digest,
            catalog=self._catalog,
            revision=revision,
            coder=coder,
            coder_sum=coder_sum,
            planned_vectors=contents.planned,
            segments=contents.named(),
            unreadable=tuple(sorted(contents.unreadable)),
        )
