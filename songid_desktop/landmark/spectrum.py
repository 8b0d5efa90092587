"""The whitened spectrogram: log power with its local background taken away.

Whitening makes every later step independent of level and of slow colouring (loudspeaker, room,
microphone): a gain adds a constant to the log and goes with the background, and so does whatever
changes slowly over frequency and time.
"""

from __future__ import annotations

import functools
import itertools

import numpy as np
import numpy.typing as npt

from songid_desktop.landmark.config import PeakConfig
from songid_desktop.types import FloatArray

Float64Array = npt.NDArray[np.float64]

_BATCH_FRAMES = 128
_LOUDEST = np.float32(1e9)  # beyond this the square of a spectrum leaves float32


@functools.lru_cache(maxsize=4)
def _window(n_fft: int) -> FloatArray:
    window: FloatArray = np.hanning(n_fft + 1)[:-1].astype(np.float32)
    return window


def clean(samples: npt.NDArray[np.floating]) -> FloatArray:
    """Samples as finite float32: what is not a number counts as silence."""
    values = np.asarray(samples, np.float32)
    if not np.isfinite(values).all():
        values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    return np.asarray(np.clip(values, -_LOUDEST, _LOUDEST), np.float32)


def frame_count(n_samples: int, config: PeakConfig, hop_samples: int | None = None) -> int:
    """Whole transform frames that fit into `n_samples`."""
    hop = hop_samples or config.hop_samples
    return max(0, (n_samples - config.n_fft) // hop + 1)


def power_frames(
    samples: FloatArray, config: PeakConfig, hop_samples: int | None = None
) -> FloatArray:
    """Power spectrogram of mono samples at the configured rate.

    Returns
    -------
    float32 array, shape (frames, high_bin - low_bin)
        Frame t looks at samples ``t * hop … t * hop + n_fft``.
    """
    import scipy.fft

    hop = hop_samples or config.hop_samples
    count = frame_count(len(samples), config, hop)
    power = np.empty((count, config.high_bin - config.low_bin), np.float32)
    if not count:
        return power
    frames = np.lib.stride_tricks.sliding_window_view(samples, config.n_fft)[::hop]
    window = _window(config.n_fft)
    for first in range(0, count, _BATCH_FRAMES):
        last = min(first + _BATCH_FRAMES, count)
        spectrum = scipy.fft.rfft(frames[first:last] * window, axis=1)
        part = spectrum[:, config.low_bin : config.high_bin]
        np.add(part.real**2, part.imag**2, out=power[first:last])
    return power


def whiten(power: FloatArray, config: PeakConfig, frames_per_hop: int = 1) -> FloatArray:
    """Log power above its background, natural units (1 is 4.3 dB).

    Parameters
    ----------
    power : float32 array, shape (frames, bins)
        From `power_frames`.
    frames_per_hop : int
        How many of the given frames make one hop of the configuration.

    Returns
    -------
    float32 array, shape (frames, bins)
        Zero on average; exactly zero throughout frames without any sound, which have no part in
        the background of others either.
    """
    if not power.size:
        return power
    mean = power.mean(axis=1, keepdims=True)
    has_sound = mean[:, 0] > 0.0
    log: FloatArray = np.log(power + (mean * np.float32(config.floor) + np.float32(1e-37)))
    if not has_sound.all():
        log[~has_sound] = 0.0
    # The background varies too slowly to be worth more than one row a hop.
    coarse, weight = _mean_of_rows(log, has_sound, frames_per_hop)
    background = _mean_over_frames(
        _mean_over_bins(coarse, config.whiten_bins), config.whiten_frames, weight
    )
    for phase in range(frames_per_hop):
        own = log[phase::frames_per_hop]
        own -= background[: len(own)]
    if not has_sound.all():
        log[~has_sound] = 0.0
    return log


def _mean_of_rows(
    log: FloatArray, has_sound: npt.NDArray[np.bool_], group: int
) -> tuple[FloatArray, Float64Array]:
    """Mean of every `group` rows over those with sound, and how much sound each mean stands for;
    rows beyond the last whole group are part of it."""
    if group == 1:
        return log, np.asarray(has_sound, np.float64)
    coarse = log[::group].copy()
    weight = has_sound[::group].astype(np.float64)
    for phase in range(1, group):
        own = log[phase::group]
        coarse[: len(own)] += own
        weight[: len(own)] += has_sound[phase::group]
    coarse /= np.maximum(weight, 1.0).astype(np.float32)[:, None]
    return coarse, weight


def _mean_over_bins(values: FloatArray, radius: int) -> FloatArray:
    """Mean over ± `radius` columns, of those that exist."""
    rows, columns = values.shape
    # Running sums, with so much before and after them that two slices give every difference.
    total = np.zeros((rows, columns + 1 + 2 * radius), np.float64)
    inner = total[:, radius + 1 : radius + 1 + columns]
    np.cumsum(values, axis=1, dtype=np.float64, out=inner)
    total[:, radius + 1 + columns :] = inner[:, -1:]
    at = np.arange(columns)
    count = np.minimum(at + radius + 1, columns) - np.maximum(at - radius, 0)
    width = 2 * radius + 1
    mean = (total[:, width:] - total[:, :-width]) / count
    return np.asarray(mean, np.float32)


def _mean_over_frames(values: FloatArray, radius: int, weight: Float64Array) -> FloatArray:
    """Mean over ± `radius` rows, of those that exist, by their weight."""
    rows, columns = values.shape
    total = np.zeros((rows + 1 + 2 * radius, columns), np.float64)
    inner = total[radius + 1 : radius + 1 + rows]
    np.multiply(values, weight[:, None], out=inner)
    for before, row in itertools.pairwise(inner):  # twice as fast as np.cumsum
        np.add(row, before, out=row)
    total[radius + 1 + rows :] = inner[-1]
    seen = np.concatenate([[0.0], np.cumsum(weight)])
    at = np.arange(rows)
    count = seen[np.minimum(at + radius + 1, rows)] - seen[np.maximum(at - radius, 0)]
    width = 2 * radius + 1
    mean = total[width:] - total[:-width]
    mean /= np.maximum(count, 1e-9)[:, None]
    return np.asarray(mean, np.float32)
