"""A learned identifier without learning: pictures of the sound, thrown onto a few directions.

Everything but the encoder is the real thing. The weights beside it are a tiny network's, so that
there is a card to read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from songid_desktop.errors import Cancelled
from songid_desktop.identify.neural import NeuralIdentifier
from songid_desktop.identify.neural_calibration import NeuralCalibration
from songid_desktop.neural import models
from songid_desktop.neural.config import CnnBody, Model
from songid_desktop.neural.logmel import LogMel, windows
from songid_desktop.neural.models import ModelPlace
from songid_desktop.paths import base_dir_paths
from songid_desktop.types import AudioBlock, CancelToken, FloatArray

MODEL = Model(dim=64, body=CnnBody(channels=(4, 8, 8, 16, 16)), group_hidden=4)
CALIBRATION = NeuralCalibration(
    (1.5, 0.5, 0.0, 1.5, 2.0, 0.5, -1.0, -3.0, -9.0), (0.35, -0.02, 0.1)
)
"""Chosen by hand for these pictures: a clear lead is a match, none is not."""


def weights_at(path: Path, model: Model = MODEL, seed: int = 0) -> ModelPlace:
    """A weights file of a tiny network, with its card."""
    import torch

    from songid_desktop.neural.build import build
    from songid_desktop.neural.weights import save

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    save(path, build(model), model, {})
    place = models.find(str(path), base_dir_paths(path.parent))
    assert place is not None
    return place


class Pictures:
    """Stands in for `Embedder`."""

    def __init__(self, model: Model) -> None:
        self.model = model
        size = int(np.prod(model.front_end.input_shape))
        random = np.random.default_rng(0)
        self._directions = random.standard_normal((size, model.dim)).astype(np.float32)

    def of_samples(
        self,
        samples: FloatArray,
        hop_s: float | None = None,
        phases: int = 1,
        cancel: CancelToken | None = None,
        pitch: float = 1.0,
    ) -> FloatArray:
        if cancel is not None and cancel.is_set():
            raise Cancelled
        front_end = self.model.front_end
        cut = windows(samples, front_end, (hop_s or self.model.hop_s) / phases)
        if not len(cut):
            return np.zeros((0, self.model.dim), np.float32)
        # Detail above a smooth outline: what tells one tune from another.
        pictures = LogMel(front_end, pitch).of_windows(cut)
        pictures = pictures - pictures.mean(axis=(1, 2), keepdims=True)
        pictures = pictures - pictures.mean(axis=2, keepdims=True) * 0.5
        rows = pictures.reshape(len(cut), -1) @ self._directions
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)

    def stream(
        self, blocks: Iterable[AudioBlock], cancel: CancelToken | None = None
    ) -> Iterator[FloatArray]:
        parts = [block.samples for block in blocks]
        if parts:
            yield self.of_samples(np.concatenate(parts), cancel=cancel)


class PictureIdentifier(NeuralIdentifier):
    """The real identifier with `Pictures` for its encoder."""

    def __init__(self, name: str, index_dir: Path, place: ModelPlace, **how: object) -> None:
        how.setdefault("calibrated", CALIBRATION)
        super().__init__(name, index_dir, place, **how)  # type: ignore[arg-type]
        self._pictures = Pictures(self.model)

    def _embedder(self) -> Pictures:  # type: ignore[override]
        return self._pictures

    def vectors(
        self, samples: FloatArray, cancel: CancelToken | None = None, pitch: float = 1.0
    ) -> FloatArray:
        phases = self.model.query_phases
        return self._pictures.of_samples(samples, phases=phases, cancel=cancel, pitch=pitch)
