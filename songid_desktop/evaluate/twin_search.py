"""Twins of a plan's tracks: envelopes computed once a track and kept, groups by the rule of
`twins`; and indexes of parts of a catalog."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
    known = _envelopes(folder / _KEPT, files, jobs, progress, cancel)
    asked = [name for name in (*plan.queries, *(_ABSENT + n for n in plan.absent)) if name in known]
    against = [name for name in enrolled if name in known]
    pairs = _likenesses(
        folder / _KEPT, files, known, sorted(asked), against=against, progress=progress
    )
    pairs += _listed(setting, plan)
    absent = frozenset(
        pair.one.removeprefix(_ABSENT) for pair in pairs if pair.one.startswith(_ABSENT)
    )
    inside = [pair for pair in pairs if not pair.one.startswith(_ABSENT)]
    return Twins(groups_of(inside), absent, tuple(pairs))


def _likenesses(
    folder: Path,
    files: dict[str, Path],
    known: dict[str, FloatArray],
    asked: list[str],
    *,
    against: list[str],
    progress: Callable[[int, int], None],
) -> list[Likeness]:
    """The pairs found by the rule; kept for the next run over the same files."""
    told = [_RULE, *(f"{name} {_file_key(files[name])}" for name in (*asked, "", *against) if name)]
    digest = hashlib.sha256("\n".join(told).encode("utf-8", "surrogateescape")).hexdigest()[:24]
    kept = folder / f"pairs-{digest}.json"
    try:
        return [Likeness(*pair) for pair in json.loads(kept.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError):
        pass
    pairs = find_likenesses(asked, known, against, progress=progress)
    found = [(pair.one, pair.other, pair.alike) for pair in pairs]
    RunFolder(folder).write_text(kept.name, json.dumps(found))
    return pairs


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
) -> dict[str, FloatArray]:
    """Envelopes of every file that can be read; kept in `folder` for the next run."""
    folder.mkdir(parents=True, exist_ok=True)
    todo = [_Job(name, path, folder / f"{_file_key(path)}.npy") for name, path in files.items()]
    missing = [job for job in todo if not job.kept.exists()]
    progress(0, len(missing))
    for number, _ in enumerate(run_tasks(_keep, missing, jobs=jobs, cancel=cancel), start=1):
        progress(number, len(missing))
    known = {}
    for job in todo:
        try:
            found = np.load(job.kept).astype(np.float32)
        except (OSError, ValueError):
            continue
        if len(found):
            known[job.name] = found
    return known


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
