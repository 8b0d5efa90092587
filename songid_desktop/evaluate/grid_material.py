"""What the grid is made of: which tracks, and for each one survey of its spectrogram, shared by
every cell, and the clips to ask for. Kept in a folder, so that an interrupted run goes on.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from songid_desktop.audio.decode import decode
from songid_desktop.errors import AudioFileError, UsageError
from songid_desktop.evaluate import conditions
from songid_desktop.evaluate.clips import draw_start, read_table
from songid_desktop.evaluate.parallel import run_tasks
from songid_desktop.evaluate.surroundings import Scene
from songid_desktop.landmark.report import Maxima, ReportConfig, Survey, survey_blocks
from songid_desktop.types import AudioBlock, CancelToken

NEVER_ENROLLED = ("absent", "validation_absent")
_MAXIMA = ("frame", "bin", "height_db")


@dataclass(frozen=True, slots=True)
class Choice:
    """Tracks of a grid, as paths below `folder`; queries are among the tracks."""

    folder: Path
    tracks: tuple[str, ...]
    queries: tuple[str, ...]


def choose(folder: Path, n_tracks: int | None, n_queries: int | None, seed: int) -> Choice:
    """Draw `n_tracks` (None: all) of a folder, those that may be asked for first.

    With a ``manifest.csv``, `query` tracks are asked for and absent ones left out; without, any
    track may be asked for.

    Raises
    ------
    UsageError
        When the folder is not there or has no music.
    """
    askable, others = _listed(folder)
    if not askable:
        raise UsageError(f"The folder {folder} holds no tracks to ask for.")
    rng = conditions.generator(seed, "grid")
    shuffled = [askable[i] for i in rng.permutation(len(askable))]
    others = [others[i] for i in rng.permutation(len(others))]
    tracks = tuple([*shuffled, *others][:n_tracks])
    return Choice(folder, tracks, tuple(track for track in shuffled if track in tracks)[:n_queries])


def _listed(folder: Path) -> tuple[list[str], list[str]]:
    """Tracks that may be asked for, and others that stand beside them."""
    from songid_desktop.catalog.scan import walk

    if not folder.is_dir():
        raise UsageError(f"There is no folder {folder}.")
    manifest = folder / "manifest.csv"
    if not manifest.is_file():
        found = [item.path for item in walk([folder]) if item.problem is None]
        root = folder.absolute()
        return sorted(str(path.relative_to(root)) for path in found), []
    rows = [row for row in read_table(manifest) if (folder / row["path"]).is_file()]
    askable = [row["path"] for row in rows if row["role"] == "query"]
    asked = {"query", *NEVER_ENROLLED}
    return sorted(askable), sorted(row["path"] for row in rows if row["role"] not in asked)


@dataclass(frozen=True, slots=True)
class Asked:
    """One clip: of which track, how long, under which condition, the how manieth, and where it is
    kept."""

    path: str
    length_s: float
    condition: str
    draw: int
    file: Path


@dataclass(frozen=True, slots=True)
class Job:
    """Everything one process needs to survey one track and make its clips."""

    source: Path
    path: str
    survey: Path
    sizes: tuple[int, ...]
    asked: tuple[Asked, ...]
    scene: Scene
    seed: int

    @property
    def is_done(self) -> bool:
        return self.survey.is_file() and all(clip.file.is_file() for clip in self.asked)


@dataclass(slots=True)
class Material:
    """All that cells share; `folder` may serve other grids of the same music too.

    `missing` says of tracks that could not be decoded why.
    """

    choice: Choice
    folder: Path
    sizes: tuple[int, ...]
    """PNS that are surveyed for."""
    lengths_s: tuple[float, ...]
    conditions: tuple[str, ...]
    draws: int
    seed: int
    missing: dict[str, str] = field(default_factory=dict)

    def survey_file(self, path: str) -> Path:
        return self.folder / f"{file_name(path, self.sizes)}.survey.npz"

    def clip_file(self, *key: object) -> Path:
        return self.folder / f"{file_name(self.seed, *key)}.clip.npz"

    @property
    def asked(self) -> Iterator[Asked]:
        """Every clip, track by track."""
        for path in self.choice.queries:
            yield from self.clips_of(path)

    def clips_of(self, path: str) -> tuple[Asked, ...]:
        if path not in self.choice.queries:
            return ()
        return tuple(
            Asked(path, *key, self.clip_file(path, *key))
            for key in itertools.product(self.lengths_s, self.conditions, range(self.draws))
        )


def prepare(
    material: Material,
    scene: Scene,
    *,
    jobs: int,
    told: Callable[[int, int], None],
    cancel: CancelToken | None = None,
) -> None:
    """Survey the tracks and make the clips that are not there yet."""
    every = [
        Job(
            source=material.choice.folder / path,
            path=path,
            survey=material.survey_file(path),
            sizes=material.sizes,
            asked=material.clips_of(path),
            scene=scene,
            seed=material.seed,
        )
        for path in material.choice.tracks
    ]
    waiting = [job for job in every if not job.is_done]
    results = run_tasks(carry_out, waiting, jobs=jobs, cancel=cancel)
    for done, (path, problem) in enumerate(results, start=len(every) - len(waiting) + 1):
        told(done, len(every))
        if problem:
            material.missing[path] = problem


def carry_out(job: Job) -> tuple[str, str]:
    """Survey one track and cut its clips; its path, and a sentence when that failed."""
    try:
        track = decode(job.source)
    except AudioFileError as error:
        return job.path, str(error)
    for clip in job.asked:
        if not clip.file.is_file():
            _keep(clip.file, _cut(track, clip, job))
    if not job.survey.is_file():
        survey = survey_blocks([track], job.sizes, ReportConfig())
        numbers = [survey.loudest_db, survey.n_frames, survey.n_samples, survey.sample_rate]
        arrays = {
            f"{name}_{size}": getattr(found, name)
            for size, found in survey.maxima.items()
            for name in _MAXIMA
        }
        _keep(job.survey, {"median_db": survey.median_db, "numbers": np.array(numbers), **arrays})
    return job.path, ""


def _keep(file: Path, arrays: Mapping[str, Any]) -> None:
    """Write under another name first: what bears its name is whole."""
    temporary = file.with_suffix(".writing")
    with temporary.open("wb") as target:
        np.savez(target, **arrays)
    temporary.replace(file)


def _cut(track: AudioBlock, asked: Asked, job: Job) -> dict[str, npt.NDArray[Any]]:
    """One clip; empty where the track is too short or silent."""
    count = round(asked.length_s * track.sample_rate)
    key = (job.seed, job.path, asked.length_s, asked.draw)
    start = draw_start(track.samples, count, conditions.generator(*key, "start"))
    if start is None or len(track.samples) < count:
        audio, start_s = AudioBlock(np.zeros(0, np.float32), track.sample_rate), 0.0
    else:
        place = conditions.Stretch(track, start, asked.length_s, job.scene, key)
        clip = place.clip(conditions.parse(asked.condition))
        audio, start_s = clip.audio, clip.start_s
    numbers = np.array([audio.sample_rate, start_s])
    return {"samples": audio.samples, "numbers": numbers}


def load_clip(file: Path) -> tuple[AudioBlock, float] | None:
    """The clip and where in its track it begins (s); None where the track gave none."""
    with np.load(file) as stored:
        sample_rate, start_s = stored["numbers"].tolist()
        audio = AudioBlock(stored["samples"], int(sample_rate))
    return (audio, start_s) if len(audio.samples) else None


def load_survey(file: Path) -> Survey:
    """A kept survey."""
    with np.load(file) as stored:
        sizes = [int(name.split("_")[1]) for name in stored.files if name.startswith("frame_")]
        loudest_db, n_frames, n_samples, sample_rate = stored["numbers"].tolist()
        return Survey(
            maxima={
                size: Maxima(*(stored[f"{name}_{size}"] for name in _MAXIMA)) for size in sizes
            },
            median_db=stored["median_db"],
            loudest_db=loudest_db,
            n_frames=int(n_frames),
            n_samples=int(n_samples),
            sample_rate=int(sample_rate),
        )


def file_name(*parts: object) -> str:
    """A name for what belongs to `parts`, fit for any file system."""
    text = "\x1f".join(str(part) for part in parts)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:24]
