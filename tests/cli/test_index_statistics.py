"""`songid catalog stats` and `verify` say what the index is made of, and whether it is whole."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.cli import Songid, noise, write_wav

TRACKS = 3


@pytest.fixture
def library(songid: Songid, tmp_path: Path) -> Songid:
    for number in range(TRACKS):
        write_wav(tmp_path / f"{number}.wav", noise(5.0, seed=number))
    assert songid.run("enroll", *tmp_path.glob("*.wav")).code == 0
    return songid


def test_statistics_say_what_the_index_is_made_of(library: Songid) -> None:
    numbers = library.run("catalog", "stats", "--json").json_line()
    index = numbers["indexes"]["landmark"]
    assert index["tracks"] == TRACKS
    assert index["postings"] > index["peaks"] > 0
    assert sum(index["bytes_of"].values()) == index["bytes"] <= numbers["index_bytes"]
    assert index["problems"] == []
    common = index["common_hashes"]
    assert common == sorted(common, key=lambda one: -one["postings"])
    assert all("Hz" in one["text"] for one in common)
    assert numbers["bytes_per_minute"] > 0
    told = library.run("catalog", "stats").out
    assert f"{index['postings']:,} postings" in told
    assert "kB stored per minute" in told
    (line,) = (line for line in told.splitlines() if line.startswith("landmark: "))
    assert line.startswith(f"landmark: {TRACKS} enrolled, 0 pending; fingerprints ")
    assert line.endswith("kB a minute)")


def test_damage_is_reported_and_made_good(library: Songid) -> None:
    path = next(library.paths.index.rglob("*.segment"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 8
    path.write_bytes(data)
    found = library.run("catalog", "verify")
    assert found.code == 3
    assert "damaged" in found.out
    assert "No track is lost" in found.out
    library.run("catalog", "rebuild")
    assert library.run("catalog", "verify").out.strip() == "The library is sound."
    assert library.run("catalog", "stats", "--json").json_line()["tracks"] == TRACKS


def test_an_index_that_is_gone_is_said_and_made_again(library: Songid) -> None:
    shutil.rmtree(library.paths.index)
    found = library.run("catalog", "verify")
    assert found.code == 0
    assert "The landmark index is not on disk. No track is lost" in found.out
    assert library.run("catalog", "verify", "--json").json_line()["notes"]
    library.run("catalog", "rebuild")
    assert library.run("catalog", "verify").out.strip() == "The library is sound."


@pytest.mark.parametrize("which", ["index", "landmark"])
def test_a_file_in_the_place_of_a_folder_is_named(library: Songid, which: str) -> None:
    place = library.paths.index if which == "index" else library.paths.index / which
    shutil.rmtree(place)
    place.write_text("in the way")
    for arguments in (["verify"], ["rebuild"]):
        found = library.run("catalog", *arguments)
        assert found.code == 3
        assert f"{place} is a file, and should be a folder" in found.out + found.err
    place.unlink()
    library.run("catalog", "rebuild")
    assert library.run("catalog", "verify").out.strip() == "The library is sound."


def test_a_folder_in_the_place_of_the_manifest_is_replaced(library: Songid) -> None:
    manifest = library.paths.index / "landmark" / "manifest.json"
    manifest.unlink()
    manifest.mkdir()
    assert library.run("catalog", "verify").code == 3
    library.run("catalog", "rebuild")
    assert library.run("catalog", "verify").out.strip() == "The library is sound."


def test_nothing_enrolled_has_no_indexes(songid: Songid) -> None:
    numbers = songid.run("catalog", "stats", "--json").json_line()
    assert numbers["indexes"] == {}
    assert numbers["bytes_per_minute"] == 0.0
