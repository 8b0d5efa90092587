"""The vectors that the analyses look at: of stretches of tracks, and of degraded clips from inside
them, by one model after the other.

A stretch's vectors come from the catalog where the model has enrolled the track (of the measuring
run, or the user's own library), else they are made here. Either way they are kept in the folder by
model and track, so that a run that was stopped goes on, and a further model costs its own time
alone.
"""

from __future__ import annotations

import functools
import hashlib
import os
import zipfile
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from songid_desktop.audio.decode import decode, probe
from songid_desktop.audio.resample import resample
from songid_desktop.errors import AudioFileError, EnvironmentProblem
from songid_desktop.evaluate.clips import draw_start
from songid_desktop.evaluate.conditions import Condition, Stretch, generator
from songid_desktop.evaluate.embedding_figures import Query, Track, unit
from songid_desktop.evaluate.parallel import is_cancelled
from songid_desktop.evaluate.surroundings import Scene
from songid_desktop.paths import Paths
from songid_desktop.types import AudioBlock, FloatArray

_AROUND_S = 2.0
"""Decoded beside the stretch, so that resampling and reverberation have a past."""
_FORMAT = 1


class Encoder(Protocol):
    """A model that runs."""

    @property
    def sample_rate(self) -> int: ...

    @property
    def hop_s(self) -> float: ...

    def __call__(self, samples: FloatArray) -> FloatArray:
        """Vectors of samples at `sample_rate`, float32, shape (n, dim), each of length 1."""
        ...


@dataclass(frozen=True, slots=True)
class Source:
    """A model by name, how to start it, and what it has enrolled.

    `digest` names what it stores; `open` is called once a process, when the first vector is needed,
    and travels to worker processes; `stored` gives the payload of a track, None where it is not
    enrolled.
    """

    name: str
    digest: str
    open: Callable[[], Encoder]
    stored: Callable[[Path], bytes | None] = lambda _path: None


@dataclass(frozen=True, slots=True)
class Clips:
    """Which clips of every track are asked for, and around what they are heard."""

    conditions: tuple[Condition, ...]
    lengths_s: tuple[float, ...]
    scene: Scene
    seed: int
    stretch_s: float
    """Of every track so much is looked at; what is shorter is looked at whole."""

    def digest(self, root: Path) -> str:
        """Names everything that decides what a kept file holds, but model and track."""
        said = (
            _FORMAT,
            os.fsencode(root),
            [one.name for one in self.conditions],
            self.lengths_s,
            self.seed,
            self.stretch_s,
            [sound.name for sound in self.scene.backgrounds],
            [room.name for room in self.scene.rooms],
        )
        return hashlib.sha256(repr(said).encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class TrackVectors:
    """One track by one model, and its clips by length and condition; a clip that is shorter than
    the model's window has no vectors."""

    track: Track
    clips: Mapping[tuple[float, str], Query]


@dataclass(frozen=True, slots=True)
class Task:
    """One track for the models that have nothing kept of it. `payloads` are what the catalog has
    of it for each of `sources`."""

    folder: Path
    root: Path
    path: str
    clips: Clips
    sources: tuple[Source, ...]
    payloads: tuple[bytes | None, ...]


class Store:
    """Where vectors are kept: by what decides them, model and track."""

    def __init__(self, folder: Path, root: Path, clips: Clips) -> None:
        self.folder = folder / clips.digest(root)
        self._root, self._clips = root, clips

    def missing(self, path: str, sources: Sequence[Source]) -> Task | None:
        """What is still to be made of a track; None when nothing is."""
        open_ones = tuple(one for one in sources if self.read(path, one) is None)
        if not open_ones:
            return None
        payloads = tuple(one.stored(self._root / path) for one in open_ones)
        bare = tuple(replace(one, stored=nothing) for one in open_ones)
        return Task(self.folder, self._root, path, self._clips, bare, payloads)

    def read(self, path: str, source: Source) -> TrackVectors | None:
        """What was kept of a track; None where nothing was, or it can't be read."""
        keys = [(s, c.name) for s in self._clips.lengths_s for c in self._clips.conditions]
        try:
            with (
                _kept_path(self.folder, path, source).open("rb") as file,
                np.load(file, allow_pickle=False) as kept,
            ):
                times = kept["times"].reshape(-1, 2).tolist()
                rows = [kept["track"], *(kept[f"clip{number}"] for number in range(len(keys)))]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
            return None
        vectors = [unit(one.astype(np.float32)) for one in rows]
        queries = {
            key: Query(0, one, hop_s, start_s)
            for key, one, (hop_s, start_s) in zip(keys, vectors[1:], times[1:], strict=True)
        }
        return TrackVectors(Track(vectors[0], *times[0]), queries)


def _kept_path(folder: Path, path: str, source: Source) -> Path:
    name = hashlib.sha256(os.fsencode(path)).hexdigest()[:20]
    return folder / source.digest / f"{name}.npz"


def nothing(_path: Path) -> bytes | None:
    """What a model has stored that has stored nothing."""
    return None


_encoders: dict[str, Encoder] = {}
"""Of this process, which is a worker: models stay open from track to track."""


def make_in_worker(task: Task) -> None:
    """`make`, with the models of this process."""
    make(task, _encoders)


def make(task: Task, encoders: dict[str, Encoder]) -> None:
    """Make a track's vectors and keep them. Nothing is kept of one that can't be decoded, is too
    short for its clips, or was being made when the run was cancelled.

    Raises
    ------
    EnvironmentProblem
        The folder can't be written.
    """
    try:
        sound = _Sound.of(task.root / task.path, task.path, task.clips)
    except AudioFileError:
        return
    if sound is None:
        return
    for source, payload in zip(task.sources, task.payloads, strict=True):
        if source.digest not in encoders:
            encoders[source.digest] = source.open()
        made = _vectors_of(sound, task.clips, encoders[source.digest], payload)
        if made is not None:
            _keep(_kept_path(task.folder, task.path, source), made)


def _vectors_of(
    sound: _Sound, clips: Clips, encoder: Encoder, payload: bytes | None
) -> TrackVectors | None:
    track = _stored(sound, payload) or Track(
        _encoded(encoder, sound.stretch), encoder.hop_s, sound.stretch.start_s
    )
    queries: dict[tuple[float, str], Query] = {}
    for length_s in clips.lengths_s:
        for condition in clips.conditions:
            if is_cancelled():
                return None
            clip = sound.clip(length_s, condition, encoder.sample_rate)
            query = Query(0, _encoded(encoder, clip), encoder.hop_s, clip.start_s)
            queries[length_s, condition.name] = query
    return TrackVectors(track, queries) if len(track.vectors) else None


def _encoded(encoder: Encoder, block: AudioBlock) -> FloatArray:
    return encoder(resample(block.samples, block.sample_rate, encoder.sample_rate))


def _stored(sound: _Sound, payload: bytes | None) -> Track | None:
    """The stretch's part of what the catalog has of the track."""
    from songid_desktop.neural.vectors import unpack

    if payload is None:
        return None
    try:
        whole = unpack(payload)
    except ValueError:
        return None
    first = int(np.ceil((sound.stretch.start_s - whole.start_s) / whole.hop_s - 1e-6))
    count = int(sound.stretch.duration_s / whole.hop_s)
    first = max(0, first)
    rows = whole.as_float()[first : first + count]
    return Track(rows, whole.hop_s, whole.start_s + first * whole.hop_s) if len(rows) else None


def _keep(target: Path, made: TrackVectors) -> None:
    """Write the vectors in half precision, whole or not at all."""
    part = target.with_suffix(".part")
    arrays = {"track": made.track.vectors.astype(np.float16)}
    times = [made.track.hop_s, made.track.start_s]
    for number, query in enumerate(made.clips.values()):
        arrays[f"clip{number}"] = query.vectors.astype(np.float16)
        times += [query.hop_s, query.start_s]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            np.savez(file, allow_pickle=False, times=np.asarray(times), **arrays)
        part.replace(target)
    except OSError as error:
        raise EnvironmentProblem(
            f"{target.parent} can't be written ({error.strerror or error}). What was done is "
            "kept; make room, then give the same command again."
        ) from error


class _Sound:
    """A decoded stretch of a track, and its clips."""

    def __init__(self, path: Path, name: str, block: AudioBlock, begin: int, clips: Clips) -> None:
        self.path = path
        self._name, self._block, self._clips = name, block, clips
        count = min(round(clips.stretch_s * block.sample_rate), len(block.samples) - begin)
        self.stretch = AudioBlock(
            block.samples[begin : begin + count], block.sample_rate, block.start_sample + begin
        )
        self._begin = begin
        self._stretches: dict[float, Stretch] = {}

    @staticmethod
    def of(path: Path, name: str, clips: Clips) -> _Sound | None:
        """Decode; None where the longest clip does not fit."""
        rng = generator(clips.seed, name, "stretch")
        whole_s = probe(path).duration_s or 0.0
        from_s = float(rng.uniform(0.0, max(0.0, whole_s - clips.stretch_s)))
        begin_s = max(0.0, from_s - _AROUND_S)
        block = decode(path, start_s=begin_s, length_s=clips.stretch_s + 2 * _AROUND_S)
        begin = round(from_s * block.sample_rate) - block.start_sample
        sound = _Sound(path, name, block, max(0, begin), clips)
        starts = [sound._start(length_s) for length_s in clips.lengths_s]
        return None if None in starts else sound

    def _start(self, length_s: float) -> int | None:
        count = round(length_s * self._block.sample_rate)
        if count > len(self.stretch.samples):
            return None
        key = (self._clips.seed, self._name, length_s, 0)
        start = draw_start(self.stretch.samples, count, generator(*key, "start"))
        if start is None:
            return None
        place = self._begin + start
        self._stretches[length_s] = Stretch(self._block, place, length_s, self._clips.scene, key)
        return start

    def clip(self, length_s: float, condition: Condition, band_hz: int) -> AudioBlock:
        """A clip; its `start_s` is where in the track it begins."""
        made = self._stretches[length_s].clip(condition, band_hz)
        start_s = made.start_s + self._block.start_s
        return replace(made.audio, start_sample=round(start_s * made.audio.sample_rate))


# -- the models that there are ---------------------------------------------------------------------


class _Neural:
    """An `Encoder` of the neural room."""

    def __init__(self, path: Path) -> None:
        from songid_desktop.neural.embedder import Embedder

        self._embedder = Embedder(path, threads=1)  # tracks run side by side
        self.sample_rate = self._embedder.model.front_end.sample_rate
        self.hop_s = self._embedder.model.hop_s

    def __call__(self, samples: FloatArray) -> FloatArray:
        return unit(self._embedder.of_samples(samples))


def source_of(
    name: str, paths: Paths, catalogs: Sequence[Paths], wanted: Collection[Path]
) -> Source:
    """The model called `name` (see `neural.models.find`), with what the catalogs have of the
    wanted tracks.

    Raises
    ------
    UsageError
        When there is none, or it is not installed.
    """
    from songid_desktop.errors import UsageError
    from songid_desktop.neural.models import every, find

    place = find(name, paths)
    if place is None:
        known = ", ".join(one.key for one in every(paths))
        raise UsageError(
            f"There is no model called “{name}”. There are: {known}; or the path of a weights "
            "file or of a checkpoint's folder."
        )
    if not place.is_installed:
        raise UsageError(f"The model “{name}” can't run here. {place.needs}")
    digest, path = place.digest(), place.path
    payloads = _Payloads(place.key, digest, catalogs, wanted)
    return Source(place.label, digest, functools.partial(_Neural, path), payloads.of)


class _Payloads:
    """Stored fingerprints of one model, by path, read when first asked for."""

    def __init__(
        self, identifier: str, digest: str, catalogs: Sequence[Paths], wanted: Collection[Path]
    ) -> None:
        self._identifier, self._digest, self._catalogs = identifier, digest, catalogs
        self._wanted = {os.path.abspath(path) for path in wanted}  # noqa: PTH100 - keeps links
        self._found: dict[str, bytes] | None = None

    def of(self, path: Path) -> bytes | None:
        if self._found is None:
            self._found = {}
            for paths in self._catalogs:
                if paths.catalog.exists():
                    self._read(paths, self._found)
        return self._found.get(os.path.abspath(path))  # noqa: PTH100 - keeps links as they are

    def _read(self, paths: Paths, found: dict[str, bytes]) -> None:
        from songid_desktop.catalog.catalog import Catalog

        with Catalog.open(paths, create=False) as catalog:
            locations = {track.track_id: track.locations for track in catalog.tracks()}
            for change in catalog.reader().changes(self._identifier, self._digest, 0):
                if change.fingerprint is not None:
                    for place in locations.get(change.track_id, ()):
                        if str(place) in self._wanted:
                            found.setdefault(str(place), change.fingerprint.payload)
