"""Tracks and covers of candidates, looked up off the GUI thread and remembered until the catalog
changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtGui import QImage

from songid_desktop.types import Track
from songid_desktop.ui import cover
from songid_desktop.ui.services import Services
from songid_desktop.ui.theme import Size

if TYPE_CHECKING:
    from songid_desktop.catalog.catalog import Catalog

_KEPT = 400


@dataclass(frozen=True, slots=True)
class TrackCard:
    """A track and its cover's picture."""

    track: Track
    image: QImage | None


class TrackCards:
    """Answers from memory at once, else after a job; in the order of asking."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._cards: dict[int, TrackCard] = {}
        self._age = 0
        services.catalog_changed.connect(self._forget)

    def _forget(self) -> None:
        self._cards.clear()
        self._age += 1

    def get(self, ids: Iterable[int], take: Callable[[dict[int, TrackCard]], None]) -> None:
        """Call `take` with the cards of `ids` that exist."""
        wanted = list(dict.fromkeys(ids))
        missing = [each for each in wanted if each not in self._cards]
        if not missing:
            take({each: self._cards[each] for each in wanted})
            return
        age = self._age
        job = self._services.with_catalog(_read, missing, lane="cards")

        def deliver(found: dict[int, TrackCard]) -> None:
            if len(self._cards) > _KEPT:
                self._cards.clear()
            if age == self._age:
                self._cards |= found
            known = self._cards | found
            take({each: known[each] for each in wanted if each in known})

        job.done.connect(deliver)
        job.failed.connect(self._services.report)


def _read(catalog: Catalog, ids: list[int]) -> dict[int, TrackCard]:
    side = Size.COVER * 2
    return {
        track_id: TrackCard(
            track, cover.decode(catalog.cover(track_id), side) if track.has_cover else None
        )
        for track_id, track in catalog.tracks_by_id(ids).items()
    }
