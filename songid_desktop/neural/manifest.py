"""What a vector index is made of: segments, the coder of their vectors, what no longer counts."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from songid_desktop.manifest import UNFINISHED, read_state, sweep_but, write_state

SEGMENT = ".tracks"
LISTS = ".lists"
CODER = ".coder"
_ENDINGS = {SEGMENT, LISTS, CODER, UNFINISHED}
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Named:
    """A segment (its two files carry one name) and which of its tracks no longer count."""

    name: str
    removed: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the index on disk is.

    Attributes
    ----------
    digest : str
        Of model, weights and everything that decides how vectors are coded.
    catalog : str
        The catalog's own name.
    revision : int
        Of the catalog: tracks that came later are in no segment.
    coder : str
        Name of the coder's file; empty while the library is small enough to be searched whole.
    coder_sum : int
        Its checksum.
    planned_vectors : int
        Coded vectors that the coder was made for.
    segments : tuple of Named
    unreadable : tuple of int
        Tracks whose vectors could not be read.
    """

    digest: str
    catalog: str
    revision: int
    coder: str = ""
    coder_sum: int = 0
    planned_vectors: int = 0
    segments: tuple[Named, ...] = ()
    unreadable: tuple[int, ...] = ()

    @property
    def files(self) -> set[str]:
        """Names of all files that count."""
        names = {one.name + ending for one in self.segments for ending in (SEGMENT, LISTS)}
        return names | ({self.coder} if self.coder else set())


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
        coder=str(state["coder"]),
        coder_sum=int(state["coder_sum"]),
        planned_vectors=int(state["planned_vectors"]),
        segments=tuple(
            Named(str(one["name"]), tuple(map(int, one["removed"]))) for one in state["segments"]
        ),
        unreadable=tuple(map(int, state["unreadable"])),
    )


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Put a new manifest in place of the old one. Only for the holder of the writer lock."""
    write_state(directory, _VERSION, asdict(manifest))


def sweep(directory: Path, manifest: Manifest) -> None:
    """Remove files that nobody names any more. Only for the holder of the writer lock."""
    sweep_but(directory, manifest.files, _ENDINGS)
