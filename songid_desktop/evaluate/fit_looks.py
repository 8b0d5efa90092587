"""Looks that the probability is fitted on: clips of tracks and noises, asked for as a listening
session would, and what came first."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from songid_desktop.audio.decode import decode
from songid_desktop.audio.resample import resample
from songid_desktop.evaluate.clips import Surroundings, degrade, draw_start
from songid_desktop.evaluate.fit_library import Prints
from songid_desktop.evaluate.percussion import separate
from songid_desktop.identify.calibration import Lead
from songid_desktop.identify.landmark import LandmarkIdentifier, Ranking
from songid_desktop.landmark import evidence
from songid_desktop.landmark.config import LandmarkConfig
from songid_desktop.types import AudioBlock

CONDITIONS = ("clean", "white10", "white0", "room10", "room0", "room-5")
DRUMS = "drums"
"""What looks at other music with an enrolled track's drums go by, …"""
DRUM_CONDITIONS = ("clean", "white10", "room10")
"""… and how they are degraded."""
_DRUM_RATE = 22_050
_DRUM_S = 20.0
_DRUM_DB = 6.0
"""Drums are so much louder or quieter than the tones at most."""
COPIES_AMONG = 8
"""First candidates of a look that are compared with the track left out."""


@dataclass(frozen=True, slots=True)
class Row:
    """One look: what was asked under which condition, and what came first."""

    path: str
    first: str
    """The track that came first."""
    condition: str
    length_s: float
    is_enrolled: bool
    is_right: bool
    lead: Lead
    offset_error_s: float | None
    """None where another file came first."""


@dataclass(frozen=True, slots=True)
class Task:
    """Everything one process needs to make and look at the clips of one track."""

    corpus: Path
    index: Path
    prints: Prints
    split: str
    path: str
    is_noise: bool
    lengths_s: tuple[float, ...]
    as_session: bool
    draw: int
    drums_of: str = ""
    """An enrolled track whose drums play under the tones of `path`: other music made of the same
    samples, which must not be taken for that track."""


@functools.lru_cache(maxsize=1)
def _identifier(index: Path, prints_key: tuple[Path, tuple[str, ...]]) -> LandmarkIdentifier:
    identifier = LandmarkIdentifier(index)
    identifier.open(Prints(prints_key[0], prints_key[1]))
    return identifier


def run_task(task: Task) -> list[Row]:
    """All looks of one track (or noise) and draw."""
    rng = np.random.default_rng([task.draw, *task.path.encode()])
    around = Surroundings(task.corpus, task.split)
    block = _under_other_drums(task, rng) if task.drums_of else decode(task.corpus / task.path)
    key = (task.prints.file("").parent, tuple(task.prints.paths))
    identifier = _identifier(task.index, key)
    rows: list[Row] = []
    for condition in _conditions(task):
        for longest in task.lengths_s[-1:] if task.as_session else task.lengths_s:
            count = min(round(longest * block.sample_rate), len(block.samples))
            start = draw_start(block.samples, count, rng)
            if start is None:
                continue
            clip = degrade(block, slice(start, start + count), condition, around, rng)
            low = resample(clip, block.sample_rate, identifier.config.peaks.sample_rate)
            for length_s in task.lengths_s if task.as_session else (longest,):
                wanted = round(length_s * identifier.config.peaks.sample_rate)
                if len(low) < wanted - 2:
                    continue
                ranking = identifier.rank(low[:wanted])
                shown = _shown(task, condition)
                rows += _row(ranking, task, shown, length_s, start / block.sample_rate)
                rows += _left_out(identifier, ranking, task, shown, length_s)
    return rows


def _conditions(task: Task) -> tuple[str, ...]:
    if task.drums_of:
        return DRUM_CONDITIONS
    return ("clean",) if task.is_noise else CONDITIONS


def _shown(task: Task, condition: str) -> str:
    if task.drums_of:
        return DRUMS
    return "noise" if task.is_noise else condition


def _under_other_drums(task: Task, rng: np.random.Generator) -> AudioBlock:
    """A stretch of the track's tones with a stretch of another one's drums."""
    count = round(_DRUM_S * _DRUM_RATE)
    parts = []
    for path, which in ((task.path, 0), (task.drums_of, 1)):
        whole = decode(task.corpus / path, _DRUM_RATE).samples
        start = draw_start(whole, count, rng) or 0
        part = separate(whole[start : start + count], _DRUM_RATE)[which]
        parts.append(part / max(float(np.sqrt(np.mean(part**2))), 1e-6) / 10.0)
    tones, drums = (part[: min(map(len, parts))] for part in parts)
    louder = np.float32(10.0 ** (rng.uniform(-_DRUM_DB, _DRUM_DB) / 20.0))
    return AudioBlock(np.asarray(tones + louder * drums, np.float32), _DRUM_RATE)


def _left_out(
    identifier: LandmarkIdentifier, ranking: Ranking, task: Task, condition: str, length_s: float
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
        if c is not found and evidence.are_twins(found, c, ranking.clip.n_frames)
    )
    rest = identifier.without(ranking, {own, *copies})
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
    is_same_file = names[first.track_id - 1] == task.path
    error_s = first.offset_frames * LandmarkConfig().peaks.frame_s - start_s
    return [
        Row(
            path=task.path,
            first=names[first.track_id - 1],
            condition=condition,
            length_s=length_s,
            is_enrolled=task.path in names,
            is_right=any(names[track_id - 1] == task.path for track_id in group),
            lead=ranking.lead,
            offset_error_s=error_s if is_same_file else None,
        )
    ]
