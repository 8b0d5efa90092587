"""Generated rooms: shoeboxes by the image-source method, with a diffuse tail where the images grow
too many.

Who has no measured impulse responses measures with these. A loudspeaker that faces the listener
from up to 7 m away, walls that absorb treble more than bass, reverberation times of 0.3 to 1.2 s;
rooms are drawn until the direct sound stands -9 to +4 dB over everything that follows it.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from songid_desktop.audio.resample import resample
from songid_desktop.types import FloatArray

Floats = npt.NDArray[np.float64]

RATE_HZ = 48_000
SPEED_OF_SOUND_M_S = 343.0
DRR_RANGE_DB = (-9.0, 4.0)
"""Direct sound (its first `DIRECT_S`) over the rest, in the rooms of the protocol."""
DIRECT_S = 0.0025

_BAND_EDGES_HZ = (250.0, 1000.0, 4000.0)
_DECAY_BY_BAND = (1.15, 1.0, 0.9, 0.6)
"""Reverberation time of each band as a share of the room's: air and furniture eat treble."""
_DIRECTIVITY_BY_BAND = (1.3, 2.0, 4.0, 7.0)
"""How much more power a loudspeaker sends ahead than all around."""
_IMAGES_UP_TO_S = 0.12
_HANDOVER_S = 0.05
"""Time over which the tail takes over from the images."""
_JITTER_M = 0.06
"""Walls are not quite flat: without it the images of a box chirp."""

_SHAPES = {
    # name: width, depth, height (m, from–to), reverberation (s), distance (m)
    "bedroom": ((2.8, 4.2), (3.0, 4.8), (2.3, 2.7), (0.3, 0.45), (0.5, 2.5)),
    "living": ((3.6, 6.0), (4.5, 7.5), (2.4, 3.0), (0.35, 0.7), (0.8, 5.5)),
    "office": ((4.0, 9.0), (5.0, 12.0), (2.6, 3.2), (0.35, 0.75), (0.8, 6.0)),
    "cafe": ((6.0, 12.0), (8.0, 16.0), (2.8, 4.2), (0.5, 1.0), (1.0, 7.0)),
    "hall": ((10.0, 18.0), (14.0, 26.0), (4.5, 8.0), (0.8, 1.2), (1.5, 7.0)),
}


@dataclass(frozen=True, slots=True)
class Shoebox:
    """A box of a room with a loudspeaker and a listener in it.

    Attributes
    ----------
    size_m, source_m, listener_m : (float, float, float)
        Width, depth and height; places from one corner.
    reverberation_s : float
        Time to fall by 60 dB, between 250 Hz and 1 kHz.
    seed : int
        Of the walls' roughness and the tail.
    """

    shape: str
    size_m: tuple[float, float, float]
    source_m: tuple[float, float, float]
    listener_m: tuple[float, float, float]
    reverberation_s: float
    seed: int

    @property
    def distance_m(self) -> float:
        return float(np.linalg.norm(np.subtract(self.source_m, self.listener_m)))

    @property
    def name(self) -> str:
        return f"{self.shape}, {self.reverberation_s:.2f} s, {self.distance_m:.1f} m"


def draw_room(seed: int, number: int) -> Shoebox:
    """Room `number` of the collection `seed`; the same on every machine."""
    for attempt in range(200):
        room = _draw(np.random.default_rng([seed, number, attempt]), number, seed)
        if room is None:
            continue
        ratio_db = direct_to_reverberant_db(impulse_response(room, RATE_HZ), RATE_HZ)
        if DRR_RANGE_DB[0] <= ratio_db <= DRR_RANGE_DB[1]:
            return room
    raise AssertionError("no room of the wanted kind was drawn in 200 tries")


def _draw(rng: np.random.Generator, number: int, seed: int) -> Shoebox | None:
    shape = list(_SHAPES)[number % len(_SHAPES)]
    *sides, reverberation_s, distance_m = _SHAPES[shape]
    size = tuple(float(rng.uniform(*side)) for side in sides)
    source = np.array([rng.uniform(0.4, size[0] - 0.4), rng.uniform(0.4, size[1] - 0.4), 1.0])
    source[2] = rng.uniform(0.6, min(1.8, size[2] - 0.4))
    angle, away_m = rng.uniform(0, 2 * np.pi), rng.uniform(*distance_m)
    listener = source + away_m * np.array([np.cos(angle), np.sin(angle), 0.0])
    listener[2] = rng.uniform(0.7, min(1.6, size[2] - 0.4))
    if (listener < 0.3).any() or (listener > np.array(size) - 0.3).any():
        return None
    if float(np.linalg.norm(source - listener)) > distance_m[1]:
        return None
    return Shoebox(
        shape=shape,
        size_m=(size[0], size[1], size[2]),
        source_m=(float(source[0]), float(source[1]), float(source[2])),
        listener_m=(float(listener[0]), float(listener[1]), float(listener[2])),
        reverberation_s=float(rng.uniform(*reverberation_s)),
        seed=int(np.random.default_rng([seed, number, 1]).integers(2**31)),
    )


@functools.lru_cache(maxsize=64)
def impulse_response(room: Shoebox, sample_rate: int) -> FloatArray:
    """From the direct sound (height 1 at sample 0) on; float32, shape (n,)."""
    if sample_rate != RATE_HZ:
        # The direct sound is an impulse: resampling it alone keeps it whole at sample 0.
        full = impulse_response(room, RATE_HZ).copy()
        full[0] = 0.0
        rest = resample(full, RATE_HZ, sample_rate)
        # An impulse train keeps its energy per second, not its height, when the rate changes.
        rest = rest * np.float32(RATE_HZ / sample_rate)
        rest[0] += 1.0
        return rest
    rng = np.random.default_rng([room.seed, 7])
    times_s = [room.reverberation_s * share for share in _DECAY_BY_BAND]
    count = round(1.05 * max(times_s) * RATE_HZ)
    early = _images(room, times_s, count, rng)
    late = _tail(room, times_s, count, rng)
    size = 1 << (count - 1).bit_length()
    bands = _band_masks(np.asarray(np.fft.rfftfreq(size, 1.0 / RATE_HZ), np.float64))
    response = np.fft.irfft((np.fft.rfft(early + late, size) * bands).sum(axis=0), size)[:count]
    response[0] += 1.0
    return response.astype(np.float32)


def _reflectances(room: Shoebox, times_s: list[float]) -> Floats:
    """Amplitude that a wall gives back, by band (Eyring's formula)."""
    x, y, z = room.size_m
    volume, surface = x * y * z, 2 * (x * y + y * z + x * z)
    absorbed = 1.0 - np.exp(-0.161 * volume / (surface * np.array(times_s)))
    return np.sqrt(1.0 - absorbed)


def _images(room: Shoebox, times_s: list[float], count: int, rng: np.random.Generator) -> Floats:
    """Reflections but not the direct sound, shape (bands, count), relative to the direct sound."""
    reach_m = SPEED_OF_SOUND_M_S * _IMAGES_UP_TO_S + room.distance_m
    along, bounces = [], []
    for side, source, listener in zip(room.size_m, room.source_m, room.listener_m, strict=True):
        most = int(reach_m / (2 * side)) + 1
        order = np.arange(-most, most + 1)
        along.append(
            np.concatenate((2 * order * side + source, 2 * order * side - source)) - listener
        )
        bounces.append(np.concatenate((np.abs(2 * order), np.abs(2 * order - 1))))
    dx, dy, dz = np.meshgrid(*along, indexing="ij")
    nx, ny, nz = np.meshgrid(*bounces, indexing="ij")
    away_m = np.sqrt(dx**2 + dy**2 + dz**2).ravel()
    hits = (nx + ny + nz).ravel()
    kept = (hits > 0) & (away_m < reach_m)
    away_m, hits = away_m[kept], hits[kept]
    away_m = np.maximum(away_m + rng.uniform(-_JITTER_M, _JITTER_M, len(away_m)), 0.1)
    delay_s = (away_m - room.distance_m) / SPEED_OF_SOUND_M_S
    place = np.maximum(1, np.round(delay_s * RATE_HZ).astype(np.int64))
    fade = np.clip((_IMAGES_UP_TO_S - delay_s) / _HANDOVER_S, 0.0, 1.0)
    strength = np.sqrt(fade) * room.distance_m / away_m
    trains = np.zeros((len(times_s), count))
    for band, reflectance in enumerate(_reflectances(room, times_s)):
        heard = strength * reflectance**hits / np.sqrt(_DIRECTIVITY_BY_BAND[band])
        inside = place < count
        np.add.at(trains[band], place[inside], heard[inside])
    return trains


def _tail(room: Shoebox, times_s: list[float], count: int, rng: np.random.Generator) -> Floats:
    """Diffuse sound, shape (bands, count): noise as strong as the images would be on average."""
    volume = float(np.prod(room.size_m))
    time_s = np.arange(count) / RATE_HZ + room.distance_m / SPEED_OF_SOUND_M_S
    begin_s = _IMAGES_UP_TO_S - _HANDOVER_S
    fade = np.clip((np.arange(count) / RATE_HZ - begin_s) / _HANDOVER_S, 0.0, 1.0)
    # As many images per second as their shell holds, each as weak as it is far.
    per_second = 4 * np.pi * SPEED_OF_SOUND_M_S * room.distance_m**2 / volume
    noise = rng.standard_normal((len(times_s), count))
    for band, (time_60_s, factor) in enumerate(zip(times_s, _DIRECTIVITY_BY_BAND, strict=True)):
        power = per_second / RATE_HZ / factor * 10.0 ** (-6.0 * time_s / time_60_s)
        noise[band] *= np.sqrt(fade * power)
    return noise


def _band_masks(frequency_hz: Floats) -> Floats:
    """One smooth pass band for each of the bands, shape (bands, bins); they add up to 1."""
    edges = []
    for edge_hz in _BAND_EDGES_HZ:
        octaves = np.log2(np.maximum(frequency_hz, 1.0) / edge_hz)
        edges.append(0.5 * (1.0 + np.sin(np.pi / 2 * np.clip(octaves, -1.0, 1.0))))
    above = np.array([np.ones_like(frequency_hz), *edges])
    below = np.array([*edges, np.zeros_like(frequency_hz)])
    return np.asarray(above - below, np.float64)


def direct_to_reverberant_db(response: FloatArray, sample_rate: int) -> float:
    """Energy of the first `DIRECT_S` over that of the rest."""
    edge = round(DIRECT_S * sample_rate)
    energy = np.asarray(response, np.float64) ** 2
    rest = float(energy[edge:].sum())
    return 10.0 * float(np.log10(energy[:edge].sum() / rest)) if rest > 0 else float("inf")
