"""What the command line writes stays one line, whatever files and tags are called."""

from __future__ import annotations

import argparse
import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from songid_desktop.cli import output
from tests.support.catalog import write_song
from tests.support.cli import Songid


@given(st.text())
def test_a_name_is_one_line_that_commands_no_terminal(text: str) -> None:
    shown = output.one_line(text)
    assert len(shown.splitlines()) <= 1
    assert not any(unicodedata.category(char) == "Cc" for char in shown)
    assert output.one_line(shown) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("夜明けのうた שלום 😀 é", "夜明けのうた שלום 😀 é"),
        ("one\ntwo\r\tthree", "one\\ntwo\\r\\tthree"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("song\u202egpj.exe", "song\\u202egpj.exe"),
        ("a\u2028b\x85c", "a\\u2028b\\x85c"),
    ],
)
def test_what_is_unruly_is_shown_as_it_is_written(text: str, shown: str) -> None:
    assert output.one_line(text) == shown


@pytest.mark.parametrize(
    ("probability", "shown"),
    [
        (0.0, "<1 %"),
        (0.01, "1 %"),
        (0.62, "62 %"),
        (0.994, "99 %"),
        (0.9999, ">99 %"),
        (1, ">99 %"),
    ],
)
def test_a_percentage_never_claims_certainty(probability: float, shown: str) -> None:
    assert output.percent(probability) == shown


def test_an_empty_path_is_never_the_present_folder() -> None:
    assert output.path_argument("x y") == Path("x y")
    for text in ("", "a\0b"):
        with pytest.raises(argparse.ArgumentTypeError):
            output.path_argument(text)


@pytest.mark.skipif(os.name != "posix", reason="such names are POSIX's")
def test_a_track_with_a_line_break_in_its_name_is_one_row(songid: Songid, tmp_path: Path) -> None:
    song = write_song(tmp_path / "music" / "new\nline \x1b[31m.wav", 1)
    assert songid.run("enroll", song).code == 0
    listed = songid.run("catalog", "list").out
    assert len(listed.splitlines()) == 1
    assert "new\\nline \\x1b[31m" in listed
    (found,) = songid.run("catalog", "list", "--json").json_lines()
    assert found["path"] == str(song)  # JSON carries it as it is
