"""Fewer, larger segments, made while everything else goes on."""

import contextlib

import pytest

from songid_desktop.identify.landmark import NAME, LandmarkFingerprinter
from songid_desktop.landmark import index as index_module
from songid_desktop.landmark.compaction import compact, needs_compaction
from songid_desktop.landmark.config import LandmarkConfig
from songid_desktop.landmark.index import LandmarkIndex
from songid_desktop.landmark.match import analyse, search
from songid_desktop.landmark.merge import MergeStopped
from tests.support.landmark_library import RATE, DictReader, block, tune

CONFIG = LandmarkConfig()
TUNES = 5
FREE = contextlib.nullcontext


@pytest.fixture(scope="module")
def prints():
    maker = LandmarkFingerprinter()
    return [maker.fingerprint([block(tune(n, 8.0))]) for n in range(TUNES)]


@pytest.fixture(scope="module")
def clips():
    return [analyse(tune(n, 8.0)[2 * RATE : 6 * RATE], CONFIG) for n in range(TUNES)]


@pytest.fixture
def reader(tmp_path, prints, monkeypatch):
    """A catalog whose tracks were saved one by one, each in a segment of its own."""
    monkeypatch.setattr(index_module, "SAVE_WEIGHT", 0)
    reader = DictReader()
    for number, one in enumerate(prints):
        reader.put(number, one)
        with opened(tmp_path, reader) as index:
            index.save()
    assert len(segments(tmp_path)) == TUNES
    return reader


@contextlib.contextmanager
def opened(folder, reader):
    index = LandmarkIndex(folder, NAME, CONFIG)
    index.open(reader)
    yield index
    index.close()


def segments(folder):
    return sorted(folder.glob("*.segment"))


def scheme(folder):
    return LandmarkIndex(folder, NAME, CONFIG).scheme


def answers(index, clips):
    found = []
    for clip in clips:
        candidates, _ = search(index.parts(), clip, CONFIG)
        found.append([(c.track_id, round(c.score, 3)) for c in candidates[:1]])
    return found


def test_the_same_answers_come_from_fewer_files(tmp_path, reader, clips):
    with opened(tmp_path, reader) as index:
        expected = answers(index, clips)
    assert needs_compaction(tmp_path, scheme(tmp_path))
    assert compact(tmp_path, scheme(tmp_path), FREE) == 1
    assert not needs_compaction(tmp_path, scheme(tmp_path))
    assert len(segments(tmp_path)) == 1
    with opened(tmp_path, reader) as index:
        assert index.rebuilt_because == ""
        assert answers(index, clips) == expected
        assert index.statistics().bytes_in_memory == 0


def test_an_open_index_takes_it_up_by_itself(tmp_path, reader, clips, prints):
    with opened(tmp_path, reader) as index:
        expected = answers(index, clips)
        reader.put(99, prints[0])
        reader.put(1, None)
        index.refresh()
        compact(tmp_path, scheme(tmp_path), FREE)
        assert index.statistics().segments == 2, "one file and what came since"
        found = answers(index, clips)
        assert index.track_count == TUNES
        assert found[0][0][0] in (0, 99)
        assert found[1] == [] or found[1][0][0] != 1
        assert found[2:] == expected[2:]
        index.save()
    with opened(tmp_path, reader) as index:
        assert index.rebuilt_because == ""
        assert index.track_count == TUNES


def test_removed_tracks_are_gone_for_good(tmp_path, reader):
    for number in (0, 2):
        reader.put(number, None)
    with opened(tmp_path, reader) as index:
        index.save()
        before = index.statistics()
    compact(tmp_path, scheme(tmp_path), FREE)
    with opened(tmp_path, reader) as index:
        after = index.statistics()
    assert after.tracks == before.tracks == TUNES - 2
    assert after.removed_tracks == 0


def test_a_worn_segment_is_rewritten(tmp_path, reader):
    compact(tmp_path, scheme(tmp_path), FREE)
    whole = segments(tmp_path)[0].stat().st_size
    for number in (0, 2):
        reader.put(number, None)
    with opened(tmp_path, reader) as index:
        index.save()
    assert compact(tmp_path, scheme(tmp_path), FREE) == 1
    assert segments(tmp_path)[0].stat().st_size < whole
    with opened(tmp_path, reader) as index:
        assert index.statistics().removed_tracks == 0
        assert index.track_count == TUNES - 2


def test_tracks_removed_while_it_works_stay_removed(tmp_path, reader, clips):
    @contextlib.contextmanager
    def late_lock():
        reader.put(3, None)
        with opened(tmp_path, reader) as index:
            index.save()
        yield

    assert compact(tmp_path, scheme(tmp_path), late_lock) == 1
    with opened(tmp_path, reader) as index:
        assert index.rebuilt_because == ""
        assert index.track_count == TUNES - 1
        found = answers(index, clips)[3]
        assert not found or found[0][0] != 3


def test_a_save_that_merges_its_segments_comes_first(tmp_path, reader, monkeypatch, prints):
    came = []

    @contextlib.contextmanager
    def late_lock():
        monkeypatch.setattr(index_module, "SAVE_WEIGHT", 10_000_000)
        reader.put(100 + len(came), prints[0])
        came.append(1)
        with opened(tmp_path, reader) as index:
            index.save()
        yield

    assert compact(tmp_path, scheme(tmp_path), late_lock) == 0
    assert not list(tmp_path.glob("*.compacting"))
    with opened(tmp_path, reader) as index:
        assert index.rebuilt_because == ""
        assert index.track_count == TUNES + len(came)


def test_stopped_it_leaves_nothing(tmp_path, reader):
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    calls = []

    def stop_later():
        calls.append(1)
        if len(calls) > 40:
            raise MergeStopped

    with pytest.raises(MergeStopped):
        compact(tmp_path, scheme(tmp_path), FREE, stop_later)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_damage_is_not_given_a_good_checksum(tmp_path, reader, clips):
    with opened(tmp_path, reader) as index:
        expected = answers(index, clips)
    path = segments(tmp_path)[2]
    data = bytearray(path.read_bytes())
    data[3000] ^= 4
    path.write_bytes(data)
    assert compact(tmp_path, scheme(tmp_path), FREE) == 0
    assert not path.exists()
    with opened(tmp_path, reader) as index:
        assert index.rebuilt_because
        assert index.track_count == TUNES
        assert answers(index, clips) == expected
        index.save()
    with opened(tmp_path, reader) as index:
        assert index.rebuilt_because == ""


def test_a_save_does_not_give_damage_a_good_checksum_either(
    tmp_path, reader, clips, prints, monkeypatch
):
    monkeypatch.setattr(index_module, "SAVE_WEIGHT", 10_000_000)
    with opened(tmp_path, reader) as index:
        expected = answers(index, clips)
        path = segments(tmp_path)[2]
        data = bytearray(path.read_bytes())
        data[3000] ^= 4
        path.write_bytes(data)
        reader.put(70, prints[0])
        index.refresh()
        index.save()
        assert index.track_count == TUNES + 1
    with opened(tmp_path, reader) as index:
        assert index.rebuilt_because == ""
        assert index.track_count == TUNES + 1
        assert answers(index, clips)[1:] == expected[1:]


def test_without_room_on_the_disk_nothing_is_begun(tmp_path, reader, monkeypatch):
    class Full:
        free = 1000

    monkeypatch.setattr(
        "songid_desktop.landmark.compaction.shutil.disk_usage", lambda _path: Full()
    )
    assert compact(tmp_path, scheme(tmp_path), FREE) == 0
    assert len(segments(tmp_path)) == TUNES
