"""How fast the learned identifiers' encoders are, on one core.

    SONGID_CORPUS=… OMP_NUM_THREADS=1 python -m tests.bench.encoders [NAME …] [--tracks 12]

NAME is a model's name (cnn, ast, mert, ast-official, a file, a folder); by default each that is
there. "× real time" is seconds of music over seconds of processor time: encoding alone, and with
decoding, which is what enrolment pays. A clip of 5 s is encoded at the model's own query phases;
where librosa can be imported, that is also given as a multiple of one `librosa.stft` (2048 / 512
at 22,050 Hz) of the same 5 s, taken in turns.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench import common

CLIP_S = 5.0


def times_ms(work: Callable[[], Any], repeats: int = 15) -> list[float]:
    """Processor time of each call, after two to warm up."""
    work()
    work()
    found = []
    for _ in range(repeats):
        began = time.process_time()
        work()
        found.append(1e3 * (time.process_time() - began))
    return found


def reference() -> Callable[[], Any] | None:
    """One spectrogram of 5 s as librosa makes it."""
    if importlib.util.find_spec("librosa") is None:
        return None
    import librosa

    sound = np.random.default_rng(0).standard_normal(round(22_050 * CLIP_S)).astype(np.float32)
    return lambda: librosa.stft(sound, n_fft=2048, hop_length=512)


def counted(blocks: Iterable[Any], heard: list[float]) -> Iterator[Any]:
    for block in blocks:
        heard.append(block.duration_s)
        yield block


def enrolment(embedder: Any, files: Sequence[Path]) -> tuple[float, float]:
    """× real time with decoding, and of decoding alone."""
    from songid_desktop.audio.decode import open_audio

    rate = embedder.model.front_end.sample_rate
    heard: list[float] = []
    began = time.process_time()
    for file in files:
        with open_audio(file, rate) as blocks:
            for _ in embedder.stream(counted(blocks, heard)):
                pass
    together = time.process_time() - began
    began = time.process_time()
    for file in files:
        with open_audio(file, rate) as blocks:
            for _ in blocks:
                pass
    return sum(heard) / together, sum(heard) / (time.process_time() - began)


def measure(key: str, path: Path, files: Sequence[Path], *, bfloat16: bool | None) -> None:
    from songid_desktop.neural.embedder import Embedder

    began = time.process_time()
    embedder = Embedder(path, bfloat16=bfloat16, threads=1)
    load_s = time.process_time() - began
    model = embedder.model
    rate = model.front_end.sample_rate
    noise = np.random.default_rng(1).standard_normal(30 * rate).astype(np.float32)
    clip = noise[: round(CLIP_S * rate)]
    name = key if bfloat16 is None else f"{key}, {'bfloat16' if bfloat16 else 'float32'}"
    common.figure(f"{name}: loading", f"{load_s:.2f} s of processor time")
    alone = [30e3 / spent for spent in times_ms(lambda: embedder.of_samples(noise), 5)]
    common.figure(f"{name}: encoding alone, × real time", common.spread(alone, digits=0))
    if files:
        together, decoding = enrolment(embedder, files)
        common.figure(
            f"{name}: with decoding, × real time", f"{together:.0f}", f"decoding {decoding:.0f}"
        )

    def look_up() -> object:
        return embedder.of_samples(clip, phases=model.query_phases)

    of_clip = times_ms(look_up)
    common.figure(f"{name}: 5 s, {model.query_phases} phases", common.spread(of_clip, " ms", 1))
    transform = reference()
    if transform is not None:
        pairs = [(times_ms(look_up, 3), times_ms(transform, 3)) for _ in range(5)]
        ratio = [min(ours) / min(theirs) for ours, theirs in pairs]
        common.figure(f"{name}: 5 s over one librosa.stft", common.spread(ratio, " ×", 1))


def main() -> int:
    parser = common.parser(__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--tracks", type=int, default=12, help="files to decode, 0 for none")
    parser.add_argument("--float32", action="store_true", help="as on a processor without bfloat16")
    args = parser.parse_args()
    from songid_desktop.neural import models
    from songid_desktop.paths import base_dir_paths, default_paths

    files: list[Path] = []
    if args.tracks:
        tracks = common.enrollable_tracks()
        step = max(1, len(tracks) // args.tracks)
        files = [track.path for track in tracks[::step]][: args.tracks]
    found = [models.find(name, default_paths()) for name in args.names]
    with common.scratch("encoders") as folder:
        places = found or list(models.every(base_dir_paths(folder)))
        common.header("encoders, one core")
        for name, place in zip(args.names or [""] * len(places), places, strict=True):
            if place is None or not place.is_installed:
                common.say(f"not there: {name if place is None else place.label}")
                continue
            measure(place.key, place.path, files, bfloat16=False if args.float32 else None)
    return 0


if __name__ == "__main__":
    common.run(main)
