"""Replicas: levels are as asked for, rooms ring on, and a seed says it all."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from songid_desktop.dsp.weighting import a_weighted_level_db
from songid_desktop.train.config import Degrade
from songid_desktop.train.degrade import Around, Degrader, compressed, make_around
from songid_desktop.types import FloatArray
from tests.support.training import RATE, tune

WINDOW = 4000
NOTHING = replace(
    Degrade(), **{field.name: 0.0 for field in fields(Degrade) if field.name.endswith("_p")}
)


def _around() -> Around:
    rng = np.random.default_rng(3)
    response = np.zeros(4000, np.float32)
    response[0] = 1.0
    response[1:] = 0.3 * rng.standard_normal(3999) * np.exp(-np.arange(3999) / 1500.0)
    noise = rng.standard_normal(30_000).astype(np.float32)
    return make_around([response], [noise[:20_000], noise[20_000:]], RATE, WINDOW, 1)


AROUND = _around()


def _degrader(config: Degrade) -> Degrader:
    return Degrader(config, AROUND, RATE, WINDOW)


def _music(degrader: Degrader, count: int = 6) -> FloatArray:
    length = degrader.stretch_samples
    return np.array([tune(number, 3.0)[1000 : 1000 + length] for number in range(count)])


def test_without_degradation_a_replica_is_the_window_itself() -> None:
    degrader = _degrader(NOTHING)
    music = _music(degrader)
    replicas = degrader.replicas(music, np.random.default_rng(1))
    np.testing.assert_allclose(replicas, music[:, RATE : RATE + WINDOW], atol=1e-6)


@given(st.floats(-10, 20))
def test_the_background_is_as_loud_as_asked_for(level_db: float) -> None:
    degrader = _degrader(replace(NOTHING, noise_p=1.0, noise_db=(level_db, level_db)))
    music = _music(degrader, 3)
    replicas = degrader.replicas(music, np.random.default_rng(2))
    for clean, heard in zip(music[:, RATE : RATE + WINDOW], replicas, strict=True):
        noise = a_weighted_level_db(heard - clean, RATE)
        assert a_weighted_level_db(clean, RATE) - noise == pytest.approx(level_db, abs=0.1)


def test_a_room_lets_the_past_ring_into_the_window() -> None:
    degrader = _degrader(replace(NOTHING, room_p=1.0, room_shorter_p=0.0))
    music = np.zeros((1, degrader.stretch_samples), np.float32)
    music[0, RATE - 400] = 1.0
    heard = degrader.replicas(music, np.random.default_rng(1))
    assert float(np.sum(heard[:, :400] ** 2)) > 3 * float(np.sum(heard[:, 2000:] ** 2)) > 0


def test_a_shortened_decay_rings_less() -> None:
    music = np.zeros((1, _degrader(NOTHING).stretch_samples), np.float32)
    music[0, RATE - 1600] = 1.0
    energy = []
    for share in (0.0, 1.0):
        degrader = _degrader(replace(NOTHING, room_p=1.0, room_shorter_p=share))
        energy.append(float(np.sum(degrader.replicas(music, np.random.default_rng(1)) ** 2)))
    assert energy[1] < energy[0]


def test_the_default_degradation_depends_on_the_seed_alone() -> None:
    degrader = _degrader(Degrade())
    music = _music(degrader)
    first = degrader.replicas(music.copy(), np.random.default_rng(5))
    again = degrader.replicas(music.copy(), np.random.default_rng(5))
    other = degrader.replicas(music.copy(), np.random.default_rng(6))
    assert first.shape == (6, WINDOW)
    assert first.dtype == np.float32
    assert np.isfinite(first).all()
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_silence_stays_finite() -> None:
    degrader = _degrader(Degrade())
    heard = degrader.replicas(
        np.zeros((16, degrader.stretch_samples), np.float32), np.random.default_rng(1)
    )
    assert np.isfinite(heard).all()


def test_a_faster_replica_is_higher_and_stays_around_its_middle() -> None:
    degrader = _degrader(replace(NOTHING, speed_p=1.0, speed=0.02))
    time_s = np.arange(degrader.stretch_samples) / RATE
    tone = np.sin(2 * np.pi * 1000.0 * time_s)[None].astype(np.float32)
    rng = np.random.default_rng(4)
    heard_hz = [
        np.argmax(np.abs(np.fft.rfft(degrader.replicas(tone, rng)[0]))) * RATE / WINDOW
        for _ in range(8)
    ]
    assert 978 <= min(heard_hz) < 999
    assert 1001 < max(heard_hz) <= 1022


def test_a_telephone_takes_bass_and_treble_away() -> None:
    degrader = _degrader(replace(NOTHING, phone_p=1.0))
    music = np.random.default_rng(1).standard_normal((4, degrader.stretch_samples))
    heard = degrader.replicas(music.astype(np.float32), np.random.default_rng(1))
    power = (np.abs(np.fft.rfft(heard, axis=1)) ** 2).mean(axis=0)
    hz = np.fft.rfftfreq(WINDOW, 1 / RATE)
    middle = power[(hz > 600) & (hz < 2500)].mean()
    assert power[hz < 150].mean() < 0.01 * middle
    assert power[hz > 3900].mean() < 0.1 * middle


@given(st.integers(0, 1000))
def test_compression_keeps_the_level_and_narrows_the_range(seed: int) -> None:
    rng = np.random.default_rng(seed)
    quiet_loud = rng.standard_normal((2, 4000)).astype(np.float32)
    quiet_loud[:, :2000] *= 0.03
    pressed = compressed(quiet_loud, RATE)
    assert np.sqrt(np.mean(pressed**2)) == pytest.approx(np.sqrt(np.mean(quiet_loud**2)), rel=0.02)

    def spread(sound: FloatArray) -> float:
        return float(np.std(sound[:, 2400:]) / np.std(sound[:, :1800]))

    assert spread(pressed) < 0.6 * spread(quiet_loud)
