"""The models that can be installed and those that are: what each one's state is, and taking one
away. Reads files alone; the network is only ever used by `install`."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from songid_desktop.errors import UsageError
from songid_desktop.locks import is_held
from songid_desktop.neural import layout, lockfile, official, staging
from songid_desktop.neural.claim import claim
from songid_desktop.neural.download import disk_trouble
from songid_desktop.neural.lockfile import Lock
from songid_desktop.neural.staging import Places
from songid_desktop.neural.state import State
from songid_desktop.paths import Paths
from songid_desktop.types import CancelToken


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model as it stands here."""

    name: str
    kind: str
    """The identifier that runs it; empty where a damaged one can't say."""
    label: str
    state: State
    folder: Path
    is_official: bool
    size_bytes: int
    """Of what is installed; else of what was announced; else about."""
    arrived_bytes: int = 0
    lock: Lock | None = None
    licence: str = ""
    """As the model card says at install; empty where it is not known yet, or the card does not
    say."""
    message: str = ""
    """Why it is damaged."""


def every(paths: Paths) -> list[Checkpoint]:
    """The official checkpoints, then the further ones that are installed."""
    names = [each.name for each in official.OFFICIAL]
    names += [folder.name for folder in official.installed_folders(paths)]
    return [status(name, paths) for name in names]


def find(name: str, paths: Paths) -> Checkpoint:
    """The model of this name.

    Raises
    ------
    UsageError
        There is none; the message says which there are.
    """
    known = official.find(name)
    if known is not None:
        return status(known.name, paths)
    everything = every(paths)
    for each in everything:
        if each.name == name:
            return each
    names = ", ".join(each.name for each in everything)
    raise UsageError(f"No model is called “{name}”. There are: {names}.")


def status(name: str, paths: Paths) -> Checkpoint:
    """How one model stands, from a quick look."""
    known, place = official.find(name), staging.places(name, paths)
    try:
        state, lock, message = _state(place)
    except OSError as error:
        state, lock = State.DAMAGED, None
        message = f"{place.final} can't be looked at: {error.strerror or error}."
    plan = staging.read_plan(place.partial)
    size = known.about_bytes if known is not None else 0
    licence, arrived = "", 0
    if plan is not None:
        size, licence = plan.total_bytes, plan.licence
        arrived = staging.arrived(place.partial, plan)
    if lock is not None:
        size, licence = lock.size_bytes, lock.licence
    return Checkpoint(
        known.name if known is not None else name,
        known.kind if known is not None else _kind(place.final),
        known.label if known is not None else name,
        state,
        place.final,
        known is not None,
        size,
        arrived,
        lock,
        licence,
        message,
    )


def _state(place: Places) -> tuple[State, Lock | None, str]:
    lock, message = None, ""
    if place.final.is_dir():
        try:
            lock = lockfile.read(place.final)
        except lockfile.LockDamaged as error:
            message = str(error)
        else:
            if not lockfile.looks_whole(place.final):
                message = "Files of it are missing or cut short. Install it again."
    if is_held(place.lock):
        return State.BUSY, lock, message
    if message:
        return State.DAMAGED, lock, message
    if lock is not None:
        return State.INSTALLED, lock, ""
    has_begun = staging.read_plan(place.partial) is not None
    return (State.PARTIAL if has_begun else State.ABSENT), None, ""


def _kind(folder: Path) -> str:
    try:
        return layout.kind_of(folder)
    except (layout.NotThisModel, OSError):
        return ""


def faults(
    name: str,
    paths: Paths,
    *,
    cancel: CancelToken | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[str]:
    """Check every byte of an installed model against its lock, without a network; a sentence for
    each thing that is wrong.

    Raises
    ------
    UsageError
        It is not installed.
    Cancelled
    """
    found = find(name, paths)
    if not found.folder.is_dir():
        raise UsageError(f"{found.name} is not installed, so there is nothing to check.")
    with disk_trouble(found.folder):
        wrong = lockfile.faults(found.folder, name=found.name, cancel=cancel, progress=progress)
    if not wrong:
        try:
            layout.check(found.folder, found.kind)
        except layout.NotThisModel as error:
            wrong.append(str(error))
    return wrong


def remove(name: str, paths: Paths, *, holder: str) -> int:
    """Delete a model, and what has arrived of it; gives the bytes freed.

    Raises
    ------
    UsageError
        There is nothing of it here.
    ModelBusy, EnvironmentProblem
    """
    found = find(name, paths)
    place = staging.places(found.name, paths)
    folders = [each for each in (place.final, place.partial, place.old) if each.exists()]
    if not folders:
        raise UsageError(f"{found.name} is not installed.")
    with claim(place.lock, holder, found.name), disk_trouble(place.final.parent):
        freed = 0
        for folder in folders:
            freed += sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            # Gone as a whole at once: whoever looks in the middle of it finds no half of a model.
            if folder.is_symlink():  # somebody else's folder: the link alone is ours
                folder.unlink()
                continue
            if folder != place.old:
                shutil.rmtree(place.old, ignore_errors=True)
                folder.rename(place.old)
            shutil.rmtree(place.old)
    return freed
