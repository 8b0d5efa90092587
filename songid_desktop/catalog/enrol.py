"""Enrolment: folders in, tracks with fingerprints out; many workers, one writer.

    walk (a stat each) → plan → look at each new file → fingerprint what is new → commit per track

The first two steps run here and decide what needs work; the next two run in workers; the last runs
here again, under the writer lock. Between any two commits the library is whole, so an enrolment
may end at any instant, and running it again goes on where it was.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from songid_desktop.catalog.catalog import Catalog
from songid_desktop.catalog.crew import Crew, Died, Done, InlineCrew, ProcessCrew, Working
from songid_desktop.catalog.ingest import FileStamp, Ingest, Placing
from songid_desktop.catalog.names import absolute, encode_path, printable
from songid_desktop.catalog.pace import Pace
from songid_desktop.catalog.plan import (
    Job,
    Plan,
    Planner,
    count_missing,
    partly_decoded,
    pending_files,
)
from songid_desktop.catalog.protocol import Result, Task
from songid_desktop.catalog.records import EnrolProgress, EnrolReport, ProblemFile
from songid_desktop.catalog.scan import walk
from songid_desktop.catalog.stages import Examined, Fingerprinted, Refused
from songid_desktop.errors import Cancelled, UsageError
from songid_desktop.paths import Paths
from songid_desktop.types import CancelToken, FileProblem, Fingerprinter

_WAIT_S = 0.05
"""Longest wait before cancel and pause are looked at again."""
_CRASHES_ALLOWED = 1

ProgressCall = Callable[[EnrolProgress], None]


def enrol(
    catalog_paths: Paths,
    roots: Sequence[Path],
    fingerprinters: Sequence[Fingerprinter],
    *,
    jobs: int = 0,
    progress: ProgressCall | None = None,
    cancel: CancelToken | None = None,
    pause: threading.Event | None = None,
    holder: str = "SongID",
    in_process: bool = False,
    low_priority: bool = False,
    recheck: bool = False,
) -> EnrolReport:
    """Bring the library up to date with `roots` (folders and single files).

    Parameters
    ----------
    jobs : int
        Worker processes; 0 for one per core.
    progress : callable, optional
        Called on the calling thread, at most ten times a second and once at the end.
    pause : threading.Event, optional
        Everything stands still while it is set.
    in_process : bool
        Do all of it on the calling thread, for tests.
    recheck : bool
        Read every file again, even where size and time are as they were.

    Raises
    ------
    UsageError
        A root exists neither on disk nor in the library, or there is no fingerprinter.
    CatalogBusy
        Another program is changing the library.
    CatalogError
        The catalog can't be read or written (disk full, …); what was committed stays.
    EnvironmentProblem
        Worker processes can't be started.
    """
    _check(fingerprinters)
    wanted = list(dict.fromkeys(absolute(root) for root in roots))
    with Catalog.open(catalog_paths) as catalog, catalog.writer(holder) as writer:
        ingest = Ingest(catalog.database, fingerprinters)
        planner = Planner(catalog.database, ingest, wanted, recheck=recheck)
        gone = _missing_roots(wanted, planner)
        ingest.declare()
        run = _Run(ingest, fingerprinters, Pace(progress), cancel, pause)
        try:
            for found in walk(wanted, cancel):
                planner.take(found)
                run.pace.scanned(printable(found.path.name))
            run.check_cancel()
            for root in wanted:
                if root.is_dir():
                    writer.add_folder(root)
            run.work_off(
                planner.finish(), jobs, in_process=in_process, is_low_priority=low_priority
            )
            ingest.forget_replaced()
        except Cancelled:
            run.was_cancelled = True
        run.warnings = partly_decoded(catalog.database, wanted)
        run.missing = count_missing(catalog.database, wanted)
        return replace(run.report(), missing_roots=tuple(gone))


def enrol_pending(
    catalog_paths: Paths,
    fingerprinters: Sequence[Fingerprinter],
    *,
    jobs: int = 0,
    progress: ProgressCall | None = None,
    cancel: CancelToken | None = None,
    pause: threading.Event | None = None,
    holder: str = "SongID",
    in_process: bool = False,
    low_priority: bool = False,
) -> EnrolReport:
    """Fingerprint the tracks already in the library that are PENDING for some of
    `fingerprinters`, wherever they lie; no folder is walked. Parameters and errors as `enrol`."""
    _check(fingerprinters)
    with Catalog.open(catalog_paths) as catalog, catalog.writer(holder):
        ingest = Ingest(catalog.database, fingerprinters)
        ingest.declare()
        files = list(pending_files(catalog.database, ingest))
        planner = Planner(catalog.database, ingest, [found.path for found in files])
        run = _Run(ingest, fingerprinters, Pace(progress), cancel, pause)
        try:
            for found in files:
                planner.take(found)
            run.work_off(planner.plan, jobs, in_process=in_process, is_low_priority=low_priority)
        except Cancelled:
            run.was_cancelled = True
        run.warnings = partly_decoded(catalog.database, [found.path for found in files])
        return run.report()


def _check(fingerprinters: Sequence[Fingerprinter]) -> None:
    names = [item.name for item in fingerprinters]
    if not names:
        raise UsageError("Enrolling needs at least one identifier.")
    if len(set(names)) != len(names):
        raise UsageError(f"Each identifier can be enrolled for once, not twice: {', '.join(names)}")


def _missing_roots(roots: Sequence[Path], planner: Planner) -> list[Path]:
    """Roots that are not there but were once.

    Raises UsageError for one that never was."""
    absent = [root for root in roots if not os.path.lexists(root)]
    known = planner.known_roots if absent else set()
    for root in absent:
        if encode_path(root) not in known:
            raise UsageError(f"There is no file or folder {printable(root)}.")
    return absent


@dataclass(slots=True)
class _Item:
    """A file on its way through the stages."""

    job: Job
    examined: Examined | None = None
    track_id: int | None = None
    identifiers: tuple[str, ...] | None = None
    placing: Placing | None = None
    """What it was counted as before its missing fingerprints were made."""
    crashes: int = 0

    @property
    def task(self) -> Task:
        return Task(self.job.path, self.identifiers)


@dataclass(slots=True)
class _Run:
    """One enrolment under way: what is waiting, what is in hand, what came of it."""

    ingest: Ingest
    fingerprinters: Sequence[Fingerprinter]
    pace: Pace
    cancel: CancelToken | None
    pause: threading.Event | None
    was_cancelled: bool = False
    failed: list[ProblemFile] = field(default_factory=list)
    warnings: list[ProblemFile] = field(default_factory=list)
    added: int = 0
    unchanged: int = 0
    updated: int = 0
    moved: int = 0
    copies: int = 0
    missing: int = 0
    started_at: float = field(default_factory=time.monotonic)
    _waiting: deque[_Item] = field(default_factory=deque)
    _suspects: deque[_Item] = field(default_factory=deque)
    """Files a worker died on, to be tried once more with nothing else going on."""
    _in_hand: dict[Path, _Item] = field(default_factory=dict)
    _same_sound: dict[bytes, list[_Item]] = field(default_factory=dict)
    """Files whose sound is just being fingerprinted for another file, by content hash."""

    def report(self) -> EnrolReport:
        self.pace.finished(self.added, len(self.failed))
        return EnrolReport(
            added=self.added,
            unchanged=self.unchanged,
            updated=self.updated,
            moved=self.moved,
            missing=self.missing,
            failed=tuple(self.failed),
            warnings=tuple(self.warnings),
            audio_s=self.pace.audio_s,
            elapsed_s=time.monotonic() - self.started_at,
            was_cancelled=self.was_cancelled,
            copies=self.copies,
        )

    def work_off(self, plan: Plan, jobs: int, *, in_process: bool, is_low_priority: bool) -> None:
        """Take every file of the plan through its stages.

        Raises
        ------
        Cancelled
        """
        self.unchanged = plan.unchanged
        self.failed.extend(plan.failed)
        self._waiting.extend(
            _Item(job, track_id=job.track_id, identifiers=job.identifiers or None)
            for job in plan.jobs
        )
        self.pace.start_work(len(plan.jobs), sum(job.size for job in plan.jobs))
        if not plan.jobs:
            return
        crew: Crew = InlineCrew(self.fingerprinters, self.cancel)
        if not in_process:
            crew = ProcessCrew(
                self.fingerprinters,
                min(jobs or _core_count(), len(plan.jobs)),
                is_low_priority=is_low_priority,
            )
        try:
            while self._waiting or self._in_hand or self._suspects:
                self._stand_still(crew)
                self._hand_out(crew)
                self._take_event(crew)
        finally:
            crew.close()

    def check_cancel(self) -> None:
        if self.cancel is not None and self.cancel.is_set():
            raise Cancelled

    def _stand_still(self, crew: Crew) -> None:
        """Honour cancel and pause."""
        self.check_cancel()
        if self.pause is None or not self.pause.is_set():
            return
        crew.set_paused(True)
        with self.pace.paused(self.added, len(self.failed)):
            while self.pause.is_set():
                self.check_cancel()
                time.sleep(_WAIT_S)
        crew.set_paused(False)

    def _hand_out(self, crew: Crew) -> None:
        while self._waiting and crew.free:
            self._start(crew, self._waiting.popleft())
        if self._suspects and not self._in_hand:
            self._start(crew, self._suspects.popleft())

    def _start(self, crew: Crew, item: _Item) -> None:
        self._in_hand[item.job.path] = item
        self.pace.began(printable(item.job.path.name))
        crew.submit(item.task)

    def _take_event(self, crew: Crew) -> None:
        event = crew.next_event(_WAIT_S)
        if isinstance(event, Working):
            self.pace.heard(event.task.path, event.decoded_s)
        elif isinstance(event, Died):
            self._crashed(self._in_hand.pop(event.task.path))
        elif isinstance(event, Done):
            item = self._in_hand.pop(event.task.path)
            if item.identifiers is None:
                self._looked_at(item, event.result)
            else:
                self._fingerprinted(item, event.result)
        self.pace.tick(self.added, len(self.failed))

    def _crashed(self, item: _Item) -> None:
        item.crashes += 1
        if item.crashes <= _CRASHES_ALLOWED:
            self._suspects.append(item)
            return
        self._refused(
            item,
            Refused(
                FileProblem.CORRUPT, "The decoder crashes or never ends on this file.", *_stat(item)
            ),
        )

    def _looked_at(self, item: _Item, result: Result) -> None:
        if isinstance(result, Refused):
            self._refused(item, result)
            return
        if not isinstance(result, Examined):
            self._conclude(item)
            return
        track_id = self.ingest.find(result.content_hash)
        if track_id is not None:
            self._place(item, result, track_id)
        elif result.content_hash in self._same_sound:
            item.examined = result
            self._same_sound[result.content_hash].append(item)
        else:
            self._same_sound[result.content_hash] = []
            item.examined = result
            item.identifiers = tuple(each.name for each in self.fingerprinters)
            self._waiting.appendleft(item)

    def _place(self, item: _Item, file: Examined, track_id: int) -> None:
        """Settle a file whose sound is known; make the fingerprints it lacks."""
        item.placing = self.ingest.place(track_id, file)
        lacking = self.ingest.lacking(track_id)
        if not lacking:
            self._count(item.placing)
            self._conclude(item)
            return
        item.track_id, item.identifiers = track_id, lacking
        self._waiting.appendleft(item)

    def _fingerprinted(self, item: _Item, result: Result) -> None:
        if isinstance(result, Refused):
            self._refused(item, result)
        elif isinstance(result, Fingerprinted):
            self.pace.decoded(item.job.path, result.duration_s)
            self._note_failures(item, result)
            if item.track_id is not None:
                self.ingest.add_prints(item.track_id, result)
                self._count(_counted_as(item.placing))
            elif item.examined is not None:
                _, is_replacement = self.ingest.add_track(item.examined, result)
                self.added += not is_replacement
                self.updated += is_replacement
            self._conclude(item)
        else:
            self._conclude(item)
        self._release_same_sound(item)

    def _release_same_sound(self, item: _Item) -> None:
        """Files that waited for this one's sound: it is known now, or they try by themselves."""
        if item.examined is None:
            return
        track_id = self.ingest.find(item.examined.content_hash)
        for other in self._same_sound.pop(item.examined.content_hash, []):
            file, other.examined = other.examined, None
            if track_id is not None and file is not None:
                self._place(other, file, track_id)
            else:
                self._waiting.appendleft(other)

    def _note_failures(self, item: _Item, result: Fingerprinted) -> None:
        self.failed.extend(
            ProblemFile(item.job.path, problem, f"{name}: {message}", time.time())
            for name, problem, message in result.failures
        )

    def _refused(self, item: _Item, refused: Refused) -> None:
        if item.track_id is not None and item.identifiers is not None:
            # The track stays; it is only this identifier that could not have it.
            self.ingest.fail_prints(
                item.track_id, item.identifiers, refused.problem, refused.message
            )
            self.failed.append(
                ProblemFile(item.job.path, refused.problem, refused.message, time.time())
            )
        else:
            stamp = FileStamp(encode_path(item.job.path), refused.size, refused.mtime_ns)
            self.failed.append(self.ingest.record_problem(stamp, refused.problem, refused.message))
        self._conclude(item)
        self._release_same_sound(item)

    def _count(self, placing: Placing) -> None:
        self.unchanged += placing is Placing.UNCHANGED
        self.updated += placing is Placing.UPDATED
        self.moved += placing is Placing.MOVED
        self.copies += placing is Placing.COPY

    def _conclude(self, item: _Item) -> None:
        self.pace.concluded(item.job.path, item.job.size)


def _counted_as(placing: Placing | None) -> Placing:
    """A track that gained a fingerprint is updated, unless it was counted as more."""
    return Placing.UPDATED if placing in {None, Placing.UNCHANGED} else placing


def _stat(item: _Item) -> tuple[int, int]:
    try:
        found = item.job.path.stat()
    except OSError:
        return item.job.size, 0
    return found.st_size, found.st_mtime_ns


def _core_count() -> int:
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
