"""The decoding loop: one audio stream of an open container into pieces with their places in
time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from songid_desktop.errors import Cancelled
from songid_desktop.types import CancelToken, FloatArray

MIN_RATE = 1_000
MAX_RATE = 1_000_000
"""Sample rates (Hz) outside are damage, not sound."""

PREROLL_S = 0.5
"""Decoded and thrown away before a wanted position: MP3 frames borrow bits from up to nine before
them, the others overlap with one or two."""

_FRAMES_AT_ONCE = 48
_MOST_SAMPLES_AT_ONCE = 1 << 20
_MOST_FAILURES_IN_A_ROW = 400
"""Packets or reads; the rest of such a file is not sound any more."""
_LONGEST_GAP_S = 10.0
_LOUDEST = 1e4
"""A sample beyond it (80 dB over full scale) is damage: no format that people use means it."""

_SCALES = {"u1": 1 / 128, "i2": 1 / 32_768, "i4": 1 / 2_147_483_648, "f4": 1.0, "f8": 1.0}


@dataclass(frozen=True, slots=True)
class Piece:
    """Some sound: float32 samples, shape (n,) or, in stereo, (n, 2), at `rate`; `position` counts
    samples at that rate from the track's beginning."""

    samples: FloatArray
    rate: int
    position: int


class DecodedStream:
    """Decodes one stream, skipping what is damaged and keeping count of it.

    Parameters
    ----------
    container, stream
        PyAV's, open.
    cancel : CancelToken or None
        Looked at between packets.
    is_stereo : bool
        Give two channels instead of the mean of all.

    Attributes
    ----------
    failures : int
        Packets that could not be read or decoded.
    impossible_samples : int
        Samples that were not numbers, or absurd ones, and are zero now.
    decoded_end_s : float
        Where decoding has got to (s).
    missing_s : float
        Silence put in for damaged packets (s).
    is_past_end : bool
        Everything so far was left out because it comes before the wanted start.
    """

    def __init__(
        self,
        container: Any,
        stream: Any,
        cancel: CancelToken | None = None,
        *,
        is_stereo: bool = False,
    ) -> None:
        self._is_stereo = is_stereo
        self._container = container
        self._stream = stream
        self._cancel = cancel
        self._zero_s = float((stream.start_time or 0) * (stream.time_base or 0))
        self._is_zero_known = False
        self._is_after_damage = False
        self._position = 0
        self._rate = 0
        self.failures = 0
        self.impossible_samples = 0
        self.decoded_samples = 0
        self.is_past_end = False
        self.missing_s = 0.0

    @property
    def decoded_end_s(self) -> float:
        return self._position / self._rate if self._rate else 0.0

    def pieces(self, start_s: float = 0.0) -> Iterator[Piece]:
        """Decode from `start_s` (a little earlier, in fact) to the end.

        Positions are those of the decoder's own time stamps, so that a piece stands where it would
        if everything before had been decoded. Silence fills gaps that damaged packets left.
        """
        batch: list[npt.NDArray[Any]] = []
        batched = 0
        batch_key: tuple[str, int, int] | None = None
        for frame in self._frames(start_s):
            rate = frame.sample_rate
            channels = len(frame.layout.channels)
            if frame.samples <= 0 or not channels or not MIN_RATE <= rate <= MAX_RATE:
                self.failures += 1
                continue
            key = (frame.format.name, channels, rate)
            place = self._place_of(frame)
            gap = self._gap_before(place, rate)
            is_first = self._rate == 0
            if batch and (key != batch_key or gap or batched >= _MOST_SAMPLES_AT_ONCE):
                assert batch_key is not None
                yield self._piece(batch, batch_key)
                batch, batched = [], 0
            if is_first:
                self._position = self._first_place(place, start_s, rate)
            elif rate != self._rate:
                self._position = round(self._position * rate / self._rate)
            self._rate = rate
            if gap:
                self.missing_s += gap / rate
                silence = np.zeros((gap, 2) if self._is_stereo else gap, np.float32)
                yield Piece(silence, rate, self._position)
                self._position += gap
            batch_key = key
            batch.append(frame.to_ndarray())
            batched += frame.samples
            if len(batch) >= _FRAMES_AT_ONCE:
                yield self._piece(batch, batch_key)
                batch, batched = [], 0
        if batch and batch_key is not None:
            yield self._piece(batch, batch_key)

    def _piece(self, batch: list[npt.NDArray[Any]], key: tuple[str, int, int]) -> Piece:
        name, channels, rate = key
        joined = np.concatenate(batch, axis=1) if len(batch) > 1 else batch[0]
        is_planar = name.endswith("p")
        if self._is_stereo and channels > 1:
            mixed = _to_stereo(joined, channels, is_planar=is_planar)
        else:
            mixed = _to_mono(joined, channels, is_planar=is_planar)
        loudest = max(float(mixed.max()), -float(mixed.min()))
        if not loudest <= _LOUDEST:
            is_bad = ~(np.abs(mixed) <= _LOUDEST)
            mixed[is_bad] = 0.0
            self.impossible_samples += int(np.count_nonzero(is_bad))
        if self._is_stereo and channels == 1:
            mixed = np.repeat(mixed[:, None], 2, axis=1)
        piece = Piece(mixed, rate, self._position)
        self._position += len(mixed)
        self.decoded_samples += len(mixed)
        return piece

    def _place_of(self, frame: Any) -> int | None:
        """Position of the frame's first sample by its time stamp, in samples at its rate."""
        if frame.pts is None or not frame.time_base:
            return None
        seconds = float(frame.pts * frame.time_base) - self._zero_s
        return max(0, round(seconds * int(frame.sample_rate)))

    def _first_place(self, place: int | None, start_s: float, rate: int) -> int:
        """Where decoding begins. A time stamp far from what was asked for is not believed."""
        if place is None or (self.failures == 0 and start_s <= PREROLL_S):
            return 0
        return place if place < (start_s + _LONGEST_GAP_S) * rate else round(start_s * rate)

    def _gap_before(self, place: int | None, rate: int) -> int:
        """Samples missing before a frame, where damage explains them. Time stamps alone are not
        believed: joined files jump at the seams."""
        if not self._is_after_damage:
            return 0
        self._is_after_damage = False
        if place is None or rate != self._rate:
            return 0
        return place - self._position if 0 < place - self._position < _LONGEST_GAP_S * rate else 0

    def _frames(self, start_s: float) -> Iterator[Any]:
        import av.error

        is_seeking = start_s > PREROLL_S
        in_a_row = 0
        for packet in self._packets():
            if is_seeking and self._is_zero_known and packet.size:
                if self._ends_before(packet, start_s - PREROLL_S):
                    self.is_past_end = True
                    continue
                self.is_past_end = is_seeking = False
            try:
                frames = packet.decode()
            except (av.error.FFmpegError, ValueError):
                self.failures += 1
                self._is_after_damage = True
                in_a_row += 1
                if in_a_row > _MOST_FAILURES_IN_A_ROW:
                    return
                continue
            if not frames:
                continue
            in_a_row = 0
            if not self._is_zero_known:
                self._find_zero(frames[0])
                if is_seeking and self._ends_before(packet, start_s - PREROLL_S):
                    self._stream.codec_context.flush_buffers()
                    self.is_past_end = True
                    continue
                is_seeking = False
            yield from frames

    def _find_zero(self, frame: Any) -> None:
        """Take the first frame's time stamp as the track's beginning: decoders that give nothing
        for the first packets (wma) count them all the same."""
        self._is_zero_known = True
        if frame.pts is not None and frame.time_base and self.failures == 0:
            self._zero_s = float(frame.pts * frame.time_base)

    def _ends_before(self, packet: Any, time_s: float) -> bool:
        if packet.pts is None or not packet.duration:
            return False
        end_s = float((packet.pts + packet.duration) * packet.time_base) - self._zero_s
        return end_s < time_s

    def _packets(self) -> Iterator[Any]:
        """Packets of the stream and the empty one that empties the decoder; unreadable places are
        passed over."""
        import av.error

        in_a_row = 0
        while True:
            try:
                for packet in self._container.demux(self._stream):
                    if self._cancel is not None and self._cancel.is_set():
                        raise Cancelled
                    in_a_row = 0
                    yield packet
            except (av.error.InvalidDataError, ValueError):
                self.failures += 1
                self._is_after_damage = True
                in_a_row += 1
                if in_a_row > _MOST_FAILURES_IN_A_ROW:
                    return
                continue
            return


def _to_mono(joined: npt.NDArray[Any], channels: int, *, is_planar: bool) -> FloatArray:
    """Mean of the channels; integers to -1 … 1.

    Parameters
    ----------
    joined : array, shape (channels, n) when planar, else (1, n * channels)
    """
    kind = joined.dtype.str[1:]
    wide = np.float64 if kind in {"i4", "f8"} else np.float32
    mono: npt.NDArray[np.floating[Any]]
    if channels == 1:
        mono = joined.reshape(-1).astype(wide)
    elif is_planar:
        mono = np.add.reduce(joined, axis=0, dtype=wide)
    else:
        mono = np.add.reduce(joined.reshape(-1, channels), axis=1, dtype=wide)
    mono = mono * wide(_SCALES[kind] / channels)
    if kind == "u1":
        mono = mono - np.float32(1.0)
    with np.errstate(over="ignore"):
        return mono.astype(np.float32, copy=False)


def _to_stereo(joined: npt.NDArray[Any], channels: int, *, is_planar: bool) -> FloatArray:
    """Left and right, shape (n, 2); of more than two channels, the rest is mixed into both."""
    frames = joined.T if is_planar else joined.reshape(-1, channels)
    sound = frames.astype(np.float32) * np.float32(_SCALES[joined.dtype.str[1:]])
    if joined.dtype.kind == "u":
        sound -= np.float32(1.0)
    if channels > 2:
        others = sound[:, 2:].sum(axis=1, keepdims=True) / channels
        sound = sound[:, :2] * np.float32(2 / channels) + others
    return np.ascontiguousarray(sound)
