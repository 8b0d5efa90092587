"""A folder of music as a data set: `metadata.csv`, a row for each track.

All of an artist goes to one side of the split (`split.py`); where that leaves too few groups to
share out, the split is by track, and the report says so.
"""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from songid_desktop.errors import AudioFileError, Cancelled, EnvironmentProblem, UsageError
from songid_desktop.train.split import COLUMNS, SPLITS, Row, Shares, groups_of, share_out
from songid_desktop.types import CancelToken, FileProblem

TABLE = "metadata.csv"

_LOOKED_AT_S = 10.0
"""Sound that is decoded to see whether a file can be used; all of it with `decode_all`."""
_FEWEST_GROUPS = 5
"""A split by groups needs at least so many of them; else it is by track."""


@dataclass(frozen=True, slots=True)
class Unusable:
    """A file that did not become a row. `path` is as it was found."""

    path: Path
    problem: FileProblem
    message: str


@dataclass(frozen=True, slots=True)
class ScanReport:
    """What a scan found. `doubtful` files are rows too, with something to know about them."""

    rows: tuple[Row, ...]
    unusable: tuple[Unusable, ...]
    doubtful: tuple[Unusable, ...]
    is_split_by_track: bool

    @property
    def tracks(self) -> dict[str, int]:
        """Tracks in each split."""
        counted = Counter(row.split for row in self.rows)
        return {split: counted[split] for split in SPLITS}

    @property
    def duration_s(self) -> float:
        return sum(row.duration_s for row in self.rows)


Progress = Callable[[int, int], None]
"""Called with files done and files found so far."""


def scan(
    folder: Path,
    table: Path | None = None,
    *,
    seed: int = 0,
    shares: Shares | None = None,
    shortest_s: float = 5.0,
    decode_all: bool = False,
    keep_splits: bool = False,
    progress: Progress | None = None,
    cancel: CancelToken | None = None,
) -> ScanReport:
    """Look at every audio file below `folder` and share the usable ones out.

    The same files, seed and shares give the same rows. Rows of a table that is there already keep
    what a file can't say of itself: track id, licence, source and genre.

    Parameters
    ----------
    table : Path, optional
        Where the rows will be written, which their paths are relative to; `TABLE` in the folder.
    shortest_s : float
        Shorter files are not used (s).
    decode_all : bool
        Decode every file to its end instead of its beginning: finds damage anywhere, takes minutes
        a thousand tracks.
    keep_splits : bool
        Tracks that the table has already keep their split, and others of their artist join them.

    Raises
    ------
    UsageError
        When there is no such folder or no audio in it that can be used.
    Cancelled
    """
    from songid_desktop.catalog.scan import walk

    if not folder.is_dir():
        what = "is no folder" if folder.exists() else "is not there"
        raise UsageError(f"{folder} {what}. Name a folder of music.")
    table = (table or folder / TABLE).absolute()
    known = {row.path: row for row in _known_rows(table)}
    looked: list[_Looked] = []
    unusable: list[Unusable] = []
    doubtful: list[Unusable] = []
    found = list(walk([folder], cancel))
    for done, file in enumerate(found):
        if progress is not None:
            progress(done, len(found))
        if file.problem is not None:
            unusable.append(Unusable(file.path, file.problem, file.message))
            continue
        try:
            one = _look_at(file.path, table.parent, shortest_s, decode_all, cancel)
        except AudioFileError as error:
            unusable.append(Unusable(file.path, error.problem, str(error)))
            continue
        doubtful += (Unusable(file.path, *warning) for warning in one.warnings)
        looked.append(_remembered(one, known.get(one.row.path)))
    if not looked:
        raise UsageError(_nothing_usable(folder, unusable))
    looked.sort(key=lambda one: os.fsencode(one.row.path))
    before = {path: row.split for path, row in known.items()} if keep_splits else {}
    rows, is_by_track = _shared_out(looked, seed, shares or Shares(), before)
    return ScanReport(rows, tuple(unusable), tuple(doubtful), is_by_track)


def _nothing_usable(folder: Path, unusable: Sequence[Unusable]) -> str:
    if not unusable:
        return f"{folder} holds no audio files."
    return (
        f"None of the {len(unusable)} audio files in {folder} can be used. The first, "
        f"{unusable[0].path.name}: {unusable[0].message}"
    )


@dataclass(frozen=True, slots=True)
class _Looked:
    """A usable file: its row, still without a split, and what it must not be parted from."""

    row: Row
    sound: str
    warnings: tuple[tuple[FileProblem, str], ...] = ()


def _look_at(
    path: Path, base: Path, shortest_s: float, decode_all: bool, cancel: CancelToken | None
) -> _Looked:
    """Read one file. Raises `AudioFileError` when it can't be used."""
    from songid_desktop.audio.decode import open_audio
    from songid_desktop.catalog.identity import content_hash
    from songid_desktop.catalog.tags import read_tags

    decoded_s = 0.0
    with open_audio(path, block_s=1.0, cancel=cancel) as reader:
        stated_s = reader.info.duration_s
        is_all = decode_all or stated_s is None
        for block in reader:
            decoded_s += block.duration_s
            _stop_if(cancel)
            if not is_all and decoded_s >= _LOOKED_AT_S:
                break
        else:
            is_all = True
        warnings = reader.warnings
    duration_s = decoded_s if is_all or stated_s is None else stated_s
    if duration_s < shortest_s:
        raise AudioFileError(
            FileProblem.TOO_SHORT,
            f"Only {duration_s:.1f} s of sound; {shortest_s:g} s are the least that is used.",
        )
    try:
        sound = content_hash(path, cancel).hex()
    except OSError as error:
        raise AudioFileError(
            FileProblem.NO_PERMISSION
            if isinstance(error, PermissionError)
            else FileProblem.CORRUPT,
            f"The file can't be read ({error.strerror or error}).",
        ) from error
    tags = read_tags(path)
    row = Row(
        track_id=sound[:16],
        title=tags.title or path.stem,
        artist=tags.artist,
        album=tags.album,
        duration_s=round(duration_s, 2),
        genre=tags.genre,
        path=_relative(path, base),
    )
    return _Looked(row, sound, warnings)


def _relative(path: Path, base: Path) -> str:
    try:
        return Path(os.path.relpath(path.absolute(), base)).as_posix()
    except ValueError:  # on another drive
        return path.absolute().as_posix()


def _stop_if(cancel: CancelToken | None) -> None:
    if cancel is not None and cancel.is_set():
        raise Cancelled


def _remembered(one: _Looked, before: Row | None) -> _Looked:
    """With what only the table knew of the same file."""
    if before is None:
        return one
    kept: dict[str, Any] = {"licence": before.licence, "source": before.source}
    if before.source:
        kept["track_id"] = before.track_id
        kept.update(
            {
                name: getattr(before, name)
                for name in ("title", "artist", "album", "genre")
                if getattr(before, name)
            }
        )
    kept["genre"] = before.genre or one.row.genre
    return replace(one, row=replace(one.row, **kept))


def _shared_out(
    looked: Sequence[_Looked], seed: int, shares: Shares, before: dict[str, str]
) -> tuple[tuple[Row, ...], bool]:
    rows = [one.row for one in looked]
    sounds = [one.sound for one in looked]
    groups = groups_of(rows, sounds)
    is_by_track = len(rows) >= _FEWEST_GROUPS > len(set(groups))
    if is_by_track:
        groups = [sounds.index(sound) for sound in sounds]
    splits = share_out(
        [row.path for row in rows], groups, seed, shares, [before.get(row.path, "") for row in rows]
    )
    pairs = zip(rows, splits, strict=True)
    return tuple(replace(row, split=split) for row, split in pairs), is_by_track


# ------------------------------------------------------------------------------------ the table


def write_table(path: Path, rows: Iterable[Row]) -> None:
    """Write the table whole or not at all. Names that are no UTF-8 keep their bytes.

    Raises
    ------
    EnvironmentProblem
        When it can't be written.
    """
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    table.writerows([_cell(getattr(row, name)) for name in COLUMNS] for row in rows)
    write_whole(path, text.getvalue().encode("utf-8", "surrogateescape"))


def write_whole(path: Path, content: bytes) -> None:
    """Put `content` at `path` in one step: what was there stays until all of it is on disk."""
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise EnvironmentProblem(
            f"{path} can't be written ({error.strerror or error}). Make room or choose another "
            "place; nothing that was there is lost."
        ) from error


def read_rows(path: Path) -> tuple[Row, ...]:
    """Rows of a table that `write_table` wrote, or that somebody made with the same columns.

    Raises
    ------
    UsageError
        When it is not there, or is no such table; names the line.
    """
    try:
        with path.open(encoding="utf-8", errors="surrogateescape", newline="") as lines:
            table = csv.DictReader(lines)
            missing = {"path", "split"} - set(table.fieldnames or ())
            if missing:
                raise UsageError(f"{path} has no column {' and no column '.join(sorted(missing))}.")
            return tuple(_row(values, path, table.line_num) for values in table)
    except FileNotFoundError:
        raise UsageError(
            f"{path} is not there. “songid dataset scan {path.parent}” makes it."
        ) from None
    except (OSError, csv.Error) as error:
        raise UsageError(f"{path} can't be read as a table ({error}).") from error


def _known_rows(path: Path) -> tuple[Row, ...]:
    """Rows that are there; none where there is no table. Somebody's own table is an error: it
    would be written over."""
    if not path.exists():
        return ()
    try:
        return read_rows(path)
    except UsageError as error:
        raise UsageError(
            f"{error} It is not written over: move it away, or choose another with --out."
        ) from None


def _row(values: dict[str, str | None], path: Path, line: int) -> Row:
    said = {name: values.get(name) or "" for name in COLUMNS}
    text = said.pop("duration_s")
    try:
        duration_s = float(text or 0.0)
    except ValueError:
        raise UsageError(f"{path}, line {line}: “{text}” is no duration in seconds.") from None
    return Row(duration_s=duration_s, **said)


def _cell(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)


@dataclass(frozen=True, slots=True)
class Whole:
    """What decoding a file to its end came to."""

    duration_s: float
    warnings: tuple[tuple[FileProblem, str], ...]


def decode_whole(path: Path, cancel: CancelToken | None = None) -> Whole:
    """Decode a file to its end, to see what of it is sound.

    Raises
    ------
    AudioFileError, Cancelled
    """
    from songid_desktop.audio.decode import open_audio

    total_s = 0.0
    with open_audio(path, block_s=1.0, cancel=cancel) as reader:
        for block in reader:
            _stop_if(cancel)
            total_s += block.duration_s
        return Whole(total_s, reader.warnings)
