"""What an index consists of at one moment: a coder, segments, and the tail that is searched whole.

Knows how to find, take in, code and join tracks; when that has to happen is the business of
`index`, which follows the catalog.
"""

from __future__ import annotations

import contextlib
import itertools
import uuid
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from songid_desktop.manifest import UNFINISHED, ManifestDamaged
from songid_desktop.neural.coding import Limits, code_tracks, merged
from songid_desktop.neural.inverted import Coder, Entries, IntArray, ListsDamaged
from songid_desktop.neural.manifest import CODER, SEGMENT, Manifest, Named
from songid_desktop.neural.segment import (
    Segment,
    SegmentDamaged,
    Tracks,
    open_segment,
    write_segment,
)
from songid_desktop.neural.stored import StoredVectors
from songid_desktop.neural.tail import Recent, Tail
from songid_desktop.neural.vectors import unit
from songid_desktop.types import FloatArray

BoolArray = npt.NDArray[np.bool_]
_GROWTH = 3.0
"""Segments are joined that differ in size by less than this factor."""


class IndexDamaged(Exception):
    """A segment that was about to be copied is not what was written.

    Attributes
    ----------
    name : str
        Of the segment.
    """

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


@dataclass(frozen=True, slots=True)
class Hits:
    """Coded vectors near to a clip's: place in the clip, track, place in the track, approximate
    cosine; shape (h,) each."""

    query: IntArray
    track_id: IntArray
    row: IntArray
    cosine: FloatArray


class Contents:
    """Coder, segments and tail of one index. One thread at a time."""

    def __init__(self, directory: Path, digest: str, dim: int, limits: Limits) -> None:
        self.directory = directory
        self.digest = digest
        self.dim = dim
        self.limits = limits
        self.coder: Coder | None = None
        self.planned = 0
        """Coded vectors that the coder was made for."""
        self.segments: list[Segment] = []
        self.tail = Tail()
        self.unreadable: set[int] = set()
        self._coder_file: tuple[str, int] = ("", 0)

    @classmethod
    def of(
        cls, directory: Path, digest: str, dim: int, limits: Limits, manifest: Manifest
    ) -> tuple[Contents, list[str]]:
        """What a manifest names, and what is wrong with the segments that can't be used.

        Raises
        ------
        ManifestDamaged
            When nothing can be used.
        """
        self = cls(directory, digest, dim, limits)
        self.unreadable = set(manifest.unreadable)
        if not manifest.coder:
            return self, []
        path = directory / manifest.coder
        try:
            if zlib.crc32(path.read_bytes()) != manifest.coder_sum:
                raise ManifestDamaged(f"the bytes of {path.name} have changed")
            self.coder = Coder.load(path)
        except (OSError, ListsDamaged) as problem:
            raise ManifestDamaged(str(problem)) from problem
        self._coder_file = manifest.coder, manifest.coder_sum
        self.planned = manifest.planned_vectors
        faults = []
        for named in manifest.segments:
            try:
                segment = open_segment(directory / f"{named.name}{SEGMENT}", digest, self.coder)
            except SegmentDamaged as problem:
                faults.append(str(problem))
                continue
            places = np.array(named.removed, np.int64)
            segment.alive[places[places < len(segment.alive)]] = False
            self.segments.append(segment)
        return self, faults

    def close(self) -> None:
        """Let go of files and memory; what only this process knows goes altogether."""
        for segment in self.segments:
            segment.close()
            if segment.is_own:
                _remove_files(segment)
        self.segments = []
        self.tail = Tail()

    # -- tracks ---------------------------------------------------------------------------------

    def put(self, track_id: int, recent: Recent) -> None:
        """Make a track findable, in place of what was known under its number."""
        self.remove(track_id)
        self.tail.put(track_id, recent)

    def remove(self, track_id: int) -> None:
        """Make a track unfindable; unknown numbers are fine."""
        self.unreadable.discard(track_id)
        self.tail.pop(track_id)
        for segment in self.segments:
            place = segment.place_of(track_id)
            if place is not None:
                segment.alive[place] = False

    def find(self, track_id: int) -> tuple[Segment, int] | None:
        """The segment that a track which counts is in, and its place there."""
        for segment in self.segments:
            place = segment.place_of(track_id)
            if place is not None:
                return segment, place
        return None

    def origin(self, track_id: int) -> tuple[int, int] | None:
        """Revision and checksum of what a track was taken from."""
        recent = self.tail.get(track_id)
        if recent is not None:
            return recent.revision, recent.payload_sum
        found = self.find(track_id)
        if found is None:
            return None
        tracks, place = found[0].tracks, found[1]
        return int(tracks.revision[place]), int(tracks.payload_sum[place])

    @property
    def track_count(self) -> int:
        return len(self.tail) + sum(int(segment.alive.sum()) for segment in self.segments)

    @property
    def coded_count(self) -> int:
        """Coded vectors, those of removed tracks included."""
        return sum(len(segment.lists) for segment in self.segments)

    # -- looking up -----------------------------------------------------------------------------

    def nearest(self, queries: FloatArray, count: int, n_probe: int) -> Hits | None:
        """The `count` nearest coded vectors of each query in each segment; None where nothing is
        coded."""
        if self.coder is None or not self.segments:
            return None
        probes = self.coder.probe(queries, n_probe)
        found = [one.nearest(queries, count, probes) for one in self.segments]
        query, track_id, row, cosine = zip(*found, strict=True)
        return Hits(
            np.concatenate(query),
            np.concatenate(track_id),
            np.concatenate(row),
            np.concatenate(cosine),
        )

    def rows(
        self, stored: StoredVectors | None, track_id: int, first: int, count: int
    ) -> tuple[FloatArray, BoolArray]:
        """Vectors of a track from row `first` on, float32 (count, dim), and which of the rows there
        are; `first` may be negative."""
        out = np.zeros((count, self.dim), np.float32)
        inside = np.zeros(count, np.bool_)
        recent, begin = self.tail.get(track_id), max(0, first)
        values: npt.NDArray[np.int8] | None = None
        if recent is not None:
            values = recent.vectors.values[begin : max(0, first + count)]
        elif stored is not None and (found := self.find(track_id)) is not None:
            tracks, place = found[0].tracks, found[1]
            end = min(first + count, int(tracks.count[place]))
            if begin < end:
                revision = int(tracks.revision[place])
                values = stored.rows(track_id, revision, self.dim, begin, end - begin)
        if values is not None:
            at = begin - first
            out[at : at + len(values)] = unit(values)
            inside[at : at + len(values)] = True
        return out, inside

    # -- coding ---------------------------------------------------------------------------------

    def adopt_coder(self, coder: Coder, planned: int) -> None:
        """Code with this from now on; only where no segments are."""
        assert not self.segments
        self.coder, self.planned, self._coder_file = coder, planned, ("", 0)

    def spill(self) -> None:
        """Move the tail into a segment, which only this process knows as long as no manifest names
        it. Tracks that the catalog does not have stay; where nothing can be written, all do.

        Raises
        ------
        OSError
            When the disk refuses; nothing has changed then.
        """
        chosen = [item for item in self.tail.items() if item[1].revision]
        if self.coder is None or not chosen:
            return
        tracks, entries = code_tracks(chosen, self.coder, self.limits.stride)
        self._write(tracks, entries, [])
        for track_id, _ in chosen:
            self.tail.pop(track_id)

    def join(self, *, own_only: bool) -> None:
        """Join segments of like size, and write worn ones again; few and full ones stay.

        Raises
        ------
        OSError
        """
        for segment in [one for one in self.segments if not own_only]:
            if segment.alive.mean() < 1.0 - self.limits.worn:
                self._merge([segment])
        while True:
            able = [one for one in self.segments if one.is_own or not own_only]
            able.sort(key=lambda one: len(one.lists))
            pairs = [
                [small, large]
                for small, large in itertools.pairwise(able)
                if len(large.lists) < _GROWTH * len(small.lists)
                and len(small.lists) + len(large.lists) <= self.limits.segment_vectors
            ]
            if not pairs:
                return
            self._merge(pairs[0])

    def _merge(self, chosen: list[Segment]) -> None:
        assert self.coder is not None
        for segment in list(chosen):
            # Copying them would give a damage a good checksum.
            try:
                segment.check()
            except SegmentDamaged as problem:
                raise IndexDamaged(segment.name, str(problem)) from problem
        tracks, entries = merged(chosen, self.coder.code_bytes)
        self._write(tracks, entries, chosen)

    def _write(self, tracks: Tracks, entries: Entries, replaced: Sequence[Segment]) -> None:
        assert self.coder is not None
        if len(tracks):
            self.directory.mkdir(parents=True, exist_ok=True)
            path = write_segment(self.directory, self.digest, self.coder, tracks, entries)
            try:
                segment = open_segment(path, self.digest, self.coder)
            except SegmentDamaged as problem:
                raise OSError(str(problem)) from problem
            segment.is_own = True
            self.segments.append(segment)
        for old in replaced:
            self.segments.remove(old)
            old.close()
            if old.is_own:
                _remove_files(old)

    def named(self) -> tuple[Named, ...]:
        """The segments as a manifest names them."""
        return tuple(
            Named(one.name, tuple(np.flatnonzero(~one.alive).tolist()))
            for one in self.segments
            if one.alive.any()
        )

    def coder_file(self) -> tuple[str, int]:
        """Name and checksum of the coder's file, written now if it has none yet.

        Raises
        ------
        OSError
        """
        if self.coder is not None and not self._coder_file[0]:
            name = f"{uuid.uuid4().hex}{CODER}"
            path = self.directory / name
            self.coder.save(path.with_suffix(UNFINISHED))
            path.with_suffix(UNFINISHED).replace(path)
            self._coder_file = name, zlib.crc32(path.read_bytes())
        return self._coder_file


def _remove_files(segment: Segment) -> None:
    for path in (segment.path, segment.lists_path):
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
