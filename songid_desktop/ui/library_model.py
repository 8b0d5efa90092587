"""The table model of the Library page: tracks, then the files that failed, and the words of every
cell. Where several identifiers are in use each has a column of its own behind the fixed ones."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from songid_desktop.identify.registry import DEFAULT_IDENTIFIER
from songid_desktop.types import EnrolState, FileProblem, IdentifierState, Track
from songid_desktop.ui import wording
from songid_desktop.ui.column_model import ColumnModel, Header
from songid_desktop.ui.wording import joined

if TYPE_CHECKING:
    from songid_desktop.catalog.records import ProblemFile


STATE_ORDER = "state:"
"""As `catalog.listing.STATE_ORDER`."""


class Column(IntEnum):
    """Columns of the table, left to right."""

    TITLE = 0
    ARTIST = 1
    ALBUM = 2
    GENRE = 3
    DURATION = 4
    STATE = 5


HEADERS: dict[int, Header] = {
    Column.TITLE: Header("Title", "What the track is called", "title"),
    Column.ARTIST: Header("Artist", "By whom it is", "artist"),
    Column.ALBUM: Header("Album", "Where it is from", "album"),
    Column.GENRE: Header("Genre", "As its tags say", "genre"),
    Column.DURATION: Header("Length", "How long it is", "duration", is_right=True),
    Column.STATE: Header(
        "State", "Ring: pending. Dot: enrolled. Triangle: failed, with the reason on the row"
    ),
}


STATE_ALONE = Header("", "Marks: missing files, and those that end early or were not enrolled")


def headers_for(identifiers: Sequence[str]) -> dict[int, Header]:
    """The columns of a library known to these identifiers."""
    if len(identifiers) < 2:
        return dict(HEADERS)
    made = {**HEADERS, Column.STATE: STATE_ALONE}
    for number, name in enumerate(identifiers, len(Column)):
        word = wording.identifier(name)
        hint = f"{word}: a dot is enrolled, a ring pending, a triangle failed"
        made[number] = Header(word, hint, STATE_ORDER + name)
    return made


class LibraryModel(ColumnModel):
    """Rows are tracks in the view's order, then the files that failed."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.headers = headers_for(())
        self.identifiers: tuple[str, ...] = ()
        """Those that have a column of their own."""

    def set_identifiers(self, names: Sequence[str]) -> bool:
        """Give each of several identifiers a column; False where that is as it was."""
        wanted = tuple(names) if len(names) > 1 else ()
        if wanted == self.identifiers:
            return False
        self.beginResetModel()
        self.identifiers = wanted
        self.headers = headers_for(wanted)
        self.endResetModel()
        return True

    def identifier_of(self, section: int) -> str:
        """Whose states a section shows; empty for the others."""
        place = section - len(Column)
        return self.identifiers[place] if 0 <= place < len(self.identifiers) else ""

    def identity(self, row: Track | ProblemFile) -> object:
        return row.track_id if isinstance(row, Track) else row.path

    def cell_text(self, row: Track | ProblemFile | None, column: int) -> str:
        name = self.identifier_of(column)
        if name:
            state = state_of(row, name)
            return _STATE_WORDS[state.state] if state is not None else ""
        if column == Column.STATE and self.identifiers and isinstance(row, Track):
            return joined(flag_words(row), ", ")
        return cell_text(row, Column(column))

    def cell_tip(self, row: Track | ProblemFile | None, column: int) -> str:
        name = self.identifier_of(column)
        if name:
            state = state_of(row, name)
            return one_state_tip(state) if state is not None else ""
        return cell_tip(row, Column(column))


def state_of(row: Track | ProblemFile | None, name: str) -> IdentifierState | None:
    """A track's state for one identifier; pending where the catalog knows nothing of it."""
    if not isinstance(row, Track):
        return None
    found = next((each for each in row.states if each.identifier == name), None)
    return found or IdentifierState(name, EnrolState.PENDING)


def flag_words(track: Track) -> list[str]:
    """What is out of the ordinary about a track's file."""
    return ["missing"] * track.is_missing + ["ends early"] * bool(track.warning)


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
    return ", ".join([*parts, *flag_words(track)]) or "Pending"


def state_tip(track: Track) -> str:
    """A track's states with their reasons, a line each."""
    lines = [one_state_tip(state) for state in track.states]
    if track.is_missing:
        lines.append(f"Missing. {MISSING_WORDS}")
    if track.warning:
        lines.append(f"{track.warning} {wording.problem_remedy(FileProblem.TRUNCATED)}")
    return "\n".join(lines)


def one_state_tip(state: IdentifierState) -> str:
    """A state with its reason, or what to do about it."""
    word = wording.identifier(state.identifier)
    line = f"{word}: {_STATE_WORDS[state.state]}"
    if state.state is EnrolState.FAILED:
        reason = state.message or wording.problem_label(state.problem)
        return f"{line}. {reason} {wording.problem_remedy(state.problem)}"
    if state.state is EnrolState.PENDING:
        return f"{line}. {pending_remedy(state.identifier)}"
    return line


def pending_remedy(identifier: str) -> str:
    """What enrols a track that is pending."""
    if identifier == DEFAULT_IDENTIFIER:
        return "Rescan (F5) to enrol it."
    return f"“Prepare for {wording.identifier(identifier)}” enrols it."


MISSING_WORDS = (
    "The file is not where it was. Connect its drive, or rescan (F5) where it is now; "
    "it is still recognised meanwhile."
)
