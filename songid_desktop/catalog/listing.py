"""Which tracks a table shows, as numbers in order: a hundred thousand of them in one read.

A window that scrolls asks once for the ids of what it lists, keeps them (8 bytes a track), and
reads the tracks in sight with `Catalog.tracks_by_id`: a page costs the same at either end, and the
list stands still while it is looked at.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from songid_desktop.catalog.catalog import _ORDERS, ORDERS, Catalog, _condition
from songid_desktop.errors import UsageError

STATE_ORDER = "state:"
"""With an identifier's name behind it, the order by its states: enrolled, pending, failed."""


class Shown(StrEnum):
    """Which tracks are listed."""

    ALL = "all"
    ENROLLED = "enrolled"
    """For at least one identifier."""
    PENDING = "pending"
    """For at least one identifier."""
    PROBLEMS = "problems"
    """An identifier failed, or only a part could be read."""
    MISSING = "missing"


def track_ids(
    catalog: Catalog,
    *,
    search: str = "",
    order: str = "artist",
    descending: bool = False,
    shown: Shown = Shown.ALL,
    identifiers: Collection[str] | None = None,
) -> npt.NDArray[np.int64]:
    """Ids of tracks in the same order as `Catalog.tracks` gives them.

    Parameters
    ----------
    search, order, descending
        As for `Catalog.tracks`; `order` may also be `STATE_ORDER` and an identifier's name.
    shown : Shown
        Only tracks in that state.
    identifiers : collection of str, optional
        Whose states count for `shown`; of every known one without.

    Returns
    -------
    int64 array, shape (n,)

    Raises
    ------
    UsageError
        For an order that is not one of `ORDERS` nor by a known identifier's states.
    """
    direction = "DESC" if descending else "ASC"
    configs = catalog.configs()
    condition, parameters = _condition(search)
    counted = {n: c for n, c in configs.items() if identifiers is None or n in identifiers}
    narrowed, more = _state_condition(shown, counted)
    ordered, last = _order(order, direction, configs)
    rows = catalog.database.rows(
        f"SELECT track_id FROM tracks WHERE ({condition}) AND ({narrowed})"  # noqa: S608 (our own text only)
        f" ORDER BY {ordered}, track_id",
        [*parameters, *more, *last],
    )
    return np.fromiter((track_id for (track_id,) in rows), np.int64)


def _order(order: str, direction: str, configs: Mapping[str, str]) -> tuple[str, list[Any]]:
    """SQL order of `tracks` and its parameters."""
    if order in _ORDERS:
        return _ORDERS[order].format(direction), []
    name = order.removeprefix(STATE_ORDER)
    if name == order or name not in configs:
        raise UsageError(f"Tracks can be ordered by {', '.join(ORDERS)}, not by {order!r}.")
    pair = [name, configs[name]]
    place = f"CASE WHEN {_HAS_PRINT} THEN 0 WHEN {_HAS_FAILED} THEN 2 ELSE 1 END {direction}"
    return f"{place}, {_ORDERS['artist'].format('ASC')}", [*pair, *pair]


_HAS_PRINT, _HAS_FAILED = (
    f"EXISTS (SELECT 1 FROM {table} WHERE {table}.track_id = tracks.track_id"  # noqa: S608 (two fixed names)
    " AND identifier = ? AND config_digest = ?)"
    for table in ("fingerprints", "failures")
)


def _state_condition(shown: Shown, configs: Mapping[str, str]) -> tuple[str, list[Any]]:
    """SQL condition on `tracks` and its parameters."""
    enrolled, failed = _HAS_PRINT, _HAS_FAILED
    pairs = list(configs.items())
    flat = [each for pair in pairs for each in pair]
    if shown is Shown.MISSING:
        return "track_id NOT IN (SELECT track_id FROM locations WHERE is_present)", []
    if shown is Shown.ENROLLED:
        return " OR ".join([enrolled] * len(pairs)) or "0", flat
    if shown is Shown.PENDING:
        one = f"(NOT {enrolled} AND NOT {failed})"
        return " OR ".join([one] * len(pairs)) or "1", [each for p in pairs for each in (*p, *p)]
    if shown is Shown.PROBLEMS:
        return " OR ".join(["warning <> ''", *[failed] * len(pairs)]), flat
    return "1", []
