"""Every model in one list, wherever it comes from: shipped with the program, installed from the
hub, or taken from a folder. What both front ends show. Nothing here loads a model."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from songid_desktop.errors import UsageError
from songid_desktop.neural import card, checkpoints, layout, models
from songid_desktop.neural.checkpoints import Checkpoint
from songid_desktop.neural.config import ModelError
from songid_desktop.neural.download import digest_of, disk_trouble
from songid_desktop.neural.state import State
from songid_desktop.paths import Paths
from songid_desktop.types import CancelToken


@dataclass(frozen=True, slots=True)
class Listed:
    """One model as it stands here."""

    name: str
    kind: str
    """The identifier that runs it; empty where a damaged one can't say."""
    label: str
    origin: str
    """shipped, official or local."""
    state: State
    size_bytes: int
    is_size_exact: bool
    arrived_bytes: int = 0
    licence: str = ""
    """As its model card says; empty where it is not known yet, or the card says nothing."""
    commit: str = ""
    sha256: str = ""
    """Of its weights."""
    path: Path | None = None
    """Its file or folder, where there is one."""
    message: str = ""


def listed(paths: Paths) -> list[Listed]:
    """Those that came along, the official ones whether installed or not, then further ones."""
    return [*_shipped(paths), *(_from_checkpoint(each) for each in checkpoints.every(paths))]


def find(name: str, paths: Paths) -> Listed:
    """The model of this name; `ast` and `mert` are those that come with the program, `ast-official`
    and `mert-official` stand for the published ones.

    Raises
    ------
    UsageError
        There is none; the message says which there are.
    """
    came_along = next((each for each in _shipped(paths) if each.name == name), None)
    return came_along or _from_checkpoint(checkpoints.find(name, paths))


def to_verify(paths: Paths) -> list[Listed]:
    """Everything that can be checked: what is here whole, or should be."""
    here = (State.SHIPPED, State.INSTALLED, State.DAMAGED)
    return [each for each in listed(paths) if each.state in here]


def faults(
    model: Listed,
    paths: Paths,
    *,
    cancel: CancelToken | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[str]:
    """Check every byte of a model, without a network; a sentence for each thing that is wrong.

    Raises
    ------
    UsageError
        It is not installed.
    Cancelled
    """
    if model.origin != "shipped":
        return checkpoints.faults(model.name, paths, cancel=cancel, progress=progress)
    assert model.path is not None
    try:
        wanted = card.read_card(model.path)
    except ModelError as error:
        return [str(error)]
    with disk_trouble(model.path.parent):
        right = digest_of(model.path, cancel).sha256 == wanted.sha256
    if right:
        return []
    sentence = (
        f"{model.path.name} is not the file that its card describes, going by its checksum."
        " Install the program again."
    )
    return [sentence]


def remove(model: Listed, paths: Paths, *, holder: str) -> int:
    """Delete an installed model, and what has arrived of it; gives the bytes freed.

    Raises
    ------
    UsageError
        It came with the program, or there is nothing of it here.
    ModelBusy, EnvironmentProblem
    """
    if model.origin == "shipped":
        raise UsageError(f"{model.name} comes with the program and stays.")
    return checkpoints.remove(model.name, paths, holder=holder)


def _shipped(paths: Paths) -> list[Listed]:
    return [
        _from_file(place.key, place.label, place.path)
        for place in models.every(paths)
        if place.origin == "shipped"
    ]


def _from_file(name: str, label: str, path: Path) -> Listed:
    try:
        size = path.stat().st_size
        said = card.read_card(path)
    except OSError:
        gone = "Its weights are missing from this installation. Install the program again."
        return Listed(name, name, label, "shipped", State.ABSENT, 0, True, message=gone)
    except ModelError as error:
        wrong, told = State.DAMAGED, str(error)
        return Listed(name, name, label, "shipped", wrong, size, True, path=path, message=told)
    is_whole = size == said.size_bytes
    return Listed(
        name,
        said.model.name,
        label,
        "shipped",
        State.SHIPPED if is_whole else State.DAMAGED,
        said.size_bytes,
        True,
        licence=str(said.details.get("licence") or "")[:200],
        sha256=said.sha256,
        path=path,
        message="" if is_whole else "It is cut short. Install the program again.",
    )


def _from_checkpoint(found: Checkpoint) -> Listed:
    lock = found.lock
    weights = lock.file(layout.WEIGHTS) if lock is not None else None
    return Listed(
        found.name,
        found.kind,
        found.label,
        "official" if found.is_official else "local",
        found.state,
        found.size_bytes,
        found.state is not State.ABSENT,
        found.arrived_bytes,
        found.licence,
        lock.commit if lock is not None else "",
        weights.sha256 if weights is not None else "",
        found.folder if os.path.isdir(found.folder) else None,  # noqa: PTH112 - never raises
        found.message,
    )
