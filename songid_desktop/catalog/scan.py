"""Walk music folders: which files are there, at the cost of a stat each.

Symbolic links are followed, since people build libraries out of them, but every real folder is
walked once: real folders first, linked ones after, so that a file keeps its plain path whatever
links point at it, and loops end.
"""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from songid_desktop.audio.decode import SUPPORTED_SUFFIXES
from songid_desktop.catalog.names import absolute
from songid_desktop.errors import Cancelled
from songid_desktop.types import CancelToken, FileProblem


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file to enrol, or (with `problem`) a file or folder that could not even be looked at."""

    path: Path
    size: int = 0
    mtime_ns: int = 0
    is_explicit: bool = False
    """Named by the caller itself, not found inside a folder."""
    problem: FileProblem | None = None
    message: str = ""
    is_folder: bool = False


def walk(paths: Iterable[Path], cancel: CancelToken | None = None) -> Iterator[FoundFile]:
    """Every audio file below `paths`, folder by folder in alphabetical order.

    Inside folders only names with a sound file's ending count; hidden files and folders and the
    `._` shadows that macOS leaves on foreign disks are passed over, as is what is no regular file.
    A path that is itself a file is given whatever its name; one that does not exist is not given.

    Raises
    ------
    Cancelled
    """
    folders: deque[str] = deque()
    linked: deque[str] = deque()
    for path in paths:
        root = str(absolute(path))
        try:
            found = os.stat(root)  # noqa: PTH116 (strings all through: 100,000 Paths are slow)
        except FileNotFoundError:
            continue
        except OSError as error:
            # It may well be a folder: what is known below it can't be told missing.
            yield _unreadable(root, error, is_folder=True, is_explicit=True)
            continue
        if stat.S_ISDIR(found.st_mode):
            folders.append(root)
        else:
            yield FoundFile(Path(root), found.st_size, found.st_mtime_ns, is_explicit=True)
    visited: set[tuple[int, int]] = set()
    while folders or linked:
        folder = folders.popleft() if folders else linked.popleft()
        yield from _walk_folder(folder, visited, folders, linked, cancel)


def _walk_folder(
    folder: str,
    visited: set[tuple[int, int]],
    folders: deque[str],
    linked: deque[str],
    cancel: CancelToken | None,
) -> Iterator[FoundFile]:
    """The files of one folder; the folders inside it are queued."""
    try:
        entries = _list_once(folder, visited)
    except FileNotFoundError:
        return
    except OSError as error:
        yield _unreadable(folder, error, is_folder=True)
        return
    inside: list[str] = []
    for entry in entries:
        if cancel is not None and cancel.is_set():
            raise Cancelled
        try:
            if entry.is_dir():
                (linked if entry.is_symlink() else inside).append(entry.path)
            elif _is_wanted(entry.name) and entry.is_file():
                found = entry.stat()
                yield FoundFile(Path(entry.path), found.st_size, found.st_mtime_ns)
        except FileNotFoundError:
            continue
        except OSError as error:
            if _is_wanted(entry.name):
                yield _unreadable(entry.path, error, is_folder=False)
    folders.extendleft(reversed(inside))


def _list_once(folder: str, visited: set[tuple[int, int]]) -> list[os.DirEntry[str]]:
    """What `folder` shows, in order; nothing when it has been walked under another name."""
    own = os.stat(folder)  # noqa: PTH116 (see walk)
    identity = (own.st_dev, own.st_ino)
    if own.st_ino and identity in visited:
        return []
    visited.add(identity)
    with os.scandir(folder) as listing:
        shown = [entry for entry in listing if not entry.name.startswith(".")]
    return sorted(shown, key=lambda entry: entry.name)


def _is_wanted(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in SUPPORTED_SUFFIXES  # noqa: PTH122 (see walk)


def _unreadable(
    path: str, error: OSError, *, is_folder: bool, is_explicit: bool = False
) -> FoundFile:
    kind = "folder" if is_folder else "file"
    if isinstance(error, PermissionError):
        problem, message = FileProblem.NO_PERMISSION, f"You have no permission to read this {kind}."
    else:
        reason = os.strerror(error.errno) if error.errno else str(error)
        problem, message = FileProblem.CORRUPT, f"This {kind} can't be read ({reason})."
    return FoundFile(
        Path(path), 0, 0, is_explicit, problem=problem, message=message, is_folder=is_folder
    )
