"""The index of vectors: follows the catalog, survives damage, holds little in memory."""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from songid_desktop.manifest import MANIFEST
from songid_desktop.neural.index import Limits, VectorIndex
from songid_desktop.neural.sequence import Clip, SearchConfig, search
from tests.support.landmark_library import DictReader
from tests.support.vector_library import (
    DIGEST,
    DIM,
    HOP_S,
    NAME,
    PartReader,
    fine,
    library,
    noisy,
    stored,
    wander,
)

SMALL = Limits(exact_vectors=700, tail_vectors=250)
TRACKS = 30
SEARCH = SearchConfig(probes=260)


def new_index(folder, limits=SMALL, digest=DIGEST):
    return VectorIndex(folder, NAME, digest, DIM, limits)


def opened(folder, reader, limits=SMALL):
    index = new_index(folder, limits)
    index.open(reader)
    return index


def clip_of(track_id, first=21, count=33, amount=0.5):
    return Clip(noisy(fine(track_id)[first : first + count], amount), HOP_S, 2)


def found_in(index, track_id, **how):
    candidates = search(index, clip_of(track_id, **how), SEARCH)
    return candidates[0].track_id if candidates else None


@pytest.fixture(scope="module")
def reader():
    return library(TRACKS)


@pytest.fixture(scope="module")
def saved(reader, tmp_path_factory):
    """A folder with a saved index of coded vectors."""
    folder = tmp_path_factory.mktemp("saved")
    index = opened(folder, reader)
    index.save()
    index.close()
    return folder


def copy_of(folder, target):
    for path in folder.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    return target


def test_a_small_library_is_searched_whole_and_takes_no_room(tmp_path):
    index = opened(tmp_path, library(5))
    index.save()
    assert index.statistics().tracks_searched_whole == index.track_count == 5
    assert [path.name for path in tmp_path.iterdir()] == [MANIFEST]
    assert all(found_in(index, n) == n for n in range(5))


def test_a_large_library_is_coded_and_every_track_is_found(saved, reader):
    index = opened(saved, reader)
    numbers = index.statistics()
    assert numbers.tracks == TRACKS
    assert numbers.coded_vectors > 0
    assert numbers.tracks_searched_whole * 100 <= SMALL.exact_vectors
    assert all(found_in(index, n) == n for n in range(TRACKS))
    index.close()


def test_what_is_coded_takes_a_quarter_of_what_is_stored():
    from songid_desktop.neural.inverted import CODE_BYTES

    coded_a_minute = 60 / HOP_S / Limits().stride
    assert coded_a_minute * (CODE_BYTES + 8) <= 5_000


def test_opening_a_saved_index_codes_nothing_again(saved, reader, monkeypatch):
    def refuse(*_):
        raise AssertionError("coded again")

    monkeypatch.setattr("songid_desktop.neural.contents.code_tracks", refuse)
    monkeypatch.setattr("songid_desktop.neural.index.train_coder", refuse)
    index = opened(saved, reader)
    assert index.rebuilt_because == ""
    assert index.track_count == TRACKS
    assert not index.refresh()
    index.close()


def test_what_comes_later_is_found_at_once_and_after_the_next_save(tmp_path, saved):
    folder, reader = copy_of(saved, tmp_path), library(TRACKS)
    index = opened(folder, reader)
    reader.put(100, stored(fine(100)[::2]))
    reader.put(3, None)
    reader.put(4, stored(fine(200)[::2]))
    assert index.refresh()
    expect_changed(index)
    index.save()
    index.close()
    again = opened(folder, reader)
    assert again.rebuilt_because == ""
    expect_changed(again)
    again.close()


def expect_changed(index):
    """Track 100 is new, 3 is gone, 4 has other vectors."""
    assert index.track_count == TRACKS
    assert found_in(index, 100) == 100
    assert found_in(index, 200) == 4
    assert found_in(index, 3) != 3


def test_enough_of_what_came_later_becomes_a_segment(tmp_path, saved):
    folder, reader = copy_of(saved, tmp_path), library(TRACKS)
    index = opened(folder, reader)
    before = index.statistics().coded_vectors
    for track_id in range(100, 103):
        reader.put(track_id, stored(fine(track_id)[::2]))
    index.refresh()
    assert index.statistics().coded_vectors == before
    index.save()
    assert index.statistics().coded_vectors > before
    assert index.statistics().tracks_searched_whole == 0
    assert all(found_in(index, n) == n for n in (0, 100, 102))
    index.close()


def test_a_reader_follows_what_another_process_saves(tmp_path):
    reader = library(TRACKS)
    listening, writing = opened(tmp_path, reader), opened(tmp_path, reader)
    writing.save()
    reader.put(100, stored(fine(100)[::2]))
    writing.refresh()
    writing.save()
    assert listening.refresh()
    assert found_in(listening, 100) == 100
    assert listening.track_count == TRACKS + 1
    for index in (listening, writing):
        index.close()


def test_only_what_is_needed_of_a_track_is_read(saved, reader):
    partial = PartReader(reader)
    index = opened(saved, partial)
    assert found_in(index, 7) == 7
    assert 0 < partial.parts_read <= SEARCH.candidates
    index.close()


def test_rows_are_what_was_stored_wherever_they_lie(saved, reader, tmp_path):
    coded, whole = opened(saved, reader), opened(tmp_path, reader, Limits())
    for track_id, first, count in [(3, 0, 5), (3, -4, 10), (3, 96, 10), (3, 500, 3), (99, 0, 3)]:
        rows, inside = coded.rows(track_id, first, count)
        other, other_inside = whole.rows(track_id, first, count)
        assert (rows == other).all()
        assert (inside == other_inside).all()
        expected = [track_id < TRACKS and 0 <= at < 100 for at in range(first, first + count)]
        assert inside.tolist() == expected
    coded.close()


def test_worn_segments_are_written_again(tmp_path, saved):
    folder, reader = copy_of(saved, tmp_path), library(TRACKS)
    index = opened(folder, reader)
    for track_id in range(12):
        reader.put(track_id, None)
    index.refresh()
    assert index.statistics().removed_tracks >= 10
    index.save()
    assert index.statistics().removed_tracks < 0.2 * TRACKS
    assert index.track_count == TRACKS - 12
    assert all(found_in(index, n) == n for n in range(12, TRACKS))
    index.close()


def test_a_library_that_has_become_small_is_searched_whole_again(tmp_path, saved):
    folder, reader = copy_of(saved, tmp_path), library(TRACKS)
    for track_id in range(TRACKS - 3):
        reader.put(track_id, None)
    index = opened(folder, reader)
    index.save()
    assert index.statistics().segments == 0
    assert [path.name for path in folder.iterdir()] == [MANIFEST]
    assert found_in(index, TRACKS - 1) == TRACKS - 1
    index.close()


def test_a_library_that_has_outgrown_its_lists_gets_others(tmp_path):
    limits = Limits(exact_vectors=300, tail_vectors=100, growth=1.0)
    reader = library(4)
    index = opened(tmp_path, reader, limits)
    index.save()
    lists = index.statistics().lists
    for track_id in range(4, 60):
        reader.put(track_id, stored(fine(track_id)[::2]))
    index.refresh()
    index.save()
    assert index.statistics().lists > lists
    assert all(found_in(index, n) == n for n in (0, 30, 59))
    index.close()


def test_vectors_of_other_weights_are_never_mixed_in(tmp_path, saved):
    folder, reader = copy_of(saved, tmp_path), library(TRACKS)
    reader.put(100, stored(fine(100)[::2], digest="other"))
    index = new_index(folder, digest="other")
    index.open(reader)
    assert index.track_count == 1
    assert "configuration" in index.rebuilt_because
    assert found_in(index, 100) == 100
    index.close()


def test_vectors_that_cannot_be_read_are_left_out(tmp_path, warning_log):
    warning_log.allow("can't be searched for")
    reader = library(6)
    whole = stored(fine(9)[::2])
    reader.put(9, replace(whole, payload=whole.payload[:-1]))
    reader.put(10, stored(wander(10, 50, DIM + 1)))
    for _ in range(2):
        index = opened(tmp_path, reader, Limits(exact_vectors=200, tail_vectors=50))
        assert index.track_count == 6
        index.save()
        index.close()


def test_another_catalog_under_the_index_is_noticed(tmp_path, saved):
    folder, other = copy_of(saved, tmp_path), DictReader()
    for track_id in range(TRACKS):
        other.put(track_id, stored(fine(track_id + 500)[::2]))
    index = opened(folder, other)
    assert index.rebuilt_because
    assert found_in(index, 503) == 3
    index.close()


def test_a_catalog_put_back_to_an_older_copy_is_noticed(tmp_path, saved):
    index = opened(copy_of(saved, tmp_path), library(TRACKS - 5))
    assert index.rebuilt_because
    assert index.track_count == TRACKS - 5
    index.close()


@pytest.mark.parametrize("ending", [".tracks", ".lists", ".coder", ".json"])
@pytest.mark.parametrize("how", ["missing", "cut", "flipped", "empty"])
def test_damage_is_noticed_and_made_good(tmp_path, saved, reader, ending, how):
    folder = copy_of(saved, tmp_path)
    victim = max(folder.glob(f"*{ending}"), key=lambda path: path.stat().st_size)
    data = victim.read_bytes()
    if how == "missing":
        victim.unlink()
    elif how == "cut":
        victim.write_bytes(data[: len(data) // 2])
    elif how == "empty":
        victim.write_bytes(b"")
    else:
        at = len(data) // 2
        victim.write_bytes(data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :])
    assert new_index(folder).faults() or (ending, how) == (".json", "missing")
    index = opened(folder, reader)
    assert index.track_count == TRACKS
    assert index.rebuilt_because or (ending, how) == (".json", "missing")
    assert all(found_in(index, n) == n for n in range(0, TRACKS, 5))
    index.save()
    index.close()
    again = opened(folder, reader)
    assert again.rebuilt_because == ""
    assert again.faults() == []
    assert again.track_count == TRACKS
    again.close()


def test_damage_in_large_files_is_found_in_the_background(tmp_path, saved, reader, monkeypatch):
    from songid_desktop.neural import index as index_module
    from songid_desktop.neural import segment

    monkeypatch.setattr(segment, "CHECK_NOW_BYTES", 0)
    monkeypatch.setattr(index_module, "CHECK_NOW_BYTES", 0)
    monkeypatch.setattr(segment, "_PIECE_BYTES", 4096)
    folder = tmp_path
    index = opened(folder, reader)
    index.save()
    index.close()
    victim = max(folder.glob("*.lists"), key=lambda path: path.stat().st_size)
    data = bytearray(victim.read_bytes())
    data[-100] ^= 0x55
    victim.write_bytes(bytes(data))
    index = opened(folder, reader)
    index.wait_for_check(10.0)
    assert index.refresh()
    assert "have changed" in index.rebuilt_because
    assert index.track_count == TRACKS
    assert all(found_in(index, n) == n for n in range(0, TRACKS, 5))
    index.close()


def test_a_folder_that_cannot_be_written_costs_memory_only(tmp_path, reader):
    folder = tmp_path / "no folder"
    folder.write_bytes(b"a file")
    index = opened(folder, reader)
    assert index.track_count == TRACKS
    assert found_in(index, 5) == 5
    with pytest.raises(OSError, match="exists"):
        index.save()
    index.close()


def test_closing_leaves_nothing_behind_that_was_not_saved(tmp_path, reader):
    index = opened(tmp_path, reader)
    assert list(tmp_path.glob("*.lists"))
    index.close()
    assert not list(tmp_path.iterdir())


def test_a_track_without_a_catalog_is_found_until_the_next_opening(saved, reader):
    from songid_desktop.neural.vectors import unpack

    index = opened(saved, reader)
    index.add(900, unpack(stored(fine(900)[::2]).payload))
    assert found_in(index, 900) == 900
    index.remove(900)
    assert found_in(index, 900) != 900
    index.close()


def test_memory_stays_bounded_while_a_large_library_is_taken_in(tmp_path):
    in_memory = []

    class Watching(DictReader):
        def changes(self, *how):
            for change in super().changes(*how):
                yield change
                in_memory.append(index.tail.count)

    reader, whole = Watching(), library(2 * TRACKS)
    reader._now, reader._rows = whole._now, whole._rows
    index = new_index(tmp_path)
    index.open(reader)
    assert len(in_memory) >= 2 * TRACKS
    assert max(in_memory) <= SMALL.exact_vectors + 100
    index.close()


class Following(RuleBasedStateMachine):
    """Whatever happens to catalog, index and process, what can be found is what is enrolled."""

    @initialize()
    def begin(self):
        self.folder_handle = tempfile.TemporaryDirectory()
        self.folder = Path(self.folder_handle.name)
        self.reader = DictReader()
        self.enrolled = {}
        self.limits = Limits(exact_vectors=160, tail_vectors=60)
        self.index = opened(self.folder, self.reader, self.limits)

    @rule(track_id=st.integers(0, 12), seed=st.integers(0, 40))
    def enrol(self, track_id, seed):
        self.reader.put(track_id, stored(fine(seed, 12.0)[::2]))
        self.enrolled[track_id] = seed

    @precondition(lambda self: self.enrolled)
    @rule(data=st.data())
    def take_out(self, data):
        track_id = data.draw(st.sampled_from(sorted(self.enrolled)))
        self.reader.put(track_id, None)
        del self.enrolled[track_id]

    @rule()
    def save(self):
        self.index.refresh()
        self.index.save()

    @rule()
    def start_again(self):
        self.index.close()
        self.index = opened(self.folder, self.reader, self.limits)

    @rule()
    def another_saves(self):
        other = opened(self.folder, self.reader, self.limits)
        other.save()
        other.close()

    @invariant()
    def finds_what_is_enrolled(self):
        self.index.refresh()
        assert self.index.track_count == len(self.enrolled)
        for seed in list(self.enrolled.values())[:3]:
            twins = {t for t, s in self.enrolled.items() if s == seed}
            vectors = noisy(fine(seed, 12.0)[11:44], 0.3)
            candidates = search(self.index, Clip(vectors, HOP_S, 2), SEARCH)
            assert candidates[0].track_id in twins
            assert candidates[0].offset_s == pytest.approx(11 * HOP_S / 2, abs=0.1)

    def teardown(self):
        self.index.close()
        self.folder_handle.cleanup()


TestFollowing = Following.TestCase
TestFollowing.settings = settings(max_examples=12, stateful_step_count=14, deadline=None)


def test_codes_are_near_to_what_they_code():
    from songid_desktop.neural.inverted import Coder

    rows = wander(5, 3000)
    coder = Coder.train(rows, 16)
    lists, codes = coder.encode(rows)
    assert codes.shape == (3000, coder.code_bytes)
    assert np.bincount(lists, minlength=coder.n_lists).max() < 1500
