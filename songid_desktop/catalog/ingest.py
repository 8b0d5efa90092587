"""What enrolment writes: one transaction per file, each leaving a whole library behind."""

from __future__ import annotations

import hashlib
import time
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

import songid_desktop
from songid_desktop.catalog.database import Database
from songid_desktop.catalog.names import decode_path, fold, is_below
from songid_desktop.catalog.records import ProblemFile
from songid_desktop.catalog.stages import Examined, Fingerprinted
from songid_desktop.catalog.writer import bury, drop_loose_payloads, refresh_search
from songid_desktop.types import FileProblem, Fingerprint, Fingerprinter, Tags

_AGAIN = ", ".join(f"'{problem.value}'" for problem in FileProblem if not problem.is_final)
"""Failures that are no verdict on the track."""


class Placing(Enum):
    """What it meant for the library that a file holds sound that was known."""

    UNCHANGED = "unchanged"
    UPDATED = "updated"
    MOVED = "moved"
    COPY = "copy"


@dataclass(frozen=True, slots=True)
class FileStamp:
    """A path as stored, with what tells whether the file is as it was."""

    path: bytes
    size: int
    mtime_ns: int


class Ingest:
    """The writer's half of an enrolment. Use under the writer lock only."""

    def __init__(self, database: Database, fingerprinters: Sequence[Fingerprinter]) -> None:
        self._database = database
        self._configs = {item.name: item.config_digest for item in fingerprinters}

    def declare(self) -> None:
        """Make the configurations of this enrolment the ones that count."""
        stored: dict[str, str] = dict(
            self._database.rows("SELECT name, config_digest FROM identifiers")
        )
        changed = {
            name: config for name, config in self._configs.items() if stored.get(name) != config
        }
        if changed:
            with self._database.transaction():
                self._database.execute_many(
                    "INSERT OR REPLACE INTO identifiers VALUES (?, ?)", list(changed.items())
                )

    def set_presence(self, present: Iterable[bytes], missing: Iterable[bytes]) -> None:
        """Mark locations as there or not there."""
        changes = [(1, path) for path in present] + [(0, path) for path in missing]
        if changes:
            with self._database.transaction():
                self._database.execute_many(
                    "UPDATE locations SET is_present = ? WHERE path = ?", changes
                )

    def forget_problems(self, paths: Iterable[bytes]) -> None:
        """Drop problem rows of files that are gone or well again."""
        gone = [(path,) for path in paths]
        if gone:
            with self._database.transaction():
                self._database.execute_many("DELETE FROM problem_files WHERE path = ?", gone)

    def record_problem(self, stamp: FileStamp, problem: FileProblem, message: str) -> ProblemFile:
        """Note that a file can't be enrolled. What was known at its path is missing from now."""
        seen_at = time.time()
        with self._database.transaction():
            self._database.execute(
                "INSERT OR REPLACE INTO problem_files VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    stamp.path,
                    stamp.size,
                    stamp.mtime_ns,
                    problem.value,
                    message,
                    seen_at,
                    songid_desktop.__version__,
                ),
            )
            self._database.execute(
                "UPDATE locations SET is_present = 0 WHERE path = ?", (stamp.path,)
            )
        return ProblemFile(decode_path(stamp.path), problem, message, seen_at)

    def find(self, content_hash: bytes) -> int | None:
        found = self._database.value(
            "SELECT track_id FROM tracks WHERE content_hash = ?", (content_hash,)
        )
        return None if found is None else int(found)

    def settled(self) -> set[int]:
        """Tracks that lack nothing of this enrolment."""
        found: set[int] | None = None
        for item in self._configs.items():
            ids = {
                track_id
                for (track_id,) in self._database.rows(
                    "SELECT track_id FROM fingerprints WHERE identifier = ?1"  # noqa: S608 (fixed names)
                    " AND config_digest = ?2"
                    " UNION ALL"
                    " SELECT track_id FROM failures WHERE identifier = ?1 AND config_digest = ?2"
                    f" AND problem NOT IN ({_AGAIN})",
                    item,
                )
            }
            found = ids if found is None else found & ids
        return found or set()

    def lacking(self, track_id: int) -> tuple[str, ...]:
        """Identifiers of this enrolment that have neither a fingerprint nor a verdict on a
        track."""
        settled = {
            (name, config)
            for name, config in self._database.rows(
                "SELECT identifier, config_digest FROM fingerprints"  # noqa: S608 (ditto)
                " WHERE track_id = :track"
                " UNION SELECT identifier, config_digest FROM failures WHERE track_id = :track"
                f" AND problem NOT IN ({_AGAIN})",
                {"track": track_id},
            )
        }
        return tuple(name for name in self._configs if (name, self._configs[name]) not in settled)

    def add_track(self, file: Examined, prints: Fingerprinted) -> tuple[int, bool]:
        """Store a recording that is new to the library.

        Returns
        -------
        (int, bool)
            Its track id, and whether its path held another recording before.
        """
        database = self._database
        with database.transaction():
            cover_id = self._store_cover(file.cover)
            track_id = database.insert(
                "INSERT INTO tracks (content_hash, title, artist, album, genre, year, track_number,"
                " duration_s, warning, cover_id, added_at, by_title, by_artist, by_album, by_genre)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '', '', '', '')",
                (
                    file.content_hash,
                    *_tag_values(file.tags),
                    prints.duration_s,
                    prints.warning,
                    cover_id,
                    time.time(),
                ),
            )
            before = self._owner(file.stamp_path)
            self._settle(track_id, file)
            if before is not None:
                self._leave(before, file.stamp_path)
            self.refresh(track_id)
            self._store_prints(track_id, prints)
        return track_id, before is not None

    def add_prints(self, track_id: int, prints: Fingerprinted) -> None:
        """Store what was made of a track that is in the library already."""
        with self._database.transaction():
            if self._database.value("SELECT 1 FROM tracks WHERE track_id = ?", (track_id,)) is None:
                return
            self._store_prints(track_id, prints)

    def fail_prints(
        self, track_id: int, names: Sequence[str], problem: FileProblem, message: str
    ) -> None:
        """Note that a known track could not be fingerprinted for `names`."""
        nothing = Fingerprinted((), tuple((name, problem, message) for name in names), 0.0, "")
        self.add_prints(track_id, nothing)

    def place(self, track_id: int, file: Examined) -> Placing:
        """Put a file whose sound is known where it belongs."""
        database = self._database
        path = file.stamp_path
        with database.transaction():
            before = self._owner(path)
            if before == track_id:
                placing = Placing.UNCHANGED
                self._settle(track_id, file)
                if self._renew_tags(track_id, file):
                    placing = Placing.UPDATED
            elif before is not None:
                placing = Placing.MOVED if self._vacate_one(track_id) else Placing.UPDATED
                self._settle(track_id, file)
                self._leave(before, path)
            elif self._vacate_one(track_id):
                placing = Placing.MOVED
                self._settle(track_id, file)
                self._renew_tags(track_id, file)
            else:
                placing = Placing.COPY
                self._settle(track_id, file)
            self.refresh(track_id)
        return placing

    def forget_replaced(self) -> None:
        """Drop recordings whose every file now holds other sound; what was heard of them goes
        to the track that lives there now. At the end of a whole scan, when they can't turn up
        elsewhere any more."""
        database = self._database
        homeless = database.rows(
            "SELECT track_id, last_path FROM tracks WHERE last_path IS NOT NULL"
        )
        if not homeless:
            return
        with database.transaction():
            for track_id, last_path in homeless:
                heir = self._owner(last_path)
                if heir is not None:
                    database.execute(
                        "UPDATE history SET track_id = ? WHERE track_id = ?", (heir, track_id)
                    )
                bury(database, [track_id])
                database.execute("DELETE FROM tracks WHERE track_id = ?", (track_id,))
            drop_loose_payloads(database)

    def _owner(self, path: bytes) -> int | None:
        found = self._database.value("SELECT track_id FROM locations WHERE path = ?", (path,))
        return None if found is None else int(found)

    def _settle(self, track_id: int, file: Examined) -> None:
        """Make the file a present location of the track."""
        self._database.execute(
            "INSERT INTO locations (path, track_id, size, mtime_ns, is_present)"
            " VALUES (?, ?, ?, ?, 1) ON CONFLICT (path) DO UPDATE SET track_id = excluded.track_id,"
            " size = excluded.size, mtime_ns = excluded.mtime_ns, is_present = 1",
            (file.stamp_path, track_id, file.size, file.mtime_ns),
        )
        self._database.execute(
            "UPDATE tracks SET last_path = NULL WHERE track_id = ? AND last_path IS NOT NULL",
            (track_id,),
        )
        self._database.execute("DELETE FROM problem_files WHERE path = ?", (file.stamp_path,))
        self._database.execute("DELETE FROM kept_out WHERE path = ?", (file.stamp_path,))

    def _leave(self, track_id: int, path: bytes) -> None:
        """`path` holds other sound than `track_id` now: remember where that one lived, should it
        have been its only home."""
        self._database.execute(
            "UPDATE tracks SET last_path = ? WHERE track_id = ?"
            " AND NOT EXISTS (SELECT 1 FROM locations WHERE locations.track_id = tracks.track_id)",
            (path, track_id),
        )
        refresh_search(self._database, track_id)

    def _vacate_one(self, track_id: int) -> bool:
        """Give up a location the track has moved away from; False when it has not.

        A path that is gone together with its whole folder is no move: the drive may come back.
        """
        database = self._database
        locations = database.rows(
            "SELECT path FROM locations WHERE track_id = ? ORDER BY location_id", (track_id,)
        )
        if not locations:
            return True  # it was replaced where it lived, and turns up here
        folders = [path for (path,) in database.rows("SELECT path FROM folders")]
        for (path,) in locations:
            home = next((folder for folder in folders if is_below(path, folder)), None)
            folder = decode_path(path).parent if home is None else decode_path(home)
            if not decode_path(path).exists() and folder.is_dir():
                database.execute("DELETE FROM locations WHERE path = ?", (path,))
                return True
        return False

    def _renew_tags(self, track_id: int, file: Examined) -> bool:
        """Take over the file's tags and cover; whether anything differs."""
        database = self._database
        new = (*_tag_values(file.tags), self._store_cover(file.cover))
        old = database.row(
            "SELECT title, artist, album, genre, year, track_number, cover_id FROM tracks"
            " WHERE track_id = ?",
            (track_id,),
        )
        if new == old:
            return False
        database.execute(
            "UPDATE tracks SET title = ?, artist = ?, album = ?, genre = ?, year = ?,"
            " track_number = ?, cover_id = ? WHERE track_id = ?",
            (*new, track_id),
        )
        return True

    def refresh(self, track_id: int) -> None:
        """Work out anew what sorting and searching look at; inside a transaction."""
        database = self._database
        found = database.row(
            "SELECT title, artist, album, genre FROM tracks WHERE track_id = ?", (track_id,)
        )
        if found is None:
            return
        title, artist, album, genre = found
        first = database.value(
            "SELECT path FROM locations WHERE track_id = ? ORDER BY location_id", (track_id,)
        )
        shown = title or ("" if first is None else decode_path(first).stem)
        database.execute(
            "UPDATE tracks SET by_title = ?, by_artist = ?, by_album = ?, by_genre = ?"
            " WHERE track_id = ?",
            (*(_sort_key(text) for text in (shown, artist, album, genre)), track_id),
        )
        refresh_search(database, track_id)

    def _store_cover(self, image: bytes | None) -> int | None:
        if image is None:
            return None
        digest = hashlib.blake2b(image, digest_size=16).digest()
        known = self._database.value("SELECT cover_id FROM covers WHERE digest = ?", (digest,))
        if known is not None:
            return int(known)
        return self._database.insert(
            "INSERT INTO covers (digest, image) VALUES (?, ?)", (digest, image)
        )

    def _store_prints(self, track_id: int, prints: Fingerprinted) -> None:
        for fingerprint in prints.fingerprints:
            self._store_fingerprint(track_id, fingerprint)
        for name, problem, message in prints.failures:
            if name in self._configs:
                self._database.execute(
                    "INSERT OR REPLACE INTO failures VALUES (?, ?, ?, ?, ?, ?)",
                    (track_id, name, self._configs[name], problem.value, message, time.time()),
                )

    def _store_fingerprint(self, track_id: int, fingerprint: Fingerprint) -> None:
        database, key = self._database, (track_id, fingerprint.identifier)
        old = database.value(
            "SELECT payload_id FROM fingerprints WHERE track_id = ? AND identifier = ?", key
        )
        payload_id = database.insert(
            "INSERT INTO payloads (bytes) VALUES (?)", (fingerprint.payload,)
        )
        database.execute(
            "INSERT OR REPLACE INTO fingerprints VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *key,
                fingerprint.config_digest,
                fingerprint.duration_s,
                len(fingerprint.payload),
                zlib.crc32(fingerprint.payload),
                payload_id,
                database.next_revision(),
            ),
        )
        if old is not None:
            database.execute("DELETE FROM payloads WHERE payload_id = ?", (old,))
        for table in ("tombstones", "failures"):
            database.execute(
                f"DELETE FROM {table} WHERE track_id = ? AND identifier = ?",  # noqa: S608 (two fixed names)
                key,
            )


def _tag_values(tags: Tags) -> tuple[str, str, str, str, int | None, int | None]:
    return tags.title, tags.artist, tags.album, tags.genre, tags.year, tags.track_number


def _sort_key(text: str) -> str:
    """Folded, and "The …" sorted under what follows."""
    folded = fold(text).strip()
    return folded.removeprefix("the ") or folded
