"""File names and words: stored without loss, shown without harm, compared without fuss.

A path is stored as the bytes the file system uses, so that names that are no valid text come back
as they were. Text for search and sorting is *folded*: case, accents and compatibility forms are
taken off, so that "bjork" finds "Björk" and "STRASSE" finds "Straße".
"""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

_SEPARATOR = os.fsencode(os.sep)

# Letters that Unicode does not take apart but that people type without their stroke.
_PLAIN = str.maketrans(
    {
        "ø": "o",
        "ł": "l",
        "đ": "d",
        "ð": "d",
        "þ": "th",
        "æ": "ae",
        "œ": "oe",
        "\N{LATIN SMALL LETTER DOTLESS I}": "i",
        "ħ": "h",
    }
)


def encode_path(path: Path) -> bytes:
    return os.fsencode(path)


def decode_path(stored: bytes) -> Path:
    return Path(os.fsdecode(stored))


def absolute(path: Path) -> Path:
    """`path` made absolute and rid of `.` and `..`, symbolic links kept as the user named them."""
    return Path(os.path.abspath(path))  # noqa: PTH100 (Path.resolve follows links)


def range_below(folder: Path) -> tuple[bytes, bytes]:
    """Bounds ``low <= path < high`` of the stored paths of everything inside `folder`."""
    low = encode_path(folder)
    if not low.endswith(_SEPARATOR):
        low += _SEPARATOR
    return low, low[:-1] + bytes([low[-1] + 1])


def is_below(path: bytes, folder: bytes) -> bool:
    """Whether stored `path` is `folder` itself or inside it."""
    return path == folder or path.startswith(folder.rstrip(_SEPARATOR) + _SEPARATOR)


def printable(path: Path | str) -> str:
    """A name fit for any screen, file or database: undecodable bytes as ``\\xNN``, control
    characters as spaces."""
    try:
        stored = os.fsencode(path)
    except UnicodeEncodeError:  # half a character that never was a byte of a file name
        stored = str(path).encode("utf-8", "replace")
    text = stored.decode("utf-8", "backslashreplace")
    return "".join(" " if unicodedata.category(char) in {"Cc", "Cs"} else char for char in text)


def fold(text: str) -> str:
    """`text` as it is searched and sorted."""
    if text.isascii():
        return text.lower()
    apart = unicodedata.normalize("NFKD", text).casefold()
    # Folding can bring new marks (İ), so marks go last.
    apart = unicodedata.normalize("NFKD", apart)
    kept = (char for char in apart if unicodedata.category(char) != "Mn")
    return "".join(kept).translate(_PLAIN).encode("utf-8", "replace").decode("utf-8")


def search_words(text: str) -> list[str]:
    return fold(text).split()
