"""What was heard, on its way into the history: rows are written off the GUI thread, in order.

Everything here that touches the catalog runs in the jobs' lane "history", one thread.
"""

from __future__ import annotations

import time
import wave
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from songid_desktop.paths import Paths
from songid_desktop.types import AudioBlock, Identification, Track
from songid_desktop.ui.bridge import Job
from songid_desktop.ui.services import Services

if TYPE_CHECKING:
    from songid_desktop.catalog.catalog import Catalog
    from songid_desktop.identify.history_log import PlayRecorder
    from songid_desktop.identify.session import Look

LANE = "history"
CLIP_AT_MOST_S = 15.0
_SAME_LISTENING_S = 30.0


class HistoryKeeper:
    """One row a play. Make one a window; `begin` and `end` a listening, `take` each look."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._recorder: PlayRecorder | None = None
        self._catalog: Catalog | None = None

    def begin(self, source: str) -> None:
        """A listening begins."""
        self._run(self._begin, source)

    def take(self, look: Look, source: str) -> None:
        """Another look."""
        self._run(self._take, look, source)

    def end(self) -> None:
        """The listening is over: the open play gets its end."""
        self._run(self._end)

    def add_file(self, path: Path, found: Identification, track: Track) -> None:
        """A file that was named."""
        self._run(self._add_file, path, found, track)

    def _run(self, function: object, *args: object) -> None:
        assert callable(function)
        job = self._services.jobs.run(function, *args, lane=LANE)
        job.failed.connect(lambda error: self._services.report(error, "History:"))
        job.done.connect(self._tell)

    def _tell(self, troubles: object) -> None:
        for sentence in troubles if isinstance(troubles, list) else ():
            self._services.notify(sentence, kind="warn")

    # On the lane's thread

    def _begin(self, source: str) -> list[str]:
        from songid_desktop.identify.history_log import PlayRecorder

        troubles = self._end()
        self._recorder = PlayRecorder(self._services.paths, self._find_track)
        self._recorder.source = source
        return troubles

    def _take(self, look: Look, source: str) -> list[str]:
        if self._recorder is None:
            return []
        self._recorder.source = source
        return self._recorder.take(look)

    def _end(self) -> list[str]:
        recorder, self._recorder = self._recorder, None
        troubles = [] if recorder is None else recorder.finish()
        if self._catalog is not None:
            self._catalog.close()
            self._catalog = None
        return troubles

    def _find_track(self, track_id: int) -> Track | None:
        from songid_desktop.catalog.catalog import Catalog

        if self._catalog is None:
            self._catalog = Catalog.open(self._services.paths, create=False)
        return self._catalog.track(track_id)

    def _add_file(self, path: Path, found: Identification, track: Track) -> list[str]:
        from songid_desktop.catalog.catalog import Catalog
        from songid_desktop.catalog.history import History
        from songid_desktop.catalog.records import Play

        best = found.best
        if best is None:
            return []
        now = time.time()
        play = Play(
            started_at=now,
            ended_at=now,
            track_id=track.track_id,
            title=track.title,
            artist=track.artist,
            album=track.tags.album,
            path=track.path,
            offset_s=best.offset_s,
            confidence=best.confidence,
            identifier=found.identifier,
            verdict=found.verdict.value,
            source=path.name,
        )
        with Catalog.open(self._services.paths) as catalog:
            History(catalog).add(play)
        return []


def keep_clip(services: Services, block: AudioBlock, track: Track | None, source: str) -> Job:
    """Save `block` beside the library and put it into the history: to the row of the track that was
    heard just now, or as a row of its own. The job's result is the file's path."""
    return services.jobs.run(_keep_clip, services.paths, block, track, source, lane=LANE)


def _keep_clip(paths: Paths, block: AudioBlock, track: Track | None, source: str) -> Path:
    from songid_desktop.catalog.catalog import Catalog
    from songid_desktop.catalog.history import History
    from songid_desktop.catalog.records import Play

    now = time.time()
    path = clip_path(paths.clips, now, track.title if track else "")
    write_wave(path, block)
    with Catalog.open(paths) as catalog:
        history = History(catalog)
        newest = next(iter(history.search(limit=1)), None)
        is_same = (
            track is not None
            and newest is not None
            and newest.track_id == track.track_id
            and newest.clip is None
            and now - newest.ended_at < _SAME_LISTENING_S
        )
        if is_same and newest is not None:
            history.update(newest.play_id, clip=path)
        else:
            history.add(
                Play(
                    started_at=now - block.duration_s,
                    ended_at=now,
                    track_id=track.track_id if track else None,
                    title=track.title if track else "",
                    artist=track.artist if track else "",
                    album=track.tags.album if track else "",
                    path=track.path if track else None,
                    verdict="match" if track else "no_match",
                    source=source,
                    clip=path,
                )
            )
    return path


def clip_path(folder: Path, at: float, title: str) -> Path:
    """A name by time and title that is not taken, whatever the title holds."""
    stamp = time.strftime("%Y-%m-%d %H.%M.%S", time.localtime(at))
    safe = "".join(c if c.isalnum() or c in " -_" else " " for c in title)
    safe = " ".join(safe.split())[:60].strip()
    stem = f"{stamp} {safe}".strip()
    path, number = folder / f"{stem}.wav", 2
    while path.exists():
        path, number = folder / f"{stem} ({number}).wav", number + 1
    return path


def write_wave(path: Path, block: AudioBlock) -> None:
    """Write mono 16-bit PCM, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.nan_to_num(np.clip(block.samples, -1.0, 1.0))
    part = path.with_suffix(".part")
    try:
        with wave.open(str(part), "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(block.sample_rate)
            out.writeframes(np.round(samples * 32767.0).astype("<i2").tobytes())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
