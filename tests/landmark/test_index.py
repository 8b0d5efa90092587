import os
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from songid_desktop.identify.landmark import NAME, LandmarkFingerprinter
from songid_desktop.landmark import background_check
from songid_desktop.landmark.config import HashConfig, LandmarkConfig
from songid_desktop.landmark.index import MANIFEST, LandmarkIndex
from songid_desktop.landmark.match import analyse, search
from songid_desktop.landmark.peaks import unpack_peaks
from songid_desktop.types import Fingerprint
from tests.support.landmark_library import RATE, DictReader, block, tune

CONFIG = LandmarkConfig()
TUNES = 6
SECONDS = 12.0


@pytest.fixture(scope="module")
def prints():
    maker = LandmarkFingerprinter()
    return {n: maker.fingerprint([block(tune(n, SECONDS))]) for n in range(TUNES)}


@pytest.fixture(scope="module")
def clips():
    return {n: analyse(tune(n, SECONDS)[4 * RATE : 8 * RATE], CONFIG) for n in range(TUNES)}


def opened(folder, reader):
    index = LandmarkIndex(folder, NAME, CONFIG)
    index.open(reader)
    return index


def library(prints, numbers):
    reader = DictReader()
    for n in numbers:
        reader.put(n, prints[n])
    return reader


def answers(index, clips):
    """Who comes first, with what score and where, for every clip."""
    found = {}
    for n, clip in clips.items():
        candidates, _ = search(index.parts(), clip, CONFIG)
        found[n] = [
            (c.track_id, round(c.score, 3), round(c.offset_frames, 3)) for c in candidates[:1]
        ]
    return found


def test_saved_and_mapped_is_the_same_as_in_memory(tmp_path, prints, clips):
    reader = library(prints, range(TUNES))
    fresh = opened(tmp_path, reader)
    before = answers(fresh, clips)
    assert all(found[0][0] == n for n, found in before.items())
    fresh.save()
    fresh.close()
    again = opened(tmp_path, reader)
    assert again.statistics().bytes_in_memory == 0
    assert answers(again, clips) == before
    again.close()


@settings(max_examples=12, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["put", "remove", "save", "refresh"]), st.integers(0, TUNES - 1)),
        max_size=14,
    )
)
def test_any_history_answers_like_a_rebuilt_index(tmp_path_factory, prints, clips, steps):
    folder = tmp_path_factory.mktemp("index")
    reader = DictReader()
    live = opened(folder, reader)
    for action, n in steps:
        if action == "put":
            reader.put(n, prints[n])
        elif action == "remove":
            reader.put(n, None)
        elif action == "save":
            live.refresh()
            live.save()
        else:
            live.refresh()
    live.refresh()
    rebuilt = opened(tmp_path_factory.mktemp("rebuilt"), reader)
    reopened = opened(folder, reader)
    expected = answers(rebuilt, clips)
    for index in (live, reopened):
        assert index.track_count == rebuilt.track_count
        assert answers(index, clips) == expected
        index.close()
    rebuilt.close()


def test_a_replaced_track_is_found_as_it_is_now(tmp_path, prints, clips):
    reader = library(prints, [0, 1])
    index = opened(tmp_path, reader)
    index.save()
    reader.put(0, prints[5])
    assert index.refresh()
    assert answers(index, clips)[5][0][0] == 0
    assert answers(index, clips)[0][0][:1] != [0]
    assert index.track_count == 2
    index.close()


def test_refresh_is_idle_when_nothing_changed(tmp_path, prints):
    index = opened(tmp_path, library(prints, [0]))
    assert not index.refresh()
    index.close()


def test_a_reader_sees_what_a_writer_saved(tmp_path, prints, clips):
    reader = library(prints, [0, 1])
    writer = opened(tmp_path, reader)
    writer.save()
    other = opened(tmp_path, reader)
    for n in range(2, TUNES):
        reader.put(n, prints[n])
    reader.put(0, None)
    writer.refresh()
    writer.save()  # merges: the file the other one maps is gone from the folder
    assert answers(other, {1: clips[1]})[1][0][0] == 1
    assert other.refresh()
    assert other.statistics().bytes_in_memory == 0
    assert answers(other, clips) == answers(writer, clips)
    for index in (writer, other):
        index.close()


def test_saving_often_keeps_few_files(tmp_path, prints):
    reader = DictReader()
    index = opened(tmp_path, reader)
    for n in range(30):
        reader.put(n, prints[n % TUNES])
        index.refresh()
        index.save()
    assert len(list(tmp_path.glob("*.segment"))) <= 6
    assert index.track_count == 30
    index.close()


def test_what_a_killed_writer_left_is_swept(tmp_path, prints):
    index = opened(tmp_path, library(prints, [0]))
    (tmp_path / "0123.segment").write_bytes(b"nobody names me")
    (tmp_path / "4567.writing").write_bytes(b"half a segm")
    (tmp_path / "notes.txt").write_text("not ours", encoding="utf-8")
    index.save()
    left = sorted(path.suffix for path in tmp_path.iterdir())
    assert left == [".json", ".segment", ".txt"]
    index.close()


def damage(path, how, at, rng):
    data = bytearray(path.read_bytes())
    place = at % len(data)
    if how == "cut":
        data = data[:place]
    elif how == "flip":
        data[place] ^= 1 << int(rng.integers(0, 8))
    elif how == "zero":
        data[place : place + 64] = bytes(len(data[place : place + 64]))
    elif how == "grow":
        data += b"more"
    path.write_bytes(data)


@settings(max_examples=40, deadline=None)
@given(
    blow=st.tuples(
        st.sampled_from(["manifest", "segment"]),
        st.sampled_from(["cut", "flip", "zero", "grow", "gone"]),
        st.integers(0, 10_000_000),
    )
)
def test_damage_is_noticed_and_made_good(tmp_path_factory, prints, clips, blow):
    target, how, at = blow
    folder = tmp_path_factory.mktemp("index")
    reader = library(prints, range(3))
    index = opened(folder, reader)
    index.save()
    expected = answers(index, clips)
    index.close()
    path = folder / MANIFEST if target == "manifest" else next(folder.glob("*.segment"))
    if how == "gone":
        path.unlink()
    else:
        damage(path, how, at, np.random.default_rng(at))
    again = opened(folder, reader)
    assert again.track_count == 3
    assert answers(again, clips) == expected
    again.save()
    again.close()
    healed = opened(folder, reader)
    assert healed.rebuilt_because == ""
    assert answers(healed, clips) == expected
    healed.close()


def test_large_segments_are_checked_in_the_background(tmp_path, prints, clips, monkeypatch):
    monkeypatch.setattr(background_check, "CHECK_NOW_BYTES", 0)
    reader = library(prints, range(3))
    index = opened(tmp_path, reader)
    index.save()
    expected = answers(index, clips)
    index.close()
    path = next(tmp_path.glob("*.segment"))
    data = bytearray(path.read_bytes())
    data[2048] ^= 0x10  # among the postings
    path.write_bytes(data)
    spoilt = opened(tmp_path, reader)
    spoilt.wait_for_check(10.0)
    assert spoilt.refresh()
    assert spoilt.rebuilt_because
    assert answers(spoilt, clips) == expected
    spoilt.close()


def test_another_configuration_is_rebuilt(tmp_path, prints):
    reader = library(prints, range(3))
    index = opened(tmp_path, reader)
    index.save()
    index.close()
    other = LandmarkIndex(tmp_path, NAME, LandmarkConfig(hashes=HashConfig(fan=4)))
    other.open(reader)
    assert other.track_count == 3
    assert other.rebuilt_because
    other.close()


def test_another_catalog_is_noticed(tmp_path, prints, clips):
    index = opened(tmp_path, library(prints, range(4)))
    index.save()
    index.close()
    smaller = library(prints, [2])
    index = opened(tmp_path, smaller)
    assert index.track_count == 1
    assert answers(index, {2: clips[2]})[2][0][0] == 2
    index.close()


def test_another_catalog_that_has_grown_past_the_index_is_noticed(tmp_path, prints, clips):
    index = opened(tmp_path, library(prints, [0, 1]))
    index.save()
    index.close()
    other = DictReader()
    for track_id, n in enumerate([3, 2, 1, 0]):
        other.put(track_id, prints[n])
    index = opened(tmp_path, other)
    assert index.rebuilt_because
    assert answers(index, {3: clips[3]})[3][0][0] == 0
    index.close()


class NamedReader(DictReader):
    def __init__(self, name):
        super().__init__()
        self.name = name

    def catalog_id(self):
        return self.name


def test_a_catalog_of_another_name_is_noticed(tmp_path, prints):
    for name, is_rebuilt in [("one", False), ("two", True), ("two", False)]:
        reader = NamedReader(name)
        reader.put(0, prints[0])
        index = opened(tmp_path, reader)
        assert bool(index.rebuilt_because) == is_rebuilt
        index.save()
        index.close()


class GrowingReader(DictReader):
    """A catalog that somebody enrols into while its changes are being read."""

    def __init__(self, prints):
        super().__init__()
        self._prints = prints
        self._next = 0

    def grow(self):
        if self._next < TUNES:
            self.put(self._next, self._prints[self._next])
            self._next += 1

    def changes(self, identifier, config_digest, since_revision):
        for change in super().changes(identifier, config_digest, since_revision):
            self.grow()
            yield change


def test_a_catalog_that_grows_while_it_is_read_is_no_damage(tmp_path, prints, clips):
    reader = GrowingReader(prints)
    reader.grow()
    index = opened(tmp_path, reader)
    for _ in range(2 * TUNES):
        index.refresh()
        assert index.rebuilt_because == ""
    assert index.track_count == TUNES
    assert all(found[0][0] == n for n, found in answers(index, clips).items())
    index.close()


def test_an_unreadable_fingerprint_costs_only_its_track(tmp_path, prints, clips, warning_log):
    warning_log.allow("Track 9 can't be searched for")
    reader = library(prints, [0])
    reader.put(9, Fingerprint(NAME, CONFIG.digest(), b"rubbish", 3.0))
    reader.put(1, prints[1])
    index = opened(tmp_path, reader)
    assert index.track_count == 2
    assert answers(index, {1: clips[1]})[1][0][0] == 1
    index.save()
    index.close()
    again = opened(tmp_path, reader)
    assert again.rebuilt_because == ""
    again.close()


def test_stored_peaks_come_back(tmp_path, prints):
    reader = library(prints, range(TUNES))
    index = opened(tmp_path, reader)
    index.save()
    for n in range(TUNES):
        stored = index.track_peaks(n)
        original = unpack_peaks(prints[n].payload)
        np.testing.assert_array_equal(stored.frame, original.frame)
        np.testing.assert_array_equal(stored.bin, original.bin)
    assert index.track_peaks(99) is None
    index.close()


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs a folder it may not write")
def test_a_refusing_disk_leaves_the_old_index(tmp_path, prints):
    reader = library(prints, [0])
    index = opened(tmp_path, reader)
    index.save()
    tmp_path.chmod(0o500)
    reader.put(1, prints[1])
    index.refresh()
    with pytest.raises(OSError, match=r".+"):
        index.save()
    tmp_path.chmod(0o700)
    index.close()


def test_a_failed_save_leaves_the_old_index(tmp_path, prints, monkeypatch):
    reader = library(prints, [0])
    index = opened(tmp_path, reader)
    index.save()
    reader.put(1, prints[1])
    index.refresh()

    def refuse(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("songid_desktop.landmark.segment_file.os.fsync", refuse)
    with pytest.raises(OSError, match="No space"):
        index.save()
    monkeypatch.undo()
    assert not list(tmp_path.glob("*.writing"))
    again = opened(tmp_path, reader)
    assert again.track_count == index.track_count == 2
    again.close()
    index.close()


def test_a_copied_folder_works_elsewhere(tmp_path, prints, clips):
    reader = library(prints, range(2))
    index = opened(tmp_path / "a", reader)
    index.save()
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    copy = opened(tmp_path / "b", reader)
    assert answers(copy, clips) == answers(index, clips)
    copy.close()
    index.close()
