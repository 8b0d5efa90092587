"""Identifications as the JSON objects of the command line's contract."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

from songid_desktop.cli.output import path_text
from songid_desktop.types import Identification, Match, Timings, Track

FindTrack = Callable[[int], Track | None]


def identification_object(
    file: str | None, found: Identification, find_track: FindTrack
) -> dict[str, Any]:
    """One answer. A candidate whose track has left the catalog meanwhile is left out."""
    pairs = [(match, find_track(match.track_id)) for match in found.matches]
    candidates = [_candidate(match, track) for match, track in pairs if track is not None]
    return {
        "file": None if file is None else path_text(file),
        "identifier": found.identifier,
        "verdict": found.verdict.value,
        "reason": None if found.reason is None else found.reason.value,
        "message": found.message,
        "candidates": candidates,
        "timings_ms": _timings(found.timings),
    }


def look_object(
    found: Identification,
    find_track: FindTrack,
    *,
    heard_s: float,
    now_s: float | None,
    is_final: bool,
) -> dict[str, Any]:
    """One look of a listening session.

    The clip is what was heard since listening began, of which the last 15 s at most were looked
    at: so that offset plus time heard is where the music is now, however long that has been, each
    `offset_s` is moved back to the first sample heard.
    """
    unseen_s = max(0.0, heard_s - found.heard_s)
    moved = tuple(
        dataclasses.replace(match, offset_s=match.offset_s - unseen_s * (match.speed or 1.0))
        for match in found.matches
    )
    answer = identification_object(None, dataclasses.replace(found, matches=moved), find_track)
    return {
        **answer,
        "heard_s": _number(heard_s, 3),
        "now_s": _optional(now_s, 3),
        "final": is_final,
    }


def _candidate(match: Match, track: Track) -> dict[str, Any]:
    return {
        "rank": match.rank,
        "track_id": match.track_id,
        "path": path_text(track.path),
        "title": track.title,
        "artist": track.artist,
        "score": _number(match.score, 4),
        "score_unit": match.score_unit,
        "confidence": _number(min(1.0, max(0.0, match.confidence)), 5),
        "offset_s": _number(match.offset_s, 3),
        "offset_error_s": _optional(match.offset_error_s, 3),
        "speed": _optional(match.speed, 5),
        "pitch_semitones": _optional(match.pitch_semitones, 3),
    }


def _timings(timings: Timings) -> dict[str, float]:
    return {
        "decode": _number(timings.decode_ms, 2),
        "fingerprint": _number(timings.fingerprint_ms, 2),
        "match": _number(timings.match_ms, 2),
        "total": _number(timings.total_ms, 2),
    }


def _number(value: float, digits: int) -> float:
    """A plain float: JSON has neither NaN nor infinity, and NumPy's own types do not pass."""
    return round(float(value), digits) if math.isfinite(value) else 0.0


def _optional(value: float | None, digits: int) -> float | None:
    return None if value is None or not math.isfinite(value) else round(float(value), digits)
