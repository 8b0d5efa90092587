"""The rooms and backgrounds that replicas are made with, and those kept apart for judging.

Recorded ones come from the collection's ``noise_rooms.csv`` (split ``train``, nothing else is
opened) or from folders; generated ones stand beside them, or for them where there are none. Every
seventh of each kind is never trained with: queries of the checks are made with those.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from songid_desktop.evaluate.acoustics import draw_room, impulse_response
from songid_desktop.evaluate.surroundings import Recorded, Scene, made_backgrounds, make_scene
from songid_desktop.train.config import Train
from songid_desktop.train.degrade import Around, make_around
from songid_desktop.types import FloatArray

_ROOM_SEED = 1
"""The generated rooms of the side `train` (`evaluate.surroundings`)."""
_CHECK_ROOM_SEED = 101
_CHECK_ROOMS = 12
_KEPT_APART = 7
_VERSION = 1
_NOISE_LONGEST_S = 120.0


@dataclass(frozen=True, slots=True)
class Scenery:
    """What trains and what judges, and in words where it comes from."""

    around: Around
    check: Around
    words: str
    file: Path
    """Where worker processes find `around`."""


def load_scenery(
    train: Train,
    sample_rate: int,
    window_samples: int,
    clip_samples: int,
    *,
    cache: Path,
    corpus: Path | None,
    noise_dir: Path | None = None,
    rooms_dir: Path | None = None,
) -> Scenery:
    """Rooms and backgrounds at a model's rate, for windows and for the clips of the checks; made
    once and kept in `cache`.

    Raises
    ------
    UsageError
        When a given folder is not there or holds no sound.
    """
    scene = make_scene("train", corpus=corpus, noise_dir=noise_dir, rooms_dir=rooms_dir)
    words = (
        f"backgrounds: {scene.backgrounds_are}; rooms: {scene.rooms_are}, and "
        f"{train.degrade.made_rooms} generated ones"
    )
    sizes = (sample_rate, window_samples, clip_samples)
    made = (train.degrade.made_rooms, train.degrade.made_noise, train.seed)
    key = hashlib.sha256(repr((_VERSION, sizes, made, _signs(scene))).encode(errors="replace"))
    places = [cache / f"scenery-{key.hexdigest()[:16]}-{part}.npz" for part in ("train", "check")]
    if not all(place.is_file() for place in places):
        for place, around in zip(places, _make(scene, train, sizes), strict=True):
            _store(around, place)
    return Scenery(read_around(places[0]), read_around(places[1]), words, places[0])


def _signs(scene: Scene) -> list[object]:
    """What tells one scene from another: names, and of files their sizes and times."""
    signs: list[object] = []
    for sound in (*scene.backgrounds, *scene.rooms):
        stat = sound.path.stat() if isinstance(sound, Recorded) else None
        signs.append((sound.name, stat and (stat.st_size, stat.st_mtime_ns)))
    return signs


def _make(scene: Scene, train: Train, sizes: tuple[int, ...]) -> tuple[Around, Around]:
    sample_rate, window_samples, clip_samples = sizes
    seed, made_rooms = train.seed, train.degrade.made_rooms
    backgrounds = [_loud(sound.at(sample_rate), sample_rate) for sound in scene.backgrounds]
    is_recorded = any(isinstance(sound, Recorded) for sound in scene.backgrounds)
    if is_recorded and train.degrade.made_noise:
        made = made_backgrounds("train")
        backgrounds += [_loud(sound.at(sample_rate), sample_rate) for sound in made]
    recorded = [sound for sound in scene.rooms if isinstance(sound, Recorded)]
    ours, apart_rooms = _split([sound.at(sample_rate)[: 2 * sample_rate] for sound in recorded])
    noise, apart_noise = _split(backgrounds)
    ours += _generated(_ROOM_SEED, made_rooms, sample_rate)
    apart_rooms += _generated(_CHECK_ROOM_SEED, min(_CHECK_ROOMS, made_rooms), sample_rate)
    return (
        make_around(ours, noise, sample_rate, window_samples, seed),
        make_around(apart_rooms or ours, apart_noise or noise, sample_rate, clip_samples, seed),
    )


def _split(sounds: Sequence[FloatArray]) -> tuple[list[FloatArray], list[FloatArray]]:
    """What trains, and every seventh."""
    ours = [sound for number, sound in enumerate(sounds) if (number + 1) % _KEPT_APART]
    return ours, [sound for number, sound in enumerate(sounds) if not (number + 1) % _KEPT_APART]


def _loud(sound: FloatArray, sample_rate: int) -> FloatArray:
    """No more than two minutes of a background, at one level."""
    sound = sound[: round(_NOISE_LONGEST_S * sample_rate)]
    rms = float(np.sqrt(np.mean(sound.astype(np.float64) ** 2))) if len(sound) else 0.0
    return np.asarray(sound * np.float32(0.1 / rms), np.float32) if rms > 0 else sound


def _generated(seed: int, count: int, sample_rate: int) -> list[FloatArray]:
    return [impulse_response(draw_room(seed, number), sample_rate) for number in range(count)]


def _store(around: Around, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.npz")
    np.savez(part, rooms=around.rooms, noise=around.noise, spans=around.spans)
    part.replace(path)


def read_around(path: Path) -> Around:
    """Rooms and backgrounds as they were kept."""
    with np.load(path) as arrays:
        return Around(arrays["rooms"], arrays["noise"], arrays["spans"])
