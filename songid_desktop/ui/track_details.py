"""The pane beside the library's table: everything known about one track, or why a file failed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QUrl, Signal
from PySide6.QtGui import QDesktopServices, QHideEvent, QPainter, QPaintEvent, QShowEvent
from PySide6.QtWidgets import QFrame, QLabel, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from songid_desktop.types import EnrolState, FileProblem, Track
from songid_desktop.ui import theme, wording
from songid_desktop.ui.controls import (
    ElidedLabel,
    IconLabel,
    button,
    column,
    divider,
    icon_button,
    label,
    row,
)
from songid_desktop.ui.library_model import MISSING_WORDS, pending_remedy
from songid_desktop.ui.seek_bar import SeekBar
from songid_desktop.ui.theme import Gap, Size, Type
from songid_desktop.ui.track_table import draw_cover

if TYPE_CHECKING:
    from songid_desktop.catalog.records import ProblemFile
    from songid_desktop.ui.services import Services
    from songid_desktop.ui.thumbnails import Thumbnails

WIDTH = 312
_SIGNS = {
    EnrolState.ENROLLED: ("dot", "ok", "enrolled"),
    EnrolState.PENDING: ("ring", "muted", "pending"),
    EnrolState.FAILED: ("triangle", "bad", "failed"),
}


class CoverLabel(QLabel):
    """A cover of 96 px, or the drawing that stands for it."""

    def __init__(self, covers: Thumbnails) -> None:
        super().__init__()
        self._covers = covers
        self._track_id: int | None = None
        self._title = ""
        self.setFixedSize(Size.COVER, Size.COVER)
        covers.arrived.connect(self.update)

    def set_track(self, track: Track | None) -> None:
        """Show a track's cover."""
        if track is not None:
            self.set_play(track.track_id if track.has_cover else None, track.title)

    def set_play(self, track_id: int | None, title: str) -> None:
        """Show the cover of a track that may be gone."""
        self._track_id, self._title = track_id, title
        self.setAccessibleName(f"Cover of {title}")
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002  (Qt's signature)
        painter = QPainter(self)
        scale = self.devicePixelRatioF()
        draw_cover(painter, self.rect(), self._covers.for_play(self._track_id, self._title, scale))
        painter.end()


class TrackDetails(QFrame):
    """Shows one Track, one ProblemFile, or a hint that nothing is chosen."""

    remove_wanted = Signal(int)
    """Track id."""
    rescan_wanted = Signal(object)
    """Path of a file to try again."""

    def __init__(
        self, services: Services, covers: Thumbnails, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._services = services
        self._shown: Track | ProblemFile | None = None
        theme.set_role(self, "card")
        self.setFixedWidth(WIDTH)
        self.setAccessibleName("Details of the chosen track")
        self._body = QWidget()
        self._area = QScrollArea(self)
        self._area.setWidgetResizable(True)
        self._area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._area.setFrameShape(QFrame.Shape.NoFrame)
        self._area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._area.viewport().setAutoFillBackground(False)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(1, 1, 1, 1)
        whole.addWidget(self._area)
        self._cover = CoverLabel(covers)
        self._seek = SeekBar(services)
        self._build()
        self.show_row(None)

    def _build(self) -> None:
        self._column = column(Gap.L, gap=Gap.M)
        self._body.setLayout(self._column)
        self._area.setWidget(self._body)
        self._body.setAutoFillBackground(False)
        self._head = row(gap=Gap.M)
        self._head.addWidget(self._cover, 0, Qt.AlignmentFlag.AlignTop)
        names = column(gap=Gap.XS)
        self._title = label("", size=Type.CARD, strong=True, wraps=True, selectable=True)
        self._artist = label("", wraps=True, selectable=True)
        self._album = label("", "muted", wraps=True, selectable=True)
        for each in (self._title, self._artist, self._album):
            each.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
            names.addWidget(each)
        names.addStretch(1)
        self._head.addLayout(names, 1)
        self._column.addLayout(self._head)
        self._column.addWidget(self._seek)
        self._facts = QWidget()
        self._column.addWidget(self._facts)
        self._column.addStretch(1)
        self._remove = button(
            "Remove from library",
            "Take this track out of the library; the file itself is not deleted (Delete)",
            self._ask_removal,
            icon="trash",
            role="quiet",
        )
        self._column.addWidget(self._remove, 0, Qt.AlignmentFlag.AlignLeft)
        self._retry = button("Try again", "Read this file again", self._ask_rescan, icon="refresh")
        self._column.addWidget(self._retry, 0, Qt.AlignmentFlag.AlignLeft)

    @property
    def shown(self) -> Track | ProblemFile | None:
        return self._shown

    def show_row(self, shown: Track | ProblemFile | None) -> None:
        """Show what a row of the table stands for."""
        if shown is not None and shown == self._shown:
            return
        self._shown = shown
        track = shown if isinstance(shown, Track) else None
        self._cover.setVisible(track is not None)
        self._cover.set_track(track)
        self._seek.setVisible(track is not None)
        self._remove.setVisible(track is not None)
        self._retry.setVisible(shown is not None and track is None)
        facts = QWidget()
        lines = column(gap=Gap.S)
        facts.setLayout(lines)
        if track is not None:
            self._show_track(track, lines)
        elif shown is not None:
            assert not isinstance(shown, Track)
            self._show_problem(shown, lines)
        else:
            self._set_names("Nothing chosen", "", "Choose a track to see what is known about it.")
        self._column.replaceWidget(self._facts, facts)
        self._facts.deleteLater()
        self._facts = facts
        self._area.verticalScrollBar().setValue(0)

    def _set_names(self, title: str, artist: str, album: str) -> None:
        for target, text in ((self._title, title), (self._artist, artist), (self._album, album)):
            target.setText(breakable(text))
            target.setAccessibleName(text)
            target.setVisible(bool(text))

    def _show_track(self, track: Track, lines: QVBoxLayout) -> None:
        tags = track.tags
        self._set_names(track.title, tags.artist, tags.album)
        self._seek.set_track(track.path, track.duration_s, is_missing=track.is_missing)
        for state in track.states:
            icon, role, words = _SIGNS[state.state]
            text = f"{wording.identifier(state.identifier)}: {words}"
            lines.addLayout(_signed(icon, role, text))
            if state.state is EnrolState.FAILED:
                lines.addWidget(_note(state.message or wording.problem_label(state.problem)))
                lines.addWidget(_note(wording.problem_remedy(state.problem)))
            elif state.state is EnrolState.PENDING:
                lines.addWidget(_note(pending_remedy(state.identifier)))
        if not track.states:
            lines.addLayout(_signed("ring", "muted", "Pending; a rescan (F5) enrols it"))
        if track.is_missing:
            lines.addLayout(_signed("unplugged", "warn", "Missing"))
            lines.addWidget(_note(MISSING_WORDS))
        if track.warning:
            label_text = wording.problem_label(FileProblem.TRUNCATED)
            lines.addLayout(_signed("warning", "warn", label_text))
            lines.addWidget(_note(track.warning))
        lines.addWidget(divider())
        number = str(tags.track_number) if tags.track_number else ""
        for name, value in (
            ("Length", wording.clock(track.duration_s)),
            ("Genre", tags.genre),
            ("Year", str(tags.year) if tags.year else ""),
            ("Track number", number),
            ("Added", _date(track.added_at)),
        ):
            if value:
                lines.addLayout(fact_line(name, value))
        lines.addWidget(divider())
        places = track.locations or (track.path,)
        heading = "File" if len(places) == 1 else f"The same recording in {len(places)} places"
        lines.addWidget(label(heading, "muted", Type.CAPTION, strong=True))
        for place in places:
            lines.addLayout(_place(place))

    def _show_problem(self, problem: ProblemFile, lines: QVBoxLayout) -> None:
        words = wording.problem_label(problem.problem)
        self._set_names(problem.path.name, "", "")
        lines.addLayout(_signed("triangle", "bad", f"Not enrolled: {words.lower()}"))
        lines.addWidget(_note(problem.message))
        remedy = label(wording.problem_remedy(problem.problem), wraps=True)
        lines.addWidget(remedy)
        lines.addWidget(divider())
        if problem.seen_at:
            lines.addLayout(fact_line("Tried", _date(problem.seen_at)))
        lines.addLayout(fact_line("Reason code", str(problem.problem)))
        lines.addWidget(label("File", "muted", Type.CAPTION, strong=True))
        lines.addLayout(_place(problem.path))

    def _ask_removal(self) -> None:
        if isinstance(self._shown, Track):
            self.remove_wanted.emit(self._shown.track_id)

    def _ask_rescan(self) -> None:
        if self._shown is not None and not isinstance(self._shown, Track):
            self.rescan_wanted.emit(self._shown.path)

    def play(self) -> None:
        """Play what is shown from where the slider stands."""
        if isinstance(self._shown, Track):
            self._seek.play()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._seek.follow()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._seek.rest()


def _signed(icon: str, role: str, text: str) -> QVBoxLayout:
    """A sign and what it means; wrapped in a column so that all lines are of one kind."""
    line = row(gap=Gap.S)
    line.addWidget(IconLabel(icon, role, 16), 0, Qt.AlignmentFlag.AlignTop)
    line.addWidget(label(text, wraps=True), 1)
    outer = column()
    outer.addLayout(line)
    return outer


def _note(text: str) -> QLabel:
    result = label(breakable(text), "muted", wraps=True, selectable=True)
    result.setContentsMargins(16 + Gap.S, 0, 0, 0)
    return result


def fact_line(name: str, value: str) -> QVBoxLayout:
    """A name and its value."""
    line = row(gap=Gap.S)
    title = label(name, "muted")
    title.setFixedWidth(96)
    line.addWidget(title)
    text = ElidedLabel(value)
    text.setAccessibleName(f"{name}: {value}")
    line.addWidget(text, 1)
    outer = column()
    outer.addLayout(line)
    return outer


def _place(path: Path) -> QVBoxLayout:
    """A file's name over its folder, and a way there."""
    names = column(gap=0)
    names.addWidget(ElidedLabel(printable(path.name)))
    folder = ElidedLabel(printable(str(path.parent)), "muted", Type.CAPTION)
    folder.setToolTip(printable(str(path)))
    names.addWidget(folder)
    line = row(gap=Gap.S)
    line.addLayout(names, 1)
    open_button = icon_button(
        "external",
        f"Open the folder of {printable(path.name)}",
        "Open the folder in the file manager",
        lambda: open_folder(path),
    )
    line.addWidget(open_button)
    outer = column()
    outer.addLayout(line)
    return outer


def _date(unix_s: float) -> str:
    return f"{wording.day(unix_s)}, {wording.moment(unix_s)}" if unix_s else ""


def open_folder(path: Path) -> None:
    """Show a file's folder in the file manager."""
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(path.parent)))


def printable(text: str) -> str:
    """A file name with bytes that are no UTF-8 shown as question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


def breakable(text: str, every: int = 20) -> str:
    """Long runs without a space get invisible places to break, so that no title is cut off."""
    words = []
    for word in printable(text).split(" "):
        pieces = [word[i : i + every] for i in range(0, len(word), every)] or [""]
        words.append("\u200b".join(pieces))
    return " ".join(words)
