"""Tracks made of vectors that wander, and a catalog of them in a dictionary."""

from __future__ import annotations

import numpy as np

from songid_desktop.neural.vectors import pack
from songid_desktop.types import Fingerprint, FloatArray
from tests.support.landmark_library import DictReader

NAME, DIGEST, DIM, HOP_S = "cnn", "digest", 32, 0.25


def wander(seed: int, count: int, dim: int = DIM, keep: float = 0.9) -> FloatArray:
    """Vectors of length 1, each near to the one before it."""
    random = np.random.default_rng([7, seed])
    steps = random.standard_normal((count, dim)).astype(np.float32)
    rows = np.empty_like(steps)
    rows[0] = steps[0]
    for at in range(1, count):
        rows[at] = keep * rows[at - 1] + np.sqrt(1.0 - keep * keep) * steps[at]
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def fine(track_id: int, seconds: float = 25.0) -> FloatArray:
    """A track's vectors on a grid twice as fine as the stored one."""
    return wander(track_id, round(2 * seconds / HOP_S))


def stored(vectors: FloatArray, digest: str = DIGEST) -> Fingerprint:
    """The fingerprint of a track with these vectors."""
    return Fingerprint(NAME, digest, pack(vectors, HOP_S), len(vectors) * HOP_S)


def library(n_tracks: int, seconds: float = 25.0) -> DictReader:
    """A catalog of `n_tracks` tracks, numbered from 0."""
    reader = DictReader()
    for track_id in range(n_tracks):
        reader.put(track_id, stored(fine(track_id, seconds)[::2]))
    return reader


def noisy(vectors: FloatArray, amount: float, seed: int = 0) -> FloatArray:
    """Vectors with others mixed in, of length 1."""
    noise = np.random.default_rng(seed).standard_normal(vectors.shape).astype(np.float32)
    rows = vectors + amount * noise / np.sqrt(vectors.shape[1])
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


class PartReader(DictReader):
    """A catalog that gives parts of what it stores, as the real one does."""

    def __init__(self, whole: DictReader) -> None:
        super().__init__()
        self._now, self._rows = whole._now, whole._rows
        self.parts_read = 0

    def payload_part(
        self, identifier: str, config_digest: str, track_id: int, start: int, length: int
    ) -> bytes | None:
        self.parts_read += 1
        found = self._rows.get(track_id, (0, None))[1]
        if found is None or (found.identifier, found.config_digest) != (identifier, config_digest):
            return None
        return found.payload[start : start + length]
