"""A very small training: made-up tunes, an encoder of a few hundred weights, no workers."""

from __future__ import annotations

import csv
import wave
from pathlib import Path
from typing import Any

import numpy as np

from songid_desktop.types import FloatArray

RATE = 8000

MODEL: dict[str, Any] = {
    "name": "cnn",
    "front_end": {
        "window_s": 0.5,
        "n_fft": 256,
        "frame_samples": 256,
        "hop": 250,
        "n_mels": 16,
        "n_frames": 16,
    },
    "body": {"channels": [4, 8], "strides": [[4, 2], [2, 2]], "stem_kernel": [3, 3]},
    "dim": 8,
    "group_hidden": 4,
}
VALUES: dict[str, Any] = {
    "model": MODEL,
    "batch": 8,
    "steps": 6,
    "degrade": {"made_rooms": 0, "made_noise": False},
    "optimiser": {"learning_rate": 0.01, "average": 0.9},
    "check": {
        "every_steps": 3,
        "queries": 4,
        "distractors": 2,
        "most_s": 4.0,
        "length_s": 1.0,
        "noise_db": [0.0],
    },
}
"""Of a training that takes a second."""


def tune(seed: int, seconds: float = 4.0, rate: int = RATE) -> FloatArray:
    """Four notes a second, each with a few overtones; another seed is another tune."""
    rng = np.random.default_rng(seed)
    count = round(seconds * rate)
    time_s = np.arange(count) / rate
    sound = np.zeros(count)
    for note in range(int(seconds * 4)):
        pitch_hz = 110.0 * 2.0 ** (rng.integers(0, 36) / 12.0)
        local_s = time_s - note / 4
        envelope = np.where(local_s >= 0, np.exp(-6.0 * np.maximum(local_s, 0)), 0.0)
        for overtone in range(1, 5):
            sound += envelope * np.sin(2 * np.pi * pitch_hz * overtone * local_s) / overtone
    return np.asarray(0.2 * sound, np.float32)


def write_tune(path: Path, samples: FloatArray, rate: int = RATE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return path


def make_collection(folder: Path, *, train: int = 8, validation: int = 3) -> Path:
    """A folder with tunes and a manifest.csv; `query` tracks in it are no audio at all, so that
    whoever opens them fails."""
    roles = ["train"] * train + ["validation"] * validation
    rows = []
    for number, role in enumerate(roles):
        write_tune(folder / f"tune{number}.wav", tune(number))
        rows.append((f"tune{number}.wav", role, f"album{number % 2}", "CC0"))
    make_scenery(folder)
    (folder / "query.wav").write_bytes(b"not for training")
    rows.append(("query.wav", "query", "album0", "CC0"))
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as out:
        table = csv.writer(out)
        table.writerow(("path", "role", "package", "license_hint"))
        table.writerows(rows)
    return folder


def make_scenery(folder: Path) -> None:
    """A background and a room to learn with; those of the other side are no audio either."""
    rng = np.random.default_rng(3)
    write_tune(folder / "noise.wav", 0.1 * rng.standard_normal(3 * RATE).astype(np.float32))
    response = 0.2 * rng.standard_normal(3000) * np.exp(-np.arange(3000) / 800.0)
    response[0] = 0.9
    write_tune(folder / "room.wav", response.astype(np.float32))
    (folder / "forbidden.wav").write_bytes(b"not for training")
    rows = ("noise.wav,noise,train", "room.wav,room,train")
    rows += ("forbidden.wav,noise,eval", "forbidden.wav,room,eval")
    (folder / "noise_rooms.csv").write_text("\n".join(("path,kind,split", *rows)) + "\n", "utf-8")
