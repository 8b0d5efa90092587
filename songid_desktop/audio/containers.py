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
_ASF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c 47a9cf11 8ee400c00c205365")
_LENGTH_IN_HEADER = {"w64", "aiff", "mov", "caf", "ape", "wv", "tta", "dsf", "au", "mpc8"}
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
    return "text" if not looks_like_audio(head) and _is_text(head) else ""


def _is_text(head: bytes) -> bool:
    sample = head[:4096]
    if sample[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return len(sample) > 3 and (sample[2] == 0) != (sample[3] == 0)
    control = sum(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in sample)
    letters = sum(32 <= byte < 127 for byte in sample)
    try:
        sample[:-4].decode()
    except UnicodeDecodeError:
        return control == 0 and letters > 0.8 * len(sample)  # some older encoding
    return control == 0 and len(sample) > 4


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


def stated_duration_s(
    file: BinaryIO, head: bytes, container: str, estimate_s: float | None
) -> float | None:
    """The length that the container states (s), or None where it states none.

    Parameters
    ----------
    container : str
        libav's name of it.
    estimate_s : float or None
        libav's own figure. For some containers that is what is written there; for others it is
        computed from what is left of the file (WAV, ASF), guessed from the bit rate (MP3 without
        a Xing, Info or VBRI header, raw AAC) or read off the last page (Ogg).
    """
    kind = container.split(",", 1)[0]
    if kind == "wav":
        return _wav_duration_s(head)
    if kind == "asf":
        return _asf_duration_s(head)
    if kind == "flac":
        return estimate_s if _flac_total_samples(head) else None
    if kind == "mp3":
        start = _read_at(file, _id3_bytes(head), 4096)
        is_stated = any(mark in start for mark in (b"Xing", b"Info\0", b"VBRI"))
        return estimate_s if is_stated else None
    return estimate_s if kind in _LENGTH_IN_HEADER else None


def _wav_duration_s(head: bytes) -> float | None:
    at, byte_rate = 12, 0
    while head[:4] == b"RIFF" and at + 8 <= len(head):
        name, size = head[at : at + 4], int.from_bytes(head[at + 4 : at + 8], "little")
        if name == b"fmt ":
            byte_rate = int.from_bytes(head[at + 16 : at + 20], "little")
        elif name == b"data":
            # A recorder that could not go back to fill it in leaves 0 or the largest number.
            return size / byte_rate if byte_rate and 0 < size < 0xFFFF0000 else None
        at += 8 + size + size % 2
    return None


def _asf_duration_s(head: bytes) -> float | None:
    at = head.find(_ASF_FILE_PROPERTIES)
    if at < 0 or len(head) < at + 92:
        return None
    duration, _, preroll_ms, flags = struct.unpack_from("<QQQI", head, at + 64)
    is_broadcast = bool(flags & 1)
    return None if is_broadcast else float(duration / 1e7 - preroll_ms / 1e3)


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
