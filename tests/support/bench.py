"""A small folder to measure with, and runs of the bench on it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from songid_desktop.evaluate.bench import Bench
from songid_desktop.evaluate.plan import Options
from songid_desktop.evaluate.results import Record, RunFolder
from tests.support.music import write_short_tunes
from tests.support.sound import write_wav

RATE = 11_025
TRACKS = 5


def make_music(folder: Path) -> Path:
    """Five tunes of 8 s below ``folder / "music"``, a noise and a room beside them."""
    write_short_tunes(folder / "music", TRACKS, 8.0)
    for name, sound in (("noise", _hiss()), ("rooms", _echo())):
        (folder / name).mkdir()
        write_wav(folder / name / f"{name}.wav", sound, RATE)
    return folder


def _hiss() -> np.ndarray:
    rng = np.random.default_rng(7)
    return (0.1 * rng.standard_normal(4 * RATE)).astype(np.float32)


def _echo() -> np.ndarray:
    response = np.zeros(RATE // 4, np.float32)
    response[0], response[RATE // 8] = 0.8, 0.4
    return response


def options(folder: Path, out: Path, **values: Any) -> Options:
    """Small and quick; `values` on top."""
    small = Options(
        catalog_from=folder / "music",
        out=out,
        lengths_s=(2.0,),
        conditions="clean,room0,absent_clean,noise_only,silence",
        jobs=1,
        noise_dir=folder / "noise",
        rooms_dir=folder / "rooms",
        timing_clips=0,
    )
    return replace(small, **values)


def run(folder: Path, out: Path, **values: Any) -> list[Record]:
    """Run the bench in this process; all that was answered."""
    Bench(options(folder, out, **values)).run()
    return RunFolder(out).read_results()


def untimed(records: list[Record]) -> list[Record]:
    """What must be the same on every run, in an order of its own."""
    return sorted((replace(one, took_ms=0.0) for one in records), key=lambda one: one.key)
