"""The catalog's writer lock: one process at a time changes the library."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from songid_desktop import locks
from songid_desktop.errors import CatalogBusy, CatalogError


@contextmanager
def hold(path: Path, holder: str) -> Iterator[None]:
    """Hold the lock file `path`, or raise at once.

    Raises
    ------
    CatalogBusy
        Another process, or another part of this one, holds it.
    CatalogError
        The file can't be made or locked.
    """
    with ExitStack() as held:
        try:
            held.enter_context(locks.hold(path, holder))
        except locks.Held as refused:
            raise CatalogBusy(
                f"The library is being changed by {refused.holder}. Searching and listening work"
                " meanwhile; try again when it is done, or stop it."
            ) from None
        except locks.LocksUnsupported as error:
            raise CatalogError(
                "The library's folder is on a file system without locks. Move it to a local"
                " disk; searching works meanwhile."
            ) from error
        except OSError as error:
            raise CatalogError(
                f"The library can't be changed: {path.parent} can't be written"
                f" ({error.strerror or error}). It can still be searched."
            ) from error
        yield
