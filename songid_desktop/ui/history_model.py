"""The table model of the History page: plays, and the words of every cell."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from songid_desktop.types import Verdict
from songid_desktop.ui import wording
from songid_desktop.ui.column_model import ColumnModel, Header

if TYPE_CHECKING:
    from songid_desktop.catalog.records import Play


class Column(IntEnum):
    """Columns of the table, left to right."""

    WHEN = 0
    TITLE = 1
    ARTIST = 2
    SURE = 3
    OFFSET = 4
    HEARD = 5
    SOURCE = 6
    IDENTIFIER = 7
    MARKS = 8


HEADERS = {
    Column.WHEN: Header("Heard", "When it was heard", "heard", begins_descending=True),
    Column.TITLE: Header("Title", "What was heard", "title"),
    Column.ARTIST: Header("Artist", "By whom", "artist"),
    Column.SURE: Header(
        "Sure", "The probability that it was this track", "sure", begins_descending=True
    ),
    Column.OFFSET: Header(
        "At",
        "Where in the track the music was when it was first heard",
        "offset",
        is_right=True,
    ),
    Column.HEARD: Header(
        "For", "How long it was heard", "duration", is_right=True, begins_descending=True
    ),
    Column.SOURCE: Header("Source", "What was listened to", "source"),
    Column.IDENTIFIER: Header("By", "Which identifier named it", "identifier"),
    Column.MARKS: Header(
        "", "Favourites: a star. Wave: the sound was kept", "marks", begins_descending=True
    ),
}
UNNAMED = "Not named yet"


class HistoryModel(ColumnModel):
    """Rows are plays."""

    headers = HEADERS

    def identity(self, row: Play) -> object:
        return row.play_id

    def cell_text(self, row: Play | None, column: Column) -> str:
        return cell_text(row, column)

    def cell_tip(self, row: Play | None, column: Column) -> str:
        return cell_tip(row, column)


def title_of(play: Play) -> str:
    """What to call a play: its title, else its note, else that it has no name."""
    return play.title or play.note.split("\n", maxsplit=1)[0] or UNNAMED


def cover_words(play: Play) -> str:
    """What the drawn cover is made from; a question mark where nothing has a name."""
    return play.title or "?"


def is_named(play: Play) -> bool:
    """True when a track was named at the time."""
    return play.verdict in (Verdict.MATCH, Verdict.UNSURE)


def sure_words(play: Play) -> str:
    """How sure, in words and number."""
    words = wording.sureness(play.verdict, play.confidence)
    return f"{words}, {wording.percent(play.confidence)}" if is_named(play) else words


def cell_text(play: Play | None, column: Column) -> str:
    """The words of a cell, as drawn and as read aloud."""
    if play is None:
        return ""
    marks = ["favourite"] if play.is_favourite else []
    if play.clip is not None:
        marks.append("sound kept")
    return {
        Column.WHEN: f"{wording.moment(play.started_at)}, {wording.day(play.started_at)}",
        Column.TITLE: title_of(play),
        Column.ARTIST: play.artist,
        Column.SURE: sure_words(play),
        Column.OFFSET: wording.clock(play.offset_s) if is_named(play) else "",
        Column.HEARD: heard_words(play),
        Column.SOURCE: play.source,
        Column.IDENTIFIER: wording.identifier(play.identifier) if play.identifier else "",
        Column.MARKS: ", ".join(marks),
    }[column]


def heard_words(play: Play) -> str:
    """How long it was heard: 12 s, or 3:05; nothing for a file, which was read at once."""
    if play.duration_s <= 0:
        return ""
    if play.duration_s < 60:
        return f"{round(play.duration_s)} s"
    return wording.clock(play.duration_s)


def cell_tip(play: Play | None, column: Column) -> str:
    if play is None:
        return ""
    if column is Column.TITLE:
        return wording.joined((title_of(play), play.artist, play.album, play.note), "\n")
    if column is Column.MARKS:
        return (
            "Favourite (Ctrl+D)" if play.is_favourite else "Click to make it a favourite (Ctrl+D)"
        )
    return cell_text(play, column)
