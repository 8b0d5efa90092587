"""Merging segments: the tracks that are still wanted, out of several segments into one.

Postings are sorted by hash in every segment, so the work goes through ranges of hashes: each range
of each segment is one slice, and memory stays bounded by a range however large the index.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from songid_desktop.landmark.hashes import KEY_BITS
from songid_desktop.landmark.segment import (
    BLOCK_FRAMES,
    GAP_FRAMES,
    Segment,
    bucket_bits,
    line_bits,
)
from songid_desktop.landmark.segment_file import SegmentWriter

IntArray = npt.NDArray[np.int64]
U32Array = npt.NDArray[np.uint32]
BoolArray = npt.NDArray[np.bool_]

_RANGE_BITS = 8  # 256 ranges of hashes: as coarse as the smallest directory
_RANGES = 1 << _RANGE_BITS


@dataclass(frozen=True, slots=True)
class _Source:
    """A segment whose wanted tracks move by `shift` frames each."""

    segment: Segment
    wanted: BoolArray
    shift: IntArray

    def postings(self, first: int, stop: int) -> tuple[U32Array, U32Array]:
        """Hash and new frame of the postings in ranges `first` … `stop` of hashes."""
        segment = self.segment
        rest_bits = KEY_BITS - segment.bucket_bits
        per_range = 1 << (segment.bucket_bits - _RANGE_BITS)
        edges = segment.directory[first * per_range : stop * per_range + 1].astype(np.int64)
        word = segment.postings[edges[0] : edges[-1]]
        bucket = np.repeat(
            np.arange(first * per_range, stop * per_range, dtype=np.uint32), np.diff(edges)
        )
        frame_bits = np.uint32(segment.frame_bits)
        if rest_bits:
            key = (bucket << np.uint32(rest_bits)) | (word >> frame_bits)
            frame = word & np.uint32((1 << segment.frame_bits) - 1)
        else:
            key, frame = bucket, word
        row = np.searchsorted(segment.start_frame, frame, side="right") - 1
        keep = self.wanted[row]
        moved = frame[keep].astype(np.int64) + self.shift[row[keep]]
        return key[keep], moved.astype(np.uint32)


@dataclass(frozen=True, slots=True)
class Plan:
    """What the merged segment will be: its tracks, and where they move."""

    sources: tuple[_Source, ...]
    track_id: IntArray
    start_frame: IntArray
    frame_count: IntArray
    line_frames: int
    bucket_bits: int


def plan_merge(parts: Sequence[tuple[Segment, BoolArray]]) -> Plan:
    """Lay the wanted tracks of all parts (segment, which of its rows are wanted) on one line."""
    track_id = np.concatenate([segment.track_id[wanted] for segment, wanted in parts])
    lengths = np.concatenate([segment.frame_count[wanted] for segment, wanted in parts])
    room = -(-lengths // BLOCK_FRAMES) * BLOCK_FRAMES + GAP_FRAMES
    start = GAP_FRAMES + np.cumsum(room) - room
    sources = []
    taken = 0
    for segment, wanted in parts:
        shift = np.zeros(len(wanted), np.int64)
        count = int(wanted.sum())
        shift[wanted] = start[taken : taken + count] - segment.start_frame[wanted]
        sources.append(_Source(segment, wanted, shift))
        taken += count
    line_frames = int(GAP_FRAMES + room.sum())
    n_postings = sum(len(segment.postings) for segment, _ in parts)
    bits = bucket_bits(n_postings, line_frames)
    return Plan(tuple(sources), track_id, start, lengths, line_frames, bits)


class _Postings:
    """The merged postings range by range; the directory is known when all were given."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.counts: list[IntArray] = []

    def __iter__(self) -> Iterator[U32Array]:
        plan = self._plan
        rest_bits = KEY_BITS - plan.bucket_bits
        per_range = 1 << (plan.bucket_bits - _RANGE_BITS)
        for number in range(_RANGES):
            pieces = [source.postings(number, number + 1) for source in plan.sources]
            key = np.concatenate([piece[0] for piece in pieces]).astype(np.uint64)
            frame = np.concatenate([piece[1] for piece in pieces])
            keyed = (key << np.uint64(32)) | frame
            keyed.sort()
            key32 = (keyed >> np.uint64(32)).astype(np.uint32)
            word = (keyed & np.uint64(0xFFFFFFFF)).astype(np.uint32)
            if rest_bits:
                rest = key32 & np.uint32((1 << rest_bits) - 1)
                word |= rest << np.uint32(line_bits(plan.line_frames))
            bucket = (key32 >> np.uint32(rest_bits)).astype(np.int64) - number * per_range
            self.counts.append(np.bincount(bucket, minlength=per_range))
            yield word

    def directory(self) -> U32Array:
        counts = np.concatenate([[0], *self.counts])
        return np.cumsum(counts).astype(np.uint32)


def _peaks(plan: Plan) -> Iterator[npt.NDArray[np.uint16]]:
    """Stored peaks in their new order: tracks move by whole blocks, so the words stay the same."""
    for source in plan.sources:
        segment = source.segment
        first = segment.start_frame // BLOCK_FRAMES
        stop = first + -(-segment.frame_count // BLOCK_FRAMES)
        for row in np.flatnonzero(source.wanted):
            yield segment.peaks[segment.peak_block[first[row]] : segment.peak_block[stop[row]]]


def _peak_blocks(plan: Plan) -> U32Array:
    counts = np.zeros(plan.line_frames // BLOCK_FRAMES + 1, np.int64)
    for source in plan.sources:
        segment = source.segment
        per_block = np.diff(segment.peak_block.astype(np.int64))
        for row in np.flatnonzero(source.wanted):
            first = int(segment.start_frame[row]) // BLOCK_FRAMES
            count = -(-int(segment.frame_count[row]) // BLOCK_FRAMES)
            to = first + int(source.shift[row]) // BLOCK_FRAMES
            counts[1 + to : 1 + to + count] = per_block[first : first + count]
    return np.cumsum(counts).astype(np.uint32)


def merge_to_memory(parts: Sequence[tuple[Segment, BoolArray]]) -> Segment:
    """One segment in memory with the wanted tracks of all parts."""
    plan = plan_merge(parts)
    postings = _Postings(plan)
    words = list(postings)
    return Segment(
        track_id=plan.track_id,
        start_frame=plan.start_frame,
        frame_count=plan.frame_count,
        directory=postings.directory(),
        postings=np.concatenate(words),
        peak_block=_peak_blocks(plan),
        peaks=np.concatenate([np.zeros(0, np.uint16), *_peaks(plan)]),
    )


def merge_to_file(parts: Sequence[tuple[Segment, BoolArray]], directory: Path, digest: str) -> Path:
    """The same as a new segment file; memory stays bounded by a range of hashes."""
    plan = plan_merge(parts)
    postings = _Postings(plan)
    writer = SegmentWriter(directory, digest)
    try:
        writer.write("track_id", [plan.track_id])
        writer.write("start_frame", [plan.start_frame])
        writer.write("frame_count", [plan.frame_count])
        writer.write("postings", postings)
        writer.write("directory", [postings.directory()])
        writer.write("peak_block", [_peak_blocks(plan)])
        writer.write("peaks", _peaks(plan))
        return writer.finish()
    except BaseException:
        writer.abandon()
        raise
