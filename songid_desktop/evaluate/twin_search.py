"""Twins of a plan's tracks: envelopes computed once a track and kept, groups by the rule of
`twins`; and indexes of parts of a catalog."""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from songid_desktop.evaluate.looks import PartReader, Setting
from songid_desktop.evaluate.parallel import run_tasks
from songid_desktop.evaluate.plan import Plan
from songid_desktop.evaluate.results import RunFolder
from songid_desktop.evaluate.twins import (
    TWIN_ALIKE,
    Likeness,
    find_likenesses,
    groups_of,
    track_changes,
)
from songid_desktop.types import CancelToken, FloatArray

_KEPT = "changes"
_ASKED_AT_ONCE = 12
_EMPTY_BYTES = 128
"""What a stored array of no frames takes."""
_RULE = f"rule 1, {TWIN_ALIKE}"
"""Part of the name of kept pairs: another rule finds other pairs."""
_ABSENT = "absent\x1f"
LISTED = "twins.tsv"
"""Beside the music: paths that are one recording, a group a line, with tabs between them. What the
rule can't know (mixes of one take, songs made of the same samples) is said there."""


@dataclass(frozen=True, slots=True)
class Twins:
    """Twin group of every enrolled track that has one, and the absent tracks that have a twin in
    the catalog: they are not absent."""

    groups: dict[str, int]
    not_absent: frozenset[str]
    likenesses: tuple[Likeness, ...] = ()
    """What it rests on, for the report."""

    def as_lists(self) -> list[list[str]]:
        members: dict[int, list[str]] = {}
        for name, group in sorted(self.groups.items()):
            members.setdefault(group, []).append(name)
        return [names for names in members.values() if len(names) > 1]


def search(
    folder: Path,
    setting: Setting,
    plan: Plan,
    *,
    jobs: int,
    progress: Callable[[int, int], None],
    cancel: CancelToken | None,
) -> Twins:
    """Groups among the tracks asked for and all that are enrolled, and absent tracks that are in
    the catalog under another name or at another speed."""
    enrolled = sorted(setting.names.values())
    files = {name: setting.root / name for name in enrolled}
    files |= {_ABSENT + name: setting.absent_root / name for name in plan.absent}
    folder = folder / _KEPT
    usable = _envelopes(folder, files, jobs, progress, cancel)
    asked = [
        name for name in (*plan.queries, *(_ABSENT + n for n in plan.absent)) if name in usable
    ]
    against = [name for name in enrolled if name in usable]
    wanted = _Search(folder, usable, tuple(sorted(asked)), tuple(against))
    pairs = _likenesses(wanted, jobs, progress, cancel)
    pairs += _listed(setting, plan)
    absent = frozenset(
        pair.one.removeprefix(_ABSENT) for pair in pairs if pair.one.startswith(_ABSENT)
    )
    inside = [pair for pair in pairs if not pair.one.startswith(_ABSENT)]
    return Twins(groups_of(inside), absent, tuple(pairs))


@dataclass(frozen=True, slots=True)
class _Search:
    """Who is looked for in whom; `kept` says where everybody's envelopes lie."""

    folder: Path
    kept: dict[str, Path]
    asked: tuple[str, ...]
    against: tuple[str, ...]

    def name(self) -> str:
        """Names the result: other files, or another rule, find other pairs."""
        told = [_RULE, *(self.kept[one].name + one for one in self.asked), ""]
        told += [self.kept[one].name + one for one in self.against]
        return hashlib.sha256("\n".join(told).encode("utf-8", "surrogateescape")).hexdigest()[:24]


def _likenesses(
    search: _Search,
    jobs: int,
    progress: Callable[[int, int], None],
    cancel: CancelToken | None,
) -> list[Likeness]:
    """The pairs found by the rule; kept for the next run over the same files."""
    kept = search.folder / f"pairs-{search.name()}.json"
    try:
        return [Likeness(*pair) for pair in json.loads(kept.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError):
        pass
    parts = [
        replace(search, asked=search.asked[at : at + _ASKED_AT_ONCE])
        for at in range(0, len(search.asked), _ASKED_AT_ONCE)
    ]
    pairs: list[Likeness] = []
    for number, found in enumerate(run_tasks(_find, parts, jobs=jobs, cancel=cancel), start=1):
        pairs += found
        progress(min(number * _ASKED_AT_ONCE, len(search.asked)), len(search.asked))
    pairs.sort(key=lambda pair: (pair.one, pair.other))
    text = json.dumps([(pair.one, pair.other, pair.alike) for pair in pairs])
    RunFolder(search.folder).write_text(kept.name, text)
    return pairs


def _find(search: _Search) -> list[Likeness]:
    """In a worker: compare some with all."""
    known = _loaded(tuple(search.kept.items()))
    return find_likenesses(search.asked, known, search.against)


@functools.lru_cache(maxsize=1)
def _loaded(kept: tuple[tuple[str, Path], ...]) -> dict[str, FloatArray]:
    return {name: np.load(path).astype(np.float32) for name, path in kept}


def _listed(setting: Setting, plan: Plan) -> list[Likeness]:
    """Pairs of tracks that `LISTED` calls the same."""
    try:
        text = (setting.root / LISTED).read_text(encoding="utf-8", errors="surrogateescape")
    except (FileNotFoundError, NotADirectoryError):
        return []
    enrolled = set(setting.names.values())
    away = set(plan.absent) if setting.absent_root == setting.root else set()
    pairs = []
    for line in text.splitlines():
        group = [path for path in line.split("\t") if path]
        inside = [path for path in group if path in enrolled]
        for path in group:
            if inside and path in away:
                pairs.append(Likeness(_ABSENT + path, inside[0], 1.0))
            elif path in enrolled and path != inside[0]:
                pairs.append(Likeness(path, inside[0], 1.0))
    return pairs


@dataclass(frozen=True, slots=True)
class _Job:
    name: str
    path: Path
    kept: Path


def _envelopes(
    folder: Path,
    files: dict[str, Path],
    jobs: int,
    progress: Callable[[int, int], None],
    cancel: CancelToken | None,
) -> dict[str, Path]:
    """Where the envelopes of every file that can be read lie, kept for the next run."""
    folder.mkdir(parents=True, exist_ok=True)
    todo = [_Job(name, path, folder / f"{_file_key(path)}.npy") for name, path in files.items()]
    missing = [job for job in todo if not job.kept.exists()]
    progress(0, len(missing))
    for number, _ in enumerate(run_tasks(_keep, missing, jobs=jobs, cancel=cancel), start=1):
        progress(number, len(missing))
    # An empty one says that the file can't be read.
    return {job.name: job.kept for job in todo if job.kept.stat().st_size > _EMPTY_BYTES}


def _keep(job: _Job) -> str:
    found = track_changes(job.path)
    if found is None:
        found = np.zeros((0, 1), np.float32)
    temporary = job.kept.with_suffix(".writing")
    with temporary.open("wb") as file:
        np.save(file, found.astype(np.float16))
    temporary.replace(job.kept)
    return job.name


def _file_key(path: Path) -> str:
    """Names the file's content without reading it."""
    try:
        status = path.stat()
    except OSError:
        return "none"
    told = f"{status.st_size} {status.st_mtime_ns} ".encode() + os.fsencode(path)
    return hashlib.sha256(told).hexdigest()[:24]


def save_part_indexes(part: Setting, identifiers: Sequence[str]) -> None:
    """Build and save the indexes of a part of the catalog."""
    from songid_desktop.catalog.catalog import Catalog
    from songid_desktop.identify import registry
    from songid_desktop.paths import base_dir_paths

    assert part.subset is not None
    paths = base_dir_paths(part.instance)
    with Catalog.open(paths, create=False) as catalog, catalog.writer("songid evaluate"):
        for name in identifiers:
            identifier = registry.create(name, base_dir_paths(part.index_base))
            try:
                identifier.open(PartReader(catalog.reader(), part.subset))
                identifier.save()
            finally:
                identifier.close()
