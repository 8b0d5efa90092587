"""Is the database sound? SQLite's own checks first, then what only we can know."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator
from pathlib import Path

from songid_desktop.catalog.database import Database

_FAULTS_SHOWN = 20

# What is said of the rows that should not be, and how to count them.
_QUERIES = {
    "{} fingerprints belong to no track.": """
        SELECT count(*) FROM payloads
         WHERE payload_id NOT IN (SELECT payload_id FROM fingerprints)
           AND payload_id NOT IN
               (SELECT payload_id FROM removed_rows WHERE payload_id IS NOT NULL)""",
    "{} tracks can't be found by searching.": """
        SELECT count(*) FROM tracks WHERE track_id NOT IN (SELECT track_id FROM search)""",
    "{} tracks have no location.": """
        SELECT count(*) FROM tracks
         WHERE last_path IS NULL AND track_id NOT IN (SELECT track_id FROM locations)""",
    "{} fingerprints are both there and removed.": """
        SELECT count(*) FROM fingerprints JOIN tombstones USING (track_id, identifier)""",
    "{} fingerprints are newer than the catalog itself.": """
        SELECT count(*) FROM fingerprints
         WHERE revision > (SELECT value FROM counters WHERE name = 'revision')""",
    "{} tracks have an impossible identity or length.": """
        SELECT count(*) FROM tracks WHERE length(content_hash) != 20 OR duration_s < 0""",
}


def faults(database: Database) -> list[str]:
    """A sentence per fault, empty when the database is sound."""
    found: list[str] = []
    try:
        for fault in _all_faults(database):
            found.append(fault)
            if len(found) >= _FAULTS_SHOWN:
                found.append("There may be more; the rest was not checked.")
                break
    except sqlite3.Error as error:
        found.append(f"The check itself ended early: {error}.")
    return found


def faults_of_file(path: Path) -> list[str]:
    """What SQLite says of a file that can't be opened as a library."""
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    except sqlite3.Error as error:
        return [f"SQLite: {error}."]
    try:
        lines = connection.execute("PRAGMA quick_check(20)").fetchall()
    except sqlite3.Error as error:
        return [f"SQLite: {error}."]
    finally:
        connection.close()
    return [f"SQLite: {line}." for (line,) in lines if line != "ok"]


def _all_faults(database: Database) -> Iterator[str]:
    # The connection's own errors: a damaged database is the answer here, not an exception.
    run = database.raw_execute
    for (line,) in run("PRAGMA quick_check(20)"):
        if line != "ok":
            yield f"SQLite: {line}."
    for table, row_id, parent, _ in run("PRAGMA foreign_key_check"):
        yield f"Row {row_id} of {table} points to nothing in {parent}."
    for sentence, sql in _QUERIES.items():
        (count,) = run(sql).fetchone()
        if count:
            yield sentence.format(count)
    for track_id, name, size, checksum, payload in run(
        "SELECT track_id, identifier, size, checksum, bytes"
        " FROM fingerprints LEFT JOIN payloads USING (payload_id)"
    ):
        if payload is None or len(payload) != size or zlib.crc32(payload) != checksum:
            yield f"The {name} fingerprint of track {track_id} is not what was stored."
