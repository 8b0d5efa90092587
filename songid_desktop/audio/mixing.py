"""Decoded frames of any sample format into float32, mono or stereo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from songid_desktop.types import FloatArray

_DTYPES = {"u8": "u1", "s16": "i2", "s32": "i4", "s64": "i8", "flt": "f4", "dbl": "f8"}
_SCALES = {"u1": 2.0**-7, "i2": 2.0**-15, "i4": 2.0**-31, "i8": 2.0**-63, "f4": 1.0, "f8": 1.0}


@dataclass(frozen=True, slots=True)
class Layout:
    """How the samples of some frames lie. `name` is libav's of the format, "s16p" for instance."""

    name: str
    channels: int
    rate: int

    @property
    def is_planar(self) -> bool:
        return self.name.endswith("p")

    @property
    def dtype(self) -> str:
        return _DTYPES[self.name.removesuffix("p")]


class Batch:
    """Consecutive frames of one layout, mixed in one go: per frame, NumPy's calls would cost as
    much as the decoding."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.samples = 0
        self._dtype = np.dtype(layout.dtype)
        self._planes: list[list[npt.NDArray[Any]]] = [
            [] for _ in range(layout.channels if layout.is_planar else 1)
        ]
        self._interleaved = 1 if layout.is_planar else layout.channels

    @property
    def frames(self) -> int:
        """How many frames were taken."""
        return len(self._planes[0])

    def add(self, frame: Any) -> None:
        """Take a frame, without copying it."""
        count = frame.samples
        for kept, plane in zip(self._planes, frame.planes, strict=False):
            kept.append(np.frombuffer(plane, self._dtype, count * self._interleaved))
        self.samples += count

    def _channels(self) -> list[npt.NDArray[Any]]:
        joined = [np.concatenate(kept) for kept in self._planes]
        if self.layout.is_planar:
            return joined
        together = joined[0].reshape(-1, self.layout.channels)
        return [together[:, channel] for channel in range(self.layout.channels)]

    def mono(self) -> FloatArray:
        """Mean of the channels, float32, shape (n,); integers become -1 … 1."""
        channels = self._channels()
        total: npt.NDArray[np.floating[Any]] = channels[0].astype(self._wide)
        for channel in channels[1:]:
            total = np.add(total, channel, out=total)
        return self._scaled(total, len(channels))

    def stereo(self) -> FloatArray:
        """Left and right, float32, shape (n, 2). Mono goes to both; of more than two channels the
        rest is mixed into both."""
        channels = self._channels()
        if len(channels) == 1:
            return np.repeat(self.mono()[:, None], 2, axis=1)
        sides = [self._scaled(channel.astype(self._wide), 1) for channel in channels[:2]]
        if len(channels) > 2:
            rest = [self._scaled(channel.astype(self._wide), 1) for channel in channels[2:]]
            others = np.mean(rest, axis=0) * np.float32(len(rest) / len(channels))
            sides = [side * np.float32(2 / len(channels)) + others for side in sides]
        return np.column_stack(sides)

    @property
    def _wide(self) -> type[np.float32 | np.float64]:
        """What sums without loss."""
        return np.float32 if self._dtype.itemsize <= 2 or self._dtype == "f4" else np.float64

    def _scaled(self, total: npt.NDArray[np.floating[Any]], count: int) -> FloatArray:
        result = total * total.dtype.type(_SCALES[self._dtype.str[1:]] / count)
        if self._dtype.kind == "u":
            result -= result.dtype.type(1.0)
        with np.errstate(over="ignore"):
            return result.astype(np.float32, copy=False)
