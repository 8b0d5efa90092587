"""Tracks that nobody recorded, for libraries larger than the corpus.

A synthetic track is two minutes of real music's landmarks, played at another speed: the corpus's
tracks (without those that clips are cut from) are laid one behind the other, cut into passages of
two minutes, and each passage is stretched in time by several factors, none of them near 1. Pitches
stay, because tuning is what makes hashes common: with every bin moved by a few, a clip meets a
fifth of the postings. A hash's anchor, step and delay, how they repeat and how they crowd are
thus as measured. A library of 100,000 tracks holds each passage some twenty times, as copies that
differ in nothing but their number.

Segments are written hash by hash, straight into their files, in the product's own format.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from songid_desktop.landmark.config import LandmarkConfig
from songid_desktop.landmark.hashes import BIN_BITS, KEY_BITS
from songid_desktop.landmark.peaks import Peaks
from songid_desktop.landmark.ridges import RIDGE_FRAMES, RIDGE_LINE
from songid_desktop.landmark.scheme import LandmarkScheme
from songid_desktop.landmark.segment import BLOCK_FRAMES, Segment, build_segment, room_on_line
from songid_desktop.landmark.segment_file import SegmentWriter
from tests.bench import common

SECONDS = 120.0
STRETCHES = (0.86, 0.91, 0.95, 1.05, 1.1, 1.16)
PASSAGES = 5000
FIRST_TRACK_ID = 1_000_000
_BATCH = 250
_SUB_BITS = KEY_BITS - BIN_BITS
_SUBS = 1 << _SUB_BITS

IntArray = npt.NDArray[np.int64]


def passages(tracks: Sequence[Peaks], frames: int) -> list[Peaks]:
    """Stretches of `frames` frames, each played at another speed than it was recorded."""
    per_stretch = -(-PASSAGES // len(STRETCHES))
    found: list[Peaks] = []
    for stretch in STRETCHES:
        line = _stretched_line(tracks, stretch, (per_stretch + 1) * frames)
        count = min(per_stretch, line.n_frames // frames)
        found += [_cut(line, number * frames, frames) for number in range(count)]
    return found[:PASSAGES]


def _stretched_line(tracks: Sequence[Peaks], stretch: float, enough: int) -> Peaks:
    """All tracks one behind the other, up to `enough` frames."""
    frame, column, ridges = [], [], []
    at = 0
    for peaks in tracks:
        if at >= enough:
            break
        length = -(-round(peaks.n_frames * stretch) // RIDGE_FRAMES) * RIDGE_FRAMES
        moved = np.minimum(np.round(peaks.frame * stretch).astype(np.int64), length - 1)
        place = np.unique((moved << 16) | peaks.bin)
        frame.append((place >> 16) + at)
        column.append(place & 0xFFFF)
        rows = np.arange(length // RIDGE_FRAMES) / stretch
        ridges.append(peaks.ridges[np.minimum(rows.astype(np.int64), len(peaks.ridges) - 1)])
        at += length
    nothing = np.zeros(0, np.float32)
    return Peaks(np.concatenate(frame), np.concatenate(column), nothing, at, np.concatenate(ridges))


def _cut(line: Peaks, first: int, frames: int) -> Peaks:
    low, high = np.searchsorted(line.frame, [first, first + frames])
    return Peaks(
        line.frame[low:high] - first,
        line.bin[low:high],
        line.height,
        frames,
        line.ridges[first // RIDGE_FRAMES : -(-(first + frames) // RIDGE_FRAMES)],
    )


@dataclass(frozen=True)
class Passages:
    """Passages with their postings in order of anchor bin, then passage.

    Attributes
    ----------
    sub : uint16 array
        A posting's hash without the bin.
    frame : uint16 array
        Frame in its passage.
    start : int64 array, shape (bins * passages + 1,)
        First posting of every bin and passage.
    """

    peaks: list[Peaks]
    sub: npt.NDArray[np.uint16]
    frame: npt.NDArray[np.uint16]
    start: IntArray

    @property
    def postings_per_track(self) -> float:
        return len(self.sub) / len(self.peaks)


def survey(peaks: list[Peaks], scheme: LandmarkScheme) -> Passages:
    """Hash the passages."""
    subs, frames, cells = [], [], []
    count = len(peaks)
    for first in range(0, count, _BATCH):
        some = peaks[first : first + _BATCH]
        segment = build_segment(range(len(some)), some, scheme)
        key, frame = _postings(segment)
        row = np.searchsorted(segment.start_frame, frame, side="right") - 1
        subs.append((key & (_SUBS - 1)).astype(np.uint16))
        frames.append((frame - segment.start_frame[row]).astype(np.uint16))
        cells.append(((key >> _SUB_BITS) * count + first + row).astype(np.int32))
        if first // _BATCH % 4 == 0:
            common.say(f"{first} of {count} passages hashed")
    cell = np.concatenate(cells)
    order = np.argsort(cell, kind="stable")
    counts = np.bincount(cell, minlength=count << BIN_BITS)
    start = np.concatenate([[0], np.cumsum(counts)])
    return Passages(peaks, np.concatenate(subs)[order], np.concatenate(frames)[order], start)


def _postings(segment: Segment) -> tuple[IntArray, IntArray]:
    """Hash and frame of every posting of a segment."""
    counts = np.diff(segment.directory.astype(np.int64))
    key = np.repeat(np.arange(len(counts)), counts)
    frame = segment.postings.astype(np.int64)
    rest_bits = KEY_BITS - segment.bucket_bits
    if rest_bits:
        key = (key << rest_bits) | (frame >> segment.frame_bits)
        frame &= (1 << segment.frame_bits) - 1
    return key, frame


def kept_passages(path: Path, tracks: Sequence[Peaks], config: LandmarkConfig) -> Passages:
    """The passages of a corpus, made once and kept."""
    if path.exists():
        found = pickle.loads(path.read_bytes())
        assert isinstance(found, Passages)
        return found
    frames = round(SECONDS / config.peaks.frame_s) // RIDGE_FRAMES * RIDGE_FRAMES
    made = survey(passages(tracks, frames), LandmarkScheme(config))
    temporary = path.with_suffix(".writing")
    with temporary.open("wb") as file:
        pickle.dump(made, file, protocol=5)
    temporary.replace(path)
    return made


def write_synthetic(
    path: Path, source: Passages, first_id: int, count: int, config: LandmarkConfig
) -> None:
    """A segment of `count` synthetic tracks; nothing is done when its file is there already."""
    if path.exists():
        return
    scheme = LandmarkScheme(config)
    layout = scheme.layout
    frames = source.peaks[0].n_frames
    start, line_frames = room_on_line(np.full(count, frames), layout)
    writer = SegmentWriter(path.parent, config.index_digest(), layout)
    counts = np.zeros(1 << KEY_BITS, np.uint32)
    writer.write("track_id", [np.arange(first_id, first_id + count)])
    writer.write("start_frame", [start])
    writer.write("frame_count", [np.full(count, frames)])
    writer.write("payload_crc", [np.zeros(count)])
    writer.write("postings", _words(source, start, counts))
    total = np.cumsum(counts, dtype=np.uint64)
    assert total[-1] < 1 << 32
    writer.write("directory", [np.concatenate([np.zeros(1, np.uint64), total])])
    n_passages = len(source.peaks)
    rows = int(start[1] - start[0]) // BLOCK_FRAMES if count > 1 else 0
    blocks = np.array([np.bincount(p.frame // BLOCK_FRAMES, minlength=rows) for p in source.peaks])
    every = np.resize(np.arange(n_passages), count)
    gap = np.zeros(layout.gap_frames // BLOCK_FRAMES + 1, np.int64)
    writer.write("peak_block", [np.concatenate([gap, np.cumsum(blocks[every])])])
    writer.write("peaks", _peak_words(source, every, layout.bin_bits))
    (spec,) = layout.lines
    assert spec.name == RIDGE_LINE
    empty = np.zeros((layout.gap_frames // RIDGE_FRAMES, spec.width), spec.kind)
    padded = [
        np.concatenate(
            [p.ridges, np.zeros((rows * BLOCK_FRAMES // RIDGE_FRAMES - len(p.ridges), spec.width))]
        ).astype(spec.kind)
        for p in source.peaks
    ]
    writer.write_line(spec, [empty, *(padded[number] for number in every)])
    writer.complete().replace(path)
    common.say(f"{path.name}: {count} tracks, {int(total[-1]):,} postings, {line_frames:,} frames")


def _words(
    source: Passages, start: IntArray, counts: npt.NDArray[np.uint32]
) -> Iterator[npt.NDArray[np.uint32]]:
    """Postings in order of hash; `counts` is filled on the way.

    Tracks are the passages in their order, again and again, so within one bin the postings of all
    tracks are those of all passages repeated, and one stable sort puts them in order of hash and
    then of track.
    """
    n_passages = len(source.peaks)
    rounds = [start[first : first + n_passages] for first in range(0, len(start), n_passages)]
    for column in range(1 << BIN_BITS):
        edges = source.start[column * n_passages : (column + 1) * n_passages + 1]
        sub = source.sub[edges[0] : edges[-1]]
        if not len(sub):
            continue
        frame = source.frame[edges[0] : edges[-1]].astype(np.uint32)
        owner = np.repeat(np.arange(n_passages), np.diff(edges))
        subs, frames = [], []
        for places in rounds:
            stop = int(edges[len(places)] - edges[0])
            subs.append(sub[:stop])
            frames.append(frame[:stop] + places[owner[:stop]].astype(np.uint32))
        joined = np.concatenate(subs)
        order = np.argsort(joined, kind="stable")
        counts[column * _SUBS : (column + 1) * _SUBS] = np.bincount(joined, minlength=_SUBS)
        yield np.concatenate(frames)[order]


def _peak_words(
    source: Passages, every: IntArray, bin_bits: int
) -> Iterator[npt.NDArray[np.uint16]]:
    words = [
        (((p.frame % BLOCK_FRAMES) << bin_bits) | p.bin).astype(np.uint16) for p in source.peaks
    ]
    for number in every.tolist():
        yield words[number]
