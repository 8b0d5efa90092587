"""Changes of the library: folders and removals, under the writer lock."""

from __future__ import annotations

import base64
import json
import time
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from songid_desktop.catalog.database import Database, Row
from songid_desktop.catalog.names import (
    absolute,
    decode_path,
    encode_path,
    fold,
    is_below,
    printable,
    range_below,
)
from songid_desktop.errors import UsageError

UNDO_KEPT_S = 24 * 3600.0

_IDS_AT_ONCE = 500

# Tables a removal takes rows from, children before parents; undo puts them back parents first.
_TAKEN = ("failures", "fingerprints", "locations", "search", "tracks")


class CatalogWriter:
    """Changes of the library, under the writer lock. Each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self.database = database
        """For the other modules of this package."""

    def add_folder(self, folder: Path) -> None:
        """Remember a folder; one inside a known folder is already covered, one around known
        folders replaces them."""
        stored = encode_path(absolute(folder))
        known = [path for (path,) in self.database.rows("SELECT path FROM folders")]
        if any(is_below(stored, path) for path in known):
            return
        with self.database.transaction():
            self.database.execute_many(
                "DELETE FROM folders WHERE path = ?",
                [(path,) for path in known if is_below(path, stored)],
            )
            self.database.execute("INSERT INTO folders VALUES (?, ?)", (stored, time.time()))

    def remove_folder(self, folder: Path) -> str:
        """Forget a folder and everything known below it: tracks that live only there go, others
        lose those locations. Files are not touched. Token for `undo_remove`."""
        stored = encode_path(absolute(folder))
        bounds = range_below(absolute(folder))
        with self.database.transaction():
            token = self._new_removal()
            self._take(token, "folders", "path = ? OR (path >= ? AND path < ?)", (stored, *bounds))
            only_here = (
                "SELECT track_id FROM locations GROUP BY track_id"
                " HAVING min(path >= ? AND path < ?) = 1"
            )
            ids = [track_id for (track_id,) in self.database.rows(only_here, bounds)]
            self._take_tracks(token, ids)
            shared = [
                track_id
                for (track_id,) in self.database.rows(
                    "SELECT DISTINCT track_id FROM locations WHERE path >= ? AND path < ?", bounds
                )
            ]
            self._take(token, "locations", "path >= ? AND path < ?", bounds)
            for track_id in shared:
                refresh_search(self.database, track_id)
            self._take(
                token, "problem_files", "path = ? OR (path >= ? AND path < ?)", (stored, *bounds)
            )
        return token

    def remove_tracks(self, ids: Iterable[int], *, keep_out: bool = False) -> str:
        """Take tracks out of the library (files are not touched); token for `undo_remove`, good
        for a day. With `keep_out` a rescan does not bring their files back, until one of them is
        enrolled by its own name."""
        with self.database.transaction():
            token = self._new_removal()
            self._take_tracks(token, list(dict.fromkeys(ids)), keep_out=keep_out)
        return token

    def undo_remove(self, token: str) -> int:
        """Bring back what a removal took; how many tracks.

        Sound that was enrolled again meanwhile stays as it is now.

        Raises
        ------
        UsageError
            The removal is unknown, undone already, or more than a day old.
        """
        database = self.database
        with database.transaction():
            if database.value("SELECT 1 FROM removals WHERE token = ?", (token,)) is None:
                raise UsageError("This removal can't be undone any more; enrol the files again.")
            taken: dict[str, list[Any]] = {}
            for kind, row in database.rows(
                "SELECT kind, row FROM removed_rows WHERE token = ?", (token,)
            ):
                taken.setdefault(kind, []).append(_unpacked(row))
            database.execute("DELETE FROM kept_out WHERE token = ?", (token,))
            returned = self._return_tracks(taken.get("tracks", []))
            for kind in ("search", "locations", "fingerprints", "failures"):
                for row in taken.get(kind, []):
                    self._return_row(kind, row)
            for kind in ("folders", "problem_files"):
                for row in taken.get(kind, []):
                    self._insert(kind, row)
            for track_id in {row["track_id"] for row in taken.get("locations", [])}:
                refresh_search(database, track_id)
            self._let_go_of_homeless(taken.get("tracks", []))
            database.execute("DELETE FROM removals WHERE token = ?", (token,))
            drop_loose_payloads(database)
        return returned

    def stop_keeping_out(self, path: Path) -> None:
        """Let a rescan take in again what a removal kept out, at and below `path`."""
        low, high = range_below(absolute(path))
        with self.database.transaction():
            self.database.execute(
                "DELETE FROM kept_out WHERE path = ? OR (path >= ? AND path < ?)",
                (encode_path(absolute(path)), low, high),
            )

    def drop_old_removals(self, older_than_s: float = UNDO_KEPT_S) -> None:
        """Let go of what can't be undone any more, and give its space back to the disk."""
        database = self.database
        limit = time.time() - older_than_s
        if database.value("SELECT 1 FROM removals WHERE removed_at <= ? LIMIT 1", (limit,)) is None:
            return
        with database.transaction():
            database.execute("DELETE FROM removals WHERE removed_at <= ?", (limit,))
            drop_loose_payloads(database)
            database.execute(
                "DELETE FROM covers WHERE cover_id NOT IN (SELECT cover_id FROM tracks WHERE"
                " cover_id IS NOT NULL) AND NOT EXISTS (SELECT 1 FROM removals)"
            )
        database.rows("PRAGMA incremental_vacuum")

    def _new_removal(self) -> str:
        token = uuid.uuid4().hex
        self.database.execute("INSERT INTO removals VALUES (?, ?)", (token, time.time()))
        return token

    def _take_tracks(self, token: str, ids: Sequence[int], *, keep_out: bool = False) -> None:
        for start in range(0, len(ids), _IDS_AT_ONCE):
            chunk = ids[start : start + _IDS_AT_ONCE]
            among = f"track_id IN ({','.join('?' * len(chunk))})"
            if keep_out:
                self.database.execute(
                    f"INSERT OR REPLACE INTO kept_out SELECT path, ? FROM locations WHERE {among}",  # noqa: S608 (marks only)
                    (token, *chunk),
                )
            bury(self.database, chunk)
            for table in _TAKEN:
                self._take(token, table, among, chunk)

    def _take(self, token: str, table: str, condition: str, parameters: Sequence[Any]) -> None:
        """Move the rows of `table` that meet `condition` to the removal."""
        database = self.database
        cursor = database.execute(f"SELECT * FROM {table} WHERE {condition}", parameters)  # noqa: S608 (fixed names and conditions)
        names = [column[0] for column in cursor.description]
        rows = [dict(zip(names, row, strict=True)) for row in cursor]
        database.execute_many(
            "INSERT INTO removed_rows VALUES (?, ?, ?, ?)",
            [(token, table, _packed(row), row.get("payload_id")) for row in rows],
        )
        database.execute(f"DELETE FROM {table} WHERE {condition}", parameters)  # noqa: S608 (ditto)

    def _return_tracks(self, rows: Sequence[dict[str, Any]]) -> int:
        """Put tracks back under their old ids; how many."""
        returned = 0
        for row in rows:
            known = self.database.value(
                "SELECT track_id FROM tracks WHERE content_hash = ?", (row["content_hash"],)
            )
            if known is None:
                self._insert("tracks", row)
                returned += 1
            else:  # enrolled again meanwhile: what was heard of it belongs to the new track
                self.database.execute(
                    "UPDATE history SET track_id = ? WHERE track_id = ?", (known, row["track_id"])
                )
        return returned

    def _let_go_of_homeless(self, rows: Sequence[dict[str, Any]]) -> None:
        """Drop returned tracks all of whose files hold other sound by now."""
        for row in rows:
            track_id = row["track_id"]
            if (
                self.database.value("SELECT 1 FROM locations WHERE track_id = ?", (track_id,))
                is None
            ):
                bury(self.database, [track_id])
                self.database.execute("DELETE FROM tracks WHERE track_id = ?", (track_id,))

    def _return_row(self, kind: str, row: dict[str, Any]) -> None:
        database = self.database
        track_id = row["track_id"]
        if database.value("SELECT 1 FROM tracks WHERE track_id = ?", (track_id,)) is None:
            return  # its sound was enrolled again and is another track now
        if kind == "fingerprints":
            row = {**row, "revision": database.next_revision()}
            database.execute(
                "DELETE FROM tombstones WHERE track_id = ? AND identifier = ?",
                (track_id, row["identifier"]),
            )
        self._insert(kind, row)

    def _insert(self, table: str, row: dict[str, Any]) -> None:
        columns = ", ".join(row)
        marks = ", ".join("?" * len(row))
        self.database.execute(
            f"INSERT OR IGNORE INTO {table} ({columns}) VALUES ({marks})",  # noqa: S608 (names come from our own tables)
            list(row.values()),
        )


def bury(database: Database, ids: Sequence[int]) -> None:
    """Tell the indexes that some tracks' fingerprints go; inside a transaction, before they do."""
    marks = ",".join("?" * len(ids))
    buried = database.rows(
        f"SELECT track_id, identifier FROM fingerprints WHERE track_id IN ({marks})",  # noqa: S608 (marks only)
        ids,
    )
    database.execute_many(
        "INSERT OR REPLACE INTO tombstones VALUES (?, ?, ?)",
        [(*key, database.next_revision()) for key in buried],
    )


def drop_loose_payloads(database: Database) -> None:
    """Delete fingerprint bytes that neither a track nor a removal holds any more."""
    database.execute(
        "DELETE FROM payloads WHERE payload_id NOT IN (SELECT payload_id FROM fingerprints)"
        " AND payload_id NOT IN (SELECT payload_id FROM removed_rows WHERE payload_id IS NOT NULL)"
    )


def refresh_search(database: Database, track_id: int) -> None:
    """Renew what searching knows of a track; inside a transaction."""
    found: Row | None = database.row(
        "SELECT title, artist, album, genre FROM tracks WHERE track_id = ?", (track_id,)
    )
    if found is None:
        return
    paths = [
        printable(decode_path(path))
        for (path,) in database.rows(
            "SELECT path FROM locations WHERE track_id = ? ORDER BY location_id", (track_id,)
        )
    ]
    text = fold("\n".join([*found, *paths]))
    database.execute("INSERT OR REPLACE INTO search VALUES (?, ?)", (track_id, text))


def _packed(row: dict[str, Any]) -> str:
    return json.dumps(
        {
            name: {"b64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value
            for name, value in row.items()
        }
    )


def _unpacked(text: str) -> dict[str, Any]:
    return {
        name: base64.b64decode(value["b64"]) if isinstance(value, dict) else value
        for name, value in json.loads(text).items()
    }
