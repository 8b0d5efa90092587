"""The JSON shape of answers, apart from any process."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from songid_desktop.cli.json_form import identification_object, look_object
from songid_desktop.types import Identification, Reason, Tags, Track, Verdict
from tests.cli.schemas import check_identification
from tests.support.identifying import match

any_number = st.floats(allow_nan=True, allow_infinity=True)


def track(track_id: int) -> Track | None:
    if track_id == 13:
        return None
    return Track(track_id, Path(f"/music/{track_id}.flac"), Tags(title="T"), 100.0)


@given(any_number, any_number, any_number, st.floats(-1, 2), st.sampled_from(list(Verdict)))
def test_whatever_numbers_come_it_is_valid_json(
    score: float, offset_s: float, error_s: float, confidence: float, verdict: Verdict
) -> None:
    best = replace(
        match(1, offset_s=offset_s, confidence=confidence),
        score=np.float64(score),
        offset_error_s=error_s,
        speed=error_s,
    )
    found = Identification(verdict, "landmark", Reason.CLIPPING, "A sentence.", (best,))
    text = json.dumps(identification_object("x.wav", found, track), allow_nan=False)
    check_identification(json.loads(text))


def test_a_track_that_was_removed_meanwhile_is_left_out() -> None:
    found = Identification(Verdict.NO_MATCH, "landmark", matches=(match(13), match(2, rank=2)))
    answer = identification_object("x.wav", found, track)
    assert [candidate["track_id"] for candidate in answer["candidates"]] == [2]


@pytest.mark.parametrize(("heard_s", "window_s"), [(2.0, 2.0), (15.0, 15.0), (40.0, 15.0)])
def test_offset_plus_time_heard_is_now(heard_s: float, window_s: float) -> None:
    found = Identification(
        Verdict.MATCH, "landmark", matches=(match(1, offset_s=60.0),), heard_s=window_s
    )
    now_s = 60.0 + window_s
    answer = look_object(found, track, heard_s=heard_s, now_s=now_s, is_final=True)
    assert answer["candidates"][0]["offset_s"] + answer["heard_s"] == pytest.approx(now_s)
    assert answer["now_s"] == now_s
    assert answer["final"] is True


@pytest.mark.parametrize("speed", [None, 0.97, 1.04])
@pytest.mark.parametrize(("heard_s", "window_s"), [(2.0, 2.0), (15.0, 15.0), (40.0, 15.0)])
def test_at_another_speed_time_heard_counts_times_the_speed(
    speed: float | None, heard_s: float, window_s: float
) -> None:
    factor = speed or 1.0
    best = match(1, offset_s=60.0, speed=speed)
    found = Identification(Verdict.MATCH, "landmark", matches=(best,), heard_s=window_s)
    now_s = 60.0 + window_s * factor
    answer = look_object(found, track, heard_s=heard_s, now_s=now_s, is_final=True)
    (candidate,) = answer["candidates"]
    assert candidate["speed"] == speed
    assert candidate["offset_s"] + answer["heard_s"] * factor == pytest.approx(now_s, abs=1e-3)
    assert answer["now_s"] == pytest.approx(now_s, abs=1e-3)
