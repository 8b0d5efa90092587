"""The learned identifiers: sound → encoder → vectors → nearest neighbours → sequence score →
probability.

One class for all of them: which encoder runs, how often it looks and which of the two ways of
retrieval is taken is said by the model. A clip longer than the search window is looked at in up to
three stretches, and the surest answer counts. Where that is no match, and a probability was fitted
for the model, the surest stretch is looked at once more as if it were transposed, a semitone up and
down.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from songid_desktop.audio.resample import resample
from songid_desktop.errors import Cancelled
from songid_desktop.identify import neural_calibration
from songid_desktop.identify.calibration import MATCH_AT, UNSURE_AT
from songid_desktop.identify.neural_calibration import NeuralCalibration
from songid_desktop.identify.neural_fingerprinter import NeuralFingerprinter, finite
from songid_desktop.identify.scaled import Pace
from songid_desktop.neural.front import follows_pitch
from songid_desktop.neural.models import ModelPlace
from songid_desktop.types import (
    AudioBlock,
    CancelToken,
    Fingerprint,
    FingerprintReader,
    FloatArray,
    Identification,
    Timings,
    Verdict,
)

if TYPE_CHECKING:
    from songid_desktop.identify.neural_search import NeuralSearch, Ranking
    from songid_desktop.neural.embedder import Embedder
    from songid_desktop.neural.index import IndexStatistics, Limits

WINDOW_S = 15.0
_MOST_STRETCHES = 3
_SILENCE = 1e-6
"""-120 dB: what a decoder or a resampler leaves of digital silence is below, the faintest noise of
an input or of 16 bits above."""
_TRACE = 0.05
SEMITONES = (1.0, -1.0)
"""Changes of pitch that are tried. In between, an encoder that has learned to hear over a part of a
semitone needs no help."""
_AGAIN_S = 2.0
"""A sound that comes to nothing at any pitch is asked again after so much more of it."""
_ENOUGH = 0.99
"""Probability from which no further stretch is looked at."""


class NeuralIdentifier(NeuralFingerprinter):
    """`types.Identifier` over an index folder (normally ``paths.index / name``).

    Parameters
    ----------
    name : str
        cnn, ast, mert, or whatever else the registry calls it.
    index_dir : Path
    place : ModelPlace
        Where its model lies.
    calibrated : NeuralCalibration, optional
        Default: the one that was fitted for the shipped model of this name; none for others.
    limits : Limits, optional
        At which sizes the index changes its ways.

    Raises
    ------
    ModelError
        The model is not there, or its card can't be read.
    """

    def __init__(
        self,
        name: str,
        index_dir: Path,
        place: ModelPlace,
        calibrated: NeuralCalibration | None = None,
        limits: Limits | None = None,
    ) -> None:
        super().__init__(name, place)
        self._index_dir = index_dir
        self._limits = limits
        self._own: Embedder | None = None
        self._search: NeuralSearch | None = None
        if calibrated is None and place.origin == "shipped":
            calibrated = neural_calibration.load(name)
        self._calibration = calibrated or neural_calibration.UNFITTED
        self._pace = Pace(_AGAIN_S)

    # -- index ----------------------------------------------------------------------------------

    @property
    def search(self) -> NeuralSearch:
        """Index and ranking, made at the first use."""
        if self._search is None:
            from songid_desktop.identify.neural_search import NeuralSearch
            from songid_desktop.neural.index import VectorIndex

            index = VectorIndex(
                self._index_dir, self.name, self.config_digest, self.model.dim, self._limits
            )
            self._search = NeuralSearch(index, self.name, self.model, self._calibration)
        return self._search

    def open(self, reader: FingerprintReader) -> None:
        self.search.index.open(reader)

    def refresh(self) -> bool:
        return self._search is not None and self._search.index.refresh()

    def save(self) -> None:
        self.search.index.save()

    def close(self) -> None:
        if self._search is not None:
            self._search.index.close()
        self._own = None

    @property
    def track_count(self) -> int:
        return 0 if self._search is None else self._search.index.track_count

    def statistics(self) -> IndexStatistics:
        return self.search.index.statistics()

    def index_faults(self) -> list[str]:
        """What is wrong with the files of the index; every byte of them is read."""
        return self.search.index.faults()

    def add(self, track_id: int, fingerprint: Fingerprint) -> None:
        """Make a track findable until the next `open`; the catalog does this by itself.

        Raises
        ------
        ValueError
            When the fingerprint was made by another identifier or model, or is damaged.
        """
        from songid_desktop.neural.vectors import unpack

        if (fingerprint.identifier, fingerprint.config_digest) != (self.name, self.config_digest):
            raise ValueError(
                f"a fingerprint of {fingerprint.identifier} {fingerprint.config_digest} "
                f"does not fit {self.name} {self.config_digest}"
            )
        vectors = unpack(fingerprint.payload)
        if vectors.values.shape[1] != self.model.dim:
            raise ValueError(f"its vectors have {vectors.values.shape[1]} numbers")
        self.search.index.add(track_id, vectors)

    def remove(self, track_id: int) -> None:
        if self._search is not None:
            self._search.index.remove(track_id)

    # -- answering ------------------------------------------------------------------------------

    @property
    def min_clip_s(self) -> float:
        """The shortest clip that is looked at."""
        window_s = self.model.front_end.window_s
        return window_s if self.model.retrieval == "sequence" else min(1.0, window_s)

    def identify(
        self, audio: AudioBlock, top: int = 5, cancel: CancelToken | None = None
    ) -> Identification:
        """Name what is heard in `audio`; never raises for bad sound.

        Raises
        ------
        ModelError
            The model's files can't be used.
        """
        began = time.perf_counter()
        if audio.duration_s < self.min_clip_s:
            return self._too_short(audio)
        if not self.track_count:
            verdict = Verdict.EMPTY_CATALOG
            message = "Your library has no tracks to compare with yet. Add a music folder first."
        else:
            try:
                return self._identify(audio, top, cancel, began)
            except Cancelled:
                verdict, message = Verdict.CANCELLED, "The identification was cancelled."
        total_ms = (time.perf_counter() - began) * 1e3
        return Identification(
            verdict,
            self.name,
            message=message,
            heard_s=audio.duration_s,
            timings=Timings(total_ms=total_ms),
        )

    def _too_short(self, audio: AudioBlock) -> Identification:
        unit = "second" if self.min_clip_s == 1.0 else "seconds"
        message = (
            f"Only {audio.duration_s:.1f} seconds were heard. "
            f"At least {self.min_clip_s:.3g} {unit} of sound is needed."
        )
        return Identification(
            Verdict.NOT_ENOUGH_AUDIO, self.name, message=message, heard_s=audio.duration_s
        )

    def _identify(
        self, audio: AudioBlock, top: int, cancel: CancelToken | None, began: float
    ) -> Identification:
        _look_at(cancel)
        samples = self.heard(audio)
        match_s = 0.0
        best: Ranking | None = None
        for start, stretch in self._stretches(samples):
            vectors = self.vectors(stretch, cancel)
            _look_at(cancel)
            if not len(vectors):  # a clock that rounds has left less than a window
                continue
            started = time.perf_counter()
            ranking = self.rank(vectors, len(stretch), start, cancel)
            match_s += time.perf_counter() - started
            if best is None or ranking.probability > best.probability:
                best = ranking
            if best.probability >= _ENOUGH:
                break
        if best is not None:
            best, ranking_s = self._transposed(best, samples, audio, cancel)
            match_s += ranking_s
        started = time.perf_counter()
        result = self._too_short(audio) if best is None else self.search.answer(best, top)
        match_s += time.perf_counter() - started
        total_s = time.perf_counter() - began
        return replace(
            result,
            heard_s=audio.duration_s,
            timings=Timings(0.0, (total_s - match_s) * 1e3, match_s * 1e3, total_s * 1e3),
        )

    def _transposed(
        self, plain: Ranking, samples: FloatArray, audio: AudioBlock, cancel: CancelToken | None
    ) -> tuple[Ranking, float]:
        """The ranking, or that of its stretch at another pitch where only that one answers; and how
        long the comparing took (s)."""
        front_end, best, match_s = self.model.front_end, plain, 0.0
        is_settled = plain.probability >= MATCH_AT or not plain.clip.sounding.any()
        is_settled = is_settled or not self._calibration.weights
        if is_settled or not follows_pitch(front_end) or not self._pace.is_due(audio):
            return plain, match_s
        start = round(plain.start_s * front_end.sample_rate)
        stretch = samples[start : start + round(plain.length_s * front_end.sample_rate)]
        for semitones in SEMITONES:
            vectors = self.vectors(stretch, cancel, 2.0 ** (semitones / 12.0))
            _look_at(cancel)
            started = time.perf_counter()
            ranking = self.search.rank(vectors, plain.length_s, plain.start_s, cancel, semitones)
            match_s += time.perf_counter() - started
            if ranking.probability > max(best.probability, UNSURE_AT):
                best = ranking
        if best is plain:
            self._pace.came_to_nothing(audio)
        return best, match_s

    def heard(self, audio: AudioBlock) -> FloatArray:
        """A clip as the model hears it: finite, at its rate."""
        return resample(finite(audio.samples), audio.sample_rate, self.model.front_end.sample_rate)

    def vectors(
        self, samples: FloatArray, cancel: CancelToken | None = None, pitch: float = 1.0
    ) -> FloatArray:
        """Vectors of a stretch at the model's rate, on all grids that it is looked at on; zeros
        for windows without sound (all silence is alike: it would be found wherever a track
        pauses). `pitch`: see `Embedder.of_samples`.

        Raises
        ------
        Cancelled
        ModelError
        """
        if self._own is None:
            from songid_desktop.neural.embedder import Embedder

            self._own = Embedder(self.place.path)
        phases = self.model.query_phases
        found = self._own.of_samples(samples, phases=phases, cancel=cancel, pitch=pitch)
        step = self.model.hop_s * self.model.front_end.sample_rate / phases
        found[~_sounding(samples, len(found), step, self.model.front_end.n_samples)] = 0.0
        return found

    def rank(
        self,
        vectors: FloatArray,
        n_samples: int,
        start: int = 0,
        cancel: CancelToken | None = None,
    ) -> Ranking:
        """Candidates for a stretch of `n_samples` that begins at sample `start` of its clip."""
        rate = self.model.front_end.sample_rate
        return self.search.rank(vectors, n_samples / rate, start / rate, cancel)

    def _stretches(self, samples: FloatArray) -> list[tuple[int, FloatArray]]:
        """Windows of the clip, with the sample each begins at."""
        window_s = max(WINDOW_S, self.model.front_end.window_s)
        window = round(window_s * self.model.front_end.sample_rate)
        # A little more than a window is not worth a second look.
        if len(samples) <= window * 1.1:
            return [(0, samples[:window])]
        spare = len(samples) - window
        count = min(_MOST_STRETCHES, 1 + -(-spare // window))
        starts = np.linspace(0, spare, count).astype(int).tolist()
        return [(start, samples[start : start + window]) for start in starts]


def _sounding(samples: FloatArray, count: int, step: float, width: int) -> npt.NDArray[np.bool_]:
    """Which of `count` windows of `width` samples, `step` apart, hold sound: more than a trace of
    what is above `_SILENCE` of the loudest sample."""
    size = np.abs(samples)
    is_heard = size > _SILENCE * size.max(initial=0.0)
    heard = np.append(0, np.cumsum(is_heard))
    first = np.minimum(np.round(np.arange(count) * step).astype(np.intp), len(samples))
    last = np.minimum(first + width, len(samples))
    return np.asarray(heard[last] - heard[first] > _TRACE * width)


def _look_at(cancel: CancelToken | None) -> None:
    if cancel is not None and cancel.is_set():
        raise Cancelled
