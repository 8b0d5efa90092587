"""One immutable part of the index: postings sorted by hash, and the peaks they came from.

All tracks of a segment lie one behind the other on one line of frames, with gaps between them
longer than any clip, so that a posting is a single number and equal differences to a clip's frames
can only mean one track at one offset.

=============  =======================  ==========================================================
array          type, shape              meaning
=============  =======================  ==========================================================
track_id       int64 (tracks,)          the catalog's number
start_frame    int64 (tracks,)          where the track begins on the line
frame_count    int64 (tracks,)          its length
directory      uint32 (2^bits + 1,)     first posting of each bucket (top bits of the hash)
postings       uint32 (postings,)       rest of the hash above, frame on the line below
peak_block     uint32 (blocks + 1,)     first peak of every 128 frames of the line
peaks          uint16 (peaks,)          frame within its block (7 bits) above, bin (9 bits) below
=============  =======================  ==========================================================

Few tracks need few bits for frames, which leaves room for the rest of the hash in the posting, so
a small segment makes do with a small directory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from songid_desktop.landmark.config import HashConfig
from songid_desktop.landmark.hashes import KEY_BITS, hash_pairs, pair_peaks
from songid_desktop.landmark.peaks import Peaks

IntArray = npt.NDArray[np.int64]
U32Array = npt.NDArray[np.uint32]
U16Array = npt.NDArray[np.uint16]
BoolArray = npt.NDArray[np.bool_]

GAP_FRAMES = 512
"""Between tracks: more than a clip's window (15 s = 469 frames), and a multiple of a block."""
BLOCK_FRAMES = 128
_LINE_BITS = 32
_MOST_FRAMES = (1 << _LINE_BITS) - 2 * GAP_FRAMES
_BATCH_PEAKS = 200_000
_LEAST_BUCKET_BITS = 16
"""So that small segments do not make every hash look as if it cost a bucketful."""


class SegmentFull(ValueError):
    """More frames than one segment's line can number."""


@dataclass(frozen=True, slots=True)
class Segment:
    """See the module's table. Arrays may lie in memory or in a mapped file."""

    track_id: IntArray
    start_frame: IntArray
    frame_count: IntArray
    directory: U32Array
    postings: U32Array
    peak_block: U32Array
    peaks: U16Array

    @property
    def frame_bits(self) -> int:
        return line_bits(self.line_frames)

    @property
    def line_frames(self) -> int:
        """Length of the line, gaps included."""
        return (len(self.peak_block) - 1) * BLOCK_FRAMES

    @property
    def bucket_bits(self) -> int:
        return (len(self.directory) - 1).bit_length() - 1

    @property
    def byte_count(self) -> int:
        return sum(getattr(self, name).nbytes for name in ARRAYS)

    def bucket_sizes(self, keys: U32Array) -> IntArray:
        """Postings that looking up each hash costs, shape of `keys`."""
        low, high = self._buckets(keys)
        return high - low

    def _buckets(self, keys: U32Array) -> tuple[IntArray, IntArray]:
        bucket = keys >> np.uint32(KEY_BITS - self.bucket_bits)
        low = self.directory[bucket].astype(np.int64)
        high = self.directory[bucket + np.uint32(1)].astype(np.int64)
        # A damaged directory must not lead out of the postings.
        high = np.minimum(high, len(self.postings))
        return low, np.maximum(high, low)

    def look_up(self, keys: U32Array) -> tuple[U32Array, IntArray]:
        """Postings of many hashes.

        Parameters
        ----------
        keys : uint32 array, shape (k,)
            Best sorted: memory is then read in one direction.

        Returns
        -------
        frame, which : uint32 and int64 arrays, shape (hits,)
            Frame on the line, and the position in `keys` it answers.
        """
        low, high = self._buckets(keys)
        count = high - low
        which = np.repeat(np.arange(len(keys)), count)
        posting = self.postings[_ranges(low, count)]
        rest_bits = KEY_BITS - self.bucket_bits
        if rest_bits:
            rest = keys & np.uint32((1 << rest_bits) - 1)
            same = (posting >> np.uint32(self.frame_bits)) == rest[which]
            posting, which = posting[same], which[same]
            posting = posting & np.uint32((1 << self.frame_bits) - 1)
        return posting, which

    def track_at(self, frame: IntArray) -> IntArray:
        """Row of the track a clip starting at `frame` of the line belongs to (it may start up to
        half a gap before the track)."""
        row = np.searchsorted(self.start_frame, frame + GAP_FRAMES, side="right") - 1
        return np.asarray(np.maximum(row, 0), np.int64)

    def peaks_between(self, first: IntArray, n_frames: int) -> tuple[IntArray, IntArray, IntArray]:
        """Stored peaks near several stretches of the line.

        Returns
        -------
        which, frame, bin : int64 arrays, shape (p,)
            The stretch, the peak's frame counted from ``first[which]`` (peaks of whole blocks are
            given, so it may lie a little outside 0 … n_frames), and its bin.
        """
        n_blocks = len(self.peak_block) - 1
        block = np.clip(first // BLOCK_FRAMES, 0, n_blocks - 1)
        last = np.clip((first + n_frames) // BLOCK_FRAMES, 0, n_blocks - 1)
        per = last - block + 1
        owner = np.repeat(np.arange(len(first)), per)
        every = _ranges(block, per)
        low = self.peak_block[every].astype(np.int64)
        high = np.minimum(self.peak_block[every + 1].astype(np.int64), len(self.peaks))
        count = np.clip(high - low, 0, BLOCK_FRAMES * 64)
        word = self.peaks[np.minimum(_ranges(low, count), len(self.peaks) - 1)].astype(np.int64)
        base = every * BLOCK_FRAMES - first[owner]
        return np.repeat(owner, count), np.repeat(base, count) + (word >> 9), word & 0x1FF

    def track_peaks(self, row: int) -> Peaks:
        """Stored peaks of one track, frames counted from its beginning."""
        start = self.start_frame[row : row + 1]
        n_frames = int(self.frame_count[row])
        _, frame, column = self.peaks_between(start, n_frames)
        inside = (frame >= 0) & (frame < n_frames)
        return Peaks(frame[inside], column[inside], np.zeros(0, np.float32), n_frames)


ARRAYS: dict[str, str] = {
    "track_id": "<i8",
    "start_frame": "<i8",
    "frame_count": "<i8",
    "directory": "<u4",
    "postings": "<u4",
    "peak_block": "<u4",
    "peaks": "<u2",
}
"""Names and stored types, in the order of the file."""


def line_bits(line_frames: int) -> int:
    """Bits that number the frames of a line."""
    return max(1, (line_frames - 1).bit_length())


def _ranges(first: IntArray, count: IntArray) -> IntArray:
    """``first[0], first[0] + 1, …`` (``count[0]`` of them), then those of ``first[1]``, …"""
    total = int(count.sum())
    before = np.cumsum(count) - count
    return np.repeat(first - before, count) + np.arange(total)


def build_segment(track_ids: Sequence[int], tracks: Sequence[Peaks], config: HashConfig) -> Segment:
    """Index the peaks of some tracks.

    Raises
    ------
    SegmentFull
        When their frames can't be numbered on one line.
    """
    lengths = np.array([peaks.n_frames for peaks in tracks], np.int64)
    # Every track begins on a block of its own.
    room = -(-lengths // BLOCK_FRAMES) * BLOCK_FRAMES + GAP_FRAMES
    start = GAP_FRAMES + np.cumsum(room) - room
    line_frames = int(GAP_FRAMES + room.sum())
    if line_frames > _MOST_FRAMES:
        raise SegmentFull(f"{line_frames} frames are more than one segment holds")
    frame = _joined([peaks.frame + at for peaks, at in zip(tracks, start, strict=True)])
    column = _joined([peaks.bin for peaks in tracks])
    keyed = _keyed_postings(frame, column, config)
    directory, postings = _pack_postings(keyed, line_frames)
    blocks = np.bincount(frame // BLOCK_FRAMES, minlength=line_frames // BLOCK_FRAMES)
    return Segment(
        track_id=np.array(track_ids, np.int64),
        start_frame=start,
        frame_count=lengths,
        directory=directory,
        postings=postings,
        peak_block=np.concatenate([[0], np.cumsum(blocks)]).astype(np.uint32),
        peaks=(((frame % BLOCK_FRAMES) << 9) | column).astype(np.uint16),
    )


def _joined(parts: list[IntArray]) -> IntArray:
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def _keyed_postings(
    frame: IntArray, column: IntArray, config: HashConfig
) -> npt.NDArray[np.uint64]:
    """Sorted ``key << 32 | frame``; pairs are made in batches that overlap by a target zone."""
    parts: list[npt.NDArray[np.uint64]] = []
    for first in range(0, len(frame), _BATCH_PEAKS):
        stop = min(first + _BATCH_PEAKS, len(frame))
        reach = int(np.searchsorted(frame, frame[stop - 1] + config.max_frames, side="right"))
        some_frame, some_column = frame[first:reach], column[first:reach]
        anchor, target = pair_peaks(some_frame, some_column, config, config.fan)
        own = anchor < stop - first
        anchor, target = anchor[own], target[own]
        key = hash_pairs(some_frame, some_column, anchor, target).astype(np.uint64)
        parts.append((key << np.uint64(_LINE_BITS)) | some_frame[anchor].astype(np.uint64))
    keyed = np.concatenate(parts) if parts else np.zeros(0, np.uint64)
    keyed.sort()
    return keyed


def _pack_postings(keyed: npt.NDArray[np.uint64], line_frames: int) -> tuple[U32Array, U32Array]:
    frame_bits = line_bits(line_frames)
    rest_bits = KEY_BITS - bucket_bits(len(keyed), line_frames)
    key = (keyed >> np.uint64(_LINE_BITS)).astype(np.uint32)
    posting = (keyed & np.uint64(0xFFFFFFFF)).astype(np.uint32)
    if rest_bits:
        posting |= (key & np.uint32((1 << rest_bits) - 1)) << np.uint32(frame_bits)
    count = np.bincount(key >> np.uint32(rest_bits), minlength=1 << (KEY_BITS - rest_bits))
    directory = np.concatenate([[0], np.cumsum(count)]).astype(np.uint32)
    return directory, posting


def bucket_bits(n_postings: int, line_frames: int) -> int:
    """Size of the directory: 8 to 16 postings a bucket, and the rest of the hash must fit into
    the posting beside the frame."""
    fitting = KEY_BITS - (_LINE_BITS - line_bits(line_frames))
    wanted = max(n_postings // 16, 1).bit_length()
    return min(KEY_BITS, max(wanted, fitting, _LEAST_BUCKET_BITS))
