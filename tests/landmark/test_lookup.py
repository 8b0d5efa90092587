import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from songid_desktop.landmark.hashes import KEY_BITS
from songid_desktop.landmark.lookup import choose_keys, count_votes, starts
from songid_desktop.landmark.scheme import Layout
from songid_desktop.landmark.segment import Segment, split_keys


def segment_of(key, frame, bits, line_frames=1 << 20):
    """A segment with just these postings."""
    layout = Layout()
    order = np.lexsort((frame, key))
    bucket, word = split_keys(
        np.asarray(key, np.uint32)[order],
        np.asarray(frame, np.uint32)[order],
        bits,
        line_frames,
        layout,
    )
    directory = np.concatenate([[0], np.cumsum(np.bincount(bucket, minlength=1 << bits))])
    nothing = np.zeros(0, np.int64)
    return Segment(
        track_id=nothing,
        start_frame=nothing,
        frame_count=nothing,
        payload_crc=np.zeros(0, np.uint32),
        directory=directory.astype(np.uint32),
        postings=word,
        peak_block=np.zeros(line_frames // 128 + 1, np.uint32),
        peaks=np.zeros(0, np.uint16),
    )


@pytest.mark.parametrize("bits", [16, KEY_BITS])
@pytest.mark.parametrize("postings", [0, 40, 4000])
def test_every_posting_of_a_hash_votes_for_where_the_clip_begins(bits, postings):
    rng = np.random.default_rng(postings)
    key = rng.integers(0, 50, postings) * 131_071
    frame = rng.integers(1000, 1 << 20, postings)
    keys = np.unique(rng.integers(0, 60, 30)).astype(np.uint32) * np.uint32(131_071)
    back = rng.integers(0, 400, len(keys))
    expected = [f - b for k, b in zip(keys, back, strict=True) for f in frame[key == k].tolist()]
    found = starts(segment_of(key, frame, bits), keys, back)
    assert sorted(found.tolist()) == sorted(expected)


@given(st.lists(st.integers(0, 50), max_size=60))
def test_votes_are_counted_in_order_of_place(places):
    frame, count = count_votes(np.array(places, np.uint32))
    assert frame.tolist() == sorted(set(places))
    assert count.tolist() == [places.count(place) for place in frame.tolist()]


def test_a_place_with_votes_is_found_among_a_million_stray_ones():
    rng = np.random.default_rng(3)
    stray = rng.integers(1000, 400_000_000, 1_000_000, dtype=np.uint32)
    start = np.concatenate([stray, np.repeat(np.uint32([5_000_123, 5_000_124]), [5, 4])])
    frame, count = count_votes(start)
    assert len(frame) < 200_000
    place = int(np.searchsorted(frame, 5_000_123))
    assert count[place : place + 2].tolist() == [5, 4]


def test_hashes_are_taken_in_the_order_of_what_a_true_vote_costs():
    key = np.repeat([1, 2, 3, 4], [10, 10, 100, 1000])
    segment = segment_of(key, np.arange(len(key)) + 1000, KEY_BITS)
    keys = np.array([1, 2, 3, 4, 5], np.uint32)
    level = np.zeros(5, np.int16)
    assert choose_keys([segment], keys, level, 10_000).tolist() == [True] * 4 + [False]
    assert choose_keys([segment], keys, level, 20).tolist() == [True, True, False, False, False]
    weak_first = np.array([90, 0, 0, 0, 0], np.int16)
    chosen = choose_keys([segment], keys, weak_first, 115)
    assert chosen.tolist() == [False, True, True, False, False]
    twice = choose_keys([segment, segment], keys, level, 40)
    assert twice.tolist() == [True, True, False, False, False]
    assert not choose_keys([segment], keys[:0], level[:0], 5).any()
