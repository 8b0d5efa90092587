"""What speaks for a candidate of the report's method, as things to draw: the peaks and pairs that
clip and track share at the found offset, and the votes around it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from songid_desktop.landmark.peaks import Peaks
from songid_desktop.landmark.report import BIN_BITS, ReportConfig
from songid_desktop.landmark.report_votes import Clip, Tally, hash_pairs, pair_peaks
from songid_desktop.types import Constellation, Evidence

IntArray = npt.NDArray[np.int64]

_HISTOGRAM_FRAMES = 172
"""Half width of the drawn votes: 2 s at 44.1 kHz."""


def constellation(
    peaks: Peaks, config: ReportConfig, sample_rate: int, start_s: float = 0.0
) -> Constellation:
    """Peaks as points: seconds (frames are centred), `start_s` for the first one; hertz."""
    return Constellation(
        (peaks.frame * (config.hop_samples / sample_rate) + start_s).astype(np.float32),
        (peaks.bin * (sample_rate / config.n_fft)).astype(np.float32),
    )


def collect(
    tally: Tally, clip: Clip, config: ReportConfig, sample_rate: int, start_s: float = 0.0
) -> Evidence:
    """Evidence for one candidate, on a clock that shows `start_s` at the clip's first sample."""
    stored = _stored_stretch(tally, clip.peaks.n_frames)
    drawn = constellation(clip.peaks, config, sample_rate, start_s)
    shared = np.flatnonzero(np.isin(_places(clip.peaks), _places(stored)))
    pairs = _shared_pairs(clip, stored, config)
    ends = [end[side] for side in pairs for end in (drawn.time_s, drawn.freq_hz)]
    offset_s, votes = _histogram(tally, config.hop_samples / sample_rate)
    return Evidence(
        summary=f"{tally.votes} of {len(clip.keys)} hashes agree on this position",
        query_peaks=drawn,
        matched_peaks=Constellation(drawn.time_s[shared], drawn.freq_hz[shared]),
        matched_pairs=np.stack(ends, axis=1).astype(np.float32),
        offset_histogram=(offset_s - np.float32(start_s), votes),
    )


def _stored_stretch(tally: Tally, n_frames: int) -> Peaks:
    """The track's peaks under the clip, frames counted from the clip's beginning."""
    segment = tally.ballot.part.segment
    start = np.array([tally.line_frame])
    _, frame, column = segment.peaks_between(start, n_frames)
    place = frame + tally.offset_frames
    own = (frame >= 0) & (frame < n_frames)
    own &= (place >= 0) & (place < int(segment.frame_count[tally.row]))
    frame, column = frame[own], column[own]
    order = np.lexsort((column, frame))
    return Peaks(frame[order], column[order], np.zeros(0, np.float32), n_frames)


def _places(peaks: Peaks) -> IntArray:
    return (peaks.frame << BIN_BITS) | peaks.bin


def _shared_pairs(clip: Clip, stored: Peaks, config: ReportConfig) -> tuple[IntArray, IntArray]:
    """Anchor and target (positions in the clip's peaks) of the pairs that both have."""
    anchor, target = pair_peaks(stored.frame, config)
    keys = hash_pairs(stored.frame, stored.bin, anchor, target).astype(np.int64)
    theirs = (stored.frame[anchor] << 32) | keys
    ours = (clip.key_frame << 32) | clip.keys.astype(np.int64)
    same = np.isin(ours, theirs)
    return clip.anchor[same], clip.target[same]


def _histogram(
    tally: Tally, frame_s: float
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    ballot, reach = tally.ballot, _HISTOGRAM_FRAMES
    edges = [tally.line_frame - reach, tally.line_frame + reach + 1]
    low, high = np.searchsorted(ballot.start, edges)
    axis = np.arange(-reach, reach + 1)
    drawn = np.zeros(len(axis), np.float32)
    drawn[ballot.start[low:high] - tally.line_frame + reach] = ballot.count[low:high]
    return ((axis + tally.offset_frames) * frame_s).astype(np.float32), drawn
