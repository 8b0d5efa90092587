"""Sound files made on the spot, in every format there is an encoder for."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Format:
    """How to write one kind of file.

    `noise` is the largest difference that the codec may make (RMS, share of the signal's RMS),
    `slack_s` how much longer or shorter the decoding may be, `place_s` how exactly the container
    knows the time (s).
    """

    suffix: str
    codec: str
    sample_format: str
    rate: int = 44_100
    container: str | None = None
    noise: float = 0.0
    slack_s: float = 0.0
    place_s: float = 0.0
    options: dict[str, str] = field(default_factory=dict)
    label: str = ""

    @property
    def name(self) -> str:
        return self.label or f"{self.codec}{self.suffix}"


FORMATS = (
    Format(".wav", "pcm_s16le", "s16", noise=1e-3),
    Format(".wav", "pcm_s24le", "s32", noise=1e-5),
    Format(".wav", "pcm_u8", "u8", rate=22_050, noise=0.06),
    Format(".wav", "pcm_f32le", "flt", rate=48_000, noise=1e-6),
    Format(".wav", "pcm_f64le", "dbl", noise=1e-6),
    Format(".w64", "pcm_s16le", "s16", container="w64", noise=1e-3),
    Format(".aiff", "pcm_s16be", "s16", noise=1e-3),
    Format(".au", "pcm_s16be", "s16", container="au", noise=1e-3),
    Format(".caf", "alac", "s16p", container="caf", noise=1e-3),
    Format(".flac", "flac", "s16", noise=1e-3),
    Format(".wv", "wavpack", "s16p", container="wv", noise=1e-3),
    Format(".tta", "tta", "s16", container="tta", noise=1e-3),
    Format(".m4a", "alac", "s16p", noise=1e-3),
    Format(".m4a", "aac", "fltp", noise=0.2, slack_s=0.03),
    Format(".aac", "aac", "fltp", container="adts", noise=0.2, slack_s=0.06),
    Format(".mp3", "libmp3lame", "s16p", noise=0.2, slack_s=0.001),
    Format(".mp3", "libmp3lame", "s16p", rate=22_050, noise=0.2, slack_s=0.001, label="mp3-22k"),
    Format(".ogg", "vorbis", "fltp", noise=0.3, slack_s=0.05, options={"strict": "-2"}),
    Format(".opus", "libopus", "flt", rate=48_000, noise=0.25, slack_s=0.001),
    Format(".wma", "wmav2", "fltp", container="asf", noise=0.3, slack_s=0.15, place_s=0.001),
    Format(".mka", "flac", "s16", container="matroska", noise=1e-3, place_s=0.001),
)


def tune(seconds: float, rate: int, seed: int = 0) -> npt.NDArray[np.float32]:
    """Plucked notes over soft noise: broad enough to line two copies up to the sample."""
    return _tune(seconds, rate, seed).copy()


@functools.cache
def _tune(seconds: float, rate: int, seed: int) -> npt.NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    count = round(seconds * rate)
    sound = rng.normal(0.0, 0.003, count)
    for _ in range(max(4, round(8 * seconds))):
        pitch_hz = 110.0 * 2 ** (rng.integers(0, 40) / 12)
        begin = int(rng.integers(0, count))
        t = np.arange(min(count - begin, rate // 2)) / rate
        attack = np.minimum(1.0, t * 400)
        for overtone in (1, 2, 3):
            sound[begin : begin + len(t)] += (
                0.08 / overtone * attack * np.exp(-6 * t)
                * np.sin(2 * np.pi * pitch_hz * overtone * t)
            )  # fmt: skip
    return sound.astype(np.float32)


def write(path: Path, sound: npt.NDArray[np.float32], form: Format) -> Path:
    """Write `sound` (float32, shape (n,) for mono or (channels, n)) in the given format."""
    import av

    channels = np.atleast_2d(sound)
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[len(channels)]
    with av.open(str(path), "w", format=form.container) as out:
        stream = out.add_stream(form.codec, rate=form.rate, options=form.options)
        codec = stream.codec_context
        codec.layout = layout
        codec.format = form.sample_format
        codec.bit_rate = 160_000
        codec.time_base = Fraction(1, form.rate)
        convert = av.AudioResampler(form.sample_format, layout, form.rate)
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(channels, np.float32), "fltp", layout
        )
        frame.sample_rate = form.rate
        frame.pts = 0
        queue = av.AudioFifo()
        for converted in (*convert.resample(frame), *convert.resample(None)):
            queue.write(converted)
        position = 0
        codec.open()
        while queue.samples:
            piece = queue.read(codec.frame_size or 1024, partial=True)
            piece.pts = position
            piece.time_base = Fraction(1, form.rate)
            position += piece.samples
            out.mux(stream.encode(piece))
        out.mux(stream.encode(None))
    return path
