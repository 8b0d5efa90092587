"""What speaks for a track played at another speed, tempo or pitch, as things to draw: everything in
the clip's own seconds and hertz, as it is heard."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from songid_desktop.landmark.config import LandmarkConfig
from songid_desktop.landmark.evidence import LEAST_PEAKS, constellation
from songid_desktop.landmark.hashes import pair_peaks
from songid_desktop.landmark.match import Clip
from songid_desktop.landmark.peaks import Peaks
from songid_desktop.landmark.scaled import ScaleConfig, middle_frame, votes_around
from songid_desktop.landmark.scaled_reading import ScaledCandidate, track_frame
from songid_desktop.types import Evidence, FloatArray

IntArray = npt.NDArray[np.int64]

_HISTOGRAM_FRAMES = 62
"""Half width of the drawn votes: 2 s."""
_NEAR = 1
"""Frames and bins that a peak may lie beside where the track's own should be."""


def collect_scaled(
    found: ScaledCandidate, clip: Clip, config: LandmarkConfig, tried: ScaleConfig
) -> Evidence:
    """Evidence for one candidate."""
    peaks = clip.peaks[0]
    stored_frame, stored_bin = _stored(found, clip, config)
    anchor, target = pair_peaks(stored_frame, stored_bin, config.hashes, config.hashes.fan)
    own, inside = _heard(stored_frame, stored_bin, found, clip, config)
    shown = (own[anchor] >= 0) & (own[target] >= 0)
    pairs = np.stack([own[anchor[shown]], own[target[shown]]], axis=1)
    matched = np.unique(own[own >= 0])
    drawn = constellation(peaks, config.peaks)
    possible = int((inside[anchor] & inside[target]).sum())
    return Evidence(
        summary=(
            f"{len(pairs)} of {possible} hashes of this passage found, "
            f"{int((own >= 0).sum())} of {int(inside.sum())} peaks"
        ),
        query_peaks=drawn,
        matched_peaks=constellation(
            Peaks(peaks.frame[matched], peaks.bin[matched], peaks.height[:0], peaks.n_frames),
            config.peaks,
        ),
        matched_pairs=_lines(pairs, drawn.time_s, drawn.freq_hz),
        offset_histogram=_histogram(found, clip, config, tried),
    )


def agreement(found: ScaledCandidate, clip: Clip, config: LandmarkConfig) -> float:
    """Share of the track's peaks under the clip that the clip has too, as `evidence.agreement`."""
    own, inside = _heard(*_stored(found, clip, config), found, clip, config)
    return float((own >= 0).sum()) / max(int(inside.sum()), LEAST_PEAKS)


def _heard(
    stored_frame: IntArray,
    stored_bin: IntArray,
    found: ScaledCandidate,
    clip: Clip,
    config: LandmarkConfig,
) -> tuple[IntArray, npt.NDArray[np.bool_]]:
    """Number of the clip's peak at or next to where each stored one should be heard, -1 where there
    is none; and whether that place is inside the clip."""
    peaks = clip.peaks[0]
    begin = track_frame(found, 0.0, config.peaks)
    frame = np.rint((stored_frame - begin) / found.scale.tempo).astype(np.int64)
    column = np.rint(stored_bin * found.scale.pitch).astype(np.int64)
    inside = (frame >= 0) & (frame < peaks.n_frames)
    inside &= (column >= config.peaks.low_bin) & (column < config.peaks.high_bin)
    return _peak_at(peaks, frame, column), inside


def _stored(
    found: ScaledCandidate, clip: Clip, config: LandmarkConfig
) -> tuple[IntArray, IntArray]:
    """Stored peaks of the track around the clip: frames of the track, bins."""
    candidate = found.candidate
    segment = candidate.part.segment
    start = int(segment.start_frame[candidate.row])
    first = int(np.floor(track_frame(found, 0.0, config.peaks))) - 1
    span = int(np.ceil(clip.n_frames * found.scale.tempo)) + 2
    _, frame, column = segment.peaks_between(np.array([start + first]), span)
    frame = frame + first
    own = (frame >= max(0, first)) & (frame < first + span)
    own &= frame < int(segment.frame_count[candidate.row])
    return frame[own], column[own]


def _peak_at(peaks: Peaks, frame: IntArray, column: IntArray) -> IntArray:
    """Number of the clip's peak at or next to each place, -1 where there is none."""
    bins = int(max(peaks.bin.max(initial=0), column.max(initial=0))) + 2 * _NEAR + 1
    table = np.full((peaks.n_frames + 2 * _NEAR, bins), -1, np.int64)
    table[peaks.frame + _NEAR, peaks.bin + _NEAR] = np.arange(len(peaks))
    found = np.full(len(frame), -1, np.int64)
    for frame_step in (0, -_NEAR, _NEAR):
        for bin_step in (0, -_NEAR, _NEAR):
            row, at = frame + frame_step + _NEAR, column + bin_step + _NEAR
            inside = (row >= 0) & (row < len(table)) & (found < 0)
            found[inside] = table[row[inside], at[inside]]
    return found


def _lines(pairs: IntArray, time_s: FloatArray, freq_hz: FloatArray) -> FloatArray:
    columns = [end[pairs[:, side]] for side in (0, 1) for end in (time_s, freq_hz)]
    return np.stack(columns, axis=1).astype(np.float32)


def _histogram(
    found: ScaledCandidate, clip: Clip, config: LandmarkConfig, tried: ScaleConfig
) -> tuple[FloatArray, FloatArray]:
    """Votes at this factor around the found place, by the position in the track that the clip
    would begin at."""
    candidate = found.candidate
    start = float(candidate.part.segment.start_frame[candidate.row])
    middle = track_frame(found, middle_frame(clip), config.peaks) + start
    count = votes_around(
        candidate.part,
        clip,
        found.scale,
        middle=round(middle),
        reach=_HISTOGRAM_FRAMES,
        config=config,
        tried=tried,
    )
    axis = np.arange(-_HISTOGRAM_FRAMES, _HISTOGRAM_FRAMES + 1) + (round(middle) - middle)
    offset_s = (candidate.offset_frames + axis) * config.peaks.frame_s
    return offset_s.astype(np.float32), count.astype(np.float32)
