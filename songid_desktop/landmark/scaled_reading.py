"""A clip's spectrogram, read where a track's stored peaks should show when it is played at another
speed, tempo or pitch."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from songid_desktop.landmark.config import PeakConfig
from songid_desktop.landmark.index import Part
from songid_desktop.landmark.match import Candidate, Clip
from songid_desktop.landmark.scaled import Scale, exact_places, middle_frame
from songid_desktop.types import FloatArray

IntArray = npt.NDArray[np.int64]
Float64Array = npt.NDArray[np.float64]

_SHRINK_PEAKS = 10.0
"""As in `match`: a candidate that overlaps the clip by a few peaks can't win by luck."""


@dataclass(frozen=True, slots=True)
class ScaledCandidate:
    """A track that may be playing, and how.

    Attributes
    ----------
    candidate : Candidate
        Its `offset_frames` is the place in the track, in the track's frames, of the clip's first
        sample.
    scale : Scale
    """

    candidate: Candidate
    scale: Scale

    @property
    def track_id(self) -> int:
        return self.candidate.track_id

    @property
    def score(self) -> float:
        return self.candidate.score


@dataclass(frozen=True, slots=True)
class Guess:
    """A place to verify."""

    part: Part
    row: int
    middle: float
    scale: Scale
    votes: int
    score: float = 0.0
    n_peaks: int = 0


def track_frame(found: ScaledCandidate, clip_frame: float, config: PeakConfig) -> float:
    """Frame of the track that a frame of the clip, counted from its beginning, corresponds to."""
    tempo = found.scale.tempo
    return found.candidate.offset_frames - half_window(config) * (1.0 - tempo) + clip_frame * tempo


def half_window(config: PeakConfig) -> float:
    """Frames are numbered by where they begin, but it is their middles that correspond: so much
    later."""
    return config.n_fft / 2 / config.hop_samples


class Reader:
    """The clip's spectrogram with a margin of zeros, to be read where a track says."""

    def __init__(self, clip: Clip) -> None:
        self._clip = clip
        self.half_frames = middle_frame(clip)
        self.low_bin = clip.low_bin
        self.steps = clip.steps_per_frame
        self.n_rows, self.n_columns = clip.height.shape
        self._flat = np.pad(clip.height, 1).reshape(-1)
        self._width = self.n_columns + 2

    @property
    def clip_peaks(self) -> tuple[Float64Array, Float64Array]:
        """Frames from the clip's middle and bins of its peaks, to a fraction."""
        peaks = self._clip.peaks[0]
        frame, column = exact_places(self._clip, peaks.frame, peaks.bin)
        order = np.argsort(frame)
        return frame[order] - self.half_frames, column[order]

    def stored(
        self, part: Part, middle: Float64Array, tempo: float
    ) -> tuple[IntArray, Float64Array, Float64Array]:
        """Stored peaks under the clip laid around each place, and a little more: the place, the
        frame counted from it, the bin; shape (p,) each."""
        first = np.floor(middle - self.half_frames * tempo).astype(np.int64) - 2
        span = math.ceil(2.0 * self.half_frames * tempo) + 5
        which, frame, column = part.segment.peaks_between(first, span)
        return which, frame + (first - middle)[which], column.astype(np.float64)

    def rows(self, from_middle: Float64Array, tempo: Float64Array | float) -> Float64Array:
        """Rows of the spectrogram for frames of the track counted from the clip's middle."""
        return from_middle * (self.steps / tempo) + self.half_frames * self.steps

    def read(
        self, row: Float64Array, column: Float64Array
    ) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
        """Heights at the nearest rows and bins, of their shape, 0 outside; and what lies inside."""
        column = column - self.low_bin
        inside = (row > -0.5) & (row < self.n_rows - 0.5)
        inside &= (column > -0.5) & (column < self.n_columns - 0.5)
        row = np.where(inside, row, -1.0)
        column = np.where(inside, column, -1.0)
        place = (np.rint(row).astype(np.int64) + 1) * self._width
        place += np.rint(column).astype(np.int64) + 1
        return self._flat.take(place), inside


def shrunk(total: npt.NDArray[np.floating], count: IntArray) -> Float64Array:
    """Energy above the clip's mean, in standard errors."""
    return np.asarray(total / np.sqrt(count + _SHRINK_PEAKS), np.float64)


def sums(which: IntArray, height: FloatArray, n: int) -> Float64Array:
    """Sum of the heights that belong to each of `n`."""
    return np.asarray(np.bincount(which, height, minlength=n), np.float64)


def as_candidate(one: Guess, reader: Reader, config: PeakConfig) -> ScaledCandidate:
    """A verified place as a candidate."""
    segment = one.part.segment
    begin = one.middle - one.scale.tempo * reader.half_frames
    offset = begin - float(segment.start_frame[one.row])
    offset += half_window(config) * (1.0 - one.scale.tempo)
    found = Candidate(
        part=one.part,
        row=one.row,
        score=one.score,
        votes=one.votes,
        line_frame=round(begin),
        offset_frames=offset,
        n_peaks=one.n_peaks,
    )
    return ScaledCandidate(found, one.scale)
