"""`songid catalog stats` and `verify` say what the index is made of, and whether it is whole."""

from __future__ import annotations

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


def test_nothing_enrolled_has_no_indexes(songid: Songid) -> None:
    numbers = songid.run("catalog", "stats", "--json").json_line()
    assert numbers["indexes"] == {}
    assert numbers["bytes_per_minute"] == 0.0
