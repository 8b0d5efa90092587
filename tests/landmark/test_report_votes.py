"""Votes of the report's method: what must hold whatever was heard."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from songid_desktop.landmark.index import LandmarkIndex
from songid_desktop.landmark.peaks import Peaks
from songid_desktop.landmark.report import BIN_BITS, ReportConfig, survey_blocks
from songid_desktop.landmark.report_votes import (
    ReportScheme,
    hash_clip,
    hash_pairs,
    pack,
    pair_peaks,
    rank,
    unpack,
    vote,
)
from tests.support.landmark_library import DictReader, block, tune

RATE = 11_025
CONFIG = ReportConfig(fan=15)
TUNES = 4


def peaks_of(sound, config=CONFIG):
    return survey_blocks([block(sound, RATE)], [config.pns], config).peaks(config)


def made_peaks(seed, n_frames, per_frame):
    random = np.random.default_rng(seed)
    count = int(n_frames * per_frame)
    place = np.unique(random.integers(0, n_frames * 1025, count))
    return Peaks(place // 1025, place % 1025, np.zeros(0, np.float32), n_frames)


def index_of(folder, tracks, config=CONFIG):
    index = LandmarkIndex(folder, "report", ReportScheme(config))
    index.open(DictReader())
    for track_id, peaks in tracks.items():
        index.add(track_id, peaks)
    return index


def ranked(index, peaks, top=10):
    clip = hash_clip(peaks, CONFIG)
    return rank([vote(part, clip) for part in index.parts()], top)


@pytest.fixture(scope="module")
def library():
    return {n: peaks_of(tune(n, 15.0, RATE)) for n in range(TUNES)}


@pytest.fixture(scope="module")
def index(library, tmp_path_factory):
    found = index_of(tmp_path_factory.mktemp("index"), library)
    yield found
    found.close()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), fan=st.integers(1, 60), per_frame=st.floats(0.01, 3.0))
def test_pairs_are_the_next_peaks_in_time(seed, fan, per_frame):
    config = ReportConfig(fan=fan, max_frames=40)
    frame = made_peaks(seed, 120, per_frame).frame
    anchor, target = pair_peaks(frame, config)
    expected = {
        (i, j)
        for i in range(len(frame))
        for j in range(i + 1, min(i + 1 + fan, len(frame)))
        if frame[j] - frame[i] <= 40
    }
    found = list(zip(anchor.tolist(), target.tolist(), strict=True))
    assert len(found) == len(set(found))
    assert set(found) == expected


@given(
    st.lists(
        st.tuples(st.integers(0, 1024), st.integers(0, 1024), st.integers(0, 1023)),
        min_size=2,
        max_size=2,
        unique=True,
    )
)
def test_different_landmarks_have_different_hashes(pairs):
    keys = []
    for first, second, dt in pairs:
        frame, column = np.array([5, 5 + dt]), np.array([first, second])
        keys.append(int(hash_pairs(frame, column, np.array([0]), np.array([1]))[0]))
    assert keys[0] != keys[1]
    assert all(0 <= key < 1 << 32 for key in keys)


@settings(max_examples=30, deadline=None)
@given(
    n=st.integers(0, TUNES - 1),
    first=st.integers(0, 200),
    length=st.integers(50, 120),
)
def test_every_hash_of_a_passage_votes_for_where_it_was_cut(index, library, n, first, length):
    """On the track's own frames nothing is lost: the votes are all hashes of the passage."""
    peaks = library[n]
    inside = (peaks.frame >= first) & (peaks.frame < first + length)
    cut = Peaks(peaks.frame[inside] - first, peaks.bin[inside], np.zeros(0, np.float32), length)
    if len(cut) < 8:
        return
    best = ranked(index, cut)[0]
    assert (best.track_id, best.offset_frames) == (n, first)
    assert best.votes >= len(pair_peaks(cut.frame, CONFIG)[0])


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), per_frame=st.floats(0.05, 3.0))
def test_no_track_has_more_votes_than_chance_allows_for_what_is_not_there(index, seed, per_frame):
    strange = made_peaks(seed, 200, per_frame)
    clip = hash_clip(strange, CONFIG)
    tallies = ranked(index, strange)
    assert all(tally.votes <= max(8, 0.02 * len(clip.keys)) for tally in tallies)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), top=st.integers(0, 6))
def test_ranks_are_in_order_and_name_every_track_once(index, library, seed, top):
    n = seed % TUNES
    noise = made_peaks(seed, library[n].n_frames, 1.0)
    order = np.argsort(np.concatenate([library[n].frame, noise.frame]), kind="stable")
    mixed = Peaks(
        np.concatenate([library[n].frame, noise.frame])[order],
        np.concatenate([library[n].bin, noise.bin])[order],
        np.zeros(0, np.float32),
        library[n].n_frames,
    )
    tallies = ranked(index, mixed, top)
    assert len(tallies) <= top
    assert len({tally.track_id for tally in tallies}) == len(tallies)
    votes = [tally.votes for tally in tallies]
    assert votes == sorted(votes, reverse=True)
    assert sum(votes) <= sum(len(pair_peaks(p.frame, CONFIG)[0]) for p in library.values()) * 3


def test_votes_do_not_depend_on_how_the_index_is_cut(tmp_path, library):
    whole = index_of(tmp_path / "whole", library)
    parts = index_of(tmp_path / "parts", {})
    for n, peaks in library.items():
        parts.add(n, peaks)
        parts.flush()
        if n == 1:
            parts.save()
    clip = peaks_of(tune(2, 15.0, RATE)[3 * RATE : 8 * RATE])

    def found(index):
        return [(t.track_id, t.offset_frames, t.votes) for t in ranked(index, clip)]

    assert found(parts) == found(whole)
    whole.save()
    assert found(whole) == found(parts)
    parts.remove(2)
    assert 2 not in [tally.track_id for tally in ranked(parts, clip)]
    whole.close()
    parts.close()


def test_many_hits_are_counted_in_portions(index, library, monkeypatch):
    clip = hash_clip(library[0], CONFIG)
    part = index.parts()[0]
    whole = vote(part, clip)
    monkeypatch.setattr("songid_desktop.landmark.report_votes._HITS_AT_ONCE", 50)
    cut = vote(part, clip)
    np.testing.assert_array_equal(cut.start, whole.start)
    np.testing.assert_array_equal(cut.count, whole.count)


def test_nothing_votes_for_nothing(index):
    empty = Peaks(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32), 100)
    assert ranked(index, empty) == []


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), n_frames=st.integers(1, 500), per_frame=st.floats(0.0, 4.0))
def test_what_is_packed_comes_back(seed, n_frames, per_frame):
    peaks = made_peaks(seed, n_frames, per_frame)
    again, rate = unpack(pack(peaks, 44_100))
    assert rate == 44_100
    assert again.n_frames == n_frames
    np.testing.assert_array_equal(again.frame, peaks.frame)
    np.testing.assert_array_equal(again.bin, peaks.bin)


@settings(max_examples=60, deadline=None)
@given(
    how=st.sampled_from(["cut", "flip", "grow", "swap"]),
    at=st.integers(0, 10_000),
    value=st.integers(1, 255),
)
def test_damaged_bytes_are_refused_or_harmless(how, at, value):
    payload = bytearray(pack(made_peaks(1, 50, 2.0), 44_100))
    place = at % len(payload)
    if how == "cut":
        del payload[place:]
    elif how == "flip":
        payload[place] ^= value
    elif how == "grow":
        payload += bytes(value)
    else:
        payload[:4] = b"SLP1"
    try:
        peaks, _ = unpack(bytes(payload))
    except ValueError:
        return
    assert how == "flip"
    assert ((peaks.frame >= 0) & (peaks.frame < peaks.n_frames)).all()
    assert ((peaks.bin >= 0) & (peaks.bin < 1 << BIN_BITS)).all()


def test_the_scheme_names_its_configuration():
    scheme = ReportScheme(CONFIG)
    assert scheme.digest() == CONFIG.digest()
    assert scheme.index_digest() == CONFIG.index_digest()
    assert scheme.layout.key_bits == 32
    peaks = made_peaks(3, 80, 1.0)
    np.testing.assert_array_equal(scheme.unpack(pack(peaks, 8000)).frame, peaks.frame)
