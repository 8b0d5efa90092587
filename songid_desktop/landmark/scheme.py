"""What an index must know about the method whose peaks it holds: how wide its numbers are, how its
peaks are stored, how they are paired and hashed. The index itself is the same for every method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from songid_desktop.landmark.config import LandmarkConfig
from songid_desktop.landmark.hashes import BIN_BITS, KEY_BITS, hash_pairs, pair_peaks
from songid_desktop.landmark.peaks import Peaks, unpack_peaks
from songid_desktop.landmark.ridges import RIDGE_FRAMES, RIDGE_LINE, RIDGES

IntArray = npt.NDArray[np.int64]
KeyArray = npt.NDArray[np.uint32]
LineValues = npt.NDArray[np.generic]


@dataclass(frozen=True, slots=True)
class LineSpec:
    """Something stored at a fixed pace along every track, beside its peaks.

    Attributes
    ----------
    name : str
    every_frames : int
        One row for so many frames; divides a block of 128.
    width : int
        Numbers in a row.
    kind : str
        Their type, as numpy writes it.
    """

    name: str
    every_frames: int
    width: int
    kind: str = "|u1"


@dataclass(frozen=True, slots=True)
class Layout:
    """Widths of the numbers in an index; written into its files and checked when they are opened.

    Attributes
    ----------
    key_bits : int
        Of a hash, 32 at most.
    bin_bits : int
        Of a peak's frequency bin.
    gap_frames : int
        Between two tracks on a segment's line: longer than any clip that is looked up in one go,
        and a multiple of a block.
    lines : tuple of LineSpec
        What is stored along the tracks.
    """

    key_bits: int = KEY_BITS
    bin_bits: int = BIN_BITS
    gap_frames: int = 512
    lines: tuple[LineSpec, ...] = ()


class Scheme(Protocol):
    """A method of landmarks as the index sees it."""

    @property
    def layout(self) -> Layout: ...

    @property
    def max_frames(self) -> int:
        """Frames from an anchor to the farthest target it may have."""
        ...

    def digest(self) -> str:
        """Name of what the catalog stores."""
        ...

    def index_digest(self) -> str:
        """Name of what the index holds."""
        ...

    def unpack(self, payload: bytes) -> Peaks:
        """Peaks of a track out of what the catalog stores.

        Raises
        ------
        ValueError
            When the bytes are no whole fingerprint.
        """
        ...

    def pairs(self, frame: IntArray, column: IntArray) -> tuple[IntArray, IntArray]:
        """Anchor and target (positions) of every pair that a track's peaks make."""
        ...

    def keys(
        self, frame: IntArray, column: IntArray, anchor: IntArray, target: IntArray
    ) -> KeyArray:
        """A hash of `Layout.key_bits` bits for every pair."""
        ...

    def line_values(self, peaks: Peaks) -> Mapping[str, LineValues]:
        """What `Layout.lines` stores along this track: arrays of shape (rows, width), a row for
        every begun `every_frames`."""
        ...


@dataclass(frozen=True, slots=True)
class LandmarkScheme:
    """The landmark method."""

    config: LandmarkConfig

    @property
    def layout(self) -> Layout:
        return Layout(lines=(LineSpec(RIDGE_LINE, RIDGE_FRAMES, RIDGES),))

    @property
    def max_frames(self) -> int:
        return self.config.hashes.max_frames

    def digest(self) -> str:
        return self.config.digest()

    def index_digest(self) -> str:
        return self.config.index_digest()

    def unpack(self, payload: bytes) -> Peaks:
        return unpack_peaks(payload)

    def pairs(self, frame: IntArray, column: IntArray) -> tuple[IntArray, IntArray]:
        return pair_peaks(frame, column, self.config.hashes, self.config.hashes.fan)

    def keys(
        self, frame: IntArray, column: IntArray, anchor: IntArray, target: IntArray
    ) -> KeyArray:
        return hash_pairs(frame, column, anchor, target)

    def line_values(self, peaks: Peaks) -> Mapping[str, LineValues]:
        return {RIDGE_LINE: peaks.ridges}
