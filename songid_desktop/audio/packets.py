"""The decoding loop: one audio stream of an open container into pieces with their places in
time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from songid_desktop.audio.mixing import Batch, Layout
from songid_desktop.errors import Cancelled
from songid_desktop.types import CancelToken, FloatArray

MIN_RATE = 1_000
MAX_RATE = 1_000_000
"""Sample rates (Hz) outside are damage, not sound."""

PREROLL_S = 0.5
"""Decoded and thrown away before a wanted position: MP3 frames borrow bits from up to nine before
them, the others overlap with one or two."""

SEEK_BEYOND_S = 30.0
"""Up to here packets are read and left out, which is exact in every format. Beyond, containers
that know the place of each packet are asked to jump."""
_SEEKABLE = {"wav", "w64", "aiff", "flac", "ogg", "mov", "matroska"}
"""Others jump to a place estimated from the bit rate and then count on from the estimate."""

_FRAMES_AT_ONCE = 48
_MOST_SAMPLES_AT_ONCE = 1 << 20
_MOST_FAILURES_IN_A_ROW = 400
"""Packets or reads; the rest of such a file is not sound any more."""
_LONGEST_GAP_S = 10.0
_LOUDEST = 1e4
"""A sample beyond it (80 dB over full scale) is damage: no format that people use means it."""


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
        self._tick_s = float(stream.time_base or 0)
        self._zero_s = (stream.start_time or 0) * self._tick_s
        self._is_zero_known = False
        self._is_jump_unproven = False
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
        batch: Batch | None = None
        for frame in self._frames(start_s):
            layout = _layout_of(frame)
            if layout is None:
                self.failures += 1
                continue
            if batch is not None and (
                layout != batch.layout
                or self._is_after_damage
                or batch.frames >= _FRAMES_AT_ONCE
                or batch.samples >= _MOST_SAMPLES_AT_ONCE
            ):
                yield self._piece(batch)
                batch = None
            if batch is None:
                # Time stamps are looked at only here: for each frame they would cost as much as
                # decoding it.
                gap = self._place(frame, layout.rate, start_s)
                if gap is not None:
                    yield gap
                batch = Batch(layout)
            batch.add(frame)
        if batch is not None:
            yield self._piece(batch)

    def _place(self, frame: Any, rate: int, start_s: float) -> Piece | None:
        """Find out where the next frame stands; silence, where damage left a gap before it."""
        place = self._place_of(frame)
        is_after_damage, self._is_after_damage = self._is_after_damage, False
        if self._rate == 0:
            self._position, self._rate = self._first_place(place, start_s, rate), rate
            return None
        if rate != self._rate:
            self._position, self._rate = round(self._position * rate / self._rate), rate
            return None
        gap = place - self._position if place is not None and is_after_damage else 0
        # Time stamps alone are not believed: joined files jump at the seams.
        if not 0 < gap < _LONGEST_GAP_S * rate:
            return None
        self.missing_s += gap / rate
        silence = np.zeros((gap, 2) if self._is_stereo else gap, np.float32)
        piece = Piece(silence, rate, self._position)
        self._position += gap
        return piece

    def _piece(self, batch: Batch) -> Piece:
        mixed = batch.stereo() if self._is_stereo else batch.mono()
        loudest = max(float(mixed.max()), -float(mixed.min()))
        if not loudest <= _LOUDEST:
            is_bad = ~(np.abs(mixed) <= _LOUDEST)
            mixed[is_bad] = 0.0
            self.impossible_samples += int(np.count_nonzero(is_bad))
        piece = Piece(mixed, batch.layout.rate, self._position)
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

    def _frames(self, start_s: float) -> Iterator[Any]:
        import av.error

        is_seeking = start_s > PREROLL_S
        in_a_row = 0
        for packet in self._packets():
            if is_seeking and self._is_zero_known and packet.size:
                if self._is_beyond(packet, start_s):
                    continue
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
                    self._jump(start_s - PREROLL_S)
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

    def _jump(self, time_s: float) -> None:
        """Go to a little before `time_s`, if that can be done exactly; else stay."""
        import av.error

        names = self._container.format.name.split(",")
        if time_s < SEEK_BEYOND_S or names[0] not in _SEEKABLE or not self._stream.time_base:
            return
        ticks = int((time_s + self._zero_s) / self._stream.time_base)
        try:
            self._container.seek(ticks, stream=self._stream, backward=True)
        except (av.error.FFmpegError, ValueError):
            return
        self._is_jump_unproven = True

    def _is_beyond(self, packet: Any, start_s: float) -> bool:
        """Whether the first packet after a jump proves that it went too far, or nowhere known: then
        go back to the beginning and read on from there."""
        if not self._is_jump_unproven:
            return False
        self._is_jump_unproven = False
        latest_s = start_s - PREROLL_S / 2 + self._zero_s
        if packet.pts is not None and packet.pts * self._tick_s <= latest_s:
            return False
        self._container.seek(0)
        return True

    def _ends_before(self, packet: Any, time_s: float) -> bool:
        # In the stream's ticks: exact fractions would make passing over an hour take seconds.
        pts, duration = packet.pts, packet.duration
        if pts is None or not duration or not self._tick_s:
            return False
        return bool((pts + duration) * self._tick_s < time_s + self._zero_s)

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


def _layout_of(frame: Any) -> Layout | None:
    """How the frame's samples lie, or None when it is damaged."""
    rate, channels = frame.sample_rate, frame.layout.nb_channels
    if frame.samples <= 0 or channels < 1 or not MIN_RATE <= rate <= MAX_RATE:
        return None
    return Layout(frame.format.name, channels, rate)
