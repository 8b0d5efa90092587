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
from collections.abc import Collection
from pathlib import Path

import numpy as np
import numpy.typing as npt

from songid_desktop.following import CatalogFollower, Saved
from songid_desktop.manifest import MANIFEST, mark
from songid_desktop.neural.coding import Limits, train_coder
from songid_desktop.neural.contents import Contents, Hits, IndexDamaged
from songid_desktop.neural.manifest import Manifest, read_manifest, sweep, write_manifest
from songid_desktop.neural.segment import CHECK_NOW_BYTES
from songid_desktop.neural.segment_check import BackgroundCheck
from songid_desktop.neural.statistics import IndexStatistics, faults_of, statistics_of
from songid_desktop.neural.stored import StoredVectors
from songid_desktop.neural.tail import Recent, Tail
from songid_desktop.neural.vectors import Vectors, unpack
from songid_desktop.types import FingerprintChange, FingerprintReader, FloatArray

__all__ = ["Hits", "IndexStatistics", "Limits", "VectorIndex"]

log = logging.getLogger(__name__)

_FORESIGHT = 2.0
"""A coder is made for a library this many times as large as the present one."""


class VectorIndex(CatalogFollower[Contents]):
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
        super().__init__(directory, identifier, digest)
        self.limits = limits or Limits()
        self.dim = dim
        self._stored: StoredVectors | None = None
        self._checker = BackgroundCheck()
        self._contents = self._nothing()
        self._spill_at = self.limits.exact_vectors

    @property
    def index_digest(self) -> str:
        """Of all that decides what the files of the index hold."""
        return f"{self._digest}-{self.dim}-{self.limits.stride}"

    def _nothing(self) -> Contents:
        return Contents(self.directory, self.index_digest, self.dim, self.limits)

    # -- following the catalog ------------------------------------------------------------------

    def open(self, reader: FingerprintReader) -> None:
        self._stored = StoredVectors(reader, self._identifier, self._digest)
        super().open(reader)

    def close(self) -> None:
        super().close()
        self._stored = None

    def wait_for_check(self, timeout_s: float) -> None:
        """Until the background check of large files is through, or the time is up."""
        self._checker.wait(timeout_s)

    def _drop(self) -> None:
        self._checker.stop()
        self._checker = BackgroundCheck()
        self._contents.close()
        self._contents = self._nothing()

    def _read(self) -> Saved[Contents]:
        manifest = read_manifest(self.directory, self.index_digest)
        contents, faults = Contents.of(
            self.directory, self.index_digest, self.dim, self.limits, manifest
        )
        return Saved(manifest.catalog, manifest.revision, contents, faults)

    def _let_go(self, contents: Contents) -> None:
        contents.close()

    def _use(self, saved: Saved[Contents]) -> None:
        """Hold it, and start to look at large files that were not looked at when it was read."""
        self._contents = saved.contents
        files = [one for one in self._contents.segments if not one.is_own]
        self._checker.start([one for one in files if one.byte_count > CHECK_NOW_BYTES])

    def _damage(self) -> list[str]:
        damaged = dict(self._checker.damaged)
        self._checker.damaged.clear()
        self._set_aside(damaged)
        return list(damaged.values())

    def _set_aside(self, names: Collection[str]) -> None:
        segments = self._contents.segments
        for segment in [one for one in segments if one.name in names]:
            segments.remove(segment)
            segment.close()

    def _checksum(self, track_id: int, revision: int) -> int | None:
        known = self._contents.origin(track_id)
        if known is None:
            return None
        return known[1] if known[0] == revision else -1

    def _is_unreadable(self, track_id: int) -> bool:
        return track_id in self._contents.unreadable

    @property
    def _unreadable_count(self) -> int:
        return len(self._contents.unreadable)

    def _take(self, change: FingerprintChange, payload: bytes) -> None:
        contents, track_id, checksum = self._contents, change.track_id, zlib.crc32(payload)
        if contents.origin(track_id) == (change.revision, checksum):
            return
        try:
            vectors = self._unpacked(payload)
        except ValueError as problem:
            log.warning("Track %d can't be searched for: %s.", track_id, problem)
            contents.remove(track_id)
            contents.unreadable.add(track_id)
            return
        contents.put(track_id, Recent(vectors, change.revision, checksum))
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
        self._follow_up()
        self._fit_coder()
        contents = self._contents
        if contents.coder is not None and contents.tail.count >= self.limits.tail_vectors:
            contents.spill()
        try:
            contents.join(own_only=False)
        except IndexDamaged as damage:
            self._set_aside([damage.name])
            self._report_faults([str(damage)])
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
