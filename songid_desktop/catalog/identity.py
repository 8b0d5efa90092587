"""Which recording a file holds: a hash of its encoded sound, whatever the tags around it say.

Hashing whole files would be simplest, but every edited tag would then make a new track, and a
library that a tagger went over would be enrolled all over again. Hashing the *decoded* sound would
be truest, but lossy decoders differ in the last bits between versions and processors. So the
hash covers the bytes that hold sound and leaves out the containers' metadata, by small readers of
our own whose answer stays the same for ever:

========  ==========================================================================
mp3, aac  all but ID3v2 and APEv2 in front, and ID3v1, Lyrics3v2, APEv2, ID3v2 behind
flac      STREAMINFO and everything after the metadata blocks
ogg       bodies of the pages from the first with sound on, and the first page's
mp4, m4a  the `mdat` boxes
wav       `fmt ` and `data` chunks; aiff: COMM and SSND
asf       the data object
========  ==========================================================================

Whatever does not read cleanly as one of these is hashed whole, behind the same tag stripping.
Two files with the same hash are the same recording in the same encoding: one track, two locations.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from songid_desktop.errors import Cancelled
from songid_desktop.types import CancelToken

HASH_BYTES = 20
_CHUNK_BYTES = 1 << 20
_ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_DATA = bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")

Region = tuple[int, int]
"""Start and end of a run of bytes."""


class _Unclear(Exception):
    """The structure is not what the format promises."""


def content_hash(
    path: Path, cancel: CancelToken | None = None, beat: Callable[[], None] | None = None
) -> bytes:
    """Identity of the sound in `path`.

    Parameters
    ----------
    beat : callable, optional
        Called after every megabyte, as a sign of life.

    Returns
    -------
    bytes of length `HASH_BYTES`

    Raises
    ------
    OSError
        When the file can't be read.
    Cancelled
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        kind, regions = _sound_regions(file, size)
        digest = hashlib.blake2b(digest_size=HASH_BYTES, person=kind.encode())
        for start, end in regions:
            file.seek(start)
            left = end - start
            while left > 0:
                if cancel is not None and cancel.is_set():
                    raise Cancelled
                chunk = file.read(min(left, _CHUNK_BYTES))
                if not chunk:
                    break
                digest.update(chunk)
                left -= len(chunk)
                if beat is not None and len(chunk) == _CHUNK_BYTES:
                    beat()
        return digest.digest()


def _sound_regions(file: BinaryIO, size: int) -> tuple[str, list[Region]]:
    """Format name and the runs of bytes that hold sound; never empty for a file that is not."""
    start, end = _without_tags(file, size)
    head = _read_at(file, start, 16)
    for matches, kind, reader in _READERS:
        if matches(head):
            try:
                regions = [(low, high) for low, high in reader(file, start, end) if high > low]
            except _Unclear:
                break
            if regions:
                return kind, regions
            break
    return "whole", [(start, end)] if end > start else [(0, size)]


def _read_at(file: BinaryIO, position: int, count: int) -> bytes:
    file.seek(position)
    return file.read(count)


def _synchsafe(four: bytes) -> int:
    return (four[0] & 127) << 21 | (four[1] & 127) << 14 | (four[2] & 127) << 7 | four[3] & 127


def _without_tags(file: BinaryIO, size: int) -> Region:
    """The file less the tags that any player skips at both ends."""
    start, end = 0, size
    while True:
        head = _read_at(file, start, 32)
        if head[:3] == b"ID3" and len(head) >= 10:
            length = 10 + _synchsafe(head[6:10]) + (10 if head[5] & 0x10 else 0)
        elif head[:8] == b"APETAGEX" and len(head) == 32:
            length = 32 + int.from_bytes(head[12:16], "little")
        else:
            break
        if start + length >= end:
            break
        start += length
    while (shorter := _before_last_tag(file, start, end)) < end:
        end = shorter
    return start, end


def _before_last_tag(file: BinaryIO, start: int, end: int) -> int:
    """Where the tag that ends at `end` begins; `end` when none does."""
    tail = _read_at(file, max(start, end - 160), min(160, end - start))
    found = end
    if len(tail) >= 128 and tail[-128:-125] == b"TAG":
        found = end - 128
    elif len(tail) >= 32 and tail[-32:-24] == b"APETAGEX":
        length = int.from_bytes(tail[-20:-16], "little")
        has_header = bool(tail[-9] & 0x80)
        found = end - length - (32 if has_header else 0)
    elif len(tail) >= 15 and tail[-9:] == b"LYRICS200" and tail[-15:-9].isdigit():
        found = end - 15 - int(tail[-15:-9])
    elif len(tail) >= 10 and tail[-10:-7] == b"3DI":
        found = end - 20 - _synchsafe(tail[-4:])
    return found if start < found < end else end


def _flac(file: BinaryIO, start: int, end: int) -> Iterator[Region]:
    position = start + 4
    is_last = False
    while not is_last:
        head = _read_at(file, position, 4)
        if len(head) < 4:
            raise _Unclear
        is_last = bool(head[0] & 0x80)
        length = int.from_bytes(head[1:4], "big")
        if head[0] & 0x7F == 0:
            yield position + 4, position + 4 + length
        position += 4 + length
    if position >= end:
        raise _Unclear
    yield position, end


def _ogg(file: BinaryIO, start: int, end: int) -> Iterator[Region]:
    """Page bodies: page headers are renumbered when the comment before them grows.

    Vorbis, Opus and FLAC-in-Ogg all begin their sound on a fresh page, and header pages have
    granule position 0 or none (-1).
    """
    position, has_sound = start, False
    while position < end:
        head = _read_at(file, position, 27)
        if len(head) < 27 or head[:4] != b"OggS":
            if not has_sound:
                raise _Unclear
            yield position, end  # torn tail: its bytes count as they are
            return
        segments = _read_at(file, position + 27, head[26])
        body = position + 27 + head[26]
        after = min(body + sum(segments), end)
        granule = int.from_bytes(head[6:14], "little", signed=True)
        has_sound = has_sound or granule > 0
        if has_sound or position == start:
            yield body, after
        position = after
    if not has_sound:
        raise _Unclear


def _mp4(file: BinaryIO, start: int, end: int) -> Iterator[Region]:
    position, found = start, False
    while position + 8 <= end:
        head = _read_at(file, position, 16)
        length, header = int.from_bytes(head[:4], "big"), 8
        if length == 1 and len(head) == 16:
            length, header = int.from_bytes(head[8:16], "big"), 16
        elif length == 0:
            length = end - position
        if length < header:
            raise _Unclear
        if head[4:8] == b"mdat":
            found = True
            yield position + header, min(position + length, end)
        position += length
    if not found:
        raise _Unclear


def _riff(file: BinaryIO, start: int, end: int) -> Iterator[Region]:
    yield from _chunks(file, start + 12, end, "little", (b"fmt ", b"data"))


def _aiff(file: BinaryIO, start: int, end: int) -> Iterator[Region]:
    yield from _chunks(file, start + 12, end, "big", (b"COMM", b"SSND"))


def _chunks(
    file: BinaryIO, position: int, end: int, order: str, wanted: tuple[bytes, bytes]
) -> Iterator[Region]:
    seen: set[bytes] = set()
    while position + 8 <= end:
        head = _read_at(file, position, 8)
        length = int.from_bytes(head[4:], "little" if order == "little" else "big")
        after = position + 8 + length
        if head[:4] in wanted:
            seen.add(head[:4])
            if head[:4] == wanted[1] and length == 0:
                after = end  # written by a stream that never came back to fill the length in
            # Oversized files give a length that is not there: sound to the end.
            yield position + 8, min(after, end)
        position = after + (length & 1)
    if len(seen) != len(wanted):
        raise _Unclear


def _asf(file: BinaryIO, start: int, end: int) -> Iterator[Region]:
    position, found = start, False
    while position + 24 <= end:
        head = _read_at(file, position, 24)
        length = int.from_bytes(head[16:24], "little")
        if length < 24:
            raise _Unclear
        if head[:16] == _ASF_DATA:
            found = True
            # Behind the 50-byte header, whose file id a tagger may renew.
            yield position + 50, min(position + length, end)
        position += length
    if not found:
        raise _Unclear


_READERS: tuple[
    tuple[Callable[[bytes], bool], str, Callable[[BinaryIO, int, int], Iterator[Region]]],
    ...,
] = (
    (lambda head: head[:4] == b"fLaC", "flac", _flac),
    (lambda head: head[:4] == b"OggS", "ogg", _ogg),
    (lambda head: head[4:8] == b"ftyp", "mp4", _mp4),
    (lambda head: head[:4] in {b"RIFF", b"RF64"} and head[8:12] == b"WAVE", "wav", _riff),
    (lambda head: head[:4] == b"FORM" and head[8:12] in {b"AIFF", b"AIFC"}, "aiff", _aiff),
    (lambda head: head[:16] == _ASF_HEADER, "asf", _asf),
)
