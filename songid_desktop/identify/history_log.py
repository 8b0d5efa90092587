"""Plays into the catalog's history as they are heard, from whatever thread drives a session."""

from __future__ import annotations

from collections.abc import Callable

from songid_desktop.catalog.catalog import Catalog
from songid_desktop.catalog.history import History
from songid_desktop.catalog.records import Play
from songid_desktop.errors import SongIDError
from songid_desktop.identify.plays import HeardPlay, PlayLog
from songid_desktop.identify.session import Look
from songid_desktop.paths import Paths
from songid_desktop.types import Track, Verdict


def history_row(play: HeardPlay, track: Track | None, source: str) -> Play:
    """A play as the history keeps it."""
    return Play(
        started_at=play.started_at,
        ended_at=play.ended_at,
        track_id=play.track_id,
        title="" if track is None else track.title,
        artist="" if track is None else track.artist,
        album="" if track is None else track.tags.album,
        path=None if track is None else track.path,
        offset_s=play.offset_s,
        confidence=play.confidence,
        identifier=play.match.identifier,
        verdict=Verdict.MATCH.value,
        source=source,
    )


class PlayRecorder:
    """A `PlayLog` that writes each play as one history row: added when it begins, brought up to
    date while it goes on (at most every `UPDATE_EVERY_S` of sound) and when it ends.

    A history that can't be written is told once and costs nothing else. One thread at a time, the
    same for its whole life.

    Parameters
    ----------
    paths : Paths
    find_track : callable
        The catalog's entry of a track by its id.
    """

    UPDATE_EVERY_S = 5.0

    def __init__(self, paths: Paths, find_track: Callable[[int], Track | None]) -> None:
        self._paths = paths
        self._find_track = find_track
        self._log = PlayLog(self._duration_s)
        self._catalog: Catalog | None = None
        self._row_id: int | None = None
        self._stored_until = 0.0
        self._is_broken = False
        self.source = ""
        """What is listened to, in words; set it when it changes."""

    @property
    def count(self) -> int:
        """Plays so far."""
        return len(self._log.plays)

    def take(self, look: Look) -> list[str]:
        """Take in a look; sentences about what could not be written."""
        change = self._log.take(look)
        troubles = []
        if change.closed is not None:
            troubles += self._store_end(change.closed)
        if change.opened is not None:
            troubles += self._store_new(change.opened)
        elif (
            change.updated is not None
            and change.updated.ended_at - self._stored_until >= self.UPDATE_EVERY_S
        ):
            troubles += self._store_end(change.updated)
        return troubles

    def finish(self) -> list[str]:
        """Listening has ended: close the open play and let go of the catalog."""
        change = self._log.finish()
        troubles = [] if change.closed is None else self._store_end(change.closed)
        if self._catalog is not None:
            self._catalog.close()
            self._catalog = None
        return troubles

    def _store_new(self, play: HeardPlay) -> list[str]:
        row = history_row(play, self._find_track(play.track_id), self.source)
        self._row_id = None

        def add(history: History) -> None:
            self._row_id = history.add(row)

        self._stored_until = play.ended_at
        return self._write(add)

    def _store_end(self, play: HeardPlay) -> list[str]:
        row_id = self._row_id
        if row_id is None:
            return []
        self._stored_until = play.ended_at
        return self._write(
            lambda history: history.update(
                row_id, ended_at=play.ended_at, confidence=play.confidence
            )
        )

    def _write(self, change: Callable[[History], object]) -> list[str]:
        if self._is_broken:
            return []
        try:
            if self._catalog is None:
                self._catalog = Catalog.open(self._paths)
            change(History(self._catalog))
        except SongIDError as error:
            self._is_broken = True
            return [f"The history can't be written: {error}"]
        return []

    def _duration_s(self, track_id: int) -> float | None:
        track = self._find_track(track_id)
        return None if track is None else track.duration_s
