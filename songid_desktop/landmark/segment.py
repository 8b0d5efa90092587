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
payload_crc    uint32 (tracks,)         CRC-32 of the fingerprint it was made from, 0 if unknown
directory      uint32 (2^bits + 1,)     first posting of each bucket (top bits of the hash)
postings       uint32 (postings,)       rest of the hash above, frame on the line below
peak_block     uint32 (blocks + 1,)     first peak of every 128 frames of the line
peaks          uint16/32 (peaks,)       frame within its block (7 bits) above, bin below
lines          any, see `LineSpec`      what the method stores along its tracks at a fixed pace
=============  =======================  ==========================================================

Few tracks need few bits for frames, which leaves room for the rest of the hash in the posting, so
a small segment makes do with a small directory.

A peak may be stored without being hashed (`Peaks.hashed`): verification then sees more peaks than
there are postings to pay for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from songid_desktop.landmark.ahead import Ahead
from songid_desktop.landmark.peaks import Peaks
from songid_desktop.landmark.scheme import Layout, LineValues, Scheme

IntArray = npt.NDArray[np.int64]
U32Array = npt.NDArray[np.uint32]
BoolArray = npt.NDArray[np.bool_]
PeakArray = npt.NDArray[np.uint16] | npt.NDArray[np.uint32]

BLOCK_FRAMES = 128
BLOCK_BITS = 7
MOST_POSTINGS = (1 << 31) - 1
"""Of one segment: places in it are 32-bit numbers."""
_LINE_BITS = 32
_BATCH_PEAKS = 200_000
_LEAST_BUCKET_BITS = 16
"""So that small segments do not make every hash look as if it cost a bucketful."""
_MOST_BUCKET_BITS = 24
_LONG_BUCKETS = 24
"""From so many postings a hash on, copying them bucket by bucket is quicker than one by one."""
_USUAL_BUCKET = 32
"""Postings that most hashes have at most, even in a large library."""
_LONGEST_SORTED = 0xFFFF
"""Buckets beyond this are bisected first, in any order."""


class SegmentFull(ValueError):
    """More frames than one segment's line can number."""


@dataclass(frozen=True, slots=True)
class Segment:
    """See the module's table. Arrays may lie in memory or in a mapped file."""

    track_id: IntArray
    start_frame: IntArray
    frame_count: IntArray
    payload_crc: U32Array
    directory: U32Array
    postings: U32Array
    peak_block: U32Array
    peaks: PeakArray
    layout: Layout = field(default_factory=Layout)
    lines: Mapping[str, LineValues] = field(default_factory=dict)
    ahead: Ahead | None = None
    """Of a file that is mapped for look-ups."""

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
        own: int = sum(getattr(self, name).nbytes for name in ARRAYS)
        return own + sum(values.nbytes for values in self.lines.values())

    def ask_for(self, name: str, first: IntArray, count: IntArray | int) -> None:
        """Say that items of an array, or rows of a line, are about to be read in many places."""
        if self.ahead is not None:
            self.ahead.ask(name, first, count)

    def bucket_sizes(self, keys: U32Array) -> IntArray:
        """Postings of each hash, shape of `keys`."""
        low, high = self.buckets(keys)
        return high - low

    def buckets(self, keys: U32Array) -> tuple[IntArray, IntArray]:
        """Where the postings of some hashes begin and end.

        A bucket of the directory holds several hashes, one behind the other.
        """
        rest_bits = self.layout.key_bits - self.bucket_bits
        bucket = (keys >> np.uint32(rest_bits)).astype(np.int64)
        self.ask_for("directory", bucket, 2)
        low = self.directory[bucket].astype(np.int64)
        high = self.directory[bucket + 1].astype(np.int64)
        # A damaged directory must not lead out of the postings.
        high = np.minimum(high, len(self.postings))
        high = np.maximum(high, low)
        if rest_bits and len(self.postings):
            self.ask_for("postings", low, high - low)
            rest = keys & np.uint32((1 << rest_bits) - 1)
            begin = rest << np.uint32(self.frame_bits)
            behind = begin | np.uint32((1 << self.frame_bits) - 1)
            # The first hash of a bucket begins with it.
            low = np.where(rest == 0, low, self._first_above(begin - np.uint32(1), low, high))
            # Most hashes have few postings: a look a little further on spares half of the steps.
            near = np.minimum(low + _USUAL_BUCKET, high)
            is_more = self.postings.take(near, mode="clip") <= behind
            is_more &= near < high
            high = self._first_above(
                behind, np.where(is_more, near, low), np.where(is_more, high, near)
            )
        return low, high

    def _first_above(self, word: U32Array, low: IntArray, high: IntArray) -> IntArray:
        """Bisection: the first posting from `low` to `high` that is above `word`, for each."""
        count = np.minimum(high - low, _LONGEST_SORTED)
        # Longest first, so that those still open are always the first ones.
        order = np.argsort((_LONGEST_SORTED - count).astype(np.uint16), kind="stable")
        begin, left, word = low[order], (high - low)[order], word[order]
        n_open = len(order)
        while n_open:
            at, rest = begin[:n_open], left[:n_open]
            half = rest >> 1
            is_passed = self.postings.take(at + half - 1, mode="clip") <= word[:n_open]
            is_passed &= half > 0
            at += half * is_passed
            rest -= half
            wide = np.flatnonzero(rest > 1)
            n_open = int(wide[-1]) + 1 if len(wide) else 0
        begin += (self.postings.take(begin, mode="clip") <= word) & (left > 0)
        found = np.empty_like(begin)
        found[order] = begin
        return found

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
        low, high = self.buckets(keys)
        count = high - low
        return self.frames_at(low, count), np.repeat(np.arange(len(keys)), count)

    def frames_at(self, first: IntArray, count: IntArray) -> U32Array:
        """Frames on the line of ``count[0]`` postings from ``first[0]`` on, then of the others."""
        if self.bucket_bits == self.layout.key_bits:  # else `buckets` has looked at them already
            self.ask_for("postings", first, count)
        posting = gathered(self.postings, first, count)
        if self.bucket_bits < self.layout.key_bits:
            posting &= np.uint32((1 << self.frame_bits) - 1)
        return posting

    def track_at(self, frame: IntArray) -> IntArray:
        """Row of the track a clip starting at `frame` of the line belongs to (it may start up to
        a gap before the track)."""
        after = frame + self.layout.gap_frames
        row = np.searchsorted(self.start_frame, after, side="right") - 1
        return np.asarray(np.maximum(row, 0), np.int64)

    def place_of(self, row: int) -> tuple[int, int]:
        """Where on the line clips of a track may start: the first frame for which `track_at` gives
        the row, and the one after the last."""
        gap = self.layout.gap_frames
        begin = int(self.start_frame[row]) - gap if row else 0
        is_last = row + 1 == len(self.start_frame)
        return begin, self.line_frames if is_last else int(self.start_frame[row + 1]) - gap

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
        self.ask_for("peak_block", block, per + 1)
        low = self.peak_block[every].astype(np.int64)
        high = np.minimum(self.peak_block[every + 1].astype(np.int64), len(self.peaks))
        count = np.clip(high - low, 0, BLOCK_FRAMES * 64)
        self.ask_for("peaks", low, count)
        word = self.peaks[np.minimum(_ranges(low, count), len(self.peaks) - 1)].astype(np.int64)
        base = every * BLOCK_FRAMES - first[owner]
        bits = self.layout.bin_bits
        frame = np.repeat(base, count) + (word >> bits)
        return np.repeat(owner, count), frame, word & ((1 << bits) - 1)

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
    "payload_crc": "<u4",
    "directory": "<u4",
    "postings": "<u4",
    "peak_block": "<u4",
    "peaks": "<u2",
}
"""Names and stored types, in the order of the file."""


def array_kind(name: str, layout: Layout) -> str:
    """Stored type of an array: peaks of a wide spectrum need more room."""
    is_wide = name == "peaks" and BLOCK_BITS + layout.bin_bits > 16
    return "<u4" if is_wide else ARRAYS[name]


def line_bits(line_frames: int) -> int:
    """Bits that number the frames of a line."""
    return max(1, (line_frames - 1).bit_length())


def most_frames(layout: Layout) -> int:
    """Frames that fit on one line."""
    return (1 << _LINE_BITS) - 2 * layout.gap_frames


def room_on_line(lengths: IntArray, layout: Layout) -> tuple[IntArray, int]:
    """Where tracks of some lengths begin when they are laid one behind the other, and how long the
    line gets. Every track begins on a block of its own."""
    room = -(-lengths // BLOCK_FRAMES) * BLOCK_FRAMES + layout.gap_frames
    start = layout.gap_frames + np.cumsum(room) - room
    return start, int(layout.gap_frames + room.sum())


def _ranges(first: IntArray, count: IntArray) -> IntArray:
    """``first[0], first[0] + 1, …`` (``count[0]`` of them), then those of ``first[1]``, …"""
    total = int(count.sum())
    before = np.cumsum(count) - count
    return np.repeat(first - before, count) + np.arange(total)


def gathered(values: U32Array, first: IntArray, count: IntArray) -> U32Array:
    """``values[first[0] : first[0] + count[0]]``, then those of ``first[1]``, …"""
    if count.sum() <= _LONG_BUCKETS * len(count):
        return values[_ranges(first, count)]
    some = np.flatnonzero(count)
    begin = first[some].tolist()
    end = (first[some] + count[some]).tolist()
    return np.concatenate([values[a:b] for a, b in zip(begin, end, strict=True)])


def build_segment(
    track_ids: Sequence[int],
    tracks: Sequence[Peaks],
    scheme: Scheme,
    payload_crc: Sequence[int] | None = None,
) -> Segment:
    """Index the peaks of some tracks.

    Raises
    ------
    SegmentFull
        When their frames can't be numbered on one line.
    """
    layout = scheme.layout
    lengths = np.array([peaks.n_frames for peaks in tracks], np.int64)
    start, line_frames = room_on_line(lengths, layout)
    if line_frames > most_frames(layout):
        raise SegmentFull(f"{line_frames} frames are more than one segment holds")
    frame = _joined([peaks.frame + at for peaks, at in zip(tracks, start, strict=True)])
    column = _joined([peaks.bin for peaks in tracks])
    hashed = _hashed(tracks)
    keyed = _keyed_postings(frame[hashed], column[hashed], scheme)
    directory, postings = _pack_postings(keyed, line_frames, layout)
    blocks = np.bincount(frame // BLOCK_FRAMES, minlength=line_frames // BLOCK_FRAMES)
    word = ((frame % BLOCK_FRAMES) << layout.bin_bits) | column
    return Segment(
        track_id=np.array(track_ids, np.int64),
        start_frame=start,
        frame_count=lengths,
        payload_crc=np.array(payload_crc or np.zeros(len(tracks)), np.uint32),
        directory=directory,
        postings=postings,
        peak_block=np.concatenate([[0], np.cumsum(blocks)]).astype(np.uint32),
        peaks=word.astype(array_kind("peaks", layout)),
        layout=layout,
        lines=_lines(tracks, start, line_frames, scheme),
    )


def _joined(parts: list[IntArray]) -> IntArray:
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def _hashed(tracks: Sequence[Peaks]) -> BoolArray | slice:
    """Which of all peaks make hashes."""
    marks = [getattr(peaks, "hashed", None) for peaks in tracks]
    if all(mark is None for mark in marks):
        return slice(None)
    filled = [
        np.ones(len(peaks), np.bool_) if mark is None else mark
        for peaks, mark in zip(tracks, marks, strict=True)
    ]
    return np.concatenate(filled)


def _lines(
    tracks: Sequence[Peaks], start: IntArray, line_frames: int, scheme: Scheme
) -> dict[str, LineValues]:
    """What is stored along the tracks; zeros between them."""
    found = {
        spec.name: np.zeros((line_frames // spec.every_frames, spec.width), spec.kind)
        for spec in scheme.layout.lines
    }
    for peaks, at in zip(tracks, start.tolist(), strict=True):
        values = scheme.line_values(peaks)
        for spec in scheme.layout.lines:
            first = at // spec.every_frames
            rows = -(-peaks.n_frames // spec.every_frames)
            own = values[spec.name][:rows]
            found[spec.name][first : first + len(own)] = own
    return found


def _keyed_postings(frame: IntArray, column: IntArray, scheme: Scheme) -> npt.NDArray[np.uint64]:
    """Sorted ``key << 32 | frame``; pairs are made in batches that overlap by a target zone."""
    parts: list[npt.NDArray[np.uint64]] = []
    for first in range(0, len(frame), _BATCH_PEAKS):
        stop = min(first + _BATCH_PEAKS, len(frame))
        reach = int(np.searchsorted(frame, frame[stop - 1] + scheme.max_frames, side="right"))
        some_frame, some_column = frame[first:reach], column[first:reach]
        anchor, target = scheme.pairs(some_frame, some_column)
        own = anchor < stop - first
        anchor, target = anchor[own], target[own]
        key = scheme.keys(some_frame, some_column, anchor, target).astype(np.uint64)
        parts.append((key << np.uint64(_LINE_BITS)) | some_frame[anchor].astype(np.uint64))
    keyed = np.concatenate(parts) if parts else np.zeros(0, np.uint64)
    keyed.sort()
    return keyed


def _pack_postings(
    keyed: npt.NDArray[np.uint64], line_frames: int, layout: Layout
) -> tuple[U32Array, U32Array]:
    key = (keyed >> np.uint64(_LINE_BITS)).astype(np.uint32)
    frame = (keyed & np.uint64(0xFFFFFFFF)).astype(np.uint32)
    bits = bucket_bits(len(keyed), line_frames, layout)
    bucket, posting = split_keys(key, frame, bits, line_frames, layout)
    count = np.bincount(bucket, minlength=1 << bits)
    directory = np.concatenate([[0], np.cumsum(count)]).astype(np.uint32)
    return directory, posting


def split_keys(
    key: U32Array, frame: U32Array, bits: int, line_frames: int, layout: Layout
) -> tuple[U32Array, U32Array]:
    """Bucket and stored word of postings, for a directory of ``2^bits`` buckets."""
    rest_bits = layout.key_bits - bits
    if not rest_bits:
        return key, frame
    rest = key & np.uint32((1 << rest_bits) - 1)
    word = frame | (rest << np.uint32(line_bits(line_frames)))
    return key >> np.uint32(rest_bits), word


def bucket_bits(n_postings: int, line_frames: int, layout: Layout) -> int:
    """Size of the directory: 32 to 64 postings a bucket (an eighth to a sixteenth of a byte for
    each), and the rest of the hash must fit into the posting beside the frame."""
    fitting = layout.key_bits - (_LINE_BITS - line_bits(line_frames))
    wanted = min(max(n_postings // 64, 1).bit_length(), _MOST_BUCKET_BITS)
    return min(layout.key_bits, max(wanted, fitting, _LEAST_BUCKET_BITS))
