"""One writer at a time, across processes: a lock of the operating system on a small file.

The system lets go of the lock when its holder ends, however it ends, so a lock is never stale.
The file says who holds it, for the message to whoever is refused; what it says counts only while
the lock is held.
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

from songid_desktop.errors import CatalogBusy, CatalogError

_WINDOWS_LOCK_BYTE = 1 << 30
"""Windows keeps others from reading locked bytes, so one far behind the text is locked."""


@contextmanager
def hold(path: Path, holder: str) -> Iterator[None]:
    """Hold the lock file `path`, or raise at once.

    Raises
    ------
    CatalogBusy
        Another process, or another part of this one, holds it.
    CatalogError
        The file can't be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise CatalogError(
            f"The library can't be changed: {path.parent} can't be written"
            f" ({error.strerror or error}). It can still be searched."
        ) from error
    try:
        if not _try_lock(handle):
            raise CatalogBusy(_refusal(handle))
        try:
            _describe(handle, holder)
            yield
        finally:
            with contextlib.suppress(OSError):
                os.ftruncate(handle, 0)
            _unlock(handle)
    finally:
        os.close(handle)


def _describe(handle: int, holder: str) -> None:
    text = json.dumps({"program": holder, "pid": os.getpid(), "since": time.time()})
    # A full disk must not keep anyone from removing tracks; the name is only for messages.
    with contextlib.suppress(OSError):
        os.ftruncate(handle, 0)
        os.lseek(handle, 0, os.SEEK_SET)
        os.write(handle, text.encode("utf-8", "replace"))


def _refusal(handle: int) -> str:
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
        f"The library is being changed by {who}{when}. Searching and listening work meanwhile;"
        " try again when it is done, or stop it."
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

    _UNSUPPORTED = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}

    def _try_lock(handle: int) -> bool:
        """flock, which also tells two holders in one process apart; on file systems without it
        (some network shares) record locks."""
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise CatalogError(f"The library can't be locked: {error.strerror}.") from error
            try:
                fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as second:
                if second.errno in {errno.EACCES, errno.EAGAIN}:
                    return False
                raise CatalogError(
                    "The library's folder is on a file system without locks. Move it to a local"
                    " disk; searching works meanwhile."
                ) from second
        return True

    def _unlock(handle: int) -> None:
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_UN)
