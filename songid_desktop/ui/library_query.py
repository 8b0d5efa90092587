"""What the Library page asks of the catalog, for a job thread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from songid_desktop.types import FileProblem, Track
from songid_desktop.ui.library_counts import open_present
from songid_desktop.ui.paged_model import Ids
from songid_desktop.ui.row_reader import RowReader

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
    identifier: str = ""
    """Whose states the filter means; empty for any."""


@dataclass(frozen=True, slots=True)
class LibraryFacts:
    """What the page shows beside the rows."""

    counts: LibraryCounts | None = None
    """None while there is no catalog yet."""
    notice: str = ""
    """Something out of the ordinary about the catalog (read-only), as a sentence."""


class LibraryReader(RowReader):
    """Reads the library's table."""

    nothing = LibraryFacts()

    def open(self) -> Catalog:
        return open_present(self._paths)

    def ids(self, catalog: Catalog, view: View) -> Ids:
        from songid_desktop.catalog.listing import Shown, track_ids

        return track_ids(
            catalog,
            search=view.search,
            order=view.order,
            descending=view.is_descending,
            shown=Shown(view.only.value),
            identifiers=(view.identifier,) if view.identifier else None,
        )

    def rows(self, catalog: Catalog, ids: Sequence[int]) -> Mapping[int, Track]:
        return catalog.tracks_by_id(ids)

    def tail(self, catalog: Catalog, view: View) -> Sequence[ProblemFile]:
        return _matching_problems(catalog.problems(), view)

    def facts(self, catalog: Catalog) -> LibraryFacts:
        return LibraryFacts(catalog.counts(), catalog.notice)


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
