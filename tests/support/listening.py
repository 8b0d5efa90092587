"""A microphone, a worker and a player that do what a test tells them, for the Listen page."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from songid_desktop.audio.capture import CaptureState, CaptureStatus
from songid_desktop.audio.ring import Ring
from songid_desktop.identify.worker import Answer, Request
from songid_desktop.types import (
    Constellation,
    Evidence,
    Identification,
    Match,
    Source,
    SourceKind,
    Verdict,
)
from songid_desktop.ui.services import Services

RATE = 48_000
MICROPHONE = Source("mic", "Laptop microphone", SourceKind.MICROPHONE, is_default=True)


class ToldCapture:
    """Writes what `hear` is given; says what `say` is told to."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.ring = Ring(RATE)
        self.started: list[str] = []
        self.is_open = False
        self.is_closed = False

    def start(self, source_name: str = "") -> None:
        self.started.append(source_name)
        self.is_open = True
        self.say(CaptureState.RUNNING)

    def stop(self) -> None:
        self.is_open = False

    def close(self) -> None:
        self.stop()
        self.is_closed = True

    def say(
        self, state: CaptureState, message: str = "", source: Source | None = MICROPHONE
    ) -> None:
        status = CaptureStatus(state, "", source, RATE, message, 0, time.time())
        self._services.capture_changed.emit(status)

    def hear(self, seconds: float, level: float = 0.2) -> None:
        count = round(seconds * RATE)
        times = (self.ring.position + np.arange(count)) / RATE
        self.ring.write((level * np.sin(2 * np.pi * 700 * times)).astype(np.float32))


class ToldWorker:
    """Answers a request when `answer` is called, with what it is given."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.requests: list[Request] = []
        self.generation = 0
        self.warmed: list[str] = []
        self.is_closed = False

    def warm(self, identifier: str) -> None:
        """Asked for; `be_ready` tells the end."""
        self.warmed.append(identifier)

    def be_ready(self, identifier: str, error: Exception | None = None) -> None:
        self._services.warmed.emit(identifier, error)

    def bump(self) -> int:
        self.generation += 1
        return self.generation

    def submit(self, request: Request) -> None:
        self.requests.append(request)

    def answer(
        self,
        identification: Identification | None = None,
        error: Exception | None = None,
        request: Request | None = None,
    ) -> None:
        answer = Answer(request or self.requests[-1], identification, error)
        self._services.answered.emit(answer)

    def close(self) -> None:
        self.is_closed = True


class ToldPlayer:
    """Notes what it is asked to play."""

    def __init__(self) -> None:
        self.played: list[tuple[Path, float]] = []
        self.is_closed = False

    def play(self, path: Path, start_s: float = 0.0) -> None:
        self.played.append((path, start_s))

    def stop(self) -> None:
        self.played.append((Path(), -1.0))

    def close(self) -> None:
        self.is_closed = True


def install(services: Services) -> tuple[ToldCapture, ToldWorker, ToldPlayer]:
    """Give `services` told machinery."""
    capture, worker, player = ToldCapture(services), ToldWorker(services), ToldPlayer()
    services.use_machinery(capture, player, worker)  # type: ignore[arg-type]
    return capture, worker, player


def found(
    verdict: Verdict = Verdict.MATCH,
    confidences: tuple[float, ...] = (0.98,),
    *,
    offset_s: float = 80.0,
    track_ids: Callable[[int], int] = lambda rank: rank,
    reason: object = None,
    message: str = "",
) -> Identification:
    """An answer with candidates of these confidences."""
    peaks = Constellation(np.array([0.5, 1.0], "f"), np.array([500.0, 900.0], "f"))
    pairs = np.array([[0.5, 500.0, 1.0, 900.0]], np.float32)
    evidence = Evidence("14 of about 20 aligned hashes", peaks, peaks, pairs)
    matches = tuple(
        Match(
            track_ids(rank), rank, 14.0, "hashes", value, offset_s, 0.02, "landmark",
            evidence=evidence,
        )
        for rank, value in enumerate(confidences, 1)
    )  # fmt: skip
    return Identification(verdict, "landmark", reason, message, matches, 2.0)  # type: ignore[arg-type]
