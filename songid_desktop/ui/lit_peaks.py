"""What is lit up of a match: looks overlap, so each one adds only what was not lit yet.

Every look analyses its window anew, and the same peak lies a frame's fraction earlier or later;
peaks that near one another count as one.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from songid_desktop.types import Evidence, FloatArray

SAME_TIME_S = 0.045
SAME_HZ = 14.0
PAIRS_A_S = 60
"""Pairs drawn for a second of sound at most: thousands would hide it, and cost time."""
KEPT_S = 20.0


def _none(columns: int) -> FloatArray:
    return np.zeros((0, columns), np.float32)


@dataclass(slots=True)
class LitPeaks:
    """Peaks as (time s, Hz) and pairs as (time s, Hz, time s, Hz), on the stream's clock."""

    peaks: FloatArray = field(default_factory=lambda: _none(2))
    pairs: FloatArray = field(default_factory=lambda: _none(4))

    def add(self, evidence: Evidence, clip_start_s: float) -> tuple[FloatArray, FloatArray]:
        """Take in a look's evidence, whose times count from the clip's start; the peaks and pairs
        that are new."""
        matched = evidence.matched_peaks
        peaks = np.stack([matched.time_s + clip_start_s, matched.freq_hz], axis=1)
        pairs = np.array(evidence.matched_pairs, np.float32).reshape(-1, 4)
        pairs[:, [0, 2]] += clip_start_s
        self._forget(peaks)
        new_peaks = peaks[~_is_near(peaks, self.peaks)]
        new_pairs = self._new_pairs(pairs)
        self.peaks = np.concatenate([self.peaks, new_peaks])
        self.pairs = np.concatenate([self.pairs, new_pairs])
        return new_peaks, new_pairs

    def _new_pairs(self, pairs: FloatArray) -> FloatArray:
        """Pairs that end in sound later than any that is drawn; of these, evenly chosen ones."""
        if len(self.pairs):
            pairs = pairs[pairs[:, 2] > self.pairs[:, 2].max() + SAME_TIME_S]
        if not len(pairs):
            return pairs
        order = np.argsort(pairs[:, 2], kind="stable")
        span_s = float(pairs[order[-1], 2] - pairs[order[0], 2])
        most = min(len(order), round(PAIRS_A_S * max(span_s, 0.5)))
        chosen: FloatArray = pairs[order[np.linspace(0, len(order) - 1, most).astype(int)]]
        return chosen

    def _forget(self, peaks: FloatArray) -> None:
        if not len(peaks):
            return
        oldest = float(peaks[:, 0].max()) - KEPT_S
        self.peaks = self.peaks[self.peaks[:, 0] >= oldest]
        self.pairs = self.pairs[self.pairs[:, 2] >= oldest]


def _is_near(peaks: FloatArray, known: FloatArray) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which of `peaks` stand where one of `known` does."""
    apart_s = np.abs(peaks[:, None, 0] - known[None, :, 0])
    apart_hz = np.abs(peaks[:, None, 1] - known[None, :, 1])
    result: np.ndarray[tuple[int], np.dtype[np.bool_]] = (
        (apart_s < SAME_TIME_S) & (apart_hz < SAME_HZ)
    ).any(axis=1)
    return result
