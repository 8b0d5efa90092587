"""What an index is made of, for people: sizes, and the hashes that most tracks share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from songid_desktop.landmark.hashes import DELTA_BITS, TIME_BITS
from songid_desktop.landmark.scheme import LandmarkScheme, Scheme
from songid_desktop.landmark.segment import Segment

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]

_SURVEYED = 256
"""Fullest buckets in which the commonest hashes are looked for."""


@dataclass(frozen=True, slots=True)
class IndexStatistics:
    """For the user: how large the index is and what it is made of.

    Attributes
    ----------
    tracks : int
        That can be found.
    segments : int
    postings, peaks : int
        Stored, those of removed tracks included until a compaction takes them out.
    bytes : int
    bytes_in_memory : int
        Of those, what is in no file yet.
    removed_tracks : int
        That still take room.
    frames : int
        Of all stored tracks, without the gaps between them.
    bytes_of : dict
        Bytes of every array.
    """

    tracks: int
    segments: int
    postings: int
    peaks: int
    bytes: int
    bytes_in_memory: int
    removed_tracks: int
    frames: int
    bytes_of: dict[str, int]


@dataclass(frozen=True, slots=True)
class CommonHash:
    """A hash and how many postings it has."""

    key: int
    postings: int
    text: str


def statistics_of(
    parts: Sequence[tuple[Segment, BoolArray, bool]], scheme: Scheme
) -> IndexStatistics:
    """Sizes of some segments: which of their tracks count, and whether they lie in memory."""
    segments = [segment for segment, _, _ in parts]
    tracks = sum(int(alive.sum()) for _, alive, _ in parts)
    return IndexStatistics(
        tracks=tracks,
        segments=len(segments),
        postings=sum(len(segment.postings) for segment in segments),
        peaks=sum(len(segment.peaks) for segment in segments),
        bytes=sum(segment.byte_count for segment in segments),
        bytes_in_memory=sum(s.byte_count for s, _, is_in_memory in parts if is_in_memory),
        removed_tracks=sum(len(segment.track_id) for segment in segments) - tracks,
        frames=sum(int(segment.frame_count.sum()) for segment in segments),
        bytes_of=_bytes_of(segments, scheme),
    )


def _bytes_of(segments: Sequence[Segment], scheme: Scheme) -> dict[str, int]:
    found = {
        "postings": sum(s.postings.nbytes for s in segments),
        "directory": sum(s.directory.nbytes for s in segments),
        "peaks": sum(s.peaks.nbytes + s.peak_block.nbytes for s in segments),
    }
    for spec in scheme.layout.lines:
        found[spec.name] = sum(s.lines[spec.name].nbytes for s in segments)
    found["tracks"] = sum(s.byte_count for s in segments) - sum(found.values())
    return found


def common_hashes(
    segments: Sequence[Segment], scheme: Scheme, most: int = 10
) -> tuple[CommonHash, ...]:
    """The hashes with most postings, most first."""
    key_bits = scheme.layout.key_bits
    if not segments:
        return ()
    grid_bits = min(segment.bucket_bits for segment in segments)
    total = np.zeros(1 << grid_bits, np.int64)
    for segment in segments:
        edges = segment.directory[:: 1 << (segment.bucket_bits - grid_bits)].astype(np.int64)
        total += edges[1:] - edges[:-1]
    count = min(_SURVEYED, len(total))
    fullest = np.argpartition(total, -count)[-count:]
    counted: dict[int, int] = {}
    for cell in fullest.tolist():
        keys = np.concatenate([_keys_in(segment, cell, grid_bits) for segment in segments])
        values, times = np.unique(keys, return_counts=True)
        counted.update(zip(values.tolist(), times.tolist(), strict=True))
    ranked = sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:most]
    width = -(-key_bits // 4)
    return tuple(
        CommonHash(key, times, describe_hash(key, scheme) or f"{key:0{width}x}")
        for key, times in ranked
    )


def _keys_in(segment: Segment, cell: int, grid_bits: int) -> IntArray:
    """The hash of every posting in one cell of a grid of hashes."""
    per_cell = 1 << (segment.bucket_bits - grid_bits)
    buckets = np.arange(cell * per_cell, (cell + 1) * per_cell)
    edges = segment.directory[cell * per_cell : (cell + 1) * per_cell + 1].astype(np.int64)
    edges = np.maximum.accumulate(np.minimum(edges, len(segment.postings)))
    bucket = np.repeat(buckets, np.diff(edges))
    rest_bits = segment.layout.key_bits - segment.bucket_bits
    if not rest_bits:
        return bucket
    word = segment.postings[edges[0] : edges[-1]].astype(np.int64)
    return (bucket << rest_bits) | (word >> segment.frame_bits)


def describe_hash(key: int, scheme: Scheme) -> str:
    """A hash of the landmark method in words; empty for other methods."""
    if not isinstance(scheme, LandmarkScheme):
        return ""
    config = scheme.config.peaks
    first = key >> (DELTA_BITS + TIME_BITS)
    step = ((key >> TIME_BITS) & ((1 << DELTA_BITS) - 1)) - (1 << (DELTA_BITS - 1))
    delay_s = (key & ((1 << TIME_BITS) - 1)) * config.frame_s
    low_hz, high_hz = first * config.bin_hz, (first + step) * config.bin_hz
    return f"{low_hz:.0f} Hz, {high_hz:.0f} Hz {delay_s * 1000:.0f} ms later"
