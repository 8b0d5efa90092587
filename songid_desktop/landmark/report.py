"""The report's own landmark method, box by box: the baseline that everything is compared with.

signal → spectrogram in dB → local maxima → threshold per bin → pairs → hashes → offset votes. It is
kept as the report gives it, faults included; nothing here is tuned. Where the report leaves room,
this is how it is read:

- *Spectrogram.* ``librosa.stft`` (Hann, centred, zeros beyond the edges) at the file's own rate,
  then ``amplitude_to_db`` with its defaults: 0 dB is a magnitude of 1, and nothing is lower than
  80 dB below the loudest point of that file or clip. A bin is ``rate / 2048`` hertz wide, so files
  of different rates have no hashes in common: a clip is found only among tracks of its own rate.
- *Local maxima.* PNS is one number for time and frequency: a square window of PNS bins by PNS
  frames. Plateaus on the floor, which equal their own maximum too, are dropped.
- *Threshold.* “Magnitude exceeds ``ETH * med[f]``” is read in dB, as S is. A dB median has a sign,
  and most are negative: in such a bin, ``0.3 * -30 dB`` asks for 21 dB above the median and
  ``0.7 * -30 dB`` for only 9, so a lower ETH keeps fewer and stronger peaks, just as the report
  says (“a stronger relative baseline”); in the few loud bins, with medians above 0 dB, it is the
  other way round. Of plain magnitudes, nearly every local maximum would exceed 0.7 of its bin's
  median, and the published grid could not depend on ETH as it does. Scaling a sound moves its
  medians past 0 dB, so the peaks depend on the level.
- *Pairs.* Targets are simply the next FAN peaks in order of time, then frequency; those in the same
  frame (Δt = 0) count. (In order of frequency, then time, as ``np.argwhere`` of its S lists them,
  as many clean clips were found.) The report names no longest Δt; pairs further apart than fits
  into the hash (1,023 frames, 11.9 s at 44.1 kHz) are left out.
- *Votes.* One for each equal hash, for exactly its δt; neighbouring δt are not joined, and the clip
  is analysed on one frame grid, so frames of clip and track lie up to half a hop apart.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from songid_desktop.audio.resample import StreamResampler
from songid_desktop.errors import Cancelled
from songid_desktop.landmark.peaks import Peaks
from songid_desktop.landmark.spectrum import clean
from songid_desktop.types import AudioBlock, CancelToken, FloatArray

IntArray = npt.NDArray[np.int64]
KeyArray = npt.NDArray[np.uint32]

FORMAT_VERSION = 1
"""Part of the digest: a change of the code that moves peaks counts as another configuration."""
BIN_BITS, TIME_BITS = 11, 10
KEY_BITS = 2 * BIN_BITS + TIME_BITS

_LEAST_MAGNITUDE = 1e-5  # librosa's `amin`
_LEAST_DB = -100.0
_BATCH_FRAMES = 1024
_LEVELS_PER_DB = 10
_LEVELS = 2048
"""Medians of what is longer than a batch (11.9 s at 44.1 kHz) are counted in steps of 0.1 dB from
-100 dB on: memory stays bounded whatever the length."""


@dataclass(frozen=True, slots=True)
class ReportConfig:
    """The report's parameters; the defaults are its best cell."""

    pns: int = 20
    """Peak neighbourhood size: side of the window (bins, frames) a local maximum is highest in."""
    fan: int = 50
    """Targets of an anchor."""
    eth: float = 0.3
    """Energy threshold: a peak exceeds `eth` times the median (dB) of its bin."""
    n_fft: int = 2048
    hop_samples: int = 512
    top_db: float = 80.0
    max_frames: int = (1 << TIME_BITS) - 1

    def __post_init__(self) -> None:
        if self.n_bins > 1 << BIN_BITS or not 0 <= self.max_frames < 1 << TIME_BITS:
            raise ValueError(f"{self.n_bins} bins and {self.max_frames} frames don't fit a hash")
        if self.pns < 2 or self.fan < 1:
            raise ValueError(f"PNS {self.pns} and FAN {self.fan} make no landmarks")

    @property
    def n_bins(self) -> int:
        return self.n_fft // 2 + 1

    def digest(self) -> str:
        """Name of what the catalog stores: the peaks, which FAN has no part in."""
        values = {name: value for name, value in asdict(self).items() if name in _PEAK_VALUES}
        return _digest({"format": FORMAT_VERSION, **values})

    def index_digest(self) -> str:
        """Name of what the index holds."""
        return _digest({"format": FORMAT_VERSION, **asdict(self)})


_PEAK_VALUES = {"pns", "eth", "n_fft", "hop_samples", "top_db"}


def _digest(values: dict[str, object]) -> str:
    text = json.dumps(values, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


# -- spectrogram --------------------------------------------------------------------------------


def decibel_frames(samples: FloatArray, config: ReportConfig) -> FloatArray:
    """Spectrogram of as many whole frames as there are, without padding.

    Returns
    -------
    float32 array, shape (frames, bins), dB re a magnitude of 1, -100 at least
    """
    import scipy.fft

    count = max(0, (len(samples) - config.n_fft) // config.hop_samples + 1)
    if not count:
        return np.zeros((0, config.n_bins), np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(samples, config.n_fft)
    window = np.hanning(config.n_fft + 1)[:-1].astype(np.float32)
    spectrum = scipy.fft.rfft(frames[:: config.hop_samples][:count] * window, axis=1)
    magnitude = np.maximum(np.abs(spectrum), np.float32(_LEAST_MAGNITUDE))
    decibels: FloatArray = np.float32(20.0) * np.log10(magnitude)
    return decibels


# -- local maxima -------------------------------------------------------------------------------


def window_max(values: FloatArray, size: int, axis: int) -> FloatArray:
    """Maximum over the `size` neighbours ``i - size // 2 … i + (size - 1) // 2`` along `axis`, of
    those that exist; by doubling, so a handful of passes for any size."""
    padding = [(0, 0), (0, 0)]
    padding[axis] = (size // 2, (size - 1) // 2)
    running = np.pad(values, padding, constant_values=-np.inf)
    width = 1
    while width < size:
        step = min(width, size - width)
        left = [slice(None), slice(None)]
        right = [slice(None), slice(None)]
        left[axis], right[axis] = slice(None, -step), slice(step, None)
        running = np.maximum(running[tuple(left)], running[tuple(right)])
        width += step
    return running


@dataclass(frozen=True, slots=True)
class Maxima:
    """Local maxima in order of frame, then bin; `height_db` float32, the others int64."""

    frame: IntArray
    bin: IntArray
    height_db: FloatArray


@dataclass(frozen=True, slots=True)
class Survey:
    """All that one pass over a sound must find out, so that any ETH can be applied afterwards.

    The medians are only known at its end, hence the two steps; both are exact but for the medians'
    steps of 0.1 dB in long sounds.

    Attributes
    ----------
    maxima : dict
        By PNS.
    median_db : float array, shape (bins,)
        Of every frequency bin, not yet limited by the floor.
    loudest_db : float
    n_frames, n_samples, sample_rate : int
    """

    maxima: dict[int, Maxima]
    median_db: npt.NDArray[np.float64]
    loudest_db: float
    n_frames: int
    n_samples: int
    sample_rate: int

    def peaks(self, config: ReportConfig) -> Peaks:
        """The constellation: maxima above the floor and above ETH times their bin's median."""
        found = self.maxima[config.pns]
        floor_db = max(self.loudest_db - config.top_db, _LEAST_DB)
        threshold_db = config.eth * np.maximum(self.median_db, floor_db)
        keep = (found.height_db > floor_db) & (found.height_db > threshold_db[found.bin])
        none = np.zeros(0, np.float32)
        return Peaks(found.frame[keep], found.bin[keep], none, self.n_frames)


class Surveyor:
    """Takes a sound in pieces and surveys it for several PNS at once.

    Work is cut into batches on a fixed grid of frames, so the result does not depend on how the
    sound came.
    """

    def __init__(self, sizes: Sequence[int], sample_rate: int, config: ReportConfig) -> None:
        self._config = config
        self._sizes = tuple(dict.fromkeys(sizes))
        self._sample_rate = sample_rate
        self._held: FloatArray = np.zeros(config.n_fft // 2, np.float32)  # frames are centred
        self._rows: FloatArray = np.zeros((0, config.n_bins), np.float32)
        self._first_row = 0
        self._judged = 0  # frames whose maxima are known
        self._only: FloatArray | None = None  # the first batch, until there is a second one
        self._counts: IntArray | None = None
        self._loudest_db = -np.inf
        self._found: dict[int, list[Maxima]] = {size: [] for size in self._sizes}
        self._n_samples = 0

    def push(self, samples: FloatArray) -> None:
        """Take the next samples, any number of them."""
        self._n_samples += len(samples)
        self._held = np.concatenate([self._held, clean(samples)])
        config = self._config
        batch = (_BATCH_FRAMES - 1) * config.hop_samples + config.n_fft
        while len(self._held) >= batch:
            self._take(decibel_frames(self._held[:batch], config))
            self._held = self._held[_BATCH_FRAMES * config.hop_samples :]

    def finish(self) -> Survey:
        """What was found in all that was pushed."""
        padded = np.concatenate([self._held, np.zeros(self._config.n_fft // 2, np.float32)])
        self._take(decibel_frames(padded, self._config))
        n_frames = self._first_row + len(self._rows)
        self._judge(n_frames)
        return Survey(
            maxima={size: _joined(parts) for size, parts in self._found.items()},
            median_db=self._medians(n_frames),
            loudest_db=self._loudest_db,
            n_frames=n_frames,
            n_samples=self._n_samples,
            sample_rate=self._sample_rate,
        )

    def _take(self, rows: FloatArray) -> None:
        if not len(rows):
            return
        self._loudest_db = max(self._loudest_db, float(rows.max()))
        if self._only is None and self._counts is None:
            self._only = rows
        else:
            self._count(rows)
        self._rows = np.concatenate([self._rows, rows])
        after = max((size - 1) // 2 for size in self._sizes)
        self._judge(self._first_row + len(self._rows) - after)

    def _count(self, rows: FloatArray) -> None:
        if self._counts is None:
            self._counts = np.zeros(self._config.n_bins * _LEVELS, np.int64)
        if self._only is not None:
            first, self._only = self._only, None
            self._count(first)
        level = ((rows - np.float32(_LEAST_DB)) * _LEVELS_PER_DB).astype(np.int64)
        level = np.clip(level, 0, _LEVELS - 1) + np.arange(rows.shape[1]) * _LEVELS
        self._counts += np.bincount(level.reshape(-1), minlength=len(self._counts))

    def _judge(self, stop: int) -> None:
        """Find the maxima of frames up to `stop`, all of whose neighbours are known by now."""
        if stop <= self._judged:
            return
        for size in self._sizes:
            highest = window_max(window_max(self._rows, size, 1), size, 0)
            own = slice(self._judged - self._first_row, stop - self._first_row)
            row, column = np.nonzero(
                (self._rows[own] == highest[own]) & (self._rows[own] > np.float32(_LEAST_DB))
            )
            height = self._rows[own][row, column]
            self._found[size].append(Maxima(row + self._judged, column, height))
        self._judged = stop
        keep_from = max(self._first_row, stop - max(self._sizes) // 2)
        self._rows = self._rows[keep_from - self._first_row :]
        self._first_row = keep_from

    def _medians(self, n_frames: int) -> npt.NDArray[np.float64]:
        ranks = ((n_frames - 1) // 2, n_frames // 2)
        if self._counts is None:
            assert self._only is not None, "every sound has a frame"
            columns = np.ascontiguousarray(self._only.T)
            middle = np.partition(columns, ranks, axis=1)[:, ranks]
            return np.asarray(middle.mean(axis=1, dtype=np.float64))
        below = np.cumsum(self._counts.reshape(-1, _LEVELS), axis=1)
        level = [(below > rank).argmax(axis=1) for rank in ranks]
        return np.asarray((np.mean(level, axis=0) + 0.5) / _LEVELS_PER_DB + _LEAST_DB)


def _joined(parts: Sequence[Maxima]) -> Maxima:
    none = Maxima(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32))
    every = [none, *parts]
    return Maxima(
        np.concatenate([part.frame for part in every]),
        np.concatenate([part.bin for part in every]),
        np.concatenate([part.height_db for part in every]),
    )


def survey_blocks(
    blocks: Iterable[AudioBlock],
    sizes: Sequence[int],
    config: ReportConfig,
    cancel: CancelToken | None = None,
) -> Survey:
    """Survey a whole sound at the rate of its first block; others are resampled to that.

    Raises
    ------
    Cancelled
        When `cancel` was set.
    """
    surveyor: Surveyor | None = None
    resampler: StreamResampler | None = None
    rate = 0
    for block in blocks:
        if cancel is not None and cancel.is_set():
            raise Cancelled
        if surveyor is None:
            rate = block.sample_rate
            surveyor = Surveyor(sizes, rate, config)
        if resampler is not None and resampler.from_rate != block.sample_rate:
            surveyor.push(resampler.flush())
            resampler = None
        if block.sample_rate == rate:
            surveyor.push(block.samples)
            continue
        resampler = resampler or StreamResampler(block.sample_rate, rate)
        surveyor.push(resampler.push(clean(block.samples)))
    if surveyor is None:
        surveyor = Surveyor(sizes, 1, config)
    elif resampler is not None:
        surveyor.push(resampler.flush())
    return surveyor.finish()
