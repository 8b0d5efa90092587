"""What happens to music on its way to a listener, for many one-second windows at a time.

Each replica is played a little early or late (and faster or slower), in a room with a second of
its own past before it, with a background at a level compared A-weighted, then perhaps through a
telephone, a compressor, an overdriven or a very quiet input. Everything is drawn from one random
generator, so that a batch depends on its seed alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from songid_desktop.dsp.weighting import a_weight_gain
from songid_desktop.train.config import Degrade
from songid_desktop.types import FloatArray

Floats = npt.NDArray[np.float32]
ComplexArray = npt.NDArray[np.complex64]

PAST_S = 1.0
"""Of the track's own sound before each window: rooms are cut to this length, too."""
_QUIET_RMS = 1e-4


@dataclass(frozen=True, slots=True)
class Around:
    """The rooms and backgrounds of a training, at the model's rate.

    Attributes
    ----------
    rooms : complex64 array, shape (variants, bins)
        Spectra of impulse responses, zero-padded so that past and window convolve whole.
    noise : float32 array, shape (n,)
        All backgrounds, one after the other.
    spans : int array, shape (backgrounds, 2)
        Where each begins and ends.
    """

    rooms: ComplexArray
    noise: Floats
    spans: npt.NDArray[np.int64]


def make_around(
    responses: Sequence[FloatArray],
    backgrounds: Sequence[FloatArray],
    sample_rate: int,
    window_samples: int,
    seed: int,
) -> Around:
    """Transform the rooms once, each as it is and (twice) with its decay shortened."""
    from scipy.fft import rfft

    rng = np.random.default_rng([seed, 77])
    past = round(PAST_S * sample_rate)
    size = room_fft_size(sample_rate, window_samples)
    spectra = []
    for response in responses:
        cut = np.zeros(past, np.float32)
        energy = float(np.sqrt(np.sum(response.astype(np.float64) ** 2))) or 1.0
        cut[: len(response)] = response[:past] / energy
        time_s = np.arange(past) / sample_rate
        for decay_s in (np.inf, rng.uniform(0.03, 0.1), rng.uniform(0.1, 0.3)):
            shorter = cut * np.exp(-time_s / decay_s).astype(np.float32)
            spectra.append(rfft(shorter, size).astype(np.complex64))
    rooms = np.array(spectra, np.complex64).reshape(len(spectra), size // 2 + 1)
    lengths = [len(sound) for sound in backgrounds]
    ends = np.cumsum(lengths)
    spans = np.stack((ends - lengths, ends), axis=1) if lengths else np.zeros((0, 2), np.int64)
    noise = np.concatenate(backgrounds) if lengths else np.zeros(0, np.float32)
    return Around(rooms, noise.astype(np.float32), spans.astype(np.int64))


def room_fft_size(sample_rate: int, window_samples: int) -> int:
    from scipy.fft import next_fast_len

    past = round(PAST_S * sample_rate)
    return int(next_fast_len(2 * past + window_samples, real=True))


class Degrader:
    """Makes replicas from stretches of music.

    Parameters
    ----------
    config : Degrade
    around : Around
    sample_rate : int
    window_samples : int
        Length of a window.
    """

    def __init__(
        self, config: Degrade, around: Around, sample_rate: int, window_samples: int
    ) -> None:
        self._config = config
        self._around = around
        self._rate = sample_rate
        self._count = window_samples
        self._past = round(PAST_S * sample_rate)
        frequency = np.fft.rfftfreq(window_samples, 1.0 / sample_rate)
        self._a_power = (a_weight_gain(frequency) ** 2).astype(np.float32)
        self._frequency = frequency.astype(np.float32)

    @property
    def stretch_samples(self) -> int:
        """How much music a replica is made from: its past, itself and what a changed speed
        needs."""
        fastest = 1.0 + max(self._config.speed, self._config.pitch_speed)
        return int((self._past + self._count) * fastest) + 2

    def replicas(self, music: Floats, rng: np.random.Generator) -> Floats:
        """Degraded windows.

        Parameters
        ----------
        music : float32 array, shape (n, stretch_samples)
            The window proper begins `PAST_S` after the beginning.

        Returns
        -------
        float32 array, shape (n, window_samples)
        """
        sound = self._in_rooms(self._change_speed(music, rng), rng)
        sound = self._add_backgrounds(sound, rng)
        return self._through_device(sound, rng)

    def _change_speed(self, music: Floats, rng: np.random.Generator) -> Floats:
        """Past and window, shape (n, past + window). The middle of the window stays in place."""
        config, whole = self._config, self._past + self._count
        faster = music[:, :whole].copy()
        drawn = rng.random(len(music))
        small = rng.uniform(-config.speed, config.speed, len(music))
        large = rng.uniform(-config.pitch_speed, config.pitch_speed, len(music))
        middle = self._past + 0.5 * self._count
        given = np.arange(music.shape[1], dtype=np.float64)
        for row in np.flatnonzero(drawn < config.speed_p + config.pitch_p):
            change = small[row] if drawn[row] < config.speed_p else large[row]
            wanted = middle + (np.arange(whole) - middle) * (1.0 + change)
            faster[row] = np.interp(wanted, given, music[row])
        return faster

    def _in_rooms(self, sound: Floats, rng: np.random.Generator) -> Floats:
        """Convolve with a room where one is drawn; only the window comes back."""
        from scipy.fft import irfft, rfft

        config, variants = self._config, len(self._around.rooms)
        window = sound[:, self._past :].copy()
        drawn = rng.random(len(sound))
        room = 3 * rng.integers(max(1, variants // 3), size=len(sound))
        shorter = np.where(
            rng.random(len(sound)) < config.room_shorter_p, rng.integers(1, 3, len(sound)), 0
        )
        rows = np.flatnonzero(drawn < config.room_p)
        if len(rows) == 0 or variants == 0:
            return window
        size = room_fft_size(self._rate, self._count)
        spectrum = rfft(sound[rows], size, axis=1)
        spectrum *= self._around.rooms[room[rows] + shorter[rows]]
        window[rows] = irfft(spectrum, size, axis=1)[:, self._past : self._past + self._count]
        return window

    def _add_backgrounds(self, sound: Floats, rng: np.random.Generator) -> Floats:
        config, count = self._config, self._count
        noise = rng.standard_normal(sound.shape, dtype=np.float32)
        kind = rng.random(len(sound))
        spans = self._around.spans
        which = rng.integers(max(1, len(spans)), size=len(sound))
        place = rng.random(len(sound))
        for row in np.flatnonzero(kind >= config.white_share):
            if len(spans) == 0:
                break
            begin, end = spans[which[row]]
            at = begin + int(place[row] * max(1, end - begin - count))
            noise[row] = np.resize(self._around.noise[at : min(end, at + count)], count)
        level_db = rng.uniform(*config.noise_db, len(sound))
        present = rng.random(len(sound)) < config.noise_p
        gain_db = self._a_level_db(sound) - self._a_level_db(noise) - level_db
        gain = np.where(present & (gain_db < 120.0), 10.0 ** (np.minimum(gain_db, 80) / 20.0), 0.0)
        return np.asarray(sound + noise * gain[:, None].astype(np.float32), np.float32)

    def _a_level_db(self, sound: Floats) -> npt.NDArray[np.float64]:
        from scipy.fft import rfft

        spectrum = rfft(sound, axis=1)
        power = (spectrum.real**2 + spectrum.imag**2) @ self._a_power
        return 10.0 * np.log10(np.maximum(power.astype(np.float64), 1e-20))

    # -- telephones, inputs -----------------------------------------------------------------------

    def _through_device(self, sound: Floats, rng: np.random.Generator) -> Floats:
        config = self._config
        kind = rng.random(len(sound))
        edge = np.cumsum((config.phone_p, config.band_p, config.overdrive_p, config.compress_p))
        phone, banded = kind < edge[0], (kind >= edge[0]) & (kind < edge[1])
        self._band_limit(sound, np.flatnonzero(phone), rng, is_phone=True)
        self._band_limit(sound, np.flatnonzero(banded), rng, is_phone=False)
        pressed = phone | ((kind >= edge[2]) & (kind < edge[3]))
        rows = np.flatnonzero(pressed)
        sound[rows] = compressed(sound[rows], self._rate)
        for row in np.flatnonzero((kind >= edge[1]) & (kind < edge[2])):
            peak = float(np.max(np.abs(sound[row]))) or 1.0
            push = 10.0 ** (rng.uniform(*config.overdrive_db) / 20.0)
            sound[row] = np.clip(sound[row] * (push / peak), -1.0, 1.0)
        quieter_db = np.where(
            rng.random(len(sound)) < config.gain_p, rng.uniform(*config.gain_db, len(sound)), 0.0
        )
        return sound * (10.0 ** (quieter_db / 20.0)).astype(np.float32)[:, None]

    def _band_limit(
        self,
        sound: Floats,
        rows: npt.NDArray[np.int64],
        rng: np.random.Generator,
        *,
        is_phone: bool,
    ) -> None:
        """Zero-phase band pass of order 12, as forwards and backwards filtering gives."""
        from scipy.fft import irfft, rfft

        if len(rows) == 0:
            return
        if is_phone:
            low = rng.uniform(280.0, 400.0, len(rows))
            high = rng.uniform(3000.0, 3500.0, len(rows))
        else:
            low = np.exp(rng.uniform(np.log(40.0), np.log(500.0), len(rows)))
            high = np.exp(rng.uniform(np.log(1800.0), np.log(4000.0), len(rows)))
        hz = np.maximum(self._frequency, 1.0)[None, :]
        gain = 1.0 / (1.0 + (low[:, None] / hz) ** 12) / (1.0 + (hz / high[:, None]) ** 12)
        sound[rows] = irfft(
            rfft(sound[rows], axis=1) * gain.astype(np.float32), self._count, axis=1
        )


_STEP_S, _ATTACK_S, _RELEASE_S = 0.005, 0.005, 0.12
_THRESHOLD_DB, _RATIO = -10.0, 4.0


def compressed(sound: Floats, sample_rate: int) -> Floats:
    """What is 10 dB under a window's level or louder rises four times slower; shape (n, count)."""
    if len(sound) == 0:
        return sound
    step = round(_STEP_S * sample_rate)
    blocks = -(-sound.shape[1] // step)
    padded = np.zeros((len(sound), blocks * step), np.float32)
    padded[:, : sound.shape[1]] = sound
    levels = np.sqrt(np.mean(padded.reshape(len(sound), blocks, step) ** 2, axis=2))
    envelope = np.empty_like(levels)
    held = levels[:, 0].copy()
    rise, fall = float(np.exp(-_STEP_S / _ATTACK_S)), float(np.exp(-_STEP_S / _RELEASE_S))
    for number in range(blocks):
        level = levels[:, number]
        keep = np.where(level > held, rise, fall)
        held = keep * held + (1.0 - keep) * level
        envelope[:, number] = held
    rms = np.maximum(np.sqrt(np.mean(sound**2, axis=1, keepdims=True)), _QUIET_RMS)
    over_db = 20.0 * np.log10(np.maximum(envelope, 1e-9) / rms) - _THRESHOLD_DB
    gain = 10.0 ** (-np.maximum(over_db, 0.0) * (1.0 - 1.0 / _RATIO) / 20.0)
    pressed = padded * np.repeat(gain, step, axis=1).astype(np.float32)
    pressed = pressed[:, : sound.shape[1]]
    after = np.maximum(np.sqrt(np.mean(pressed**2, axis=1, keepdims=True)), _QUIET_RMS)
    return np.asarray(pressed * (rms / after), np.float32)
