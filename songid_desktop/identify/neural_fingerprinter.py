"""The half of a learned identifier that enrolment needs: picklable, a few bytes, no index.

The model is loaded in the process that uses it, when it is first used; torch is not imported
before.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from songid_desktop.audio.resample import resample
from songid_desktop.errors import Cancelled
from songid_desktop.neural.card import read_card
from songid_desktop.neural.config import Model, ModelError
from songid_desktop.neural.models import ModelPlace
from songid_desktop.neural.vectors import pack
from songid_desktop.types import AudioBlock, CancelToken, Fingerprint, FloatArray

if TYPE_CHECKING:
    from songid_desktop.neural.embedder import Embedder

LOUDEST = 1e4
"""Of full scale; louder values are mistakes and would overflow."""


def finite(samples: FloatArray) -> FloatArray:
    """Samples as finite float32: what is not a number counts as silence."""
    values = np.asarray(samples, np.float32)
    if not np.isfinite(values).all():
        values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    return np.asarray(np.clip(values, -LOUDEST, LOUDEST), np.float32)


def verify_weights(path: Path) -> None:
    """Raise `ModelError` unless a weights file is the one that its card describes."""
    card = read_card(path)
    try:
        with path.open("rb") as source:
            found = hashlib.file_digest(source, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"{path} can't be read: {error.strerror}.") from error
    if found != card.sha256:
        raise ModelError(
            f"{path} is not the file that its card describes (its SHA-256 differs): it is damaged "
            "or was exchanged. Install the program again; other identifiers work as before."
        )


@functools.lru_cache(maxsize=2)
def _worker_embedder(place: ModelPlace, digest: str) -> Embedder:
    from songid_desktop.neural.embedder import Embedder

    del digest  # of the same place, another one is another model
    # There are as many enrolment workers as cores.
    return Embedder(place.path, threads=1)


class NeuralFingerprinter:
    """Enrols with one model.

    Parameters
    ----------
    name : str
        Of the identifier.
    place : ModelPlace
        Where its model lies.

    Raises
    ------
    ModelError
        The model is not there, or its card can't be read.
    """

    def __init__(self, name: str, place: ModelPlace) -> None:
        self._name = name
        self.place = place
        self.model: Model = place.model()
        self._digest = place.digest()

    @property
    def name(self) -> str:
        return self._name

    @property
    def config_digest(self) -> str:
        return self._digest

    @property
    def sample_rate(self) -> int | None:
        return self.model.front_end.sample_rate

    def check(self) -> None:
        """Compare the weights with their card, where that takes milliseconds, so that a damaged
        model is told before an enrolment and not once for every file of it.

        Raises
        ------
        ModelError
        """
        if self.place.path.suffix == ".safetensors":
            verify_weights(self.place.path)

    def _embedder(self) -> Embedder:
        """The model, ready to enrol; loaded once in a process."""
        return _worker_embedder(self.place, self._digest)

    def fingerprint(
        self, blocks: Iterable[AudioBlock], cancel: CancelToken | None = None
    ) -> Fingerprint:
        """Vectors of one track, in memory bounded but for the vectors themselves.

        Raises
        ------
        Cancelled
            When `cancel` was set.
        ModelError
            The model can't be used.
        """
        embedder = self._embedder()
        heard = _Heard(blocks, self.model.front_end.sample_rate, cancel)
        parts = list(embedder.stream(heard, cancel))
        vectors = np.concatenate(parts) if parts else np.zeros((0, self.model.dim), np.float32)
        if not len(vectors) and heard.n_samples:
            # Shorter than a window: the rest of it is silence.
            short = np.concatenate(heard.first)
            missing = max(0, self.model.front_end.n_samples - len(short))
            vectors = embedder.of_samples(np.pad(short, (0, missing)))
        payload = pack(vectors, self.model.hop_s)
        return Fingerprint(self._name, self._digest, payload, heard.duration_s)


class _Heard:
    """Blocks on their way to the model: at its rate, finite, counted."""

    def __init__(self, blocks: Iterable[AudioBlock], rate: int, cancel: CancelToken | None) -> None:
        self._blocks = blocks
        self._rate = rate
        self._cancel = cancel
        self.n_samples = 0
        self.first: list[FloatArray] = []
        """The track's beginning, until it is clear that it is longer than any window."""

    @property
    def duration_s(self) -> float:
        return self.n_samples / self._rate

    def __iter__(self) -> Iterator[AudioBlock]:
        for block in self._blocks:
            if self._cancel is not None and self._cancel.is_set():
                raise Cancelled
            samples = finite(block.samples)
            if block.sample_rate != self._rate:
                samples = resample(samples, block.sample_rate, self._rate)
            if self.n_samples < self._rate:
                self.first.append(samples)
            elif self.first:
                self.first = []
            self.n_samples += len(samples)
            yield AudioBlock(samples, self._rate, block.start_sample)
