"""Segments: built at once, merged, written and mapped they are the same."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from songid_desktop.landmark import holdings, parts
from songid_desktop.landmark import merge as merge_module
from songid_desktop.landmark.config import LandmarkConfig
from songid_desktop.landmark.index import LandmarkIndex
from songid_desktop.landmark.merge import merge_to_file, merge_to_memory
from songid_desktop.landmark.peaks import Peaks
from songid_desktop.landmark.ridges import RIDGE_FRAMES, RIDGES
from songid_desktop.landmark.scheme import LandmarkScheme, Layout, LineSpec
from songid_desktop.landmark.segment import ARRAYS, build_segment
from songid_desktop.landmark.segment_file import (
    PIECE_BYTES,
    SegmentDamaged,
    SegmentWriter,
    open_segment,
    write_segment,
)
from songid_desktop.landmark.survey import survey

SCHEME = LandmarkScheme(LandmarkConfig())


def track(seed, frames):
    """A track of random peaks and ridges."""
    rng = np.random.default_rng(seed)
    place = np.unique(rng.integers(0, max(1, frames) * 400, frames))
    ridges = rng.integers(0, 256, (-(-frames // RIDGE_FRAMES), RIDGES)).astype(np.uint8)
    nothing = np.zeros(0, np.float32)
    return Peaks(place // 400, place % 400 + 20, nothing, frames, ridges)


def same(one, other):
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    assert one.lines.keys() == other.lines.keys()
    for name, values in one.lines.items():
        np.testing.assert_array_equal(values, other.lines[name])
    assert one.layout == other.layout


@settings(max_examples=12, deadline=None)
@given(
    groups=st.lists(
        st.lists(st.tuples(st.integers(0, 500), st.booleans()), min_size=1, max_size=4),
        min_size=1,
        max_size=3,
    ),
    range_postings=st.sampled_from([500, 1 << 21]),
)
def test_merged_is_as_if_built_at_once(groups, range_postings):
    parts, ids, tracks = [], [], []
    for number, group in enumerate(groups):
        numbers = [100 * number + place for place in range(len(group))]
        some = [track(n, frames) for n, (frames, _) in zip(numbers, group, strict=True)]
        wanted = np.array([is_wanted for _, is_wanted in group])
        parts.append((build_segment(numbers, some, SCHEME, numbers), wanted))
        kept = np.flatnonzero(wanted)
        ids += [numbers[place] for place in kept]
        tracks += [some[place] for place in kept]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merge_module, "RANGE_POSTINGS", range_postings)
        merged = merge_to_memory(parts)
    built = build_segment(ids, tracks, SCHEME, ids)
    if merged.bucket_bits == built.bucket_bits:
        same(merged, built)
    for row, peaks in enumerate(tracks):
        np.testing.assert_array_equal(merged.track_peaks(row).frame, peaks.frame)
        np.testing.assert_array_equal(merged.track_peaks(row).bin, peaks.bin)


def test_written_and_mapped_it_is_the_same(tmp_path):
    tracks = [track(n, 200 * n) for n in range(5)]
    segment = build_segment(range(5), tracks, SCHEME)
    writer = SegmentWriter(tmp_path, "digest", SCHEME.layout)
    write_segment(writer, segment)
    path = writer.finish()
    same(open_segment(path, "digest", SCHEME.layout).segment, segment)
    for_look_ups = open_segment(path, "digest", SCHEME.layout, for_look_ups=True)
    same(for_look_ups.segment, segment)
    whole = np.ones(5, np.bool_)
    merged = merge_to_file([(segment, whole)], tmp_path, "digest").temporary
    same(open_segment(merged, "digest", SCHEME.layout).segment, segment)


def test_every_byte_of_every_array_is_covered_by_a_checksum(tmp_path):
    tracks = [track(n, 400) for n in range(3)]
    writer = SegmentWriter(tmp_path, "digest", SCHEME.layout)
    write_segment(writer, build_segment(range(3), tracks, SCHEME))
    file = open_segment(writer.finish(), "digest", SCHEME.layout)
    covered = sum(piece.length for piece in file.pieces())
    assert covered == file.segment.byte_count
    assert all(0 < piece.length <= PIECE_BYTES for piece in file.pieces())
    assert file.check(file.pieces())


@pytest.mark.parametrize(
    "layout",
    [
        Layout(),
        dataclasses.replace(SCHEME.layout, gap_frames=1024),
        Layout(lines=(LineSpec("ridges", 4, RIDGES),)),
    ],
)
def test_another_layout_is_another_configuration(tmp_path, layout):
    writer = SegmentWriter(tmp_path, "digest", SCHEME.layout)
    write_segment(writer, build_segment([1], [track(1, 100)], SCHEME))
    path = writer.finish()
    with pytest.raises(SegmentDamaged, match="configuration"):
        open_segment(path, "digest", layout)


@pytest.fixture
def small_batches(monkeypatch):
    """An index that moves what it holds in memory to a file at once."""
    monkeypatch.setattr(holdings, "SPILL_BYTES", 0)
    monkeypatch.setattr(holdings, "_BATCH_PEAKS", 300)


def test_a_rebuild_does_not_grow_in_memory(tmp_path, small_batches):
    index = LandmarkIndex(tmp_path / "index", "landmark", SCHEME)
    tracks = {number: track(number, 200) for number in range(12)}
    for number, peaks in tracks.items():
        index.add(number, peaks)
    assert index.statistics().bytes_in_memory == 0
    assert index.track_count == len(tracks)
    for number, peaks in tracks.items():
        np.testing.assert_array_equal(index.track_peaks(number).frame, peaks.frame)
    assert not list((tmp_path / "index").iterdir()), "nobody else sees what it put aside"
    index.remove(3)
    index.save()
    index.close()
    found = survey(tmp_path / "index", SCHEME)
    assert (found.statistics.tracks, found.faults) == (len(tracks) - 1, ())


def test_where_nothing_can_be_written_it_stays_in_memory(tmp_path, small_batches):
    (tmp_path / "index").write_text("a file where the folder should be")
    index = LandmarkIndex(tmp_path / "index", "landmark", SCHEME)
    for number in range(12):
        index.add(number, track(number, 200))
    assert index.statistics().bytes_in_memory > 0
    assert index.track_count == 12
    index.close()


def test_an_index_too_large_for_one_segment_is_saved_in_several(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "SEGMENT_POSTINGS", 3000)
    monkeypatch.setattr(holdings, "_BATCH_PEAKS", 300)
    index = LandmarkIndex(tmp_path, "landmark", SCHEME)
    for number in range(20):
        index.add(number, track(number, 300))
    index.save()
    assert index.track_count == 20
    assert len(list(tmp_path.glob("*.segment"))) == index.statistics().segments
    index.close()
