"""Sound files, fingerprinters and libraries for the catalog's tests; everything is generated."""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from songid_desktop.catalog.catalog import Catalog
from songid_desktop.catalog.enrol import enrol
from songid_desktop.catalog.records import EnrolReport
from songid_desktop.errors import AudioFileError, Cancelled
from songid_desktop.paths import Paths
from songid_desktop.types import AudioBlock, CancelToken, FileProblem, Fingerprint

RATE = 8000


@dataclass(frozen=True)
class CheckSum:
    """The cheapest honest fingerprinter: a checksum of the sound, rounded to eight bits."""

    name: str = "checksum"
    config_digest: str = "v1"
    sample_rate: int | None = RATE
    bytes_per_s: int = 4

    def fingerprint(
        self, blocks: Iterable[AudioBlock], cancel: CancelToken | None = None
    ) -> Fingerprint:
        crc, samples, rate = 0, 0, 1
        for block in blocks:
            if cancel is not None and cancel.is_set():
                raise Cancelled
            crc = zlib.crc32((block.samples * 127).astype(np.int8).tobytes(), crc)
            samples, rate = samples + len(block.samples), block.sample_rate
        seconds = samples / rate
        payload = crc.to_bytes(4, "little") * max(1, int(seconds * self.bytes_per_s / 4))
        return Fingerprint(self.name, self.config_digest, payload, seconds)


def as_landmark() -> CheckSum:
    """What the window takes for the landmarks of today, at the price of a checksum."""
    from songid_desktop.identify.landmark import landmark_fingerprinter

    return CheckSum(name="landmark", config_digest=landmark_fingerprinter().config_digest)


@dataclass(frozen=True)
class Slow(CheckSum):
    """Takes its time over every block, so that a test can step in meanwhile."""

    name: str = "slow"
    pause_s: float = 0.02

    def fingerprint(
        self, blocks: Iterable[AudioBlock], cancel: CancelToken | None = None
    ) -> Fingerprint:
        def slowly() -> Iterable[AudioBlock]:
            for block in blocks:
                time.sleep(self.pause_s)
                yield block

        return CheckSum.fingerprint(self, slowly(), cancel)


@dataclass(frozen=True)
class Fragile(CheckSum):
    """Takes its process down when the sound is as loud as `limit`."""

    name: str = "fragile"
    limit: float = 0.9

    def fingerprint(
        self, blocks: Iterable[AudioBlock], cancel: CancelToken | None = None
    ) -> Fingerprint:
        def watched() -> Iterable[AudioBlock]:
            for block in blocks:
                if np.abs(block.samples).max() >= self.limit:
                    os._exit(139)
                yield block

        return CheckSum.fingerprint(self, watched(), cancel)


@dataclass(frozen=True)
class Refusing(CheckSum):
    """Makes nothing of anything."""

    name: str = "refusing"

    def fingerprint(
        self, blocks: Iterable[AudioBlock], cancel: CancelToken | None = None
    ) -> Fingerprint:
        next(iter(blocks))
        raise AudioFileError(FileProblem.CORRUPT, "not my kind of music")


def tone(seed: int, seconds: float = 1.5, level: float = 0.3) -> np.ndarray:
    """A different sound for every seed."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(int(seconds * RATE)) / RATE
    notes = rng.uniform(100, 3000, 3)[:, None]
    wave = np.sin(2 * np.pi * notes * time_s).mean(axis=0)
    return (level * wave + 0.01 * rng.standard_normal(len(time_s))).astype(np.float32)


def write_song(
    path: Path, seed: int, seconds: float = 1.5, level: float = 0.3, fmt: str | None = None
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Through a handle: libsndfile takes no names that are no valid text.
    with path.open("wb") as file:
        kind = fmt or {".flac": "FLAC", ".ogg": "OGG", ".aiff": "AIFF", ".mp3": "MP3"}.get(
            path.suffix.lower(), "WAV"
        )
        soundfile.write(file, tone(seed, seconds, level), RATE, format=kind)
    return path


def enrol_here(
    paths: Paths,
    *roots: Path,
    fingerprinters: Sequence[CheckSum] = (CheckSum(),),
    **options: object,
) -> EnrolReport:
    """Enrol on the test's own thread."""
    return enrol(paths, roots, fingerprinters, in_process=True, **options)  # type: ignore[arg-type]


def titles(paths: Paths, search: str = "") -> list[str]:
    with Catalog.open(paths) as catalog:
        return [track.title for track in catalog.tracks(search=search)]
