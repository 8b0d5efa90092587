"""From bytes on the way to a model that is there: an install happens in a hidden folder beside the
final one and appears whole or not at all.

``.NAME.partial`` keeps what has arrived, over kills and restarts, with ``plan.json`` saying what it
will be; ``.NAME.old`` is the copy that an update replaces, for the moment in between.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from songid_desktop.errors import EnvironmentProblem
from songid_desktop.neural import lockfile, official
from songid_desktop.neural.download import arrived_bytes, disk_trouble
from songid_desktop.neural.hub import HubFile
from songid_desktop.paths import Paths
from songid_desktop.types import CancelToken

PLAN_NAME = "plan.json"
_SPARE_BYTES = 64 << 20
"""Left free on the disk, for everything else."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is being fetched."""

    commit: str
    licence: str
    files: tuple[HubFile, ...]

    @property
    def total_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)


@dataclass(frozen=True, slots=True)
class Places:
    """The folders and the lock of one model."""

    final: Path
    partial: Path
    old: Path
    lock: Path


def places(name: str, paths: Paths) -> Places:
    final = official.folder_of(name, paths)
    around = final.parent
    return Places(
        final,
        around / f".{final.name}.partial",
        around / f".{final.name}.old",
        around / f".{final.name}.lock",
    )


def write_plan(folder: Path, plan: Plan) -> None:
    """Say what `folder` will hold."""
    with disk_trouble(folder):
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(asdict(plan), indent=1)
        (folder / PLAN_NAME).write_text(text + "\n", encoding="utf-8")


def read_plan(folder: Path) -> Plan | None:
    """What an unfinished install is fetching; None where there is none, or it can't be told."""
    try:
        stored = json.loads((folder / PLAN_NAME).read_text(encoding="utf-8"))
        files = tuple(HubFile(**entry) for entry in stored.pop("files"))
        plan = Plan(files=files, **stored)
        is_sound = plan.total_bytes >= 0
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return plan if is_sound else None


def arrived(folder: Path, plan: Plan) -> int:
    """Bytes of the plan that are here, checked or not."""
    return sum(arrived_bytes(folder, file) for file in plan.files)


def keep_only(folder: Path, names: set[str]) -> None:
    """Remove everything else from `folder`: pieces of another version, left-over temporary
    files."""
    for entry in folder.iterdir():
        if entry.name in names:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def need_room(folder: Path, wanted_bytes: int) -> None:
    """See that the disk has room before anything is fetched.

    Raises
    ------
    EnvironmentProblem
    """
    with disk_trouble(folder):
        free = shutil.disk_usage(folder).free
    if free < wanted_bytes + _SPARE_BYTES:
        raise EnvironmentProblem(
            f"The disk that holds {folder.parent} has {free / 1e6:,.0f} MB free, and"
            f" {(wanted_bytes + _SPARE_BYTES) / 1e6:,.0f} MB are needed. Free some room, then go"
            " on; what has arrived is kept."
        )


def publish(place: Places) -> None:
    """Make the finished partial folder the installed one; it must hold its lock.

    Raises
    ------
    EnvironmentProblem
        The folder can't be changed; what was installed before stays.
    """
    lock = lockfile.read(place.partial)
    with disk_trouble(place.final.parent):
        keep_only(place.partial, {lockfile.LOCK_NAME, *(file.name for file in lock.files)})
        if place.final.exists():
            shutil.rmtree(place.old, ignore_errors=True)
            place.final.rename(place.old)
        try:
            place.partial.rename(place.final)
        except OSError:
            with contextlib.suppress(OSError):
                place.old.rename(place.final)
            raise
    shutil.rmtree(place.old, ignore_errors=True)


def recover(place: Places) -> None:
    """Put an interrupted update right: the copy it was replacing comes back."""
    with contextlib.suppress(OSError):
        if place.final.exists():
            shutil.rmtree(place.old, ignore_errors=True)
        elif place.old.exists():
            place.old.rename(place.final)


def is_finished(folder: Path, name: str, commit: str, cancel: CancelToken | None) -> bool:
    """Whether a partial folder only has to be published: it was killed in its last moment."""
    try:
        lock = lockfile.read(folder)
    except lockfile.LockDamaged:
        return False
    if lock.name != name or lock.commit != commit:
        return False
    return not any(lockfile.fault(folder / file.name, file, cancel) for file in lock.files)
