"""What answers cost: time beside a plain spectrogram of the same sound, enrolment, bytes, memory.

Everything of one table is measured in turns, in one process with one thread: what else the machine
does meanwhile falls on all of it alike, and the ratios hold.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from songid_desktop.audio.decode import open_audio
from songid_desktop.audio.resample import resample
from songid_desktop.evaluate.conditions import parse
from songid_desktop.evaluate.looks import Setting, Task, identifier_of, source_of
from songid_desktop.evaluate.results import CLIP
from songid_desktop.identify import registry
from songid_desktop.types import FloatArray

CLIP_S = 5.0
STFT_RATE_HZ, STFT_SIZE, STFT_HOP = 22_050, 2048, 512
STFT = "stft"
_STFT_COLUMNS = 31
"""Frames transformed at once, as librosa's memory limit has it."""
FOUND, ABSENT = "found", "absent"
"""Clean clips of enrolled tracks (no search for other speeds is needed), and of absent ones (which
pay for every search)."""
_WARM_UP = 3
_TOP = 5
_ENROLMENT_TRACKS = 4

Spectrogram = Callable[[FloatArray], object]


@dataclass(frozen=True, slots=True)
class CostTask:
    """What is to be timed: `clips` clips of `queries`, and as many of `absent`."""

    setting: Setting
    identifiers: tuple[str, ...]
    queries: tuple[str, ...]
    absent: tuple[str, ...]
    clips: int
    with_enrolment: bool = True


def stft_name() -> str:
    """Which transform the times are compared with."""
    if find_spec("librosa") is not None:
        return "librosa.stft, 2048/512 at 22,050 Hz"
    return "the steps of librosa.stft by NumPy, 2048/512 at 22,050 Hz (librosa takes 1.2 × as long)"


def spectrogram() -> Spectrogram:
    """The transform itself: librosa's where it is installed, else the same steps by NumPy."""
    if find_spec("librosa") is not None:
        import librosa  # type: ignore[import-not-found, unused-ignore]

        def by_librosa(samples: FloatArray) -> object:
            return librosa.stft(samples, n_fft=STFT_SIZE, hop_length=STFT_HOP)

        return by_librosa
    return numpy_stft


def numpy_stft(samples: FloatArray) -> npt.NDArray[np.complex64]:
    """What `librosa.stft` does: centred frames under a Hann window, transformed a few at a time;
    shape (1025, frames). Side by side librosa 0.11 took 1.23 times its CPU time."""
    turn = np.arange(STFT_SIZE) / STFT_SIZE
    window = (0.5 - 0.5 * np.cos(2 * np.pi * turn)).astype(np.float32)[:, None]
    padded = np.pad(samples, STFT_SIZE // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, STFT_SIZE)[::STFT_HOP].T
    spectrum = np.empty((STFT_SIZE // 2 + 1, frames.shape[1]), np.complex64, order="F")
    for begin in range(0, frames.shape[1], _STFT_COLUMNS):
        some = frames[:, begin : begin + _STFT_COLUMNS]
        spectrum[:, begin : begin + _STFT_COLUMNS] = np.fft.rfft(window * some, axis=0)
    return spectrum


def measure(task: CostTask) -> dict[str, Any]:
    """Times of every identifier and of the spectrogram, in turns.

    Returns
    -------
    dict
        ``times``: situation → who → wall-clock milliseconds and CPU milliseconds of every clip;
        ``stft``: what it is; ``enrolment``: who → seconds of sound and of work; ``peak_mb``.
    """
    transform = spectrogram()
    times: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for situation, tracks, condition in (
        (FOUND, task.queries, "clean"),
        (ABSENT, task.absent, "absent_clean"),
    ):
        if tracks:
            times[situation] = _times(task, tracks, condition, transform)
    enrolment = _enrolment(task) if task.with_enrolment else {}
    return {
        "clip_s": CLIP_S,
        "stft": stft_name(),
        "times": times,
        "enrolment": enrolment,
        "peak_mb": peak_mb(),
    }


def _times(
    task: CostTask, tracks: tuple[str, ...], condition: str, transform: Spectrogram
) -> dict[str, list[tuple[float, float]]]:
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in (*task.identifiers, STFT)}
    made = 0
    for number in range(task.clips + _WARM_UP):
        track = tracks[number % len(tracks)]
        cells = ((condition, CLIP_S, task.identifiers),)
        asked = Task(task.setting, CLIP, track, 10_000 + number, condition == "clean", cells)
        heard = source_of(asked)
        clip = None if heard is None else heard.heard(parse(condition), CLIP_S, None)
        if clip is None:
            continue
        low = resample(clip.audio.samples, clip.audio.sample_rate, STFT_RATE_HZ)
        made += 1
        for name in task.identifiers:
            identifier = identifier_of(task.setting, name)
            spent = _timed(lambda chosen=identifier, audio=clip.audio: chosen.identify(audio, _TOP))  # type: ignore[misc]
            found[name].append(spent)
        found[STFT].append(_timed(lambda: transform(low)))  # noqa: B023 - called at once
    if made <= _WARM_UP:
        return found
    return {name: spent[_WARM_UP:] for name, spent in found.items()}


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    """Wall-clock and CPU milliseconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return (time.perf_counter() - wall) * 1e3, (time.process_time() - cpu) * 1e3


def _enrolment(task: CostTask) -> dict[str, tuple[float, float, float]]:
    """Seconds of sound, wall-clock and CPU seconds of decoding and fingerprinting, by name."""
    spent = dict.fromkeys(task.identifiers, (0.0, 0.0, 0.0))
    for track in task.queries[:_ENROLMENT_TRACKS]:
        for name in task.identifiers:
            maker = registry.fingerprinter(name)
            wall, cpu = time.perf_counter(), time.process_time()
            with open_audio(task.setting.root / track, maker.sample_rate) as blocks:
                made = maker.fingerprint(blocks)
            sound_s, wall_s, cpu_s = spent[name]
            spent[name] = (
                sound_s + made.duration_s,
                wall_s + time.perf_counter() - wall,
                cpu_s + time.process_time() - cpu,
            )
    return spent


def peak_mb() -> float | None:
    """Most memory this process ever had (MB), None where the system does not say."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak / 1e3


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
