"""The conditions of the measuring protocol: their names, and how a clip is made under each.

A `Stretch` is one place in one track; `Stretch.clip` gives it under any condition. What two
conditions have in common (the room, the background, the white noise) is drawn once for the
stretch, so that ``room10`` and ``room-5`` differ in the level alone and a clip does not depend on
which others were made before it.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from songid_desktop.audio.resample import resample
from songid_desktop.dsp.weighting import a_weighted_level_db
from songid_desktop.errors import UsageError
from songid_desktop.evaluate.codecs import CODECS, stretch, through_codec
from songid_desktop.types import AudioBlock, FloatArray

ALL = (
    *("clean", "white20", "white10", "white0", "bandwhite0", "room10", "room0", "room-5", "phone"),
    *("opus12", "mp3_32", "aac32", "quiet", "overdrive"),
    *("speed+1", "speed-1", "speed+2", "speed-2", "speed+4", "speed-4"),
    *("pitch+1", "pitch-1", "tempo+5", "tempo-5"),
)
ABSENT = ("absent_clean", "absent_room0", "noise_only", "silence", "tone")
GROUPS = {"absent": ABSENT, "all": (*ALL, *ABSENT)}

PHONE_BAND_HZ = (350.0, 3300.0)
PHONE_RATE_HZ = 8_000
MOST_STRETCH = 1.2
"""Longest stretch of the track, in clip lengths, that any condition needs."""
_PAST_S = 1.0
"""Of the track's own sound before the clip, so that reverberation is true."""
_LIMITS = {"speed": 20.0, "tempo": 20.0, "pitch": 3.0}


@dataclass(frozen=True, slots=True)
class Condition:
    """One column of the tables.

    Attributes
    ----------
    name : str
        As given on the command line.
    family : str
        ``clean``, ``white``, ``bandwhite``, ``room``, ``phone``, a codec, ``quiet``,
        ``overdrive``, ``speed``, ``pitch``, ``tempo``; or what is no music of the catalog:
        ``noise_only``, ``silence``, ``tone``.
    amount : float
        dB, kbit/s, per cent or semitones.
    is_absent : bool
        True for what must not be answered.
    """

    name: str
    family: str
    amount: float = 0.0
    is_absent: bool = False

    @property
    def is_music(self) -> bool:
        return self.family not in ("noise_only", "silence", "tone")

    @property
    def words(self) -> str:
        """The condition in words, for people."""
        text = _WORDS[self.family].format(abs(self.amount), "up" if self.amount > 0 else "down")
        text = text.replace("{level}", f"{self.amount:g}").replace(" 1 semitones", " 1 semitone")
        return f"not in the catalog: {text}" if self.is_absent and self.is_music else text

    @property
    def needs_band(self) -> bool:
        """True when the clip depends on the identifier's own rate."""
        return self.family == "bandwhite"


_WORDS = {
    "clean": "as decoded",
    "white": "white noise over the file's whole band, signal over noise {{level}} dB",
    "bandwhite": "white noise in the identifier's own band, signal over noise {{level}} dB",
    "room": "in a room with a background, music over background {{level}} dB A-weighted",
    "phone": "in a room (10 dB), then 350–3,300 Hz, compressed, at 8 kHz",
    "opus": "Opus at {0:g} kbit/s",
    "mp3_": "MP3 at {0:g} kbit/s",
    "aac": "AAC at {0:g} kbit/s",
    "quiet": "peak at -51 dBFS",
    "overdrive": "peak at +12 dBFS, clipped",
    "speed": "speed {1} by {0:g} %, time and pitch together",
    "tempo": "tempo {1} by {0:g} %, pitch as it was",
    "pitch": "pitch {1} by {0:g} semitones, tempo as it was",
    "noise_only": "a background alone",
    "silence": "exact zeros, or the hiss of an input",
    "tone": "one to three steady tones",
}

_MOST_DB = 60.0
_NUMBER = r"([+-]?\d+(?:\.\d+)?)"
_NUMBERED = re.compile(
    rf"(white|bandwhite|room|opus|mp3_|aac|speed|pitch|tempo){_NUMBER}", re.ASCII
)
_PLAIN = ("clean", "phone", "quiet", "overdrive")


def parse(name: str) -> Condition:
    """The condition of that name.

    Raises
    ------
    UsageError
        When there is none; the message lists the names.
    """
    if name in ("noise_only", "silence", "tone"):
        return Condition(name, name, is_absent=True)
    base = name.removeprefix("absent_")
    is_absent = base != name
    if base in _PLAIN:
        return Condition(name, base, is_absent=is_absent)
    numbered = _NUMBERED.fullmatch(base)
    if numbered is None:
        raise _unknown(name)
    family, amount = numbered[1], float(numbered[2])
    if not _is_possible(family, amount):
        raise UsageError(f"The condition “{name}” is out of range: {_range(family)}.")
    return Condition(name, family, amount, is_absent)


def parse_list(text: str) -> tuple[Condition, ...]:
    """Conditions named in a list with commas; ``absent`` and ``all`` stand for several."""
    names: list[str] = []
    for part in text.split(","):
        word = part.strip()
        names += GROUPS.get(word, (word,) if word else ())
    if not names:
        raise UsageError(f"No condition was named. There are: {', '.join(GROUPS['all'])}.")
    return tuple(parse(name) for name in dict.fromkeys(names))


def _unknown(name: str) -> UsageError:
    return UsageError(
        f"There is no condition “{name}”. There are: {', '.join(GROUPS['all'])}; the numbers may "
        "be others, “absent_” may stand before any of the first, and “absent” and “all” stand "
        "for all of their kind."
    )


def _is_possible(family: str, amount: float) -> bool:
    if family in CODECS:
        codec = CODECS[family]
        return amount.is_integer() and codec.lowest_kbit <= amount <= codec.highest_kbit
    if family in _LIMITS:
        return 0 < abs(amount) <= _LIMITS[family]
    return abs(amount) <= _MOST_DB


def _range(family: str) -> str:
    """What numbers may stand behind a family's name, in words."""
    if family in CODECS:
        codec = CODECS[family]
        lowest, highest = codec.lowest_kbit, codec.highest_kbit
        return f"{family} takes whole kbit/s from {lowest} to {highest}, e.g. {family}{highest}"
    if family in _LIMITS:
        most = _LIMITS[family]
        unit = "semitones" if family == "pitch" else "per cent"
        return f"{family} takes {unit} from -{most:g} to +{most:g} but 0, e.g. {family}+1"
    return f"{family} takes decibels from -{_MOST_DB:g} to {_MOST_DB:g}, e.g. {family}0"


class Around(Protocol):
    """Where backgrounds and rooms come from."""

    def noise(self, rng: np.random.Generator, rate: int, count: int) -> FloatArray: ...

    def room(self, rng: np.random.Generator, rate: int) -> FloatArray: ...


def generator(*key: object) -> np.random.Generator:
    """Random numbers that depend on `key` alone, on every machine and in any order."""
    digest = hashlib.sha256(
        "\x1f".join(str(part) for part in key).encode("utf-8", "surrogateescape")
    )
    return np.random.default_rng(np.frombuffer(digest.digest(), np.uint32))


@dataclass(frozen=True, slots=True)
class Clip:
    """What is given to an identifier. `start_s` is where in the track its first sample stands."""

    audio: AudioBlock
    start_s: float


class Stretch:
    """One place in one track, to be heard under many conditions.

    Parameters
    ----------
    track : AudioBlock
        The whole track at its own rate.
    start : int
        Sample at which the clip begins.
    length_s : float
        Of the clip, as heard.
    around : Around
    key : tuple
        What the random choices depend on.
    """

    def __init__(
        self, track: AudioBlock, start: int, length_s: float, around: Around, key: Sequence[object]
    ) -> None:
        self._track = track
        self._rate = track.sample_rate
        self._start = start
        self._count = min(round(length_s * self._rate), len(track.samples) - start)
        self._around = around
        self._key = tuple(key)

    def clip(self, condition: Condition, band_hz: int | None = None) -> Clip:
        """The clip under `condition`.

        Parameters
        ----------
        band_hz : int, optional
            The identifier's own rate; only ``bandwhite`` asks for it.
        """
        family, amount = condition.family, condition.amount
        if family in ("speed", "tempo", "pitch"):
            return self._changed(family, amount)
        rate = self._rate
        if family == "bandwhite" and band_hz is not None:
            low = resample(self.clean, rate, band_hz)
            sound, rate = self._with_white(low, amount), band_hz
        elif family in ("white", "bandwhite"):
            sound = self._with_white(self.clean, amount)
        elif family == "room":
            sound = self._in_room(amount)
        elif family == "phone":
            sound, rate = over_the_phone(self._in_room(10.0), rate), PHONE_RATE_HZ
        elif family in CODECS:
            sound = through_codec(self.clean, rate, family, int(amount))
        elif family == "quiet":
            sound = _peak_at(self.clean, -6.0 - 45.0)
        elif family == "overdrive":
            sound = np.clip(_peak_at(self.clean, -6.0 + 18.0), -1.0, 1.0)
        elif family == "clean":
            sound = self.clean
        else:
            raise ValueError(f"no music under the condition {condition.name!r}")
        return Clip(AudioBlock(np.asarray(sound, np.float32), rate), self._start / self._rate)

    @property
    def clean(self) -> FloatArray:
        return self._track.samples[self._start : self._start + self._count]

    # -- noise and rooms --------------------------------------------------------------------------

    def _with_white(self, sound: FloatArray, snr_db: float) -> FloatArray:
        noise = generator(*self._key, "white").standard_normal(len(sound), dtype=np.float32)
        power = float(np.mean(sound.astype(np.float64) ** 2)) / float(np.mean(noise**2))
        return sound + noise * np.float32(np.sqrt(power * 10.0 ** (-snr_db / 10.0)))

    def _in_room(self, snr_db: float) -> FloatArray:
        wet, noise, ratio_db = self._scene
        if not np.isfinite(ratio_db):  # one of them is silent here, so there is no ratio to set
            return wet
        return wet + noise * np.float32(10.0 ** ((ratio_db - snr_db) / 20.0))

    @functools.cached_property
    def _scene(self) -> tuple[FloatArray, FloatArray, float]:
        """The music in the room, the background, and how much louder (A-weighted) the first is."""
        rng = generator(*self._key, "room")
        past = max(0, self._start - round(_PAST_S * self._rate))
        heard = self._track.samples[past : self._start + self._count]
        wet = convolve(heard, self._around.room(rng, self._rate))[self._start - past :]
        noise = self._around.noise(rng, self._rate, self._count)
        ratio_db = a_weighted_level_db(wet, self._rate) - a_weighted_level_db(noise, self._rate)
        return wet, noise, ratio_db

    # -- speed, tempo, pitch ----------------------------------------------------------------------

    def _changed(self, family: str, amount: float) -> Clip:
        """Played faster or slower, or only higher or lower."""
        rate = self._rate
        factor = 2.0 ** (amount / 12.0) if family == "pitch" else 1.0 + amount / 100.0
        needed = self._count if family == "pitch" else round(self._count * factor)
        # Near the track's end a faster clip begins a little earlier.
        start = max(0, min(self._start, len(self._track.samples) - needed))
        lead = min(start, round(0.1 * rate))
        sound = self._track.samples[start - lead : start + needed]
        if family == "speed":
            sound = change_speed(sound[lead:], rate, factor)
        elif family == "tempo":
            sound = stretch(sound, rate, factor, lead)
        else:
            # Slower at the same pitch, then all of it faster: as long as before, and higher.
            sound = change_speed(stretch(sound, rate, 1.0 / factor, lead), rate, factor)
        sound = sound[: self._count]
        return Clip(AudioBlock(np.ascontiguousarray(sound, np.float32), rate), start / rate)


def change_speed(samples: FloatArray, sample_rate: int, factor: float) -> FloatArray:
    """Play `factor` times as fast, time and pitch together."""
    return resample(samples, round(sample_rate * factor), sample_rate)


def over_the_phone(sound: FloatArray, sample_rate: int) -> FloatArray:
    """Band limit, compression and 8 kHz, as a phone call; no delay is added."""
    from scipy.signal import butter, sosfiltfilt

    low = resample(sound, sample_rate, PHONE_RATE_HZ)
    band = butter(6, PHONE_BAND_HZ, "bandpass", fs=PHONE_RATE_HZ, output="sos")
    return compress(np.asarray(sosfiltfilt(band, low), np.float32), PHONE_RATE_HZ)


_COMPRESSION = 4.0
_THRESHOLD_DB = -10.0
"""Under the clip's RMS."""
_ATTACK_S, _RELEASE_S, _STEP_S = 0.005, 0.12, 0.005


def compress(sound: FloatArray, sample_rate: int) -> FloatArray:
    """What is louder than the threshold rises four times slower; RMS stays as it was."""
    rms = float(np.sqrt(np.mean(sound.astype(np.float64) ** 2))) if len(sound) else 0.0
    if rms == 0.0:
        return sound
    step = round(_STEP_S * sample_rate)
    blocks = -(-len(sound) // step)
    padded = np.zeros(blocks * step)
    padded[: len(sound)] = sound
    levels = np.sqrt(np.mean(padded.reshape(blocks, step) ** 2, axis=1))
    held, envelope = 0.0, np.empty(blocks)
    rise, fall = np.exp(-_STEP_S / _ATTACK_S), np.exp(-_STEP_S / _RELEASE_S)
    for number, level in enumerate(levels.tolist()):
        keep = rise if level > held else fall
        held = keep * held + (1.0 - keep) * level
        envelope[number] = held
    over_db = 20.0 * np.log10(np.maximum(envelope, 1e-9) / rms) - _THRESHOLD_DB
    gain_db = -np.maximum(over_db, 0.0) * (1.0 - 1.0 / _COMPRESSION)
    middle = (np.arange(blocks) + 0.5) * step
    gain = 10.0 ** (np.interp(np.arange(len(sound)), middle, gain_db) / 20.0)
    pressed = sound * gain
    return np.asarray(pressed * (rms / np.sqrt(np.mean(pressed**2))), np.float32)


def convolve(sound: FloatArray, response: FloatArray) -> FloatArray:
    """The first ``len(sound)`` samples of the convolution."""
    from scipy.fft import irfft, next_fast_len, rfft

    size = next_fast_len(len(sound) + len(response) - 1, real=True)
    product = rfft(sound, size) * rfft(response, size)
    return np.asarray(irfft(product, size)[: len(sound)], np.float32)


def _peak_at(sound: FloatArray, level_db: float) -> FloatArray:
    peak = float(np.max(np.abs(sound), initial=0.0))
    return sound * np.float32(10.0 ** (level_db / 20.0) / peak) if peak > 0 else sound


# -- what is no music ---------------------------------------------------------------------------


def no_music(
    condition: Condition, length_s: float, sample_rate: int, key: Sequence[object]
) -> AudioBlock:
    """Silence (exact, or with the hiss of an input) or a tone, by `key`."""
    rng = generator(*key)
    count = round(length_s * sample_rate)
    if condition.family == "silence":
        loud = 0.0 if rng.random() < 0.5 else 10.0 ** (float(rng.uniform(-90, -60)) / 20.0)
        return AudioBlock(loud * rng.standard_normal(count, dtype=np.float32), sample_rate)
    time_s = np.arange(count) / sample_rate
    sound = np.zeros(count)
    for _ in range(int(rng.integers(1, 4))):
        pitch_hz = np.exp(rng.uniform(np.log(60.0), np.log(min(6000.0, 0.45 * sample_rate))))
        sound += 0.2 * np.sin(2 * np.pi * (pitch_hz * time_s + rng.random()))
    return AudioBlock(sound.astype(np.float32), sample_rate)
