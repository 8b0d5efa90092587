"""A look at an index as it lies on disk, without opening it for searching or changing anything."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from songid_desktop.landmark.manifest import read_manifest
from songid_desktop.landmark.scheme import Scheme
from songid_desktop.landmark.segment_file import SegmentDamaged, open_segment
from songid_desktop.landmark.statistics import (
    CommonHash,
    IndexStatistics,
    common_hashes,
    statistics_of,
)
from songid_desktop.manifest import MANIFEST, ManifestDamaged, ManifestOutdated


@dataclass(frozen=True, slots=True)
class Survey:
    """What an index on disk is made of.

    Attributes
    ----------
    statistics : IndexStatistics
        Of the segments that can be read.
    common : tuple of CommonHash
    faults : tuple of str
        What can't be used; whoever opens the index next makes it again from the catalog.
    is_outdated : bool
        Nothing is damaged, but the index is of another configuration.
    """

    statistics: IndexStatistics
    common: tuple[CommonHash, ...]
    faults: tuple[str, ...]
    is_outdated: bool = False


def survey(directory: Path, scheme: Scheme, *, whole: bool = False, most: int = 0) -> Survey:
    """Look at the index in a folder.

    Parameters
    ----------
    whole : bool
        Read every byte and compare checksums.
    most : int
        How many of the commonest hashes to name; finding them reads all directories.
    """
    faults: list[str] = []
    is_outdated = False
    parts = []
    if (directory / MANIFEST).exists():
        try:
            named = read_manifest(directory, scheme.index_digest()).segments
        except ManifestDamaged as problem:
            faults.append(str(problem))
            is_outdated = isinstance(problem, ManifestOutdated)
            named = ()
        for one in named:
            try:
                file = open_segment(directory / one.file, scheme.index_digest(), scheme.layout)
                if whole:
                    file.check(file.pieces())
            except (SegmentDamaged, OSError) as problem:
                faults.append(str(problem))
                continue
            alive = np.ones(len(file.segment.track_id), np.bool_)
            rows = np.array(one.removed, np.int64)
            alive[rows[rows < len(alive)]] = False
            parts.append((file.segment, alive, False))
    segments = [segment for segment, _, _ in parts]
    common = common_hashes(segments, scheme, most) if most else ()
    return Survey(statistics_of(parts, scheme), common, tuple(faults), is_outdated)
