"""Compaction: fewer, larger segments without what was removed, made while everything else goes on.

The merged file is written under a name that nobody else looks at, from segments that never change;
look-ups and saves take no notice. Only when it is complete is the writer lock taken, for as long as
replacing the manifest takes: tracks that were removed meanwhile are marked in it, and if a save has
replaced one of the segments it was made from, it is thrown away. Whoever dies in between leaves the
index as it was. One compaction at a time: the caller sees to that.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from songid_desktop.landmark.manifest import (
    COMPACTING,
    Manifest,
    Named,
    read_manifest,
    sweep,
    write_manifest,
)
from songid_desktop.landmark.merge import Wait, merge_to_file
from songid_desktop.landmark.scheme import Scheme
from songid_desktop.landmark.segment_file import SegmentDamaged, SegmentFile, open_segment
from songid_desktop.manifest import ManifestDamaged

log = logging.getLogger(__name__)

BoolArray = npt.NDArray[np.bool_]

SEGMENT_POSTINGS = 1 << 30
"""Of one segment at most (some 1,000 hours of music, 4 GB): a compaction needs that much room on
the disk for what it writes before it can take away what it read."""
GROWTH = 4
"""Segments are this much heavier than all lighter ones together, so there are never many."""
WORN = 0.25
"""A segment is rewritten once this share of its tracks has gone."""
_SPARE_ROOM = 1.2
_MOST_LOST = 3
"""Merges in a row that a save made useless; then the library is busy with other things."""

WriterLock = Callable[[], AbstractContextManager[object]]


@dataclass(frozen=True, slots=True)
class _Input:
    """A saved segment as the manifest names it."""

    named: Named
    file: SegmentFile
    alive: BoolArray

    @property
    def postings(self) -> int:
        return len(self.file.segment.postings)

    @property
    def is_worn(self) -> bool:
        return bool(self.alive.mean() < 1.0 - WORN)


def needs_compaction(directory: Path, scheme: Scheme) -> bool:
    """Whether there is something to merge; reads a few bytes a track."""
    try:
        return bool(
            _choose(_inputs(directory, read_manifest(directory, scheme.index_digest()), scheme))
        )
    except (ManifestDamaged, SegmentDamaged):
        return False


def compact(
    directory: Path, scheme: Scheme, writer_lock: WriterLock, wait: Wait | None = None
) -> int:
    """Merge until nothing is left to merge.

    Parameters
    ----------
    writer_lock : callable
        Gives the context in which the manifest may be replaced.
    wait : callable, optional
        Called often; may sleep to leave the machine to others, or raise `MergeStopped` to end.

    Returns
    -------
    int
        Merges that were done.

    Raises
    ------
    OSError
        When the disk refuses; the index is then as it was.
    """
    done = lost = 0
    _remove_leftovers(directory)
    while lost < _MOST_LOST:
        try:
            manifest = read_manifest(directory, scheme.index_digest())
            chosen = _choose(_inputs(directory, manifest, scheme))
        except (ManifestDamaged, SegmentDamaged) as problem:
            log.info("Nothing is compacted: %s.", problem)
            return done
        if not chosen or not _has_room(directory, chosen):
            return done
        damaged = _damaged(chosen, wait)
        if damaged:
            # Whoever opens the index next misses these files and takes their tracks from the
            # catalog again.
            with writer_lock():
                for path in damaged:
                    path.unlink(missing_ok=True)
            return done
        if _merge(directory, scheme, chosen, writer_lock, wait):
            done, lost = done + 1, 0
        else:
            lost += 1
    return done


def _remove_leftovers(directory: Path) -> None:
    for path in directory.glob(f"*{COMPACTING}"):
        with contextlib.suppress(OSError):
            path.unlink()


def _inputs(directory: Path, manifest: Manifest, scheme: Scheme) -> list[_Input]:
    found = []
    for named in manifest.segments:
        file = open_segment(directory / named.file, manifest.digest, scheme.layout)
        alive = np.ones(len(file.segment.track_id), np.bool_)
        alive[list(named.removed)] = False
        found.append(_Input(named, file, alive))
    return found


def _choose(inputs: Sequence[_Input]) -> list[_Input]:
    """Segments to merge into one, lightest first; none when all is well."""
    ranked = sorted(inputs, key=lambda one: one.postings)
    for first in range(len(ranked)):
        group, weight = [ranked[first]], ranked[first].postings
        for one in ranked[first + 1 :]:
            heavier = one.postings > GROWTH * weight
            if heavier or weight + one.postings > SEGMENT_POSTINGS:
                break
            group.append(one)
            weight += one.postings
        if len(group) > 1:
            return group
    return [one for one in ranked if one.is_worn][:1]


def _has_room(directory: Path, chosen: Sequence[_Input]) -> bool:
    needed = _SPARE_ROOM * sum(one.file.segment.byte_count for one in chosen)
    return shutil.disk_usage(directory).free > needed


def _damaged(chosen: Sequence[_Input], wait: Wait | None) -> list[Path]:
    """Files whose bytes have changed: merging them would give the damage a good checksum."""
    found = []
    for one in chosen:
        try:
            for piece in one.file.pieces():
                if wait is not None:
                    wait()
                one.file.check([piece])
        except (SegmentDamaged, OSError) as problem:
            log.info("A segment can't be compacted: %s.", problem)
            found.append(one.file.path)
    return found


def _merge(
    directory: Path,
    scheme: Scheme,
    chosen: Sequence[_Input],
    writer_lock: WriterLock,
    wait: Wait | None,
) -> bool:
    """One merge; False when a save had replaced one of the segments before it was through."""
    parts = [(one.file.segment, one.alive) for one in chosen]
    digest = scheme.index_digest()
    writer = merge_to_file(parts, directory, digest, unfinished=COMPACTING, wait=wait)
    try:
        with writer_lock():
            manifest = read_manifest(directory, digest)
            names = {named.file: named for named in manifest.segments}
            if not all(one.named.file in names for one in chosen):
                return False
            removed = _removed_meanwhile(chosen, names)
            taken = {one.named.file for one in chosen}
            others = tuple(named for named in manifest.segments if named.file not in taken)
            writer.temporary.replace(writer.path)
            merged = replace(manifest, segments=(Named(writer.path.name, removed), *others))
            write_manifest(directory, merged)
            sweep(directory, merged)
            return True
    except ManifestDamaged:
        return False
    finally:
        writer.abandon()


def _removed_meanwhile(chosen: Sequence[_Input], now: dict[str, Named]) -> tuple[int, ...]:
    """Rows of the merged segment whose tracks have gone since it was begun."""
    gone = []
    for one in chosen:
        is_gone = np.zeros(len(one.alive), np.bool_)
        is_gone[list(now[one.named.file].removed)] = True
        gone.append(is_gone[one.alive])
    return tuple(np.flatnonzero(np.concatenate(gone)).tolist())
