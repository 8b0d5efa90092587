"""One process at a time changes a model's folder: a lock of the operating system on a small file.

The system lets go of it when its holder ends, however it ends, so a claim is never stale. The file
says who holds it, for the sentence to whoever is refused; what it says counts only while it is
held. (The catalog's lock is of the same kind, a room above this one and with words of its own.)
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from songid_desktop.errors import EnvironmentProblem

_WINDOWS_LOCK_BYTE = 1 << 30
"""Windows keeps others from reading locked bytes, so one far behind the text is locked."""

_LOOKS = 6
_LOOK_EVERY_S = 0.025


class ModelBusy(EnvironmentProblem):
    """Another process, or another part of this one, is changing the model; the message names
    it."""


@contextmanager
def claim(path: Path, holder: str, what: str) -> Iterator[None]:
    """Hold the lock file `path` while the model called `what` is changed, or raise at once.

    Raises
    ------
    ModelBusy
        Somebody else holds it.
    EnvironmentProblem
        The file can't be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise EnvironmentProblem(
            f"The models in {path.parent} can't be changed: {error.strerror or error}. What is"
            " installed works as before; make the folder writable, or name another with --base-dir."
        ) from error
    try:
        if not _lock_soon(handle):
            raise ModelBusy(_refusal(handle, what))
        try:
            _describe(handle, holder)
            yield
        finally:
            with contextlib.suppress(OSError):
                os.ftruncate(handle, 0)
            _unlock(handle)
    finally:
        os.close(handle)


def _lock_soon(handle: int) -> bool:
    """Who only looks (`is_claimed`) holds the lock for a moment too."""
    for _ in range(_LOOKS):
        if _try_lock(handle):
            return True
        time.sleep(_LOOK_EVERY_S)
    return False


def is_claimed(path: Path) -> bool:
    """Whether somebody holds the lock file now."""
    try:
        handle = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        if not _try_lock(handle):
            return True
        _unlock(handle)
        return False
    finally:
        os.close(handle)


def _describe(handle: int, holder: str) -> None:
    text = json.dumps({"program": holder, "pid": os.getpid(), "since": time.time()})
    # A full disk must not keep anyone from removing a model; the name is only for messages.
    with contextlib.suppress(OSError):
        os.ftruncate(handle, 0)
        os.lseek(handle, 0, os.SEEK_SET)
        os.write(handle, text.encode("utf-8", "replace"))


def _refusal(handle: int, what: str) -> str:
    program, pid, since = "another program", None, None
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.lseek(handle, 0, os.SEEK_SET)
        said = json.loads(os.read(handle, 4096).decode("utf-8", "replace"))
        program = str(said.get("program") or program)[:200]
        pid = said.get("pid")
        since = said.get("since")
    who = program + (f" (process {pid})" if isinstance(pid, int) else "")
    when = ""
    if isinstance(since, (int, float)):
        with contextlib.suppress(OverflowError, ValueError, OSError):
            when = time.strftime(" since %Y-%m-%d %H:%M:%S", time.localtime(since))
    return (
        f"{what} is being changed by {who}{when}. Wait until that is done, or stop it; what has"
        " arrived is kept."
    )


if sys.platform == "win32":  # pragma: no cover
    import msvcrt

    def _try_lock(handle: int) -> bool:
        os.lseek(handle, _WINDOWS_LOCK_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(handle: int) -> None:
        os.lseek(handle, _WINDOWS_LOCK_BYTE, os.SEEK_SET)
        with contextlib.suppress(OSError):
            msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    _REFUSED = {errno.EACCES, errno.EAGAIN}

    def _try_lock(handle: int) -> bool:
        """flock, which also tells two holders in one process apart; on file systems without it
        (some network shares) record locks; without those, nothing keeps two apart."""
        for lock in (fcntl.flock, fcntl.lockf):
            try:
                lock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno in _REFUSED:
                    return False
            else:
                return True
        return True

    def _unlock(handle: int) -> None:
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_UN)
