"""What the Library page asks of the catalog, as plain functions for a job thread.

The table never holds the whole library: it knows the ids of its rows, eight bytes each, and reads
pages of tracks when they come into sight.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from songid_desktop.paths import Paths
from songid_desktop.types import FileProblem, Track
from songid_desktop.ui.library_counts import is_made
from songid_desktop.ui.paged_model import PAGE_ROWS, Ids, Pages, TableSnapshot

if TYPE_CHECKING:
    from songid_desktop.catalog.catalog import Catalog
    from songid_desktop.catalog.records import LibraryCounts, ProblemFile


class Filter(StrEnum):
    """Which tracks are shown; the values are those of `catalog.listing.Shown`."""

    ALL = "all"
    ENROLLED = "enrolled"
    PENDING = "pending"
    PROBLEMS = "problems"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class View:
    """What is wanted of the library: a search, an order, a filter."""

    search: str = ""
    order: str = "artist"
    is_descending: bool = False
    only: Filter = Filter.ALL


@dataclass(frozen=True, slots=True)
class LibraryFacts:
    """What the page shows beside the rows."""

    counts: LibraryCounts | None = None
    """None while there is no catalog yet."""
    notice: str = ""
    """Something out of the ordinary about the catalog (read-only), as a sentence."""


class LibraryReader:
    """Reads the library's table for a `TableLoader`."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths

    def snapshot(
        self,
        view: View,
        pages: Sequence[int],
        cancel: threading.Event,  # noqa: ARG002  (a read is too short to be cancelled)
    ) -> TableSnapshot:
        """Numbers and the given pages, in one go; empty while there is no catalog."""
        from songid_desktop.catalog.catalog import Catalog
        from songid_desktop.catalog.listing import Shown, track_ids

        if not is_made(self._paths):
            return TableSnapshot(view, ids=np.zeros(0, np.int64), extra=LibraryFacts())
        with Catalog.open(self._paths, create=False) as catalog:
            ids = track_ids(
                catalog,
                search=view.search,
                order=view.order,
                descending=view.is_descending,
                shown=Shown(view.only.value),
            )
            last = max(0, (len(ids) - 1) // PAGE_ROWS)
            wanted = sorted({min(page, last) for page in pages})
            return TableSnapshot(
                view,
                len(ids),
                ids,
                {page: _page(catalog, ids, page) for page in wanted},
                _matching_problems(catalog.problems(), view),
                LibraryFacts(catalog.counts(), catalog.notice),
            )

    def pages(self, view: View, ids: Ids | None, pages: Sequence[int]) -> Pages:  # noqa: ARG002
        """Some pages of what is shown already."""
        from songid_desktop.catalog.catalog import Catalog

        if ids is None:
            return {}
        with Catalog.open(self._paths, create=False) as catalog:
            return {page: _page(catalog, ids, page) for page in pages}


def _page(catalog: Catalog, ids: Ids, page: int) -> list[Track | None]:
    """The tracks of a page; None for one that went since the ids were read."""
    wanted = [int(track_id) for track_id in ids[page * PAGE_ROWS : (page + 1) * PAGE_ROWS]]
    found = catalog.tracks_by_id(wanted)
    return [found.get(track_id) for track_id in wanted]


def _matching_problems(problems: Sequence[ProblemFile], view: View) -> tuple[ProblemFile, ...]:
    """Files that are no tracks, by name; what was enrolled in part stands among the tracks."""
    if view.only not in (Filter.ALL, Filter.PROBLEMS):
        return ()
    words = view.search.casefold().split()
    chosen = [
        problem
        for problem in problems
        if problem.problem is not FileProblem.TRUNCATED
        and all(word in str(problem.path).casefold() for word in words)
    ]
    return tuple(sorted(chosen, key=lambda problem: problem.path.name.casefold()))
