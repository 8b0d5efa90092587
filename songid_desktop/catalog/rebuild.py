"""Save what can be read of a damaged database into a new one.

Rows are read one by one past the damage, and taken over only where everything they need came
along: a fingerprint whose bytes are not what was stored is left out (its track is then pending),
a location without its track is dropped. The old file is kept.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from songid_desktop.catalog import lock, schema
from songid_desktop.catalog.catalog import Catalog
from songid_desktop.catalog.database import Database, Row, open_database
from songid_desktop.catalog.ingest import Ingest
from songid_desktop.catalog.names import printable
from songid_desktop.errors import CatalogError, CatalogTooNew
from songid_desktop.paths import Paths

_REVISION_GAP = 1 << 32
"""Added to the newest revision found, which may not be the newest there was."""

# Parents before children. What removals could have brought back is not taken over.
_ORDER = (
    "covers",
    "tracks",
    "locations",
    "identifiers",
    "payloads",
    "fingerprints",
    "failures",
    "problem_files",
    "folders",
    "kept_out",
    "history",
)


@dataclass(frozen=True, slots=True)
class RebuildReport:
    """What a rebuild saved."""

    kept_file: Path
    """The old database, where it lies now."""
    saved: dict[str, int] = field(default_factory=dict)
    """Table → rows taken over."""
    lost: dict[str, int] = field(default_factory=dict)
    """Table → rows that were found but could not be taken over whole."""
    faults: tuple[str, ...] = ()
    """Sentences on what could not be read."""


def rebuild(paths: Paths, holder: str = "SongID") -> RebuildReport:
    """Make a new database out of what can be read of the one at `paths.catalog`.

    Raises
    ------
    CatalogBusy, CatalogTooNew
    CatalogError
        There is nothing to rebuild, or the folder can't be written. The old file stays in place.
    """
    if not paths.catalog.exists():
        raise CatalogError(f"There is no library at {printable(paths.catalog)} to rebuild.")
    with lock.hold(paths.writer_lock, holder):
        fresh_path = paths.catalog.with_name(paths.catalog.name + ".rebuilt")
        _remove(fresh_path)
        try:
            report = _salvage(paths.catalog, fresh_path)
            kept = _set_aside(paths.catalog)
            fresh_path.replace(paths.catalog)
        except OSError as error:
            raise CatalogError(
                f"The library could not be rebuilt ({error.strerror or error}); the old file is as"
                " it was. Make room or make the folder writable, and run it again."
            ) from error
        finally:
            _remove(fresh_path)
    with Catalog.open(paths, create=False):
        pass  # what was put in place can be opened
    return RebuildReport(kept, report.saved, report.lost, report.faults)


def _remove(path: Path) -> None:
    for ending in ("", "-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)


def _set_aside(path: Path) -> Path:
    """Rename the old database, its log with it."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    kept = path.with_name(f"{path.stem}.damaged-{stamp}{path.suffix}")
    for ending in ("-shm", "-wal", ""):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + ending).replace(kept.with_name(kept.name + ending))
    return kept


def _salvage(old_path: Path, fresh_path: Path) -> RebuildReport:
    old = sqlite3.connect(f"{old_path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None)
    old.text_factory = lambda stored: stored.decode("utf-8", "replace")
    faults: list[str] = []
    saved: dict[str, int] = {}
    lost: dict[str, int] = {}
    try:
        _refuse_newer(old, old_path)
        fresh = open_database(fresh_path, create=True)
        try:
            with fresh.transaction():
                for table in _ORDER:
                    saved[table], lost[table] = _copy(old, fresh, table, faults)
                _tidy(fresh)
            fresh.execute("PRAGMA journal_mode = DELETE")
        finally:
            fresh.close()
    finally:
        old.close()
    return RebuildReport(old_path, saved, {k: n for k, n in lost.items() if n}, tuple(faults))


def _refuse_newer(old: sqlite3.Connection, path: Path) -> None:
    with contextlib.suppress(sqlite3.DatabaseError):
        version = old.execute("PRAGMA user_version").fetchone()[0]
        if version > schema.SCHEMA_VERSION:
            raise CatalogTooNew(
                f"The library {printable(path)} was written by a newer version of this program;"
                " only that one can rebuild it. Update the program."
            )


def _copy(
    old: sqlite3.Connection, fresh: Database, table: str, faults: list[str]
) -> tuple[int, int]:
    """Take over one table; rows saved, rows lost."""
    columns = [name for _, name, *_ in fresh.rows(f"PRAGMA table_info({table})")]
    marks = ", ".join("?" * len(columns))
    saved = lost = 0
    for row in _readable_rows(old, table, columns, faults):
        try:
            fresh.execute(f"INSERT INTO {table} VALUES ({marks})", row)  # noqa: S608 (our own names)
            saved += 1
        except sqlite3.IntegrityError:
            lost += 1
    return saved, lost


def _readable_rows(
    old: sqlite3.Connection, table: str, columns: list[str], faults: list[str]
) -> Iterator[Row]:
    """Rows from the front up to the damage, then, where rows are numbered, from the back."""
    listed = ", ".join(columns)
    number = columns[0]
    is_numbered = number.endswith("_id") and table not in {"fingerprints", "failures"}
    seen: set[object] = set()
    for direction in ("ASC", "DESC"):
        order = f" ORDER BY {number} {direction}" if is_numbered else ""
        try:
            for row in old.execute(f"SELECT {listed} FROM {table}{order}"):  # noqa: S608 (our own names)
                if not is_numbered or row[0] not in seen:
                    seen.add(row[0])
                    yield row
        except sqlite3.DatabaseError as error:
            faults.append(f"Not all of {table} could be read ({error}).")
            if is_numbered:
                continue
        return


def _tidy(fresh: Database) -> None:
    """Drop what lost its other half, and renew what can be worked out."""
    wrong = [
        (track_id, name)
        for track_id, name, size, checksum, payload in fresh.rows(
            "SELECT track_id, identifier, size, checksum, bytes"
            " FROM fingerprints JOIN payloads USING (payload_id)"
        )
        if len(payload) != size or zlib.crc32(payload) != checksum
    ]
    fresh.execute_many("DELETE FROM fingerprints WHERE track_id = ? AND identifier = ?", wrong)
    fresh.execute(
        "DELETE FROM payloads WHERE payload_id NOT IN (SELECT payload_id FROM fingerprints)"
    )
    fresh.execute("DELETE FROM tracks WHERE track_id NOT IN (SELECT track_id FROM locations)")
    fresh.execute(
        "UPDATE counters SET value = ? + (SELECT coalesce(max(revision), 0) FROM fingerprints)"
        " WHERE name = 'revision'",
        (_REVISION_GAP,),
    )
    ingest = Ingest(fresh, ())
    for (track_id,) in fresh.rows("SELECT track_id FROM tracks"):
        ingest.refresh(track_id)
