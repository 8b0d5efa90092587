"""The bench: plan, enrolment, twins, clips, sessions, growth and costs, into one folder.

Every stage finds what an earlier run left and does the rest. What is measured does not depend on
the number of workers, nor on the order in which they are done.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from songid_desktop.catalog.catalog import Catalog
from songid_desktop.catalog.records import EnrolProgress
from songid_desktop.errors import Cancelled, UsageError
from songid_desktop.evaluate import costs, twin_search
from songid_desktop.evaluate.conditions import Condition, generator
from songid_desktop.evaluate.looks import Setting, Task, run_task
from songid_desktop.evaluate.parallel import default_jobs, run_alone, run_tasks
from songid_desktop.evaluate.plan import Options, Plan, make_plan
from songid_desktop.evaluate.results import CLIP, GROWTH, SESSION, Key, RunFolder
from songid_desktop.evaluate.versions import build_digest, versions
from songid_desktop.identify import registry
from songid_desktop.identify.enrolment import enrol_library
from songid_desktop.paths import base_dir_paths
from songid_desktop.types import CancelToken

NOISE_DRAWS = 2
"""Clips of each background, and of silence and tones, for one of an absent track."""
MADE_DRAWS = 5
_GROWTH_CONDITIONS = ("clean", "white0", "room0")
_GROWTH_QUERIES = 60
_GROWTH_TIMINGS = 12
_SESSION_ENROLLED_SHARE = 0.25
"""Sessions of tracks that can be found, beside those of absent ones: how soon they are."""


@dataclass(frozen=True, slots=True)
class BenchProgress:
    """Where a run stands. `eta_s` is for this stage."""

    stage: str
    done: int
    total: int
    eta_s: float | None = None


ProgressCall = Callable[[BenchProgress], None]


class Bench:
    """One run of `songid evaluate run`.

    Parameters
    ----------
    options : Options
    command : str
        As it was typed, for the report.
    """

    def __init__(
        self,
        options: Options,
        *,
        command: str = "",
        progress: ProgressCall | None = None,
        cancel: CancelToken | None = None,
        with_twins: bool = True,
    ) -> None:
        self.options = options
        self.folder = RunFolder(options.out.absolute())
        self._command = command
        self._progress = progress or (lambda _: None)
        self._cancel = cancel
        self._jobs = options.jobs or default_jobs()
        self._with_twins = with_twins
        self._run: dict[str, Any] = {}
        self._done: set[Key] = set()

    def run(self) -> dict[str, Any]:
        """Do all that is missing; what is in `run.json` afterwards.

        Raises
        ------
        UsageError, EnvironmentProblem, Cancelled
            What was measured before is kept.
        """
        plan = make_plan(self.options)
        self._look_at_folder()
        with self.folder.taken():
            self._measure(plan)
        return self._run

    def _measure(self, plan: Plan) -> None:
        began = time.monotonic()
        before = self._look_at_folder()
        setting, plan = self._enrol(plan)
        setting, plan = self._find_twins(setting, plan)
        self._run |= self._description(plan, before)
        self._done = {record.key for record in self.folder.read_results()}
        self.folder.write_run(self._run)
        self._ask("clips", self._clip_tasks(setting, plan))
        if self.options.sessions:
            self._ask("sessions", self._session_tasks(setting, plan))
        growth = self._grow(setting, plan)
        self._measure_costs(setting, plan, growth)
        self._run["elapsed_s"] = before.get("elapsed_s", 0.0) + time.monotonic() - began
        self.folder.write_run(self._run)

    def _look_at_folder(self) -> dict[str, Any]:
        """The folder's own description; refuses to mix runs that differ in what a clip is."""
        before = self.folder.read_run()
        fixed = self.options.fixed()
        told = before.get("fixed") or {}
        # What an earlier version did not write down was not asked for.
        other = [name for name, value in fixed.items() if (told.get(name) or 0) != (value or 0)]
        if before and other:
            options = ", ".join(f"--{name.replace('_', '-')}" for name in other)
            raise UsageError(
                f"The folder {self.folder.folder} holds a run with another {options}. Give "
                "another --out, or the same options to go on."
            )
        return before

    # -- catalog --------------------------------------------------------------------------------

    def _enrol(self, plan: Plan) -> tuple[Setting, Plan]:
        """The throw-away catalog, by the normal enrolment."""
        paths = base_dir_paths(self.folder.instance)
        report = enrol_library(
            paths,
            [plan.root / path for path in plan.enrolled],
            self.options.identifiers,
            jobs=self._jobs,
            progress=self._enrolment_progress,
            cancel=self._cancel,
            holder="songid evaluate",
            in_process=self._jobs == 1,
        )
        if report.was_cancelled:
            raise Cancelled
        names: dict[int, str] = {}
        canonical: dict[str, str] = {}
        wanted = set(plan.enrolled)
        music_s = 0.0
        with Catalog.open(paths, create=False) as catalog:
            for track in catalog.tracks(order="path"):
                places = [os.path.relpath(path, plan.root) for path in track.locations]
                ours = sorted(place for place in places if place in wanted)
                if ours:
                    names[track.track_id] = ours[0]
                    canonical |= dict.fromkeys(ours, ours[0])
                    music_s += track.duration_s
        if not names:
            raise UsageError(f"Nothing of {plan.root} could be enrolled: no file can be decoded.")
        notes = list(plan.notes)
        if len(wanted) > len(canonical):
            notes.append(f"{len(wanted) - len(canonical)} files could not be enrolled.")
        queries = dict.fromkeys(canonical[path] for path in plan.queries if path in canonical)
        self._run["enrolment"] = {"tracks": len(names), "music_s": music_s}
        setting = Setting(
            root=plan.root,
            absent_root=plan.absent_root,
            instance=self.folder.instance,
            index_base=self.folder.instance,
            names=names,
            groups={},
            scene=plan.scene,
            seed=self.options.seed,
            build=build_digest(),
            catalog_tracks=len(names),
        )
        return setting, replace(plan, queries=tuple(queries), notes=tuple(notes))

    def _enrolment_progress(self, progress: EnrolProgress) -> None:
        self._progress(BenchProgress("enrolment", progress.done, progress.total, progress.eta_s))

    def _find_twins(self, setting: Setting, plan: Plan) -> tuple[Setting, Plan]:
        """Groups of tracks that are one answer; absent tracks that have a twin go."""
        if not self._with_twins:
            note = "Twins were not looked for (--no-twins): copies count as wrong answers."
            return setting, replace(plan, notes=(*plan.notes, note))
        found = twin_search.search(
            self.folder.folder,
            setting,
            plan,
            jobs=self._jobs,
            progress=lambda done, total: self._progress(BenchProgress("twins", done, total)),
            cancel=self._cancel,
        )
        absent = tuple(path for path in plan.absent if path not in found.not_absent)
        self._run["twins"] = {
            "groups": found.as_lists(),
            "not_absent": sorted(found.not_absent),
            "pairs": [
                (pair.one.split("\x1f")[-1], pair.other, round(pair.alike, 3))
                for pair in found.likenesses
            ],
        }
        return replace(setting, groups=found.groups), replace(plan, absent=absent)

    def _description(self, plan: Plan, before: dict[str, Any]) -> dict[str, Any]:
        options = dataclasses.asdict(self.options)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        commands = [one for one in before.get("commands", []) if one != self._command]
        return {
            "format": 1,
            "fixed": self.options.fixed(),
            "commands": [*commands, self._command],
            "started": before.get("started", now),
            "last": now,
            "versions": versions(),
            "build": build_digest(),
            "options": {name: _plain(value) for name, value in options.items()},
            "identifiers": before.get("identifiers", {}) | self._identifiers(),
            "queries": len(plan.queries),
            "absent": len(plan.absent),
            "has_manifest": plan.has_manifest,
            "backgrounds_are": plan.scene.backgrounds_are,
            "rooms_are": plan.scene.rooms_are,
            "backgrounds": [sound.name for sound in plan.scene.backgrounds],
            "rooms": [room.name for room in plan.scene.rooms],
            "notes": list(plan.notes),
            "costs": before.get("costs", {}),
            "growth": before.get("growth", {}),
        }

    def _identifiers(self) -> dict[str, Any]:
        """Digest and bytes of each."""
        paths = base_dir_paths(self.folder.instance)
        minutes = self._run["enrolment"]["music_s"] / 60.0
        with Catalog.open(paths, create=False) as catalog:
            stored = catalog.counts().fingerprint_bytes
        return {
            name: {
                "digest": registry.fingerprinter(name).config_digest,
                "index_bytes": costs.folder_bytes(paths.index / name),
                "fingerprint_bytes": stored.get(name, 0),
                "minutes": minutes,
            }
            for name in self.options.identifiers
        }

    # -- questions ------------------------------------------------------------------------------

    def _ask(self, stage: str, tasks: Iterable[Task]) -> None:
        """Run those tasks that have unanswered cells; results are kept as they come."""
        todo = [rest for task in tasks if (rest := self._unanswered(task)) is not None]
        total = sum(len(cell[2]) for task in todo for cell in task.cells)
        done, began = 0, time.monotonic()
        self._progress(BenchProgress(stage, 0, total))
        for records in run_tasks(run_task, todo, jobs=self._jobs, cancel=self._cancel):
            self.folder.append(records)
            self._done.update(record.key for record in records)
            done += len(records)
            eta_s = (time.monotonic() - began) / done * (total - done) if done else None
            self._progress(BenchProgress(stage, done, total, eta_s))

    def _unanswered(self, task: Task) -> Task | None:
        """The task without what is answered; None when nothing is left."""
        cells = []
        for condition, length_s, identifiers in task.cells:
            many = task.setting.catalog_tracks if task.kind == GROWTH else 0
            place = (condition, length_s, task.track, task.draw, many)
            missing = tuple(
                name
                for name in identifiers
                if (task.kind, name, task.setting.build, *place) not in self._done
            )
            if missing:
                cells.append((condition, length_s, missing))
        return replace(task, cells=tuple(cells)) if cells else None

    def _clip_tasks(self, setting: Setting, plan: Plan) -> Iterator[Task]:
        options = self.options
        absent_draws = options.absent_draws or options.draws

        def cells(chosen: Sequence[Condition]) -> tuple[tuple[str, float, tuple[str, ...]], ...]:
            return tuple(
                (one.name, length_s, options.identifiers)
                for length_s in options.lengths_s
                for one in chosen
            )

        music = [one for one in plan.conditions if not one.is_absent]
        away = [one for one in plan.conditions if one.is_absent and one.is_music]
        for draw in range(options.draws):
            for track in plan.queries if music else ():
                yield Task(setting, CLIP, track, draw, is_enrolled=True, cells=cells(music))
        for draw in range(absent_draws):
            for track in plan.absent if away else ():
                yield Task(setting, CLIP, track, draw, is_enrolled=False, cells=cells(away))
        for one in plan.conditions:
            if one.is_music:
                continue
            is_noise = one.family == "noise_only"
            names = [sound.name for sound in plan.scene.backgrounds] if is_noise else ["made"]
            for draw in range(absent_draws * (NOISE_DRAWS if is_noise else MADE_DRAWS)):
                for name in names:
                    yield Task(setting, CLIP, name, draw, is_enrolled=False, cells=cells([one]))

    def _session_tasks(self, setting: Setting, plan: Plan) -> Iterator[Task]:
        """Listening sessions of absent music, as it is and in rooms in turn; and some of tracks
        that can be found."""
        names = self.options.identifiers
        for tracks, is_enrolled, count, conditions in (
            (plan.absent, False, self.options.sessions, ("absent_clean", "absent_room0")),
            (
                plan.queries,
                True,
                round(_SESSION_ENROLLED_SHARE * self.options.sessions),
                ("clean", "room0"),
            ),
        ):
            for number in range(count if tracks else 0):
                draw, place = divmod(number // 2, len(tracks))
                cell = (conditions[number % 2], 15.0, names)
                yield Task(setting, SESSION, tracks[place], draw, is_enrolled, (cell,))

    # -- growth and costs -----------------------------------------------------------------------

    def _grow(self, setting: Setting, plan: Plan) -> list[Setting]:
        """Ask the same clips of parts of the catalog."""
        sizes = sorted({size for size in self.options.catalog_sizes if size < len(setting.names)})
        too_large = [size for size in self.options.catalog_sizes if size > len(setting.names)]
        if too_large:
            self._run["notes"].append(
                f"The catalog has {len(setting.names)} tracks: growth to "
                f"{', '.join(map(str, too_large))} was not measured."
            )
        if not self.options.catalog_sizes:
            return []
        queries = plan.queries[: min([_GROWTH_QUERIES, *sizes])]
        asked = [one.name for one in plan.conditions if one.name in _GROWTH_CONDITIONS]
        asked = asked or [one.name for one in plan.conditions if not one.is_absent][:2]
        lengths = self.options.lengths_s
        length_s = 5.0 if 5.0 in lengths else sorted(lengths)[len(lengths) // 2]
        settings = [self._part(setting, queries, size) for size in sizes] + [setting]
        cells = tuple((name, length_s, self.options.identifiers) for name in asked)
        for part in settings:
            tasks = [Task(part, GROWTH, track, 0, is_enrolled=True, cells=cells)
                     for track in queries] if cells else []  # fmt: skip
            self._ask(f"growth, {part.catalog_tracks} tracks", tasks)
        return settings

    def _part(self, setting: Setting, queries: Sequence[str], size: int) -> Setting:
        """A catalog of `size` tracks, those asked for among them, with indexes of its own."""
        asked = set(queries)
        inside = [number for number, name in setting.names.items() if name in asked]
        others = sorted(set(setting.names) - set(inside))
        order = generator(self.options.seed, "growth").permutation(len(others)).tolist()
        inside += [others[place] for place in order[: size - len(inside)]]
        subset = frozenset(inside)
        digest = hashlib.sha256(repr(sorted(subset)).encode()).hexdigest()[:8]
        base = self.folder.growth(size).with_name(f"{size}-{digest}")
        part = replace(setting, subset=subset, index_base=base, catalog_tracks=size)
        self._progress(BenchProgress(f"index of {size} tracks", 0, 1))
        twin_search.save_part_indexes(part, self.options.identifiers)
        return part

    def _measure_costs(self, setting: Setting, plan: Plan, growth: Sequence[Setting]) -> None:
        """Times, in a process of its own when workers are processes."""
        if not self.options.timing_clips:
            return
        alone = self._jobs > 1

        def measured(task: costs.CostTask) -> dict[str, Any]:
            if self._cancel is not None and self._cancel.is_set():
                raise Cancelled
            return run_alone(costs.measure, task) if alone else costs.measure(task)

        names = self.options.identifiers
        self._progress(BenchProgress("times", 0, 1 + len(growth)))
        clips = self.options.timing_clips
        task = costs.CostTask(setting, names, plan.queries, plan.absent, clips)
        self._run["costs"] = measured(task) | {"tracks": setting.catalog_tracks}
        sizes = {}
        for number, part in enumerate(growth, start=1):
            self._progress(BenchProgress("times", number, 1 + len(growth)))
            queries = plan.queries[: min(len(plan.queries), part.catalog_tracks)]
            few = min(_GROWTH_TIMINGS, clips)
            task = costs.CostTask(part, names, queries, (), few, with_enrolment=False)
            index = base_dir_paths(part.index_base).index
            sizes[str(part.catalog_tracks)] = measured(task) | {
                "index_bytes": {name: costs.folder_bytes(index / name) for name in names}
            }
        if sizes:
            self._run["growth"] = sizes


def _plain(value: object) -> object:
    """A value as JSON can hold it."""
    if isinstance(value, os.PathLike):
        return os.fsencode(value).decode("utf-8", "backslashreplace")
    return value
