"""Clips for fitting a learned identifier's probability, and what looking for them came to."""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from songid_desktop.audio.decode import decode
from songid_desktop.audio.resample import resample
from songid_desktop.evaluate.clips import Surroundings, degrade, draw_start
from songid_desktop.evaluate.fit_library import Pool, Prints, keep_print
from songid_desktop.identify.neural import NeuralIdentifier
from songid_desktop.identify.neural_calibration import Lead
from songid_desktop.identify.neural_fingerprinter import NeuralFingerprinter, finite
from songid_desktop.identify.neural_search import NeuralSearch, Ranking
from songid_desktop.neural import sequence
from songid_desktop.neural.models import ModelPlace

CONDITIONS = ("clean", "white10", "white0", "room10", "room0", "room-5")
COPIES_AMONG = 6
"""First candidates of a look that are compared with the track left out."""


@dataclass(frozen=True, slots=True)
class Setting:
    """The model, the library, and the side of noise and rooms."""

    corpus: Path
    work: Path
    name: str
    place: ModelPlace
    index: Path
    split: str


@dataclass(frozen=True, slots=True)
class Row:
    """One look: what was asked under which condition, and what came first."""

    path: str
    first: str
    condition: str
    length_s: float
    is_enrolled: bool
    is_right: bool
    lead: Lead
    offset_error_s: float | None
    """None where another file came first."""
    is_among_five: bool = False


# -- library ------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=1)
def _maker(name: str, place: ModelPlace) -> NeuralFingerprinter:
    return NeuralFingerprinter(name, place)


def _enrol_one(job: tuple[str, ModelPlace, Path, Path]) -> None:
    name, place, source, target = job
    keep_print(_maker(name, place), source, target)


def prepare(setting: Setting, paths: Sequence[str], pool: Pool) -> Prints:
    """Fingerprint what is missing and save the index."""
    folder = setting.work / f"prints-{setting.place.digest()}"
    folder.mkdir(parents=True, exist_ok=True)
    prints = Prints(folder, paths)
    jobs = [(setting.name, setting.place, setting.corpus / p, prints.file(p)) for p in paths]
    for number, _ in enumerate(pool.map(_enrol_one, jobs, chunksize=2), start=1):
        if number % 50 == 0:
            print(f"{number} of {len(jobs)} enrolled", file=sys.stderr, flush=True)
    identifier = NeuralIdentifier(setting.name, setting.index, setting.place)
    identifier.open(prints)
    identifier.save()
    print(identifier.statistics(), file=sys.stderr)
    identifier.close()
    return prints


# -- looks --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Task:
    """Everything one process needs to make and look at the clips of one track."""

    setting: Setting
    prints: Prints
    path: str
    is_noise: bool
    lengths_s: tuple[float, ...]
    as_session: bool
    draw: int


@functools.lru_cache(maxsize=1)
def _identifier(setting: Setting, folder: Path, paths: tuple[str, ...]) -> NeuralIdentifier:
    identifier = NeuralIdentifier(setting.name, setting.index, setting.place)
    identifier.open(Prints(folder, paths))
    return identifier


def run_task(task: Task) -> list[Row]:
    """All looks of one track (or noise) and draw."""
    rng = np.random.default_rng([task.draw, *task.path.encode()])
    around = Surroundings(task.setting.corpus, task.setting.split)
    block = decode(task.setting.corpus / task.path)
    folder = task.prints.file("").parent
    identifier = _identifier(task.setting, folder, tuple(task.prints.paths))
    rows: list[Row] = []
    for condition in ("clean",) if task.is_noise else CONDITIONS:
        for longest in task.lengths_s[-1:] if task.as_session else task.lengths_s:
            count = min(round(longest * block.sample_rate), len(block.samples))
            start = draw_start(block.samples, count, rng)
            if start is None:
                continue
            clip = degrade(block, slice(start, start + count), condition, around, rng)
            rate = identifier.model.front_end.sample_rate
            low = resample(finite(clip), block.sample_rate, rate)
            shown = "noise" if task.is_noise else condition
            lengths = task.lengths_s if task.as_session else (longest,)
            for ranking, length_s in _looks(identifier, low, lengths):
                rows += _row(ranking, task, shown, length_s, start / block.sample_rate)
                rows += _left_out(identifier.search, ranking, task, shown, length_s)
    return rows


def _looks(
    identifier: NeuralIdentifier, samples: npt.NDArray[np.float32], lengths_s: Sequence[float]
) -> list[tuple[Ranking, float]]:
    """The clip from its beginning, as long as each of some lengths. Vectors of the beginning of a
    clip are the same whatever follows."""
    front_end, model = identifier.model.front_end, identifier.model
    vectors = identifier.vectors(samples)
    step = model.hop_s * front_end.sample_rate / model.query_phases
    found = []
    for length_s in lengths_s:
        wanted = round(length_s * front_end.sample_rate)
        if len(samples) < wanted - 2:
            continue
        count = max(1, int((wanted - front_end.n_samples) / step + 1e-9) + 1)
        found.append((identifier.rank(vectors[:count], wanted), length_s))
    return found


def _left_out(
    search: NeuralSearch, ranking: Ranking, task: Task, condition: str, length_s: float
) -> list[Row]:
    """What an enrolled track's look comes to without that track, and without its copies."""
    if not task.as_session or task.path not in task.prints.paths:
        return []
    own = task.prints.paths.index(task.path) + 1
    found = next((c for c in ranking.candidates if c.track_id == own), None)
    if found is None:
        return []
    copies = (
        c.track_id
        for c in ranking.candidates[:COPIES_AMONG]
        if c is not found
        and sequence.likeness(search.index, ranking.clip, found, c) >= search.twin_likeness
    )
    rest = search.without(ranking, {own, *copies})
    return [
        replace(row, is_enrolled=False, is_right=False, offset_error_s=None)
        for row in _row(rest, task, condition, length_s, 0.0)
    ]


def _row(
    ranking: Ranking, task: Task, condition: str, length_s: float, start_s: float
) -> list[Row]:
    """What one look came to, if there was anything to see."""
    names = task.prints.paths
    if ranking.lead is None:
        return []
    first = ranking.candidates[0]
    group = {first.track_id, *ranking.twins}
    five = [names[c.track_id - 1] for c in ranking.candidates[:5]]
    is_same_file = names[first.track_id - 1] == task.path
    return [
        Row(
            path=task.path,
            first=names[first.track_id - 1],
            condition=condition,
            length_s=length_s,
            is_enrolled=task.path in names,
            is_right=any(names[track_id - 1] == task.path for track_id in group),
            lead=ranking.lead,
            offset_error_s=first.offset_s - start_s if is_same_file else None,
            is_among_five=task.path in five,
        )
    ]
