"""The front ends by kind: sound to what an encoder looks at."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from songid_desktop.neural.config import FrontEnd, Model
from songid_desktop.neural.fbank import Fbank
from songid_desktop.neural.logmel import LogMel
from songid_desktop.types import FloatArray

_LEAST_VARIANCE = np.float32(1e-7)
"""As in HuBERT's own feature extractor: digital silence stays zero."""


class Waveform:
    """The samples themselves, each window at mean 0 and deviation 1 where the model asks for it."""

    def __init__(self, front_end: FrontEnd) -> None:
        self.front_end = front_end

    def of_windows(self, samples: FloatArray) -> FloatArray:
        """(n, m) float32 → the same shape."""
        if not self.front_end.standardise:
            return np.array(samples, np.float32)
        centred = samples - samples.mean(axis=1, keepdims=True)
        variance = np.square(centred).mean(axis=1, keepdims=True)
        scaled: FloatArray = centred / np.sqrt(variance + _LEAST_VARIANCE)
        return scaled


Front = LogMel | Fbank | Waveform


def front_of(front_end: FrontEnd) -> Front:
    """What turns windows of sound into an encoder's input."""
    kinds: dict[str, type[Front]] = {
        "logmel": LogMel,
        "fbank": Fbank,
        "waveform": Waveform,
    }
    return kinds[front_end.kind](front_end)


def inputs(front: Front, samples: FloatArray, starts: np.ndarray) -> FloatArray:
    """Encoder inputs of the windows of a clip that begin at `starts`.

    Parameters
    ----------
    samples : float32 array, shape (m,)
    starts : int array, shape (n,)
        In growing order; every window lies inside the clip.

    Returns
    -------
    float32 array, shape (n, *input_shape)
    """
    n_samples = front.front_end.n_samples
    steps = np.diff(starts)
    if isinstance(front, LogMel) and len(steps) and (steps == steps[0]).all():
        return front.of_stream(samples[starts[0] : starts[-1] + n_samples], int(steps[0]))
    view = np.lib.stride_tricks.sliding_window_view(samples, n_samples)
    return front.of_windows(view[starts])


def follows_pitch(front_end: FrontEnd) -> bool:
    """Whether its picture of a transposed sound can be made as if the sound were not transposed:
    by moving the filters of `LogMel`."""
    return front_end.kind == "logmel"


def takes_any_length(model: Model) -> bool:
    """Whether the encoder can look at a clip shorter than its window as it is, because its head
    forgets places."""
    return model.architecture in ("cnn_baseline", "cnn_enhanced") or (
        model.architecture == "mert" and model.head != "divide_encode"
    )


def shortened(front_end: FrontEnd, n_samples: int) -> FrontEnd:
    """The same front end for a clip shorter than its window."""
    share = n_samples / front_end.n_samples
    return replace(
        front_end,
        window_s=n_samples / front_end.sample_rate,
        n_frames=max(1, round(front_end.n_frames * share)),
    )
