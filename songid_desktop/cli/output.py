"""What the command line writes: data on stdout, messages on stderr, always UTF-8.

A path with bytes that are no UTF-8 reaches Python with lone surrogates; they are written as
``\\udcXX``, which inside a JSON string is exactly the escape that brings the same path back.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import sys
import time
import unicodedata
from pathlib import Path
from typing import Any

DASH = "\u2013"
TIMES = "\u00d7"
_UNRULY = frozenset({"Cc", "Zl", "Zp"})
"""Control characters and separators of lines (Unicode categories)."""
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Change the direction of the rest of the line, far beyond the name they stand in."""


def prepare_streams() -> None:
    """Make stdout and stderr UTF-8 whatever the locale says, and stdin able to carry any path."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(encoding="utf-8", errors="surrogateescape")


def emit(value: Any) -> None:
    """One JSON value on one line of stdout, at once."""
    print(json.dumps(value, ensure_ascii=False, allow_nan=False), flush=True)


def say(text: str = "") -> None:
    """A line of data for people on stdout."""
    print(text, flush=True)


def note(text: str) -> None:
    """A message on stderr; a stderr that is gone is no reason to stop."""
    with contextlib.suppress(OSError, ValueError):
        print(text, file=sys.stderr, flush=True)


def path_text(path: str | os.PathLike[str]) -> str:
    """A path as its bytes read in UTF-8, which is how it is written whatever the locale says."""
    return os.fsencode(path).decode("utf-8", "surrogateescape")


def printable(path: str | os.PathLike[str]) -> str:
    """A path as one line of text, whatever its bytes."""
    return one_line(path_text(path))


def one_line(text: str) -> str:
    """`text` without what would break the line, turn it round or command the terminal; a file's
    name and its tags can hold all of that."""
    if text.isprintable():
        return text
    return "".join(_visible(char) if _is_unruly(char) else char for char in text)


def _is_unruly(char: str) -> bool:
    return unicodedata.category(char) in _UNRULY or char in _TURNING


def _visible(char: str) -> str:
    return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(char) or (
        f"\\x{ord(char):02x}" if ord(char) < 256 else f"\\u{ord(char):04x}"
    )


def path_argument(text: str) -> Path:
    """Type of an argument that names a file or folder. An empty one, as from a variable that is
    not set, must not mean the present folder."""
    if not text:
        raise argparse.ArgumentTypeError("the path is empty")
    if "\0" in text:
        raise argparse.ArgumentTypeError("a path can't hold a null character")
    return Path(text)


def percent(probability: float) -> str:
    """A probability as a whole number that never claims 0 or 100."""
    if probability < 0.01:
        return "<1 %"
    number = int(probability * 100 + 0.5)
    return ">99 %" if number > 99 else f"{number} %"


def clock(seconds: float | None) -> str:
    """A position as 1:23 or 1:02:03."""
    if seconds is None:
        return DASH
    sign = "-" if seconds <= -0.5 else ""
    whole = int(abs(seconds) + 0.5)
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    return f"{sign}{hours}:{minutes:02d}:{left:02d}" if hours else f"{sign}{minutes}:{left:02d}"


def name(artist: str, title: str) -> str:
    """A track's name as one line."""
    return one_line(f"{artist} {DASH} {title}" if artist else title)


def table(rows: list[list[str]], head: list[str]) -> None:
    """Rows in columns as wide as they need to be; the last column runs free."""
    if not rows:
        return
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head) - 1)]
    for row in [head, *rows]:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        say("  ".join([*cells, row[-1]]).rstrip())


class ProgressLine:
    """Progress on stderr: one line that rewrites itself on a terminal, a sparse log elsewhere."""

    SPARSE_EVERY_S = 5.0
    TERMINAL_EVERY_S = 0.1

    def __init__(self) -> None:
        self._is_terminal = sys.stderr is not None and sys.stderr.isatty()
        self._shown = 0
        self._next = 0.0

    def show(self, text: str, *, is_last: bool = False) -> None:
        """Show `text` in place of what was shown before, at most as often as is useful."""
        now = time.monotonic()
        if now < self._next and not is_last:
            return
        self._next = now + (self.TERMINAL_EVERY_S if self._is_terminal else self.SPARSE_EVERY_S)
        if not self._is_terminal:
            note(text)
            return
        columns = _terminal_columns()
        text = text[: columns - 1]
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write("\r" + text + " " * max(0, self._shown - len(text)))
            sys.stderr.flush()
        self._shown = len(text)

    def end(self) -> None:
        """Leave the last state standing and go to the next line."""
        if self._is_terminal and self._shown:
            note("")
            self._shown = 0


def _terminal_columns() -> int:
    try:
        return max(20, os.get_terminal_size(sys.stderr.fileno()).columns)
    except (OSError, ValueError):
        return 80
