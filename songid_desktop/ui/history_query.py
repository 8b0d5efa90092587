"""What the History page asks of the catalog, as plain functions for a job thread."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from songid_desktop.paths import Paths
from songid_desktop.ui.library_counts import is_made
from songid_desktop.ui.paged_model import PAGE_ROWS, Ids, Pages, TableSnapshot

if TYPE_CHECKING:
    from songid_desktop.catalog.history import History
    from songid_desktop.catalog.records import Play

Spans = Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class HistoryView:
    """What is wanted of the history."""

    search: str = ""
    only_favourites: bool = False


@dataclass(frozen=True, slots=True)
class HistoryFacts:
    """What the page shows beside the rows."""

    total: int = 0
    """Plays there are, whatever is searched for."""
    favourites: int = 0


class HistoryReader:
    """Reads the history's table for a `TableLoader`."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths

    def snapshot(
        self,
        view: HistoryView,
        pages: Sequence[int],
        cancel: threading.Event,  # noqa: ARG002  (a read is too short to be cancelled)
    ) -> TableSnapshot:
        """Numbers and the given pages; empty while there is no catalog."""
        from songid_desktop.catalog.catalog import Catalog
        from songid_desktop.catalog.history import History

        if not is_made(self._paths):
            return TableSnapshot(view, extra=HistoryFacts())
        with Catalog.open(self._paths, create=False) as catalog:
            history = History(catalog)
            count = history.count(view.search, only_favourites=view.only_favourites)
            last = max(0, (count - 1) // PAGE_ROWS)
            wanted = sorted({min(page, last) for page in pages})
            return TableSnapshot(
                view,
                count,
                None,
                {page: read_rows(history, view, page * PAGE_ROWS, PAGE_ROWS) for page in wanted},
                (),
                HistoryFacts(history.count(), history.count(only_favourites=True)),
            )

    def pages(self, view: HistoryView, ids: Ids | None, pages: Sequence[int]) -> Pages:  # noqa: ARG002
        """Some pages of a view that is shown already."""
        from songid_desktop.catalog.catalog import Catalog
        from songid_desktop.catalog.history import History

        with Catalog.open(self._paths, create=False) as catalog:
            history = History(catalog)
            return {page: read_rows(history, view, page * PAGE_ROWS, PAGE_ROWS) for page in pages}


def read_rows(history: History, view: HistoryView, offset: int, limit: int | None) -> list[Play]:
    """Plays of a view, newest first."""
    return history.search(
        view.search, limit=limit, offset=offset, only_favourites=view.only_favourites
    )


def read_spans(history: History, view: HistoryView, spans: Spans) -> list[Play]:
    """Plays in rows first … last (both included) of each span; all of the view without spans."""
    if not spans:
        return read_rows(history, view, 0, None)
    found: list[Play] = []
    for first, last in spans:
        found.extend(read_rows(history, view, first, last + 1 - first))
    return found
