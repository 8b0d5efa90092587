"""The demo tunes: short pieces made by rule from a seed, the same on every machine.

Each tune has a key, a pace, a chord sequence and a way of playing; melody and broken chords are
drawn bar by bar, so that no two bars are alike and a place in a tune can be told from another.
"""

from __future__ import annotations

import struct
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from songid_desktop.types import CancelToken, FloatArray

TUNE_RATE_HZ = 44_100

ARTIST = "The Generated Five"
ALBUM = "Tunes from Nowhere"

_MAJOR = (0, 2, 4, 5, 7, 9, 11)
_MINOR = (0, 2, 3, 5, 7, 8, 10)
_DORIAN = (0, 2, 3, 5, 7, 9, 10)


@dataclass(frozen=True, slots=True)
class DemoTune:
    """One tune of the set: `root` as a MIDI note, `chords` as scale degrees (0 is the tonic), one
    a bar; `lead` and `drums` name a timbre and a pattern."""

    title: str
    genre: str
    seed: int
    tempo_bpm: float
    root: int
    scale: tuple[int, ...]
    chords: tuple[int, ...]
    lead: str
    drums: str

    @property
    def beat_s(self) -> float:
        return 60.0 / self.tempo_bpm

    @property
    def bars(self) -> int:
        """As many bars of four beats as fit into 34 s."""
        return int(34.0 // (4 * self.beat_s))


TUNES: tuple[DemoTune, ...] = (
    DemoTune("Lantern Street", "Pop", 11, 104, 60, _MAJOR, (0, 4, 5, 3), "bell", "pop"),
    DemoTune("Paper Boats", "Folk", 12, 88, 55, _MAJOR, (0, 3, 0, 4, 5, 3, 4), "pluck", "soft"),
    DemoTune("Night Market", "Electronic", 13, 122, 57, _MINOR, (0, 5, 2, 6), "reed", "four"),
    DemoTune("Café Lune", "Jazz", 14, 96, 62, _DORIAN, (1, 4, 0, 5, 3), "flute", "swing"),
    DemoTune("Orange Kite", "Pop", 15, 132, 64, _MAJOR, (0, 5, 1, 4), "pluck", "pop"),
    DemoTune("Slow Orbit", "Ambient", 16, 72, 53, _DORIAN, (0, 6, 3, 2), "flute", "none"),
    DemoTune("Copper Rain", "Electronic", 17, 112, 59, _MINOR, (0, 3, 5, 4, 6), "bell", "four"),
    DemoTune("Northern Line", "Rock", 18, 140, 52, _MINOR, (0, 6, 5, 6, 2), "reed", "rock"),
)

# Strength of the harmonics, decay rate (1/s) and attack (s) of each timbre.
_TIMBRES: dict[str, tuple[tuple[float, ...], float, float]] = {
    "bell": ((1.0, 0.1, 0.45, 0.05, 0.22, 0.0, 0.12), 3.2, 0.003),
    "pluck": ((1.0, 0.6, 0.35, 0.25, 0.15, 0.1, 0.06), 4.5, 0.002),
    "reed": ((0.9, 0.1, 0.6, 0.08, 0.4, 0.05, 0.25), 1.2, 0.02),
    "flute": ((1.0, 0.25, 0.1, 0.04), 0.7, 0.05),
    "pad": ((1.0, 0.5, 0.3, 0.12, 0.08), 0.35, 0.08),
    "bass": ((1.0, 0.55, 0.25, 0.12, 0.06), 2.0, 0.004),
}

# Steps of eighth notes at which each drum is struck, out of the eight of a bar.
_DRUMS: dict[str, dict[str, tuple[float, ...]]] = {
    "pop": {"kick": (0, 3, 4), "snare": (2, 6), "hat": (0, 1, 2, 3, 4, 5, 6, 7)},
    "soft": {"kick": (0, 4), "hat": (2, 6)},
    "four": {"kick": (0, 2, 4, 6), "snare": (2, 6), "hat": (1, 3, 5, 7)},
    "swing": {"kick": (0, 4), "snare": (6,), "hat": (0, 2, 3.33, 4, 6, 7.33)},
    "rock": {"kick": (0, 3, 5), "snare": (2, 6), "hat": (0, 2, 4, 6)},
    "none": {},
}

_Stereo = npt.NDArray[np.float32]


class _Player:
    """Strikes notes into a stereo buffer; a note that comes again is not made again."""

    def __init__(self, seconds: float) -> None:
        self.buffer = np.zeros((round(seconds * TUNE_RATE_HZ), 2), np.float32)
        self._notes: dict[tuple[str, int, int], FloatArray] = {}

    def note(  # noqa: PLR0917 - a note's own six numbers, struck hundreds of times below
        self, timbre: str, midi: int, at_s: float, length_s: float, volume: float, pan: float
    ) -> None:
        # Lengths in steps of 20 ms, so that notes meant alike are alike.
        steps = max(2, round(length_s / 0.02))
        key = (timbre, midi, steps)
        if key not in self._notes:
            self._notes[key] = _sound_note(timbre, midi, steps * 0.02)
        self.add(self._notes[key], at_s, volume, pan)

    def add(self, sound: FloatArray, at_s: float, volume: float, pan: float) -> None:
        begin = round(at_s * TUNE_RATE_HZ)
        room = len(self.buffer) - begin
        if begin < 0 or room <= 0:
            return
        part = sound[:room]
        left, right = volume * np.sqrt(0.5 - 0.5 * pan), volume * np.sqrt(0.5 + 0.5 * pan)
        self.buffer[begin : begin + len(part), 0] += np.float32(left) * part
        self.buffer[begin : begin + len(part), 1] += np.float32(right) * part


def _sound_note(timbre: str, midi: int, length_s: float) -> FloatArray:
    harmonics, decay, attack_s = _TIMBRES[timbre]
    frequency_hz = 440.0 * 2.0 ** ((midi - 69) / 12)
    time_s = np.arange(round(length_s * TUNE_RATE_HZ), dtype=np.float32) / TUNE_RATE_HZ
    phase = np.float32(2 * np.pi * frequency_hz) * time_s
    sound = np.zeros_like(time_s)
    for number, strength in enumerate(harmonics, start=1):
        if strength and number * frequency_hz < 0.45 * TUNE_RATE_HZ:
            fading = np.exp(np.float32(-decay * (1 + 0.4 * (number - 1))) * time_s)
            sound += np.float32(strength) * np.sin(np.float32(number) * phase) * fading
    envelope = np.minimum(1.0, time_s / np.float32(attack_s))
    envelope *= np.minimum(1.0, (time_s[-1] - time_s) / np.float32(min(0.03, length_s / 3)))
    return (sound * envelope).astype(np.float32)


def _sound_drums(rng: np.random.Generator) -> dict[str, FloatArray]:
    time_s = np.arange(round(0.25 * TUNE_RATE_HZ), dtype=np.float32) / TUNE_RATE_HZ
    hiss = rng.standard_normal(len(time_s)).astype(np.float32)
    bright = np.diff(hiss, prepend=np.float32(0.0))
    sweep_hz = 48 + 110 * np.exp(-time_s * 30)
    kick = np.sin(2 * np.pi * np.cumsum(sweep_hz) / TUNE_RATE_HZ) * np.exp(-time_s * 16)
    snare = (0.5 * hiss + 0.6 * np.sin(2 * np.pi * 190 * time_s)) * np.exp(-time_s * 22)
    hat = bright * np.exp(-time_s * 60)
    return {
        name: sound.astype(np.float32)
        for name, sound in (("kick", kick), ("snare", 0.6 * snare), ("hat", 0.3 * hat))
    }


def render(tune: DemoTune) -> _Stereo:
    """The tune as sound: float32, shape (n, 2), 44,100 Hz, peak 0.7."""
    rng = np.random.default_rng(tune.seed)
    bar_s = 4 * tune.beat_s
    player = _Player(tune.bars * bar_s + 1.5)
    drums = _sound_drums(rng)
    place = 7
    for bar in range(tune.bars):
        at_s = bar * bar_s
        # The second half of the tune begins its sequence elsewhere: a bridge.
        shift = 1 if tune.bars // 2 <= bar < 3 * tune.bars // 4 else 0
        degree = tune.chords[(bar + shift) % len(tune.chords)]
        _play_chord(player, tune, degree, at_s, rng)
        place = _play_melody(player, tune, degree, at_s, place=place, rng=rng)
        for name, steps in _DRUMS[tune.drums].items():
            for step in steps:
                if bar == 0 or rng.random() < 0.93:
                    strike = 0.5 * float(rng.uniform(0.7, 1.0))
                    player.add(drums[name], at_s + step * tune.beat_s / 2, strike, 0.1)
    mixed = _echo(player.buffer, tune.beat_s * 0.75)
    fade = np.minimum(1.0, np.arange(len(mixed), 0, -1) / TUNE_RATE_HZ).astype(np.float32)
    mixed *= fade[:, None]
    return np.asarray(mixed * (0.7 / float(np.max(np.abs(mixed)))), np.float32)


def _pitch(tune: DemoTune, degree: int) -> int:
    octave, step = divmod(degree, len(tune.scale))
    return tune.root + 12 * octave + tune.scale[step]


def _play_chord(
    player: _Player, tune: DemoTune, degree: int, at_s: float, rng: np.random.Generator
) -> None:
    """Bass, a held chord, and the same chord broken in an order of its own."""
    beat_s = tune.beat_s
    player.note("bass", _pitch(tune, degree) - 24, at_s, 1.4 * beat_s, 0.55, 0.0)
    walk = degree + int(rng.choice([0, 2, 4]))
    player.note("bass", _pitch(tune, walk) - 24, at_s + 2 * beat_s, 1.4 * beat_s, 0.5, 0.0)
    tones = [degree, degree + 2, degree + 4]
    for number, tone in enumerate(tones):
        player.note("pad", _pitch(tune, tone) - 12, at_s, 4 * beat_s, 0.12, 0.4 * (number - 1))
    for step in range(8):
        tone = tones[int(rng.integers(3))] + 7 * int(rng.integers(2))
        if rng.random() < 0.8:
            volume = float(rng.uniform(0.08, 0.15))
            begin_s = at_s + step * beat_s / 2
            player.note("pluck", _pitch(tune, tone) - 12, begin_s, 0.6 * beat_s, volume, -0.45)


def _play_melody(
    player: _Player,
    tune: DemoTune,
    degree: int,
    at_s: float,
    *,
    place: int,
    rng: np.random.Generator,
) -> int:
    """One bar of tune that wanders by steps and lands on the chord; returns where it ended."""
    rhythms = ((2, 1, 1, 2, 2), (1, 1, 2, 1, 3), (3, 1, 2, 2), (2, 2, 1, 1, 1, 1), (4, 2, 2))
    at_step = 0
    for length in rhythms[int(rng.integers(len(rhythms)))]:
        place += int(rng.choice([-2, -1, -1, 0, 1, 1, 2, 3]))
        place = min(max(place, 3), 13)
        if at_step in (0, 4):
            chord_places = [degree % 7 + k for k in (0, 2, 4, 7, 9)]
            place = min(chord_places, key=lambda tone: (abs(tone - place), tone))
        if rng.random() < 0.92:
            begin_s = at_s + at_step * tune.beat_s / 2 + float(rng.normal(0, 0.006))
            sounding_s = (length * 0.5 + 0.3) * tune.beat_s
            volume = float(rng.uniform(0.3, 0.42))
            player.note(tune.lead, _pitch(tune, place), max(0.0, begin_s), sounding_s, volume, 0.2)
        at_step += length
    return place


def _echo(sound: _Stereo, delay_s: float) -> _Stereo:
    """One echo that changes sides."""
    delay = round(delay_s * TUNE_RATE_HZ)
    result = sound.copy()
    result[delay:] += 0.22 * sound[:-delay, ::-1]
    return result


def cover_png(tune: DemoTune, size: int = 320) -> bytes:
    """A cover made of the tune's seed: rings and a rising line on two colours."""
    rng = np.random.default_rng([tune.seed, 3])
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / size
    top, bottom, line = (
        rng.uniform(low, high, 3) for low, high in ((20, 110), (90, 200), (200, 255))
    )
    picture = top + (bottom - top) * (0.7 * y + 0.3 * x)[..., None]
    for _ in range(4):
        distance = np.hypot(x - rng.uniform(0.1, 0.9), y - rng.uniform(0.1, 0.9))
        ring = np.exp(-(((distance - rng.uniform(0.1, 0.4)) / 0.02) ** 2))
        picture += (line - picture) * (0.6 * ring)[..., None]
    rows = np.zeros((size, 1 + 3 * size), np.uint8)
    rows[:, 1:] = np.clip(picture, 0, 255).astype(np.uint8).reshape(size, -1)
    header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 6)), (b"IEND", b""))
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


def tune_path(folder: Path, number: int) -> Path:
    """Where tune `number` (from 0) of the set stands below `folder`."""
    return folder / f"{number + 1:02d} {TUNES[number].title}.flac"


def write_tunes(folder: Path, cancel: CancelToken | None = None) -> list[Path]:
    """Write every tune as a tagged FLAC file with a cover; files that stand there are kept.

    Raises
    ------
    OSError
        When the folder can't be written; no half-written tune is left.
    """
    from songid_desktop.errors import Cancelled

    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, tune in enumerate(TUNES):
        if cancel is not None and cancel.is_set():
            raise Cancelled
        path = tune_path(folder, number)
        if not path.exists():
            _write_flac(path, tune, number)
        paths.append(path)
    return paths


def _write_flac(path: Path, tune: DemoTune, number: int) -> None:
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".tune-") as scratch:
        draft = Path(scratch) / "tune.flac"
        _encode(draft, render(tune))
        _tag(draft, tune, number)
        draft.replace(path)


def _encode(path: Path, sound: _Stereo) -> None:
    import av

    # No dither: sixteen bits are plenty for what is made from sine waves.
    samples = np.round(sound * 32767).astype(np.int16).reshape(1, -1)
    with av.open(str(path), "w", format="flac") as container:
        stream = container.add_stream("flac", rate=TUNE_RATE_HZ)
        stream.layout = "stereo"
        stream.format = "s16"
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="stereo")
        frame.sample_rate = TUNE_RATE_HZ
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _tag(path: Path, tune: DemoTune, number: int) -> None:
    from mutagen.flac import FLAC, Picture

    tagged: Any = FLAC(path)  # type: ignore[no-untyped-call]
    tagged["title"], tagged["artist"], tagged["album"] = tune.title, ARTIST, ALBUM
    tagged["genre"], tagged["tracknumber"] = tune.genre, str(number + 1)
    picture: Any = Picture()  # type: ignore[no-untyped-call]
    picture.type, picture.mime, picture.data = 3, "image/png", cover_png(tune)
    picture.width = picture.height = 320
    picture.depth = 24
    tagged.add_picture(picture)
    tagged.save()
