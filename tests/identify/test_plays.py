"""Looks become plays: one row a play, no repeats, never two at once."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from songid_desktop.identify.plays import GAP_S, HeardPlay, PlayLog
from songid_desktop.identify.session import Look
from songid_desktop.types import Verdict
from tests.support.identifying import look

M, U, N = Verdict.MATCH, Verdict.UNSURE, Verdict.NO_MATCH


def looks_of(
    track_id: int, since: float, until: float, began_at: float, verdict: Verdict = M
) -> list[Look]:
    count = int((until - since) * 2)
    return [
        look(since + step * 0.5, verdict, track_id, began_at=began_at) for step in range(count + 1)
    ]


def silence(since: float, until: float) -> list[Look]:
    return [look(since + step * 0.5, N) for step in range(int((until - since) * 2) + 1)]


def plays_of(looks: list[Look], durations: dict[int, float] | None = None) -> list[HeardPlay]:
    log = PlayLog((durations or {}).get)
    for one in looks:
        log.take(one)
    log.finish()
    return list(log.plays)


def test_a_track_that_is_recognised_often_is_one_play() -> None:
    (play,) = plays_of(looks_of(1, 105.0, 200.0, began_at=90.0))
    assert play.track_id == 1
    assert play.started_at == pytest.approx(100.0), "where the first window began"
    assert play.offset_s == pytest.approx(10.0)
    assert play.ended_at == pytest.approx(200.0)
    assert not play.is_open


def test_gaps_misses_and_a_wrong_answer_do_not_split_a_play() -> None:
    looks = [
        *looks_of(1, 5, 30, began_at=0),
        *silence(30.5, 30 + GAP_S - 1),
        *looks_of(1, 30 + GAP_S, 60, began_at=0),
        look(60.5, M, 2, began_at=40),
        *looks_of(1, 61, 80, began_at=0),
        look(80.5, U, 3, began_at=10),
        *looks_of(1, 81, 90, began_at=0, verdict=U),
    ]
    (play,) = plays_of(looks)
    assert (play.track_id, play.ended_at) == (1, 90)


def test_a_long_silence_ends_a_play_at_the_last_time_it_was_heard() -> None:
    log = PlayLog()
    for one in looks_of(1, 5, 30, began_at=0):
        log.take(one)
    closed = [log.take(one).closed for one in silence(30.5, 30 + GAP_S + 2)]
    (play,) = [one for one in closed if one is not None]
    assert play.ended_at == 30
    assert log.current is None
    assert log.take(look(80, M, 1, began_at=70)).opened is not None


def test_unsure_looks_alone_never_begin_a_play() -> None:
    assert plays_of(looks_of(1, 5, 60, began_at=0, verdict=U)) == []


def test_a_new_track_takes_over_at_its_second_look() -> None:
    log = PlayLog()
    for one in looks_of(1, 5, 30, began_at=0):
        log.take(one)
    first = log.take(look(30.5, M, 2, began_at=27))
    assert (first.opened, first.closed) == (None, None)
    second = log.take(look(31.0, M, 2, began_at=27.05))
    assert second.closed is not None
    assert second.closed.track_id == 1
    assert second.opened is not None
    assert second.opened.track_id == 2
    assert second.opened.started_at >= second.closed.ended_at


def test_two_different_newcomers_do_not_add_up() -> None:
    looks = [
        *looks_of(1, 5, 30, began_at=0),
        look(30.5, M, 2, began_at=20),
        look(31.0, M, 2, began_at=3),
        look(31.5, M, 3, began_at=3),
        *looks_of(1, 32, 40, began_at=0),
    ]
    assert [play.track_id for play in plays_of(looks)] == [1]


def test_a_track_played_again_from_its_beginning_is_another_play() -> None:
    looks = [
        *looks_of(1, 5, 70, began_at=0),
        *looks_of(1, 72, 100, began_at=69.0),
    ]
    plays = plays_of(looks, {1: 69.0})
    assert [play.track_id for play in plays] == [1, 1]
    assert plays[0].ended_at == pytest.approx(69.0), "not beyond the end of the track"
    assert plays[1].started_at >= plays[0].ended_at


def test_the_best_look_gives_the_confidence() -> None:
    looks = [
        look(5, M, 1, confidence=0.9),
        look(5.5, M, 1, confidence=0.99),
        look(6, U, 1, confidence=0.5),
    ]
    (play,) = plays_of(looks)
    assert play.confidence == pytest.approx(0.99)
    assert play.match.confidence == pytest.approx(0.99)


steps = st.lists(
    st.tuples(
        st.floats(0.4, 30.0),
        st.sampled_from(list(Verdict)),
        st.integers(1, 3),
        st.floats(-20.0, 300.0),
        st.floats(0.0, 1.0),
        st.floats(2.0, 15.0),
    ),
    max_size=60,
)


@given(steps)
def test_any_sequence_of_looks_gives_plays_that_follow_each_other(
    steps: list[tuple[float, Verdict, int, float, float, float]],
) -> None:
    log = PlayLog({1: 30.0, 2: 200.0}.get)
    now, open_number = 1e6, None
    for wait, verdict, track, position, confidence, window_s in steps:
        now += wait
        names = track if verdict in (M, U, N) else None
        change = log.take(
            look(
                now,
                verdict,
                names,
                began_at=now - position,
                confidence=confidence,
                window_s=window_s,
            )
        )
        if change.closed is not None:
            assert change.closed.number == open_number
            open_number = None
        if change.opened is not None:
            assert open_number is None, "never two open plays"
            open_number = change.opened.number
        if change.updated is not None:
            assert change.updated.number == open_number
            assert change.opened is None
        assert (log.current is None) == (open_number is None)
    log.finish()
    assert log.current is None
    plays = log.plays
    assert [play.number for play in plays] == list(range(1, len(plays) + 1))
    for play in plays:
        assert play.started_at <= play.ended_at <= now
        assert play.offset_s >= 0
        assert 0 <= play.confidence <= 1
        assert not play.is_open
    for one, other in itertools.pairwise(plays):
        assert one.ended_at <= other.started_at


def test_a_second_file_of_the_same_recording_is_the_same_play() -> None:
    looks = [
        look(5 + step * 0.5, M, 1 + step % 2, began_at=1.0, confidence=0.9 + 0.001 * step)
        for step in range(40)
    ]
    (play,) = plays_of(looks)
    assert play.track_id == play.match.track_id == 1


@pytest.mark.parametrize("speed", [0.96, 1.02])
def test_a_play_at_another_speed_counts_the_tracks_own_seconds(speed: float) -> None:
    looks = [look(105.0 + step * 0.5, M, 1, began_at=90.0, speed=speed) for step in range(400)]
    (play,) = plays_of(looks, {1: 60.0})
    assert play.started_at == pytest.approx(100.0)
    assert play.offset_s == pytest.approx(10.0 * speed), "ten seconds of the clock into it"
    assert play.ended_at == pytest.approx(90.0 + 60.0 / speed), "its minute is over sooner or later"
