"""The table model of the Library page: tracks, then the files that failed, and the words of every
cell."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from songid_desktop.types import EnrolState, FileProblem, Track
from songid_desktop.ui import wording
from songid_desktop.ui.column_model import ColumnModel, Header

if TYPE_CHECKING:
    from songid_desktop.catalog.records import ProblemFile


class Column(IntEnum):
    """Columns of the table, left to right."""

    TITLE = 0
    ARTIST = 1
    ALBUM = 2
    GENRE = 3
    DURATION = 4
    STATE = 5


HEADERS = {
    Column.TITLE: Header("Title", "What the track is called", "title"),
    Column.ARTIST: Header("Artist", "By whom it is", "artist"),
    Column.ALBUM: Header("Album", "Where it is from", "album"),
    Column.GENRE: Header("Genre", "As its tags say", "genre"),
    Column.DURATION: Header("Length", "How long it is", "duration", is_right=True),
    Column.STATE: Header(
        "State", "Ring: pending. Dot: enrolled. Triangle: failed, with the reason on the row"
    ),
}


class LibraryModel(ColumnModel):
    """Rows are tracks in the view's order, then the files that failed."""

    headers = HEADERS

    def identity(self, row: Track | ProblemFile) -> object:
        return row.track_id if isinstance(row, Track) else row.path

    def cell_text(self, row: Track | ProblemFile | None, column: Column) -> str:
        return cell_text(row, column)

    def cell_tip(self, row: Track | ProblemFile | None, column: Column) -> str:
        return cell_tip(row, column)


def cell_text(row: Track | ProblemFile | None, column: Column) -> str:
    """The words of a cell, as drawn (but for the state's chips) and as read aloud."""
    if row is None:
        return ""
    if not isinstance(row, Track):
        words = {
            Column.TITLE: row.path.name,
            Column.ARTIST: wording.problem_label(row.problem),
            Column.STATE: "Not enrolled",
        }
        return words.get(column, "")
    if column is Column.STATE:
        return state_words(row)
    return {
        Column.TITLE: row.title,
        Column.ARTIST: row.artist,
        Column.ALBUM: row.tags.album,
        Column.GENRE: row.tags.genre,
        Column.DURATION: wording.clock(row.duration_s),
    }[column]


def cell_tip(row: Track | ProblemFile | None, column: Column) -> str:
    """What the pointer is told: the reason on a state, the place of a file on its title, the
    whole text elsewhere."""
    if row is None:
        return ""
    if not isinstance(row, Track):
        return f"{row.message}\n{wording.problem_remedy(row.problem)}\n{row.path}"
    if column is Column.STATE:
        return state_tip(row)
    if column is Column.TITLE:
        return f"{row.title}\n{row.path}"
    return cell_text(row, column)


_STATE_WORDS = {
    EnrolState.ENROLLED: "enrolled",
    EnrolState.PENDING: "pending",
    EnrolState.FAILED: "failed",
}


def state_words(track: Track) -> str:
    """A track's states in a line: "Landmark enrolled, missing"."""
    parts = [
        f"{wording.identifier(state.identifier)} {_STATE_WORDS[state.state]}"
        for state in track.states
    ]
    if track.is_missing:
        parts.append("missing")
    if track.warning:
        parts.append("ends early")
    return ", ".join(parts) or "Pending"


def state_tip(track: Track) -> str:
    """A track's states with their reasons, a line each."""
    lines = []
    for state in track.states:
        line = f"{wording.identifier(state.identifier)}: {_STATE_WORDS[state.state]}"
        if state.state is EnrolState.FAILED:
            reason = state.message or wording.problem_label(state.problem)
            line = f"{line}. {reason} {wording.problem_remedy(state.problem)}"
        elif state.state is EnrolState.PENDING:
            line = f"{line}. Rescan (F5) to enrol it."
        lines.append(line)
    if track.is_missing:
        lines.append(f"Missing. {MISSING_WORDS}")
    if track.warning:
        lines.append(f"{track.warning} {wording.problem_remedy(FileProblem.TRUNCATED)}")
    return "\n".join(lines)


MISSING_WORDS = (
    "The file is not where it was. Connect its drive, or rescan (F5) where it is now; "
    "it is still recognised meanwhile."
)
