"""What the Library page asks of the catalog, as plain functions for a job thread.

The table never holds the whole library: it knows how many rows there are and reads pages of them
when they come into sight. A filter needs the states of every track; it is answered by one pass in
slices that keeps nothing but numbers.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from songid_desktop.errors import Cancelled
from songid_desktop.paths import Paths
from songid_desktop.types import EnrolState, FileProblem, Track
from songid_desktop.ui.paged_model import PAGE_ROWS, Ids, Pages, TableSnapshot

if TYPE_CHECKING:
    from songid_desktop.catalog.catalog import Catalog
    from songid_desktop.catalog.records import LibraryCounts, ProblemFile

SLICE_ROWS = 2_000
"""Tracks looked at between two looks at the cancel token."""


class Filter(StrEnum):
    """Which tracks are shown."""

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

    def snapshot(self, view: View, pages: Sequence[int], cancel: threading.Event) -> TableSnapshot:
        """Numbers and the given pages, in one go; empty while there is no catalog."""
        from songid_desktop.catalog.catalog import Catalog

        if not self._paths.catalog.exists():
            return TableSnapshot(view, extra=LibraryFacts())
        with Catalog.open(self._paths, create=False) as catalog:
            ids = None if view.only is Filter.ALL else _filtered_ids(catalog, view, cancel)
            row_count = catalog.track_count(view.search) if ids is None else len(ids)
            last = max(0, (row_count - 1) // PAGE_ROWS)
            wanted = sorted({min(page, last) for page in pages})
            return TableSnapshot(
                view,
                row_count,
                ids,
                {page: _page(catalog, view, ids, page) for page in wanted},
                _matching_problems(catalog.problems(), view),
                LibraryFacts(catalog.counts(), catalog.notice),
            )

    def pages(self, view: View, ids: Ids | None, pages: Sequence[int]) -> Pages:
        """Some pages of a view that is shown already."""
        from songid_desktop.catalog.catalog import Catalog

        with Catalog.open(self._paths, create=False) as catalog:
            return {page: _page(catalog, view, ids, page) for page in pages}


def read_ids(paths: Paths, view: View, ids: Ids | None, spans: Sequence[tuple[int, int]]) -> Ids:
    """Track ids of rows first … last (both included) of each span."""
    if ids is not None:
        return np.concatenate([ids[first : last + 1] for first, last in spans])
    from songid_desktop.catalog.catalog import Catalog

    found: list[int] = []
    with Catalog.open(paths, create=False) as catalog:
        for first, last in spans:
            for start in range(first, last + 1, SLICE_ROWS):
                limit = min(SLICE_ROWS, last + 1 - start)
                found.extend(track.track_id for track in _slice(catalog, view, start, limit))
    return np.array(found, np.int64)


def _slice(catalog: Catalog, view: View, offset: int, limit: int) -> list[Track]:
    return catalog.tracks(
        search=view.search,
        limit=limit,
        offset=offset,
        order=view.order,
        descending=view.is_descending,
    )


def _page(catalog: Catalog, view: View, ids: Ids | None, page: int) -> list[Track]:
    start = page * PAGE_ROWS
    if ids is None:
        return _slice(catalog, view, start, PAGE_ROWS)
    wanted = [int(track_id) for track_id in ids[start : start + PAGE_ROWS]]
    found = catalog.tracks_by_id(wanted)
    return [found[track_id] for track_id in wanted if track_id in found]


def _filtered_ids(catalog: Catalog, view: View, cancel: threading.Event) -> Ids:
    found: list[int] = []
    start = 0
    while True:
        if cancel.is_set():
            raise Cancelled
        tracks = _slice(catalog, view, start, SLICE_ROWS)
        found.extend(track.track_id for track in tracks if matches(track, view.only))
        if len(tracks) < SLICE_ROWS:
            return np.array(found, np.int64)
        start += SLICE_ROWS


def matches(track: Track, only: Filter) -> bool:
    """Whether `track` passes the filter."""
    states = {state.state for state in track.states}
    if only is Filter.ENROLLED:
        return EnrolState.ENROLLED in states
    if only is Filter.PENDING:
        return EnrolState.PENDING in states or not states
    if only is Filter.PROBLEMS:
        return EnrolState.FAILED in states or bool(track.warning)
    if only is Filter.MISSING:
        return track.is_missing
    return True


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
    if view.order == "path":
        return tuple(sorted(chosen, key=lambda problem: str(problem.path).casefold()))
    return tuple(sorted(chosen, key=lambda problem: problem.path.name.casefold()))
