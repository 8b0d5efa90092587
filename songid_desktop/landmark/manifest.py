"""What a landmark index is made of: the segments, and the rows of them that no longer count."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from songid_desktop.landmark.segment_file import SUFFIX
from songid_desktop.manifest import UNFINISHED, read_state, sweep_but, write_state

COMPACTING = ".compacting"
"""Ending of what a compaction is writing; only compactions remove what another one left."""
_VERSION = 2


@dataclass(frozen=True, slots=True)
class Named:
    """A segment file and which of its rows no longer count."""

    file: str
    removed: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the index on disk is.

    Attributes
    ----------
    digest : str
        Of the configuration.
    catalog : str
        The catalog's own name.
    revision : int
        Of the catalog, up to which its changes are in the segments.
    segments : tuple of Named
    unreadable : tuple of int
        Tracks whose fingerprints could not be read.
    """

    digest: str
    catalog: str
    revision: int
    segments: tuple[Named, ...]
    unreadable: tuple[int, ...] = ()


def read_manifest(directory: Path, digest: str) -> Manifest:
    """What the index on disk is; `digest` names the configuration it must be of.

    Raises
    ------
    ManifestDamaged, ManifestOutdated
        As `songid_desktop.manifest.read_state`.
    """
    return read_state(directory, _VERSION, digest, _manifest)


def _manifest(state: dict[str, Any]) -> Manifest:
    return Manifest(
        digest=str(state["digest"]),
        catalog=str(state["catalog"]),
        revision=int(state["revision"]),
        segments=tuple(
            Named(str(one["file"]), tuple(map(int, one["removed"]))) for one in state["segments"]
        ),
        unreadable=tuple(map(int, state["unreadable"])),
    )


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Put a new manifest in place of the old one. Only for the holder of the writer lock."""
    write_state(directory, _VERSION, asdict(manifest))


def sweep(directory: Path, manifest: Manifest) -> None:
    """Remove files that nobody names any more. Only for the holder of the writer lock."""
    sweep_but(directory, {one.file for one in manifest.segments}, {SUFFIX, UNFINISHED})
