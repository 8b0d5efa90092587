"""The manifest: one small file that says what an index is made of, replaced as a whole.

Everything else in the folder counts only through it, so whoever dies at whatever moment leaves
either the old index or the new one, and files that nobody names, which the next writer removes.
"""

from __future__ import annotations

import contextlib
import json
import os
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path

from songid_desktop.landmark.segment_file import SUFFIX, UNFINISHED

MANIFEST = "manifest.json"
COMPACTING = ".compacting"
"""Ending of what a compaction is writing; only compactions remove what another one left."""
_VERSION = 2


class ManifestDamaged(Exception):
    """There is a manifest, but it can't be relied on."""


class ManifestOutdated(ManifestDamaged):
    """The index is sound, but of another configuration or version."""


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


Mark = tuple[int, int]


def mark(directory: Path) -> Mark | None:
    """Tells one manifest from the next without reading it; None where there is none."""
    try:
        found = (directory / MANIFEST).stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def read_manifest(directory: Path, digest: str) -> Manifest:
    """What the index on disk is; `digest` names the configuration it must be of.

    Raises
    ------
    ManifestDamaged
        Also when there is none.
    """
    try:
        outer = json.loads((directory / MANIFEST).read_bytes())
        text = outer["state"]
        if zlib.crc32(text.encode()) != outer["checksum"]:
            raise ManifestDamaged("its manifest was altered")
        state = json.loads(text)
        if (state["version"], state["digest"]) != (_VERSION, digest):
            raise ManifestOutdated("it was made by another configuration")
        return Manifest(
            digest=str(state["digest"]),
            catalog=str(state["catalog"]),
            revision=int(state["revision"]),
            segments=tuple(
                Named(str(one["file"]), tuple(map(int, one["removed"])))
                for one in state["segments"]
            ),
            unreadable=tuple(map(int, state["unreadable"])),
        )
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as problem:
        raise ManifestDamaged(f"its manifest can't be read: {problem}") from problem


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Put a new manifest in place of the old one. Only for the holder of the writer lock."""
    state = json.dumps({"version": _VERSION, **asdict(manifest)})
    text = json.dumps({"checksum": zlib.crc32(state.encode()), "state": state})
    temporary = directory / f"{MANIFEST}{UNFINISHED}"
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    # The segments' names must be on disk before the manifest that names them, it before the old
    # segments go.
    _sync_folder(directory)
    temporary.replace(directory / MANIFEST)
    _sync_folder(directory)


def _sync_folder(directory: Path) -> None:
    """Make names last over a power cut, where the system can do that for folders."""
    if os.name != "posix":
        return
    with contextlib.suppress(OSError):
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def sweep(directory: Path, manifest: Manifest) -> None:
    """Remove files that nobody names any more. Only for the holder of the writer lock.

    Readers that map them keep their view; where the system forbids removing mapped files, the next
    sweep tries again.
    """
    named = {one.file for one in manifest.segments}
    for path in list(directory.iterdir()):
        if path.suffix in {SUFFIX, UNFINISHED} and path.name not in named:
            with contextlib.suppress(OSError):
                path.unlink()
