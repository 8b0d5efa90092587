"""The table of words: every verdict and reason has its heading, its line and its one action."""

from __future__ import annotations

import itertools

import pytest

from songid_desktop.types import (
    Evidence,
    Identification,
    Match,
    Reason,
    SourceKind,
    Verdict,
)
from songid_desktop.ui import answer_words as words
from songid_desktop.ui.answer_words import Action

MICROPHONE, MONITOR = SourceKind.MICROPHONE, SourceKind.MONITOR


def found(verdict, reason=None, message="", confidence=None):
    matches = ()
    if confidence is not None:
        evidence = Evidence("14 of about 20 aligned hashes")
        matches = (
            Match(1, 1, 14.0, "hashes", confidence, 3.0, 0.02, "landmark", evidence=evidence),
        )
    return Identification(verdict, "landmark", reason, message, matches)


def said(identification, heard_s=12.0, kind=MICROPHONE, is_open=False):
    return words.for_look(identification, heard_s, kind=kind, is_open=is_open)


@pytest.mark.parametrize(
    ("identification", "heading", "action"),
    [
        (found(Verdict.MATCH, confidence=0.98), "Almost certain", Action.PLAY),
        (found(Verdict.MATCH, confidence=0.90), "Likely", Action.PLAY),
        (found(Verdict.UNSURE, confidence=0.60), "Maybe", Action.PLAY),
        (found(Verdict.NOT_ENOUGH_AUDIO), "Listening…", Action.NONE),
        (found(Verdict.NO_MATCH, Reason.NOT_SIMILAR), "Not in your library", Action.KEEP_CLIP),
        (found(Verdict.NO_MATCH, Reason.NO_MUSIC), "No music heard", Action.CHOOSE_SOURCE),
        (found(Verdict.NO_MATCH, Reason.CLIPPING), "Too loud", Action.SOUND_SETTINGS),
        (
            found(Verdict.NO_SIGNAL, Reason.EXACT_ZEROS),
            "The microphone sends nothing",
            Action.SOUND_SETTINGS,
        ),
        (found(Verdict.NO_SIGNAL, Reason.TOO_QUIET), "Too quiet", Action.SOUND_SETTINGS),
        (found(Verdict.EMPTY_CATALOG), "Your library is empty", Action.ADD_FOLDER),
        (
            found(Verdict.ERROR, message="The index is damaged."),
            "That did not work",
            Action.LIBRARY,
        ),
    ],
)
def test_the_table(identification, heading, action):
    told = said(identification)
    assert (told.heading, told.action) == (heading, action)
    assert told.line


def test_the_number_is_a_probability_that_never_claims_all():
    assert said(found(Verdict.MATCH, confidence=0.98)).number == "98 %"
    assert said(found(Verdict.MATCH, confidence=0.9999)).number == ">99 %"
    assert said(found(Verdict.NO_MATCH)).number == ""


def test_the_evidence_is_the_line_and_overdrive_is_said_beside_it():
    assert said(found(Verdict.MATCH, confidence=0.98)).line == "14 of about 20 aligned hashes"
    told = said(found(Verdict.MATCH, Reason.CLIPPING, confidence=0.98))
    assert told.is_naming
    assert "overdriven" in told.line


def test_a_miss_is_the_last_word_only_when_enough_was_heard():
    miss = found(Verdict.NO_MATCH, Reason.NOT_SIMILAR)
    assert said(miss, 2.5, is_open=True).heading == "Listening…"
    assert said(miss, 9.0, is_open=True).heading == "Not in your library"
    assert said(miss, 2.5, is_open=False).heading == "Not in your library"


def test_a_computer_that_plays_nothing_is_no_microphone():
    silent = found(Verdict.NO_SIGNAL, Reason.EXACT_ZEROS)
    assert said(silent, kind=MONITOR).heading == "The computer plays nothing"
    assert said(silent, kind=MONITOR).action is Action.CHOOSE_SOURCE


@pytest.mark.parametrize("verdict", list(Verdict))
def test_no_answer_leaves_one_without_words(verdict):
    for reason, kind, is_open, confidence in itertools.product(
        (None, *Reason), SourceKind, (True, False), (None, 0.7)
    ):
        identification = found(verdict, reason, confidence=confidence)
        told = said(identification, kind=kind, is_open=is_open)
        assert told.heading
        assert told.line
        told = words.for_file(found(verdict, reason, "It holds no sound.", confidence))
        assert told.heading
        assert told.line


def test_a_file_is_not_spoken_of_as_a_microphone():
    for verdict in Verdict:
        for reason in (None, *Reason):
            told = words.for_file(found(verdict, reason, "A sentence."))
            if verdict not in (Verdict.CANCELLED, Verdict.MATCH, Verdict.UNSURE):
                assert "microphone" not in told.heading.lower()
                assert not told.heading.startswith("Listening")


def test_before_listening():
    assert words.idle(0).action is Action.ADD_FOLDER
    assert words.idle(0).second_action is Action.DEMO
    assert "1,204 tracks can be named" in words.idle(1204).line
    assert words.idle(1).line.endswith("1 track can be named.")
    assert words.idle(None).is_idle
    trouble = words.idle(5, "The library was written by a newer version.")
    assert trouble.action is Action.RETRY
    assert "newer version" in trouble.line
    assert words.waiting(1.5).line == "heard 1.5 s; first guess at 2 s"
    assert words.reading("a.mp3").line == "a.mp3"
