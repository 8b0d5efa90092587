"""What a bench run leaves in its folder: `run.json` (what was asked and with what) and
`results.jsonl` (one line per answered clip or session).

Lines are only ever appended, whole tasks at a time, so that a run that was killed goes on where it
was; a line cut short by the kill is passed over.
"""

from __future__ import annotations

import dataclasses
import errno
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from songid_desktop import locks
from songid_desktop.errors import EnvironmentProblem, UsageError

RUN_FILE, RESULTS_FILE, GRID_FILE, PAGE_FILE = (
    "run.json",
    "results.jsonl",
    "grid.json",
    "report.html",
)
_LOCK_FILE = "running.lock"
CLIP, SESSION, GROWTH = "clip", "session", "growth"
Key = tuple[str, str, str, str, float, str, int, int]


@dataclass(frozen=True, slots=True)
class Record:
    """One answer.

    Attributes
    ----------
    kind : str
        `CLIP`, `SESSION` (looks from 2 s on until a match or the end) or `GROWTH` (a clip asked of
        a part of the catalog).
    build : str
        Digest of the program that answered (`versions.build_digest`).
    catalog_tracks : int
        Of the part of the catalog for `GROWTH`, else 0.
    is_enrolled : bool
        Whether the clip's track, or a twin, can be found; if not, any answer is a false one.
    verdict : str
        As the identifier gave it; ``skipped`` where the track has no such clip.
    rank : int or None
        Of the first right candidate.
    confidence, total_confidence : float
        Of the first candidate, and of all together.
    best : str
        Path of the first candidate's track.
    start_s, offset_s, offset_error_s : float or None
        True and found place of the clip in its track; the error modulo the track's own repeats,
        None where another track (a twin too) came first.
    heard_s : float
        Of a session: what was heard when it ended. Of a clip: its length.
    looks : int
    took_ms : float
        Wall clock, beside other workers: for the run's own progress, never quoted.
    """

    kind: str
    identifier: str
    build: str
    condition: str
    length_s: float
    track: str
    draw: int
    catalog_tracks: int = 0
    is_enrolled: bool = False
    verdict: str = "skipped"
    reason: str = ""
    rank: int | None = None
    confidence: float = 0.0
    total_confidence: float = 0.0
    score: float = 0.0
    best: str = ""
    start_s: float = 0.0
    offset_s: float | None = None
    offset_error_s: float | None = None
    is_repeat: bool = False
    speed: float | None = None
    pitch_semitones: float | None = None
    heard_s: float = 0.0
    looks: int = 0
    took_ms: float = 0.0

    @property
    def key(self) -> Key:
        """What it answers, and which program did."""
        return (
            self.kind,
            self.identifier,
            self.build,
            self.condition,
            self.length_s,
            self.track,
            self.draw,
            self.catalog_tracks,
        )

    @property
    def is_right(self) -> bool:
        return self.rank == 1

    def as_line(self) -> str:
        values = {
            name: round(value, 5) if isinstance(value, float) else value
            for name, value in dataclasses.asdict(self).items()
        }
        return json.dumps(values) + "\n"

    @classmethod
    def from_line(cls, line: str) -> Self | None:
        """The record of a line, None for one that was cut short or comes from another version."""
        try:
            return cls(**json.loads(line))
        except (ValueError, TypeError):
            return None


class RunFolder:
    """The folder given with `--out`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def prepare(self) -> None:
        """Make it.

        Raises
        ------
        UsageError, EnvironmentProblem
            When something else stands there, or it can't be written.
        """
        if self.folder.exists() and not self.folder.is_dir():
            raise UsageError(f"{self.folder} is a file; --out needs a folder.")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _cannot_write(self.folder, error) from error

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Make it, and keep other runs out of it: two would write over each other's results.

        Raises
        ------
        UsageError, EnvironmentProblem
            As `prepare`, and while another run is at work in it.
        """
        self.prepare()
        with ExitStack() as held:
            try:
                held.enter_context(
                    locks.hold(self.folder / _LOCK_FILE, "songid evaluate", is_required=False)
                )
            except locks.Held as refused:
                raise EnvironmentProblem(
                    f"{self.folder} is being written by {refused.holder}. Give another --out, or "
                    "wait until that is done; the same command then goes on from there."
                ) from None
            except OSError as error:
                raise _cannot_write(self.folder, error) from error
            yield

    @property
    def instance(self) -> Path:
        """Base folder of the throw-away catalog."""
        return self.folder / "instance"

    def growth(self, tracks: int) -> Path:
        """Base folder of the index of a part of the catalog."""
        return self.folder / "growth" / str(tracks)

    # -- run.json -------------------------------------------------------------------------------

    def read_run(self) -> dict[str, Any]:
        """What was written by `write_run`, empty for a new folder."""
        try:
            found = json.loads((self.folder / RUN_FILE).read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return {}
        except OSError as error:
            raise EnvironmentProblem(f"{self.folder / RUN_FILE} can't be read: {error}.") from error
        return found if isinstance(found, dict) else {}

    def write_run(self, data: dict[str, Any]) -> None:
        self.write_text(RUN_FILE, json.dumps(data, indent=1) + "\n")

    def write_text(self, name: str, text: str) -> Path:
        """Replace a file of the folder as a whole."""
        target = self.folder / name
        temporary = target.with_name(f".{name}.writing")
        try:
            temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
            temporary.replace(target)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise _cannot_write(target, error) from error
        return target

    # -- results.jsonl --------------------------------------------------------------------------

    def read_results(self) -> list[Record]:
        """Every record; where a key was answered twice, the later one."""
        found: dict[Key, Record] = {}
        try:
            with (self.folder / RESULTS_FILE).open(encoding="utf-8") as lines:
                for line in lines:
                    record = Record.from_line(line)
                    if record is not None:
                        found[record.key] = record
        except FileNotFoundError:
            return []
        except OSError as error:
            raise EnvironmentProblem(f"The results can't be read: {error}.") from error
        return list(found.values())

    def append(self, records: Iterable[Record]) -> None:
        """Add records; they are on their way to the disk when this returns.

        Raises
        ------
        EnvironmentProblem
            When the disk is full; what was there stays.
        """
        path = self.folder / RESULTS_FILE
        text = "".join(record.as_line() for record in records)
        try:
            with path.open("a+b") as file:
                if file.tell() and not _ends_with_newline(path):
                    text = "\n" + text
                file.write(text.encode("utf-8"))
        except OSError as error:
            raise _cannot_write(path, error) from error


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def _cannot_write(path: Path, error: OSError) -> EnvironmentProblem:
    is_full = error.errno in {errno.ENOSPC, errno.EDQUOT}
    advice = "free some space" if is_full else "make it writable, or name another --out,"
    return EnvironmentProblem(
        f"{path} can't be written: {error.strerror or error}. What was measured before is kept; "
        f"{advice} and give the same command again to go on."
    )
