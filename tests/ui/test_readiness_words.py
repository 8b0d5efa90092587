"""What an identifier that can't name everything yet says of itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from songid_desktop.identify.registry import IdentifierInfo
from songid_desktop.ui import readiness_words
from songid_desktop.ui.answer_words import Action
from songid_desktop.ui.identifiers import IdentifierStatus

INFO = IdentifierInfo("cnn", "CNN", "Learned.", is_installed=True)
GONE = replace(INFO, is_installed=False, needs="Its weights are missing.")


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (None, ""),
        (IdentifierStatus(INFO), ""),
        (IdentifierStatus(INFO, 60, 60), "60 tracks can be named."),
        (IdentifierStatus(INFO, 60, 25, 35), "25 of 60 tracks can be named."),
        (
            IdentifierStatus(INFO, 60, 25, 35, is_preparing=True),
            "25 of 60 tracks can be named so far.",
        ),
        (IdentifierStatus(INFO, 1, 1), "1 track can be named."),
    ],
)
def test_how_much_can_be_named(status: IdentifierStatus | None, words: str) -> None:
    assert readiness_words.can_name(status) == words


@pytest.mark.parametrize(
    ("status", "heading", "action"),
    [
        (IdentifierStatus(GONE, 60), "CNN is not installed", Action.MODELS),
        (IdentifierStatus(INFO, 60, 0, 60), "CNN does not know your library yet", Action.PREPARE),
        (
            IdentifierStatus(INFO, 60, 0, 60, is_preparing=True),
            "CNN is learning your library",
            Action.NONE,
        ),
        (IdentifierStatus(INFO, 60, 0, 0, 60), "CNN knows no track", Action.LIBRARY),
    ],
)
def test_one_that_can_name_nothing_says_why(
    status: IdentifierStatus, heading: str, action: Action
) -> None:
    words = readiness_words.not_ready(status)
    assert words is not None
    assert (words.heading, words.action) == (heading, action)
    assert words.line
    assert words.is_idle, "gives way to anything that happened"


@pytest.mark.parametrize(
    "status", [None, IdentifierStatus(INFO), IdentifierStatus(INFO, 60, 1, 59)]
)
def test_others_say_nothing(status: IdentifierStatus | None) -> None:
    """An empty library speaks for itself, and one track is enough to begin with."""
    assert readiness_words.not_ready(status) is None


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (IdentifierStatus(GONE, 60), "not installed"),
        (IdentifierStatus(INFO), "ready"),
        (IdentifierStatus(INFO, is_opening=True), "getting ready…"),
        (IdentifierStatus(INFO, 60, 60), "knows the whole library"),
        (IdentifierStatus(INFO, 60, 59, 1), "knows 59 of 60 tracks"),
        (IdentifierStatus(INFO, 60, 2, 58, is_preparing=True), "knows 2 of 60 tracks, preparing"),
    ],
)
def test_the_choosers_words(status: IdentifierStatus, words: str) -> None:
    assert status.words == words
