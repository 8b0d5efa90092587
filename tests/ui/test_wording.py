"""Numbers, times and problems in words."""

from __future__ import annotations

import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from songid_desktop.types import FileProblem, Verdict
from songid_desktop.ui import wording


@given(st.floats(0, 1e6))
def test_a_clock_can_be_read_back(seconds: float) -> None:
    parts = [int(part) for part in wording.clock(seconds).split(":")]
    total = sum(part * 60**place for place, part in enumerate(reversed(parts)))
    assert abs(total - seconds) <= 0.5 + 1e-6
    assert all(part < 60 for part in parts[1:])


def test_clocks_of_what_is_not_known() -> None:
    assert wording.clock(None) == wording.clock(math.nan) == "\N{EN DASH}"
    assert wording.clock(-3.0) == "-0:03"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain & simple", "plain & simple"),
        ("new\nline\ttab", "new line tab"),
        ("evil \u202egpj.exe", "evil gpj.exe"),
        ("שלום עולם", "שלום עולם"),
        ("👩\u200d👩\u200d👧 夜明け", "👩\u200d👩\u200d👧 夜明け"),
    ],
)
def test_a_name_runs_in_one_line_its_own_way(text: str, shown: str) -> None:
    assert wording.one_line(text) == shown


@given(st.floats(0, 1))
def test_a_percentage_never_claims_certainty(probability: float) -> None:
    text = wording.percent(probability)
    assert text.endswith(" %")
    number = int(text.strip("<>% "))
    assert 1 <= number <= 99
    assert text.startswith(">") == (probability >= 0.995)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(40, "40 seconds"), (600, "10 minutes"), (11_520, "3.2 hours"), (299_000, "83 hours")],
)
def test_amounts_of_music(seconds: float, words: str) -> None:
    assert wording.hours(seconds) == words


@given(st.one_of(st.none(), st.just(math.nan), st.floats(max_value=1e7)))
def test_a_time_left_is_always_a_phrase(seconds: float | None) -> None:
    assert wording.time_left(seconds)


def test_every_problem_has_a_label_and_a_remedy() -> None:
    for problem in FileProblem:
        assert wording.problem_label(problem)
        assert wording.problem_remedy(problem).endswith(".")


def test_days_have_names() -> None:
    noon = time.mktime((2026, 3, 12, 12, 0, 0, 0, 0, -1))
    assert wording.day(noon, noon) == "Today"
    assert wording.day(noon - 86_400, noon) == "Yesterday"
    assert wording.short_day(noon - 3 * 86_400, noon) == "Monday"
    assert wording.short_day(noon - 400 * 86_400, noon).endswith("2025")
    assert "March 2026" in wording.day(noon, noon + 30 * 86_400)
    late = noon + 11.5 * 3600
    assert wording.day(late, late + 3600) == "Yesterday"


def test_sureness_follows_the_verdict() -> None:
    assert wording.sureness(Verdict.MATCH, 0.99) == "Almost certain"
    assert wording.sureness(Verdict.MATCH, 0.9) == "Likely"
    assert wording.sureness(Verdict.UNSURE, 0.99) == "Maybe"
    assert wording.sureness(Verdict.NO_MATCH, 0.0) == "Not in your library"
