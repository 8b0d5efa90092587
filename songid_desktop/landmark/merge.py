"""Merging segments: the tracks that are still wanted, out of several segments into one.

Postings are sorted by hash in every segment, so the work goes through ranges of hashes: each range
of each segment is one slice, and memory stays bounded by a range however large the index.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from songid_desktop.landmark.scheme import Layout, LineSpec, LineValues
from songid_desktop.landmark.segment import (
    BLOCK_FRAMES,
    PeakArray,
    Segment,
    array_kind,
    bucket_bits,
    room_on_line,
    split_keys,
)
from songid_desktop.landmark.segment_file import SegmentWriter
from songid_desktop.manifest import UNFINISHED

IntArray = npt.NDArray[np.int64]
U32Array = npt.NDArray[np.uint32]
BoolArray = npt.NDArray[np.bool_]

RANGE_POSTINGS = 1 << 21
"""Postings merged in one go, unless a single bucket holds more: some 100 MB of memory."""
_SHORT_KEYS = 1 << 16

Wait = Callable[[], None]
"""Called between two ranges; may sleep, or raise to stop."""


class MergeStopped(Exception):
    """The merge was asked to end early; nothing of it is left."""


@dataclass(frozen=True, slots=True)
class _Source:
    """A segment whose wanted tracks move by `shift` frames each."""

    segment: Segment
    wanted: BoolArray
    shift: IntArray

    def postings(self, first: int, stop: int, grid_bits: int) -> tuple[U32Array, U32Array]:
        """Hash and new frame of the postings in cells `first` … `stop` of ``2^grid_bits``, in
        order of hash, then frame."""
        segment = self.segment
        rest_bits = segment.layout.key_bits - segment.bucket_bits
        per_cell = 1 << (segment.bucket_bits - grid_bits)
        edges = segment.directory[first * per_cell : stop * per_cell + 1].astype(np.int64)
        edges = np.maximum.accumulate(np.minimum(edges, len(segment.postings)))
        word = segment.postings[edges[0] : edges[-1]]
        bucket = np.repeat(
            np.arange(first * per_cell, stop * per_cell, dtype=np.uint32), np.diff(edges)
        )
        frame_bits = np.uint32(segment.frame_bits)
        if rest_bits:
            key = (bucket << np.uint32(rest_bits)) | (word >> frame_bits)
            frame = word & np.uint32((1 << segment.frame_bits) - 1)
        else:
            key, frame = bucket, word
        row = np.maximum(np.searchsorted(segment.start_frame, frame, side="right") - 1, 0)
        if not self.wanted.all():
            keep = self.wanted[row]
            key, frame, row = key[keep], frame[keep], row[keep]
        moved = frame.astype(np.int64) + self.shift[row]
        return key, moved.astype(np.uint32)


@dataclass(frozen=True, slots=True)
class Plan:
    """What the merged segment will be: its tracks, and where they move."""

    sources: tuple[_Source, ...]
    track_id: IntArray
    start_frame: IntArray
    frame_count: IntArray
    payload_crc: U32Array
    line_frames: int
    bucket_bits: int
    layout: Layout

    @property
    def grid_bits(self) -> int:
        """Ranges begin where every directory, old and new, has an entry."""
        return min([self.bucket_bits, *(source.segment.bucket_bits for source in self.sources)])

    def ranges(self) -> Iterator[tuple[int, int]]:
        """Cells of the grid in runs of not many more than `RANGE_POSTINGS` postings."""
        bits = self.grid_bits
        total = np.zeros((1 << bits) + 1, np.int64)
        for source in self.sources:
            total += source.segment.directory[:: 1 << (source.segment.bucket_bits - bits)]
        first = 0
        while first < 1 << bits:
            stop = int(np.searchsorted(total, total[first] + RANGE_POSTINGS, side="right")) - 1
            stop = min(max(stop, first + 1), 1 << bits)
            yield first, stop
            first = stop


def plan_merge(parts: Sequence[tuple[Segment, BoolArray]]) -> Plan:
    """Lay the wanted tracks of all parts (segment, which of its rows are wanted) on one line."""
    layout = parts[0][0].layout
    track_id = np.concatenate([segment.track_id[wanted] for segment, wanted in parts])
    lengths = np.concatenate([segment.frame_count[wanted] for segment, wanted in parts])
    crc = np.concatenate([segment.payload_crc[wanted] for segment, wanted in parts])
    start, line_frames = room_on_line(lengths, layout)
    sources = []
    taken = 0
    for segment, wanted in parts:
        shift = np.zeros(len(wanted), np.int64)
        count = int(wanted.sum())
        shift[wanted] = start[taken : taken + count] - segment.start_frame[wanted]
        sources.append(_Source(segment, wanted, shift))
        taken += count
    n_postings = sum(len(segment.postings) for segment, _ in parts)
    bits = bucket_bits(n_postings, line_frames, layout)
    return Plan(tuple(sources), track_id, start, lengths, crc, line_frames, bits, layout)


@dataclass(slots=True)
class _Postings:
    """The merged postings range by range; the directory is known when all were given."""

    plan: Plan
    wait: Wait | None = None
    counts: list[U32Array] = field(default_factory=list)

    def __iter__(self) -> Iterator[U32Array]:
        plan, grid_bits = self.plan, self.plan.grid_bits
        per_cell = 1 << (plan.bucket_bits - grid_bits)
        for first, stop in plan.ranges():
            if self.wait is not None:
                self.wait()
            pieces = [source.postings(first, stop, grid_bits) for source in plan.sources]
            key = np.concatenate([piece[0] for piece in pieces])
            frame = np.concatenate([piece[1] for piece in pieces])
            # Each piece is in order already and its tracks lie behind those of the one before, so
            # a stable sort by hash alone does, which is quick for numbers of 16 bits.
            base = np.uint32(first << (plan.layout.key_bits - grid_bits))
            near = key - base
            if len(near) and int(near.max()) < _SHORT_KEYS:
                near = near.astype(np.uint16)
            order = np.argsort(near, kind="stable")
            bucket, word = split_keys(
                key[order], frame[order], plan.bucket_bits, plan.line_frames, plan.layout
            )
            own = bucket.astype(np.int64) - first * per_cell
            counts = np.bincount(own, minlength=(stop - first) * per_cell)
            self.counts.append(counts.astype(np.uint32))
            yield word

    def directory(self) -> U32Array:
        counts = np.concatenate([np.zeros(1, np.uint32), *self.counts])
        return np.cumsum(counts, dtype=np.uint32)


def _peaks(plan: Plan) -> Iterator[PeakArray]:
    """Stored peaks in their new order: tracks move by whole blocks, so the words stay the same."""
    yield np.zeros(0, array_kind("peaks", plan.layout))
    for source in plan.sources:
        segment = source.segment
        first = segment.start_frame // BLOCK_FRAMES
        stop = first + -(-segment.frame_count // BLOCK_FRAMES)
        begin = segment.peak_block[first]
        end = segment.peak_block[stop]
        for row in np.flatnonzero(source.wanted):
            yield segment.peaks[begin[row] : end[row]]


def _peak_blocks(plan: Plan) -> U32Array:
    counts = np.zeros(plan.line_frames // BLOCK_FRAMES + 1, np.int64)
    for source in plan.sources:
        segment = source.segment
        for row in np.flatnonzero(source.wanted):
            first = int(segment.start_frame[row]) // BLOCK_FRAMES
            count = -(-int(segment.frame_count[row]) // BLOCK_FRAMES)
            to = first + int(source.shift[row]) // BLOCK_FRAMES
            edges = segment.peak_block[first : first + count + 1].astype(np.int64)
            counts[1 + to : 1 + to + count] = np.diff(edges)
    return np.cumsum(counts).astype(np.uint32)


def _line(plan: Plan, spec: LineSpec) -> Iterator[LineValues]:
    """What is stored along the tracks in its new order, with the gaps between them."""

    def gap(frames: int) -> LineValues:
        return np.zeros((frames // spec.every_frames, spec.width), spec.kind)

    at = 0
    for source in plan.sources:
        values = source.segment.lines[spec.name]
        for row in np.flatnonzero(source.wanted).tolist():
            begin = int(source.segment.start_frame[row])
            to = begin + int(source.shift[row])
            frames = -(-int(source.segment.frame_count[row]) // BLOCK_FRAMES) * BLOCK_FRAMES
            yield gap(to - at)
            yield values[begin // spec.every_frames : (begin + frames) // spec.every_frames]
            at = to + frames
    yield gap(plan.line_frames - at)


def merge_to_memory(parts: Sequence[tuple[Segment, BoolArray]]) -> Segment:
    """One segment in memory with the wanted tracks of all parts."""
    plan = plan_merge(parts)
    postings = _Postings(plan)
    words = list(postings)
    return Segment(
        track_id=plan.track_id,
        start_frame=plan.start_frame,
        frame_count=plan.frame_count,
        payload_crc=plan.payload_crc,
        directory=postings.directory(),
        postings=np.concatenate(words),
        peak_block=_peak_blocks(plan),
        peaks=np.concatenate(list(_peaks(plan))),
        layout=plan.layout,
        lines={spec.name: np.concatenate(list(_line(plan, spec))) for spec in plan.layout.lines},
    )


def merge_to_file(
    parts: Sequence[tuple[Segment, BoolArray]],
    directory: Path,
    digest: str,
    *,
    unfinished: str = UNFINISHED,
    wait: Wait | None = None,
) -> SegmentWriter:
    """The same as a new segment file; memory stays bounded by a range of hashes.

    Returns
    -------
    SegmentWriter
        Whose file is complete under its temporary name: it counts for nothing until it is given
        its own.
    """
    plan = plan_merge(parts)
    postings = _Postings(plan, wait)
    writer = SegmentWriter(directory, digest, plan.layout, unfinished)
    try:
        writer.write("track_id", [plan.track_id])
        writer.write("start_frame", [plan.start_frame])
        writer.write("frame_count", [plan.frame_count])
        writer.write("payload_crc", [plan.payload_crc])
        writer.write("postings", postings)
        writer.write("directory", [postings.directory()])
        writer.write("peak_block", [_peak_blocks(plan)])
        writer.write("peaks", _peaks(plan))
        for spec in plan.layout.lines:
            writer.write_line(spec, _line(plan, spec))
        writer.complete()
    except BaseException:
        writer.abandon()
        raise
    return writer
