"""Enrolment as both front ends call it: the catalog takes the files in, then every identifier's
index is caught up and saved under the writer lock.

The index is never the truth: what is not saved here (cancelled, another writer came first, disk
full) is caught up from the catalog's fingerprints by whoever opens it next.
"""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from songid_desktop.catalog.catalog import Catalog
from songid_desktop.catalog.enrol import enrol, enrol_pending
from songid_desktop.catalog.records import EnrolProgress, EnrolReport
from songid_desktop.errors import CatalogBusy, CatalogError
from songid_desktop.identify import registry
from songid_desktop.identify.compaction import compact_index, is_due
from songid_desktop.identify.registry import DEFAULT_IDENTIFIER
from songid_desktop.paths import Paths
from songid_desktop.types import CancelToken

_log = logging.getLogger(__name__)


def enrol_library(
    paths: Paths,
    roots: Sequence[Path],
    identifiers: Sequence[str] = (DEFAULT_IDENTIFIER,),
    *,
    jobs: int = 0,
    progress: Callable[[EnrolProgress], None] | None = None,
    cancel: CancelToken | None = None,
    pause: threading.Event | None = None,
    holder: str = "songid",
    in_process: bool = False,
    low_priority: bool = False,
    compacts: bool = False,
) -> EnrolReport:
    """Enrol `roots` (files and folders) for `identifiers`, then save their indexes.

    Parameters
    ----------
    compacts : bool
        Compact the indexes that are due, too, before coming back. For a caller that ends then: the
        window has a process for it, while it goes on.

    Raises
    ------
    CatalogBusy
        When another process is changing the catalog; the message names it.
    CatalogError
        When the catalog can't be written.
    UsageError
        For an unknown identifier or a root that is not there.
    """
    report = enrol(
        paths,
        roots,
        [registry.fingerprinter(name) for name in identifiers],
        jobs=jobs,
        progress=progress,
        cancel=cancel,
        pause=pause,
        holder=holder,
        in_process=in_process,
        low_priority=low_priority,
    )
    if not report.was_cancelled:
        _try_to_save(paths, identifiers, holder)
        if compacts:
            for name in identifiers:
                if is_due(paths, name):
                    compact_index(paths, name, cancel)
    return report


def prepare_library(
    paths: Paths,
    identifiers: Sequence[str],
    *,
    jobs: int = 0,
    progress: Callable[[EnrolProgress], None] | None = None,
    cancel: CancelToken | None = None,
    pause: threading.Event | None = None,
    holder: str = "songid",
    in_process: bool = False,
    low_priority: bool = False,
) -> EnrolReport:
    """Fingerprint the tracks that the library has already but some of `identifiers` lack, then
    save their indexes: no folder is walked, nothing becomes missing, no file is added.

    Raises
    ------
    As `enrol_library`.
    """
    report = enrol_pending(
        paths,
        [registry.fingerprinter(name) for name in identifiers],
        jobs=jobs,
        progress=progress,
        cancel=cancel,
        pause=pause,
        holder=holder,
        in_process=in_process,
        low_priority=low_priority,
    )
    if not report.was_cancelled:
        _try_to_save(paths, identifiers, holder)
    return report


def _try_to_save(paths: Paths, identifiers: Sequence[str], holder: str) -> None:
    try:
        save_indexes(paths, identifiers, holder=holder)
    except CatalogBusy as busy:
        _log.info("The index is left for its next opening: %s", busy)
    except (CatalogError, OSError) as error:
        # The tracks are in the catalog; that is what was asked for.
        _log.warning("The index could not be saved and is made anew on opening: %s", error)


def save_indexes(paths: Paths, identifiers: Sequence[str], *, holder: str = "songid") -> int:
    """Catch each index up with the catalog and write it to disk, under the writer lock.

    Returns
    -------
    int
        Tracks that can be found, over all `identifiers`.
    """
    found = 0
    with Catalog.open(paths) as catalog, catalog.writer(holder):
        for name in identifiers:
            identifier = registry.create(name, paths)
            try:
                identifier.open(catalog.reader())
                identifier.save()
                found += identifier.track_count
            finally:
                identifier.close()
    return found


def rebuild_indexes(paths: Paths, identifiers: Sequence[str], *, holder: str = "songid") -> int:
    """Throw the indexes away and make them again from the stored fingerprints.

    Returns
    -------
    int
        Tracks that can be found afterwards, over all `identifiers`.

    Raises
    ------
    CatalogBusy
        When another process is changing the catalog; nothing was thrown away then.
    """
    with Catalog.open(paths, create=False) as catalog, catalog.writer(holder):
        for name in identifiers:
            shutil.rmtree(paths.index / name, ignore_errors=True)
    return save_indexes(paths, identifiers, holder=holder)
