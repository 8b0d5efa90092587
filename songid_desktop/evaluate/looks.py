"""What a worker does: decode a track once, make its clips, ask the identifiers, judge the answers.

An identifier is only ever met through `types.Identifier`. A clip is made once for all of them.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from songid_desktop.audio.decode import decode, probe
from songid_desktop.audio.resample import resample
from songid_desktop.audio.ring import Ring
from songid_desktop.errors import AudioFileError
from songid_desktop.evaluate.clips import draw_start
from songid_desktop.evaluate.conditions import Condition, Stretch, generator, no_music, parse
from songid_desktop.evaluate.parallel import is_cancelled
from songid_desktop.evaluate.repeats import repeat_error_s
from songid_desktop.evaluate.results import GROWTH, SESSION, Record
from songid_desktop.evaluate.surroundings import Scene, stretch_of
from songid_desktop.identify import registry
from songid_desktop.identify.session import ListeningSession
from songid_desktop.paths import base_dir_paths
from songid_desktop.types import (
    AudioBlock,
    FingerprintChange,
    FingerprintReader,
    Identification,
    Identifier,
    Verdict,
)

if TYPE_CHECKING:
    from songid_desktop.catalog.fingerprints import CatalogReader

TOP = 20
"""Candidates asked for: the CMC curve goes to rank 20."""
SESSION_S = 15.0
SESSION_RATE_HZ = 48_000
MADE_RATE_HZ = 44_100
LONGEST_DECODED_S = 900.0
"""Of a longer track only so much, from a random place on, is decoded for one draw."""
SAME_PLACE_S = 0.25
"""An offset error beyond this is looked into: the track may repeat itself there."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What every task of a run shares; travels to the workers once a task.

    Attributes
    ----------
    instance : Path
        Base folder of the catalog; `index_base` that of the indexes, where they are others.
    names : mapping of int to str
        Track number to path, relative to `root`.
    groups : mapping of str to int
        Twin group of those paths that have one.
    subset : frozenset of int, or None
        Track numbers that can be found; None for all.
    catalog_tracks : int
        How many can be found.
    """

    root: Path
    absent_root: Path
    instance: Path
    index_base: Path
    names: Mapping[int, str]
    groups: Mapping[str, int]
    scene: Scene
    seed: int
    build: str
    subset: frozenset[int] | None = None
    catalog_tracks: int = 0


@dataclass(frozen=True, slots=True)
class Task:
    """Clips of one track (or background, or what is made) and draw.

    `cells` are condition, length and the identifiers to ask.
    """

    setting: Setting
    kind: str
    track: str
    draw: int
    is_enrolled: bool
    cells: tuple[tuple[str, float, tuple[str, ...]], ...]


class PartReader:
    """A catalog's reader that knows some tracks only."""

    def __init__(self, reader: CatalogReader, tracks: frozenset[int]) -> None:
        self._reader = reader
        self._tracks = tracks

    def catalog_id(self) -> str:
        return self._reader.catalog_id()

    def revision(self) -> int:
        return self._reader.revision()

    def changes(
        self, identifier: str, config_digest: str, since_revision: int
    ) -> Iterator[FingerprintChange]:
        for change in self._reader.changes(identifier, config_digest, since_revision):
            if change.track_id in self._tracks:
                yield change

    def payload_part(
        self, identifier: str, config_digest: str, track_id: int, start: int, length: int
    ) -> bytes | None:
        if track_id not in self._tracks:
            return None
        return self._reader.payload_part(identifier, config_digest, track_id, start, length)

    def fingerprint_count(self, identifier: str, config_digest: str) -> int:
        del identifier, config_digest
        return len(self._tracks)


@functools.lru_cache(maxsize=8)
def open_identifier(
    name: str, instance: Path, index_base: Path, subset: frozenset[int] | None
) -> Identifier:
    """An identifier of this process, opened once."""
    from songid_desktop.catalog.catalog import Catalog

    catalog = Catalog.open(base_dir_paths(instance), create=False)
    whole = catalog.reader()
    identifier = registry.create(name, base_dir_paths(index_base))
    reader: FingerprintReader = whole if subset is None else PartReader(whole, subset)
    identifier.open(reader)
    return identifier


def identifier_of(setting: Setting, name: str) -> Identifier:
    """The warm identifier of a setting."""
    return open_identifier(name, setting.instance, setting.index_base, setting.subset)


def source_of(task: Task) -> Source | None:
    """Where the clips of a task come from; None where its track can't be read."""
    try:
        return Source(task)
    except AudioFileError:
        return None


def run_task(task: Task) -> list[Record]:
    """Every answer of a task; fewer when the run was cancelled meanwhile."""
    try:
        source = Source(task)
    except AudioFileError as error:
        return [replace(record, reason=error.problem.value) for record in _skipped(task)]
    records: list[Record] = []
    for condition_name, length_s, identifiers in task.cells:
        if is_cancelled():
            break
        condition = parse(condition_name)
        if task.kind == SESSION:
            records += _sessions(task, source, condition, identifiers)
        else:
            records += _clips(task, source, condition, length_s, identifiers)
    return records


def _skipped(task: Task) -> Iterator[Record]:
    for condition, length_s, identifiers in task.cells:
        for name in identifiers:
            yield _blank(task, condition, length_s, name)


def _blank(task: Task, condition: str, length_s: float, identifier: str) -> Record:
    setting = task.setting
    return Record(
        kind=task.kind,
        identifier=identifier,
        build=setting.build,
        condition=condition,
        length_s=length_s,
        track=task.track,
        draw=task.draw,
        catalog_tracks=setting.catalog_tracks if task.kind == GROWTH else 0,
        is_enrolled=task.is_enrolled,
    )


# -- clips --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Heard:
    """A clip, and where in its track it begins; None for what is no track."""

    audio: AudioBlock
    start_s: float | None


class Source:
    """Where the clips of one task come from: a track's places, a background, or nothing."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._setting = task.setting
        self._stretches: dict[float, Stretch | None] = {}
        self.track: AudioBlock | None = None
        if any(parse(name).is_music for name, _, _ in task.cells):
            self.track = _decoded(task)

    def heard(self, condition: Condition, length_s: float, band_hz: int | None) -> Heard | None:
        """The clip, None when the track has none of that length."""
        if self.track is None:
            return self._made(condition, length_s)
        stretch = self._stretch(self.track, length_s)
        if stretch is None:
            return None
        clip = stretch.clip(condition, band_hz)
        return Heard(clip.audio, clip.start_s + self.track.start_s)

    def _stretch(self, track: AudioBlock, length_s: float) -> Stretch | None:
        if length_s not in self._stretches:
            setting, task = self._setting, self._task
            key = (setting.seed, task.track, length_s, task.draw)
            count = round(length_s * track.sample_rate)
            start = None
            if count <= len(track.samples):
                start = draw_start(track.samples, count, generator(*key, "start"))
            self._stretches[length_s] = (
                None if start is None else Stretch(track, start, length_s, setting.scene, key)
            )
        return self._stretches[length_s]

    def _made(self, condition: Condition, length_s: float) -> Heard:
        task, seed = self._task, self._setting.seed
        key = (seed, task.track, condition.name, length_s, task.draw)
        if condition.family != "noise_only":
            return Heard(no_music(condition, length_s, MADE_RATE_HZ, key), None)
        sounds = {sound.name: sound for sound in self._setting.scene.backgrounds}
        count = round(length_s * MADE_RATE_HZ)
        noise = stretch_of(sounds[task.track], generator(*key), MADE_RATE_HZ, count)
        return Heard(AudioBlock(np.ascontiguousarray(noise), MADE_RATE_HZ), None)


def _decoded(task: Task) -> AudioBlock:
    """The track at its own rate, or a quarter of an hour of a very long one."""
    root = task.setting.root if task.is_enrolled else task.setting.absent_root
    path = root / task.track
    duration_s = probe(path).duration_s or 0.0
    if duration_s <= LONGEST_DECODED_S:
        return decode(path, length_s=2 * LONGEST_DECODED_S)
    rng = generator(task.setting.seed, task.track, task.draw, "part")
    start_s = float(rng.uniform(0.0, duration_s - LONGEST_DECODED_S))
    return decode(path, start_s=start_s, length_s=LONGEST_DECODED_S)


def _clips(
    task: Task,
    source: Source,
    condition: Condition,
    length_s: float,
    identifiers: tuple[str, ...],
) -> Iterator[Record]:
    shared: Heard | None = None
    for number, name in enumerate(identifiers):
        identifier = identifier_of(task.setting, name)
        if number == 0 or condition.needs_band:
            shared = source.heard(condition, length_s, identifier.sample_rate)
        blank = _blank(task, condition.name, length_s, name)
        if shared is None:
            yield replace(blank, reason="too_short")
            continue
        began = time.perf_counter()
        found = identifier.identify(shared.audio, TOP)
        took_ms = (time.perf_counter() - began) * 1e3
        judged = _judged(blank, task, found, shared, source.track)
        yield replace(judged, heard_s=length_s, took_ms=took_ms)


def _judged(
    blank: Record,
    task: Task,
    found: Identification,
    heard: Heard,
    track: AudioBlock | None,
) -> Record:
    """What an answer is worth."""
    setting = task.setting
    record = replace(
        blank,
        verdict=found.verdict.value,
        reason="" if found.reason is None else found.reason.value,
        rank=_right_rank(task, found),
        start_s=heard.start_s or 0.0,
        total_confidence=float(sum(match.confidence for match in found.matches)),
        looks=1,
    )
    best = found.best
    if best is None:
        return record
    record = replace(
        record,
        confidence=float(best.confidence),
        score=float(best.score),
        best=setting.names.get(best.track_id, f"track {best.track_id}"),
        offset_s=float(best.offset_s),
        speed=best.speed,
        pitch_semitones=best.pitch_semitones,
    )
    if record.best != task.track or heard.start_s is None or track is None:
        return record
    error_s: float | None = float(best.offset_s) - heard.start_s
    is_repeat = False
    if error_s is not None and abs(error_s) > SAME_PLACE_S:
        length_s = heard.audio.duration_s
        true_s, found_s = heard.start_s - track.start_s, float(best.offset_s) - track.start_s
        again_s = repeat_error_s(track, true_s, found_s, length_s)
        is_repeat = again_s is not None
        error_s = error_s if again_s is None else again_s
    return replace(record, offset_error_s=error_s, is_repeat=is_repeat)


def _right_rank(task: Task, found: Identification) -> int | None:
    """Rank of the first candidate that is the track or a twin of it."""
    setting = task.setting
    if not task.is_enrolled:
        return None
    group = setting.groups.get(task.track)
    for match in found.matches:
        name = setting.names.get(match.track_id, "")
        if name == task.track or (group is not None and setting.groups.get(name) == group):
            return match.rank
    return None


# -- sessions -----------------------------------------------------------------------------------


def _sessions(
    task: Task, source: Source, condition: Condition, identifiers: tuple[str, ...]
) -> Iterator[Record]:
    """Listening sessions, as the program holds them: looks until a match or 15 s are over."""
    heard = source.heard(condition, SESSION_S, None)
    for name in identifiers:
        blank = _blank(task, condition.name, SESSION_S, name)
        if heard is None:
            yield replace(blank, reason="too_short")
            continue
        yield _session(blank, task, heard, identifier_of(task.setting, name))


def _session(blank: Record, task: Task, heard: Heard, identifier: Identifier) -> Record:
    sound = resample(heard.audio.samples, heard.audio.sample_rate, SESSION_RATE_HZ)
    ring = Ring(SESSION_RATE_HZ, SESSION_S + 1.0)
    session = ListeningSession(ring, limit_s=len(sound) / SESSION_RATE_HZ, clock=lambda: 0.0)
    step = SESSION_RATE_HZ // 10
    record, was_unsure, looks = blank, False, 0
    began = time.perf_counter()
    for begin in range(0, len(sound), step):
        ring.write(sound[begin : begin + step])
        audio = session.due()
        if audio is None:
            continue
        found = identifier.identify(audio, 5)
        look = session.take(found, audio)
        looks += 1
        was_unsure = was_unsure or found.verdict is Verdict.UNSURE
        record = _judged(blank, task, found, Heard(audio, None), None)
        record = replace(record, heard_s=look.heard_s)
        if session.is_done or is_cancelled():
            break
    if was_unsure and record.verdict != Verdict.MATCH.value:
        record = replace(record, verdict=Verdict.UNSURE.value)
    took_ms = (time.perf_counter() - began) * 1e3
    return replace(record, looks=looks, took_ms=took_ms, start_s=heard.start_s or 0.0)
