"""What a file's own bytes say about it, read without a decoder: what it is, whether it is locked,
how long it claims to be."""

from __future__ import annotations

import os
import struct
from typing import BinaryIO

_HEAD_BYTES = 65_536

_ASF = b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"
"""Header object of Microsoft's container, that of wma."""

_AUDIO_MAGIC: tuple[tuple[int, bytes], ...] = (
    (0, b"ID3"),
    (0, b"RIFF"),
    (0, b"RIFX"),
    (0, b"RF64"),
    (0, b"riff"),
    (0, b"fLaC"),
    (0, b"OggS"),
    (0, b"FORM"),
    (4, b"ftyp"),
    (0, _ASF),
    (0, b"caff"),
    (0, b".snd"),
    (0, b"MAC "),
    (0, b"wvpk"),
    (0, b"TTA"),
    (0, b"MPCK"),
    (0, b"MP+"),
    (0, b"\x1a\x45\xdf\xa3"),  # Matroska
    (0, b"#!AMR"),
    (0, b"DSD "),
    (0, b"ADIF"),
)

_OTHER_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\xff\xd8\xff", "a picture"),
    (0, b"\x89PNG", "a picture"),
    (0, b"GIF8", "a picture"),
    (0, b"BM", "a picture"),
    (0, b"II*\0", "a picture"),
    (0, b"MM\0*", "a picture"),
    (8, b"WEBP", "a picture"),
    (8, b"AVI ", "a video"),
    (0, b"\0\0\1\xba", "a video"),
    (0, b"%PDF", "a document"),
    (0, b"%!PS", "a document"),
    (0, b"PK\3\4", "an archive or document"),
    (0, b"Rar!", "an archive"),
    (0, b"7z\xbc\xaf", "an archive"),
    (0, b"\x1f\x8b", "an archive"),
    (0, b"BZh", "an archive"),
    (0, b"\xfd7zXZ", "an archive"),
    (0, b"\x7fELF", "a program"),
    (0, b"MZ", "a program"),
    (0, b"SQLite format 3", "a database"),
)

_ASF_ENCRYPTION = (
    bytes.fromhex("fbb31122 23bdd211 b4b700a0c955fc6e"),
    bytes.fromhex("14e68a29 2226174c b935dae07ee9289c"),
)
_LOCKED_SAMPLE_ENTRIES = (b"drms", b"enca", b"aavd", b"encs")
_BOX_PATH = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")


def read_head(file: BinaryIO) -> bytes:
    """The first 64 kB; the file's position is left at its start."""
    file.seek(0)
    head = file.read(_HEAD_BYTES)
    file.seek(0)
    return head


def looks_like_audio(head: bytes) -> bool:
    """Whether the first bytes are those of a container that holds sound."""
    if any(head[at : at + len(magic)] == magic for at, magic in _AUDIO_MAGIC):
        return True
    return len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0 and head[1] != 0xFF


def name_other_content(head: bytes) -> str:
    """What the first bytes are instead of sound ("a picture", "text"), or "" when unknown."""
    for at, magic, name in _OTHER_MAGIC:
        if head[at : at + len(magic)] == magic:
            return name
    return "text" if _is_text(head) else ""


def _is_text(head: bytes) -> bool:
    sample = head[:4096]
    if sample[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return len(sample) > 3 and (sample[2] == 0) != (sample[3] == 0)
    if b"\0" in sample:
        return False
    control = sum(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in sample)
    return bool(sample) and control == 0


def is_locked(file: BinaryIO, head: bytes) -> bool:
    """Whether the sound is encrypted: protected m4p, m4a, aax or wma."""
    if head[:8] == _ASF:
        return any(guid in head for guid in _ASF_ENCRYPTION)
    if head[4:8] != b"ftyp":
        return False
    if head[8:11] == b"aax":
        return True
    try:
        size = file.seek(0, os.SEEK_END)
        return any(entry in _LOCKED_SAMPLE_ENTRIES for entry in _sample_entries(file, 0, size, 0))
    except (OSError, struct.error):
        return False
    finally:
        file.seek(0)


def _sample_entries(file: BinaryIO, start: int, end: int, depth: int) -> list[bytes]:
    """Four-letter codes of the sample entries between two places of an MP4 file."""
    found: list[bytes] = []
    at = start
    for _ in range(10_000):  # a damaged file may hold boxes of eight bytes without end
        if at + 8 > end:
            break
        file.seek(at)
        size, kind = struct.unpack(">I4s", file.read(8))
        header = 8
        if size == 1:
            size = struct.unpack(">Q", file.read(8))[0]
            header = 16
        elif size == 0:
            size = end - at
        if size < header:
            break
        if kind == _BOX_PATH[depth]:
            if kind == b"stsd":
                file.seek(at + header + 12)  # version and flags, count, size of the first entry
                found.append(file.read(4))
            else:
                inside = _sample_entries(file, at + header, min(at + size, end), depth + 1)
                found.extend(inside)
        at += size
    return found


def is_length_stated(file: BinaryIO, head: bytes, container: str) -> bool:
    """Whether the container states its length, so that a shorter decoding means a part is
    missing.

    Where it doesn't (MP3 without a Xing, Info or VBRI header, raw AAC, Ogg, whose length is read
    off its last page), libavformat's figure is a guess.
    """
    if container == "flac":
        return _flac_total_samples(head) > 0
    if container == "mp3":
        start = _read_at(file, _id3_bytes(head), 4096)
        return any(mark in start for mark in (b"Xing", b"Info\0", b"VBRI"))
    return container.split(",", 1)[0] in {
        "wav", "w64", "aiff", "mov", "asf", "caf", "ape", "wv", "tta", "dsf", "au", "mpc8",
    }  # fmt: skip


def _id3_bytes(head: bytes) -> int:
    """Length of the ID3v2 tag at the start; seven bits of each of four bytes count."""
    if head[:3] != b"ID3" or len(head) < 10:
        return 0
    first, second, third, last = (byte & 0x7F for byte in head[6:10])
    return 10 + (first << 21 | second << 14 | third << 7 | last)


def _read_at(file: BinaryIO, position: int, count: int) -> bytes:
    try:
        file.seek(position)
        return file.read(count)
    finally:
        file.seek(0)


def _flac_total_samples(head: bytes) -> int:
    at = head.find(b"fLaC")
    block = head[at + 8 : at + 42] if at >= 0 else b""
    if len(block) < 18:
        return 0
    return ((block[13] & 0x0F) << 32) | int.from_bytes(block[14:18], "big")


def ends_inside_ogg_page(file: BinaryIO) -> bool:
    """Whether the last page of an Ogg file is cut off: the one trace a missing end leaves there."""
    try:
        size = file.seek(0, os.SEEK_END)
        start = max(0, size - 131_072)  # a page is at most 65,307 bytes
        file.seek(start)
        tail = file.read()
    except OSError:
        return False
    finally:
        file.seek(0)
    at = tail.rfind(b"OggS")
    while at >= 0:
        if len(tail) - at < 27:
            return True
        if tail[at + 4] == 0:
            segments = tail[at + 27 : at + 27 + tail[at + 26]]
            return at + 27 + tail[at + 26] + sum(segments) > len(tail)
        at = tail.rfind(b"OggS", 0, at)
    return False
