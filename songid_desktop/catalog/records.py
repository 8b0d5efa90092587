"""What the catalog hands out beside `types.Track`: frozen values, no behaviour."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from songid_desktop.types import FileProblem


@dataclass(frozen=True, slots=True)
class ProblemFile:
    """A file that could not be enrolled, or (TRUNCATED) one that was as far as it goes."""

    path: Path
    problem: FileProblem
    message: str
    seen_at: float = 0.0
    """Unix time (s) of the attempt."""


@dataclass(frozen=True, slots=True)
class LibraryCounts:
    """The library in numbers, from indexed columns only: cheap at any size."""

    tracks: int = 0
    missing: int = 0
    """Tracks none of whose locations is present."""
    problems: int = 0
    """Files that could not be enrolled."""
    duration_s: float = 0.0
    """Sound in the library, every track once."""
    enrolled: dict[str, int] = field(default_factory=dict)
    """Identifier → tracks enrolled with its present configuration."""
    pending: dict[str, int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    fingerprint_bytes: dict[str, int] = field(default_factory=dict)
    """Identifier → bytes of fingerprints stored (any configuration)."""
    cover_bytes: int = 0
    database_bytes: int = 0
    """Size of the database with its write-ahead log."""
    folders: int = 0
    locations: int = 0


@dataclass(frozen=True, slots=True)
class EnrolProgress:
    """Where an enrolment stands; sent at most ten times a second and once at the end."""

    phase: str
    """"scanning" (total still grows), "enrolling", or "finished"."""
    done: int = 0
    """Files dealt with, of those that need work; while scanning, files found."""
    total: int = 0
    added: int = 0
    failed: int = 0
    rate_x: float = 0.0
    """Seconds of sound enrolled per second of wall clock."""
    eta_s: float | None = None
    """Seconds left, None while it can't be told."""
    current: str = ""
    """Name of a file in hand, printable."""
    is_paused: bool = False


@dataclass(frozen=True, slots=True)
class EnrolReport:
    """What an enrolment came to. It describes the folders as they stand: a file that failed
    earlier and has not changed is in `failed` again without having been tried again."""

    added: int = 0
    """Tracks that are new."""
    unchanged: int = 0
    """Files that were as last time."""
    updated: int = 0
    """Files with new tags or new sound, or tracks that gained a missing fingerprint."""
    moved: int = 0
    """Known tracks found at a new path, the old one being gone."""
    missing: int = 0
    """Known files below the given paths that are not there now. Nothing of theirs is deleted."""
    failed: tuple[ProblemFile, ...] = ()
    warnings: tuple[ProblemFile, ...] = ()
    audio_s: float = 0.0
    """Sound decoded for fingerprints in this run (s)."""
    elapsed_s: float = 0.0
    was_cancelled: bool = False
    copies: int = 0
    """Files whose sound was in the library already: one more location of that track."""
    missing_roots: tuple[Path, ...] = ()
    """Given folders that the library knows but that are not there now (an unplugged drive)."""


@dataclass(frozen=True, slots=True)
class Play:
    """One row of the history: something that was heard.

    `play_id` is 0 until `History.add` has stored it. Title, artist and album are copies made at
    the time, so that a play outlives its track.
    """

    started_at: float
    """Unix time (s)."""
    ended_at: float
    play_id: int = 0
    track_id: int | None = None
    """None when no track was named, or when the track has since been removed."""
    title: str = ""
    artist: str = ""
    album: str = ""
    path: Path | None = None
    offset_s: float = 0.0
    """Position in the track at `started_at` (s)."""
    confidence: float = 0.0
    identifier: str = ""
    verdict: str = "match"
    source: str = ""
    """What was listened to: a source's description or a file's name."""
    clip: Path | None = None
    """The kept sound, where it was kept."""
    note: str = ""
    is_favourite: bool = False

    @property
    def duration_s(self) -> float:
        return max(0.0, self.ended_at - self.started_at)
