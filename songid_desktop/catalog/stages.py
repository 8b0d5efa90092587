"""The two steps a file goes through in a worker: look at it, and fingerprint it.

Plain functions without database and without processes, so that the same code runs in worker
processes and, single-threaded, in tests.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from songid_desktop.audio.decode import open_audio
from songid_desktop.catalog.identity import content_hash
from songid_desktop.catalog.names import encode_path
from songid_desktop.catalog.tags import read_tags_and_cover
from songid_desktop.catalog.tee import share
from songid_desktop.errors import AudioFileError, Cancelled
from songid_desktop.types import (
    AudioBlock,
    CancelToken,
    FileProblem,
    Fingerprint,
    Fingerprinter,
    Tags,
)

_log = logging.getLogger(__name__)

SHORTEST_S = 1.0
"""Less sound than this is no track."""

Beat = Callable[[float], None]
"""Sign of life, with the seconds of sound decoded so far."""


@dataclass(frozen=True, slots=True)
class Examined:
    """A file as it was looked at. Size and time are from before anything was read."""

    path: Path
    size: int
    mtime_ns: int
    content_hash: bytes
    tags: Tags
    cover: bytes | None

    @property
    def stamp_path(self) -> bytes:
        """The path as the database stores it."""
        return encode_path(self.path)


@dataclass(frozen=True, slots=True)
class Fingerprinted:
    """What the fingerprinters made of a file.

    `failures` holds (identifier, problem, message) of those that could make nothing of sound that
    decodes; `warning` a sentence when only a part decodes.
    """

    fingerprints: tuple[Fingerprint, ...]
    failures: tuple[tuple[str, FileProblem, str], ...]
    duration_s: float
    warning: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A file that can't be enrolled, and why."""

    problem: FileProblem
    message: str
    size: int = 0
    mtime_ns: int = 0


@dataclass(frozen=True, slots=True)
class Vanished:
    """The file went away, or was still being written to: nothing to say about it this time."""


def examine(
    path: Path, cancel: CancelToken | None = None, beat: Beat | None = None
) -> Examined | Refused | Vanished:
    """Identity, tags and cover of a file.

    Raises
    ------
    Cancelled
    """
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            return Refused(FileProblem.NOT_AUDIO, "This is not a regular file.")
        if found.st_size == 0:
            return Refused(FileProblem.EMPTY, "The file is empty (0 bytes).", 0, found.st_mtime_ns)
        digest = content_hash(path, cancel, None if beat is None else partial(beat, 0.0))
    except OSError as error:
        refused = _refused_by_system(error)
        if isinstance(refused, Refused):
            return _stamped(refused, path)
        return refused
    tags, cover = read_tags_and_cover(path)
    return Examined(path, found.st_size, found.st_mtime_ns, digest, tags, cover)


def fingerprint_file(
    path: Path,
    fingerprinters: Sequence[Fingerprinter],
    cancel: CancelToken | None = None,
    beat: Beat | None = None,
) -> Fingerprinted | Refused | Vanished:
    """Decode a file once per sample rate asked for and run the fingerprinters over it.

    Raises
    ------
    Cancelled
    """
    groups: dict[int | None, list[Fingerprinter]] = {}
    for fingerprinter in fingerprinters:
        groups.setdefault(fingerprinter.sample_rate, []).append(fingerprinter)
    fingerprints: list[Fingerprint] = []
    failures: list[tuple[str, FileProblem, str]] = []
    duration_s, warning = 0.0, ""
    before = _signature(path)
    try:
        for rate, group in groups.items():
            results, decoded_s, warning = _run_group(path, rate, group, cancel, beat)
            duration_s = max(duration_s, decoded_s)
            for fingerprinter, result in zip(group, results, strict=True):
                if isinstance(result, BaseException):
                    failures.append((fingerprinter.name, *_failure(result)))
                else:
                    fingerprints.append(result)
    except AudioFileError as error:
        return _stamped(Refused(error.problem, str(error)), path)
    except OSError as error:
        refused = _refused_by_system(error)
        return _stamped(refused, path) if isinstance(refused, Refused) else refused
    if before is None or _signature(path) != before:
        return Vanished()
    return Fingerprinted(tuple(fingerprints), tuple(failures), duration_s, warning)


def _run_group(
    path: Path,
    rate: int | None,
    group: Sequence[Fingerprinter],
    cancel: CancelToken | None,
    beat: Beat | None,
) -> tuple[list[Fingerprint | BaseException], float, str]:
    """One pass over the sound at `rate`."""
    with open_audio(path, rate) as reader:
        blocks = _long_enough(_watched(reader, cancel, beat))
        consumers = [partial(item.fingerprint, cancel=cancel) for item in group]
        results = share(blocks, consumers)
        for result in results:
            if isinstance(result, Cancelled):
                raise result
        # A fingerprinter may stop early; the track's length is that of its sound.
        for _ in blocks:
            pass
        warning = " ".join(message for _, message in reader.warnings)
        return results, reader.decoded_s, warning


def _watched(
    blocks: Iterable[AudioBlock], cancel: CancelToken | None, beat: Beat | None
) -> Iterator[AudioBlock]:
    end_s = 0.0
    for block in blocks:
        if cancel is not None and cancel.is_set():
            raise Cancelled
        end_s += block.duration_s
        if beat is not None:
            beat(end_s)
        yield block


def _long_enough(blocks: Iterator[AudioBlock]) -> Iterator[AudioBlock]:
    """`blocks`, refusing sound that is too short before anyone starts on it."""
    first: list[AudioBlock] = []
    heard_s = 0.0
    for block in blocks:
        first.append(block)
        heard_s += block.duration_s
        if heard_s >= SHORTEST_S:
            break
    if heard_s == 0.0:
        raise AudioFileError(FileProblem.EMPTY, "The file holds no sound.")
    if heard_s < SHORTEST_S:
        raise AudioFileError(
            FileProblem.TOO_SHORT,
            f"The file holds {heard_s:.2f} s of sound; a track needs at least {SHORTEST_S:.1f} s.",
        )
    yield from first
    yield from blocks


def _failure(error: BaseException) -> tuple[FileProblem, str]:
    if isinstance(error, AudioFileError):
        return error.problem, str(error)
    _log.info("A fingerprinter failed", exc_info=error)
    said = str(error) or type(error).__name__
    return FileProblem.PROGRAM, f"The sound could not be fingerprinted ({said})."


def _signature(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def _stamped(refused: Refused, path: Path) -> Refused:
    size, mtime_ns = _signature(path) or (0, 0)
    return Refused(refused.problem, refused.message, size, mtime_ns)


def _refused_by_system(error: OSError) -> Refused | Vanished:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return Vanished()
    reason = os.strerror(error.errno) if error.errno else str(error)
    if isinstance(error, PermissionError) or error.errno in {errno.EACCES, errno.EPERM}:
        return Refused(FileProblem.NO_PERMISSION, "You have no permission to read this file.")
    return Refused(FileProblem.CORRUPT, f"The file can't be read ({reason}).")
