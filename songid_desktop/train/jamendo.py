"""Collect a data set of freely licensed music, as the report did: the first so many tracks that the
service lists, less those that can't be used, split 80/20, and others held out for test.

What a folder holds when it is done::

    metadata.csv            a row for each usable track (train/dataset.py), licence and source kept
    left_out.csv            the tracks that were not used, each with its reason
    audio/<track id>.mp3
    .collect/               pages of the listing as they were first seen, and a journal

The journal gets a line for every track whose fate is decided, so that a run that was stopped or
killed goes on with the next one; a half-fetched file is gone on with too. Only what can't change
(no file, too short, damaged twice) is decided: what could not be reached is tried again next time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from songid_desktop.errors import AudioFileError, EnvironmentProblem
from songid_desktop.train.dataset import TABLE, decode_whole, write_table
from songid_desktop.train.jamendo_api import (
    API_URL,
    PAGE_TRACKS,
    FileTrouble,
    Listed,
    Service,
    ServiceTrouble,
)
from songid_desktop.train.jamendo_store import Fate, Store, write_left_out
from songid_desktop.train.split import (
    TEST,
    TRAIN,
    VALIDATION,
    Row,
    Shares,
    groups_of,
    share_out,
)
from songid_desktop.types import CancelToken, FileProblem

__all__ = ["API_URL", "Collected", "Progress", "Request", "collect"]

_WRITE_EVERY = 50
"""Tracks after which the table is brought up to date: a kill loses no more than that of it."""
_UNREACHABLE_IN_A_ROW = 5
"""Files that fail one after the other before it is the service that counts as failing."""
_MISSING_SHARE = 0.1
"""Of the length that the service states: what lacks more than this did not arrive whole."""
_SPLIT = Shares(validation=0.2, test=0.0)


@dataclass(frozen=True, slots=True)
class Request:
    """What to collect, and how. `tracks` counts before the invalid ones are left out, as in the
    report; `test_tracks` counts valid ones, by artists that none of the others is by."""

    folder: Path
    tracks: int = 1000
    test_tracks: int = 200
    seed: int = 0
    shortest_s: float = 30.0
    pause_s: float = 0.5
    timeout_s: float = 20.0
    first_wait_s: float = 2.0
    api_url: str = API_URL


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is. While it waits, `waiting_s` is for how long and `note` a sentence why."""

    done: int
    total: int
    left_out: int
    megabytes: float
    eta_s: float | None = None
    note: str = ""
    waiting_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Collected:
    """What there is now.

    `left_out` counts by reason, `licences` kept tracks by licence. `unreachable` tracks are
    neither kept nor given up. `is_complete` is false when the service had no more tracks.
    """

    table: Path
    asked_for: int
    splits: dict[str, int]
    left_out: dict[str, int]
    unreachable: int
    licences: dict[str, int]
    is_complete: bool


def collect(
    request: Request,
    client_id: str,
    *,
    progress: Callable[[Progress], None] | None = None,
    cancel: CancelToken | None = None,
) -> Collected:
    """Collect, or go on collecting, into ``request.folder``.

    Raises
    ------
    ServiceTrouble
        The service can't be used; what was collected is kept and listed.
    EnvironmentProblem
        The folder can't be written, the disk is full, another process collects there.
    UsageError
        The folder was begun with another service.
    Cancelled
        Within 200 ms; what was collected is kept and listed.
    """
    from songid_desktop.neural.claim import claim

    store = Store(request.folder)
    with _disk(request.folder):
        store.state.mkdir(parents=True, exist_ok=True)
    with claim(store.state / "lock", "songid dataset", f"The data set in {request.folder}"):
        with _disk(request.folder):
            store.prepare(request.api_url)
        run = _Run(request, store, client_id, progress, cancel)
        try:
            with _disk(request.folder):
                is_complete = run.go()
        except BaseException:
            with contextlib.suppress(EnvironmentProblem):
                run.write_if_caught_up()
            raise
        return run.write(is_complete=is_complete)


@contextlib.contextmanager
def _disk(folder: Path) -> Iterator[None]:
    """What the disk refuses, as a sentence."""
    try:
        yield
    except OSError as error:
        raise EnvironmentProblem(
            f"{folder} can't be written ({error.strerror or error}). What was collected is kept; "
            "make room, then give the same command again."
        ) from error


@dataclass(slots=True)
class _Counts:
    """Of the present run."""

    bytes: int = 0
    handled: int = 0
    in_a_row: int = 0
    unreachable: int = 0
    begun: float = field(default_factory=time.monotonic)


class _Run:
    """One run over the listing."""

    def __init__(
        self,
        request: Request,
        store: Store,
        client_id: str,
        progress: Callable[[Progress], None] | None,
        cancel: CancelToken | None,
    ) -> None:
        self._request, self._store = request, store
        self._progress, self._cancel = progress, cancel
        self._service = Service(
            client_id,
            request.api_url,
            pause_s=request.pause_s,
            timeout_s=request.timeout_s,
            first_wait_s=request.first_wait_s,
            tell=self._tell_waiting,
            cancel=cancel,
        )
        self._pool: list[Listed] = []
        self._held_out: list[Listed] = []
        self._counts = _Counts()

    def go(self) -> bool:
        """Everything; false when the listing ended before there was enough."""
        artists: set[str] = set()
        for listed in self._listing():
            if len(self._pool) < self._request.tracks:
                self._pool.append(listed)
                artists.add(listed.artist_id or listed.artist)
                self._settle(listed)
            elif self._kept(self._held_out) >= self._request.test_tracks:
                return True
            elif (listed.artist_id or listed.artist) not in artists:
                self._held_out.append(listed)
                self._settle(listed)
        is_enough = len(self._pool) >= self._request.tracks
        return is_enough and self._kept(self._held_out) >= self._request.test_tracks

    def _listing(self) -> Iterator[Listed]:
        """Tracks in the order in which they were first seen, each once."""
        seen: set[str] = set()
        number = 0
        while True:
            page = self._store.page(number)
            is_last = False
            if page is None:
                results = self._service.page(number * PAGE_TRACKS, PAGE_TRACKS)
                page = [one for said in results if (one := Listed.read(said)) is not None]
                is_last = len(results) < PAGE_TRACKS
                if not is_last:  # the last one may grow until the next run
                    self._store.keep_page(number, page)
            for listed in page:
                if listed.track_id not in seen:
                    seen.add(listed.track_id)
                    yield listed
            if is_last:
                return
            number += 1

    def _kept(self, tracks: list[Listed]) -> int:
        fates = self._store.fates
        return sum(one.track_id in fates and not fates[one.track_id].reason for one in tracks)

    # ------------------------------------------------------------------------- one track

    def _settle(self, listed: Listed) -> None:
        """Decide about a track, if nothing is decided."""
        if listed.track_id not in self._store.fates:
            fate = self._refused(listed) or self._fetched(listed)
            if fate is not None:
                self._store.decide(fate)
            self._counts.handled += 1
            if self._counts.handled % _WRITE_EVERY == 0:
                self.write_if_caught_up()
        self._tell()

    def _refused(self, listed: Listed) -> Fate | None:
        """What the listing alone rules out."""
        if not listed.audio_url:
            return Fate(
                listed.track_id,
                reason="no audio",
                message="The artist allows no download, or there is no file.",
            )
        if 0.0 < listed.duration_s < self._request.shortest_s:
            return self._too_short(listed, listed.duration_s)
        return None

    def _too_short(self, listed: Listed, duration_s: float) -> Fate:
        return Fate(
            listed.track_id,
            reason="too short",
            message=f"{duration_s:.0f} s; {self._request.shortest_s:g} s are the least.",
        )

    def _fetched(self, listed: Listed) -> Fate | None:
        """Bring the file and look at it; a damaged one once more. None if it is not to be had at
        present."""
        fate = None
        for _ in range(2):
            try:
                self._service.fetch(listed.audio_url, self._part(listed), self._arrived)
            except FileTrouble as trouble:
                if not trouble.is_lasting:
                    self._count_unreachable(trouble)
                    return None
                self._part(listed).unlink(missing_ok=True)
                return Fate(listed.track_id, reason="no audio", message=f"Jamendo: {trouble}.")
            self._counts.in_a_row = 0
            fate = self._looked_at(listed)
            if fate.reason != "damaged":
                break
        return fate

    def _part(self, listed: Listed) -> Path:
        return self._store.part(listed.track_id)

    def _count_unreachable(self, trouble: FileTrouble) -> None:
        self._counts.unreachable += 1
        self._counts.in_a_row += 1
        if self._counts.in_a_row >= _UNREACHABLE_IN_A_ROW:
            raise ServiceTrouble(
                f"{_UNREACHABLE_IN_A_ROW} files in a row could not be fetched ({trouble}). What "
                "was collected is kept; the same command goes on from here."
            ) from trouble

    def _looked_at(self, listed: Listed) -> Fate:
        """Decode a file that has arrived; a good one takes its place, another is removed."""
        part = self._part(listed)
        try:
            whole = decode_whole(part, self._cancel)
        except AudioFileError as error:
            part.unlink(missing_ok=True)
            return Fate(listed.track_id, reason="damaged", message=str(error))
        missing_s = listed.duration_s - whole.duration_s
        if missing_s > max(2.0, _MISSING_SHARE * listed.duration_s) or any(
            problem is FileProblem.TRUNCATED for problem, _ in whole.warnings
        ):
            part.unlink()
            return Fate(
                listed.track_id,
                reason="damaged",
                message=f"Only {whole.duration_s:.0f} of {listed.duration_s:.0f} s of sound.",
            )
        if whole.duration_s < self._request.shortest_s:
            part.unlink()
            return self._too_short(listed, whole.duration_s)
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(self._store.path(listed.track_id))
        return Fate(listed.track_id, duration_s=round(whole.duration_s, 2))

    # -------------------------------------------------------------------------- telling

    def _arrived(self, count: int) -> None:
        self._counts.bytes += count
        self._tell()

    def _tell(self, note: str = "", waiting_s: float = 0.0) -> None:
        if self._progress is None:
            return
        fates, counts = self._store.fates, self._counts
        done = len(self._pool) + self._kept(self._held_out)
        total = self._request.tracks + self._request.test_tracks
        eta_s = None
        if counts.handled:
            pace_s = (time.monotonic() - counts.begun) / counts.handled
            eta_s = max(0, total - done) * pace_s
        left_out = sum(bool(fate.reason) for fate in fates.values())
        megabytes = counts.bytes / 1e6
        self._progress(Progress(done, total, left_out, megabytes, eta_s, note, waiting_s))

    def _tell_waiting(self, note: str, waiting_s: float) -> None:
        self._tell(note, waiting_s)

    # -------------------------------------------------------------------------- writing

    def write_if_caught_up(self) -> None:
        """Bring both tables up to date, unless an earlier run had come further: until this one has
        too, the tables that are there say more."""
        kept = sum(not fate.reason for fate in self._store.fates.values())
        if kept and self._kept(self._pool) + self._kept(self._held_out) >= kept:
            self.write()

    def write(self, *, is_complete: bool = False) -> Collected:
        """Bring both tables up to date."""
        fates = self._store.fates
        rows = [self._row(one) for one in self._pool if self._is_kept(one)]
        splits = share_out([row.path for row in rows], groups_of(rows), self._request.seed, _SPLIT)
        pairs = zip(rows, splits, strict=True)
        rows = [dataclasses.replace(row, split=split) for row, split in pairs]
        rows += [
            dataclasses.replace(self._row(one), split=TEST)
            for one in self._held_out
            if self._is_kept(one)
        ]
        write_table(self._store.folder / TABLE, rows)
        asked_for = [*self._pool, *self._held_out]
        left_out = [
            (one, fate)
            for one in asked_for
            if (fate := fates.get(one.track_id)) is not None and fate.reason
        ]
        write_left_out(self._store.folder / "left_out.csv", left_out)
        counted = Counter(row.split for row in rows)
        return Collected(
            table=self._store.folder / TABLE,
            asked_for=len(asked_for),
            splits={split: counted[split] for split in (TRAIN, VALIDATION, TEST)},
            left_out=dict(Counter(fate.reason for _, fate in left_out)),
            unreachable=self._counts.unreachable,
            licences=dict(Counter(row.licence for row in rows)),
            is_complete=is_complete,
        )

    def _is_kept(self, listed: Listed) -> bool:
        fate = self._store.fates.get(listed.track_id)
        return fate is not None and not fate.reason

    def _row(self, listed: Listed) -> Row:
        return Row(
            track_id=listed.track_id,
            title=listed.title,
            artist=listed.artist,
            album=listed.album,
            duration_s=self._store.fates[listed.track_id].duration_s,
            genre=listed.genre,
            path=f"audio/{listed.track_id}.mp3",
            licence=listed.licence,
            source=listed.source,
        )
