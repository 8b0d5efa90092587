"""The words every room shares: frozen values that cross a wall, and the two protocols behind
which methods hide.

Nothing here does work. Times are seconds, levels dBFS, frequencies hertz; arrays say their shape
and type.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]

CancelToken = threading.Event
"""Set from any thread to ask for an early end; looked at between blocks, at least every 100 ms of
work."""


class Verdict(StrEnum):
    """What an identification came to. `MATCH` and `UNSURE` name a track, the others say why there
    is none."""

    MATCH = "match"
    UNSURE = "unsure"
    NO_MATCH = "no_match"
    NOT_ENOUGH_AUDIO = "not_enough_audio"
    NO_SIGNAL = "no_signal"
    EMPTY_CATALOG = "empty_catalog"
    CANCELLED = "cancelled"
    ERROR = "error"


class Reason(StrEnum):
    """The measured reason beside a verdict, where there is one."""

    EXACT_ZEROS = "exact_zeros"
    TOO_QUIET = "too_quiet"
    CLIPPING = "clipping"
    NO_MUSIC = "no_music"
    NOT_SIMILAR = "not_similar"
    UNREADABLE = "unreadable"


class FileProblem(StrEnum):
    """Why a file could not be enrolled (all but `TRUNCATED`), or what is doubtful about one that
    was."""

    EMPTY = "empty"
    CORRUPT = "corrupt"
    NOT_AUDIO = "not_audio"
    TOO_SHORT = "too_short"
    NO_PERMISSION = "no_permission"
    DRM = "drm"
    TRUNCATED = "truncated"
    PROGRAM = "program"
    """Not the file's fault: the program could not do its work on it."""

    @property
    def is_final(self) -> bool:
        """Whether the same bytes would come to the same; if not, every scan tries again."""
        return self not in {FileProblem.NO_PERMISSION, FileProblem.PROGRAM}


class EnrolState(StrEnum):
    """How far one identifier has got with one track."""

    PENDING = "pending"
    ENROLLED = "enrolled"
    FAILED = "failed"


class SourceKind(StrEnum):
    """Where live sound comes from."""

    MICROPHONE = "microphone"
    MONITOR = "monitor"


@dataclass(frozen=True, slots=True)
class AudioBlock:
    """A run of mono sound.

    Attributes
    ----------
    samples : float32 array, shape (n,)
        Full scale is -1 … 1; louder values are kept, not clipped.
    sample_rate : int
        Hertz.
    start_sample : int
        Position of ``samples[0]`` on the clock of its stream or file, at `sample_rate`.
    """

    samples: FloatArray
    sample_rate: int
    start_sample: int = 0

    @property
    def duration_s(self) -> float:
        return len(self.samples) / self.sample_rate

    @property
    def start_s(self) -> float:
        return self.start_sample / self.sample_rate


@dataclass(frozen=True, slots=True)
class Source:
    """A place to listen at. `name` is stable over restarts and re-plugging and is what settings
    remember."""

    name: str
    description: str
    kind: SourceKind
    is_default: bool = False


@dataclass(frozen=True, slots=True)
class Tags:
    """What a file says about itself; empty strings and None where it says nothing."""

    title: str = ""
    artist: str = ""
    album: str = ""
    genre: str = ""
    year: int | None = None
    track_number: int | None = None


@dataclass(frozen=True, slots=True)
class IdentifierState:
    """State of one track for one identifier. `problem` and `message` are set where `state` is
    FAILED.

    A track whose fingerprint was made by another configuration counts as PENDING.
    """

    identifier: str
    state: EnrolState
    problem: FileProblem | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Track:
    """One recording of the catalog: the same content in two places is one track with two
    locations."""

    track_id: int
    path: Path
    """First location that is present; if none is, the first one known. Absolute, as enrolled."""
    tags: Tags
    duration_s: float
    locations: tuple[Path, ...] = ()
    is_missing: bool = False
    """True when none of the locations is present. Never a deletion."""
    warning: str = ""
    """A sentence when only a part could be decoded (`FileProblem.TRUNCATED`)."""
    states: tuple[IdentifierState, ...] = ()
    has_cover: bool = False
    added_at: float = 0.0
    """Unix time (s)."""

    @property
    def title(self) -> str:
        """The tagged title, else the file's name without its ending."""
        return self.tags.title or self.path.stem

    @property
    def artist(self) -> str:
        return self.tags.artist


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What an identifier keeps of one track: bytes that the catalog stores and only that
    identifier reads.

    `config_digest` names the configuration that made the bytes; bytes of another digest are never
    mixed in.
    """

    identifier: str
    config_digest: str
    payload: bytes
    duration_s: float
    """Seconds of sound that were fingerprinted."""


@dataclass(frozen=True, slots=True)
class Constellation:
    """Spectral peaks as points to draw.

    Attributes
    ----------
    time_s : float32 array, shape (n,)
        From the first sample of the clip (or of the stream, where said).
    freq_hz : float32 array, shape (n,)
    """

    time_s: FloatArray
    freq_hz: FloatArray

    @staticmethod
    def empty() -> Constellation:
        return Constellation(np.zeros(0, np.float32), np.zeros(0, np.float32))


def _no_pairs() -> FloatArray:
    return np.zeros((0, 4), np.float32)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for a match, as things that can be drawn and said in one line.

    Attributes
    ----------
    summary : str
        One line for people, e.g. "14 of about 20 aligned hashes".
    query_peaks, matched_peaks : Constellation
        Peaks of the clip, and those of them that the track has at the found offset too. Seconds
        from the clip's start.
    matched_pairs : float32 array, shape (p, 4)
        Hash pairs found in both: columns t1 (s), f1 (Hz), t2 (s), f2 (Hz), times from the clip's
        start.
    offset_histogram : tuple of (offset_s, votes) arrays, shape (k,) each, or None
        Votes near the found offset.
    similarity_curve : tuple of (time_s, cosine) arrays, shape (k,) each, or None
        How like the track every part of the clip is, by a learned identifier: seconds from the
        clip's start, cosine -1 … 1.
    """

    summary: str = ""
    query_peaks: Constellation = field(default_factory=Constellation.empty)
    matched_peaks: Constellation = field(default_factory=Constellation.empty)
    matched_pairs: FloatArray = field(default_factory=_no_pairs)
    offset_histogram: tuple[FloatArray, FloatArray] | None = None
    similarity_curve: tuple[FloatArray, FloatArray] | None = None


@dataclass(frozen=True, slots=True)
class Match:
    """One candidate. Raw scores of different identifiers are never compared; `confidence` is.

    `confidence` is the probability that *this* track is playing: over the candidates of one
    identification they sum to at most 1, and what is left is "not in your library".
    `offset_s` is the position in the track of the first sample of the clip; it may be negative
    when the clip begins before the track does.
    """

    track_id: int
    rank: int
    score: float
    score_unit: str
    confidence: float
    offset_s: float
    offset_error_s: float | None
    identifier: str
    speed: float | None = None
    pitch_semitones: float | None = None
    evidence: Evidence = field(default_factory=Evidence)


@dataclass(frozen=True, slots=True)
class Timings:
    """Wall-clock milliseconds of the stages of one identification."""

    decode_ms: float = 0.0
    fingerprint_ms: float = 0.0
    match_ms: float = 0.0
    total_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Identification:
    """An answer. It always carries a verdict; an empty list without a reason is a bug.

    `message` is one or two sentences for people: what was found or measured, and what to do.
    `matches` are ranked best first and may be given with `NO_MATCH` too, so that a caller can
    judge.
    """

    verdict: Verdict
    identifier: str
    reason: Reason | None = None
    message: str = ""
    matches: tuple[Match, ...] = ()
    heard_s: float = 0.0
    timings: Timings = field(default_factory=Timings)
    query_peaks: Constellation = field(default_factory=Constellation.empty)
    """Peaks of the clip, given whether or not anything matched, so that the constellation can be
    drawn."""

    @property
    def best(self) -> Match | None:
        return self.matches[0] if self.matches else None


@dataclass(frozen=True, slots=True)
class FingerprintChange:
    """One step of the catalog's history for one identifier: a track's fingerprint came (or was
    replaced), or went (None)."""

    revision: int
    track_id: int
    fingerprint: Fingerprint | None


class FingerprintReader(Protocol):
    """What an identifier may ask of the catalog. Safe to call from any one thread at a time."""

    def catalog_id(self) -> str:
        """Name that the catalog was given when it was made: an index of another catalog is of no
        use, whatever its revisions say. Empty where catalogs have no names."""
        ...

    def revision(self) -> int:
        """Number of the newest change, over all identifiers; it only grows. Costs one indexed
        read."""
        ...

    def changes(
        self, identifier: str, config_digest: str, since_revision: int
    ) -> Iterator[FingerprintChange]:
        """Net changes after `since_revision` in growing order; 0 gives every stored fingerprint.
        Streams, never all at once."""
        ...

    def fingerprint_count(self, identifier: str, config_digest: str) -> int:
        """How many tracks are enrolled for this identifier and configuration."""
        ...


class Fingerprinter(Protocol):
    """The half of an identifier that enrolment needs; instances are picklable and cheap, they
    travel to worker processes."""

    @property
    def name(self) -> str: ...

    @property
    def config_digest(self) -> str: ...

    @property
    def sample_rate(self) -> int | None:
        """Rate (Hz) it wants its audio decoded to; None for the file's own."""
        ...

    def fingerprint(
        self, blocks: Iterable[AudioBlock], cancel: CancelToken | None = None
    ) -> Fingerprint:
        """Fingerprint one track from consecutive blocks, in memory bounded whatever the track's
        length.

        Raises
        ------
        Cancelled
            When `cancel` was set.
        """
        ...


class Identifier(Fingerprinter, Protocol):
    """The wall between the methods and everything else. All calls come from one thread at a
    time."""

    def open(self, reader: FingerprintReader) -> None:
        """Open the index beside the catalog, memory-mapped, rebuilding what is missing or
        damaged, and catch up."""
        ...

    def refresh(self) -> bool:
        """Take in what changed in the catalog since; True when something did. Cheap when nothing
        did."""
        ...

    def save(self) -> None:
        """Write the index to disk. Only the holder of the catalog's writer lock calls this."""
        ...

    def close(self) -> None: ...

    @property
    def track_count(self) -> int:
        """Tracks that can be found."""
        ...

    def add(self, track_id: int, fingerprint: Fingerprint) -> None: ...

    def remove(self, track_id: int) -> None: ...

    def identify(
        self, audio: AudioBlock, top: int = 5, cancel: CancelToken | None = None
    ) -> Identification:
        """Name what is heard in `audio` (any rate; resampled inside). Never raises for bad sound:
        that is a verdict."""
        ...
