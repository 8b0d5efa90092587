"""What the History page asks of the catalog, as plain functions for a job thread.

The table knows its rows by their ids: what is written while one looks moves nothing, and what is
deleted or exported is what was chosen, wherever it stands by then.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from songid_desktop.paths import Paths
from songid_desktop.ui.library_counts import is_made
from songid_desktop.ui.paged_model import PAGE_ROWS, Ids, Pages, TableSnapshot

if TYPE_CHECKING:
    from songid_desktop.catalog.history import History
    from songid_desktop.catalog.records import Play


@dataclass(frozen=True, slots=True)
class HistoryView:
    """What is wanted of the history."""

    search: str = ""
    order: str = "heard"
    is_descending: bool = True
    only_favourites: bool = False

    @property
    def is_narrowed(self) -> bool:
        """Whether some plays are left out."""
        return bool(self.search) or self.only_favourites


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
        """Ids and the given pages; empty while there is no catalog."""
        from songid_desktop.catalog.catalog import Catalog
        from songid_desktop.catalog.history import History

        if not is_made(self._paths):
            return TableSnapshot(view, ids=np.zeros(0, np.int64), extra=HistoryFacts())
        with Catalog.open(self._paths, create=False) as catalog:
            history = History(catalog)
            ids = np.array(
                history.ids(
                    view.search,
                    only_favourites=view.only_favourites,
                    order=view.order,
                    descending=view.is_descending,
                ),
                np.int64,
            )
            last = max(0, (len(ids) - 1) // PAGE_ROWS)
            wanted = sorted({min(page, last) for page in pages})
            return TableSnapshot(
                view,
                len(ids),
                ids,
                {page: _page(history, ids, page) for page in wanted},
                (),
                HistoryFacts(history.count(), history.count(only_favourites=True)),
            )

    def pages(self, view: HistoryView, ids: Ids | None, pages: Sequence[int]) -> Pages:  # noqa: ARG002
        """Some pages of what is shown already."""
        from songid_desktop.catalog.catalog import Catalog
        from songid_desktop.catalog.history import History

        if ids is None:
            return {}
        with Catalog.open(self._paths, create=False) as catalog:
            history = History(catalog)
            return {page: _page(history, ids, page) for page in pages}


def _page(history: History, ids: Ids, page: int) -> list[Play | None]:
    """The plays of a page; None for one that went since the ids were read."""
    return _in_order(
        history, [int(each) for each in ids[page * PAGE_ROWS : (page + 1) * PAGE_ROWS]]
    )


def _in_order(history: History, ids: Sequence[int]) -> list[Play | None]:
    found = history.plays(ids)
    return [found.get(play_id) for play_id in ids]


def read_plays(history: History, ids: Sequence[int]) -> list[Play]:
    """Plays in the order of their ids, without those that are gone."""
    return [play for play in _in_order(history, ids) if play is not None]
