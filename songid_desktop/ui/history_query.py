"""What the History page asks of the catalog, for a job thread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from songid_desktop.ui.paged_model import Ids
from songid_desktop.ui.row_reader import RowReader

if TYPE_CHECKING:
    from songid_desktop.catalog.catalog import Catalog
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


class HistoryReader(RowReader):
    """Reads the history's table."""

    nothing = HistoryFacts()

    def ids(self, catalog: Catalog, view: HistoryView) -> Ids:
        from songid_desktop.catalog.history import History

        found = History(catalog).ids(
            view.search,
            only_favourites=view.only_favourites,
            order=view.order,
            descending=view.is_descending,
        )
        return np.array(found, np.int64)

    def rows(self, catalog: Catalog, ids: Sequence[int]) -> Mapping[int, Play]:
        from songid_desktop.catalog.history import History

        return History(catalog).plays(ids)

    def facts(self, catalog: Catalog) -> HistoryFacts:
        from songid_desktop.catalog.history import History

        history = History(catalog)
        return HistoryFacts(history.count(), history.count(only_favourites=True))


def read_plays(history: History, ids: Sequence[int]) -> list[Play]:
    """Plays in the order of their ids, without those that are gone."""
    found = history.plays(ids)
    return [found[play_id] for play_id in ids if play_id in found]
