"""What audio files say about themselves: tags and cover art.

Files come from anywhere, so whatever is in them is taken as hostile until cleaned: text may be a
megabyte long, hold control characters or the marks that turn the writing direction, numbers may
be words. Nothing here raises; what can't be read is as if it were not there.
"""

from __future__ import annotations

import base64
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from songid_desktop.types import Tags

LONGEST_TEXT = 500
LARGEST_COVER_BYTES = 2_000_000
_FRONT_COVER = 3
"""Picture type of the front cover, the same number in ID3, FLAC and ASF."""
_LARGEST_INFO_BYTES = 1 << 16

_WORDS = ("title", "artist", "album", "genre")
# Invisible characters that reorder or hide what stands beside them. Joiners stay: scripts need
# them.
_HARMFUL = re.compile("[\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff\ufff9-\ufffb]")
_YEAR = re.compile(r"(?<!\d)([12]\d{3})(?!\d)")
_NUMBER = re.compile(r"\s*(\d{1,4})(?!\d)")

# Names of the same things in the four families of tags, best first.
_ID3 = {
    "title": ("TIT2",),
    "artist": ("TPE1", "TPE2"),
    "album": ("TALB",),
    "genre": ("TCON",),
    "year": ("TDRC", "TDOR", "TYER", "TDRL"),
    "track_number": ("TRCK",),
}
_VORBIS = {
    "title": ("title",),
    "artist": ("artist", "albumartist", "album artist", "performer"),
    "album": ("album",),
    "genre": ("genre",),
    "year": ("date", "year", "originaldate", "originalyear"),
    "track_number": ("tracknumber", "track"),
}
_MP4 = {
    "title": ("\xa9nam",),
    "artist": ("\xa9ART", "aART"),
    "album": ("\xa9alb",),
    "genre": ("\xa9gen",),
    "year": ("\xa9day",),
    "track_number": ("trkn",),
}
_ASF = {
    "title": ("Title", "WM/Title"),
    "artist": ("Author", "WM/AlbumArtist"),
    "album": ("WM/AlbumTitle",),
    "genre": ("WM/Genre",),
    "year": ("WM/Year", "WM/OriginalReleaseYear"),
    "track_number": ("WM/TrackNumber", "WM/Track"),
}
_RIFF_INFO = {
    b"INAM": "title",
    b"IART": "artist",
    b"IPRD": "album",
    b"IGNR": "genre",
    b"ICRD": "year",
    b"IPRT": "track_number",
    b"ITRK": "track_number",
}


def read_tags(path: Path) -> Tags:
    """Tags of a file, cleaned; empty where it has none or they can't be read. Never raises."""
    return read_tags_and_cover(path)[0]


def read_cover(path: Path) -> bytes | None:
    """The front cover as stored (JPEG or PNG, at most 2 MB), None where there is none. Never
    raises."""
    return read_tags_and_cover(path)[1]


def read_tags_and_cover(path: Path) -> tuple[Tags, bytes | None]:
    """Both, in one reading of the file. Never raises."""
    import mutagen

    tags, cover = Tags(), None
    try:
        file = mutagen.File(path)
    except Exception:  # noqa: BLE001 (a parser of hostile bytes: any error means "no tags")
        file = None
    if file is not None and file.tags is not None:
        tags = _tags(_guarded(lambda: _values(file)) or {})
        cover = _guarded(lambda: next(filter(_is_picture, _pictures(file)), None))
    if tags == Tags() and path.suffix.lower() in {".wav", ".wave", ".rf64"}:
        tags = _tags(_guarded(lambda: _riff_info(path)) or {})
    return tags, cover


def clean(value: object) -> str:
    """Any tag value as one line of visible text, at most `LONGEST_TEXT` characters."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    text = str(value)[: 4 * LONGEST_TEXT].encode("utf-8", "replace").decode("utf-8")
    text = _HARMFUL.sub("", text)
    text = "".join(" " if unicodedata.category(char) == "Cc" else char for char in text)
    text = unicodedata.normalize("NFC", " ".join(text.split()))
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1].rstrip() + "…"


def _guarded(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except Exception:  # noqa: BLE001 (a parser of hostile bytes: any error means "no tags")
        return None


def _tags(values: dict[str, list[Any]]) -> Tags:
    """Cleaned tags from raw values, each of which may be of any type."""
    words = {}
    for name in _WORDS:
        cleaned = (clean(value) for value in values.get(name, [])[:20])
        words[name] = clean("; ".join(dict.fromkeys(filter(None, cleaned))))
    year = _first(_YEAR, values.get("year", []))
    number = _first(_NUMBER, values.get("track_number", []))
    return Tags(**words, year=year, track_number=number or None)


def _first(pattern: re.Pattern[str], values: Iterable[Any]) -> int | None:
    """The first number of `pattern` among the values."""
    for value in values:
        # mutagen gives MP4 track numbers as (number, total)
        text = clean(value[0] if isinstance(value, tuple) and value else value)
        if (found := pattern.search(text)) is not None:
            return int(found.group(1))
    return None


def _values(file: Any) -> dict[str, list[Any]]:
    """Raw values by our names, from whichever family of tags the file has."""
    kind = type(file.tags).__name__
    table, read = _VORBIS, _plain_values
    if hasattr(file.tags, "getall"):
        table, read = _ID3, _id3_values
    elif kind == "MP4Tags":
        table = _MP4
    elif kind == "ASFTags":
        table = _ASF
    found: dict[str, list[Any]] = {}
    for name, keys in table.items():
        for key in keys:
            values = _guarded(lambda key=key: read(file.tags, key)) or []  # type: ignore[misc]
            if any(clean(value) for value in values):
                found[name] = values
                break
    return found


def _id3_values(tags: Any, key: str) -> list[Any]:
    values: list[Any] = []
    for frame in tags.getall(key):
        values.extend(frame.genres if key == "TCON" else frame.text)
    return values


def _plain_values(tags: Any, key: str) -> list[Any]:
    try:
        values = tags[key]
    except KeyError:
        return []
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        return [values]
    return list(values)


def _is_picture(image: bytes) -> bool:
    return len(image) <= LARGEST_COVER_BYTES and image.startswith(
        (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")
    )


def _pictures(file: Any) -> Iterator[bytes]:
    """Every picture of the file, front covers first."""
    found: list[tuple[bool, bytes]] = []
    tags = file.tags
    if hasattr(tags, "getall"):
        found += [(frame.type == _FRONT_COVER, frame.data) for frame in tags.getall("APIC")]
    found += [(item.type == _FRONT_COVER, item.data) for item in getattr(file, "pictures", [])]
    kind = type(tags).__name__
    if kind == "MP4Tags":
        found += [(True, bytes(image)) for image in tags.get("covr", [])]
    elif kind == "ASFTags":
        found += [_asf_picture(item.value) for item in tags.get("WM/Picture", [])]
    elif kind == "APEv2":
        for key in tags:
            if key.lower().startswith("cover art"):
                image = bytes(tags[key].value).partition(b"\0")[2]
                found.append(("front" in key.lower(), image))
    elif not hasattr(tags, "getall"):
        found += list(_vorbis_pictures(tags))
    yield from (image for _, image in sorted(found, key=lambda item: not item[0]))


def _vorbis_pictures(tags: Any) -> Iterator[tuple[bool, bytes]]:
    from mutagen.flac import Picture

    for text in _plain_values(tags, "metadata_block_picture"):
        picture: Any = Picture(base64.b64decode(text))  # type: ignore[no-untyped-call]
        yield picture.type == _FRONT_COVER, picture.data
    for text in _plain_values(tags, "coverart"):
        yield False, base64.b64decode(text)


def _asf_picture(value: bytes) -> tuple[bool, bytes]:
    """Type (1 byte), length (4), then MIME type and description in UTF-16, each ended by two
    zeros."""
    position = 5
    for _ in range(2):
        while value[position : position + 2] not in {b"\0\0", b""}:
            position += 2
        position += 2
    length = int.from_bytes(value[1:5], "little")
    return value[:1] == bytes([_FRONT_COVER]), value[position : position + length]


def _riff_info(path: Path) -> dict[str, list[Any]]:
    """The LIST INFO chunk of a WAV file, which mutagen does not read."""
    found: dict[str, list[Any]] = {}
    with path.open("rb") as file:
        if file.read(12)[8:] != b"WAVE":
            return {}
        while len(head := file.read(8)) == 8:
            length = int.from_bytes(head[4:], "little")
            if head[:4] == b"LIST" and length <= _LARGEST_INFO_BYTES:
                body = file.read(length)
                if body[:4] == b"INFO":
                    _read_info(body[4:], found)
                file.seek(length & 1, 1)
            else:
                file.seek(length + (length & 1), 1)
    return found


def _read_info(body: bytes, found: dict[str, list[Any]]) -> None:
    position = 0
    while position + 8 <= len(body):
        length = int.from_bytes(body[position + 4 : position + 8], "little")
        value = body[position + 8 : position + 8 + length].partition(b"\0")[0]
        if (name := _RIFF_INFO.get(body[position : position + 4])) is not None:
            try:
                text = value.decode("utf-8")
            except UnicodeDecodeError:
                text = value.decode("cp1252", "replace")
            found.setdefault(name, []).append(text)
        position += 8 + length + (length & 1)
