"""Where clips are heard: backgrounds and rooms, recorded or generated, each by its name.

A `Scene` is a few names and seeds: it travels to worker processes and says in the report what was
used. The sound itself is read or made where it is needed, and kept.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from songid_desktop.errors import UsageError
from songid_desktop.evaluate.acoustics import Shoebox, draw_room, impulse_response
from songid_desktop.types import FloatArray

GENERATED_ROOMS = 16
GENERATED_VARIANTS = 3
"""Of each kind of background."""
_SEEDS = {"train": 1, "eval": 2}
"""Generated rooms and backgrounds of the two sides have nothing in common."""


class Sound(Protocol):
    """One background or one room."""

    @property
    def name(self) -> str: ...

    def at(self, sample_rate: int) -> FloatArray:
        """Its samples, float32, shape (n,)."""
        ...


@dataclass(frozen=True, slots=True)
class Recorded:
    """A sound file; an impulse response begins at its direct sound."""

    path: Path
    name: str
    is_room: bool = False

    def at(self, sample_rate: int) -> FloatArray:
        samples = _decoded(self.path, sample_rate)
        return samples[int(np.argmax(np.abs(samples))) :] if self.is_room else samples


@functools.lru_cache(maxsize=96)
def _decoded(path: Path, sample_rate: int) -> FloatArray:
    from songid_desktop.audio.decode import decode
    from songid_desktop.errors import AudioFileError

    try:
        return decode(path, sample_rate).samples
    except AudioFileError as error:
        raise AudioFileError(error.problem, f"{path} can't be used: {error}") from error


@dataclass(frozen=True, slots=True)
class MadeBackground:
    """A generated background of a kind."""

    kind: str
    seed: int

    @property
    def name(self) -> str:
        return f"generated {self.kind} {self.seed}"

    def at(self, sample_rate: int) -> FloatArray:
        from songid_desktop.evaluate.backgrounds import background

        return background(self.kind, self.seed, sample_rate)


@dataclass(frozen=True, slots=True)
class MadeRoom:
    """A generated shoebox room."""

    room: Shoebox

    @property
    def name(self) -> str:
        return f"generated {self.room.name}"

    def at(self, sample_rate: int) -> FloatArray:
        return impulse_response(self.room, sample_rate)


@functools.lru_cache(maxsize=4)
def made_rooms(split: str) -> tuple[MadeRoom, ...]:
    """The generated rooms of one side."""
    seed = _SEEDS[split]
    return tuple(MadeRoom(draw_room(seed, number)) for number in range(GENERATED_ROOMS))


@dataclass(frozen=True, slots=True)
class Scene:
    """The backgrounds and rooms that clips are made with."""

    backgrounds: tuple[Sound, ...]
    rooms: tuple[Sound, ...]
    backgrounds_are: str
    """In words, for the report: where they come from."""
    rooms_are: str

    def noise(self, rng: np.random.Generator, rate: int, count: int) -> FloatArray:
        """A stretch of any background; short ones are repeated."""
        return stretch_of(
            self.backgrounds[int(rng.integers(len(self.backgrounds)))], rng, rate, count
        )

    def room(self, rng: np.random.Generator, rate: int) -> FloatArray:
        """Any room's impulse response, from its direct sound on."""
        return self.rooms[int(rng.integers(len(self.rooms)))].at(rate)


def stretch_of(sound: Sound, rng: np.random.Generator, rate: int, count: int) -> FloatArray:
    """`count` samples from a random place of a background."""
    whole = sound.at(rate)
    begin = int(rng.integers(max(1, len(whole) - count)))
    return np.resize(whole[begin:], count)


def make_scene(
    split: str = "eval",
    *,
    corpus: Path | None = None,
    noise_dir: Path | None = None,
    rooms_dir: Path | None = None,
) -> Scene:
    """The surroundings of one side (`eval`, or `train` for whatever is fitted or tuned).

    Given folders come first, then the ``noise_rooms.csv`` of `corpus` where there is one, and what
    is still missing is generated.

    Raises
    ------
    UsageError
        When a given folder is not there or holds no sound.
    AudioFileError
        When a recording is no sound: told now, not in the middle of a run.
    """
    listed = _listed(corpus, split)
    backgrounds: tuple[Sound, ...]
    rooms: tuple[Sound, ...]
    if noise_dir is not None:
        backgrounds = _folder(noise_dir, is_room=False)
        backgrounds_are = f"recordings given with --noise-dir ({len(backgrounds)})"
    elif listed["noise"]:
        backgrounds = listed["noise"]
        backgrounds_are = f"recordings of noise_rooms.csv, “{split}” ({len(backgrounds)})"
    else:
        backgrounds = made_backgrounds(split)
        kinds = ", ".join(dict.fromkeys(sound.kind for sound in made_backgrounds(split)))
        backgrounds_are = f"generated, no recordings: {kinds} ({len(backgrounds)})"
    if rooms_dir is not None:
        rooms = _folder(rooms_dir, is_room=True)
        rooms_are = f"impulse responses given with --rooms-dir ({len(rooms)})"
    elif listed["room"]:
        rooms = listed["room"]
        rooms_are = f"impulse responses of noise_rooms.csv, “{split}” ({len(rooms)})"
    else:
        rooms = made_rooms(split)
        rooms_are = (
            f"generated by the image-source method ({len(rooms)}: up to 7 m, 0.3–1.2 s, "
            "direct-to-reverberant ratio -9 to +4 dB)"
        )
    for sound in (*backgrounds, *rooms):
        if isinstance(sound, Recorded):
            _probe(sound.path)
    return Scene(backgrounds, rooms, backgrounds_are, rooms_are)


def _probe(path: Path) -> None:
    from songid_desktop.audio.decode import probe
    from songid_desktop.errors import AudioFileError

    try:
        probe(path)
    except AudioFileError as error:
        raise AudioFileError(
            error.problem, f"{path} can't be used: {error} Take it out of the recordings."
        ) from error


def made_backgrounds(split: str) -> tuple[MadeBackground, ...]:
    """The generated backgrounds of one side."""
    from songid_desktop.evaluate.backgrounds import KINDS

    first = 100 * _SEEDS[split]
    return tuple(
        MadeBackground(kind, first + variant)
        for variant in range(GENERATED_VARIANTS)
        for kind in KINDS
    )


def _listed(corpus: Path | None, split: str) -> dict[str, tuple[Recorded, ...]]:
    from songid_desktop.evaluate.clips import read_table

    table = None if corpus is None else corpus / "noise_rooms.csv"
    found: dict[str, list[Recorded]] = {"noise": [], "room": []}
    if corpus is not None and table is not None and table.is_file():
        for row in read_table(table):
            path = corpus / row["path"]
            if row["split"] == split and row["kind"] in found and path.is_file():
                found[row["kind"]].append(Recorded(path, row["path"], row["kind"] == "room"))
    return {kind: tuple(sounds) for kind, sounds in found.items()}


def _folder(folder: Path, *, is_room: bool) -> tuple[Sound, ...]:
    from songid_desktop.catalog.scan import walk

    if not folder.is_dir():
        raise UsageError(f"There is no folder {folder}.")
    paths: Sequence[Path] = [found.path for found in walk([folder]) if found.problem is None]
    if not paths:
        what = "impulse responses" if is_room else "recordings of noise"
        raise UsageError(f"The folder {folder} holds no {what}.")
    root = folder.absolute()
    return tuple(
        Recorded(
            path, str(path.relative_to(root)) if path.is_relative_to(root) else path.name, is_room
        )
        for path in sorted(paths)
    )
