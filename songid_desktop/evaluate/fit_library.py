"""The library that calibrations are fitted in: fingerprints in a folder, and an index of them."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TypeVar

from songid_desktop.audio.decode import open_audio
from songid_desktop.identify.landmark import LandmarkFingerprinter, LandmarkIdentifier
from songid_desktop.landmark.config import LandmarkConfig
from songid_desktop.types import Fingerprint, FingerprintChange, Fingerprinter

Pool = ProcessPoolExecutor
T = TypeVar("T")
R = TypeVar("R")


class Prints:
    """Fingerprints in a folder, in the shape of the catalog's reader; parts of them too."""

    def __init__(self, folder: Path, paths: Sequence[str]) -> None:
        self._folder = folder
        self.paths = list(paths)

    def file(self, path: str) -> Path:
        return self._folder / hashlib.sha256(path.encode()).hexdigest()[:24]

    def catalog_id(self) -> str:
        return ""

    def revision(self) -> int:
        return len(self.paths)

    def changes(
        self, identifier: str, config_digest: str, since_revision: int
    ) -> Iterator[FingerprintChange]:
        for number in range(since_revision + 1, len(self.paths) + 1):
            payload = self.file(self.paths[number - 1]).read_bytes()
            found = Fingerprint(identifier, config_digest, payload, 0.0)
            yield FingerprintChange(number, number, found)

    def fingerprint_count(self, identifier: str, config_digest: str) -> int:
        del identifier, config_digest
        return len(self.paths)

    def payload_part(
        self, identifier: str, config_digest: str, track_id: int, start: int, length: int
    ) -> bytes | None:
        del identifier, config_digest
        with self.file(self.paths[track_id - 1]).open("rb") as payload:
            payload.seek(start)
            return payload.read(length)


def keep_print(maker: Fingerprinter, source: Path, target: Path) -> None:
    """Fingerprint a recording into a file, unless that was done before."""
    if target.exists():
        return
    with open_audio(source, maker.sample_rate) as blocks:
        payload = maker.fingerprint(blocks).payload
    temporary = target.with_suffix(".writing")
    temporary.write_bytes(payload)
    temporary.replace(target)


def _enrol_one(job: tuple[Path, Path]) -> None:
    keep_print(LandmarkFingerprinter(), *job)


def run_all(run_task: Callable[[T], list[R]], tasks: Sequence[T], pool: Pool) -> list[R]:
    """The looks of all tasks, in their order."""
    rows: list[R] = []
    for number, found in enumerate(pool.map(run_task, tasks, chunksize=2), start=1):
        rows += found
        if number % 20 == 0:
            print(f"{number} of {len(tasks)}", file=sys.stderr, flush=True)
    return rows


def prepare(corpus: Path, work: Path, paths: Sequence[str], name: str, pool: Pool) -> Prints:
    """Fingerprint what is missing and save the index ``work / name``."""
    folder = work / f"prints-{LandmarkConfig().digest()}"
    folder.mkdir(parents=True, exist_ok=True)
    prints = Prints(folder, paths)
    jobs = [(corpus / path, prints.file(path)) for path in paths]
    list(pool.map(_enrol_one, jobs, chunksize=8))
    identifier = LandmarkIdentifier(work / name)
    identifier.open(prints)
    identifier.save()
    print(f"{name}: {identifier.statistics()}", file=sys.stderr)
    identifier.close()
    return prints
