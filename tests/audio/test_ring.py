"""The ring keeps the newest sound, and a reader never gets samples that were overwritten."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from songid_desktop.audio.ring import Ring

RATE = 100


def ramp(start: int, count: int) -> np.ndarray:
    """Samples whose value is their own position (exact in float32 up to 2**24)."""
    return np.arange(start, start + count, dtype=np.float32)


@given(
    sizes=st.lists(st.integers(0, 700), max_size=30),
    start=st.integers(-50, 4000),
    length=st.integers(0, 4000),
)
def test_every_sample_stands_at_its_position(sizes: list[int], start: int, length: int) -> None:
    ring = Ring(RATE, seconds=3.0)
    for size in sizes:
        ring.write(ramp(ring.position, size))
    block = ring.between(start, start + length)
    assert np.array_equal(block.samples, ramp(block.start_sample, len(block.samples)))
    wanted = range(max(start, ring.oldest, 0), min(start + length, ring.position))
    assert len(block.samples) == len(wanted)
    if wanted:
        assert block.start_sample == wanted.start


@given(sizes=st.lists(st.integers(0, 500), min_size=1, max_size=30), every=st.integers(1, 5))
def test_reading_on_gives_everything_or_counts_it_as_lost(sizes: list[int], every: int) -> None:
    ring = Ring(RATE, seconds=3.0)
    position = got = lost_total = 0
    for number, size in enumerate(sizes):
        ring.write(ramp(ring.position, size))
        if number % every == 0:
            block, lost = ring.since(position)
            assert block.start_sample == position + lost
            assert np.array_equal(block.samples, ramp(block.start_sample, len(block.samples)))
            position = block.start_sample + len(block.samples)
            got += len(block.samples)
            lost_total += lost
    assert got + lost_total == position


def test_latest_gives_the_newest_seconds() -> None:
    ring = Ring(RATE, seconds=3.0)
    assert len(ring.latest(1.0).samples) == 0
    ring.write(ramp(0, 50))
    assert len(ring.latest(1.0).samples) == 50
    ring.write(ramp(50, 400))
    block = ring.latest(1.0)
    assert (block.start_sample, block.duration_s, block.sample_rate) == (350, 1.0, RATE)


def test_a_block_longer_than_the_ring_leaves_its_end() -> None:
    ring = Ring(RATE, seconds=3.0)
    ring.write(ramp(0, 5000))
    assert np.array_equal(ring.latest(3.0).samples, ramp(4700, 300))


def test_clearing_hides_what_was_and_keeps_counting() -> None:
    ring = Ring(RATE, seconds=3.0)
    ring.write(ramp(0, 250))
    ring.clear()
    assert len(ring.latest(3.0).samples) == 0
    ring.write(ramp(250, 10))
    block, lost = ring.since(0)
    assert (block.start_sample, len(block.samples), lost) == (250, 10, 0)


def test_silence_fills_a_gap_of_known_length() -> None:
    ring = Ring(RATE, seconds=3.0)
    ring.write(ramp(1, 320))
    ring.write_silence(150)
    ring.write(ramp(1, 10))
    block = ring.latest(1.7)
    assert not block.samples[10:160].any()
    assert np.array_equal(block.samples[:10], ramp(311, 10))
    ring.write_silence(10_000)
    assert not ring.latest(3.0).samples.any()


def test_a_position_ahead_gives_nothing() -> None:
    ring = Ring(RATE, seconds=3.0)
    ring.write(ramp(0, 10))
    block, lost = ring.since(99)
    assert (len(block.samples), lost) == (0, 0)


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="positive"):
        Ring(0)
    with pytest.raises(ValueError, match="positive"):
        Ring(48_000, seconds=0)


def test_readers_beside_a_fast_writer_see_only_whole_sound() -> None:
    ring = Ring(1000, seconds=0.2)  # so small that the writer laps the readers all the time
    is_done = threading.Event()
    torn: list[str] = []

    def read() -> None:
        while not is_done.is_set():
            block = ring.latest(0.2)
            if not np.array_equal(block.samples, ramp(block.start_sample, len(block.samples))):
                torn.append(f"at {block.start_sample}")

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    while ring.position < 1_000_000:
        ring.write(ramp(ring.position, 137))
    is_done.set()
    for reader in readers:
        reader.join()
    assert not torn
