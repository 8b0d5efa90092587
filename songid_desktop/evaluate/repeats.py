"""Sound as slow envelopes of frequency bands, and how alike two stretches are by them.

It tells whether a track repeats itself where an identifier found it, and which tracks are the same
recording, without asking any identifier.
"""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

from songid_desktop.audio.resample import resample
from songid_desktop.types import AudioBlock, FloatArray

RATE_HZ = 8_000
BANDS = 20
LOWEST_HZ, HIGHEST_HZ = 150.0, 3500.0
_WINDOW = 512
_FLOOR = 1e-3
"""Under the loudest band by this much (power: 60 dB less), silence is silence."""

REPEAT_ALIKE = 0.8
"""Correlation of band envelopes from which two places of one track count as the same music played
the same way."""
_HOP_S = 0.01
_AROUND_S = 0.1


@functools.lru_cache(maxsize=4)
def _band_matrix() -> FloatArray:
    """Which bins make up which band, float32, shape (bins, bands)."""
    edges = np.geomspace(LOWEST_HZ, HIGHEST_HZ, BANDS + 1)
    freq_hz = np.fft.rfftfreq(_WINDOW, 1.0 / RATE_HZ)
    inside = (freq_hz[:, None] >= edges[:-1]) & (freq_hz[:, None] < edges[1:])
    # The lowest bands are narrower than a bin: each takes the bin nearest to it.
    middle = np.sqrt(edges[:-1] * edges[1:])
    nearest = np.argmin(np.abs(freq_hz[:, None] - middle), axis=0)
    inside[nearest, np.arange(BANDS)] = True
    return inside.astype(np.float32)


def envelopes(samples: FloatArray, hop_s: float) -> FloatArray:
    """Log power of the bands over time.

    Parameters
    ----------
    samples : float32 array, shape (n,)
        At `RATE_HZ`.
    hop_s : float

    Returns
    -------
    float32 array, shape (frames, BANDS)
        Decibels, over a floor 60 dB under the loudest.
    """
    hop = round(hop_s * RATE_HZ)
    if len(samples) < _WINDOW:
        return np.zeros((0, BANDS), np.float32)
    view = np.lib.stride_tricks.sliding_window_view(samples, _WINDOW)[::hop]
    window = np.hanning(_WINDOW).astype(np.float32)
    power = np.empty((len(view), BANDS), np.float32)
    for begin in range(0, len(view), 2048):
        spectrum = np.fft.rfft(view[begin : begin + 2048] * window)
        power[begin : begin + 2048] = np.abs(spectrum).astype(np.float32) ** 2 @ _band_matrix()
    loudest = float(power.max(initial=0.0))
    if loudest <= 0.0:
        return np.zeros_like(power)
    return np.asarray(10.0 * np.log10(power + _FLOOR**2 * loudest), np.float32)


def alike(one: FloatArray, other: FloatArray) -> npt.NDArray[np.float64]:
    """Correlation of a stretch with every place of a longer one.

    Parameters
    ----------
    one : float32 array, shape (k, bands)
    other : float32 array, shape (n, bands), n at least k

    Returns
    -------
    float64 array, shape (n - k + 1,)
        -1 … 1; each band's mean over the stretch is left out.
    """
    pattern = one - one.mean(axis=0)
    strength = float(np.sqrt((pattern**2).sum()))
    places = np.lib.stride_tricks.sliding_window_view(other, len(one), axis=0)
    product = np.einsum("nbk,kb->n", places, pattern)
    spread = ((places - places.mean(axis=2, keepdims=True)) ** 2).sum(axis=(1, 2))
    return np.asarray(product / np.maximum(np.sqrt(spread) * strength, 1e-9), np.float64)


def repeat_error_s(
    track: AudioBlock, true_s: float, found_s: float, length_s: float
) -> float | None:
    """How far the found place is from a repeat of what plays at the true one.

    Returns
    -------
    float or None
        Seconds, within ±0.1; None where the track does not repeat itself there.
    """
    one = _part(track, true_s, true_s + length_s)
    around = _part(track, found_s - _AROUND_S, found_s + length_s + _AROUND_S)
    first, second = envelopes(one, _HOP_S), envelopes(around, _HOP_S)
    if not len(first) or len(second) < len(first):
        return None
    likeness = alike(first, second)
    best = int(np.argmax(likeness))
    if likeness[best] < REPEAT_ALIKE:
        return None
    # Found a little before the repeat begins means a negative error.
    return _AROUND_S - (best + _between(likeness, best)) * _HOP_S


def _between(values: npt.NDArray[np.float64], best: int) -> float:
    """Where between the samples the highest value lies, by a parabola."""
    if not 0 < best < len(values) - 1:
        return 0.0
    before, at, after = values[best - 1 : best + 2].tolist()
    curve = before - 2 * at + after
    return 0.5 * (before - after) / curve if curve < 0 else 0.0


def _part(track: AudioBlock, begin_s: float, end_s: float) -> FloatArray:
    """A part of the track at `RATE_HZ`, silence where there is none."""
    rate = track.sample_rate
    begin, end = round(begin_s * rate), round(end_s * rate)
    inside = track.samples[max(0, begin) : max(0, end)]
    before = np.zeros(min(max(0, -begin), max(0, end - begin)), np.float32)
    after = np.zeros(max(0, end - begin - len(before) - len(inside)), np.float32)
    return resample(np.concatenate((before, inside, after)), rate, RATE_HZ)
