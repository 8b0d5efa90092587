"""Generated songs in every encoding that PyAV can write."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.support.catalog import RATE, tone, write_song

_BY_LIBAV = {
    ".m4a": ("ipod", "aac", 8000),
    ".aac": ("adts", "aac", 8000),
    ".opus": ("ogg", "libopus", 8000),
    ".wma": ("asf", "wmav2", 44100),
}


def encode(path: Path, seed: int, seconds: float = 2.0) -> Path:
    """Write a song; the encoding is chosen by the ending."""
    if path.suffix not in _BY_LIBAV:
        return write_song(path, seed, seconds)
    import av

    container, codec, rate = _BY_LIBAV[path.suffix]
    with av.open(str(path), "w", format=container) as out:
        stream = out.add_stream(codec, rate=rate, layout="mono")
        stream.bit_rate = 64_000  # WMA has no default
        samples = np.repeat(tone(seed, seconds), rate // RATE)
        size = 960
        for start in range(0, len(samples) - size, size):
            block = samples[start : start + size].reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block), "fltp", "mono")
            frame.sample_rate = rate
            frame.pts = start
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path
