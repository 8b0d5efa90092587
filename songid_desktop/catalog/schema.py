"""The tables, and how an older database becomes a present one."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Callable, Mapping

SCHEMA_VERSION = 1
APPLICATION_ID = 0x534F4E47
"""Stands in the file's header and tells our databases from others: "SONG"."""

_VERSION_1 = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO counters VALUES ('changes', 1), ('revision', 0);

CREATE TABLE covers (
  cover_id INTEGER PRIMARY KEY,
  digest BLOB NOT NULL UNIQUE,
  image BLOB NOT NULL
);

-- by_…: folded, for sorting. last_path: where a track lived that has no
-- location any more, NULL for all others.
CREATE TABLE tracks (
  track_id INTEGER PRIMARY KEY AUTOINCREMENT,
  content_hash BLOB NOT NULL UNIQUE,
  title TEXT NOT NULL, artist TEXT NOT NULL, album TEXT NOT NULL, genre TEXT NOT NULL,
  year INTEGER, track_number INTEGER,
  duration_s REAL NOT NULL,
  warning TEXT NOT NULL,
  cover_id INTEGER REFERENCES covers,
  added_at REAL NOT NULL,
  last_path BLOB,
  by_title TEXT NOT NULL, by_artist TEXT NOT NULL, by_album TEXT NOT NULL, by_genre TEXT NOT NULL
);
CREATE INDEX tracks_homeless ON tracks (track_id) WHERE last_path IS NOT NULL;
CREATE INDEX tracks_by_cover ON tracks (cover_id) WHERE cover_id IS NOT NULL;

-- Folded title, artist, album, genre and paths, one a line, in a table narrow enough to be read
-- through in milliseconds.
CREATE TABLE search (
  track_id INTEGER PRIMARY KEY REFERENCES tracks ON DELETE CASCADE,
  text TEXT NOT NULL
);

CREATE TABLE locations (
  location_id INTEGER PRIMARY KEY,
  path BLOB NOT NULL UNIQUE,
  track_id INTEGER NOT NULL REFERENCES tracks ON DELETE CASCADE,
  size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
  is_present INTEGER NOT NULL
);
CREATE INDEX locations_by_track ON locations (track_id);

CREATE TABLE identifiers (name TEXT PRIMARY KEY, config_digest TEXT NOT NULL) WITHOUT ROWID;

-- The bytes apart from what is said about them, so that counting does not read them.
-- An id is never used twice: a reader may hold one whose row has just been replaced.
CREATE TABLE payloads (payload_id INTEGER PRIMARY KEY AUTOINCREMENT, bytes BLOB NOT NULL);
CREATE TABLE fingerprints (
  track_id INTEGER NOT NULL REFERENCES tracks ON DELETE CASCADE,
  identifier TEXT NOT NULL,
  config_digest TEXT NOT NULL,
  duration_s REAL NOT NULL,
  size INTEGER NOT NULL,
  checksum INTEGER NOT NULL,
  payload_id INTEGER NOT NULL UNIQUE REFERENCES payloads,
  revision INTEGER NOT NULL,
  PRIMARY KEY (track_id, identifier)
) WITHOUT ROWID;
CREATE UNIQUE INDEX fingerprints_by_revision ON fingerprints (identifier, revision);
CREATE INDEX fingerprints_by_config ON fingerprints (identifier, config_digest);
CREATE TABLE tombstones (
  track_id INTEGER NOT NULL,
  identifier TEXT NOT NULL,
  revision INTEGER NOT NULL,
  PRIMARY KEY (track_id, identifier)
) WITHOUT ROWID;
CREATE UNIQUE INDEX tombstones_by_revision ON tombstones (identifier, revision);
CREATE TABLE failures (
  track_id INTEGER NOT NULL REFERENCES tracks ON DELETE CASCADE,
  identifier TEXT NOT NULL,
  config_digest TEXT NOT NULL,
  problem TEXT NOT NULL, message TEXT NOT NULL, seen_at REAL NOT NULL,
  PRIMARY KEY (track_id, identifier)
) WITHOUT ROWID;

CREATE TABLE problem_files (
  path BLOB PRIMARY KEY,
  size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
  problem TEXT NOT NULL, message TEXT NOT NULL, seen_at REAL NOT NULL,
  program TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE folders (path BLOB PRIMARY KEY, added_at REAL NOT NULL) WITHOUT ROWID;
-- Files a rescan must not bring back, and the removal that said so.
CREATE TABLE kept_out (path BLOB PRIMARY KEY, token TEXT NOT NULL) WITHOUT ROWID;

-- What removals took, as it was, until they are past undoing.
CREATE TABLE removals (token TEXT PRIMARY KEY, removed_at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE removed_rows (
  token TEXT NOT NULL REFERENCES removals ON DELETE CASCADE,
  kind TEXT NOT NULL,
  row TEXT NOT NULL,
  payload_id INTEGER REFERENCES payloads
);
CREATE INDEX removed_rows_by_token ON removed_rows (token);
CREATE INDEX removed_rows_by_payload ON removed_rows (payload_id) WHERE payload_id IS NOT NULL;

-- track_id is no foreign key: a play outlives its track, and finds it again after an undo.
CREATE TABLE history (
  play_id INTEGER PRIMARY KEY AUTOINCREMENT,
  started_at REAL NOT NULL, ended_at REAL NOT NULL,
  track_id INTEGER,
  title TEXT NOT NULL, artist TEXT NOT NULL, album TEXT NOT NULL,
  path BLOB,
  offset_s REAL NOT NULL, confidence REAL NOT NULL,
  identifier TEXT NOT NULL, verdict TEXT NOT NULL, source TEXT NOT NULL,
  clip BLOB,
  note TEXT NOT NULL,
  is_favourite INTEGER NOT NULL,
  search TEXT NOT NULL,
  deleted_by TEXT, deleted_at REAL
);
CREATE INDEX history_by_time ON history (started_at);
CREATE INDEX history_by_track ON history (track_id) WHERE track_id IS NOT NULL;
CREATE INDEX history_deleted ON history (deleted_by) WHERE deleted_by IS NOT NULL;
"""

MIGRATIONS: Mapping[int, Callable[[sqlite3.Connection], None]] = {}
"""Version n → what makes it n + 1. Each runs inside one transaction together with the others."""

TABLES = frozenset(
    {
        "meta", "counters", "covers", "tracks", "search", "locations", "identifiers", "payloads",
        "fingerprints", "tombstones", "failures", "problem_files", "folders", "kept_out",
        "removals", "removed_rows", "history",
    }
)  # fmt: skip


def run_statements(connection: sqlite3.Connection, statements: str) -> None:
    """Run several statements inside the present transaction (`executescript` would commit it)."""
    pending = ""
    for line in statements.splitlines():
        if line.startswith("--"):
            continue
        pending += line + "\n"
        if sqlite3.complete_statement(pending):
            connection.execute(pending)
            pending = ""


def create(connection: sqlite3.Connection) -> None:
    """Make the tables of the present version, inside a transaction of the caller's."""
    run_statements(connection, _VERSION_1)
    connection.execute("INSERT INTO meta VALUES ('catalog_id', ?)", (uuid.uuid4().hex,))
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def migrate(
    connection: sqlite3.Connection,
    version: int,
    migrations: Mapping[int, Callable[[sqlite3.Connection], None]],
    target: int,
) -> None:
    """Bring the tables from `version` to `target`, inside a transaction of the caller's."""
    for step in range(version, target):
        migrations[step](connection)
    connection.execute(f"PRAGMA user_version = {target}")
