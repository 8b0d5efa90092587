"""Identification on one thread: the catalog's reader, the warm identifiers, the signal screen.

The engine never makes a catalog: where there is none, nothing is enrolled, and it looks again at
the next question. The order of judgement: is there anything to find; can the sound be heard at
all; does an identifier know it; and only if none does, was it music.
"""

from __future__ import annotations

import logging
import math
import time
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from songid_desktop.catalog.catalog import Catalog
from songid_desktop.errors import AudioFileError, Cancelled, CatalogError, NothingEnrolled
from songid_desktop.identify import registry
from songid_desktop.identify.registry import DEFAULT_IDENTIFIER
from songid_desktop.identify.screen import measure_music, screen
from songid_desktop.paths import Paths
from songid_desktop.types import (
    AudioBlock,
    CancelToken,
    Identification,
    Identifier,
    Match,
    Reason,
    Track,
    Verdict,
)

WHOLE_FILE_UP_TO_S = 20.0
"""A file no longer than this is looked at whole, in one clip."""

LONG_FILE_WINDOW_S = 15.0
LONG_FILE_PLACES = (0.0, 0.5, 0.25, 0.75, 0.9)
"""Where, as a share of its length, a longer file is looked at; the first match ends it."""

UNKNOWN_LENGTH_STARTS_S = (0.0, 20.0, 60.0, 120.0)
"""Where a file is looked at that does not say how long it is."""

SAVE_AFTER_OPENING_S = 1.0
"""An index whose opening took longer than this was made again and is worth saving: one that was
saved is mapped in milliseconds at any size."""

_log = logging.getLogger(__name__)
_NAMING = (Verdict.MATCH, Verdict.UNSURE)


class Engine:
    """Identifies clips and files against one catalog. All calls come from one thread."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._catalog: Catalog | None = None
        self._identifiers: dict[str, Identifier] = {}
        self._counter = -1
        self._file: tuple[int, int] | None = None

    @property
    def change_counter(self) -> int:
        """The catalog's counter as of the last `refresh`; -1 while there is no catalog."""
        return self._counter

    def identify(
        self,
        audio: AudioBlock,
        identifier: str = DEFAULT_IDENTIFIER,
        top: int = 5,
        cancel: CancelToken | None = None,
        is_file: bool = False,
    ) -> Identification:
        """Name what is heard. Bad sound, an empty catalog and a cancel are verdicts, not errors.

        `is_file` chooses the words: nobody can move closer to a file, or unmute it.

        Raises
        ------
        UsageError
            For an unknown identifier.
        CatalogError
            When the catalog can't be read.
        """
        begun = time.perf_counter()
        registry.describe(identifier)
        self.refresh()
        try:
            found = self._judge(audio, identifier, top, cancel, is_file)
        except Cancelled:
            found = Identification(Verdict.CANCELLED, identifier, message="Cancelled.")
        total_ms = (time.perf_counter() - begun) * 1000
        return replace(
            found,
            heard_s=audio.duration_s,
            timings=replace(found.timings, total_ms=total_ms),
        )

    def _judge(
        self, audio: AudioBlock, name: str, top: int, cancel: CancelToken | None, is_file: bool
    ) -> Identification:
        identifier = self._identifier(name)
        if identifier is None or identifier.track_count == 0:
            return Identification(
                Verdict.EMPTY_CATALOG,
                name,
                message="Nothing is enrolled yet. Add a music folder first.",
            )
        if len(audio.samples) == 0:
            return Identification(
                Verdict.NOT_ENOUGH_AUDIO, name, message="There is no sound to look at."
            )
        audio = _finite(audio)
        level = screen(audio, is_file=is_file)
        if level.is_hopeless:
            return Identification(Verdict.NO_SIGNAL, name, level.reason, level.message)
        found = identifier.identify(audio, top, cancel)
        if cancel is not None and cancel.is_set():
            raise Cancelled
        if found.verdict in _NAMING and found.best is not None:
            found = replace(found, message=self._naming_message(found, found.best))
        elif found.verdict is Verdict.NO_MATCH:
            found = _explain_no_match(found, audio, is_file)
        if level.reason is Reason.CLIPPING and found.verdict in (*_NAMING, Verdict.NO_MATCH):
            found = replace(
                found, reason=Reason.CLIPPING, message=f"{found.message} {level.message}".strip()
            )
        return found

    def _naming_message(self, found: Identification, best: Match) -> str:
        track = self.track(best.track_id)
        name = f"track {best.track_id}" if track is None else f"“{track.title}”"
        if track is not None and track.artist:
            name += f" by {track.artist}"
        percent = min(99, round(best.confidence * 100))
        lead = "This is" if found.verdict is Verdict.MATCH else "Maybe this is"
        return f"{lead} {name}, {percent} %."

    def identify_file(
        self,
        path: Path,
        identifier: str = DEFAULT_IDENTIFIER,
        top: int = 5,
        cancel: CancelToken | None = None,
    ) -> Identification:
        """Name the music of a file; one that can't be read gives the verdict ERROR with the
        reason UNREADABLE. `offset_s` of a match belongs to the file's first sample.

        A file of up to 20 s is one clip. A longer one is looked at in windows of 15 s at several
        places until one is named.
        """
        from songid_desktop.audio.decode import probe

        begun = time.perf_counter()
        decode_ms = 0.0
        best: Identification | None = None
        try:
            duration_s = probe(path).duration_s
            decode_ms = (time.perf_counter() - begun) * 1000
            for start_s, length_s in _windows(duration_s):
                found, window_decode_ms = self._identify_window(
                    path, start_s, length_s, identifier=identifier, top=top, cancel=cancel
                )
                decode_ms += window_decode_ms
                best = _better(best, found)
                if best.verdict in (Verdict.MATCH, Verdict.CANCELLED, Verdict.EMPTY_CATALOG):
                    break
        except Cancelled:
            best = Identification(Verdict.CANCELLED, identifier, message="Cancelled.")
        except AudioFileError as error:
            if best is None:
                best = Identification(
                    Verdict.ERROR, identifier, Reason.UNREADABLE, message=str(error)
                )
        if best is None:
            best = Identification(
                Verdict.NOT_ENOUGH_AUDIO, identifier, message="The file holds no sound."
            )
        total_ms = (time.perf_counter() - begun) * 1000
        timings = replace(best.timings, decode_ms=decode_ms, total_ms=total_ms)
        return replace(best, timings=timings)

    def _identify_window(
        self,
        path: Path,
        start_s: float,
        length_s: float | None,
        *,
        identifier: str,
        top: int,
        cancel: CancelToken | None,
    ) -> tuple[Identification, float]:
        """The answer to one window of a file, its offsets moved to the file's first sample."""
        from songid_desktop.audio.decode import decode

        begun = time.perf_counter()
        audio = decode(path, start_s=start_s, length_s=length_s, cancel=cancel)
        decode_ms = (time.perf_counter() - begun) * 1000
        found = self.identify(audio, identifier, top, cancel, True)
        if start_s > 0:
            moved = tuple(
                replace(match, offset_s=match.offset_s - start_s * (match.speed or 1.0))
                for match in found.matches
            )
            found = replace(found, matches=moved)
        return found, decode_ms

    def track(self, track_id: int) -> Track | None:
        """The catalog's entry for a candidate."""
        catalog = self._open_catalog()
        return None if catalog is None else catalog.track(track_id)

    def track_count(self, identifier: str = DEFAULT_IDENTIFIER) -> int:
        """How many tracks `identifier` can find, after catching up with the catalog."""
        self.refresh()
        opened = self._identifier(identifier)
        return 0 if opened is None else opened.track_count

    def warm(self, identifier: str = DEFAULT_IDENTIFIER) -> None:
        """Open the index and go through one identification of nothing, so that the first real one
        does not wait for libraries to load: 0.2 s instead of 0.02 s of work for a first look.

        One that is open with other weights than are installed now is opened anew.
        """
        self._drop_if_outdated(identifier)
        self.refresh()
        opened = self._identifier(identifier)
        if opened is None or opened.track_count == 0:
            return
        rng = np.random.default_rng(0)
        hiss = AudioBlock(rng.uniform(-0.01, 0.01, 2 * 48_000).astype(np.float32), 48_000)
        self.identify(hiss, identifier)

    def _drop_if_outdated(self, name: str) -> None:
        known = self._identifiers.get(name)
        if known is None or name == DEFAULT_IDENTIFIER:
            return
        if known.config_digest != registry.config_digests().get(name):
            del self._identifiers[name]
            known.close()

    def require_tracks(self, identifier: str = DEFAULT_IDENTIFIER) -> None:
        """Raise NothingEnrolled, naming the command that enrols, when there is nothing to find."""
        registry.describe(identifier)
        if self.track_count(identifier) == 0:
            chosen = "" if identifier == DEFAULT_IDENTIFIER else f" --identifier {identifier}"
            raise NothingEnrolled(
                f"Nothing is enrolled for the identifier “{identifier}” yet. "
                f"Enrol a music folder with: songid enroll FOLDER{chosen}"
            )

    def refresh(self) -> bool:
        """Catch up with the catalog; True when something changed. One tiny read when not."""
        catalog = self._open_catalog()
        if catalog is None:
            return False
        counter = catalog.change_counter()
        if counter == self._counter:
            return False
        for identifier in self._identifiers.values():
            identifier.refresh()
        self._counter = counter
        return True

    def close(self) -> None:
        """Let go of the catalog and the indexes. Safe to call twice."""
        for identifier in self._identifiers.values():
            identifier.close()
        self._identifiers.clear()
        if self._catalog is not None:
            self._catalog.close()
            self._catalog = None

    def _open_catalog(self) -> Catalog | None:
        """The catalog, opened on first need; None while its file is not there.

        A file that went away while open (its folder was removed), or was replaced by another (a
        rebuild, a backup put in place), is let go of too.
        """
        file = _file_identity(self._paths.catalog)
        if self._catalog is not None and file != self._file:
            self.close()
            self._counter = -1
        if self._catalog is None and file is not None:
            self._catalog = Catalog.open(self._paths, create=False)
            self._file = file
        return self._catalog

    def _identifier(self, name: str) -> Identifier | None:
        """The identifier called `name`, opened on first need; None without a catalog."""
        known = self._identifiers.get(name)
        if known is not None:
            return known
        catalog = self._open_catalog()
        if catalog is None:
            return None
        identifier = registry.create(name, self._paths)
        begun = time.monotonic()
        identifier.open(catalog.reader())
        self._identifiers[name] = identifier
        if time.monotonic() - begun > SAVE_AFTER_OPENING_S:
            _save_for_the_next(identifier, catalog)
        return identifier

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _save_for_the_next(identifier: Identifier, catalog: Catalog) -> None:
    """Write an index that was long to open (made again after an update of the program, or after
    its files were lost), so that the next process need not do it all again. Where another process
    is writing, or nothing can be written, it stays in memory."""
    try:
        with catalog.writer("opening the index"):
            identifier.save()
    except (CatalogError, OSError) as error:
        _log.info("The %s index is not saved: %s", identifier.name, error)


def _file_identity(path: Path) -> tuple[int, int] | None:
    """Which file stands at `path`, None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _finite(audio: AudioBlock) -> AudioBlock:
    """`audio` with every sample that is no number set to zero; itself where there is none."""
    if np.isfinite(audio.samples).all():
        return audio
    repaired = np.nan_to_num(audio.samples, nan=0.0, posinf=0.0, neginf=0.0)
    return AudioBlock(repaired.astype(np.float32), audio.sample_rate, audio.start_sample)


def _explain_no_match(found: Identification, audio: AudioBlock, is_file: bool) -> Identification:
    """Say why nothing was found: no music in it, or good sound that is not in the library."""
    measured = measure_music(audio)
    if measured.is_no_music:
        message = (
            f"No music heard (music measure {measured.score:.2f}, "
            f"music begins at {measured.threshold:.2f})."
        )
        if not is_file:
            message += " Move closer to the music."
        return replace(found, reason=Reason.NO_MUSIC, message=message)
    message = (
        "Not in your library: the sound is good, but nothing enrolled is like it."
        if audio.duration_s >= LONG_FILE_WINDOW_S / 3
        else "Nothing enrolled is like it so far. A longer clip may tell more."
    )
    return replace(found, reason=Reason.NOT_SIMILAR, message=message)


def _windows(duration_s: float | None) -> list[tuple[float, float | None]]:
    """Where to look in a file: (start, length) in seconds, None for up to its end."""
    if duration_s is None or not math.isfinite(duration_s):
        return [(start_s, LONG_FILE_WINDOW_S) for start_s in UNKNOWN_LENGTH_STARTS_S]
    if duration_s <= WHOLE_FILE_UP_TO_S:
        return [(0.0, None)]
    last_s = duration_s - LONG_FILE_WINDOW_S
    return [(min(share * duration_s, last_s), LONG_FILE_WINDOW_S) for share in LONG_FILE_PLACES]


_USEFUL = {
    Verdict.MATCH: 5,
    Verdict.UNSURE: 4,
    Verdict.NO_MATCH: 3,
    Verdict.NO_SIGNAL: 2,
    Verdict.NOT_ENOUGH_AUDIO: 1,
}


def _better(one: Identification | None, other: Identification) -> Identification:
    """The answer that says more; of two that name a track, the surer one."""
    if one is None or other.verdict is Verdict.CANCELLED:
        return other
    first, second = _USEFUL.get(one.verdict, 0), _USEFUL.get(other.verdict, 0)
    if first != second:
        return one if first > second else other
    sure = 0.0 if one.best is None else one.best.confidence
    also_sure = 0.0 if other.best is None else other.best.confidence
    return other if also_sure > sure else one
