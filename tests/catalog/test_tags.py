"""Tags of every family, honest ones and hostile ones."""

from __future__ import annotations

import base64
import unicodedata
from pathlib import Path

import mutagen
import mutagen.apev2
import mutagen.asf
import mutagen.flac
import mutagen.id3
import mutagen.mp4
import pytest
from hypothesis import given
from hypothesis import strategies as st

from songid_desktop.catalog.tags import LONGEST_TEXT, clean, read_cover, read_tags
from songid_desktop.types import Tags
from tests.support.catalog import write_song
from tests.support.catalog_files import encode

PNG = b"\x89PNG\r\n\x1a\n" + bytes(500)
JPEG = b"\xff\xd8\xff\xe0" + bytes(700)
EXPECTED = Tags("Nächte", "Ensemble; Gäste", "Im Süden", "Folk", 1987, 7)
KINDS = [".wav", ".flac", ".ogg", ".aiff", ".mp3", ".m4a", ".opus", ".wma"]


def write_tags(path: Path, title: str, artists: list[str], cover: bytes) -> None:
    file = mutagen.File(path)
    assert file is not None
    if file.tags is None:
        file.add_tags()
    tags = file.tags
    if hasattr(tags, "getall"):
        for frame, text in {
            "TIT2": [title],
            "TPE1": artists,
            "TALB": ["Im Süden"],
            "TCON": ["(80)"],
            "TDRC": ["1987-05-04"],
            "TRCK": ["7/12"],
        }.items():
            tags.add(getattr(mutagen.id3, frame)(encoding=3, text=text))
        for kind, image in ((4, PNG), (3, cover)):
            tags.add(mutagen.id3.APIC(encoding=3, mime="", type=kind, desc=str(kind), data=image))
    elif path.suffix == ".m4a":
        tags.update({"\xa9nam": title, "\xa9ART": artists, "\xa9alb": "Im Süden"})
        tags.update({"\xa9gen": "Folk", "\xa9day": "1987-05-04", "trkn": [(7, 12)]})
        tags["covr"] = [mutagen.mp4.MP4Cover(cover)]
    elif path.suffix == ".wma":
        tags.update({"Title": title, "Author": artists, "WM/AlbumTitle": "Im Süden"})
        tags.update({"WM/Genre": "Folk", "WM/Year": "1987", "WM/TrackNumber": 7})
        picture = b"\x03" + len(cover).to_bytes(4, "little")
        picture += "image/jpeg\0Vorne\0".encode("utf-16-le") + cover
        tags["WM/Picture"] = mutagen.asf.ASFByteArrayAttribute(picture)
    else:
        tags.update({"title": title, "artist": artists, "album": "Im Süden"})
        tags.update({"genre": "Folk", "date": "1987-05-04", "tracknumber": "7/12"})
        picture = mutagen.flac.Picture()
        picture.type, picture.data, picture.mime = 3, cover, "image/jpeg"
        if path.suffix == ".flac":
            file.add_picture(picture)
        else:
            tags["metadata_block_picture"] = base64.b64encode(picture.write()).decode()
    file.save()


@pytest.mark.parametrize("kind", KINDS)
def test_every_family_of_tags_says_the_same(tmp_path: Path, kind: str) -> None:
    song = encode(tmp_path / f"song{kind}", 1)
    assert read_tags(song) == Tags()
    assert read_cover(song) is None
    write_tags(song, "Nächte", ["Ensemble", "Gäste"], JPEG)
    assert read_tags(song) == EXPECTED
    assert read_cover(song) == JPEG


def test_ape_tags_and_cover(tmp_path: Path) -> None:
    from songid_desktop.catalog.tags import _pictures, _tags, _values

    song = encode(tmp_path / "song.aac", 1)
    ape = mutagen.apev2.APEv2()
    ape.update({"Title": "Nächte", "Artist": ["Ensemble", "Gäste"], "Album": "Im Süden"})
    ape.update({"Genre": "Folk", "Year": "1987", "Track": "7/12"})
    ape["Cover Art (Front)"] = mutagen.apev2.APEValue(b"c.jpg\0" + JPEG, mutagen.apev2.BINARY)
    ape.save(song)

    class File:
        tags = mutagen.apev2.APEv2(song)

    assert _tags(_values(File)) == EXPECTED
    assert list(_pictures(File)) == [JPEG]


def test_riff_info_where_there_is_no_id3(tmp_path: Path) -> None:
    song = write_song(tmp_path / "song.wav", 1)
    body = b"INFO"
    for key, text in ((b"INAM", "Nächte"), (b"IART", "Wer"), (b"ICRD", "1987")):
        value = text.encode("cp1252") + b"\0"
        body += key + len(value).to_bytes(4, "little") + value + b"\0" * (len(value) & 1)
    with song.open("ab") as file:
        file.write(b"LIST" + len(body).to_bytes(4, "little") + body)
    assert read_tags(song) == Tags("Nächte", "Wer", "", "", 1987)


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_tags_are_tamed(tmp_path: Path, kind: str) -> None:
    song = encode(tmp_path / f"song{kind}", 1)
    nasty = "A" * 1_000_000 if kind != ".wma" else "A" * 30_000
    write_tags(song, nasty, ["\x1b[31mred\x07", "\u202egnp.exe", "a\r\nb"], b"GIF89a" + bytes(99))
    tags = read_tags(song)
    assert len(tags.title) == LONGEST_TEXT
    assert tags.artist == "[31mred; gnp.exe; a b"
    if hasattr(mutagen.File(song).tags, "getall"):
        assert read_cover(song) == PNG  # the other picture is one
    else:
        assert read_cover(song) is None


def test_a_cover_of_more_than_two_megabytes_is_left(tmp_path: Path) -> None:
    song = encode(tmp_path / "song.flac", 1)
    write_tags(song, "x", ["y"], JPEG + bytes(2_000_000))
    assert read_cover(song) is None


@given(st.one_of(st.text(), st.binary(), st.integers(), st.none(), st.lists(st.text())))
def test_any_value_becomes_one_short_visible_line(value: object) -> None:
    text = clean(value)
    assert len(text) <= LONGEST_TEXT
    text.encode()
    assert not any(unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"} for char in text)
    assert clean(text) == text


@given(
    kind=st.sampled_from(KINDS),
    seed=st.integers(0, 2**32 - 1),
    share=st.floats(0.0, 0.2),
)
def test_no_damage_makes_it_raise(
    tmp_path_factory: pytest.TempPathFactory, kind: str, seed: int, share: float
) -> None:
    import numpy as np

    song = encode(tmp_path_factory.mktemp("damage") / f"song{kind}", 1, 1.0)
    write_tags(song, "t", ["a"], JPEG)
    data = np.frombuffer(bytearray(song.read_bytes()), np.uint8)
    rng = np.random.default_rng(seed)
    hits = rng.integers(0, min(len(data), 2000), int(len(data) * share) + 1)
    data[hits] = rng.integers(0, 256, len(hits))
    song.write_bytes(data.tobytes())
    assert isinstance(read_tags(song), Tags)
    cover = read_cover(song)
    assert cover is None or cover.startswith((b"\xff\xd8\xff", b"\x89PNG"))


def test_no_file_no_tags(tmp_path: Path) -> None:
    assert read_tags(tmp_path / "nothing.mp3") == Tags()
