"""Write plays of the history as CSV, JSON, a playlist or a cue sheet."""

from __future__ import annotations

import csv
import io
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TextIO
from urllib.parse import quote_from_bytes

from songid_desktop.catalog.names import printable
from songid_desktop.catalog.records import Play
from songid_desktop.errors import CatalogError, UsageError

_CUE_FRAMES_PER_S = 75
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_COLUMNS = (
    "started_at",
    "ended_at",
    "title",
    "artist",
    "album",
    "offset_s",
    "confidence",
    "verdict",
    "identifier",
    "source",
    "path",
    "clip",
    "note",
    "favourite",
    "track_id",
    "play_id",
)


def export_plays(
    plays: Iterable[Play], target: Path | TextIO, fmt: str, *, recording: str = "evening.wav"
) -> int:
    """Write `plays`, oldest first, to a file (replaced only when whole) or an open text stream.

    Parameters
    ----------
    fmt : str
        One of `FORMATS`. `m3u8` holds the plays whose file is known; `cue` is a sheet of the
        whole stretch, its times counted from the start of the first play.
    recording : str
        Name of the sound file that a cue sheet speaks of.

    Returns
    -------
    int
        Plays written.

    Raises
    ------
    UsageError
        For a format that is not one of `FORMATS`.
    CatalogError
        When the file can't be written; what was there before stays.
    """
    if fmt not in FORMATS:
        raise UsageError(f"Plays can be exported as {', '.join(FORMATS)}, not as {fmt!r}.")
    ordered = sorted(plays, key=lambda play: (play.started_at, play.play_id))
    if fmt == "cue":
        text, count = _cue(ordered, recording), len(ordered)
    else:
        text, count = _WRITERS[fmt](ordered)
    if isinstance(target, Path):
        # Spreadsheets on Windows take a file for UTF-8 only when it says so.
        _write_whole(target, ("\ufeff" if fmt == "csv" else "") + text)
    else:
        target.write(text)
    return count


def _write_whole(target: Path, text: str) -> None:
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=".export-", suffix=".tmp")
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as out:
            out.write(text)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(target)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise CatalogError(
            f"{printable(target)} can't be written ({error.strerror or error}). Choose another"
            " folder or make room; the history itself is not affected."
        ) from error


def _when(unix_s: float) -> str:
    """Local time with its offset from UTC, to the second."""
    return datetime.fromtimestamp(unix_s).astimezone().isoformat(timespec="seconds")


def _cells(play: Play) -> dict[str, str | int | float | bool | None]:
    return {
        "started_at": _when(play.started_at),
        "ended_at": _when(play.ended_at),
        "title": play.title,
        "artist": play.artist,
        "album": play.album,
        "offset_s": round(play.offset_s, 3),
        "confidence": round(play.confidence, 4),
        "verdict": play.verdict,
        "identifier": play.identifier,
        "source": play.source,
        "path": None if play.path is None else printable(play.path),
        "clip": None if play.clip is None else printable(play.clip),
        "note": play.note,
        "favourite": play.is_favourite,
        "track_id": play.track_id,
        "play_id": play.play_id,
    }


def _csv(plays: Sequence[Play]) -> tuple[str, int]:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(_COLUMNS)
    for play in plays:
        cells = _cells(play)
        writer.writerow([_harmless(cells[name]) for name in _COLUMNS])
    return out.getvalue(), len(plays)


def _harmless(value: str | float | bool | None) -> str | float | None:
    """A cell that no spreadsheet runs as a formula: a title may come from anyone."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return "'" + value
    return value


def _json(plays: Sequence[Play]) -> tuple[str, int]:
    return json.dumps([_cells(play) for play in plays], indent=1, ensure_ascii=False) + "\n", len(
        plays
    )


def _m3u8(plays: Sequence[Play]) -> tuple[str, int]:
    lines = ["#EXTM3U"]
    count = 0
    for play in plays:
        if play.path is None:
            continue
        name = " - ".join(filter(None, (play.artist, play.title or play.path.stem)))
        lines.append(f"#EXTINF:{round(play.duration_s)},{printable(name)}")
        lines.append(_playlist_path(play.path))
        count += 1
    return "\n".join(lines) + "\n", count


def _playlist_path(path: Path) -> str:
    """The path itself where a line of text can hold it, else as a file URI, byte by byte."""
    text = str(path)
    is_plain = text.isprintable() and text == text.strip() and not text.startswith("#")
    if is_plain:
        return text
    return "file://" + quote_from_bytes(os.fsencode(path))


def _cue(plays: Sequence[Play], recording: str) -> str:
    """A sheet of the evening. Cue times are minutes, seconds and 75ths; minutes may pass 99."""
    first_s = plays[0].started_at if plays else 0.0
    lines = []
    if plays:
        lines.append(f"REM DATE {_when(first_s)}")
    lines.append(f"FILE {_quoted(recording)} WAVE")
    for number, play in enumerate(plays, start=1):
        title = play.title or ("Unknown" if play.path is None else play.path.stem)
        lines.append(f"  TRACK {number:02d} AUDIO")
        lines.append(f"    TITLE {_quoted(title)}")
        if play.artist:
            lines.append(f"    PERFORMER {_quoted(play.artist)}")
        lines.append(f"    INDEX 01 {_cue_time(play.started_at - first_s)}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """Cue sheets know no escapes."""
    return '"' + printable(text).replace('"', "'") + '"'


def _cue_time(seconds: float) -> str:
    frames = round(max(0.0, seconds) * _CUE_FRAMES_PER_S)
    minutes, frames = divmod(frames, 60 * _CUE_FRAMES_PER_S)
    return f"{minutes:02d}:{frames // _CUE_FRAMES_PER_S:02d}:{frames % _CUE_FRAMES_PER_S:02d}"


_WRITERS: dict[str, Callable[[Sequence[Play]], tuple[str, int]]] = {
    "csv": _csv,
    "json": _json,
    "m3u8": _m3u8,
}
FORMATS = (*_WRITERS, "cue")
