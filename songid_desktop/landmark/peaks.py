"""Constellation: the spectral peaks of a sound, for a whole clip, a streamed track, or the live
picture, and the compact form in which a track's peaks are stored.

A streamed track is cut into long sections on a fixed grid of frames, each analysed with as much
context on both sides as can matter, so its peaks do not depend on how the sound was cut into
blocks, and memory stays bounded.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from songid_desktop.audio.resample import StreamResampler
from songid_desktop.errors import Cancelled
from songid_desktop.landmark.config import LandmarkConfig, PeakConfig
from songid_desktop.landmark.ridges import RIDGE_FRAMES, RIDGES, CodeArray, find_ridges, no_ridges
from songid_desktop.landmark.spectrum import clean, frame_count, power_frames, whiten
from songid_desktop.types import AudioBlock, CancelToken, Constellation, FloatArray

IntArray = npt.NDArray[np.int64]

_SECTION_FRAMES = 1024  # a multiple of RIDGE_FRAMES
_ROWS_AT_ONCE = 2048
_MAGIC = b"SLP2"
_HEADER = struct.Struct("<4sIIII")  # magic, frames, peaks, words, bytes of packed ridges
_FILLER_BIN = 511
_LONGEST_STEP = 127


def _no_ranks() -> IntArray:
    return np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class Peaks:
    """Peaks in order of frame, then bin.

    Attributes
    ----------
    frame, bin : int64 arrays, shape (n,)
    height : float32 array, shape (n,)
        Of the whitened spectrogram; empty where only places are known (stored tracks).
    n_frames : int
        Frames that were looked at.
    ridges : uint8 array, shape (ceil(n_frames / RIDGE_FRAMES), RIDGES) or (0, RIDGES)
        As `find_ridges` gives them, of a whole track only.
    rank : int64 array, shape (n,) or (0,)
        How many higher ones there are near each; of what `find_peaks` gives only.
    """

    frame: IntArray
    bin: IntArray
    height: FloatArray
    n_frames: int
    ridges: CodeArray = field(default_factory=no_ridges)
    rank: IntArray = field(default_factory=_no_ranks)

    def __len__(self) -> int:
        return len(self.frame)


def find_peaks(whitened: FloatArray, config: PeakConfig, density_hz: float) -> Peaks:
    """Local maxima of a whitened spectrogram, thinned to `density_hz` a second.

    Parameters
    ----------
    whitened : float32 array, shape (frames, bins)
        One frame a hop.
    """
    n_frames = len(whitened)
    highest = _running_max(_running_max(whitened, config.peak_bins, 1), config.peak_frames, 0)
    place = np.flatnonzero((whitened == highest) & (whitened > 0.0))
    frame, column = np.divmod(place, max(1, whitened.shape[1]))
    height = whitened[frame, column]
    rank = _rank(frame, height, config.rank_frames)
    keep = rank < _allowance(frame, n_frames, density_hz * config.frame_s, config.rank_frames)
    return Peaks(
        frame=frame[keep].astype(np.int64),
        bin=column[keep] + config.low_bin,
        height=height[keep],
        n_frames=n_frames,
        rank=rank[keep],
    )


def _running_max(values: FloatArray, radius: int, axis: int) -> FloatArray:
    """Maximum over ± `radius` along `axis`, by doubling: a handful of passes for any radius."""
    rows, columns = values.shape
    shape = (rows + 2 * radius, columns) if axis == 0 else (rows, columns + 2 * radius)
    running = np.full(shape, -np.inf, np.float32)
    inner = slice(radius, radius + values.shape[axis])
    running[(inner, slice(None)) if axis == 0 else (slice(None), inner)] = values
    width, wanted = 1, 2 * radius + 1
    while width < wanted:
        step = min(width, wanted - width)
        left, right = (slice(None, -step), slice(step, None))
        if axis == 0:
            running = np.maximum(running[left], running[right])
        else:
            running = np.maximum(running[:, left], running[:, right])
        width += step
    return running


def _rank(frame: IntArray, height: FloatArray, reach: int) -> IntArray:
    """How many higher peaks lie within ± `reach` frames of each one."""
    rank = np.zeros(len(frame), np.int64)
    for first in range(0, len(frame), _ROWS_AT_ONCE):
        stop = min(first + _ROWS_AT_ONCE, len(frame))
        own = np.arange(first, stop)
        begin = np.searchsorted(frame, frame[own] - reach)
        width = int((np.searchsorted(frame, frame[own] + reach, side="right") - begin).max())
        other = begin[:, None] + np.arange(width)
        known = np.minimum(other, len(frame) - 1)
        near = (other < len(frame)) & (frame[known] - frame[own, None] <= reach)
        higher = height[known] > height[own, None]
        rank[first:stop] = np.count_nonzero(near & higher, axis=1)
    return rank


def _allowance(frame: IntArray, n_frames: int, per_frame: float, reach: int) -> FloatArray:
    """Peaks allowed in the part of ± `reach` frames around each one that exists."""
    covered = np.minimum(frame + reach, n_frames - 1) - np.maximum(frame - reach, 0) + 1
    return (covered * per_frame).astype(np.float32)


class _SectionReader:
    """Collects sound and cuts peaks out of it, section by section."""

    def __init__(self, config: PeakConfig) -> None:
        self._config = config
        self._held: FloatArray = np.zeros(0, np.float32)
        self._held_frame = 0  # frame that the held sound begins with
        self._next_frame = 0  # first frame whose peaks have not been given
        self._found: list[Peaks] = []
        self.n_samples = 0

    def push(self, samples: FloatArray) -> None:
        self.n_samples += len(samples)
        self._held = np.concatenate([self._held, clean(samples)])
        config = self._config
        while True:
            ready = self._held_frame + frame_count(len(self._held), config)
            stop = self._next_frame + _SECTION_FRAMES
            if ready < stop + config.margin_frames:
                return
            self._cut(stop, stop + config.margin_frames)

    def finish(self) -> Peaks:
        ready = self._held_frame + frame_count(len(self._held), self._config)
        if ready > self._next_frame:
            self._cut(ready, ready)
        none = np.zeros(0, np.int64)
        return Peaks(
            np.concatenate([none, *(part.frame for part in self._found)]),
            np.concatenate([none, *(part.bin for part in self._found)]),
            np.zeros(0, np.float32),
            self._next_frame,
            np.concatenate([no_ridges(), *(part.ridges for part in self._found)]),
        )

    def _cut(self, stop: int, context_stop: int) -> None:
        """Give the peaks up to frame `stop`, judged with frames up to `context_stop`."""
        config = self._config
        count = context_stop - self._held_frame
        needed = (count - 1) * config.hop_samples + config.n_fft
        whitened = whiten(power_frames(self._held[:needed], config), config)
        peaks = find_peaks(whitened, config, config.density_hz)
        frame = peaks.frame + self._held_frame
        inside = (frame >= self._next_frame) & (frame < stop)
        own = whitened[self._next_frame - self._held_frame : stop - self._held_frame]
        self._found.append(
            Peaks(
                frame[inside],
                peaks.bin[inside],
                np.zeros(0, np.float32),
                stop,
                find_ridges(own),
            )
        )
        self._next_frame = stop
        keep_from = max(0, stop - config.margin_frames)
        self._held = self._held[(keep_from - self._held_frame) * config.hop_samples :].copy()
        self._held_frame = keep_from


def track_peaks(
    blocks: Iterable[AudioBlock], config: PeakConfig, cancel: CancelToken | None = None
) -> tuple[Peaks, float]:
    """Peaks of a whole track from consecutive blocks, and how many seconds were heard.

    Blocks at another rate than the configured one are resampled.

    Raises
    ------
    Cancelled
        When `cancel` was set.
    """
    reader = _SectionReader(config)
    resampler: StreamResampler | None = None
    for block in blocks:
        if cancel is not None and cancel.is_set():
            raise Cancelled
        if resampler is None or resampler.from_rate != block.sample_rate:
            if resampler is not None:
                reader.push(resampler.flush())
            resampler = StreamResampler(block.sample_rate, config.sample_rate)
        reader.push(resampler.push(clean(block.samples)))
    if resampler is not None:
        reader.push(resampler.flush())
    return reader.finish(), reader.n_samples / config.sample_rate


def pack_peaks(peaks: Peaks) -> bytes:
    """Two bytes a peak: nine bits of bin, seven of frames since the one before; then the ridges,
    compressed by a third or so.

    Longer gaps are bridged by fillers. `unpack_peaks` gives back all but the heights.
    """
    step = np.diff(peaks.frame, prepend=0)
    fillers = np.maximum(step - 1, 0) // _LONGEST_STEP
    place = np.arange(len(peaks)) + np.cumsum(fillers)
    words = np.full(len(peaks) + int(fillers.sum()), (_LONGEST_STEP << 9) | _FILLER_BIN, "<u2")
    words[place] = ((step - fillers * _LONGEST_STEP) << 9) | peaks.bin
    ridges = zlib.compress(np.ascontiguousarray(peaks.ridges).tobytes(), 6)
    header = _HEADER.pack(_MAGIC, peaks.n_frames, len(peaks), len(words), len(ridges))
    return header + words.tobytes() + ridges


def unpack_peaks(payload: bytes) -> Peaks:
    """Peaks from `pack_peaks`' bytes.

    Raises
    ------
    ValueError
        When the bytes are not such a payload, cut short or inconsistent.
    """
    if len(payload) < _HEADER.size:
        raise ValueError(f"a peak list of {len(payload)} bytes is too short to be one")
    magic, n_frames, n_peaks, n_words, n_packed = _HEADER.unpack_from(payload)
    if magic != _MAGIC or len(payload) != _HEADER.size + 2 * n_words + n_packed:
        raise ValueError("the bytes are not a peak list of this version")
    words = np.frombuffer(payload, "<u2", n_words, _HEADER.size).astype(np.int64)
    ridges = _unpack_ridges(payload[len(payload) - n_packed :], n_frames)
    frame = np.cumsum(words >> 9)
    column = words & 0x1FF
    real = column != _FILLER_BIN
    frame, column = frame[real], column[real]
    if len(frame) != n_peaks or (n_peaks and frame[-1] >= n_frames):
        raise ValueError("the peak list contradicts its own header")
    return Peaks(frame, column, np.zeros(0, np.float32), n_frames, ridges)


def _unpack_ridges(packed: bytes, n_frames: int) -> CodeArray:
    rows = -(-n_frames // RIDGE_FRAMES)
    reader = zlib.decompressobj()
    try:
        data = reader.decompress(packed, rows * RIDGES + 1)
    except zlib.error as problem:
        raise ValueError("the ridges of a peak list are damaged") from problem
    if not reader.eof or len(data) not in (0, rows * RIDGES):
        raise ValueError("the ridges of a peak list contradict its header")
    return np.frombuffer(data, np.uint8).reshape(-1, RIDGES)


_LIVE_FUTURE_FRAMES = 8
"""Frames after a point that the live picture waits for: enough to judge it by, and a third of a
second is not felt."""


class StreamingPeaks:
    """Peaks of live sound for drawing: any rate; a gap or a change of rate starts afresh.

    Judged with the past of a search but little of the future, so that points appear soon; a search
    of the same sound finds nearly the same ones.
    """

    def __init__(self, config: LandmarkConfig | None = None) -> None:
        whole = config or LandmarkConfig()
        self._config = whole.peaks
        self._density_hz = whole.search.density_hz
        self.reset()

    def reset(self) -> None:
        """Forget what was pushed."""
        self._resampler: StreamResampler | None = None
        self._expected_sample = 0
        self._origin_s = 0.0
        self._held: FloatArray = np.zeros(0, np.float32)
        self._power: FloatArray = np.zeros((0, 0), np.float32)
        self._first_frame = 0  # of `_power`
        self._next_frame = 0  # not yet judged

    def push(self, block: AudioBlock) -> Constellation:
        """Take the next block; give the peaks that became certain, each one once.

        Returns
        -------
        Constellation
            Times on the stream's clock (``block.start_s`` and on), some 0.4 s in the past.
        """
        resampler = self._resampler
        if (
            resampler is None
            or resampler.from_rate != block.sample_rate
            or block.start_sample != self._expected_sample
        ):
            self.reset()
            self._origin_s = block.start_s
            resampler = StreamResampler(block.sample_rate, self._config.sample_rate)
            self._resampler = resampler
        self._expected_sample = block.start_sample + len(block.samples)
        self._take(resampler.push(clean(block.samples)))
        return self._judge()

    def _take(self, samples: FloatArray) -> None:
        config = self._config
        self._held = np.concatenate([self._held, samples])
        fresh = power_frames(self._held, config)
        if len(fresh):
            self._held = self._held[len(fresh) * config.hop_samples :].copy()
            self._power = np.concatenate([self._power, fresh]) if self._power.size else fresh

    def _judge(self) -> Constellation:
        config = self._config
        ready = self._first_frame + len(self._power) - _LIVE_FUTURE_FRAMES
        if ready <= self._next_frame:
            return Constellation.empty()
        peaks = find_peaks(whiten(self._power, config), config, self._density_hz)
        frame = peaks.frame + self._first_frame
        fresh = (frame >= self._next_frame) & (frame < ready)
        seconds = frame[fresh] * config.frame_s + config.n_fft / 2 / config.sample_rate
        self._next_frame = ready
        drop = max(0, ready - config.margin_frames - self._first_frame)
        self._power = self._power[drop:]
        self._first_frame += drop
        return Constellation(
            (seconds + self._origin_s).astype(np.float32),
            (peaks.bin[fresh] * config.bin_hz).astype(np.float32),
        )
