"""Verifying tracks played at another speed, tempo or pitch.

The clip's spectrogram is read where a track's stored peaks should show under a hypothesis: the same
score as in `match`, but with times and frequencies scaled.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from songid_desktop.landmark.config import LandmarkConfig, PeakConfig
from songid_desktop.landmark.index import Part
from songid_desktop.landmark.match import Clip
from songid_desktop.landmark.scaled import Places, Scale, ScaleConfig, find_places, look_at
from songid_desktop.landmark.scaled_reading import (
    Guess,
    Reader,
    ScaledCandidate,
    as_candidate,
    shrunk,
    sums,
    track_frame,
)
from songid_desktop.landmark.scaled_refine import COARSE, FINE, pinpointed, refined
from songid_desktop.types import CancelToken

Float64Array = npt.NDArray[np.float64]

_LAGS = np.array([-0.5, 0.0, 0.5])
_REFINED = 6
"""Finalists that are brought to their very best, so that first and runner-up compare fairly."""
_BESIDE_BINS = np.array([-9.0, -7, -5, 5, 7, 9])
_ELSEWHERE_FRAMES = np.array([-23.0, -17, -13, -9, -7, -5, 5, 7, 9, 13, 17, 23])


def search_scaled(
    parts: Sequence[Part],
    clip: Clip,
    config: LandmarkConfig,
    tried: ScaleConfig,
    cancel: CancelToken | None = None,
) -> list[ScaledCandidate]:
    """Candidates under any of the hypotheses, best first, every track once.

    Raises
    ------
    Cancelled
        When `cancel` was set.
    """
    reader = Reader(clip)
    guesses: list[Guess] = []
    for places in find_places(parts, clip, config, tried, cancel):
        guesses += _scored_where_voted(places, tried.scales(), reader)
    guesses = _each_once(guesses)[: tried.finalists]
    look_at(cancel)
    guesses = _each_once([refined(one, reader, tried, COARSE, 1) for one in guesses])
    look_at(cancel)
    guesses[:_REFINED] = [refined(one, reader, tried, FINE, 2) for one in guesses[:_REFINED]]
    guesses = _each_once(guesses)
    guesses[:1] = [pinpointed(one, reader) for one in guesses[:1]]
    return [as_candidate(one, reader, config.peaks) for one in guesses]


def _each_once(guesses: list[Guess]) -> list[Guess]:
    """Every track's best, best first."""
    best: dict[tuple[int, int], Guess] = {}
    for one in sorted(guesses, key=lambda one: -one.score):
        best.setdefault((id(one.part), one.row), one)
    return list(best.values())


def _scored_where_voted(places: Places, scales: Sequence[Scale], reader: Reader) -> list[Guess]:
    """Places of tracks that still count, scored within half a frame of where they got votes."""
    part = places.part
    tempo = np.array([scale.tempo for scale in scales])[places.scale]
    pitch = np.array([scale.pitch for scale in scales])[places.scale]
    middle = places.middle.astype(np.float64)
    row = part.segment.track_at((middle - tempo * reader.half_frames).astype(np.int64))
    which, frame, column = reader.stored(part, middle, float(tempo.max()))
    column *= pitch[which]
    scores, counts = [], []
    for lag in _LAGS.tolist():
        height, inside = reader.read(reader.rows(frame - lag, tempo[which]), column)
        counts.append(np.bincount(which[inside], minlength=len(middle)))
        total = sums(which, height, len(middle))
        scores.append(shrunk(total, counts[-1]))
    best = np.argmax(scores, axis=0)
    return [
        Guess(
            part=part,
            row=int(row[i]),
            middle=float(middle[i] + _LAGS[best[i]]),
            scale=scales[int(places.scale[i])],
            votes=int(places.votes[i]),
            score=float(scores[best[i]][i]),
            n_peaks=int(counts[best[i]][i]),
        )
        for i in np.flatnonzero(part.alive[row]).tolist()
    ]


# -- how a right candidate differs from one that is merely alike ---------------------------------


def score_elsewhere(found: ScaledCandidate, clip: Clip, config: PeakConfig) -> float:
    """Mean score of a candidate's track a little earlier and later than where it was found."""
    return _mean_score(found, clip, config, frames=_ELSEWHERE_FRAMES, bins=np.zeros(1))


def score_beside(found: ScaledCandidate, clip: Clip, config: PeakConfig) -> float:
    """Mean score of a candidate's peaks moved a few bins up and down, where it was found."""
    return _mean_score(found, clip, config, frames=np.zeros(1), bins=_BESIDE_BINS)


def _mean_score(
    found: ScaledCandidate,
    clip: Clip,
    config: PeakConfig,
    frames: Float64Array,
    bins: Float64Array,
) -> float:
    """Mean over the track moved by each of some frames, or each of some bins."""
    reader = Reader(clip)
    part, tempo = found.candidate.part, found.scale.tempo
    start = float(part.segment.start_frame[found.candidate.row])
    middle = start + track_frame(found, reader.half_frames, config) + frames
    which, frame, column = reader.stored(part, middle, tempo)
    row = reader.rows(frame, tempo)
    scores = []
    for step in bins.tolist():
        height, inside = reader.read(row, column * found.scale.pitch + step)
        count = np.bincount(which[inside], minlength=len(middle))
        scores.append(shrunk(sums(which, height, len(middle)), count))
    return float(np.mean(scores))
