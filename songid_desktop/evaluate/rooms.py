"""A made-up room: reverberation by shaped decaying noise, talkers in the background, and levels
compared A-weighted, as a sound level meter at the listener's place would.

Everything comes from a seed, so that a demo or a test hears the same room on every machine.
NumPy only: a demo should not wait for SciPy to load.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from songid_desktop.dsp.weighting import a_weighted_level_db
from songid_desktop.types import FloatArray

Spectrum = npt.NDArray[np.float64]

SPEED_OF_SOUND_M_S = 343.0

_EARLY_REFLECTIONS = 12
_TALKERS = 7
_TALK_RATE_HZ = 12_000


@dataclass(frozen=True, slots=True)
class Room:
    """Where the music is heard: `reverberation_s` is the time to fall by 60 dB, `distance_m` that
    to the loudspeaker, `snr_db` how much louder (A-weighted) the music is than the talkers."""

    reverberation_s: float = 0.45
    distance_m: float = 2.0
    snr_db: float = 10.0
    seed: int = 0


def impulse_response(room: Room, sample_rate: int) -> FloatArray:
    """The way from loudspeaker to microphone: float32, shape (n,), direct sound of height 1.

    A direct sound, a dozen early reflections from walls 1 to 5 m away, then noise that decays by
    60 dB in `reverberation_s`, higher bands faster (air and furniture). The reverberant part
    grows with the square of the distance: at about 1.5 m it equals the direct sound.
    """
    rng = np.random.default_rng([room.seed, 1])
    count = max(2, round(room.reverberation_s * sample_rate))
    time_s = np.arange(count) / sample_rate
    tail = _tilted_noise(rng, count, sample_rate) * 10.0 ** (-3.0 * time_s / room.reverberation_s)
    onset_s = 0.008
    tail *= np.clip(time_s / onset_s, 0.0, 1.0)
    reverberant = (room.distance_m / 1.5) ** 2
    tail *= np.sqrt(reverberant / max(1e-12, float(np.sum(tail**2))))
    response = tail
    response[0] = 1.0
    extra_m = rng.uniform(0.6, 9.0, _EARLY_REFLECTIONS)
    at = np.minimum(count - 1, (extra_m / SPEED_OF_SOUND_M_S * sample_rate).astype(np.int64))
    strength = 0.7 * room.distance_m / (room.distance_m + extra_m)
    np.add.at(response, at, strength * rng.choice([-1.0, 1.0], _EARLY_REFLECTIONS))
    return response.astype(np.float32)


def _tilted_noise(rng: np.random.Generator, count: int, sample_rate: int) -> Spectrum:
    """White noise with its treble rolled off above 3 kHz, RMS near 1."""
    size = _transform_size(count)
    spectrum = np.fft.rfft(rng.standard_normal(size))
    frequency_hz = np.fft.rfftfreq(size, 1.0 / sample_rate)
    return np.fft.irfft(spectrum / np.sqrt(1.0 + (frequency_hz / 3000.0) ** 2), size)[:count]


def _transform_size(count: int) -> int:
    """The next power of two: a length with a large prime in it takes a hundred times longer."""
    return 1 << max(1, (count - 1).bit_length())


def background(samples: int, sample_rate: int, seed: int = 0) -> FloatArray:
    """A roomful of talkers, of whom no word is understood: float32, shape (samples,), RMS 1.

    Each talker is a gliding buzz with breath in it, shaped like speech (flat to 500 Hz, then
    falling 9 dB an octave, two resonances) and chopped into syllables, about four a second.
    """
    rng = np.random.default_rng([seed, 2])
    # Talk has little above 8 kHz: made at a third of the rate it costs a third.
    share = 3 if sample_rate >= 3 * _TALK_RATE_HZ else 1
    count = -(-samples // share)
    few = np.zeros(count)
    for _ in range(_TALKERS):
        few += rng.uniform(0.4, 1.0) * _talker(rng, count, sample_rate // share)
    total = few if share == 1 else np.interp(np.arange(samples) / share, np.arange(count), few)
    rms = float(np.sqrt(np.mean(total**2))) if samples else 0.0
    return (total / rms if rms > 0 else total).astype(np.float32)


def _talker(rng: np.random.Generator, samples: int, sample_rate: int) -> Spectrum:
    seconds = samples / sample_rate
    points = max(2, int(seconds * 4) + 2)
    grid = np.linspace(0, max(samples - 1, 1), points)
    place = np.arange(samples)
    pitch_hz = np.interp(place, grid, rng.uniform(90, 230) * 2.0 ** rng.normal(0, 0.12, points))
    phase = np.cumsum(pitch_hz) / sample_rate
    buzz = 2.0 * (phase % 1.0) - 1.0
    source = buzz + 0.35 * rng.standard_normal(samples)
    syllables = np.interp(place, grid, rng.gamma(0.9, 1.0, points))
    size = _transform_size(samples)
    spectrum = np.fft.rfft(source * syllables, size)
    frequency_hz = np.fft.rfftfreq(size, 1.0 / sample_rate)
    shape = 1.0 / (1.0 + (frequency_hz / 500.0) ** 1.5)
    shape *= frequency_hz / (frequency_hz + 80.0)
    for low_hz, high_hz in ((350, 800), (900, 2300)):
        centre = rng.uniform(low_hz, high_hz)
        shape *= 1.0 + 2.5 * np.exp(-0.5 * ((frequency_hz - centre) / (0.12 * centre)) ** 2)
    return np.fft.irfft(spectrum * shape, size)[:samples]


def hear(music: FloatArray, sample_rate: int, room: Room) -> FloatArray:
    """`music` (mono) as it arrives at the microphone in `room`.

    Returns
    -------
    float32 array of the same length, peak at about -9 dBFS.
    """
    response = impulse_response(room, sample_rate)
    wet = _convolve(music, response)[: len(music)]
    noise = background(len(music), sample_rate, room.seed)
    # Measured over whole tenths of a second, whose lengths transform fast.
    judged = max(len(wet) // (sample_rate // 10), 1) * (sample_rate // 10)
    music_db = a_weighted_level_db(wet[:judged], sample_rate)
    noise_db = a_weighted_level_db(noise[:judged], sample_rate)
    if np.isfinite(music_db) and np.isfinite(noise_db):
        wet = wet + noise * 10.0 ** ((music_db - noise_db - room.snr_db) / 20.0)
    peak = float(np.max(np.abs(wet))) if len(wet) else 0.0
    return np.asarray(wet * (0.35 / peak) if peak > 0 else wet, np.float32)


def _convolve(samples: FloatArray, response: FloatArray) -> Spectrum:
    count = len(samples) + len(response) - 1
    size = _transform_size(count)
    product = np.fft.rfft(samples, size) * np.fft.rfft(response, size)
    return np.fft.irfft(product, size)[:count]
