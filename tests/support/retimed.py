"""A tune that can be played at any tempo and pitch exactly, because it is made from its notes."""

from __future__ import annotations

import numpy as np

from songid_desktop.types import FloatArray

RATE = 8000


def retimed(
    seed: int,
    seconds: float,
    *,
    tempo: float = 1.0,
    pitch: float = 1.0,
    start_s: float = 0.0,
    rate: int = RATE,
) -> FloatArray:
    """`seconds` of the tune `seed` from `start_s` of it on, as it sounds when played at `tempo`
    and `pitch`; float32, shape (n,).

    The tune is endless and its notes do not depend on what is asked of it.
    """
    sound = np.zeros(int(seconds * rate), np.float64)
    for at_s, length_s, pitch_hz, phase in _notes(seed, start_s + seconds * tempo):
        begin_s, heard_s = (at_s - start_s) / tempo, length_s / tempo
        if begin_s + heard_s <= 0 or pitch_hz * pitch > 0.45 * rate:
            continue
        first = max(0, int(np.ceil(begin_s * rate)))
        stop = min(len(sound), int((begin_s + heard_s) * rate))
        time_s = np.arange(first, stop) / rate - begin_s
        shape = np.minimum(time_s / 0.005, 1.0) * np.exp(-3.0 * time_s / heard_s)
        wave = sum(
            np.sin(2 * np.pi * pitch_hz * pitch * k * time_s + phase * k) / k
            for k in range(1, 7)
            if pitch_hz * pitch * k < 0.45 * rate
        )
        sound[first:stop] += 0.15 * wave * shape
    return np.asarray(sound, np.float32)


def _notes(seed: int, until_s: float) -> list[tuple[float, float, float, float]]:
    """When, how long (s), how high (Hz) and from which phase on (rad)."""
    random = np.random.default_rng([43, seed])
    notes, at_s = [], 0.0
    while at_s < until_s:
        pitch_hz = 110.0 * 2.0 ** (random.integers(0, 40) / 12)
        notes.append((at_s, random.uniform(0.15, 0.6), float(pitch_hz), random.uniform(0, 6)))
        at_s += float(random.choice([0.05, 0.08, 0.12, 0.19]))
    return notes
