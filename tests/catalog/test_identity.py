"""The same sound is the same recording whatever its tags say, and other sound never is."""

from __future__ import annotations

from pathlib import Path

import mutagen
import mutagen.aiff
import mutagen.apev2
import mutagen.flac
import mutagen.id3
import mutagen.mp3
import mutagen.mp4
import mutagen.oggvorbis
import mutagen.wave
import pytest
from hypothesis import given
from hypothesis import strategies as st

from songid_desktop.catalog.identity import HASH_BYTES, content_hash
from tests.support.catalog import write_song
from tests.support.catalog_files import encode

KINDS = [".wav", ".flac", ".ogg", ".aiff", ".mp3", ".m4a", ".opus", ".wma", ".aac"]


def retag(path: Path, text: str) -> None:
    """Write tags of the file's own kind."""
    if path.suffix == ".aac":
        tags = mutagen.id3.ID3()
        tags.add(mutagen.id3.TIT2(encoding=3, text=text))
        tags.save(path)
        ape = mutagen.apev2.APEv2()
        ape["Title"] = text
        ape.save(path)
        return
    file = mutagen.File(path)
    assert file is not None
    if file.tags is None:
        file.add_tags()
    if hasattr(file.tags, "getall"):
        file.tags.add(mutagen.id3.TIT2(encoding=3, text=text))
        file.tags.add(
            mutagen.id3.APIC(encoding=3, mime="image/png", type=3, desc="", data=b"\x89PNG" * 999)
        )
    elif path.suffix == ".m4a":
        file.tags["\xa9nam"] = text
    elif path.suffix == ".wma":
        file.tags["Title"] = text
    else:
        file.tags["title"] = text
        file.tags["comment"] = text * 300
    file.save()


@pytest.mark.parametrize("kind", KINDS)
def test_tags_do_not_change_what_a_file_is(tmp_path: Path, kind: str) -> None:
    song = encode(tmp_path / f"song{kind}", 1)
    identity = content_hash(song)
    assert len(identity) == HASH_BYTES
    for text in ("One", "Another title, much longer " * 40, "x"):
        before = song.read_bytes()
        retag(song, text)
        assert song.read_bytes() != before
        assert content_hash(song) == identity
    other = encode(tmp_path / f"other{kind}", 2)
    assert content_hash(other) != identity


@pytest.mark.parametrize("kind", KINDS)
def test_any_changed_byte_of_sound_is_another_recording(tmp_path: Path, kind: str) -> None:
    song = encode(tmp_path / f"song{kind}", 1)
    identity = content_hash(song)
    data = bytearray(song.read_bytes())
    # Most of any of these files is sound; its middle certainly is.
    data[len(data) // 2] ^= 0x55
    song.write_bytes(data)
    assert content_hash(song) != identity


def test_a_wav_whose_length_was_never_filled_in(tmp_path: Path) -> None:
    identities = set()
    for seed in (1, 2):
        song = write_song(tmp_path / f"{seed}.wav", seed)
        data = bytearray(song.read_bytes())
        data[4:8] = data[40:44] = bytes(4)
        song.write_bytes(data)
        identities.add(content_hash(song))
    assert len(identities) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_cut_files_are_their_own(tmp_path: Path, kind: str) -> None:
    song = encode(tmp_path / f"song{kind}", 1)
    data = song.read_bytes()
    seen = {content_hash(song)}
    for share in (0.9, 0.6, 0.3):
        song.write_bytes(data[: int(len(data) * share)])
        seen.add(content_hash(song))
    assert len(seen) == 4


@given(
    st.sampled_from(
        [
            b"ID3\x04\0\0",
            b"fLaC",
            b"OggS",
            b"RIFF\0\0\0\0WAVE",
            b"FORM\0\0\0\0AIFF",
            b"\0\0\0\x18ftyp",
        ]
    ),
    st.binary(max_size=300),
)
def test_no_bytes_are_too_strange(
    tmp_path_factory: pytest.TempPathFactory, head: bytes, body: bytes
) -> None:
    path = tmp_path_factory.mktemp("strange") / "file"
    path.write_bytes(head + body)
    one = content_hash(path)
    path.write_bytes(head + body + b"!")
    assert len(one) == HASH_BYTES
