"""A connection to the database file: opening it, telling what is wrong with it, transactions.

Every error of SQLite leaves this module as a sentence (`CatalogError` and its kin), except those
that only a mistake of ours can cause.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from songid_desktop.catalog import schema
from songid_desktop.catalog.names import printable
from songid_desktop.errors import CatalogBusy, CatalogDamaged, CatalogError, CatalogTooNew

_BUSY_TIMEOUT_S = 20.0
"""Long enough for another's largest transaction (taking out a library of 100,000 tracks)."""
_SMALLEST_BYTES = 512
"""Of a page, and so of a database."""
_JOURNAL_LIMIT_BYTES = 64 << 20

Row = tuple[Any, ...]
Parameters = Sequence[Any] | Mapping[str, Any]


_SENTENCES = {
    sqlite3.SQLITE_FULL: (
        "The disk that holds {name} is full. Everything stored so far is safe; make room and run it"
        " again."
    ),
    sqlite3.SQLITE_READONLY: (
        "{name} can't be written, so the library stays as it is. Searching and listening still"
        " work; to change the library, make the file and its folder writable."
    ),
    sqlite3.SQLITE_CANTOPEN: (
        "{name} can't be opened ({error}). Check that its folder exists and that you may read it."
    ),
    sqlite3.SQLITE_IOERR: (
        "Reading or writing {name} failed ({error}). Everything stored so far is safe; check that"
        " the disk has room and is connected, then run it again."
    ),
    sqlite3.SQLITE_TOOBIG: "Something is too large to be stored in {name} ({error}).",
}
_SENTENCES[sqlite3.SQLITE_PERM] = _SENTENCES[sqlite3.SQLITE_READONLY]


def explain(error: sqlite3.Error, path: Path) -> Exception:
    """`error` as something to show, or itself when it can only be a bug."""
    code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
    if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        return damaged(path, str(error))
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return CatalogBusy(
            f"Another program keeps {printable(path)} locked. Nothing was changed; try again when"
            " it is done."
        )
    if code in _SENTENCES:
        return CatalogError(_SENTENCES[code].format(name=printable(path), error=error))
    return error


def damaged(path: Path, detail: str) -> CatalogDamaged:
    return CatalogDamaged(
        f"The library's database {printable(path)} is damaged ({detail}). It was left as it is."
        " `songid catalog verify` lists the faults, `songid catalog rebuild` saves what can be"
        " read into a new database and keeps the old file; or put a backup in its place. Your"
        " music is not affected."
    )


class Database:
    """One connection. Not for two threads at once.

    Attributes
    ----------
    is_read_only : bool
    path : Path
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, is_read_only: bool) -> None:
        self.path = path
        self.is_read_only = is_read_only
        self._connection = connection

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def errors_explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            explained = explain(error, self.path)
            if explained is error:
                raise
            raise explained from error

    def raw_execute(self, sql: str) -> sqlite3.Cursor:
        """Like `execute` with SQLite's own errors, for the check that looks for damage."""
        return self._connection.execute(sql)

    def rows(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        with self.errors_explained():
            return self._connection.execute(sql, parameters).fetchall()

    def row(self, sql: str, parameters: Sequence[Any] = ()) -> Row | None:
        with self.errors_explained():
            found: Row | None = self._connection.execute(sql, parameters).fetchone()
            return found

    def value(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        """First column of the first row, None when there is none."""
        found = self.row(sql, parameters)
        return None if found is None else found[0]

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> sqlite3.Cursor:
        with self.errors_explained():
            return self._connection.execute(sql, parameters)

    def execute_many(self, sql: str, parameters: Sequence[Sequence[Any]]) -> None:
        with self.errors_explained():
            self._connection.executemany(sql, parameters)

    def insert(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Run an INSERT; the new row's id."""
        row_id = self.execute(sql, parameters).lastrowid
        return row_id or 0

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; what is inside becomes visible to others at once, at the end."""
        if self.is_read_only:
            raise CatalogError(
                f"{printable(self.path)} can't be written, so the library stays as it is."
                " Searching and listening still work."
            )
        self.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.execute("UPDATE counters SET value = value + 1 WHERE name = 'changes'")
            self.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                with contextlib.suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
            raise

    def next_revision(self) -> int:
        """A number greater than any before; inside a transaction."""
        self.execute("UPDATE counters SET value = value + 1 WHERE name = 'revision'")
        return int(self.value("SELECT value FROM counters WHERE name = 'revision'"))


def open_database(
    path: Path,
    *,
    create: bool,
    migrations: Mapping[int, Callable[[sqlite3.Connection], None]] | None = None,
    target: int = schema.SCHEMA_VERSION,
) -> Database:
    """Open, and where needed make or bring up to date, the database at `path`.

    Raises
    ------
    CatalogTooNew, CatalogDamaged, CatalogError
    """
    steps = schema.MIGRATIONS if migrations is None else migrations
    is_new = not _exists(path)
    if is_new:
        if not create:
            raise CatalogError(
                f"There is no library at {printable(path)} yet. Enrol a folder of music to make"
                " one."
            )
        _make_folder(path.parent)
    else:
        _check_size(path)
    try:
        database = _connect(path, is_new)
    except sqlite3.Error as error:
        raise explain(error, path) from error
    try:
        with database.errors_explained():
            _bring_up_to_date(database, steps, target)
    except BaseException:
        database.close()
        raise
    return database


def _exists(path: Path) -> bool:
    """Whether there is a database; an empty file is none (unless its log holds one)."""
    try:
        return path.stat().st_size > 0 or _log_size(path) > 0
    except FileNotFoundError:
        return False
    except OSError as error:
        raise CatalogError(
            f"The library at {printable(path)} can't be reached ({error.strerror or error})."
            " Check that its disk is connected and that you may read its folder."
        ) from error


def _log_size(path: Path) -> int:
    try:
        return path.with_name(path.name + "-wal").stat().st_size
    except OSError:
        return 0


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CatalogError(
            f"The library can't be made: {printable(folder)} can't be written"
            f" ({error.strerror or error})."
        ) from error


def _check_size(path: Path) -> None:
    """Tell what SQLite would not: it takes a file too short to be a database for a new, empty one.

    By its size alone. The file is never opened here: on POSIX systems closing it would drop the
    locks that this process's own connections hold on it, another process would then think itself
    the last one and take the write-ahead log away, and from then on the two would not see each
    other's changes (sqlite.org, "How To Corrupt An SQLite Database File", section 2.2).
    """
    try:
        size = path.stat().st_size
    except OSError as error:
        raise CatalogError(
            f"The library at {printable(path)} can't be read ({error.strerror or error})."
            " Check that you may read the file and that its disk is connected."
        ) from error
    if 0 < size < _SMALLEST_BYTES and _log_size(path) == 0:
        raise damaged(path, "it does not begin like a database")


def _connect(path: Path, is_new: bool) -> Database:
    is_read_only = not is_new and not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK))
    modes = ["rwc" if is_new else "rw"]
    if is_read_only:
        modes = ["ro"]
        if _log_size(path) == 0:
            # Beside a file in a folder that can't be written SQLite can't put its shared memory;
            # without a log nothing is lost by reading the file as it lies.
            modes.append("ro&immutable=1")
    for mode in modes:
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={mode}",
            uri=True,
            timeout=_BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,  # one thread at a time, but a reader may be handed over
        )
        try:
            connection.text_factory = lambda stored: stored.decode("utf-8", "replace")
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute("PRAGMA cell_size_check = ON")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA temp_store = MEMORY")
            connection.execute("PRAGMA cache_size = -8192")
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        except sqlite3.OperationalError as error:
            connection.close()
            if mode != modes[-1]:
                continue
            if is_read_only and _log_size(path) > 0:
                raise CatalogError(
                    f"The library {printable(path)} has changes waiting in its log that can only be"
                    " taken in where its folder can be written. Copy the whole folder to a place"
                    " you may write to, or make it writable."
                ) from error
            raise
        except sqlite3.Error:
            connection.close()
            raise
        else:
            return Database(path, connection, is_read_only)
    raise AssertionError("unreachable")


def _bring_up_to_date(
    database: Database,
    migrations: Mapping[int, Callable[[sqlite3.Connection], None]],
    target: int,
) -> None:
    connection = database._connection
    tables, application, version = _identify(connection)
    if not tables and version == 0 and not database.is_read_only:
        _create(connection)
        tables, application, version = _identify(connection)
    if application != schema.APPLICATION_ID:
        raise damaged(database.path, "it is a database, but not one of this program")
    if version > target:
        raise CatalogTooNew(
            f"The library {printable(database.path)} was written by a newer version of this"
            f" program (format {version}, this one knows up to {target}). It was left as it is."
            " Update the program, or use another library with --base-dir."
        )
    if version < target:
        _migrate(database, version, migrations, target)
    if missing := schema.TABLES - _identify(connection)[0]:
        raise damaged(database.path, f"table {min(missing)} is gone")
    if not database.is_read_only:
        if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            _switch_to_log(connection)
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA journal_size_limit = {_JOURNAL_LIMIT_BYTES}")


def _identify(connection: sqlite3.Connection) -> tuple[set[str], int, int]:
    tables = {
        name
        for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        if not name.startswith("sqlite_")
    }
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    return tables, application, version


def _create(connection: sqlite3.Connection) -> None:
    """Make the tables, unless another process that had the same idea did."""
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    _switch_to_log(connection)
    connection.execute("BEGIN IMMEDIATE")
    try:
        if not _identify(connection)[0]:
            schema.create(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _switch_to_log(connection: sqlite3.Connection) -> None:
    """Write-ahead logging; where two processes switch at once SQLite does not wait by itself."""
    deadline = time.monotonic() + _BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def _migrate(
    database: Database,
    version: int,
    migrations: Mapping[int, Callable[[sqlite3.Connection], None]],
    target: int,
) -> None:
    if database.is_read_only:
        raise CatalogError(
            f"The library {printable(database.path)} is of an older version and has to be brought"
            " up to date, but it can't be written. Make the file and its folder writable."
        )
    connection = database._connection
    kept = database.path.with_name(f"{database.path.name}.format{version}")
    if not kept.exists():
        part = kept.with_name(kept.name + ".part")
        part.unlink(missing_ok=True)
        connection.execute("VACUUM INTO ?", (str(part),))
        part.replace(kept)
    connection.execute("BEGIN IMMEDIATE")
    try:
        found = _identify(connection)[2]
        schema.migrate(connection, found, migrations, target)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
