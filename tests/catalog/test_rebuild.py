"""What a damaged database still holds is saved, and nothing of the old one is lost."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from songid_desktop.catalog.catalog import Catalog, verify
from songid_desktop.catalog.history import History
from songid_desktop.catalog.rebuild import rebuild
from songid_desktop.catalog.records import Play
from songid_desktop.errors import CatalogBusy, CatalogError, CatalogTooNew
from songid_desktop.paths import Paths
from tests.support.catalog import CheckSum, enrol_here, write_song

COUNT = 12


@pytest.fixture
def library(paths: Paths, music: Path) -> Paths:
    for seed in range(COUNT):
        write_song(music / f"{seed}.wav", seed)
    enrol_here(paths, music, fingerprinters=[CheckSum(bytes_per_s=20_000)])
    with Catalog.open(paths) as catalog:
        for number in range(20):
            History(catalog).add(Play(float(number), number + 1.0, title=f"play {number}"))
    return paths


def test_a_sound_library_is_rebuilt_as_it_was(library: Paths, music: Path) -> None:
    with Catalog.open(library) as catalog:
        before, plays = catalog.tracks(), History(catalog).search()
        identity, revision = catalog.reader().catalog_id(), catalog.reader().revision()
    report = rebuild(library)
    assert report.faults == ()
    assert report.lost == {}
    assert report.saved["tracks"] == COUNT
    assert report.kept_file.exists()
    with Catalog.open(library) as catalog:
        assert catalog.tracks() == before
        assert History(catalog).search() == plays
        assert catalog.verify() == []
        assert len(list(catalog.reader().changes("checksum", "v1", 0))) == COUNT
        assert catalog.reader().catalog_id() != identity
        assert catalog.reader().revision() > revision
        assert catalog.database.value("PRAGMA journal_mode") == "wal"
        assert catalog.tracks(search="3.wav") != []
    assert (
        enrol_here(library, music, fingerprinters=[CheckSum(bytes_per_s=20_000)]).unchanged == COUNT
    )


def test_what_lies_past_the_damage_is_saved(library: Paths, music: Path) -> None:
    data = bytearray(library.catalog.read_bytes())
    middle = len(data) // 2 // 4096 * 4096
    data[middle : middle + 8 * 4096] = b"\xee" * (8 * 4096)
    library.catalog.write_bytes(data)
    assert verify(library)
    report = rebuild(library)
    assert report.kept_file.read_bytes() == bytes(data)
    assert verify(library) == []
    with Catalog.open(library) as catalog:
        assert len(catalog.tracks()) == COUNT
        kept = len(list(catalog.reader().changes("checksum", "v1", 0)))
        assert 1 <= kept < COUNT
        assert History(catalog).count() == 20
    again = enrol_here(library, music, fingerprinters=[CheckSum(bytes_per_s=20_000)])
    assert again.updated == COUNT - kept
    assert again.unchanged == kept


def test_a_file_that_is_no_database_gives_an_empty_library(library: Paths, music: Path) -> None:
    library.catalog.write_text("scribble " * 1000)
    report = rebuild(library)
    assert report.faults
    assert report.kept_file.read_text().startswith("scribble")
    assert verify(library) == []
    assert enrol_here(library, music).added == COUNT


def test_what_must_not_be_rebuilt(paths: Paths, library: Paths) -> None:
    with (
        Catalog.open(library) as catalog,
        catalog.writer("an enrolment"),
        pytest.raises(CatalogBusy, match="an enrolment"),
    ):
        rebuild(library)
    with sqlite3.connect(library.catalog) as raw:
        raw.execute("PRAGMA user_version = 7")
    raw.close()
    before = library.catalog.read_bytes()
    with pytest.raises(CatalogTooNew):
        rebuild(library)
    assert library.catalog.read_bytes() == before
    library.catalog.unlink()
    with pytest.raises(CatalogError, match="no library"):
        rebuild(library)
