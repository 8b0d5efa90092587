"""What was installed, written beside it: the commit, and every file's size and checksums.

``songid.lock.json`` is what `verify` compares with, without a network. Its own digest tells a
damaged or hand-edited lock from damaged files.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any

from songid_desktop.errors import EnvironmentProblem
from songid_desktop.neural.download import FileDigest, digest_of
from songid_desktop.neural.hub import HubFile
from songid_desktop.types import CancelToken

LOCK_NAME = "songid.lock.json"
SCHEMA = 1
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,120}")
_LOCK_BYTES = 1_000_000


class LockDamaged(EnvironmentProblem):
    """The lock file is missing or can't be trusted."""


@dataclass(frozen=True, slots=True)
class LockedFile:
    """One file as it was when it was installed."""

    name: str
    size_bytes: int
    sha256: str
    """Of the bytes on disk, reckoned here."""
    published: str = ""
    """What the hub publishes for it: ``sha256:…`` (large files) or ``git-blob-sha1:…`` (small
    ones); empty for a file that came from a local folder, or was made here."""


@dataclass(frozen=True, slots=True)
class MadeFrom:
    """The file that another was converted from; it was checked, converted and removed."""

    name: str
    size_bytes: int
    sha256: str
    published: str = ""


@dataclass(frozen=True, slots=True)
class Lock:
    """An installed model."""

    name: str
    """As in the table of models: AUTHOR/MODEL, or a local folder's own name."""
    source: str
    """Address of the hub, or ``local folder``."""
    branch: str = ""
    commit: str = ""
    """40 hexadecimal digits; empty where a local folder did not say."""
    licence: str = ""
    installed_at: str = ""
    """UTC, ISO 8601."""
    files: tuple[LockedFile, ...] = field(default=())
    made_from: MadeFrom | None = None
    """Where `model.safetensors` was converted here."""

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)

    def file(self, name: str) -> LockedFile | None:
        return next((file for file in self.files if file.name == name), None)


def published(file: HubFile) -> str:
    """The hub's checksum as the lock writes it."""
    return f"sha256:{file.sha256}" if file.sha256 else f"git-blob-sha1:{file.blob_sha1}"


def write(folder: Path, lock: Lock) -> None:
    """Write the lock so that a crash leaves either none or a whole one.

    Raises
    ------
    OSError
    """
    body: dict[str, Any] = {"schema": SCHEMA, **asdict(lock)}
    text = json.dumps({**body, "digest": _digest(body)}, indent=1, ensure_ascii=False)
    handle, name = tempfile.mkstemp(dir=folder, prefix=".lock-", suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            out.write(text + "\n")
            out.flush()
            os.fsync(out.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(folder / LOCK_NAME)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def read(folder: Path) -> Lock:
    """The lock of an installed model.

    Raises
    ------
    LockDamaged
    """
    path = folder / LOCK_NAME
    try:
        with path.open("rb") as source:
            stored = json.loads(source.read(_LOCK_BYTES))
    except FileNotFoundError:
        raise LockDamaged(
            f"{folder} has no lock file ({LOCK_NAME}), so nothing tells whether its files are"
            " right. Remove the model and install it again."
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(path) from error
    if not isinstance(stored, dict):
        raise _damaged(path)
    digest = stored.pop("digest", None)
    if stored.pop("schema", None) != SCHEMA or digest != _digest({"schema": SCHEMA, **stored}):
        raise _damaged(path)
    try:
        made_from = stored.pop("made_from")
        files = stored.pop("files")
        known = {item.name for item in fields(Lock)}
        lock = Lock(
            **{key: str(value) for key, value in stored.items() if key in known},
            files=tuple(LockedFile(**entry) for entry in files),
            made_from=None if made_from is None else MadeFrom(**made_from),
        )
    except (TypeError, KeyError) as error:
        raise _damaged(path) from error
    if not lock.files or not all(map(_is_sound, lock.files)):
        raise _damaged(path)
    return lock


def _is_sound(file: LockedFile) -> bool:
    """Types as declared, and a name that can't lead out of the folder."""
    texts = (file.name, file.sha256, file.published)
    return (
        all(isinstance(text, str) for text in texts)
        and isinstance(file.size_bytes, int)
        and _NAME.fullmatch(file.name) is not None
    )


def _damaged(path: Path) -> LockDamaged:
    return LockDamaged(
        f"The lock file {path} was damaged or changed by hand, so nothing tells whether the"
        " model's files are right. Remove the model and install it again."
    )


def _digest(body: dict[str, Any]) -> str:
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def faults(
    folder: Path,
    *,
    name: str = "",
    cancel: CancelToken | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[str]:
    """Check every byte of an installed model against its lock, without a network.

    Parameters
    ----------
    name : str
        The model that should lie there; a lock of another one is a fault.
    progress : callable
        Told bytes read and bytes in all.

    Returns
    -------
    list of str
        A sentence each; empty when all is as it was installed.

    Raises
    ------
    Cancelled
    """
    try:
        lock = read(folder)
    except LockDamaged as error:
        return [str(error)]
    found = []
    if name and lock.name != name:
        found.append(f"{folder} holds {lock.name}, not {name}.")
    done = 0
    for file in lock.files:
        tell = None if progress is None else partial(_tell, progress, lock.size_bytes, done)
        wrong = fault(folder / file.name, file, cancel, tell)
        found += [wrong] if wrong else []
        done += file.size_bytes
    expected = {LOCK_NAME, *(file.name for file in lock.files)}
    found += [
        f"{entry.name} does not belong to the model as it was installed."
        for entry in sorted(folder.iterdir())
        if entry.name not in expected
    ]
    return found


def _tell(progress: Callable[[int, int], None], total: int, before: int, read: int) -> None:
    progress(min(total, before + read), total)


def fault(
    path: Path,
    file: LockedFile,
    cancel: CancelToken | None = None,
    read: Callable[[int], object] | None = None,
) -> str:
    """What is wrong with one file, as a sentence; empty when nothing is."""
    try:
        size = path.stat().st_size
        if size != file.size_bytes:
            return f"{file.name} has {size:,} bytes instead of {file.size_bytes:,}."
        digest = digest_of(path, cancel, read)
    except FileNotFoundError:
        return f"{file.name} is missing."
    except OSError as error:
        return f"{file.name} can't be read: {error.strerror or error}."
    if digest.sha256 != file.sha256 or not is_as_published(digest, file):
        return f"{file.name} has changed since it was installed: its checksum is another."
    return ""


def is_as_published(digest: FileDigest, file: LockedFile) -> bool:
    """Whether bytes have the checksum that was published for their file, if one was."""
    kind, _, value = file.published.partition(":")
    if kind == "sha256":
        return digest.fits(HubFile(file.name, file.size_bytes, sha256=value))
    if kind == "git-blob-sha1":
        return digest.fits(HubFile(file.name, file.size_bytes, blob_sha1=value))
    return not file.published


def looks_whole(folder: Path) -> bool:
    """A quick look, without reading the weights: the lock is good and every file has its
    length."""
    try:
        lock = read(folder)
        return all((folder / file.name).stat().st_size == file.size_bytes for file in lock.files)
    except (LockDamaged, OSError):
        return False
