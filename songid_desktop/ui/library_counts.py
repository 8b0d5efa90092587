"""The library in numbers, read on a job thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from songid_desktop.paths import Paths

if TYPE_CHECKING:
    from songid_desktop.catalog.records import LibraryCounts


def read(paths: Paths) -> LibraryCounts | None:
    """Counts of the catalog; None while there is none yet."""
    from songid_desktop.catalog.catalog import Catalog

    if not paths.catalog.exists():
        return None
    with Catalog.open(paths, create=False) as catalog:
        return catalog.counts()
