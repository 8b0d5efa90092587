"""Looks, identifications and engines made by hand, for tests of what stands above an identifier."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from songid_desktop.errors import Cancelled
from songid_desktop.identify.session import Look
from songid_desktop.types import AudioBlock, CancelToken, Identification, Match, Verdict

RATE = 8000


def match(
    track_id: int,
    offset_s: float = 0.0,
    confidence: float = 0.97,
    rank: int = 1,
    speed: float | None = None,
) -> Match:
    return Match(
        track_id=track_id,
        rank=rank,
        score=20.0,
        score_unit="aligned hashes",
        confidence=confidence,
        offset_s=offset_s,
        offset_error_s=0.02,
        identifier="landmark",
        speed=speed,
    )


def found(
    verdict: Verdict,
    track_id: int | None = None,
    offset_s: float = 0.0,
    confidence: float = 0.97,
    speed: float | None = None,
) -> Identification:
    matches = () if track_id is None else (match(track_id, offset_s, confidence, speed=speed),)
    return Identification(verdict, "landmark", matches=matches)


def look(
    heard_at: float,
    verdict: Verdict,
    track_id: int | None = None,
    *,
    began_at: float = 0.0,
    window_s: float = 5.0,
    confidence: float = 0.97,
    speed: float | None = None,
) -> Look:
    """A look whose sound ends at `heard_at`; the track, if any, had its first sample at
    `began_at` and is played at `speed`."""
    factor = speed or 1.0
    offset_s = (heard_at - window_s - began_at) * factor
    return Look(
        identification=found(verdict, track_id, offset_s, confidence, speed),
        heard_s=heard_at,
        window_s=window_s,
        now_in_track_s=None if track_id is None else (heard_at - began_at) * factor,
        end_sample=round(heard_at * RATE),
        heard_at=heard_at,
        is_final=False,
    )


def clip(seconds: float = 1.0, start_sample: int = 0) -> AudioBlock:
    return AudioBlock(np.zeros(round(seconds * RATE), np.float32), RATE, start_sample)


def wait_for(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
    """Wait until `condition` holds; fail when it does not in time."""
    deadline = time.monotonic() + timeout_s
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        pause.wait(0.002)


class ScriptedEngine:
    """Stands where the worker's engine does; what it does is set by the test.

    `answer` is called for each clip with the audio and the cancel token.
    """

    def __init__(self, answer: Callable[[AudioBlock, CancelToken | None], Identification]) -> None:
        self.answer = answer
        self.counter = 1
        self.refreshed = 0
        self.warmed: list[str] = []
        self.refresh_error: Exception | None = None
        self.is_closed = False
        self.thread = threading.current_thread()

    @property
    def change_counter(self) -> int:
        return self.counter

    def warm(self, identifier: str) -> None:
        self.warmed.append(identifier)

    def refresh(self) -> bool:
        self.refreshed += 1
        if self.refresh_error is not None:
            raise self.refresh_error
        return False

    def identify(
        self, audio: AudioBlock, _identifier: str, _top: int, cancel: CancelToken | None
    ) -> Identification:
        return self.answer(audio, cancel)

    def identify_file(
        self, _path: Path, _identifier: str, _top: int, cancel: CancelToken | None
    ) -> Identification:
        return self.answer(clip(), cancel)

    def close(self) -> None:
        self.is_closed = True


def wait_for_cancel(_audio: AudioBlock, cancel: CancelToken | None) -> Identification:
    """An answer that takes until it is cancelled."""
    assert cancel is not None
    if not cancel.wait(20.0):
        raise AssertionError("never cancelled")
    raise Cancelled
