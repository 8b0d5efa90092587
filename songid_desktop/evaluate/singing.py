"""Singing made by rule: vowels on notes, with vibrato, glides, breath and consonants.

The signal screen must never call singing alone noise; this is the singing it is fitted and tested
with, from a soprano's to a bass's range.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from songid_desktop.types import FloatArray

_VOWELS_HZ = (
    (800, 1150, 2900),
    (350, 2000, 2800),
    (270, 2140, 2950),
    (450, 800, 2830),
    (325, 700, 2700),
)
_SCALE = (0, 2, 4, 5, 7, 9, 11, 12)


def sing(seconds: float, sample_rate: int, seed: int) -> FloatArray:
    """One voice, alone: float32, shape (n,), RMS 0.1."""
    rng = np.random.default_rng([seed, 4])
    count = round(seconds * sample_rate)
    pitch, loud, vowel = _score(rng, count, sample_rate)
    time_s = np.arange(count) / sample_rate
    vibrato = 2.0 ** (
        rng.uniform(0.0, 0.45) / 12 * np.sin(2 * np.pi * rng.uniform(4.5, 6.5) * time_s)
    )
    phase = np.cumsum(pitch * vibrato) / sample_rate
    source = 2.0 * (phase % 1.0) - 1.0 + rng.uniform(0.02, 0.25) * rng.standard_normal(count)
    frequency_hz = np.fft.rfftfreq(count, 1.0 / sample_rate)
    spectrum = np.fft.rfft(source)
    sung = np.zeros(count)
    for number, formants in enumerate(_VOWELS_HZ):
        shape = 0.02 / (1.0 + frequency_hz / 800.0)
        for strength, centre in zip((1.0, 0.6, 0.3), formants, strict=True):
            shape = shape + strength * np.exp(
                -0.5 * ((frequency_hz - centre) / (0.1 * centre + 25)) ** 2
            )
        sung += np.fft.irfft(spectrum * shape, count) * (vowel == number)
    sung *= loud
    rms = float(np.sqrt(np.mean(sung**2))) if count else 0.0
    return np.asarray(sung * (0.1 / rms) if rms > 0 else sung, np.float32)


def _score(
    rng: np.random.Generator, count: int, sample_rate: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Pitch (Hz), loudness (0 to 1) and vowel of every sample: notes of 0.18 to 1.2 s, small
    rests for breath."""
    pitch, loud = np.zeros(count), np.zeros(count)
    vowel = np.zeros(count, np.int64)
    root = float(rng.uniform(98, 330))
    step, at, last_hz = 0, 0, root
    while at < count:
        length = min(count - at, round(float(rng.uniform(0.18, 1.2)) * sample_rate))
        step = int(np.clip(step + rng.choice([-2, -1, 0, 1, 2]), 0, len(_SCALE) - 1))
        target_hz = root * 2.0 ** ((_SCALE[step] + rng.normal(0, 0.1)) / 12)
        glide = np.exp(-np.arange(length) / (float(rng.uniform(0.01, 0.05)) * sample_rate))
        pitch[at : at + length] = target_hz * (last_hz / target_hz) ** glide
        ramp = np.minimum(1.0, np.arange(length) / (0.03 * sample_rate))
        ramp *= np.minimum(1.0, np.arange(length, 0, -1) / (0.05 * sample_rate))
        loud[at : at + length] = ramp * rng.uniform(0.6, 1.0) * (rng.random() > 0.08)
        vowel[at : at + length] = int(rng.integers(len(_VOWELS_HZ)))
        at, last_hz = at + length, target_hz
    return pitch, loud, vowel
