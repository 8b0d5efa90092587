"""Generated music for tests of the whole: tunes in files, and a library that knows them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from songid_desktop.types import FloatArray
from tests.support.sound import write_wav
from tests.support.tools import last_json, songid


@dataclass(frozen=True)
class TuneLibrary:
    """An instance (`--base-dir`) in which the tunes of a folder are enrolled."""

    base_dir: Path
    tunes: tuple[Path, ...]

    @classmethod
    def make(cls, folder: Path) -> TuneLibrary:
        """Generate the demo tunes below `folder` and enrol them by the real command."""
        from songid_desktop.evaluate.demo_tunes import write_tunes

        tunes = tuple(write_tunes(folder / "tunes"))
        base_dir = folder / "instance"
        done = songid("enroll", folder / "tunes", "--json", base_dir=base_dir)
        assert done.returncode == 0, done.stderr
        assert last_json(done)["added"] == len(tunes)
        return cls(base_dir, tunes)

    def plays(self) -> list[dict[str, object]]:
        """Rows of the history, as the command line lists them."""
        done = songid("history", "--json", base_dir=self.base_dir)
        assert done.returncode in (0, 1), done.stderr
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def short_tune(seed: int, seconds: float = 5.0, sample_rate: int = 11_025) -> FloatArray:
    """Random notes with overtones over soft noise: cheap, and no two seeds alike. float32,
    shape (n,), peak under 1."""
    random = np.random.default_rng(seed)
    count = round(seconds * sample_rate)
    out = 0.01 * random.standard_normal(count)
    at = 0
    while at < count:
        length = int(random.integers(sample_rate // 8, sample_rate // 2))
        time_s = np.arange(min(length, count - at)) / sample_rate
        pitch_hz = 220 * 2 ** (random.integers(0, 36) / 12)
        for overtone in range(1, 5):
            if pitch_hz * overtone < sample_rate / 2.2:
                wave = np.sin(2 * np.pi * pitch_hz * overtone * time_s) / overtone
                out[at : at + len(time_s)] += 0.3 * wave * np.exp(-3 * time_s)
        at += length // 2
    return (0.8 * out / np.abs(out).max()).astype(np.float32)


def write_short_tunes(folder: Path, count: int, seconds: float = 5.0) -> list[Path]:
    """`count` different WAV files."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"tune {number:03}.wav" for number in range(count)]
    for seed, path in enumerate(paths):
        write_wav(path, short_tune(seed, seconds), 11_025)
    return paths
