"""Tunes made of nothing but numbers, and a catalog that lives in a dictionary."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from songid_desktop.types import AudioBlock, Fingerprint, FingerprintChange, FloatArray

RATE = 8000


def tune(seed: int, seconds: float, rate: int = RATE) -> FloatArray:
    """Music of a kind: plucked notes of four harmonics over a quiet bass, different for every
    seed."""
    random = np.random.default_rng([41, seed])
    sound = np.zeros(int(seconds * rate), np.float32)
    at = 0.0
    while at < seconds:
        pitch_hz = 110.0 * 2.0 ** (random.integers(0, 36) / 12)
        length_s = float(random.uniform(0.3, 0.9))
        start = int(at * rate)
        time_s = np.arange(min(int(length_s * rate), len(sound) - start)) / rate
        note = sum(
            np.sin(2 * np.pi * pitch_hz * k * time_s + random.uniform(0, 6)) / k
            for k in range(1, 5)
            if pitch_hz * k < rate / 2
        )
        sound[start : start + len(time_s)] += 0.2 * note * np.exp(-4.0 * time_s)
        at += float(random.choice([0.125, 0.25, 0.25, 0.5]))
    return sound


def block(samples: FloatArray, rate: int = RATE, start_sample: int = 0) -> AudioBlock:
    return AudioBlock(np.asarray(samples, np.float32), rate, start_sample)


class DictReader:
    """`types.FingerprintReader` over a dictionary, with the catalog's habit of net changes."""

    def __init__(self) -> None:
        self._now = 0
        self._rows: dict[int, tuple[int, Fingerprint | None]] = {}

    def put(self, track_id: int, fingerprint: Fingerprint | None) -> None:
        self._now += 1
        self._rows[track_id] = (self._now, fingerprint)

    def catalog_id(self) -> str:
        return ""

    def revision(self) -> int:
        return self._now

    def changes(
        self, identifier: str, config_digest: str, since_revision: int
    ) -> Iterator[FingerprintChange]:
        for track_id, (revision, found) in sorted(self._rows.items(), key=lambda row: row[1][0]):
            if revision <= since_revision or (found is None and since_revision == 0):
                continue
            fits = found is None or (found.identifier, found.config_digest) == (
                identifier,
                config_digest,
            )
            if fits:
                yield FingerprintChange(revision, track_id, found)

    def fingerprint_count(self, identifier: str, config_digest: str) -> int:
        return sum(
            found is not None
            and (found.identifier, found.config_digest) == (identifier, config_digest)
            for _, found in self._rows.values()
        )
