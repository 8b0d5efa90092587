"""Sound through a lossy codec and back, and through FFmpeg's time stretcher, in memory.

Containers know how much an encoder delays and pads; decoding through them gives the sound back at
the place where it was.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from songid_desktop.audio.resample import resample
from songid_desktop.types import FloatArray


@dataclass(frozen=True, slots=True)
class Codec:
    """An encoder, the container that remembers its delay, and the rates it takes (Hz)."""

    encoder: str
    container: str
    sample_format: str
    rates: tuple[int, ...]
    lowest_kbit: int
    highest_kbit: int


CODECS = {
    "opus": Codec("libopus", "ogg", "flt", (48_000,), 6, 256),
    "mp3_": Codec("libmp3lame", "mp3", "fltp", (32_000, 44_100, 48_000), 32, 320),
    "aac": Codec("aac", "mp4", "fltp", (32_000, 44_100, 48_000), 8, 256),
}
_PIECE = 1152
_AAC_FRAME = 1024


def through_codec(samples: FloatArray, sample_rate: int, codec: str, kbit: int) -> FloatArray:
    """`samples` encoded at `kbit` kbit/s and decoded again, at the same rate, length and place.

    Parameters
    ----------
    samples : float32 array, shape (n,)
    codec : str
        One of `CODECS`.
    """
    chosen = CODECS[codec]
    rate = sample_rate if sample_rate in chosen.rates else _next_rate(sample_rate, chosen.rates)
    # Louder than full scale would be clipped by some encoders and not by others.
    peak = max(1.0, float(np.max(np.abs(samples), initial=0.0)))
    inside = resample(samples / np.float32(peak), sample_rate, rate)
    encoded = _encode(inside, rate, chosen, kbit)
    decoded, decoded_rate = _decode(encoded)
    back = resample(decoded, decoded_rate, sample_rate) * np.float32(peak)
    result = np.zeros(len(samples), np.float32)
    result[: len(back)] = back[: len(samples)]
    return result


def _next_rate(rate: int, rates: tuple[int, ...]) -> int:
    return next((other for other in rates if other >= rate), rates[-1])


def _encode(samples: FloatArray, rate: int, codec: Codec, kbit: int) -> io.BytesIO:
    import av

    target = io.BytesIO()
    with av.open(target, "w", format=codec.container) as out:
        stream: Any = out.add_stream(codec.encoder, rate=rate)
        context = stream.codec_context
        context.layout, context.format = "mono", codec.sample_format
        context.bit_rate = kbit * 1000
        context.time_base = Fraction(1, rate)
        context.open()
        size = context.frame_size or _PIECE
        for begin in range(0, len(samples), size):
            out.mux(stream.encode(_frame(samples[begin : begin + size], rate, begin, codec)))
        out.mux(stream.encode(None))
    target.seek(0)
    return target


def _frame(samples: FloatArray, rate: int, at: int, codec: Codec) -> Any:
    import av

    frame = av.AudioFrame.from_ndarray(
        np.ascontiguousarray(samples[None, :]), codec.sample_format, "mono"
    )
    frame.sample_rate, frame.pts, frame.time_base = rate, at, Fraction(1, rate)
    return frame


def _decode(encoded: io.BytesIO) -> tuple[FloatArray, int]:
    """Mono samples from where the sound began, and their rate."""
    import av

    source: Any
    with av.open(encoded) as source:
        stream = source.streams.audio[0]
        pieces, first_s, rate = [], None, int(stream.rate)
        for frame in source.decode(stream):
            if first_s is None:
                first_s = float(frame.pts * frame.time_base) if frame.pts is not None else 0.0
            pieces.append(
                frame.to_ndarray().mean(axis=0)
                if frame.format.is_planar
                else frame.to_ndarray().reshape(-1)
            )
        samples = np.concatenate(pieces).astype(np.float32) if pieces else np.zeros(0, np.float32)
    return samples, rate


_LATE_S = 0.0096
"""How much later the stretcher's output is when it speeds up, and earlier when it slows down
(measured with clicks; a quarter of its window of 2,048 samples at 44.1 kHz)."""


def stretch(samples: FloatArray, sample_rate: int, tempo: float, lead: int = 0) -> FloatArray:
    """Play `tempo` times as fast at the same pitch (FFmpeg's `atempo`).

    Parameters
    ----------
    samples : float32 array, shape (n,)
    lead : int
        Samples at the beginning that are only there to be heard before; they are cut off.

    Returns
    -------
    float32 array, shape (about (n - lead) / tempo,)
        Sample m stands at input time ``lead + m * tempo`` to within some 15 ms: the
        stretcher moves grains to where they fit.
    """
    import av
    from av.filter import Graph

    graph = Graph()
    base = Fraction(1, sample_rate)
    source = graph.add_abuffer(sample_rate=sample_rate, format="flt", layout="mono", time_base=base)
    filtered = graph.add("atempo", f"{tempo:.9f}")
    sink = graph.add("abuffersink")
    source.link_to(filtered)
    filtered.link_to(sink)
    graph.configure()
    # The filter keeps back its last grains: silence after the sound pushes them out.
    padded = np.concatenate((samples, np.zeros(round(0.2 * sample_rate), np.float32)))
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(padded[None, :]), "flt", "mono")
    frame.sample_rate, frame.pts, frame.time_base = sample_rate, 0, base
    pieces = []
    for given in (frame, None):
        graph.push(given)
        while True:
            try:
                pieces.append(graph.pull().to_ndarray().reshape(-1))
            except (av.error.BlockingIOError, av.error.EOFError):
                break
    whole = np.concatenate(pieces).astype(np.float32)
    late = round(float(np.copysign(_LATE_S, tempo - 1.0)) * sample_rate)
    begin = max(0, round(lead / tempo) + late)
    return whole[begin : begin + round((len(samples) - lead) / tempo)]
