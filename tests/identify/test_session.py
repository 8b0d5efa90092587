"""When a session looks, at how much sound, and when it ends."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from songid_desktop.audio.ring import Ring
from songid_desktop.identify.session import (
    FIRST_LOOK_S,
    LOOK_EVERY_S,
    WINDOW_MAX_S,
    ListeningSession,
    is_same_place,
)
from songid_desktop.types import AudioBlock, Verdict
from tests.support.identifying import found, look

RATE = 1000


def write(ring: Ring, seconds: float) -> None:
    """Write a ramp, so that every sample says where it stands."""
    count = round(seconds * ring.sample_rate)
    ring.write(np.arange(ring.position, ring.position + count, dtype=np.float32))


def look_through(ring: Ring, session: ListeningSession, seconds: float) -> list[AudioBlock]:
    """Feed in steps of 0.1 s and collect the blocks that were due."""
    blocks = []
    for _ in range(round(seconds * 10)):
        write(ring, 0.1)
        block = session.due()
        if block is not None:
            session.take(found(Verdict.NO_MATCH), block)
            blocks.append(block)
    return blocks


def test_looks_after_two_seconds_then_every_half_second_on_a_growing_window() -> None:
    ring = Ring(RATE)
    write(ring, 3.0)
    session = ListeningSession(ring)
    blocks = look_through(ring, session, 20.0)
    expected = np.minimum(FIRST_LOOK_S + LOOK_EVERY_S * np.arange(len(blocks)), WINDOW_MAX_S)
    assert len(blocks) == 37
    assert [block.duration_s for block in blocks] == pytest.approx(list(expected), abs=0.011)
    assert blocks[0].start_sample == 3 * RATE, "the first window begins where listening began"


def test_slides_over_the_last_fifteen_seconds() -> None:
    ring = Ring(RATE)
    session = ListeningSession(ring)
    last = look_through(ring, session, 30.0)[-1]
    assert last.duration_s == WINDOW_MAX_S
    assert last.start_sample == 15 * RATE
    assert last.samples[0] == 15 * RATE


@given(st.lists(st.floats(0.01, 4.0), max_size=60))
def test_any_feed_gives_windows_as_specified(steps: list[float]) -> None:
    ring = Ring(RATE)
    session = ListeningSession(ring)
    last_end = 0
    for step in steps:
        write(ring, step)
        block = session.due()
        if block is None:
            continue
        end = block.start_sample + len(block.samples)
        assert end == ring.position, "a look is always at the newest sound"
        assert end / RATE >= FIRST_LOOK_S
        assert len(block.samples) == min(end, WINDOW_MAX_S * RATE)
        assert end // (RATE // 2) > last_end // (RATE // 2), "one look a half second at most"
        assert session.due() is None, "the same sound is not given twice"
        last_end = end
        session.take(found(Verdict.UNSURE, 1), block)
    assert session.heard_s == pytest.approx(ring.position / RATE)


@given(st.lists(st.sampled_from(list(Verdict)), min_size=1, max_size=30), st.booleans())
def test_the_first_match_ends_it_unless_continuous(
    verdicts: list[Verdict], continuous: bool
) -> None:
    ring = Ring(RATE)
    session = ListeningSession(ring, continuous=continuous)
    write(ring, 2.0)
    for verdict in verdicts:
        block = session.due()
        if block is None:
            break
        look = session.take(found(verdict, 1 if verdict is Verdict.MATCH else None), block)
        assert look.is_final == (verdict is Verdict.MATCH and not continuous)
        assert session.is_done == look.is_final
        write(ring, 0.5)
    should_end = Verdict.MATCH in verdicts and not continuous
    assert session.is_done == should_end
    assert (session.due() is None) == should_end


def test_says_where_the_music_is_now() -> None:
    ring = Ring(RATE)
    session = ListeningSession(ring, clock=lambda: 1000.0)
    write(ring, 2.0)
    block = session.due()
    assert block is not None
    write(ring, 1.0)
    look = session.take(found(Verdict.MATCH, 7, offset_s=60.0), block)
    assert look.now_in_track_s == pytest.approx(62.0)
    assert look.now_in_track_at(ring.position, RATE) == pytest.approx(63.0)
    assert look.track_began_at == pytest.approx(938.0)
    assert (look.heard_s, look.window_s, look.end_sample) == (2.0, 2.0, 2 * RATE)


@given(
    st.floats(0.9, 1.1) | st.none(), st.floats(0.0, 300.0), st.floats(2.0, 15.0), st.floats(0, 5)
)
def test_at_another_speed_the_music_is_ahead_or_behind(
    speed: float | None, offset_s: float, clip_s: float, later_s: float
) -> None:
    """Where it is now is the offset plus the time heard times the speed, and so it goes on."""
    factor = speed or 1.0
    ring = Ring(RATE)
    session = ListeningSession(ring, clock=lambda: 1000.0)
    write(ring, clip_s)
    block = session.due()
    assert block is not None
    write(ring, later_s)
    look = session.take(found(Verdict.MATCH, 7, offset_s, speed=speed), block)
    assert look.speed == factor
    assert look.now_in_track_s == pytest.approx(offset_s + block.duration_s * factor)
    later = (ring.position - look.end_sample) / RATE
    now_s = look.now_in_track_at(ring.position, RATE)
    assert now_s == pytest.approx(offset_s + (block.duration_s + later) * factor)
    began_at = look.track_began_at
    assert began_at is not None
    assert (look.heard_at - began_at) * factor == pytest.approx(look.now_in_track_s)


def test_looks_at_another_speed_mean_the_same_place_however_long_it_lasts() -> None:
    """A track played 4 % faster gains 2.4 s a minute; the moment at which it began stays."""
    one = look(100.0, Verdict.MATCH, 7, began_at=40.0, speed=1.04)
    other = look(280.0, Verdict.MATCH, 7, began_at=40.0, speed=1.04)
    assert is_same_place(one, other)
    assert other.now_in_track_s == pytest.approx(240.0 * 1.04)


def test_a_gap_starts_the_window_anew() -> None:
    ring = Ring(RATE)
    session = ListeningSession(ring)
    look_through(ring, session, 10.0)
    session.mark_gap()
    write(ring, 1.9)
    assert session.due() is None
    write(ring, 0.1)
    block = session.due()
    assert block is not None
    assert block.start_sample == 10 * RATE
    look = session.take(found(Verdict.NO_MATCH), block)
    assert look.heard_s == pytest.approx(12.0)


@pytest.mark.parametrize("limit_s", [0.7, 2.0, 3.25])
def test_a_limit_gives_a_final_look_at_exactly_that_time(limit_s: float) -> None:
    ring = Ring(RATE)
    session = ListeningSession(ring, continuous=True, limit_s=limit_s)
    looks = []
    for _ in range(100):
        write(ring, 0.1)
        block = session.due()
        if block is not None:
            looks.append(session.take(found(Verdict.NO_MATCH), block))
    assert looks[-1].is_final
    assert looks[-1].heard_s == pytest.approx(limit_s)
    assert not any(look.is_final for look in looks[:-1])
    assert session.is_done


def test_a_stopped_session_looks_no_more() -> None:
    ring = Ring(RATE)
    session = ListeningSession(ring)
    write(ring, 5.0)
    session.stop()
    assert session.due() is None
    assert session.is_done
