"""The JSON objects of the command line's contract, as checks. Keys may be added, never missing or
of another type."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from songid_desktop.types import Reason, Verdict

NUMBER = (int, float)
VERDICTS = {verdict.value for verdict in Verdict}
REASONS = {reason.value for reason in Reason}
PROBLEMS = {"empty", "corrupt", "not_audio", "too_short", "no_permission", "drm", "truncated"}


def _has(value: Any, key: str, kind: Any) -> Any:
    assert isinstance(value, dict)
    assert key in value, f"{key} is missing"
    part = value[key]
    assert isinstance(part, kind), f"{key} is {part!r}"
    assert not (isinstance(part, bool) and kind is NUMBER), f"{key} is {part!r}"
    return part


def check_problem(value: Any) -> None:
    assert Path(_has(value, "path", str)).is_absolute()
    assert _has(value, "reason", str) in PROBLEMS
    assert _has(value, "message", str)


def check_report(value: Any) -> None:
    for key in ("added", "unchanged", "updated", "moved", "missing"):
        assert _has(value, key, int) >= 0
    for key in ("failed", "warnings"):
        for problem in _has(value, key, list):
            check_problem(problem)
    for key in ("audio_s", "elapsed_s"):
        assert _has(value, key, NUMBER) >= 0


def check_candidate(value: Any, rank: int) -> None:
    assert _has(value, "rank", int) == rank
    assert _has(value, "track_id", int) > 0
    assert Path(_has(value, "path", str)).is_absolute()
    for key in ("title", "artist", "score_unit"):
        _has(value, key, str)
    for key in ("score", "offset_s"):
        _has(value, key, NUMBER)
    assert 0 <= _has(value, "confidence", NUMBER) <= 1
    for key in ("offset_error_s", "speed", "pitch_semitones"):
        _has(value, key, (*NUMBER, type(None)))


def check_identification(value: Any, top: int = 5) -> None:
    _has(value, "identifier", str)
    assert _has(value, "verdict", str) in VERDICTS
    reason = _has(value, "reason", (str, type(None)))
    assert reason is None or reason in REASONS
    assert _has(value, "message", str)
    candidates = _has(value, "candidates", list)
    assert len(candidates) <= top
    for rank, candidate in enumerate(candidates, start=1):
        check_candidate(candidate, rank)
    assert sum(candidate["confidence"] for candidate in candidates) <= 1 + 1e-6
    timings = _has(value, "timings_ms", dict)
    for stage in ("decode", "fingerprint", "match", "total"):
        assert _has(timings, stage, NUMBER) >= 0
    if value["verdict"] in ("match", "unsure"):
        assert candidates
