"""How good the present weights are: degraded clips of held-out tracks looked for in a catalog.

The catalog holds the validation tracks and some training tracks, the clips are heard in rooms and
backgrounds that the training never uses. In-batch accuracy is no guide: it rises where this falls.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from songid_desktop.neural.config import Model
from songid_desktop.train.batches import SILENT_RMS, TrainingFront
from songid_desktop.train.config import Check, Degrade
from songid_desktop.train.data import Music, Track
from songid_desktop.train.degrade import PAST_S, Around, Degrader
from songid_desktop.types import FloatArray

Encode = Callable[[FloatArray], FloatArray]
"""Encoder inputs, shape (n, *input_shape), to vectors (n, dim)."""

_LISTENING = Degrade(
    room_p=1.0,
    room_shorter_p=0.0,
    noise_p=1.0,
    white_share=0.0,
    speed_p=0.0,
    pitch_p=0.0,
    phone_p=0.0,
    band_p=0.0,
    overdrive_p=0.0,
    compress_p=0.0,
    gain_p=0.0,
)
_FEW = 48
"""Windows encoded at once: more leave the processor's cache."""


@dataclass(frozen=True, slots=True)
class Figure:
    """Share of the clips whose track came first, for each level and for clean clips; `mean` (over
    all but clean) is what models are chosen by."""

    by_level: dict[str, float]
    mean: float


class Judge:
    """Asks the same questions at every check.

    Parameters
    ----------
    music : Music
    around : Around
        Rooms whose spectra fit the *clips* (`clip_samples`).
    model : Model
    check : Check
    seed : int
    """

    def __init__(self, music: Music, around: Around, model: Model, check: Check, seed: int) -> None:
        self._music = music
        self._model = model
        self._front = TrainingFront(model.front_end)
        rng = np.random.default_rng([seed, 4242])
        tracks = music.part("validation") or music.part("train")[:50]
        others = [track for track in music.part("train") if track not in tracks]
        step = max(1, len(others) // max(1, check.distractors))
        longest = round(check.most_s * music.sample_rate)
        self._catalog = [*tracks, *others[::step][: check.distractors]]
        self._longest = longest
        self._clips, self._answers = self._draw(tracks, around, check, rng)

    def _draw(
        self, tracks: tuple[Track, ...], around: Around, check: Check, rng: np.random.Generator
    ) -> tuple[dict[str, FloatArray], npt.NDArray[np.int64]]:
        rate = self._music.sample_rate
        count = max(round(check.length_s * rate), self._model.front_end.n_samples)
        past = round(PAST_S * rate)
        listening = Degrader(_LISTENING, around, rate, count)
        stretches, answers = [], []
        for number in range(check.queries):
            which = number % len(tracks)
            samples = self._music.of(tracks[which])[: self._longest]
            for _ in range(20):
                start = int(rng.integers(max(1, len(samples) - count)))
                piece = samples[start : start + count].astype(np.float32)
                if len(piece) and float(np.sqrt(np.mean(piece**2))) > SILENT_RMS:
                    break
            whole = np.zeros(listening.stretch_samples, np.float32)
            first = start - past
            begin, end = max(0, first), min(len(samples), first + len(whole))
            whole[begin - first : end - first] = samples[begin:end]
            stretches.append(whole / 32768.0)
            answers.append(which)
        music = np.array(stretches, np.float32)
        clips = {"clean": music[:, past : past + count]}
        for level_db in check.noise_db:
            config = replace(_LISTENING, noise_db=(level_db, level_db))
            heard = Degrader(config, around, rate, count)
            clips[f"room{level_db:g}"] = heard.replicas(music, np.random.default_rng([7, 7]))
        return clips, np.array(answers)

    def ask(self, encode: Encode) -> Figure:
        """Retrieve all clips with an encoder."""
        vectors, track_of = self._enrol(encode)
        by_level = {}
        for name, clips in self._clips.items():
            found = [self._best(vectors, track_of, query) for query in self._queries(clips, encode)]
            by_level[name] = float(np.mean(np.array(found) == self._answers))
        levels = [value for name, value in by_level.items() if name != "clean"]
        return Figure(by_level, float(np.mean(levels or list(by_level.values()))))

    @property
    def _hop(self) -> int:
        return round(self._model.hop_s * self._music.sample_rate)

    def _encode(self, pictures: FloatArray, encode: Encode) -> FloatArray:
        parts = [
            encode(self._front.normalised(pictures[at : at + _FEW]))
            for at in range(0, len(pictures), _FEW)
        ]
        return np.concatenate(parts)

    def _enrol(self, encode: Encode) -> tuple[FloatArray, npt.NDArray[np.int64]]:
        vectors, numbers = [], []
        for number, track in enumerate(self._catalog):
            samples = self._music.of(track)[: self._longest].astype(np.float32)
            pictures = self._front.stream(samples / np.float32(32768.0), self._hop)
            vectors.append(self._encode(pictures, encode))
            numbers.append(np.full(len(pictures), number))
        return np.concatenate(vectors), np.concatenate(numbers)

    def _queries(self, clips: FloatArray, encode: Encode) -> list[list[FloatArray]]:
        """Vectors of every clip, a block for each phase."""
        phases = self._model.query_phases
        pictures: list[FloatArray] = []
        for clip in clips:
            for phase in range(phases):
                late = clip[phase * self._hop // phases :]
                is_long = len(late) >= self._model.front_end.n_samples
                if is_long or phase == 0:
                    pictures.append(self._front.stream(late, self._hop))
                else:
                    pictures.append(pictures[-1][:0])
        vectors = self._encode(np.concatenate(pictures), encode)
        blocks = np.split(vectors, np.cumsum([len(block) for block in pictures])[:-1])
        return [
            [block for block in blocks[at : at + phases] if len(block)]
            for at in range(0, len(blocks), phases)
        ]

    def _best(
        self, vectors: FloatArray, track_of: npt.NDArray[np.int64], query: list[FloatArray]
    ) -> int:
        """The track with the highest mean cosine along one diagonal."""
        best, score = -1, -np.inf
        if self._model.retrieval == "clip":
            query = [np.concatenate(query).mean(axis=0, keepdims=True)]
        for phase in query:
            length = len(phase)
            similarity = vectors @ phase.T
            rows = len(vectors) - length + 1
            if rows < 1:
                continue
            mean = sum(similarity[at : at + rows, at] for at in range(length)) / length
            inside = track_of[:rows] == track_of[length - 1 :]
            mean = np.where(inside, mean, -np.inf)
            place = int(np.argmax(mean))
            if mean[place] > score:
                best, score = int(track_of[place]), float(mean[place])
        return best
