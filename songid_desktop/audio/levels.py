"""How loud a stretch of sound is, in figures that can be shown and judged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from songid_desktop.types import FloatArray

FLOOR_DBFS = -120.0
"""Reported for silence and everything below; a 16-bit step is -90 dBFS, a 24-bit step -138."""

CLIP_AT = 0.999
"""A sample this near full scale counts as clipped: 16-bit full scale is 0.99997, and converters
and sound servers shave off a little."""

SHORTEST_CLIP_SAMPLES = 2
"""Runs of fewer samples at full scale are peaks that merely touch it (normalised music does)."""


@dataclass(frozen=True, slots=True)
class Level:
    """Loudness of a stretch of sound.

    Attributes
    ----------
    rms_dbfs : float
        Root mean square over the stretch; a full-scale sine is -3.01.
    peak_dbfs : float
        Largest absolute sample.
    clipped_fraction : float
        Share of samples, 0 … 1, in runs of at least two at full scale.
    is_exact_zero : bool
        Every sample is 0.0 exactly: a muted or forbidden source, never a quiet room. Also true of
        no samples at all.
    """

    rms_dbfs: float
    peak_dbfs: float
    clipped_fraction: float
    is_exact_zero: bool


SILENCE = Level(FLOOR_DBFS, FLOOR_DBFS, 0.0, True)


def to_dbfs(amplitude: float) -> float:
    """Decibels of a linear amplitude (1.0 is 0 dBFS), never below `FLOOR_DBFS`."""
    if not amplitude > 0.0:
        return FLOOR_DBFS
    return max(FLOOR_DBFS, 20.0 * float(np.log10(amplitude)))


def measure(samples: FloatArray) -> Level:
    """Measure `samples` (float32, shape (n,)). Samples that are not numbers count as zero."""
    if len(samples) == 0:
        return SILENCE
    magnitude = np.abs(samples)
    peak = float(magnitude.max())
    if not np.isfinite(peak):
        magnitude = np.nan_to_num(magnitude, nan=0.0, posinf=0.0, neginf=0.0)
        peak = float(magnitude.max())
    if peak == 0.0:
        return SILENCE
    # Scaled by the peak, so that neither the square of a tiny nor that of a huge sample leaves
    # float32's range.
    scaled = magnitude / np.float32(peak)
    rms = peak * float(np.sqrt(np.mean(np.square(scaled), dtype=np.float64)))
    return Level(to_dbfs(rms), to_dbfs(peak), _clipped_fraction(magnitude, peak), False)


def _clipped_fraction(magnitude: FloatArray, peak: float) -> float:
    if peak < CLIP_AT:
        return 0.0
    at_limit = magnitude >= CLIP_AT
    if len(at_limit) < SHORTEST_CLIP_SAMPLES:
        return 0.0
    in_run = np.zeros(len(at_limit), np.bool_)
    pairs = at_limit[1:] & at_limit[:-1]
    in_run[1:] |= pairs
    in_run[:-1] |= pairs
    return float(np.count_nonzero(in_run)) / len(magnitude)
