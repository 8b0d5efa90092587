"""Where exactly a track is: the found place, less what the room has done to it.

In a room every sound lasts longer than on the record, so the record fits best a little late: 13 ms
in the median, and every room by another amount. How the fit falls off to either side tells how
much: steeply where the sound is dry, slowly towards later where it lingers; and what is newly risen
fits earlier than what is there. A linear reading of both, fitted on clips of training tracks in
training rooms (`songid_desktop.evaluate.fit_offset`), gives the difference.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from songid_desktop.landmark.clip import Clip
from songid_desktop.landmark.evidence import agreement, passages
from songid_desktop.landmark.verify import Candidate, fit_of_peaks
from songid_desktop.paths import resource
from songid_desktop.types import FloatArray

Float64Array = npt.NDArray[np.float64]

_BEFORE, _AFTER = 6, 7
"""Steps before and after the found place at which the fit is looked at."""
_STEPS_PER_FRAME = 2
"""Of the clips it was fitted on; others are left as they are."""
_WET, _DRY = 0.6, 0.8
"""Shares of common peaks: in rooms with background 10 dB below the music, one clip of three has
more than the first; of clips as they are, one in ten has less than the second."""
_FARTHEST_S = 0.06
"""No more than this is ever put right: no sound travels indoors for longer."""


@dataclass(frozen=True, slots=True)
class Placing:
    """A fitted reading.

    Attributes
    ----------
    weights : float64 array, shape (k,)
        Seconds for each of `readings`, the last one for the constant.
    error_s : (float, float, float)
        Size of the error that remains (two of three are smaller): constant, per second put right,
        and over the square root of the score.
    """

    weights: Float64Array
    error_s: tuple[float, float, float]

    def correction_s(self, candidate: Candidate, clip: Clip, shared: float | None = None) -> float:
        """What to add to the found place, in seconds of the track; `shared` is their `agreement`
        where that is known."""
        if shared is None:
            shared = agreement(passages([candidate], clip.n_frames)[0], clip)
        wet = reverberance(shared)
        found = readings(candidate, clip) if wet > 0.0 else None
        if found is None:
            return 0.0
        return wet * float(np.clip(found @ self.weights, -_FARTHEST_S, _FARTHEST_S))

    def error_after_s(self, correction_s: float, score: float) -> float:
        """Size of the error that remains."""
        constant, per_s, per_root = self.error_s
        return constant + per_s * abs(correction_s) + per_root / float(np.sqrt(max(score, 1.0)))


def reverberance(shared: float) -> float:
    """How far a reading is to be believed, 0 to 1, by the share of its peaks that the clip shows
    where they are: a room moves most of them. Notes that die away slowly read like a room."""
    return float(np.clip((_DRY - shared) / (_DRY - _WET), 0.0, 1.0))


def readings(candidate: Candidate, clip: Clip) -> Float64Array | None:
    """How well the track fits a few steps before and after the found place, between 0 at worst and
    1 at best: with what is there, then with what is newly risen; and 1. None where this says
    nothing."""
    if clip.steps_per_frame != _STEPS_PER_FRAME:
        return None
    begin = float(candidate.part.segment.start_frame[candidate.row]) + candidate.offset_frames
    start = int(begin // 1.0)
    lags = np.arange(-_BEFORE, _AFTER + clip.steps_per_frame + 1)
    wanted = (begin - start) * clip.steps_per_frame + np.arange(-_BEFORE, _AFTER + 1)
    parts: list[Float64Array] = []
    for image in (clip.height, _risen(clip)):
        sums = fit_of_peaks(candidate, start, lags, clip, image)
        profile = np.interp(wanted, lags, sums)
        span = float(np.ptp(profile))
        if span <= 0.0:
            return None
        parts.append((profile - profile.min()) / span)
    return np.concatenate([*parts, [1.0]])


def _risen(clip: Clip) -> FloatArray:
    """What stands higher than a frame before."""
    step = clip.steps_per_frame
    risen: FloatArray = clip.height.copy()
    risen[step:] -= clip.height[:-step]
    return np.maximum(risen, np.float32(0.0), out=risen)


@functools.lru_cache(maxsize=4)
def load(path: Path | None = None) -> Placing:
    """The shipped reading, or another file of the same shape."""
    source = path or resource("calibration", "landmark_offset.json")
    data = json.loads(source.read_text(encoding="utf-8"))
    constant, per_s, per_root = map(float, data["error_s"])
    return Placing(np.array(data["weights"], np.float64), (constant, per_s, per_root))
