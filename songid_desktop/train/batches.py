"""Batches of pairs: what a step learns from, a function of the seed and the step's number alone.

So a training that goes on after an interruption sees what it would have seen, whatever the number
of worker processes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from songid_desktop.neural.config import FrontEnd
from songid_desktop.neural.front import front_of, inputs
from songid_desktop.train.augment import mask_frames, standardised
from songid_desktop.train.config import Train
from songid_desktop.train.data import Music, Track
from songid_desktop.train.degrade import PAST_S, Around, Degrader
from songid_desktop.train.scenery import read_around
from songid_desktop.types import FloatArray

SILENT_RMS = 60.0
"""Of a 16-bit window: -55 dB. Nothing can be learned from silence."""
_TRIES = 8
_FROM_GROUP = 12
"""Most tracks that one album gives where a batch is drawn from albums."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Pairs.

    Attributes
    ----------
    anchors, replicas : float16 array, shape (n, *front_end.input_shape)
        The clean window and its degraded one.
    labels : int array, shape (n,)
        Number of the track among the training tracks.
    """

    anchors: npt.NDArray[np.float16]
    replicas: npt.NDArray[np.float16]
    labels: npt.NDArray[np.int64]


class TrainingFront:
    """Windows of sound to what the encoder looks at, with room for masks in between."""

    def __init__(self, front_end: FrontEnd) -> None:
        self.front_end = front_end
        self.has_frames = front_end.kind == "logmel"
        """Only these can be masked; the others go to the encoder as its pretraining had them."""
        plain = replace(front_end, standardise=False, mean=0.0, deviation=1.0)
        self._front = front_of(plain if self.has_frames else front_end)

    def frames(self, sound: FloatArray) -> FloatArray:
        """Windows, shape (n, n_samples), to pictures that are not normalised yet."""
        return self._front.of_windows(sound)

    def stream(self, sound: FloatArray, hop: int) -> FloatArray:
        """Pictures of a clip's overlapping windows, not normalised; shape (n, *input_shape)."""
        if len(sound) < self.front_end.n_samples:
            # What is shorter than a window ends in silence, as in use.
            sound = np.pad(sound, (0, self.front_end.n_samples - len(sound)))
        starts = np.arange(0, len(sound) - self.front_end.n_samples + 1, hop)
        return inputs(self._front, sound, starts)

    def normalised(self, frames: FloatArray) -> FloatArray:
        """Pictures as the encoder takes them."""
        front = self.front_end
        if not self.has_frames:
            return frames
        if front.standardise:
            return standardised(frames)
        return np.asarray((frames - front.mean) / front.deviation, np.float32)


class Batches:
    """Makes batch after batch.

    Parameters
    ----------
    music : Music
    around : Around
        Rooms and backgrounds at the music's rate.
    train : Train
    front_end : FrontEnd
    """

    def __init__(self, music: Music, around: Around, train: Train, front_end: FrontEnd) -> None:
        self._train = train
        self._music = music
        self._front = TrainingFront(front_end)
        self._rate = music.sample_rate
        self._window = front_end.n_samples
        self._degrader = Degrader(train.degrade, around, music.sample_rate, self._window)
        self._past = round(PAST_S * self._rate)
        self.tracks = music.part("train")
        lengths = np.array([track.count for track in self.tracks], np.float64)
        self._weight_log = 0.5 * np.log(lengths)
        names = sorted({track.group for track in self.tracks})
        places = {name: number for number, name in enumerate(names)}
        groups = np.array([places[track.group] for track in self.tracks])
        self._groups = [np.flatnonzero(groups == number) for number in range(len(names))]

    def make(self, step: int) -> Batch:
        """The batch of one step."""
        rng = np.random.default_rng([self._train.seed, step])
        chosen = self._choose(rng)
        anchors = np.empty((len(chosen), self._window), np.float32)
        music = np.empty((len(chosen), self._degrader.stretch_samples), np.float32)
        for row, number in enumerate(chosen):
            anchors[row], music[row] = self._cut(self.tracks[number], rng)
        replicas = self._degrader.replicas(music, rng)
        clean = self._front.frames(anchors)
        heard = self._front.frames(replicas)
        if self._front.has_frames:
            heard = mask_frames(heard, self._train.masks, rng)
            if self._train.masks.anchors_too:
                clean = mask_frames(clean, self._train.masks, rng)
        return Batch(
            self._front.normalised(clean).astype(np.float16),
            self._front.normalised(heard).astype(np.float16),
            np.asarray(chosen, np.int64),
        )

    def _choose(self, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        """Tracks of a batch, each once where there are enough; long ones somewhat more often."""
        batch, total = self._train.batch, len(self.tracks)
        keys = self._weight_log + rng.gumbel(size=total)
        together = round(self._train.group_share * batch)
        if together:
            taken = 0
            for number in rng.permutation(len(self._groups)):
                members = self._groups[number]
                some = members[np.argsort(-keys[members])[:_FROM_GROUP]]
                keys[some] += 1e3
                taken += len(some)
                if taken >= together:
                    break
        order = np.argsort(-keys)[:batch]
        if len(order) < batch:
            order = np.concatenate((order, rng.integers(total, size=batch - len(order))))
        return np.asarray(order, np.int64)

    def _cut(self, track: Track, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        """The anchor's window and the stretch that its replica is made from."""
        samples = self._music.of(track)
        shift = round(self._train.degrade.shift_s * self._rate)
        room = len(samples) - self._window
        start = 0
        for _ in range(_TRIES):
            start = int(rng.integers(max(1, room)))
            piece = samples[start : start + self._window].astype(np.float32)
            if float(np.sqrt(np.mean(piece**2))) > SILENT_RMS:
                break
        if self._train.degrade.positives == "same_track":
            other = int(rng.integers(max(1, room)))
        else:
            other = start + int(rng.integers(-shift, shift + 1))
        first = other - self._past
        whole = np.zeros(self._degrader.stretch_samples, np.float32)
        begin, end = max(0, first), min(len(samples), first + len(whole))
        whole[begin - first : end - first] = samples[begin:end]
        anchor = np.zeros(self._window, np.float32)
        anchor[: len(piece)] = piece
        return anchor / np.float32(32768.0), whole / np.float32(32768.0)


# -- in worker processes --------------------------------------------------------------------------

_worker: Batches | None = None


def start_worker(
    sound: Path, music: Music, around_file: Path, train: Train, front_end: FrontEnd
) -> None:
    """Make this process ready: the music is mapped, the rooms are read."""
    import signal
    import threading

    global _worker  # noqa: PLW0603 - a pool's worker has no other place for what it keeps
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the training ends its workers itself
    threading.Thread(target=_end_with_parent, daemon=True).start()
    mapped = Music(
        np.memmap(sound, np.int16, mode="r"), music.tracks, music.sample_rate, music.digest
    )
    _worker = Batches(mapped, read_around(around_file), train, front_end)


def _end_with_parent() -> None:
    """A training that was killed can't end its workers any more."""
    import multiprocessing
    import os
    from multiprocessing.connection import wait

    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def make_in_worker(step: int) -> Batch:
    """`Batches.make` of the worker's own."""
    if _worker is None:
        raise RuntimeError("the worker was not started with its music")
    return _worker.make(step)
