"""The command line as another program sees it: a process, its streams and its exit code."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from songid_desktop.paths import Paths, base_dir_paths
from songid_desktop.types import FloatArray

WITHIN_S = 100.0
RATE = 22_050


@dataclass(frozen=True)
class Done:
    """What a finished command left."""

    code: int
    out: str
    err: str

    def json_lines(self) -> list[Any]:
        """Every line of stdout, which must all be JSON."""
        return [json.loads(line) for line in self.out.splitlines()]

    def json_line(self) -> Any:
        (value,) = self.json_lines()
        return value


@dataclass(frozen=True)
class Songid:
    """`songid --base-dir BASE …` in processes of its own."""

    base: Path

    @property
    def paths(self) -> Paths:
        return base_dir_paths(self.base)

    def command(self, *arguments: str | Path) -> list[str | Path]:
        return [sys.executable, "-m", "songid_desktop", "--base-dir", self.base, *arguments]

    def run(self, *arguments: str | Path, stdin: bytes | None = None, **environment: str) -> Done:
        done = subprocess.run(
            self.command(*arguments),
            input=stdin if stdin is not None else b"",
            capture_output=True,
            env={**os.environ, **environment},
            timeout=WITHIN_S,
            check=False,
        )
        return Done(done.returncode, done.stdout.decode("utf-8"), done.stderr.decode("utf-8"))

    @contextlib.contextmanager
    def start(
        self, *arguments: str | Path, **environment: str
    ) -> Iterator[subprocess.Popen[bytes]]:
        """A process to talk to; ended with the block."""
        process = subprocess.Popen(
            self.command(*arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **environment},
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None and not stream.closed:
                    with contextlib.suppress(BrokenPipeError):
                        stream.close()


def write_wav(path: Path | bytes, samples: FloatArray, rate: int = RATE) -> None:
    """`samples` (mono, -1 … 1) as a 16-bit WAV file."""
    clipped = np.clip(samples, -1.0, 1.0)
    with open(path, "wb") as file, wave.open(file, "wb") as out:  # noqa: PTH123 - path may be bytes
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes((clipped * 32767).astype("<i2").tobytes())


def noise(seconds: float, seed: int = 0) -> FloatArray:
    """White noise at about -20 dBFS."""
    rng = np.random.default_rng(seed)
    return np.asarray(0.1 * rng.standard_normal(round(seconds * RATE)), np.float32)
