"""Drums and tones of a recording apart, to make music that shares only its drums with another.

Fitzgerald, "Harmonic/Percussive Separation Using Median Filtering" (DAFx 2010): in a spectrogram
tones run along time and drums along frequency, so a median along time keeps the tones and one along
frequency the drums; each part of the spectrum goes to the greater of the two, by soft masks.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import median_filter
from scipy.signal import istft, stft

from songid_desktop.types import FloatArray

_FRAME_S = 0.064
_TONE_S = 0.3
"""Length of the median along time."""
_DRUM_HZ = 500.0
"""Width of the median along frequency."""


def separate(samples: FloatArray, rate: int) -> tuple[FloatArray, FloatArray]:
    """Tones and drums; together they are the recording.

    Parameters
    ----------
    samples : float32 array, shape (n,)
    rate : int
        Hz.

    Returns
    -------
    tones, drums : float32 arrays, shape (n,)
    """
    size = round(_FRAME_S * rate)
    hop = size // 4
    _, _, spectrum = stft(samples, rate, nperseg=size, noverlap=size - hop)
    power = np.abs(spectrum).astype(np.float32)
    along_time = median_filter(power, (1, max(3, round(_TONE_S * rate / hop)) | 1))
    along_frequency = median_filter(power, (max(3, round(_DRUM_HZ * size / rate)) | 1, 1))
    along_time, along_frequency = along_time**2, along_frequency**2
    share = along_frequency / np.maximum(along_time + along_frequency, 1e-20)
    _, drums = istft(spectrum * share, rate, nperseg=size, noverlap=size - hop)
    drums = np.resize(drums[: len(samples)], len(samples)).astype(np.float32)
    return np.asarray(samples - drums, np.float32), drums
