"""The library's database, as the rest of the program sees it.

with Catalog.open(paths) as catalog:
    for track in catalog.tracks(search="beatles"): ...
    with catalog.writer("songid catalog remove") as writer:
        token = writer.remove_tracks([3, 4])
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from songid_desktop.catalog import check, lock
from songid_desktop.catalog.database import Database, open_database
from songid_desktop.catalog.fingerprints import CatalogReader
from songid_desktop.catalog.names import (
    absolute,
    decode_path,
    encode_path,
    is_below,
    printable,
    search_words,
)
from songid_desktop.catalog.records import LibraryCounts, ProblemFile
from songid_desktop.catalog.track_rows import load_tracks
from songid_desktop.catalog.writer import CatalogWriter
from songid_desktop.errors import CatalogDamaged, CatalogError, UsageError
from songid_desktop.paths import Paths
from songid_desktop.types import FileProblem, Track

_ORDERS = {
    "artist": "by_artist = '', by_artist {0}, by_album {0}, track_number {0}, by_title {0}",
    "title": "by_title {0}, by_artist {0}",
    "album": "by_album = '', by_album {0}, track_number {0}, by_title {0}",
    "genre": "by_genre = '', by_genre {0}, by_artist {0}, by_title {0}",
    "duration": "duration_s {0}",
    "added": "added_at {0}",
    "path": "(SELECT min(path) FROM locations WHERE locations.track_id = tracks.track_id) {0}",
}
ORDERS = tuple(_ORDERS)

# A track without any location is one whose sound was replaced and that the scan under way may yet
# find elsewhere: not shown.
_SHOWN = "last_path IS NULL"
_HOMELESS = "SELECT track_id FROM tracks WHERE last_path IS NOT NULL"


class Catalog:
    """One connection to the library; use from one thread, open another for the next thread.

    Attributes
    ----------
    is_read_only : bool
        The folder or file can't be written: everything can be looked at, nothing changed.
    notice : str
        A sentence for people when something about the catalog is out of the ordinary (read-only),
        else empty.
    """

    def __init__(self, paths: Paths, database: Database, configs: Mapping[str, str] | None) -> None:
        self.paths = paths
        self.database = database
        """For the other modules of this package."""
        self.is_read_only = database.is_read_only
        self.notice = ""
        if database.is_read_only:
            self.notice = (
                f"The library {printable(database.path)} can't be written: searching and listening"
                " work, changes and history are not kept. Make the file and its folder writable"
                " to change that."
            )
        self._given_configs = None if configs is None else dict(configs)
        self._readers: list[CatalogReader] = []

    @classmethod
    def open(
        cls, paths: Paths, *, create: bool = True, configs: Mapping[str, str] | None = None
    ) -> Catalog:
        """Open the catalog of `paths`; an absent one is made when `create`, else CatalogError.

        `configs` gives identifiers' present configuration digests (name → digest): what was
        fingerprinted with another one counts as pending. Without it the digests of the latest
        enrolment are taken.

        Raises
        ------
        CatalogTooNew, CatalogDamaged, CatalogError
        """
        return cls(paths, open_database(paths.catalog, create=create), configs)

    def close(self) -> None:
        """Close this connection and the readers it gave out."""
        for reader in self._readers:
            reader.close()
        self._readers.clear()
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def change_counter(self) -> int:
        """Grows with every visible change, by this or any other process. One tiny read."""
        return int(self.database.value("SELECT value FROM counters WHERE name = 'changes'"))

    def configs(self) -> dict[str, str]:
        """Known identifiers and the configuration digest that counts as present."""
        stored: dict[str, str] = dict(
            self.database.rows("SELECT name, config_digest FROM identifiers")
        )
        return {**stored, **(self._given_configs or {})}

    def tracks(
        self,
        *,
        search: str = "",
        limit: int | None = None,
        offset: int = 0,
        order: str = "artist",
        descending: bool = False,
    ) -> list[Track]:
        """Tracks whose title, artist, album, genre or path holds every word of `search` (case
        and accents ignored), in one of `ORDERS`; tracks without an artist (album, genre) last."""
        if order not in _ORDERS:
            raise UsageError(f"Tracks can be ordered by {', '.join(ORDERS)}, not by {order!r}.")
        direction = "DESC" if descending else "ASC"
        condition, parameters = _condition(search)
        ids = [
            track_id
            for (track_id,) in self.database.rows(
                f"SELECT track_id FROM tracks WHERE {condition}"  # noqa: S608 (our own text only)
                f" ORDER BY {_ORDERS[order].format(direction)}, track_id LIMIT ? OFFSET ?",
                [*parameters, -1 if limit is None else max(0, limit), max(0, offset)],
            )
        ]
        return list(load_tracks(self.database, ids, self.configs()).values())

    def track_count(self, search: str = "") -> int:
        condition, parameters = _condition(search)
        return int(
            self.database.value(f"SELECT count(*) FROM tracks WHERE {condition}", parameters)  # noqa: S608 (our own text only)
        )

    def track(self, track_id: int) -> Track | None:
        return self.tracks_by_id([track_id]).get(track_id)

    def tracks_by_id(self, ids: Iterable[int]) -> dict[int, Track]:
        return load_tracks(self.database, list(dict.fromkeys(ids)), self.configs())

    def find_path(self, path: Path) -> Track | None:
        """The track that has `path` among its locations."""
        track_id = self.database.value(
            "SELECT track_id FROM locations WHERE path = ?", (encode_path(absolute(path)),)
        )
        return None if track_id is None else self.track(track_id)

    def cover(self, track_id: int) -> bytes | None:
        """Cover art as stored in the file: JPEG or PNG, at most 2 MB."""
        image = self.database.value(
            "SELECT image FROM covers JOIN tracks USING (cover_id) WHERE track_id = ?", (track_id,)
        )
        return None if image is None else bytes(image)

    def counts(self) -> LibraryCounts:
        """The library in numbers."""
        value = self.database.value
        tracks, duration_s = self.database.rows(
            "SELECT count(*), coalesce(sum(duration_s), 0.0) FROM tracks WHERE last_path IS NULL"
        )[0]
        present = value("SELECT count(DISTINCT track_id) FROM locations WHERE is_present")
        enrolled: dict[str, int] = {}
        failed: dict[str, int] = {}
        for name, config in self.configs().items():
            for table, counted in (("fingerprints", enrolled), ("failures", failed)):
                counted[name] = value(
                    f"SELECT count(*) FROM {table} WHERE identifier = ? AND config_digest = ?"  # noqa: S608 (two fixed names)
                    f" AND track_id NOT IN ({_HOMELESS})",
                    (name, config),
                )
        sizes = self.database.rows(
            "SELECT identifier, sum(size) FROM fingerprints GROUP BY identifier"
        )
        return LibraryCounts(
            tracks=tracks,
            missing=tracks - present,
            problems=value("SELECT count(*) FROM problem_files"),
            duration_s=duration_s,
            enrolled=enrolled,
            pending={name: tracks - enrolled[name] - failed[name] for name in enrolled},
            failed=failed,
            fingerprint_bytes=dict(sizes),
            cover_bytes=value("SELECT coalesce(sum(length(image)), 0) FROM covers"),
            database_bytes=self._bytes_on_disk(),
            folders=value("SELECT count(*) FROM folders"),
            locations=value("SELECT count(*) FROM locations"),
        )

    def _bytes_on_disk(self) -> int:
        total = 0
        for ending in ("", "-wal"):
            try:
                total += (
                    self.database.path.with_name(self.database.path.name + ending).stat().st_size
                )
            except OSError:
                continue
        return total

    def problems(self) -> list[ProblemFile]:
        """Files and folders that could not be enrolled, by path."""
        return [
            ProblemFile(decode_path(path), FileProblem(problem), message, seen_at)
            for path, problem, message, seen_at in self.database.rows(
                "SELECT path, problem, message, seen_at FROM problem_files ORDER BY path"
            )
        ]

    def folders(self) -> list[Path]:
        """Folders the library was built from."""
        return [
            decode_path(path)
            for (path,) in self.database.rows("SELECT path FROM folders ORDER BY path")
        ]

    def roots(self) -> list[Path]:
        """What a rescan has to look at: the folders, and files that were added one by one."""
        folders = [path for (path,) in self.database.rows("SELECT path FROM folders ORDER BY path")]
        files = [
            path
            for (path,) in self.database.rows(
                "SELECT path FROM locations UNION SELECT path FROM problem_files ORDER BY path"
            )
            if not any(is_below(path, folder) for folder in folders)
        ]
        return [decode_path(path) for path in folders + files]

    def reader(self) -> CatalogReader:
        """A `types.FingerprintReader` on a connection of its own, for whichever thread uses it;
        closed with this catalog, or by itself."""
        reader = CatalogReader(open_database(self.paths.catalog, create=False))
        self._readers.append(reader)
        return reader

    def verify(self) -> list[str]:
        """Check everything; a sentence per fault, empty when sound. Reads the whole file."""
        return check.faults(self.database)

    @contextmanager
    def writer(self, holder: str) -> Iterator[CatalogWriter]:
        """Hold the writer lock. `holder` names the program to whoever is refused meanwhile.

        Raises
        ------
        CatalogBusy
            Another program changes the library; names it, its process and since when.
        CatalogError
            The catalog can't be written.
        """
        if self.is_read_only:
            raise CatalogError(self.notice)
        with lock.hold(self.paths.writer_lock, holder):
            writer = CatalogWriter(self.database)
            writer.drop_old_removals()
            yield writer


def verify(paths: Paths) -> list[str]:
    """Check the library even when it can't be opened for work; a sentence per fault.

    Raises
    ------
    CatalogTooNew
    CatalogError
        There is no library, or it can't be read at all.
    """
    try:
        with Catalog.open(paths, create=False) as catalog:
            return catalog.verify()
    except CatalogDamaged as error:
        return [str(error), *check.faults_of_file(paths.catalog)]


def _condition(search: str) -> tuple[str, list[str]]:
    """SQL condition on `tracks` and its parameters."""
    words = search_words(search)
    if not words:
        return _SHOWN, []
    tests = " AND ".join(["instr(text, ?) > 0"] * len(words))
    return f"{_SHOWN} AND track_id IN (SELECT track_id FROM search WHERE {tests})", words  # noqa: S608 (marks only)
