"""What is on disk against what the library knows: which files need work, at a stat each."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import songid_desktop
from songid_desktop.catalog.database import Database
from songid_desktop.catalog.ingest import FileStamp, Ingest
from songid_desktop.catalog.names import decode_path, encode_path, is_below, range_below
from songid_desktop.catalog.records import ProblemFile
from songid_desktop.catalog.scan import FoundFile
from songid_desktop.types import FileProblem


@dataclass(frozen=True, slots=True)
class Job:
    """A file that needs work. With `track_id` its sound is known and only fingerprints are
    missing."""

    path: Path
    size: int
    track_id: int | None = None
    identifiers: tuple[str, ...] = ()


@dataclass(slots=True)
class Plan:
    """Outcome of a scan."""

    jobs: list[Job] = field(default_factory=list)
    unchanged: int = 0
    failed: list[ProblemFile] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Known:
    """What the library has at a path."""

    track_id: int
    size: int
    mtime_ns: int
    is_present: bool


@dataclass(frozen=True, slots=True)
class _KnownProblem:
    size: int
    mtime_ns: int
    file: ProblemFile
    is_final: bool
    """Not worth trying again while the file is as it was."""


class Planner:
    """Sorts the files of one enrolment, then settles what needs no work in the database."""

    def __init__(
        self, database: Database, ingest: Ingest, roots: Sequence[Path], *, recheck: bool = False
    ) -> None:
        self._database = database
        self._ingest = ingest
        self._roots = [encode_path(root) for root in roots]
        self._recheck = recheck
        self._known = self._load_locations(roots)
        self._problems = self._load_problems(roots)
        self._kept_out = {path for (path,) in database.rows("SELECT path FROM kept_out")}
        self._seen: set[bytes] = set()
        self._closed: list[bytes] = []
        self._returned: list[bytes] = []
        self._well: list[bytes] = []
        self._settled = ingest.settled()
        self.plan = Plan()

    def _load_locations(self, roots: Sequence[Path]) -> dict[bytes, _Known]:
        return {
            path: _Known(track_id, size, mtime_ns, bool(is_present))
            for root in roots
            for path, track_id, size, mtime_ns, is_present in self._database.rows(
                "SELECT path, track_id, size, mtime_ns, is_present FROM locations"
                " WHERE path = ? OR (path >= ? AND path < ?)",
                (encode_path(root), *range_below(root)),
            )
        }

    def _load_problems(self, roots: Sequence[Path]) -> dict[bytes, _KnownProblem]:
        found: dict[bytes, _KnownProblem] = {}
        for root in roots:
            for path, size, mtime_ns, problem, message, seen_at, program in self._database.rows(
                "SELECT * FROM problem_files WHERE path = ? OR (path >= ? AND path < ?)",
                (encode_path(root), *range_below(root)),
            ):
                file = ProblemFile(decode_path(path), FileProblem(problem), message, seen_at)
                # Permissions change without the file's time, and a newer program may read more.
                is_final = file.problem.is_final and program == songid_desktop.__version__
                found[path] = _KnownProblem(size, mtime_ns, file, is_final)
        return found

    @property
    def known_roots(self) -> set[bytes]:
        """Those of the roots that the library knows something at or below of."""
        known = {path for (path,) in self._database.rows("SELECT path FROM folders")}
        return {
            root
            for root in self._roots
            if root in known
            or any(is_below(path, root) for path in self._known)
            or any(is_below(path, root) for path in self._problems)
        }

    def take(self, found: FoundFile) -> None:
        """Sort one file of the scan."""
        path = encode_path(found.path)
        if path in self._seen:
            return
        self._seen.add(path)
        if found.problem is not None:
            if found.is_folder:
                self._closed.append(path)
            self.plan.failed.append(
                self._ingest.record_problem(
                    FileStamp(path, found.size, found.mtime_ns), found.problem, found.message
                )
            )
            return
        if path in self._kept_out and not found.is_explicit:
            return
        stamp = (found.size, found.mtime_ns)
        known, problem = self._known.get(path), self._problems.get(path)
        if known is not None and (known.size, known.mtime_ns) == stamp and not self._recheck:
            self._take_unchanged(found, path, known)
        elif (
            problem is not None
            and (problem.size, problem.mtime_ns) == stamp
            and problem.is_final
            and not self._recheck
        ):
            self.plan.failed.append(problem.file)
        else:
            self.plan.jobs.append(Job(found.path, found.size))

    def _take_unchanged(self, found: FoundFile, path: bytes, known: _Known) -> None:
        if not known.is_present:
            self._returned.append(path)
        if path in self._problems:
            self._well.append(path)
        if known.track_id not in self._settled:
            self._settled.add(known.track_id)  # planned once, however many locations
            lacking = self._ingest.lacking(known.track_id)
            self.plan.jobs.append(Job(found.path, found.size, known.track_id, lacking))
        else:
            self.plan.unchanged += 1

    def finish(self) -> Plan:
        """Settle what was not seen, after a walk that came to its end."""
        missing: list[bytes] = []
        for path, known in self._known.items():
            if path in self._seen or self._is_closed(path):
                continue
            # A link or another root may have led the walk past it.
            if (found := find_file(decode_path(path))) is not None:
                self.take(found)
                continue
            if known.is_present:
                missing.append(path)
        gone = [
            path for path in self._problems if path not in self._seen and not self._is_closed(path)
        ]
        self._ingest.set_presence(self._returned, missing)
        self._ingest.forget_problems([*gone, *self._well])
        return self.plan

    def _is_closed(self, path: bytes) -> bool:
        """Inside a folder that can't be read: there is no telling whether it is there."""
        return any(is_below(path, folder) for folder in self._closed)


def count_missing(database: Database, roots: Sequence[Path]) -> int:
    """Known files below `roots` that are not there (a bad file in one's place is a problem)."""
    found: set[bytes] = set()
    for root in roots:
        found.update(
            path
            for (path,) in database.rows(
                "SELECT path FROM locations WHERE NOT is_present"
                " AND (path = ? OR (path >= ? AND path < ?))"
                " AND path NOT IN (SELECT path FROM problem_files)",
                (encode_path(root), *range_below(root)),
            )
        )
    return len(found)


def partly_decoded(database: Database, roots: Sequence[Path]) -> list[ProblemFile]:
    """Present files below `roots` that were enrolled only as far as they decode."""
    found = {
        path: ProblemFile(decode_path(path), FileProblem.TRUNCATED, message, added_at)
        for root in roots
        for path, message, added_at in database.rows(
            "SELECT path, warning, added_at FROM tracks JOIN locations USING (track_id)"
            " WHERE warning != '' AND is_present AND (path = ? OR (path >= ? AND path < ?))",
            (encode_path(root), *range_below(root)),
        )
    }
    return list(found.values())


def find_file(path: Path) -> FoundFile | None:
    """The regular file at `path`, None when there is none that can be looked at."""
    try:
        found = path.stat()
    except OSError:
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return FoundFile(path, found.st_size, found.st_mtime_ns)


def pending_files(database: Database, ingest: Ingest) -> Iterator[FoundFile]:
    """A present file of each track that lacks a fingerprint."""
    settled = ingest.settled()
    for track_id, path in database.rows(
        "SELECT track_id, path FROM locations WHERE is_present ORDER BY track_id, location_id"
    ):
        if track_id not in settled and (found := find_file(decode_path(path))) is not None:
            settled.add(track_id)
            yield found
