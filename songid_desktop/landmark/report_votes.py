"""The report's look-up: pairs of peaks as hashes, postings with the same hash, one vote each for
(track, δt). `report` says how the report is read and makes the peaks.

The postings lie in the same index as the landmark method's (`index`, `segment`), laid out for wider
hashes; nothing is left out of a search, however common.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from songid_desktop.landmark.index import Part
from songid_desktop.landmark.peaks import Peaks
from songid_desktop.landmark.report import BIN_BITS, KEY_BITS, TIME_BITS, ReportConfig
from songid_desktop.landmark.scheme import Layout

IntArray = npt.NDArray[np.int64]
KeyArray = npt.NDArray[np.uint32]

LONGEST_FRAMES = 2000
"""Of a clip that is looked up in one go: less than the gap between tracks on a segment's line."""
_GAP_FRAMES = 2048
_HITS_AT_ONCE = 4_000_000
_MAGIC = b"SRP1"
_HEADER = struct.Struct("<4sIII")  # magic, sample rate, frames, peaks


# -- hashes -------------------------------------------------------------------------------------


def pair_peaks(frame: IntArray, config: ReportConfig) -> tuple[IntArray, IntArray]:
    """Anchor and target (positions of peaks) of every pair, shape (p,) each: each peak with the
    next FAN ones.

    Parameters
    ----------
    frame : int64 array, shape (n,)
        Of peaks in order of frame, then bin.
    """
    anchor = np.repeat(np.arange(len(frame)), config.fan)
    target = anchor + np.tile(np.arange(1, config.fan + 1), len(frame))
    exists = target < len(frame)
    anchor, target = anchor[exists], target[exists]
    near = frame[target] - frame[anchor] <= config.max_frames
    return anchor[near], target[near]


def hash_pairs(frame: IntArray, column: IntArray, anchor: IntArray, target: IntArray) -> KeyArray:
    """(f1, f2, Δt) of pairs as one number of `KEY_BITS` bits, shape (p,)."""
    dt = frame[target] - frame[anchor]
    key = (column[anchor] << (BIN_BITS + TIME_BITS)) | (column[target] << TIME_BITS) | dt
    return key.astype(np.uint32)


# -- what is stored -----------------------------------------------------------------------------


def pack(peaks: Peaks, sample_rate: int) -> bytes:
    """Six bytes a peak: frames since the one before, and the bin; and the rate it all refers to."""
    header = _HEADER.pack(_MAGIC, sample_rate, peaks.n_frames, len(peaks))
    step = np.diff(peaks.frame, prepend=0).astype("<u4")
    return header + step.tobytes() + peaks.bin.astype("<u2").tobytes()


def unpack(payload: bytes) -> tuple[Peaks, int]:
    """Peaks and sample rate from `pack`'s bytes.

    Raises
    ------
    ValueError
        When the bytes are not such a payload, cut short or inconsistent.
    """
    if len(payload) < _HEADER.size:
        raise ValueError(f"a peak list of {len(payload)} bytes is too short to be one")
    magic, sample_rate, n_frames, n_peaks = _HEADER.unpack_from(payload)
    if magic != _MAGIC or len(payload) != _HEADER.size + 6 * n_peaks:
        raise ValueError("the bytes are not a peak list of this version")
    step = np.frombuffer(payload, "<u4", n_peaks, _HEADER.size)
    column = np.frombuffer(payload, "<u2", n_peaks, _HEADER.size + 4 * n_peaks)
    frame = np.cumsum(step, dtype=np.int64)
    if n_peaks and (frame[-1] >= n_frames or int(column.max()) >= 1 << BIN_BITS):
        raise ValueError("the peak list contradicts its own header")
    return Peaks(frame, column.astype(np.int64), np.zeros(0, np.float32), n_frames), sample_rate


class ReportScheme:
    """`scheme.Scheme`: how the index stores and hashes what the report's method finds."""

    def __init__(self, config: ReportConfig) -> None:
        self.config = config

    @property
    def layout(self) -> Layout:
        return Layout(key_bits=KEY_BITS, bin_bits=BIN_BITS, gap_frames=_GAP_FRAMES)

    @property
    def max_frames(self) -> int:
        return self.config.max_frames

    def digest(self) -> str:
        return self.config.digest()

    def index_digest(self) -> str:
        return self.config.index_digest()

    def unpack(self, payload: bytes) -> Peaks:
        return unpack(payload)[0]

    def line_values(self, _peaks: Peaks) -> dict[str, npt.NDArray[np.generic]]:
        return {}

    def pairs(self, frame: IntArray, _column: IntArray) -> tuple[IntArray, IntArray]:
        return pair_peaks(frame, self.config)

    def keys(
        self, frame: IntArray, column: IntArray, anchor: IntArray, target: IntArray
    ) -> KeyArray:
        return hash_pairs(frame, column, anchor, target)


# -- votes --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip's peaks and hashes; `anchor` and `target` are positions in `peaks`, and key i was made
    of pair i. Sorted by key."""

    peaks: Peaks
    anchor: IntArray
    target: IntArray
    keys: KeyArray

    @property
    def key_frame(self) -> IntArray:
        """When the anchor of each key happens."""
        return self.peaks.frame[self.anchor]


def hash_clip(peaks: Peaks, config: ReportConfig) -> Clip:
    """All pairs of a clip, by the rule that tracks are hashed by."""
    anchor, target = pair_peaks(peaks.frame, config)
    keys = hash_pairs(peaks.frame, peaks.bin, anchor, target)
    order = np.argsort(keys, kind="stable")
    return Clip(peaks, anchor[order], target[order], keys[order])


@dataclass(frozen=True, slots=True)
class Ballot:
    """Votes of one part, shape (n,) each: in order, where on the line of its segment the clip's
    beginning was voted for, and by how many hashes."""

    part: Part
    start: IntArray
    count: IntArray


@dataclass(frozen=True, slots=True)
class Tally:
    """A track's best δt (frames, the clip's beginning in the track) and its votes."""

    ballot: Ballot
    row: int
    track_id: int
    offset_frames: int
    votes: int

    @property
    def line_frame(self) -> int:
        """Frame of the segment's line at which the clip begins."""
        return int(self.ballot.part.segment.start_frame[self.row]) + self.offset_frames


def rank(ballots: Sequence[Ballot], top: int) -> list[Tally]:
    """The `top` tracks whose best δt has most votes, best first; equal ones by their number."""
    found = [tally for ballot in ballots for tally in _best_of(ballot, top)]
    found.sort(key=lambda tally: (-tally.votes, tally.track_id))
    return found[:top]


def vote(part: Part, clip: Clip) -> Ballot:
    """Let every hash of the clip that a part's tracks have vote for where the clip begins."""
    segment = part.segment
    starts = [np.zeros(0, np.uint32)]
    key_frame = clip.key_frame.astype(np.uint32)
    for some in _portions(segment.bucket_sizes(clip.keys)):
        frame, which = segment.look_up(clip.keys[some])
        # Never negative: a line begins with a gap longer than any clip.
        starts.append(frame - key_frame[some][which])
    start = np.sort(np.concatenate(starts))
    is_first = np.ones(len(start), np.bool_)
    np.not_equal(start[1:], start[:-1], out=is_first[1:])
    first = np.flatnonzero(is_first)
    return Ballot(part, start[first].astype(np.int64), np.diff(first, append=len(start)))


def _portions(cost: IntArray) -> Iterator[slice]:
    """Runs of keys whose postings add up to little more than `_HITS_AT_ONCE`: bounds memory."""
    share = np.cumsum(cost) // _HITS_AT_ONCE
    edges = [0, *(np.flatnonzero(np.diff(share)) + 1).tolist(), len(cost)]
    for low, high in itertools.pairwise(edges):
        yield slice(low, high)


def _best_of(ballot: Ballot, top: int) -> list[Tally]:
    """Best δt of each of a part's tracks (the earliest of equal ones), of the `top` best tracks."""
    segment = ballot.part.segment
    row = segment.track_at(ballot.start)
    alive = ballot.part.alive[row]
    start, count, row = ballot.start[alive], ballot.count[alive], row[alive]
    if not len(start):
        return []
    first = np.flatnonzero(np.diff(row, prepend=-1))  # starts, hence rows, are in order
    most = np.maximum.reduceat(count, first)
    last = np.append(first[1:], len(row))
    chosen = np.argsort(-most, kind="stable")[:top].tolist()
    best = [first[i] + int(np.argmax(count[first[i] : last[i]])) for i in chosen]
    return [
        Tally(
            ballot=ballot,
            row=int(row[i]),
            track_id=int(segment.track_id[row[i]]),
            offset_frames=int(start[i] - segment.start_frame[row[i]]),
            votes=int(count[i]),
        )
        for i in best
    ]
