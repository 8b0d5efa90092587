"""Is there music in it? A measure fitted on data, asked only when no identifier knew the sound.

What tells music, singing included, from talk, traffic or rain is that its partials *stay*: a note
holds its frequency for a quarter of a second and longer, while the harmonics of a talker glide
and noise has none that last. So spectral peaks are followed over 64 to 512 ms, and what part of
them stays where it was is set against what part lasts at all. A regular beat of onsets speaks for
music without notes (drums).

The weights and the threshold come from `songid_desktop.evaluate.fit_screen`; the shipped numbers
and what they were fitted on stand in ``resources/calibration/screen.json``.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from songid_desktop.paths import resource
from songid_desktop.types import AudioBlock, FloatArray

Features = npt.NDArray[np.float64]

RATE_HZ = 8_000
FFT_SAMPLES = 1024
HOP_SAMPLES = 256
LOW_HZ, HIGH_HZ = 90.0, 3400.0

PROMINENCE_DB = 9.0
"""A peak stands this far above the mean of its surroundings; in noise one bin in 25 does."""
SURROUNDINGS_BINS = 12
GATE_DB = 45.0
"""Frames this far below the loudest are silence between notes or words."""
HOLD_BINS = 0.3
"""A peak that stays moves less than this (2.3 Hz) ..."""
HOLD_RELATIVE = 0.006
"""... or this share of its frequency (10 cents): an even note, or singing without much vibrato."""
LAGS_FRAMES = (2, 4, 8, 16)
"""64, 128, 256 and 512 ms; the windows of the last three do not overlap, so noise has no share in
them."""

SHORTEST_S = 1.9
"""Less sound than this is no ground to deny music."""

FEATURE_NAMES = ("held_64_ms", "held_128_ms", "held_256_ms", "held_512_ms", "beat", "flatness")


@dataclass(frozen=True, slots=True)
class MusicModel:
    """A logistic curve over standardised features, and where music begins on it."""

    mean: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[float, ...]
    constant: float
    threshold: float

    def score(self, features: Features) -> float:
        """0 (nothing musical) to 1."""
        standard = (features - np.array(self.mean)) / np.array(self.scale)
        total = float(standard @ np.array(self.weights)) + self.constant
        return float(1.0 / (1.0 + np.exp(-np.clip(total, -60.0, 60.0))))


@functools.lru_cache(maxsize=1)
def shipped_model() -> MusicModel:
    """The fitted numbers that travel with the program."""
    stored = json.loads(resource("calibration", "screen.json").read_text(encoding="utf-8"))
    return MusicModel(
        mean=tuple(stored["mean"]),
        scale=tuple(stored["scale"]),
        weights=tuple(stored["weights"]),
        constant=float(stored["constant"]),
        threshold=float(stored["threshold"]),
    )


def music_features(audio: AudioBlock) -> Features:
    """What the measure is computed from: float64, shape (6,), in the order of `FEATURE_NAMES`.

    `held_…` is the natural logarithm of the number of peaks a frame that stay for that long;
    `beat` how alike the onsets are one beat later, 0 to 1; `flatness` the mean prominence (dB) of
    the spectrum's peaks.
    """
    from songid_desktop.audio.resample import resample

    samples = resample(audio.samples, audio.sample_rate, RATE_HZ)
    level_db = _spectrogram_db(samples)
    if len(level_db) <= max(LAGS_FRAMES):
        return np.zeros(len(FEATURE_NAMES))
    loud_db = level_db.max(axis=1)
    is_loud = loud_db > loud_db.max() - GATE_DB
    prominence, place = _peaks(level_db)
    prominence[~is_loud] = 0.0
    held = [np.log(0.02 + _held(prominence, place, lag) / is_loud.sum()) for lag in LAGS_FRAMES]
    is_peak = prominence > 0
    flatness = float(prominence[is_peak].mean()) if is_peak.any() else 0.0
    return np.array([*held, _beat(level_db), flatness])


def _spectrogram_db(samples: FloatArray) -> FloatArray:
    """Level (dB) of each frame and bin between `LOW_HZ` and `HIGH_HZ`, shape (frames, bins)."""
    if len(samples) < FFT_SAMPLES:
        return np.zeros((0, 1), np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(samples, FFT_SAMPLES)[::HOP_SAMPLES]
    window = np.hanning(FFT_SAMPLES).astype(np.float32)
    spectrum = np.abs(np.fft.rfft(frames * window, axis=1))
    low, high = (round(edge * FFT_SAMPLES / RATE_HZ) for edge in (LOW_HZ, HIGH_HZ))
    part = spectrum[:, low:high].astype(np.float32)
    floor = max(float(part.max()) * 1e-6, 1e-12)
    return np.asarray(20.0 * np.log10(np.maximum(part, floor)), np.float32)


def _peaks(level_db: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Prominence (dB, 0 where there is no peak) and exact place (bins) of each peak, both of the
    spectrogram's shape."""
    reach = SURROUNDINGS_BINS
    padded = np.pad(level_db, ((0, 0), (reach + 1, reach)), mode="reflect")
    sums = np.cumsum(padded, axis=1, dtype=np.float64)
    surroundings = (sums[:, 2 * reach + 1 :] - sums[:, : -2 * reach - 1]) / (2 * reach + 1)
    prominence = (level_db - surroundings).astype(np.float32)
    left, middle, right = level_db[:, :-2], level_db[:, 1:-1], level_db[:, 2:]
    is_peak = np.zeros(level_db.shape, np.bool_)
    is_peak[:, 1:-1] = (middle > left) & (middle >= right)
    is_peak &= prominence > PROMINENCE_DB
    place = np.tile(np.arange(level_db.shape[1], dtype=np.float32), (len(level_db), 1))
    bend = left - 2 * middle + right
    with np.errstate(divide="ignore", invalid="ignore"):
        shift = np.where(bend < 0, 0.5 * (left - right) / bend, 0.0)
    place[:, 1:-1] += np.clip(shift, -0.5, 0.5)
    return np.where(is_peak, prominence, np.float32(0.0)), place


def _held(prominence: FloatArray, place: FloatArray, lag: int) -> float:
    """How many peaks are still there, at the same place, `lag` frames later and half-way."""
    stays = prominence[:-lag] > 0
    for step in (lag // 2, lag):
        now, then = place[:-lag], place[step : len(place) - lag + step]
        there = prominence[step : len(place) - lag + step] > 0
        offset_hz = LOW_HZ * FFT_SAMPLES / RATE_HZ
        tolerance = np.maximum(HOLD_BINS, HOLD_RELATIVE * (now + offset_hz))
        near = np.zeros(now.shape, np.bool_)
        for shift in (-1, 0, 1):
            rolled_place = np.roll(then, shift, axis=1)
            near |= np.roll(there, shift, axis=1) & (np.abs(rolled_place - now) < tolerance)
        stays &= near
    return float(np.count_nonzero(stays))


def _beat(level_db: FloatArray) -> float:
    """Likeness of the onsets to themselves one beat (0.25 to 1.2 s) later, 0 to 1."""
    rise = np.maximum(0.0, np.diff(level_db, axis=0)).mean(axis=1)
    rise = rise - rise.mean()
    power = float(rise @ rise)
    first = round(0.25 * RATE_HZ / HOP_SAMPLES)
    last = min(round(1.2 * RATE_HZ / HOP_SAMPLES), len(rise) // 2)
    if power <= 0 or last <= first:
        return 0.0
    likeness = [
        float(rise[lag:] @ rise[:-lag]) / power * len(rise) / (len(rise) - lag)
        for lag in range(first, last)
    ]
    return float(np.clip(max(likeness), 0.0, 1.0))
