"""What speaks for a candidate, as things to draw: peaks and pairs that clip and track share at the
found offset, and the votes around it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from songid_desktop.landmark.config import LandmarkConfig, PeakConfig
from songid_desktop.landmark.hashes import BIN_BITS, hash_pairs, pair_peaks
from songid_desktop.landmark.match import Candidate, Clip, Votes
from songid_desktop.landmark.peaks import Peaks
from songid_desktop.types import Constellation, Evidence, FloatArray

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

_BINS = 1 << BIN_BITS
_HISTOGRAM_FRAMES = 62
"""Half width of the drawn votes: 2 s."""
_LEAST_PEAKS = 20
"""A share of fewer peaks says little."""
_TWIN_SHARE = 0.3
"""Two recordings are one when this share of the peaks of a passage coincide. Twelve training tracks
against their own 64 kbit/s MP3 and 24 kbit/s Opus copies: 0.32 at least, 0.63 and more for 95 %;
against the best of the other tracks: 0.09 at most."""
_TWIN_CONTEXT_FRAMES = 156
"""Frames before and after the clip that are compared too (5 s), so that a short clip can tell."""
_TWIN_LEAST_PEAKS = 40
_TWIN_SCORE = 0.5
"""Share of the first one's score that a twin has at least: the clip fits both."""


def constellation(peaks: Peaks, config: PeakConfig, phase_s: float = 0.0) -> Constellation:
    """Peaks as points: seconds from the clip's beginning (the middle of the frame), hertz."""
    middle_s = config.n_fft / 2 / config.sample_rate + phase_s
    return Constellation(
        (peaks.frame * config.frame_s + middle_s).astype(np.float32),
        (peaks.bin * config.bin_hz).astype(np.float32),
    )


def collect(
    candidate: Candidate, clip: Clip, votes: Votes | None, config: LandmarkConfig
) -> Evidence:
    """Evidence for one candidate, drawn on the clip's frame phase nearest to the track's own."""
    phase = _nearest_phase(candidate, clip)
    peaks = clip.peaks[phase]
    shift = round(candidate.offset_frames + phase / clip.steps_per_frame)
    stored = _stored_stretch(candidate, shift, clip.n_frames)
    shared = _coincide(peaks, stored, 1, 1)
    matched = Peaks(peaks.frame[shared], peaks.bin[shared], peaks.height[:0], peaks.n_frames)
    phase_s = phase / clip.steps_per_frame * config.peaks.frame_s
    pairs, possible = _shared_pairs(peaks, clip.pairs[phase], shared, stored, config)
    drawn = constellation(peaks, config.peaks, phase_s)
    return Evidence(
        summary=(
            f"{len(pairs)} of {possible} hashes of this passage found, "
            f"{len(matched)} of {len(stored)} peaks"
        ),
        query_peaks=drawn,
        matched_peaks=constellation(matched, config.peaks, phase_s),
        matched_pairs=_pair_lines(pairs, drawn),
        offset_histogram=_histogram(candidate, votes, config.peaks),
    )


def agreement(candidate: Candidate, clip: Clip) -> float:
    """Share of the track's peaks under the clip that the clip has too, to within a frame and a
    bin."""
    shift = round(candidate.offset_frames + _nearest_phase(candidate, clip) / clip.steps_per_frame)
    stored = _stored_stretch(candidate, shift, clip.n_frames)
    shared = _coincide(stored, clip.peaks[_nearest_phase(candidate, clip)], 1, 1)
    return float(shared.sum()) / max(len(stored), _LEAST_PEAKS)


def _nearest_phase(candidate: Candidate, clip: Clip) -> int:
    """Phase at which the clip's frames fall on the track's."""
    steps = round(candidate.offset_frames * clip.steps_per_frame)
    return -steps % clip.steps_per_frame


def _stored_stretch(candidate: Candidate, shift: int, n_frames: int) -> Peaks:
    """The track's peaks under the clip, frames counted from the clip's beginning."""
    segment = candidate.part.segment
    start = segment.start_frame[candidate.row : candidate.row + 1] + shift
    _, frame, column = segment.peaks_between(start, n_frames)
    own = (frame >= 0) & (frame < n_frames) & (frame + shift >= 0)
    own &= frame + shift < int(segment.frame_count[candidate.row])
    return Peaks(frame[own], column[own], np.zeros(0, np.float32), n_frames)


def _coincide(some: Peaks, others: Peaks, frames: int, bins: int) -> BoolArray:
    """Which of some peaks have one of the others within ± `frames` and ± `bins`."""
    rows = max(some.n_frames, others.n_frames) + 2 * frames
    taken = np.zeros((rows, _BINS + 2 * bins), np.bool_)
    for frame_step in range(2 * frames + 1):
        for bin_step in range(2 * bins + 1):
            taken[others.frame + frame_step, others.bin + bin_step] = True
    return np.asarray(taken[some.frame + frames, some.bin + bins], np.bool_)


def _shared_pairs(
    peaks: Peaks,
    ours: tuple[IntArray, IntArray],
    shared: BoolArray,
    stored: Peaks,
    config: LandmarkConfig,
) -> tuple[npt.NDArray[np.int64], int]:
    """Anchor and target (rows of `peaks`) of the pairs that both have, shape (p, 2); and how many
    the track has in this stretch."""
    # A pair that both have is one of two peaks that both have.
    likely = shared[ours[0]] & shared[ours[1]]
    ours = ours[0][likely], ours[1][likely]
    theirs = pair_peaks(stored.frame, stored.bin, config.hashes, config.hashes.fan)
    known = _dated_keys(stored, *theirs)
    key = _dated_keys(peaks, *ours)
    # Anchors may stand one frame apart: the clip's grid is only near the track's.
    same = np.zeros(len(key), np.bool_)
    if len(known):
        known.sort()
        for step in (-1, 0, 1):
            wanted = key + (step << 32)
            found = known[np.minimum(np.searchsorted(known, wanted), len(known) - 1)]
            same |= found == wanted
    return np.stack([ours[0][same], ours[1][same]], axis=1), len(theirs[0])


def _dated_keys(peaks: Peaks, anchor: IntArray, target: IntArray) -> IntArray:
    key = hash_pairs(peaks.frame, peaks.bin, anchor, target).astype(np.int64)
    return key + ((peaks.frame[anchor] + 4) << 32)


def _pair_lines(pairs: IntArray, drawn: Constellation) -> FloatArray:
    ends = (drawn.time_s, drawn.freq_hz)
    columns = [end[pairs[:, side]] for side in (0, 1) for end in ends]
    return np.stack(columns, axis=1).astype(np.float32)


def _histogram(
    candidate: Candidate, votes: Votes | None, config: PeakConfig
) -> tuple[FloatArray, FloatArray] | None:
    if votes is None:
        return None
    frame, count = votes.near(candidate.line_frame, _HISTOGRAM_FRAMES)
    axis = np.arange(-_HISTOGRAM_FRAMES, _HISTOGRAM_FRAMES + 1)
    drawn = np.zeros(len(axis), np.float32)
    drawn[frame + _HISTOGRAM_FRAMES] = count
    start = int(candidate.part.segment.start_frame[candidate.row])
    offset_s = (axis + candidate.line_frame - start) * config.frame_s
    return offset_s.astype(np.float32), drawn


def are_twins(first: Candidate, second: Candidate, n_frames: int) -> bool:
    """Whether two candidates are the same recording around the found offsets.

    Compares what is stored of both, not the clip: two wrong candidates are not twins.
    """
    return bool(twins_among(first, [second], n_frames))


def twins_among(first: Candidate, others: Sequence[Candidate], n_frames: int) -> frozenset[int]:
    """Tracks of the other candidates that are the same recording as the first one."""
    some = _around(first, n_frames)
    if len(some) < _TWIN_LEAST_PEAKS:
        return frozenset()
    return frozenset(
        other.track_id
        for other in others
        if other.score >= _TWIN_SCORE * first.score and _are_alike(some, _around(other, n_frames))
    )


def _around(candidate: Candidate, n_frames: int) -> Peaks:
    reach = _TWIN_CONTEXT_FRAMES
    shift = round(candidate.offset_frames) - reach
    return _stored_stretch(candidate, shift, n_frames + 2 * reach)


def _are_alike(some: Peaks, others: Peaks) -> bool:
    if len(others) < _TWIN_LEAST_PEAKS:
        return False
    shared = int(_coincide(some, others, 1, 1).sum())
    return shared >= _TWIN_SHARE * max(len(some), len(others))
