"""The log of what was heard."""

from __future__ import annotations

import contextlib
import math
import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from typing import Any

from songid_desktop.catalog.catalog import Catalog
from songid_desktop.catalog.database import Row
from songid_desktop.catalog.names import decode_path, encode_path, fold, printable, search_words
from songid_desktop.catalog.records import Play
from songid_desktop.catalog.tags import clean
from songid_desktop.errors import UsageError

_ARTIST = "substr(search, instr(search, char(10)) + 1)"
_ORDERS = {
    "heard": "started_at {0}",
    # What is searched begins with title and artist, folded: they sort as they are found.
    "title": "history.title = '', search {0}",
    "artist": f"history.artist = '', {_ARTIST} {{0}}",
    "sure": "verdict NOT IN ('match', 'unsure'), confidence {0}",
    "offset": "verdict NOT IN ('match', 'unsure'), offset_s {0}",
    "duration": "ended_at - started_at {0}",
    "source": "source = '', source COLLATE NOCASE {0}",
    "identifier": "identifier = '', identifier {0}",
    "marks": "is_favourite {0}, clip IS NOT NULL {0}",
}
ORDERS = tuple(_ORDERS)
_IDS_AT_ONCE = 500

UNDO_KEPT_S = 24 * 3600.0
LONGEST_NOTE = 10_000

_COLUMNS = (
    "started_at",
    "ended_at",
    "track_id",
    "title",
    "artist",
    "album",
    "path",
    "offset_s",
    "confidence",
    "identifier",
    "verdict",
    "source",
    "clip",
    "note",
    "is_favourite",
)
# A play whose track was removed names none, until the removal is undone.
_SELECT = (
    "SELECT play_id, "  # noqa: S608 (our own text only)
    + ", ".join(f"history.{name}" for name in _COLUMNS).replace(
        "history.track_id", "tracks.track_id"
    )
    + " FROM history LEFT JOIN tracks ON tracks.track_id = history.track_id"
)


class History:
    """Plays, newest first. Short transactions beside the writer lock: works while a folder is
    enrolled, also by another process. Use on the thread of its catalog.

    Every method raises CatalogError when the catalog can't be written.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._database = catalog.database
        self._clips = catalog.paths.clips

    def add(self, play: Play) -> int:
        """Store a play; its id."""
        values = _values(play)
        marks = ", ".join("?" * len(values))
        with self._database.transaction():
            return self._database.insert(
                f"INSERT INTO history ({', '.join(_COLUMNS)}, search) VALUES ({marks})",  # noqa: S608 (our own names)
                values,
            )

    def update(self, play_id: int, /, **changes: Any) -> Play:
        """Change named fields of a play (`Play`'s own names); the play as it is now.

        Raises
        ------
        UsageError
            For an unknown field or play.
        """
        unknown = changes.keys() - {item.name for item in fields(Play)} | changes.keys() & {
            "play_id"
        }
        if unknown:
            raise UsageError(f"A play has no field {min(unknown)!r} that can be changed.")
        with self._database.transaction():
            play = self.get(play_id)
            if play is None:
                raise UsageError(f"There is no play number {play_id} in the history.")
            changed = replace(play, **changes)
            assigned = ", ".join(f"{name} = ?" for name in (*_COLUMNS, "search"))
            values = _values(changed)
            if "track_id" not in changes:
                # Not what is shown, which is None while the track is removed.
                values[_COLUMNS.index("track_id")] = self._database.value(
                    "SELECT track_id FROM history WHERE play_id = ?", (play_id,)
                )
            self._database.execute(
                f"UPDATE history SET {assigned} WHERE play_id = ?",  # noqa: S608 (our own names)
                (*values, play_id),
            )
        updated = self.get(play_id)
        return changed if updated is None else updated

    def get(self, play_id: int) -> Play | None:
        row = self._database.row(f"{_SELECT} WHERE play_id = ? AND deleted_by IS NULL", (play_id,))
        return None if row is None else _play(row)

    def delete(self, ids: Iterable[int]) -> str:
        """Take plays out; the token undoes it for a day, then they and their clips are gone."""
        self.drop_deleted()
        token, now = uuid.uuid4().hex, time.time()
        with self._database.transaction():
            self._database.execute_many(
                "UPDATE history SET deleted_by = ?, deleted_at = ?"
                " WHERE play_id = ? AND deleted_by IS NULL",
                [(token, now, play_id) for play_id in ids],
            )
        return token

    def undo(self, token: str) -> int:
        """Bring deleted plays back; how many.

        Raises
        ------
        UsageError
            When there is nothing (any more) to bring back.
        """
        with self._database.transaction():
            count = self._database.execute(
                "UPDATE history SET deleted_by = NULL, deleted_at = NULL WHERE deleted_by = ?",
                (token,),
            ).rowcount
        if not count:
            raise UsageError("This deletion can't be undone any more.")
        return count

    def drop_deleted(self, older_than_s: float = UNDO_KEPT_S) -> None:
        """Let go for good of what was deleted long ago, kept clips included."""
        limit = time.time() - older_than_s
        gone = self._database.rows(
            "SELECT play_id, clip FROM history WHERE deleted_at <= ?", (limit,)
        )
        if not gone:
            return
        with self._database.transaction():
            self._database.execute_many(
                "DELETE FROM history WHERE play_id = ?", [(play_id,) for play_id, _ in gone]
            )
        for clip in {clip for _, clip in gone if clip is not None}:
            used = self._database.value("SELECT 1 FROM history WHERE clip = ?", (clip,))
            path = decode_path(clip)
            if used is None and path.parent == self._clips:
                with contextlib.suppress(OSError):
                    path.unlink()

    def search(
        self,
        text: str = "",
        *,
        limit: int | None = None,
        offset: int = 0,
        only_favourites: bool = False,
        since: float | None = None,
        until: float | None = None,
    ) -> list[Play]:
        """Plays whose title, artist, album, note, source or path holds every word of `text`
        (case and accents ignored), newest first. `since <= started_at < until` in Unix time."""
        condition, parameters = _condition(text, only_favourites, since, until)
        return [
            _play(row)
            for row in self._database.rows(
                f"{_SELECT} WHERE {condition}"
                " ORDER BY started_at DESC, play_id DESC LIMIT ? OFFSET ?",
                [*parameters, -1 if limit is None else max(0, limit), max(0, offset)],
            )
        ]

    def ids(
        self,
        text: str = "",
        *,
        only_favourites: bool = False,
        order: str = "heard",
        descending: bool = True,
    ) -> list[int]:
        """Ids of the plays that `search` finds, in one of `ORDERS`; the newest first where that
        says nothing, and what has no title (artist, source, identifier, answer) last.

        Raises
        ------
        UsageError
            For an unknown order.
        """
        if order not in _ORDERS:
            raise UsageError(f"Plays can be ordered by {', '.join(ORDERS)}, not by {order!r}.")
        condition, parameters = _condition(text, only_favourites, None, None)
        direction = "DESC" if descending else "ASC"
        last = direction if order == "heard" else "DESC"
        rows = self._database.rows(
            f"SELECT play_id FROM history WHERE {condition}"  # noqa: S608 (our own text only)
            f" ORDER BY {_ORDERS[order].format(direction)}, started_at {last}, play_id {last}",
            parameters,
        )
        return [play_id for (play_id,) in rows]

    def plays(self, ids: Sequence[int]) -> dict[int, Play]:
        """Plays by their ids; those that are (still) there."""
        found: dict[int, Play] = {}
        for first in range(0, len(ids), _IDS_AT_ONCE):
            some = [int(play_id) for play_id in ids[first : first + _IDS_AT_ONCE]]
            marks = ", ".join("?" * len(some))
            rows = self._database.rows(
                f"{_SELECT} WHERE play_id IN ({marks}) AND deleted_by IS NULL", some
            )
            found.update((play.play_id, play) for play in map(_play, rows))
        return found

    def count(self, text: str = "", *, only_favourites: bool = False) -> int:
        condition, parameters = _condition(text, only_favourites, None, None)
        return int(
            self._database.value(f"SELECT count(*) FROM history WHERE {condition}", parameters)  # noqa: S608 (our own text only)
        )


def _condition(
    text: str, only_favourites: bool, since: float | None, until: float | None
) -> tuple[str, list[Any]]:
    tests, parameters = ["deleted_by IS NULL"], []
    for word in search_words(text):
        tests.append("instr(search, ?) > 0")
        parameters.append(word)
    if only_favourites:
        tests.append("is_favourite")
    for bound, test in ((since, "started_at >= ?"), (until, "started_at < ?")):
        if bound is not None:
            tests.append(test)
            parameters.append(bound)  # type: ignore[arg-type]
    return " AND ".join(tests), parameters


def _values(play: Play) -> list[Any]:
    """Column values of a play, and what searching looks at."""
    words = [clean(text) for text in (play.title, play.artist, play.album)]
    source = clean(play.source)
    note = play.note[:LONGEST_NOTE].encode("utf-8", "replace").decode().replace("\0", " ")
    shown = "" if play.path is None else printable(play.path)
    return [
        _finite(play.started_at),
        _finite(play.ended_at),
        play.track_id,
        *words,
        None if play.path is None else encode_path(play.path),
        _finite(play.offset_s),
        min(1.0, max(0.0, _finite(play.confidence))),
        clean(play.identifier),
        clean(play.verdict),
        source,
        None if play.clip is None else encode_path(play.clip),
        note,
        int(play.is_favourite),
        fold("\n".join([*words, note, source, shown])),
    ]


def _finite(value: float) -> float:
    return float(value) if math.isfinite(value) else 0.0


def _play(row: Row) -> Play:
    play_id, *values = row
    named = dict(zip(_COLUMNS, values, strict=True))
    for name in ("path", "clip"):
        stored: bytes | None = named[name]
        named[name] = None if stored is None else decode_path(stored)
    named["is_favourite"] = bool(named["is_favourite"])
    return Play(play_id=play_id, **named)
