"""Removing, undoing, folders; and what indexes hear of it."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from songid_desktop.catalog.catalog import Catalog
from songid_desktop.catalog.history import History
from songid_desktop.catalog.records import Play
from songid_desktop.errors import UsageError
from songid_desktop.paths import Paths
from tests.support.catalog import CheckSum, enrol_here, write_song


@pytest.fixture
def library(paths: Paths, music: Path) -> Paths:
    for seed in range(4):
        write_song(music / "rock" / f"{seed}.wav", seed)
    write_song(music / "jazz" / "5.wav", 5)
    write_song(music / "jazz" / "copy of 0.wav", 0)
    enrol_here(paths, music / "rock", music / "jazz")
    return paths


def prints(catalog: Catalog, since: int = 0) -> dict[int, bool]:
    """Track → whether it has a fingerprint, as told since a revision."""
    return {
        change.track_id: change.fingerprint is not None
        for change in catalog.reader().changes("checksum", "v1", since)
    }


def test_removed_tracks_are_gone_and_come_back_as_they_were(library: Paths) -> None:
    with Catalog.open(library) as catalog, catalog.writer("test") as writer:
        before = catalog.tracks()
        gone = [track.track_id for track in before[:2]]
        revision = catalog.reader().revision()
        play = History(catalog).add(Play(0.0, 1.0, track_id=gone[0], title="heard"))
        token = writer.remove_tracks(gone)
        assert catalog.tracks() == before[2:]
        assert catalog.track(gone[0]) is None
        assert prints(catalog, revision) == dict.fromkeys(gone, False)
        assert set(prints(catalog)) == {track.track_id for track in before[2:]}
        heard = History(catalog).get(play)
        assert heard is not None
        assert (heard.title, heard.track_id) == ("heard", None)
        assert catalog.verify() == []
        middle = catalog.reader().revision()
        assert writer.undo_remove(token) == 2
        assert catalog.tracks() == before
        assert prints(catalog, middle) == dict.fromkeys(gone, True)
        assert prints(catalog, revision) == dict.fromkeys(gone, True)
        heard = History(catalog).get(play)
        assert heard is not None
        assert heard.track_id == gone[0]
        assert catalog.verify() == []
        with pytest.raises(UsageError, match="can't be undone"):
            writer.undo_remove(token)


def test_an_old_removal_gives_its_space_back(library: Paths) -> None:
    with Catalog.open(library) as catalog:
        with catalog.writer("test") as writer:
            token = writer.remove_tracks([track.track_id for track in catalog.tracks()])
            assert catalog.database.value("SELECT count(*) FROM payloads") == 5
            writer.drop_old_removals(older_than_s=-1)
            assert catalog.database.value("SELECT count(*) FROM payloads") == 0
            with pytest.raises(UsageError):
                writer.undo_remove(token)
        assert catalog.verify() == []


def test_removing_a_folder_keeps_what_also_lives_elsewhere(library: Paths, music: Path) -> None:
    with Catalog.open(library) as catalog, catalog.writer("test") as writer:
        before = catalog.tracks()
        token = writer.remove_folder(music / "rock")
        assert catalog.folders() == [music / "jazz"]
        left = catalog.tracks()
        assert {path for track in left for path in track.locations} == {
            music / "jazz" / "5.wav",
            music / "jazz" / "copy of 0.wav",
        }
        assert catalog.tracks(search="rock") == []
        writer.undo_remove(token)
        assert {t.track_id: set(t.locations) for t in catalog.tracks()} == {
            t.track_id: set(t.locations) for t in before
        }
        assert len(catalog.tracks(search="rock")) == 4
        assert catalog.verify() == []


def test_undo_after_the_files_were_enrolled_again(library: Paths, music: Path) -> None:
    with Catalog.open(library) as catalog:
        track = catalog.find_path(music / "rock" / "1.wav")
        assert track is not None
        play = History(catalog).add(Play(0.0, 1.0, track_id=track.track_id))
        with catalog.writer("test") as writer:
            token = writer.remove_tracks([track.track_id])
        assert enrol_here(library, music / "rock").added == 1
        with catalog.writer("test") as writer:
            assert writer.undo_remove(token) == 0
        now = catalog.find_path(music / "rock" / "1.wav")
        heard = History(catalog).get(play)
        assert now is not None
        assert heard is not None
        assert heard.track_id == now.track_id
        assert catalog.verify() == []


def test_undo_after_the_file_was_replaced(library: Paths, music: Path) -> None:
    song = music / "rock" / "1.wav"
    with Catalog.open(library) as catalog:
        track = catalog.find_path(song)
        assert track is not None
        with catalog.writer("test") as writer:
            token = writer.remove_tracks([track.track_id])
        write_song(song, 99)
        os.utime(song, ns=(5, 5))
        enrol_here(library, music / "rock")
        with catalog.writer("test") as writer:
            writer.undo_remove(token)
        assert catalog.verify() == []
        assert len(catalog.tracks()) == 5
        assert set(prints(catalog)) == {track.track_id for track in catalog.tracks()}


def test_folders_swallow_and_are_swallowed(paths: Paths, music: Path) -> None:
    (music / "rock").mkdir()
    with Catalog.open(paths) as catalog, catalog.writer("test") as writer:
        writer.add_folder(music / "rock")
        writer.add_folder(music / "rocky")
        writer.add_folder(music / "rock" / "slow")
        assert catalog.folders() == [music / "rock", music / "rocky"]
        writer.add_folder(music)
        assert catalog.folders() == [music]


def test_a_fingerprint_of_another_configuration_counts_as_gone(library: Paths, music: Path) -> None:
    with Catalog.open(library) as catalog:
        revision = catalog.reader().revision()
        enrol_here(library, music / "jazz", fingerprinters=[CheckSum(config_digest="v2")])
        assert list(prints(catalog, revision).values()) == [False, False]
        assert len(prints(catalog)) == 3
        assert len(list(catalog.reader().changes("checksum", "v2", 0))) == 2


def test_a_stream_of_changes_survives_changes(library: Paths) -> None:
    """A removal in the middle of a stream neither breaks it nor mixes bytes up."""
    with Catalog.open(library) as catalog:
        stream = catalog.reader().changes("checksum", "v1", 0)
        first = next(stream)
        with catalog.writer("test") as writer:
            writer.remove_tracks([t.track_id for t in catalog.tracks()[1:]])
            writer.drop_old_removals(older_than_s=-1)
        later = [change for change in stream if change.fingerprint is not None]
        assert len(later) <= len(catalog.tracks())
        assert first.fingerprint is not None


def test_readers_are_closed_with_their_catalog(library: Paths) -> None:
    catalog = Catalog.open(library)
    reader = catalog.reader()
    assert len(reader.catalog_id()) == 32
    catalog.close()
    with pytest.raises(sqlite3.ProgrammingError):
        reader.revision()
