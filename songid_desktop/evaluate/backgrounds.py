"""Generated backgrounds: what stands in for recordings of cafés, streets, crowds and rain.

Everything comes from a kind and a seed, and is mono float32 with an RMS of 0.1.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from songid_desktop.audio.resample import resample
from songid_desktop.evaluate.rooms import background as talkers
from songid_desktop.types import FloatArray

Floats = npt.NDArray[np.float64]

RATE_HZ = 24_000
LENGTH_S = 16.0


@functools.lru_cache(maxsize=64)
def background(kind: str, seed: int, sample_rate: int, length_s: float = LENGTH_S) -> FloatArray:
    """A background of one of `KINDS`, float32, shape (n,), RMS 0.1."""
    count = round(length_s * RATE_HZ)
    rng = np.random.default_rng([seed, list(KINDS).index(kind), 11])
    sound = KINDS[kind](rng, count)
    sound = sound * (0.1 / float(np.sqrt(np.mean(sound**2))))
    return resample(sound.astype(np.float32), RATE_HZ, sample_rate)


def _shaped(rng: np.random.Generator, count: int, gain: Callable[[Floats], Floats]) -> Floats:
    """Noise whose amplitude spectrum is `gain` of the frequency (Hz), RMS 1."""
    size = 1 << (count - 1).bit_length()
    spectrum = np.fft.rfft(rng.standard_normal(size))
    shape = gain(np.maximum(np.fft.rfftfreq(size, 1.0 / RATE_HZ), 1.0))
    sound = np.fft.irfft(spectrum * shape, size)[:count]
    return np.asarray(sound / np.sqrt(np.mean(sound**2)), np.float64)


def _swell(rng: np.random.Generator, count: int, every_s: float, depth_db: float) -> Floats:
    """A slowly wandering level: amplitude gains around 1."""
    points = max(2, round(count / RATE_HZ / every_s) + 2)
    level_db = np.interp(
        np.linspace(0, points - 1, count), np.arange(points), rng.normal(0, depth_db, points)
    )
    return np.asarray(10.0 ** (level_db / 20.0), np.float64)


def _strikes(
    rng: np.random.Generator, count: int, per_s: float, band_hz: tuple[float, float], last_s: float
) -> Floats:
    """Short ringing knocks at random times: cups, drops, claps."""
    sound = np.zeros(count)
    grain = np.arange(round(6 * last_s * RATE_HZ)) / RATE_HZ
    for _ in range(rng.poisson(per_s * count / RATE_HZ)):
        begin = int(rng.integers(count))
        pitch_hz = np.exp(rng.uniform(*np.log(band_hz)))
        decay_s = last_s * rng.uniform(0.5, 1.5)
        ring = np.sin(2 * np.pi * pitch_hz * grain) + 0.6 * rng.standard_normal(len(grain))
        knock = rng.gamma(1.0) * ring * np.exp(-grain / decay_s)
        sound[begin : begin + len(grain)] += knock[: count - begin]
    return sound


def _unit(sound: Floats) -> Floats:
    rms = float(np.sqrt(np.mean(sound**2)))
    return sound / rms if rms > 0 else sound


def _babble(rng: np.random.Generator, count: int) -> Floats:
    return talkers(count, RATE_HZ, int(rng.integers(2**31))).astype(np.float64)


def _cafe(rng: np.random.Generator, count: int) -> Floats:
    voices = _babble(rng, count)
    cups = _unit(_strikes(rng, count, 1.2, (1800.0, 6500.0), 0.05))
    machine = _shaped(rng, count, lambda hz: 1.0 / (1.0 + (hz / 900.0) ** 1.5))
    return voices + 0.35 * cups + 0.3 * machine * _swell(rng, count, 3.0, 6.0)


def _traffic(rng: np.random.Generator, count: int) -> Floats:
    road = _shaped(rng, count, lambda hz: hz / (hz + 40.0) / (1.0 + (hz / 700.0) ** 1.3))
    time_s = np.arange(count) / RATE_HZ
    engines = np.zeros(count)
    for _ in range(5):
        middle_s, width_s = rng.uniform(0, time_s[-1]), rng.uniform(0.8, 2.5)
        speed = 1.0 - 0.05 * np.tanh((time_s - middle_s) / width_s)
        phase = 2 * np.pi * np.cumsum(rng.uniform(35, 110) * speed) / RATE_HZ
        hum = sum(np.sin(k * phase + rng.uniform(0, 6)) / k for k in range(1, 14))
        engines += hum / (1.0 + ((time_s - middle_s) / width_s) ** 2)
    return road * _swell(rng, count, 2.5, 4.0) + 0.5 * _unit(engines)


def _rain(rng: np.random.Generator, count: int) -> Floats:
    hiss = _shaped(rng, count, lambda hz: hz / (hz + 800.0) / (1.0 + (hz / 7000.0) ** 2))
    drops = _unit(_strikes(rng, count, 60.0, (900.0, 5000.0), 0.004))
    return hiss * _swell(rng, count, 4.0, 2.0) + 0.7 * drops


def _crowd(rng: np.random.Generator, count: int) -> Floats:
    claps = _unit(_strikes(rng, count, 90.0, (700.0, 2500.0), 0.004))
    far = _shaped(rng, count, lambda hz: hz / (hz + 250.0) / (1.0 + (hz / 1500.0) ** 2))
    return claps + 0.8 * far * _swell(rng, count, 1.0, 5.0) + 0.5 * _babble(rng, count)


KINDS: dict[str, Callable[[np.random.Generator, int], Floats]] = {
    "babble": _babble,
    "café": _cafe,
    "traffic": _traffic,
    "rain": _rain,
    "crowd": _crowd,
}
