"""The two pretrained checkpoints that the report used, by the names their authors publish them
under, and where on this computer an installed model lies.

Nothing of them travels with the program. Sizes are about what the hub lists, for a person who
decides; the exact ones, the checksums and the licence are asked for at install.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from songid_desktop.paths import Paths

_NAME = re.compile(r"[A-Za-z0-9](?:[\w.-]{0,80}[\w-])?")
_TAKEN = {"landmark", "cnn", "ast", "mert", "fusion", "report", "all"}
_WEIGHTS = ".safetensors"


@dataclass(frozen=True, slots=True)
class Official:
    """A published checkpoint that can be installed."""

    name: str
    """AUTHOR/MODEL, as on the hub."""
    kind: str
    """The identifier that runs it: ast or mert."""
    label: str
    about_bytes: int
    """86.6 and 94.4 million float32 weights."""

    @property
    def key(self) -> str:
        """The short name."""
        return f"{self.kind}-official"


OFFICIAL = (
    Official("MIT/ast-finetuned-audioset-10-10-0.4593", "ast", "AST, AudioSet (MIT)", 346_400_000),
    Official("m-a-p/MERT-v1-95M", "mert", "MERT v1 95M (m-a-p)", 377_600_000),
)


def find(name: str) -> Official | None:
    """The official checkpoint of this name, whatever its capitals; `ast-official` and
    `mert-official` stand for theirs (`ast` and `mert` are those that come with the program)."""
    wanted = name.casefold()
    return next((each for each in OFFICIAL if wanted in (each.name.casefold(), each.key)), None)


def models_folder(paths: Paths) -> Path:
    """Everything that was installed, one folder a model; names that begin with a dot are work in
    progress."""
    return paths.data / "models"


def folder_of(name: str, paths: Paths) -> Path:
    """Where the model called `name` lies when it is installed: config.json, model.safetensors,
    perhaps preprocessor_config.json and README.md, and the lock file."""
    return models_folder(paths) / name.replace("/", "--")


def is_good_name(name: str) -> bool:
    """Whether a further model can be called this: no path, no weights file, no name that something
    else has."""
    said = name.casefold()
    taken = {each.name.replace("/", "--").casefold() for each in OFFICIAL}
    taken |= {each.key for each in OFFICIAL} | _TAKEN
    is_free = said not in taken and not said.endswith(_WEIGHTS)
    return is_free and _NAME.fullmatch(name) is not None


def installed_folders(paths: Paths) -> list[Path]:
    """Folders of further models, by name; what is no model's name is somebody else's. None where
    they can't be looked at."""
    try:
        entries = sorted(models_folder(paths).iterdir())
        return [entry for entry in entries if is_good_name(entry.name) and entry.is_dir()]
    except OSError:
        return []
