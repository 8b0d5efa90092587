"""Clips to measure with: stretches of tracks, as they are or degraded, from a corpus with roles.

The corpus has a ``manifest.csv`` (path, role, …) and a ``noise_rooms.csv`` (path, kind, split).
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from songid_desktop.audio.decode import decode
from songid_desktop.dsp.weighting import a_weighted_level_db
from songid_desktop.types import AudioBlock, FloatArray

SILENT_RMS = 1e-3


def read_table(path: Path) -> list[dict[str, str]]:
    """Rows of a table with a head."""
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def tracks(corpus: Path, roles: Iterable[str]) -> list[str]:
    """Paths of the manifest's tracks of some roles."""
    wanted = set(roles)
    return [row["path"] for row in read_table(corpus / "manifest.csv") if row["role"] in wanted]


class Surroundings:
    """Noises and rooms of one side of the corpus."""

    def __init__(self, corpus: Path, split: str) -> None:
        rows = [row for row in read_table(corpus / "noise_rooms.csv") if row["split"] == split]
        self.noises = [corpus / row["path"] for row in rows if row["kind"] == "noise"]
        self._rooms = [corpus / row["path"] for row in rows if row["kind"] == "room"]

    def noise(self, rng: np.random.Generator, rate: int, count: int) -> FloatArray:
        """A stretch of any noise; short ones are repeated."""
        whole = _decoded(self.noises[int(rng.integers(len(self.noises)))], rate)
        begin = int(rng.integers(max(1, len(whole) - count)))
        return np.resize(whole[begin:], count)

    def room(self, rng: np.random.Generator, rate: int) -> FloatArray:
        """Any room's impulse response, from its direct sound on."""
        response = _decoded(self._rooms[int(rng.integers(len(self._rooms)))], rate)
        return response[int(np.argmax(np.abs(response))) :]


@functools.lru_cache(maxsize=64)
def _decoded(path: Path, rate: int) -> FloatArray:
    return decode(path, rate).samples


def degrade(
    track: AudioBlock, where: slice, condition: str, around: Surroundings, rng: np.random.Generator
) -> FloatArray:
    """A clip of a track under a condition, made as the measuring protocol says.

    White noise is at the file's own rate over its whole band; in rooms, background and music are
    compared A-weighted over the clip, the music with a second of its own past before it.

    Parameters
    ----------
    track : AudioBlock
        The whole track at its own rate.
    where : slice
        The clip's samples, both ends given.
    condition : str
        ``clean``, ``white`` or ``room`` and a signal-to-noise ratio in dB, e.g. ``room-5``.
    """
    samples, rate = track.samples, track.sample_rate
    clip = samples[where]
    if condition == "clean":
        return clip
    kind = condition.rstrip("-0123456789")
    level_db = float(condition.removeprefix(kind))
    start, count = where.start, len(clip)
    if kind == "white":
        noise = rng.standard_normal(count).astype(np.float32)
        ratio = np.sqrt(np.mean(clip**2) / np.mean(noise**2) * 10.0 ** (-level_db / 10.0))
        return np.asarray(clip + noise * ratio, np.float32)
    past = max(0, start - rate)
    wet = _convolve(samples[past : start + count], around.room(rng, rate))[start - past :][:count]
    noise = around.noise(rng, rate, count)
    gain_db = a_weighted_level_db(wet, rate) - a_weighted_level_db(noise, rate) - level_db
    if not np.isfinite(gain_db):  # one of them is silent here, so there is no ratio to set
        return wet
    return np.asarray(wet + noise * 10.0 ** (gain_db / 20.0), np.float32)


def _convolve(sound: FloatArray, response: FloatArray) -> FloatArray:
    size = 1 << (len(sound) + len(response)).bit_length()
    product = np.fft.rfft(sound, size) * np.fft.rfft(response, size)
    return np.fft.irfft(product, size)[: len(sound)].astype(np.float32)


def draw_start(track: FloatArray, count: int, rng: np.random.Generator) -> int | None:
    """A uniform start whose clip is not silent; None when there is none to be found."""
    for _ in range(30):
        start = int(rng.integers(0, max(1, len(track) - count)))
        clip = track[start : start + count]
        if len(clip) and float(np.sqrt(np.mean(clip**2))) > SILENT_RMS:
            return start
    return None
