"""What is stored of a track: its vectors, eight bits a number, one run of rows with a short head.

Four vectors of 128 numbers a second are 30.7 kB a minute. The catalog holds the only copy: the
exact score of a candidate is computed from these bytes, and whatever else helps to find the
candidate is derived from them. One scale for a whole track is enough: numbers of a vector of length
1 are small and alike, and rounding them moves a cosine by less than 0.001.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from songid_desktop.types import FloatArray

Int8Array = npt.NDArray[np.int8]

_MAGIC = b"SIDv"
_VERSION = 1
# Magic, version, numbers a vector, vectors, hop (µs), start of the first one (µs), scale, checksum.
_HEAD = struct.Struct("<4sHHIIifI")
HEAD_BYTES = _HEAD.size
_FULL = 127.0


@dataclass(frozen=True, slots=True)
class Layout:
    """How the rows of a payload lie, known from its head alone.

    Attributes
    ----------
    dim : int
        Numbers in a vector, one byte each.
    count : int
        Vectors.
    hop_s, start_s : float
        From one to the next, and where the first window begins in the track.
    scale : float
        What a step of the bytes is worth.
    """

    dim: int
    count: int
    hop_s: float
    start_s: float
    scale: float

    def span(self, first: int, count: int) -> tuple[int, int]:
        """Place and number of bytes of rows `first` … ``first + count``, which must exist."""
        return HEAD_BYTES + first * self.dim, count * self.dim


@dataclass(frozen=True, slots=True)
class Vectors:
    """The vectors of one track.

    Attributes
    ----------
    values : int8 array, shape (n, dim)
        A view of the payload's bytes.
    scale : float
        ``values * scale`` are vectors of length 1, but for rounding.
    hop_s, start_s : float
        Vector k belongs to the window that begins at ``start_s + k * hop_s``.
    """

    values: Int8Array
    scale: float
    hop_s: float
    start_s: float = 0.0

    def __len__(self) -> int:
        return len(self.values)

    def as_float(self) -> FloatArray:
        """Vectors of length 1, float32, shape (n, dim)."""
        return unit(self.values)


def unit(values: npt.NDArray[np.generic]) -> FloatArray:
    """Rows as float32 vectors of length 1; rows of zeros stay zeros."""
    rows = values.astype(np.float32)
    size = np.sqrt(np.einsum("...d,...d->...", rows, rows))
    rows /= np.maximum(size, 1e-12)[..., None]
    return rows


def pack(vectors: FloatArray, hop_s: float, start_s: float = 0.0) -> bytes:
    """Bytes of a track's vectors.

    Parameters
    ----------
    vectors : float32 array, shape (n, dim)
        Of length 1; what is no number counts as 0.
    """
    rows = np.nan_to_num(np.asarray(vectors, np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    if rows.ndim != 2:
        raise ValueError(f"vectors have the shape {rows.shape}, not (n, dim)")
    count, dim = rows.shape
    peak = float(np.abs(rows).max(initial=0.0))
    scale = peak / _FULL if peak > 0.0 else 1.0
    steps = np.clip(np.rint(rows / np.float32(scale)), -_FULL, _FULL)
    data: bytes = steps.astype(np.int8).tobytes()
    hop_us, start_us = round(hop_s * 1e6), round(start_s * 1e6)
    head = _HEAD.pack(_MAGIC, _VERSION, dim, count, hop_us, start_us, scale, zlib.crc32(data))
    return head + data


def read_head(payload: bytes) -> Layout:
    """How the rows of a payload lie; its first `HEAD_BYTES` bytes are enough.

    Raises
    ------
    ValueError
        When it is not a payload of this version.
    """
    if len(payload) < HEAD_BYTES:
        raise ValueError(f"{len(payload)} bytes are too few for a track's vectors")
    magic, version, dim, count, hop_us, start_us, scale, _ = _HEAD.unpack_from(payload)
    if (magic, version) != (_MAGIC, _VERSION):
        raise ValueError("these are not the vectors of a track")
    if dim == 0 or hop_us == 0 or not 0.0 < scale < np.inf:
        raise ValueError("the head of a track's vectors is damaged")
    return Layout(dim, count, hop_us / 1e6, start_us / 1e6, scale)


def unpack(payload: bytes) -> Vectors:
    """The vectors of a payload, as a view of its bytes.

    Raises
    ------
    ValueError
        When the bytes are not those that were packed.
    """
    layout = read_head(payload)
    data = memoryview(payload)[HEAD_BYTES:]
    if len(data) != layout.count * layout.dim:
        raise ValueError(
            f"{len(data)} bytes are not {layout.count} vectors of {layout.dim} numbers"
        )
    if zlib.crc32(data) != _HEAD.unpack_from(payload)[-1]:
        raise ValueError("the bytes of a track's vectors have changed")
    values = np.frombuffer(data, np.int8).reshape(layout.count, layout.dim)
    return Vectors(values, layout.scale, layout.hop_s, layout.start_s)
