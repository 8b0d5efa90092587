"""One holder at a time, across processes: a lock of the operating system on a small file.

The system lets go of it when its holder ends, however it ends, so a lock is never stale. The file
says who holds it, for the sentence to whoever is refused; what it says counts only while it is
held. Which sentence that is, is the business of the room that asks.
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
from dataclasses import dataclass
from pathlib import Path

_WINDOWS_LOCK_BYTE = 1 << 30
"""Windows keeps others from reading locked bytes, so one far behind the text is locked."""

_LOOK_EVERY_S = 0.025
_SOMEBODY = "another program"


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lock, as far as its file tells."""

    program: str = _SOMEBODY
    pid: int | None = None
    since: float | None = None
    """Seconds since 1970."""

    def __str__(self) -> str:
        who = self.program + (f" (process {self.pid})" if self.pid is not None else "")
        if self.since is not None:
            with contextlib.suppress(OverflowError, ValueError, OSError):
                return who + time.strftime(" since %Y-%m-%d %H:%M:%S", time.localtime(self.since))
        return who


class Held(Exception):
    """Another process, or another part of this one, holds the lock."""

    def __init__(self, holder: Holder) -> None:
        super().__init__(f"held by {holder}")
        self.holder = holder


class LocksUnsupported(OSError):
    """The file system knows no locks (some network shares)."""


@contextmanager
def hold(
    path: Path, program: str, *, patience_s: float = 0.0, is_required: bool = True
) -> Iterator[None]:
    """Hold the lock file `path`, made with its folders if need be, or raise.

    Parameters
    ----------
    program : str
        Who holds it, for those who are refused meanwhile.
    patience_s : float
        How long to try. Who only looks (`is_held`) holds the lock for an instant too: where
        somebody looks, one refusal is not the answer.
    is_required : bool
        False: where the file system knows no locks, go on without.

    Raises
    ------
    Held
    LocksUnsupported
    OSError
        The file can't be made or locked.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _lock_within(handle, patience_s, is_required)
        try:
            _describe(handle, program)
            yield
        finally:
            with contextlib.suppress(OSError):
                os.ftruncate(handle, 0)
            _unlock(handle)
    finally:
        os.close(handle)


def is_held(path: Path) -> bool:
    """Whether somebody holds the lock file now; False where there is none."""
    try:
        handle = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        with contextlib.suppress(LocksUnsupported):
            if not _try_lock(handle):
                return True
            _unlock(handle)
        return False
    finally:
        os.close(handle)


def _lock_within(handle: int, patience_s: float, is_required: bool) -> None:
    given_up_at = time.monotonic() + patience_s
    try:
        while not _try_lock(handle):
            if time.monotonic() >= given_up_at:
                raise Held(_holder(handle))
            time.sleep(_LOOK_EVERY_S)
    except LocksUnsupported:
        if is_required:
            raise


def _describe(handle: int, program: str) -> None:
    text = json.dumps({"program": program, "pid": os.getpid(), "since": time.time()})
    # A full disk must not keep anyone from removing things; the name is only for messages.
    with contextlib.suppress(OSError):
        os.ftruncate(handle, 0)
        os.lseek(handle, 0, os.SEEK_SET)
        os.write(handle, text.encode("utf-8", "replace"))


def _holder(handle: int) -> Holder:
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.lseek(handle, 0, os.SEEK_SET)
        said = json.loads(os.read(handle, 4096).decode("utf-8", "replace"))
        pid, since = said.get("pid"), said.get("since")
        return Holder(
            program=str(said.get("program") or _SOMEBODY)[:200],
            pid=pid if isinstance(pid, int) else None,
            since=since if isinstance(since, (int, float)) else None,
        )
    return Holder()


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
    _UNSUPPORTED = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}

    def _try_lock(handle: int) -> bool:
        """flock, which also tells two holders in one process apart; on file systems without it
        record locks."""
        for lock in (fcntl.flock, fcntl.lockf):
            try:
                lock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno in _REFUSED:
                    return False
                if error.errno not in _UNSUPPORTED:
                    raise
            else:
                return True
        raise LocksUnsupported(errno.ENOLCK, "the file system knows no locks")

    def _unlock(handle: int) -> None:
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_UN)
