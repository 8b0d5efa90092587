"""How Library and History read their rows: the ids of all of them in order, and the rows in sight.

The table never holds everything: it knows its rows by their ids, eight bytes each, and reads pages
when they come into sight. What is written while one looks moves nothing, and what is chosen is
what was chosen, wherever it stands by then. Everything here runs on a job thread.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from songid_desktop.paths import Paths
from songid_desktop.ui.library_counts import is_made
from songid_desktop.ui.paged_model import PAGE_ROWS, Ids, Pages, TableSnapshot

if TYPE_CHECKING:
    from songid_desktop.catalog.catalog import Catalog


class RowReader:
    """Reads a table for a `TableLoader`. Derive it with `ids`, `rows` and `facts`."""

    nothing: Any = None
    """What the page shows beside the rows while there is no catalog."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths

    def open(self) -> Catalog:
        """The catalog, for one read."""
        from songid_desktop.catalog.catalog import Catalog

        return Catalog.open(self._paths, create=False)

    def ids(self, catalog: Catalog, view: Any) -> Ids:
        """Ids of the rows of a view, in its order."""
        raise NotImplementedError

    def rows(self, catalog: Catalog, ids: Sequence[int]) -> Mapping[int, Any]:
        """The rows of `ids` that are still there, by id."""
        raise NotImplementedError

    def facts(self, catalog: Catalog) -> Any:
        """What the page shows beside the rows."""
        raise NotImplementedError

    def tail(self, catalog: Catalog, view: Any) -> Sequence[Any]:  # noqa: ARG002  (most have none)
        """Rows behind those that have ids."""
        return ()

    def snapshot(
        self,
        view: Any,
        pages: Sequence[int],
        cancel: threading.Event,  # noqa: ARG002  (a read is too short to be cancelled)
    ) -> TableSnapshot:
        """Ids and the given pages, in one go; empty while there is no catalog."""
        if not is_made(self._paths):
            return TableSnapshot(view, ids=np.zeros(0, np.int64), extra=self.nothing)
        with self.open() as catalog:
            ids = self.ids(catalog, view)
            last = max(0, (len(ids) - 1) // PAGE_ROWS)
            wanted = sorted({min(page, last) for page in pages})
            return TableSnapshot(
                view,
                len(ids),
                ids,
                {page: self._page(catalog, ids, page) for page in wanted},
                self.tail(catalog, view),
                self.facts(catalog),
            )

    def pages(self, view: Any, ids: Ids | None, pages: Sequence[int]) -> Pages:  # noqa: ARG002
        """Some pages of what is shown already."""
        if ids is None:
            return {}
        with self.open() as catalog:
            return {page: self._page(catalog, ids, page) for page in pages}

    def _page(self, catalog: Catalog, ids: Ids, page: int) -> list[Any]:
        """The rows of a page; None for one that went since the ids were read."""
        wanted = ids[page * PAGE_ROWS : (page + 1) * PAGE_ROWS].tolist()
        found = self.rows(catalog, wanted)
        return [found.get(each) for each in wanted]
