"""Cosines, triplets and ranks, against what can be counted by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from songid_desktop.evaluate import embedding_figures as figures
from songid_desktop.evaluate.embedding_figures import Query, Track, unit


def music(count: int, rows: int = 40, dim: int = 12, seed: int = 0) -> list[Track]:
    """Tracks whose vectors stand around a middle of their own."""
    rng = np.random.default_rng(seed)
    middles = rng.standard_normal((count, dim))
    vectors = middles[:, None] + 0.8 * rng.standard_normal((count, rows, dim))
    return [Track(unit(one.astype(np.float32)), 0.5, 10.0) for one in vectors]


def clip(tracks: list[Track], track: int, first: int, count: int = 6) -> Query:
    own = tracks[track]
    start_s = own.start_s + first * own.hop_s
    return Query(track, own.vectors[first : first + count], own.hop_s, start_s)


def test_the_same_moment_is_itself() -> None:
    tracks = music(3)
    cosines = figures.same_moment(tracks, [clip(tracks, 1, 4), clip(tracks, 2, 30)])
    assert cosines == pytest.approx(np.ones(12), abs=1e-5)


def test_what_hangs_over_the_end_is_not_compared() -> None:
    tracks = music(1)
    query = Query(0, tracks[0].vectors[:6], 0.5, 10.0 + 38 * 0.5)
    assert len(figures.same_moment(tracks, [query])) == 2


def test_elsewhere_is_less_alike_and_others_least() -> None:
    tracks = music(8)
    rng = np.random.default_rng(0)
    elsewhere = figures.same_track(tracks, rng, 2000)
    others = figures.other_tracks(tracks, rng, 2000)
    assert len(elsewhere) == len(others) == 2000
    assert 1.0 > elsewhere.mean() > others.mean() + 0.2
    assert figures.share_above(np.ones(3, np.float32), others) == 1.0
    assert figures.share_above(others, others) <= 0.001
    assert len(figures.other_tracks(tracks[:1], rng)) == 0
    assert len(figures.same_track(music(2, rows=5), rng)) == 0


def test_a_histogram_shares_out_everything() -> None:
    shares = figures.histogram(np.asarray([-2.0, 0.1, 0.2, 5.0], np.float32), np.linspace(0, 1, 5))
    assert shares == [75.0, 0.0, 0.0, 25.0]


@given(st.integers(3, 9), st.integers(1, 12), st.booleans(), st.integers(0, 5))
def test_triplets_are_the_best_of_all(n: int, count: int, most: bool, seed: int) -> None:
    values = np.random.default_rng(seed).random((n, n))
    cosines = values + values.T
    found = figures.triplets(cosines, count, most_alike=most)
    every = sorted(
        ((cosines[a, b] + cosines[a, c] + cosines[b, c]) / 3
         for a, b, c in itertools.combinations(range(n), 3)), reverse=most,
    )  # fmt: skip
    assert [one.cosine for one in found] == pytest.approx(every[:count])
    assert all(a < b < c for a, b, c in (one.tracks for one in found))
    assert len(set(figures.in_triplets(found))) == len(figures.in_triplets(found))


def test_a_clip_finds_its_track_and_its_place() -> None:
    tracks = music(20)
    queries = [clip(tracks, track, 3 + track) for track in range(20)]
    assert figures.ranks_by_place(tracks, queries) == [1] * 20
    whole = figures.track_vectors(tracks)
    assert whole.shape == (20, 12)
    assert np.linalg.norm(whole, axis=1) == pytest.approx(np.ones(20), abs=1e-5)
    assert sum(rank == 1 for rank in figures.ranks_by_track(whole, queries)) >= 15


def test_a_tie_counts_against_the_right_track() -> None:
    tracks = music(4)
    twins = [*tracks, tracks[0]]
    assert figures.ranks_by_place(twins, [clip(twins, 0, 3)]) == [2]


def test_clips_of_unequal_length_and_short_tracks_are_fine() -> None:
    tracks = [*music(3), Track(music(1, rows=3, seed=5)[0].vectors, 0.5)]
    queries = [clip(tracks, 0, 3, 6), clip(tracks, 1, 3, 5)]
    assert figures.ranks_by_place(tracks, queries) == [1, 1]
