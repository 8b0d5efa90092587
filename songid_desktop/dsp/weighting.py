"""A-weighting (IEC 61672-1): levels as a sound level meter at the listener would read them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Float64Array = npt.NDArray[np.float64]

# Pole frequencies (Hz) of the standard's analogue prototype.
_F1, _F2, _F3, _F4 = 20.598997, 107.65265, 737.86223, 12194.217


def a_weight_gain(freq_hz: npt.ArrayLike) -> Float64Array:
    """Amplitude gain of the A curve, 1 at 1 kHz; any shape, `freq_hz` in hertz."""
    squared = np.asarray(freq_hz, np.float64) ** 2
    gain = _a_curve(squared) / _a_curve(np.float64(1000.0**2))
    return np.asarray(gain, np.float64)


def _a_curve(squared_hz: npt.ArrayLike) -> Float64Array:
    f2 = np.asarray(squared_hz, np.float64)
    return np.asarray(
        _F4**2 * f2**2 / ((f2 + _F1**2) * np.sqrt((f2 + _F2**2) * (f2 + _F3**2)) * (f2 + _F4**2)),
        np.float64,
    )


def a_weighted_level_db(samples: npt.NDArray[np.floating], sample_rate: int) -> float:
    """A-weighted mean level (dB re full-scale square wave) of mono samples, shape (n,).

    The whole run is transformed at once, so the level is that over the clip. Silence gives -inf.
    """
    if len(samples) == 0:
        return float("-inf")
    spectrum = np.fft.rfft(np.asarray(samples, np.float64))
    weight = a_weight_gain(np.fft.rfftfreq(len(samples), 1.0 / sample_rate))
    bins = (np.abs(spectrum) * weight) ** 2
    # One-sided spectrum: every bin but the first and (for even lengths) the last counts twice.
    twice = bins[1:-1] if len(samples) % 2 == 0 else bins[1:]
    power = (float(bins.sum()) + float(twice.sum())) / len(samples) ** 2
    return 10.0 * float(np.log10(power)) if power > 0.0 else float("-inf")
