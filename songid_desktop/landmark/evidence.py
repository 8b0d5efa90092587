"""What speaks for a candidate, as things to draw: peaks and pairs that clip and track share at the
found offset, and the votes around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
LEAST_PEAKS = 20
"""A share of fewer peaks says little."""
_TWIN_SHARE = 0.3
"""Two recordings are one when this share of the peaks of a passage coincide. Twelve training tracks
against their own 64 kbit/s MP3 and 24 kbit/s Opus copies: 0.32 at least, 0.63 and more for 95 %;
against the best of the other tracks: 0.09 at most."""
_TWIN_CONTEXT_FRAMES = 156
"""Frames before and after the clip that are compared too (5 s), so that a short clip can tell."""
_READ_AROUND = 2 * _TWIN_CONTEXT_FRAMES + 2
"""And a frame to either side, because a clip's phases fall between the track's frames."""
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


@dataclass(frozen=True, slots=True)
class Passage:
    """The stored peaks of a candidate's track around the clip.

    Attributes
    ----------
    candidate : Candidate
    frame, bin : int64 arrays, shape (p,)
        In order; frames of the track. Whole blocks of them, as they are stored, so that some may
        lie before or behind the track and belong to its neighbours.
    """

    candidate: Candidate
    frame: IntArray
    bin: IntArray

    def cut(self, first: int, n_frames: int) -> Peaks:
        """Peaks of `n_frames` from a frame of the track on, which may lie before its beginning;
        frames counted from there."""
        candidate = self.candidate
        last = min(first + n_frames, int(candidate.part.segment.frame_count[candidate.row]))
        low, high = np.searchsorted(self.frame, [max(first, 0), last])
        none = np.zeros(0, np.float32)
        return Peaks(self.frame[low:high] - first, self.bin[low:high], none, n_frames)


def passages(candidates: Sequence[Candidate], n_frames: int) -> list[Passage]:
    """What is stored around a clip of `n_frames` at each candidate's place, read all at once."""
    found: dict[int, Passage] = {}
    for part in {id(one.part): one.part for one in candidates}.values():
        some = [number for number, one in enumerate(candidates) if one.part is part]
        row = np.array([candidates[number].row for number in some])
        place = np.rint([candidates[number].offset_frames for number in some]).astype(np.int64)
        begin = part.segment.start_frame[row]
        first = begin + place - _TWIN_CONTEXT_FRAMES
        which, frame, column = part.segment.peaks_between(first, n_frames + _READ_AROUND)
        frame += (first - begin)[which]
        ends = np.searchsorted(which, np.arange(len(some) + 1))
        for number, low, high in zip(some, ends[:-1], ends[1:], strict=True):
            found[number] = Passage(candidates[number], frame[low:high], column[low:high])
    return [found[number] for number in range(len(candidates))]


def collect(
    found: Sequence[Passage], clip: Clip, all_votes: Sequence[Votes], config: LandmarkConfig
) -> list[Evidence]:
    """Evidence for some candidates, each drawn on the clip's frame phase nearest to the track's
    own."""
    stored = [_under(passage, clip) for passage in found]
    possible = _pairs_of_each(stored, config)
    return [
        _evidence(passage.candidate, (own, pairs), clip, all_votes, config)
        for passage, own, pairs in zip(found, stored, possible, strict=True)
    ]


def _evidence(
    candidate: Candidate,
    under: tuple[Peaks, tuple[IntArray, IntArray]],
    clip: Clip,
    all_votes: Sequence[Votes],
    config: LandmarkConfig,
) -> Evidence:
    stored, stored_pairs = under
    phase = _nearest_phase(candidate, clip)
    peaks = clip.peaks[phase]
    shared = _coincide(peaks, stored, 1, 1)
    matched = Peaks(peaks.frame[shared], peaks.bin[shared], peaks.height[:0], peaks.n_frames)
    phase_s = phase / clip.steps_per_frame * config.peaks.frame_s
    pairs = _shared_pairs(peaks, clip.pairs[phase], shared, stored, stored_pairs)
    drawn = constellation(peaks, config.peaks, phase_s)
    votes = next((votes for votes in all_votes if votes.part is candidate.part), None)
    return Evidence(
        summary=(
            f"{len(pairs)} of {len(stored_pairs[0])} hashes of this passage found, "
            f"{len(matched)} of {len(stored)} peaks"
        ),
        query_peaks=drawn,
        matched_peaks=constellation(matched, config.peaks, phase_s),
        matched_pairs=_pair_lines(pairs, drawn),
        offset_histogram=_histogram(candidate, votes, config.peaks),
    )


def agreement(passage: Passage, clip: Clip) -> float:
    """Share of the track's peaks under the clip that the clip has too, to within a frame and a
    bin."""
    stored = _under(passage, clip)
    shared = _coincide(stored, clip.peaks[_nearest_phase(passage.candidate, clip)], 1, 1)
    return float(shared.sum()) / max(len(stored), LEAST_PEAKS)


def _nearest_phase(candidate: Candidate, clip: Clip) -> int:
    """Phase at which the clip's frames fall on the track's."""
    steps = round(candidate.offset_frames * clip.steps_per_frame)
    return -steps % clip.steps_per_frame


def _under(passage: Passage, clip: Clip) -> Peaks:
    """The track's peaks under the clip, on the frames of the nearest phase."""
    candidate = passage.candidate
    phase = _nearest_phase(candidate, clip)
    first = round(candidate.offset_frames + phase / clip.steps_per_frame)
    return passage.cut(first, clip.n_frames)


def _coincide(some: Peaks, others: Peaks, frames: int, bins: int) -> BoolArray:
    """Which of some peaks have one of the others within ± `frames` and ± `bins`."""
    rows = max(some.n_frames, others.n_frames) + 2 * frames
    taken = np.zeros((rows, _BINS + 2 * bins), np.bool_)
    for frame_step in range(2 * frames + 1):
        for bin_step in range(2 * bins + 1):
            taken[others.frame + frame_step, others.bin + bin_step] = True
    return np.asarray(taken[some.frame + frames, some.bin + bins], np.bool_)


def _pairs_of_each(
    stored: Sequence[Peaks], config: LandmarkConfig
) -> list[tuple[IntArray, IntArray]]:
    """Anchors and targets of each list of peaks, all paired in one go."""
    if not stored:
        return []
    # So far apart that no pair reaches from one to the next.
    apart = max(peaks.n_frames for peaks in stored) + config.hashes.max_frames + 1
    frame = np.concatenate([peaks.frame + at * apart for at, peaks in enumerate(stored)])
    column = np.concatenate([peaks.bin for peaks in stored])
    anchor, target = pair_peaks(frame, column, config.hashes, config.hashes.fan)
    first = np.cumsum([0, *(len(peaks) for peaks in stored)])
    ends = np.searchsorted(anchor, first)
    return [
        (anchor[low:high] - at, target[low:high] - at)
        for at, low, high in zip(first[:-1], ends[:-1], ends[1:], strict=True)
    ]


def _shared_pairs(
    peaks: Peaks,
    ours: tuple[IntArray, IntArray],
    shared: BoolArray,
    stored: Peaks,
    theirs: tuple[IntArray, IntArray],
) -> npt.NDArray[np.int64]:
    """Anchor and target (rows of `peaks`) of the pairs that both have, shape (p, 2)."""
    # A pair that both have is one of two peaks that both have.
    likely = shared[ours[0]] & shared[ours[1]]
    ours = ours[0][likely], ours[1][likely]
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
    return np.stack([ours[0][same], ours[1][same]], axis=1)


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
    own, other = passages([first, second], n_frames)
    return bool(twins_among(own, [other], n_frames))


def twins_among(first: Passage, others: Sequence[Passage], n_frames: int) -> frozenset[int]:
    """Tracks of the other candidates that are the same recording as the first one."""
    some = _around(first, n_frames)
    if len(some) < _TWIN_LEAST_PEAKS:
        return frozenset()
    least = _TWIN_SCORE * first.candidate.score
    return frozenset(
        other.candidate.track_id
        for other in others
        if other.candidate.score >= least and _are_alike(some, _around(other, n_frames))
    )


def _around(passage: Passage, n_frames: int) -> Peaks:
    reach = _TWIN_CONTEXT_FRAMES
    return passage.cut(round(passage.candidate.offset_frames) - reach, n_frames + 2 * reach)


def _are_alike(some: Peaks, others: Peaks) -> bool:
    if len(others) < _TWIN_LEAST_PEAKS:
        return False
    shared = int(_coincide(some, others, 1, 1).sum())
    return shared >= _TWIN_SHARE * max(len(some), len(others))
