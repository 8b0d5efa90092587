"""What is done to log-mel frames while training: an equaliser, a coarse codec, SpecAugment.

Frames are in nepers of power as `neural.logmel` gives them before it standardises each window;
they are standardised here, last, so that training and use see the same scale.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from songid_desktop.train.config import Masks

Floats = npt.NDArray[np.float32]

_DB = float(np.log(10.0) / 10.0)
"""One decibel in nepers of power."""


def mask_frames(frames: Floats, masks: Masks, rng: np.random.Generator) -> Floats:
    """Changed frames, standardised; float32, shape (n, bands, frames) in and out.

    Random walks over the bands are an equaliser as a loudspeaker or a microphone has it; what lies
    far under its loudest neighbours is lost in a codec; blanked stretches get the window's mean.
    """
    count, bands, length = frames.shape
    frames = frames.copy()
    if masks.equalise_p:
        walk = rng.normal(0.0, masks.equalise_db * _DB, (count, bands)).cumsum(axis=1)
        walk -= walk.mean(axis=1, keepdims=True)
        frames += (walk * (rng.random((count, 1)) < masks.equalise_p))[:, :, None]
    for row in np.flatnonzero(rng.random(count) < masks.codec_p):
        frames[row] = coarse(frames[row], float(rng.uniform(6.0, 18.0)))
    for row in np.flatnonzero(rng.random(count) < masks.warp_p):
        frames[row] = warped(frames[row], masks.warp_share, rng)
    middle = frames.mean(axis=(1, 2))
    times = rng.random(count) < masks.time_p
    lows = rng.random(count) < masks.frequency_p
    share = np.asarray(rng.uniform(0.05, 1.0, (2, count)))
    long = (share[0] * masks.time_share * length).astype(int)
    high = (share[1] * masks.frequency_share * bands).astype(int)
    begin, bottom = rng.random((2, count))
    for row in np.flatnonzero(times):
        at = int(begin[row] * (length - long[row]))
        frames[row, :, at : at + long[row]] = middle[row]
    for row in np.flatnonzero(lows):
        at = int(bottom[row] * (bands - high[row]))
        frames[row, at : at + high[row]] = middle[row]
    return standardised(frames)


def standardised(frames: Floats) -> Floats:
    """Each window with mean 0 and deviation 1."""
    mean = frames.mean(axis=(1, 2), keepdims=True)
    deviation = frames.std(axis=(1, 2), keepdims=True)
    return np.asarray((frames - mean) / np.maximum(deviation, 1e-3), np.float32)


def coarse(frames: Floats, depth_db: float) -> Floats:
    """Take away what stands `depth_db` or more under the loudest of the nine bands around it."""
    from scipy.ndimage import maximum_filter1d

    loudest = maximum_filter1d(frames, 9, axis=0)
    return np.where(frames < loudest - depth_db * _DB, frames - 20.0 * _DB, frames)


def warped(frames: Floats, share: float, rng: np.random.Generator) -> Floats:
    """The middle moved in time by up to `share` of the window, the ends where they were."""
    length = frames.shape[1]
    moved = float(rng.uniform(-share, share)) * (length - 1)
    middle = 0.5 * (length - 1)
    source = np.interp(
        np.arange(length), (0.0, middle + moved, length - 1.0), (0, middle, length - 1)
    )
    low = np.minimum(source.astype(int), length - 2)
    part = (source - low).astype(np.float32)
    return np.asarray(frames[:, low] * (1.0 - part) + frames[:, low + 1] * part, np.float32)
