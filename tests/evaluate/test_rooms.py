"""The made-up room: true levels, true decay, the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from songid_desktop.dsp.weighting import a_weighted_level_db
from songid_desktop.evaluate.rooms import Room, background, hear, impulse_response

RATE = 16_000


def click() -> np.ndarray:
    samples = np.zeros(RATE, np.float32)
    samples[0] = 1.0
    return samples


@pytest.mark.parametrize("reverberation_s", [0.2, 0.5, 1.2])
def test_sound_falls_by_60_db_in_the_reverberation_time(reverberation_s: float) -> None:
    response = impulse_response(Room(reverberation_s, 3.0, seed=4), RATE).astype(np.float64)
    energy = np.cumsum(response[::-1] ** 2)[::-1]
    decay_db = 10 * np.log10(energy / energy[0] + 1e-12)
    # Early decay aside: from -10 to -30 dB is a third of the way.
    first, last = (int(np.argmax(decay_db < level)) for level in (-10, -30))
    assert (last - first) / RATE * 3 == pytest.approx(reverberation_s, rel=0.35)


def test_the_further_the_more_room() -> None:
    def share(distance_m: float) -> float:
        response = impulse_response(Room(0.4, distance_m, seed=1), RATE).astype(np.float64)
        return float(np.sum(response[1:] ** 2) / np.sum(response**2))

    assert share(0.5) < share(1.5) < share(5.0)
    assert share(0.5) < 0.5 < share(3.0)


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 10.0])
def test_music_stands_above_the_talkers_as_asked(snr_db: float) -> None:
    rng = np.random.default_rng(0)
    music = rng.standard_normal(4 * RATE).astype(np.float32)
    loud = hear(music, RATE, Room(0.3, 1.0, snr_db, seed=2)).astype(np.float64)
    clean = hear(music, RATE, Room(0.3, 1.0, 200.0, seed=2)).astype(np.float64)
    gain = float(loud @ clean / (clean @ clean))
    talkers = loud - gain * clean
    music_db = a_weighted_level_db(gain * clean, RATE)
    assert music_db - a_weighted_level_db(talkers, RATE) == pytest.approx(snr_db, abs=0.7)


@given(st.integers(0, 3000), st.integers(0, 2**31 - 1))
def test_any_length_keeps_its_length_and_stays_in_range(count: int, seed: int) -> None:
    music = np.random.default_rng(seed).uniform(-1, 1, count).astype(np.float32)
    heard = hear(music, 8000, Room(seed=seed))
    assert heard.shape == (count,)
    assert heard.dtype == np.float32
    assert np.isfinite(heard).all()
    assert np.abs(heard).max(initial=0.0) <= 0.36
    assert background(count, 8000, seed).shape == (count,)


def test_silence_in_a_room_is_only_talk() -> None:
    heard = hear(np.zeros(RATE, np.float32), RATE, Room())
    assert np.isfinite(heard).all()


def test_the_same_seed_is_the_same_room() -> None:
    assert np.array_equal(hear(click(), RATE, Room(seed=9)), hear(click(), RATE, Room(seed=9)))
    assert not np.array_equal(hear(click(), RATE, Room(seed=9)), hear(click(), RATE, Room(seed=8)))
