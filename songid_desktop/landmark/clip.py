"""A clip made ready for looking up: its spectrogram for verification, its peaks and hashes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from songid_desktop.landmark.config import LandmarkConfig
from songid_desktop.landmark.hashes import hash_pairs, key_order, pair_peaks
from songid_desktop.landmark.peaks import Peaks, find_peaks
from songid_desktop.landmark.ridges import RIDGE_FRAMES
from songid_desktop.landmark.spectrum import clean, power_frames, whiten
from songid_desktop.types import FloatArray

IntArray = npt.NDArray[np.int64]
U32Array = npt.NDArray[np.uint32]

_LOWEST, _HIGHEST = -1.0, 2.5
"""Whitened log power is cut off here (-4 and +11 dB): how empty an empty place is says little, and
a click or a shout is not to outweigh everything else."""
_STEADY = 0.5
"""Share of every bin's mean that is taken away: hum, room modes and steady noise fit any track that
has a tone there. All of it would take the music's own long tones away in short clips."""


@dataclass(frozen=True, slots=True)
class Clip:
    """See the module.

    Attributes
    ----------
    height : float32 array, shape (steps, bins)
        What rises above the background in the whitened spectrogram, standardised over the clip, a
        fraction of a hop from row to row: sharp, for finding the alignment.
    level : float32 array, shape (steps, bins)
        The same without extremes, and with what lies below: for telling tracks apart.
    tone : float32 array, shape (steps - …, bins)
        `level` averaged over the frames of a ridge, those from each step on.
    steps_per_frame : int
    peaks : tuple of Peaks, one for each frame phase
    pairs : tuple of (int64 array, int64 array), the same
        Anchor and target of every hash, positions among the phase's peaks.
    low_bin : int
        Bin that the first column of `height` stands for.
    keys : uint32 array, shape (k,), sorted
    key_step : int64 array, shape (k,)
        When the anchor of each key happens, in steps.
    key_rank : int16 array, shape (k,)
        How many stronger peaks of the clip lie near the anchor, and near the target, in all.
    """

    height: FloatArray
    level: FloatArray
    tone: FloatArray
    steps_per_frame: int
    peaks: tuple[Peaks, ...]
    pairs: tuple[tuple[IntArray, IntArray], ...]
    low_bin: int
    keys: U32Array
    key_step: IntArray
    key_rank: npt.NDArray[np.int16]

    @property
    def n_frames(self) -> int:
        return -(-len(self.height) // self.steps_per_frame)


def analyse(samples: FloatArray, config: LandmarkConfig) -> Clip:
    """Spectrogram, peaks and hashes of a clip at the configured rate."""
    phases = config.search.phases
    step_samples = config.peaks.hop_samples // phases
    power = power_frames(clean(samples), config.peaks, step_samples)
    whitened = whiten(power, config.peaks, phases)
    found = tuple(
        find_peaks(whitened[phase::phases], config.peaks, config.search.density_hz)
        for phase in range(phases)
    )
    pairs = tuple(
        pair_peaks(peaks.frame, peaks.bin, config.hashes, config.search.fan) for peaks in found
    )
    hashed = [
        _hashes(peaks, *own, phase, phases)
        for phase, (peaks, own) in enumerate(zip(found, pairs, strict=True))
    ]
    keys, steps, ranks = (np.concatenate(parts) for parts in zip(*hashed, strict=True))
    order = key_order(keys)
    level = _level(whitened)
    return Clip(
        height=_scaled(np.maximum(whitened, np.float32(0.0))),
        level=level,
        tone=_tone(level, phases),
        steps_per_frame=phases,
        peaks=found,
        pairs=pairs,
        low_bin=config.peaks.low_bin,
        keys=keys[order],
        key_step=steps[order],
        key_rank=ranks[order],
    )


def _hashes(
    peaks: Peaks, anchor: IntArray, target: IntArray, phase: int, phases: int
) -> tuple[U32Array, IntArray, npt.NDArray[np.int16]]:
    """Keys of one frame phase, when they happen, and how strong they are."""
    keys = hash_pairs(peaks.frame, peaks.bin, anchor, target)
    rank = peaks.rank.astype(np.int16)
    return keys, peaks.frame[anchor] * phases + phase, rank[anchor] + rank[target]


def _level(whitened: FloatArray) -> FloatArray:
    """Whitened spectrogram without extremes and half of what is steady."""
    level: FloatArray = np.clip(whitened, np.float32(_LOWEST), np.float32(_HIGHEST))
    if len(level):
        level -= np.float32(_STEADY) * level.mean(axis=0)
    return _scaled(level)


def _tone(level: FloatArray, steps_per_frame: int) -> FloatArray:
    """Mean of every `RIDGE_FRAMES` frames, a step apart."""
    span = RIDGE_FRAMES * steps_per_frame
    rows = len(level) - span + 1
    if rows < 1:
        return level[:0]
    total = level[:rows].copy()
    for step in range(1, span):
        total += level[step : step + rows]
    return _scaled(total)


def _scaled(values: FloatArray) -> FloatArray:
    """With mean 0 and deviation 1, in place; all zero where nothing varies."""
    if not values.size:
        return values
    values -= values.mean()
    deviation = float(np.sqrt(np.vdot(values, values) / values.size))
    values *= np.float32(1.0 / deviation if deviation > 1e-6 else 0.0)
    return values
