"""A library enrolled once, by the real command, for every test of the command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from songid_desktop.evaluate.demo_tunes import TUNE_RATE_HZ, TUNES, render
from songid_desktop.types import FloatArray
from tests.support.cli import RATE, Done, Songid, noise, write_wav

NAMES = ("straße.wav", "夜のうた.wav", "песня 🎵.wav")


@dataclass(frozen=True)
class Shelf:
    """Three enrolled tunes with names in several scripts, and what the enrolment said."""

    songid: Songid
    music: Path
    tunes: tuple[FloatArray, ...]
    enrolled: Done

    def file(self, number: int) -> Path:
        return self.music / NAMES[number]

    def clip(self, target: Path, number: int, start_s: float, length_s: float) -> Path:
        """Cut a clip out of tune `number`."""
        begin = round(start_s * RATE)
        write_wav(target, self.tunes[number][begin : begin + round(length_s * RATE)])
        return target


def _tune(number: int) -> FloatArray:
    step = TUNE_RATE_HZ // RATE
    mono = render(TUNES[number]).mean(axis=1)
    count = len(mono) // step * step
    return np.asarray(mono[:count].reshape(-1, step).mean(axis=1), np.float32)


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    folder = tmp_path_factory.mktemp("shelf")
    music = folder / "music"
    music.mkdir()
    tunes = tuple(_tune(number) for number in range(len(NAMES)))
    for name, tune in zip(NAMES, tunes, strict=True):
        write_wav(music / name, tune)
    (music / "text.mp3").write_text("This is no music.")
    (music / "nothing.flac").write_bytes(b"")
    songid = Songid(folder / "base")
    enrolled = songid.run("enroll", music, "--json")
    return Shelf(songid, music, tunes, enrolled)


@pytest.fixture
def songid(tmp_path: Path) -> Songid:
    """An instance with nothing in it."""
    return Songid(tmp_path / "base")


@pytest.fixture
def noise_file(tmp_path: Path) -> Path:
    write_wav(tmp_path / "noise.wav", noise(4.0))
    return tmp_path / "noise.wav"
