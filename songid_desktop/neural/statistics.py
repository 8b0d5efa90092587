"""What an index of vectors is made of, for people."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from songid_desktop.manifest import ManifestDamaged, ManifestOutdated, mark
from songid_desktop.neural.coding import Limits
from songid_desktop.neural.contents import Contents
from songid_desktop.neural.manifest import read_manifest
from songid_desktop.neural.segment import SegmentDamaged


@dataclass(frozen=True, slots=True)
class IndexStatistics:
    """For people: what can be found, and where it lies.

    Attributes
    ----------
    tracks : int
        That can be found; `tracks_searched_whole` of them are searched from memory.
    removed_tracks : int
        That still take room in segments.
    segments, lists, coded_vectors : int
    bytes : int
        Of all files of the index.
    """

    tracks: int
    tracks_searched_whole: int
    removed_tracks: int
    segments: int
    lists: int
    coded_vectors: int
    bytes: int


def statistics_of(contents: Contents, directory: Path) -> IndexStatistics:
    """Sizes of an index, and of its files."""
    tracks = sum(len(segment.tracks) for segment in contents.segments)
    alive = sum(int(segment.alive.sum()) for segment in contents.segments)
    files = directory.iterdir() if directory.is_dir() else ()
    return IndexStatistics(
        tracks=contents.track_count,
        tracks_searched_whole=len(contents.tail),
        removed_tracks=tracks - alive,
        segments=len(contents.segments),
        lists=contents.coder.n_lists if contents.coder else 0,
        coded_vectors=contents.coded_count,
        bytes=sum(path.stat().st_size for path in files if path.is_file()),
    )


def faults_of(directory: Path, digest: str, dim: int) -> list[str]:
    """What is wrong with the files of an index, every byte of them read; nothing where there is
    none, or where it is of another configuration and made again anyway."""
    if mark(directory) is None:
        return []
    try:
        manifest = read_manifest(directory, digest)
        contents, faults = Contents.of(directory, digest, dim, Limits(), manifest)
    except ManifestOutdated:
        return []
    except ManifestDamaged as problem:
        return [str(problem)]
    for segment in contents.segments:
        try:
            segment.check()
        except SegmentDamaged as problem:
            faults.append(str(problem))
    contents.close()
    return faults
