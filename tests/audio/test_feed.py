"""What is heard: the right sound at the right place, losses counted, bursts not."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from songid_desktop.audio.feed import Feed, LossMeter
from songid_desktop.audio.resample import resample
from songid_desktop.audio.ring import Ring


@pytest.fixture
def clock() -> SimpleNamespace:
    return SimpleNamespace(now=100.0)


def frames(samples: np.ndarray, channels: int = 1) -> np.ndarray:
    return np.repeat(np.asarray(samples, np.float32)[:, None], channels, axis=1)


def test_sound_arrives_as_it_is(clock: SimpleNamespace) -> None:
    ring = Ring(48_000)
    feed = Feed(ring, 48_000, 1)
    sound = np.random.default_rng(0).normal(0, 0.1, 9_600).astype(np.float32)
    for at in range(0, 9_600, 960):
        feed.take(frames(sound[at : at + 960]), clock.now)
    assert np.array_equal(ring.latest(1.0).samples, sound)


def test_channels_are_averaged(clock: SimpleNamespace) -> None:
    ring = Ring(48_000)
    both = np.stack([np.full(960, 0.5), np.full(960, -0.1)], axis=1).astype(np.float32)
    feed = Feed(ring, 48_000, 2)
    feed.take(both, clock.now)
    assert np.allclose(ring.latest(1.0).samples, 0.2)


def test_a_block_longer_than_the_scratch_is_taken_too(clock: SimpleNamespace) -> None:
    ring = Ring(48_000)
    feed = Feed(ring, 48_000, 2)
    feed.take(frames(np.full(20_000, 0.25), 2), clock.now)
    assert np.allclose(ring.latest(1.0).samples, 0.25)


def test_another_rate_is_resampled_when_pumped(clock: SimpleNamespace) -> None:
    ring = Ring(48_000)
    feed = Feed(ring, 44_100, 1)
    sound = np.random.default_rng(0).normal(0, 0.1, 44_100).astype(np.float32)
    for at in range(0, 44_100, 882):
        feed.take(frames(sound[at : at + 882]), clock.now)
        assert feed.pump() == 0
    heard = ring.latest(2.0).samples
    assert len(heard) > 47_500
    assert np.allclose(heard, resample(sound, 44_100, 48_000)[: len(heard)], atol=1e-5)


def test_nothing_is_taken_once_it_is_let_go(clock: SimpleNamespace) -> None:
    ring = Ring(48_000)
    feed = Feed(ring, 48_000, 1)
    feed.is_live = False
    feed.take(frames(np.ones(960)), clock.now)
    assert ring.position == 0


def test_the_gap_between_two_streams_becomes_silence(clock: SimpleNamespace) -> None:
    ring = Ring(48_000)
    first = Feed(ring, 48_000, 1)
    first.take(frames(np.ones(960)), clock.now)
    clock.now += 2.0 + 0.02
    second = Feed(ring, 48_000, 1, heard_until=first.last_at)
    second.take(frames(np.ones(960)), clock.now)
    assert ring.position == 960 + 2 * 48_000 + 960
    assert not ring.between(960, 960 + 96_000).samples.any()


def run(clock: SimpleNamespace, plan: list[tuple[float, int]], rate: int = 48_000) -> int:
    """Feed blocks after waits (s, frames); the frames found missing."""
    feed = Feed(Ring(rate), rate, 1)
    meter = LossMeter(feed)
    missing = 0
    for wait_s, count in plan:
        clock.now += wait_s
        if count:
            feed.take(np.zeros((count, 1), np.float32), clock.now)
        missing += meter.update(clock.now)
    return missing


def test_a_steady_stream_loses_nothing(clock: SimpleNamespace) -> None:
    assert run(clock, [(0.02, 960)] * 1000) == 0


def test_bursts_lose_nothing(clock: SimpleNamespace) -> None:
    late_then_all = [(0.2, 960), *[(0.0, 960)] * 9]
    assert run(clock, late_then_all * 100) == 0


@pytest.mark.parametrize("drift", [-500e-6, 500e-6])
def test_a_clock_that_differs_loses_nothing(clock: SimpleNamespace, drift: float) -> None:
    assert run(clock, [(0.02 * (1 + drift), 960)] * 30_000) == 0


def test_what_never_came_is_counted_once(clock: SimpleNamespace) -> None:
    steady = [(0.02, 960)] * 200
    assert run(clock, [*steady, (0.52, 960), *steady]) == pytest.approx(24_000, abs=500)
