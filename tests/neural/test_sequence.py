"""Sequences of vectors: the right track, the right place, and nothing lost on the way."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from songid_desktop.errors import Cancelled
from songid_desktop.neural import clip_search, sequence
from songid_desktop.neural.index import Limits, VectorIndex
from songid_desktop.neural.sequence import Candidate, Clip, SearchConfig
from tests.support.vector_library import DIGEST, DIM, HOP_S, NAME, fine, library, noisy, stored

TRACKS = 24
STEP_S = HOP_S / 2
SEARCH = SearchConfig(probes=260)


def index_of(reader, folder, limits):
    index = VectorIndex(folder, NAME, DIGEST, DIM, limits)
    index.open(reader)
    return index


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A library that is searched whole."""
    index = index_of(library(TRACKS), tmp_path_factory.mktemp("whole"), Limits())
    yield index
    index.close()


@pytest.fixture(scope="module")
def coded(tmp_path_factory):
    """The same library, coded."""
    limits = Limits(exact_vectors=600, tail_vectors=100)
    index = index_of(library(TRACKS), tmp_path_factory.mktemp("coded"), limits)
    index.save()
    yield index
    index.close()


def clip_at(track_id, first, count=33, amount=0.5, seed=0):
    return Clip(noisy(fine(track_id)[first : first + count], amount, seed), HOP_S, 2)


@settings(max_examples=40, deadline=None)
@given(
    track_id=st.integers(0, TRACKS - 1), first=st.integers(0, 160), count=st.sampled_from([17, 33])
)
def test_any_part_of_any_track_is_found_where_it_is(whole, coded, track_id, first, count):
    for index in (whole, coded):
        found = sequence.search(index, clip_at(track_id, first, count), SEARCH)
        assert found[0].track_id == track_id
        assert found[0].offset_s == pytest.approx(first * STEP_S, abs=0.08)
        assert found[0].score > found[1].score
        assert len({one.track_id for one in found}) == len(found)
        assert [one.score for one in found] == sorted((o.score for o in found), reverse=True)


def test_the_best_place_of_a_whole_search_is_the_best_there_is(whole):
    clip = clip_at(3, 40, amount=2.0)
    places = whole.tail.best_places(clip.vectors, clip.phases)
    stored_rows = {n: whole.rows(n, -64, 228)[0] for n in range(TRACKS)}
    for track_id, score, step in zip(
        places.track_id.tolist(), places.score.tolist(), places.step.tolist(), strict=True
    ):
        best = -1.0
        for phase in range(2):
            grid = clip.vectors[phase::2]
            for row in range(164):
                cosine = np.einsum("nd,nd->n", stored_rows[track_id][row : row + len(grid)], grid)
                inside = sum(0 <= row - 64 + k < 100 for k in range(len(grid)))
                best = max(best, cosine.sum() / max(inside, 0.5 * len(grid)))
        assert score == pytest.approx(best, abs=1e-4)
        assert -64 * 2 <= step < 200


def test_coding_loses_little(whole, coded):
    same = total = 0
    for track_id in range(TRACKS):
        for amount in (1.0, 2.0):
            clip = clip_at(track_id, 31 + track_id, amount=amount, seed=track_id)
            one = sequence.search(whole, clip, SEARCH)[0]
            other = sequence.search(coded, clip, SEARCH)[0]
            total += 1
            same += one.track_id == other.track_id
            if one.track_id == other.track_id:
                assert one.score == pytest.approx(other.score, abs=1e-5)
    assert same >= 0.95 * total


def test_offsets_have_no_bias(whole):
    errors = []
    for track_id in range(TRACKS):
        for first in (20, 21, 50, 77):
            found = sequence.search(whole, clip_at(track_id, first, seed=first), SEARCH)[0]
            if found.track_id == track_id:
                errors.append(found.offset_s - first * STEP_S)
    assert len(errors) > 90
    assert np.median(np.abs(errors)) < 0.03
    assert abs(np.median(errors)) < 0.01


@pytest.mark.parametrize("before", [4, 5, 12])
def test_a_clip_that_begins_before_the_track(whole, coded, before):
    other = np.random.default_rng(0).standard_normal((before, DIM))
    vectors = np.vstack([other / np.linalg.norm(other, axis=1)[:, None], fine(5)[: 33 - before]])
    for index in (whole, coded):
        found = sequence.search(index, Clip(vectors.astype(np.float32), HOP_S, 2), SEARCH)[0]
        assert found.track_id == 5
        assert found.offset_s == pytest.approx(-before * STEP_S, abs=0.08)
        assert found.inside == pytest.approx(1.0 - before / 33, abs=0.05)


def test_a_clip_that_goes_on_after_the_track(whole, coded):
    other = np.random.default_rng(0).standard_normal((10, DIM))
    vectors = np.vstack([fine(5)[-24:], other / np.linalg.norm(other, axis=1)[:, None]])
    for index in (whole, coded):
        found = sequence.search(index, Clip(vectors.astype(np.float32), HOP_S, 2), SEARCH)[0]
        assert found.track_id == 5
        assert found.offset_s == pytest.approx((200 - 24) * STEP_S, abs=0.08)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_one_vector_is_enough_to_look_for(whole, coded, count):
    for index in (whole, coded):
        found = sequence.search(index, clip_at(8, 50, count, amount=0.0), SEARCH)
        assert found[0].track_id == 8


def test_a_clip_longer_than_a_search_looks_at_is_cut(whole):
    vectors = np.vstack([fine(2), fine(3)])
    found = sequence.search(whole, Clip(vectors, HOP_S, 2), SEARCH)
    assert found[0].track_id == 2
    assert found[0].offset_s == pytest.approx(0.0, abs=0.05)


def test_an_empty_library_has_no_candidates(tmp_path):
    index = VectorIndex(tmp_path, NAME, DIGEST, DIM)
    assert sequence.search(index, clip_at(0, 0), SEARCH) == []
    assert clip_search.search(index, clip_at(0, 0), SEARCH) == []


def test_the_curve_shows_where_the_clip_is_like_the_track(whole):
    vectors = fine(4)[50:83].copy()
    vectors[20:] = fine(20)[60:73]
    clip = Clip(vectors, HOP_S, 2)
    found = sequence.search(whole, clip, SEARCH)[0]
    time_s, cosine = sequence.curve(whole, clip, found)
    assert found.track_id == 4
    assert time_s[1] == pytest.approx(STEP_S)
    assert len(time_s) == len(cosine) == 33
    assert cosine[:20].min() > 0.8
    assert np.median(cosine[20:]) < 0.5


def test_elsewhere_a_track_is_less_like_the_clip(whole):
    clip = clip_at(6, 80)
    found = sequence.search(whole, clip, SEARCH)[0]
    assert sequence.elsewhere(whole, clip, found) < found.score - 0.2


@pytest.mark.parametrize("shift", [0, 1, 5, 6])
def test_the_same_recording_twice_is_known(tmp_path, shift):
    reader = library(8)
    reader.put(50, stored(fine(3)[shift::2]))
    index = VectorIndex(tmp_path, NAME, DIGEST, DIM)
    index.open(reader)
    clip = clip_at(3, 60)
    found = sequence.search(index, clip, SEARCH)
    assert {found[0].track_id, found[1].track_id} == {3, 50}
    assert sequence.likeness(index, clip, found[0], found[1]) > 0.9
    assert sequence.likeness(index, clip, found[1], found[0]) > 0.9
    assert sequence.likeness(index, clip, found[0], found[2]) < 0.6
    index.close()


def test_a_search_can_be_ended(whole):
    cancel = threading.Event()
    cancel.set()
    for look in (sequence.search, clip_search.search):
        with pytest.raises(Cancelled):
            look(whole, clip_at(0, 0), SEARCH, cancel)


def test_hits_that_agree_are_proposed_first():
    from songid_desktop.neural.contents import Hits

    random = np.random.default_rng(0)
    right = [(q, 7, (40 + q) // 2, 0.5) for q in range(0, 32, 3)]
    wrong = [(q, int(t), int(r), 0.5) for q, t, r in random.integers(0, 32, (200, 3))]
    lowest = [(q, 99, 0, 0.4) for q in range(32)]
    query, track_id, row, cosine = zip(*right, *wrong, *lowest, strict=True)
    hits = Hits(np.array(query), np.array(track_id), np.array(row), np.array(cosine, np.float32))
    clip = Clip(np.zeros((32, DIM), np.float32), HOP_S, 2)
    proposed = sequence.agreed(hits, clip, SEARCH)
    assert proposed[0][0] == 7
    assert abs(proposed[0][1] - 40) <= 2
    most = max(np.bincount([track for track, _ in proposed]))
    assert most <= SEARCH.per_track


def test_the_clip_embedding_finds_segments_of_the_clips_length(whole, coded):
    for index in (whole, coded):
        for track_id in range(0, TRACKS, 3):
            for count in (1, 9, 33):
                found = clip_search.search(index, clip_at(track_id, 40, count, 0.2), SEARCH)
                assert found[0].track_id == track_id
                assert found[0].offset_s == pytest.approx(40 * STEP_S, abs=0.3)
                assert found[0].score <= 1.0 + 1e-5


def test_a_segments_vector_is_the_mean_of_its_own():
    rows = fine(1)[:12]
    vector = fine(1)[30]
    cosine = clip_search.segment_cosines(rows, np.ones(12, np.bool_), vector, 4)
    for at in range(9):
        mean = rows[at : at + 4].mean(axis=0)
        assert cosine[at] == pytest.approx(mean @ vector / np.linalg.norm(mean), abs=1e-5)
    inside = np.arange(12) >= 6
    outside = clip_search.segment_cosines(rows * inside[:, None], inside, vector, 4)
    assert abs(outside[3]) <= 0.25 + 1e-6


def test_the_curve_of_a_clip_embedding_is_along_the_segment(whole):
    clip = clip_at(6, 40)
    found = clip_search.search(whole, clip, SEARCH)[0]
    time_s, cosine = clip_search.curve(whole, clip, found)
    assert len(time_s) == len(cosine) == clip.n_rows
    assert clip_search.elsewhere(whole, clip, found) < found.score


def test_a_track_that_went_away_meanwhile_is_no_candidate(whole):
    assert sequence.score_at(whole, clip_at(0, 0), [(999, 4)], 2) == []
    assert sequence.curve(whole, clip_at(0, 0), Candidate(999, 0.5, 0.0, 0))[1].max() == 0.0


def test_a_short_clip_is_looked_for_as_thoroughly_as_a_long_one():
    config = SearchConfig()
    assert config.shares(1) == (config.most_neighbours, config.most_probes)
    assert config.shares(1000) == (config.fewest_neighbours, config.fewest_probes)
    neighbours, probes = config.shares(33)
    assert 33 * probes <= config.probes
    assert 33 * neighbours <= config.neighbours
    assert config.shares(0) == config.shares(1)
