"""The manifest: one small file that says what an index on disk is made of, replaced as a whole.

Everything else in the folder counts only through it, so whoever dies at whatever moment leaves
either the old index or the new one, and files that nobody names, which the next writer removes.
What an index is made of, each room says for itself (`landmark.manifest`, `neural.manifest`).
"""

from __future__ import annotations

import contextlib
import json
import os
import zlib
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, TypeVar

_Contents = TypeVar("_Contents")

MANIFEST = "manifest.json"
UNFINISHED = ".writing"
"""Ending of what is being written."""

_UNREADABLE = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    OverflowError,
    RecursionError,
)


class ManifestDamaged(Exception):
    """There is a manifest, but it can't be relied on."""


class ManifestOutdated(ManifestDamaged):
    """The index is sound, but of another configuration or version."""


Mark = tuple[int, int]


def mark(directory: Path) -> Mark | None:
    """Tells one manifest from the next without reading it; None where there is none."""
    try:
        found = (directory / MANIFEST).stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def read_state(
    directory: Path, version: int, digest: str, build: Callable[[dict[str, Any]], _Contents]
) -> _Contents:
    """What the manifest of `directory` says, as `build` makes it of the fields.

    Parameters
    ----------
    version : int
        Of the fields.
    digest : str
        Names the configuration that the index must be of.

    Raises
    ------
    ManifestOutdated
        It is of another version or configuration.
    ManifestDamaged
        Also when there is none.
    """
    try:
        outer = json.loads((directory / MANIFEST).read_bytes())
        text = outer["state"]
        if zlib.crc32(text.encode()) != outer["checksum"]:
            raise ManifestDamaged("its manifest was altered")
        state = json.loads(text)
        if (state["version"], state["digest"]) != (version, digest):
            raise ManifestOutdated("it was made by another configuration")
        return build(state)
    except _UNREADABLE as problem:
        raise ManifestDamaged(f"its manifest can't be read: {problem}") from problem


def write_state(directory: Path, version: int, fields: dict[str, Any]) -> None:
    """Put a new manifest in place of the old one. Only for the holder of the writer lock."""
    state = json.dumps({"version": version, **fields})
    text = json.dumps({"checksum": zlib.crc32(state.encode()), "state": state})
    temporary = directory / f"{MANIFEST}{UNFINISHED}"
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    # The names of the files must be on disk before the manifest that names them, it before the
    # old files go.
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


def sweep_but(directory: Path, named: Collection[str], endings: Collection[str]) -> None:
    """Remove the files of these endings that are not `named`. Only for the holder of the writer
    lock.

    Readers that map them keep their view; where the system forbids removing mapped files, the next
    sweep tries again.
    """
    for path in list(directory.iterdir()):
        if path.suffix in endings and path.name not in named:
            with contextlib.suppress(OSError):
                path.unlink()
