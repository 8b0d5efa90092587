"""Sound to vectors: what enrolment stores of a track, and what a clip is looked up by.

One vector a window. A track is read as a stream, in memory bounded whatever its length, and gives
exactly the vectors that it would give as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn

from songid_desktop.errors import Cancelled
from songid_desktop.neural.build import build
from songid_desktop.neural.config import Model
from songid_desktop.neural.front import Front, front_of, inputs, shortened, takes_any_length
from songid_desktop.neural.logmel import LogMel
from songid_desktop.neural.runtime import has_fast_bfloat16, prepare
from songid_desktop.types import AudioBlock, CancelToken, FloatArray

_BATCH_VALUES = 400_000
"""Input values encoded at once: 48 windows of 128 × 64. 16 to 64 measure the same within 5 %; more
leave the processor's cache."""
_LARGE_PARAMETERS = 20_000_000
"""A model of this size keeps the processor busy with one window, and a cancel waits for no more."""
_LEAST_SHARE = 0.9
"""A clip that lacks up to a tenth of its only window counts as whole: resampling and a listener's
clock round, and the rest is silence to the encoder."""
_LOUDEST = np.float32(1e6)
_LEAST_CLIP_S = 0.5
"""Clips shorter than this give a clip embedding nothing to look at."""


class Embedder:
    """Runs a model.

    Parameters
    ----------
    source : Path or (module, Model)
        A trained model's weights file or a pretrained checkpoint's folder; or a module as `build`
        makes it, which stays as it is (a copy runs).
    bfloat16 : bool, optional
        Run the encoder in that; default: where the processor does it in hardware.

    threads : int, optional
        Processor threads of this process that torch may use: one in an enrolment worker, of which
        there are as many as cores. Default: as torch has it.

    Raises
    ------
    ModelError
        The file can't be used.
    """

    def __init__(
        self,
        source: Path | tuple[nn.Module, Model],
        *,
        bfloat16: bool | None = None,
        threads: int | None = None,
    ) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        if isinstance(source, Path):
            from songid_desktop.neural.pretrained import open_model

            module, self.model = open_model(source)
        else:
            given, self.model = source
            module = build(self.model)
            module.load_state_dict(given.state_dict())
            module.eval().requires_grad_(requires_grad=False)
        is_half = has_fast_bfloat16() if bfloat16 is None else bfloat16
        self._module = prepare(module, bfloat16=is_half)
        self._front = front_of(self.model.front_end)
        self._moved: dict[float, Front] = {1.0: self._front}
        values = int(np.prod(self.model.front_end.input_shape))
        is_large = sum(p.numel() for p in module.parameters()) > _LARGE_PARAMETERS
        self._batch = 1 if is_large else max(1, _BATCH_VALUES // values)

    def of_samples(
        self,
        samples: FloatArray,
        hop_s: float | None = None,
        phases: int = 1,
        cancel: CancelToken | None = None,
        pitch: float = 1.0,
    ) -> FloatArray:
        """Vectors of a clip.

        Parameters
        ----------
        samples : float32 array, shape (m,)
            At the model's rate.
        hop_s : float, optional
            Seconds from vector to vector of one phase; default: the model's own.
        phases : int
            Grids, `hop_s / phases` apart. Phase p of the result is ``[p::phases]``.
        pitch : float
            The vectors that the clip would have, did it not sound so many times higher than it
            should (where `front.follows_pitch`, and for clips of a window or longer).

        Returns
        -------
        float32 array, shape (n, dim)
            Each of length 1; vector i is of the window that begins ``i * hop_s / phases`` into the
            clip. None where the clip is shorter than a window, except that one which is to be
            looked up as a whole (`Model.retrieval`) may be.

        Raises
        ------
        Cancelled
        """
        samples = _sound(samples)
        n_samples = self.model.front_end.n_samples
        if len(samples) < n_samples:
            return self._of_short(samples)
        step = (hop_s or self.model.hop_s) * self.model.front_end.sample_rate / phases
        front = self._front_at(pitch)
        count = int((len(samples) - n_samples) / step + 1e-9) + 1
        starts = np.round(np.arange(count) * step).astype(np.intp)
        found = np.empty((count, self._dim), np.float32)
        for first in range(0, count, self._batch):
            if cancel is not None and cancel.is_set():
                raise Cancelled
            of_batch = starts[first : first + self._batch]
            found[first : first + self._batch] = self._encoded(inputs(front, samples, of_batch))
        return found

    def _front_at(self, pitch: float) -> Front:
        if pitch not in self._moved:
            self._moved[pitch] = LogMel(self.model.front_end, pitch)
        return self._moved[pitch]

    def stream(
        self,
        blocks: Iterable[AudioBlock],
        cancel: CancelToken | None = None,
        hop_s: float | None = None,
    ) -> Iterator[FloatArray]:
        """Vectors of a track from consecutive blocks at the model's rate.

        Yields
        ------
        float32 array, shape (k, dim)
            One after the other they are what `of_samples` gives for the whole track.

        Raises
        ------
        Cancelled
        """
        front_end = self.model.front_end
        step = (hop_s or self.model.hop_s) * front_end.sample_rate
        waiting: list[FloatArray] = []
        has = begin = done = 0  # samples waiting, where they begin in the track, windows done
        for block in blocks:
            if cancel is not None and cancel.is_set():
                raise Cancelled
            waiting.append(_sound(block.samples))
            has += len(block.samples)
            while True:
                starts = np.round(np.arange(done, done + self._batch) * step).astype(np.intp)
                if begin + has < starts[-1] + front_end.n_samples:
                    break
                samples = np.concatenate(waiting)
                yield self._encoded(inputs(self._front, samples, starts - begin))
                done += self._batch
                kept = samples[round(done * step) - begin :].copy()
                begin += len(samples) - len(kept)
                waiting, has = [kept], len(kept)
        if not has:
            return
        samples = np.concatenate(waiting)
        if done == 0 and has < front_end.n_samples:
            yield self._of_short(samples)
            return
        starts = np.round(np.arange(done, done + self._batch) * step).astype(np.intp) - begin
        starts = starts[starts + front_end.n_samples <= has]
        if len(starts):
            yield self._encoded(inputs(self._front, samples, starts))

    @property
    def _dim(self) -> int:
        return self.model.dim

    def _encoded(self, windows: FloatArray) -> FloatArray:
        """(n, *input_shape) → (n, dim)."""
        with torch.inference_mode():
            vectors: FloatArray = self._module(torch.from_numpy(windows)).numpy()
            return vectors

    def _of_short(self, samples: FloatArray) -> FloatArray:
        """A clip shorter than one window: one vector, or none."""
        model, front_end = self.model, self.model.front_end
        is_clip = (
            model.retrieval == "clip" and len(samples) >= _LEAST_CLIP_S * front_end.sample_rate
        )
        if not is_clip and len(samples) < _LEAST_SHARE * front_end.n_samples:
            return np.zeros((0, self._dim), np.float32)
        if is_clip and takes_any_length(model):
            front = front_of(shortened(front_end, len(samples)))
            return self._encoded(front.of_windows(samples[None]))
        if front_end.kind != "fbank":  # which fills up its picture itself
            samples = np.pad(samples, (0, front_end.n_samples - len(samples)))
        return self._encoded(self._front.of_windows(samples[None]))


def _sound(samples: FloatArray) -> FloatArray:
    """Samples without what no sound is: a broken one must blank its own moment, not the vectors
    of a whole second."""
    if not np.isfinite(samples).all():
        samples = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
    # Beyond this the square of a spectrum leaves float32.
    sound: FloatArray = np.clip(samples, -_LOUDEST, _LOUDEST, dtype=np.float32)
    return sound
