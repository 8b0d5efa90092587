"""The library in numbers, read on a job thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from songid_desktop.errors import SongIDError
from songid_desktop.paths import Paths

if TYPE_CHECKING:
    from songid_desktop.catalog.catalog import Catalog
    from songid_desktop.catalog.records import LibraryCounts


def is_made(paths: Paths) -> bool:
    """Whether there is a catalog to read. Not while its file is still empty: another process is
    making it just now, or could not. What can't be looked at counts as there, so that opening it
    says why."""
    log = paths.catalog.with_name(paths.catalog.name + "-wal")
    try:
        return paths.catalog.stat().st_size > 0 or (log.exists() and log.stat().st_size > 0)
    except FileNotFoundError:
        return False
    except OSError:
        return True


def read(paths: Paths) -> LibraryCounts | None:
    """Counts of the catalog; None while there is none yet."""
    if not is_made(paths):
        return None
    with open_present(paths) as catalog:
        return catalog.counts()


def open_present(paths: Paths) -> Catalog:
    """The catalog, in which only what the identifiers of today made counts as enrolled."""
    from songid_desktop.catalog.catalog import Catalog

    return Catalog.open(paths, create=False, configs=present_configs())


def present_configs() -> dict[str, str]:
    """Name and present configuration of every installed identifier: what was enrolled with other
    weights counts as pending."""
    from songid_desktop.identify import registry

    try:
        return registry.config_digests()
    except SongIDError:  # a model that went this moment; the next look goes better
        return {}
