"""What stands above and below the library's table: title, search and buttons; counts and
progress."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QWidget

from songid_desktop.ui import wording
from songid_desktop.ui.controls import ElidedLabel, button, column, label, row
from songid_desktop.ui.enrol_job import JobState
from songid_desktop.ui.library_bar import FilterBar, SearchField
from songid_desktop.ui.library_query import Filter, View
from songid_desktop.ui.preparation_bar import PreparationBar
from songid_desktop.ui.theme import Gap, Type

if TYPE_CHECKING:
    from songid_desktop.catalog.records import EnrolProgress, LibraryCounts
    from songid_desktop.ui.enrol_job import EnrolJob
    from songid_desktop.ui.identifiers import Identifiers


class LibraryHead(QWidget):
    """Title, search, buttons; the filters below them."""

    folders_wanted = Signal()
    rescan_wanted = Signal()
    add_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        head = row(gap=Gap.S)
        head.addWidget(label("Library", size=Type.TITLE, strong=True))
        head.addSpacing(Gap.S)
        self.search = SearchField("Search title, artist, album, genre or file")
        head.addWidget(self.search, 10)
        head.addStretch(1)
        self.folders_button = button(
            "Folders", "Which folders the library is made from", self.folders_wanted.emit,
            icon="folder", role="quiet",
        )  # fmt: skip
        self.rescan_button = button(
            "Rescan", "Look for new, changed and missing files", self.rescan_wanted.emit,
            icon="refresh", role="quiet", shortcut="F5",
        )  # fmt: skip
        self.add_button = button(
            "Add folder…", "Choose a folder of music, or drop one here", self.add_wanted.emit,
            icon="folder-add", shortcut="Ctrl+N",
        )  # fmt: skip
        for each in (self.folders_button, self.rescan_button, self.add_button):
            head.addWidget(each)
        self.filters = FilterBar()
        self.preparation = PreparationBar()
        lines = column(gap=Gap.M)
        lines.addLayout(head)
        lines.addWidget(self.filters)
        lines.addWidget(self.preparation)
        self.setLayout(lines)

    def show_tools(self, *, is_shown: bool) -> None:
        """An empty library has nothing to search, filter or rescan."""
        for part in (
            self.search,
            self.filters,
            self.folders_button,
            self.rescan_button,
            self.add_button,
        ):
            part.setVisible(is_shown)

    def show_identifiers(self, identifiers: Identifiers, value: str) -> None:
        """Follow the identifiers: whose states count, and what the chosen one lacks."""
        self.filters.show_identifiers([each.name for each in identifiers.in_use()], value)
        self.preparation.show_status(identifiers.chosen)


class LibraryFoot(QWidget):
    """Counts and hours at the left, a running enrolment at the right, a notice above both."""

    def __init__(self) -> None:
        super().__init__()
        self.notice = label("", "warn", Type.CAPTION, wraps=True)
        self.notice.hide()
        self.counts = ElidedLabel("", "muted", Type.CAPTION)
        self.counts.setMinimumHeight(20)
        self.progress = ElidedLabel("", "accent", Type.CAPTION, strong=True)
        self.progress.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        line = row(gap=Gap.L)
        line.addWidget(self.counts, 1)
        line.addWidget(self.progress, 1)
        lines = column(gap=Gap.XS)
        lines.addWidget(self.notice)
        lines.addLayout(line)
        self.setLayout(lines)

    def show_counts(self, counts: LibraryCounts | None, view: View, shown: int) -> None:
        """The library in a line, and how many rows a search or filter leaves."""
        self.counts.setText(counts_words(counts, view, shown))

    def show_notice(self, words: str) -> None:
        """Something out of the ordinary about the catalog, or nothing."""
        self.notice.setText(words)
        self.notice.setVisible(bool(words))

    def show_progress(self, job: EnrolJob) -> None:
        """How far the enrolment is; empty while there is none."""
        is_paused = job.state is JobState.PAUSED
        words = ""
        if job.is_active:
            words = progress_words(job.progress, is_paused=is_paused, what=job.what)
        self.progress.setText(words)


def counts_words(counts: LibraryCounts | None, view: View, shown: int) -> str:
    """The library in numbers."""
    if counts is None or is_library_empty(counts):
        return ""
    only = view.identifier
    failed = sum(n for name, n in counts.failed.items() if not only or name == only)
    failed += counts.problems
    parts = [
        wording.plural(counts.tracks, "track"),
        wording.hours(counts.duration_s),
        enrolled_words(counts, view.identifier),
        f"{counts.missing:,} missing" if counts.missing else "",
        wording.plural(failed, "problem") if failed else "",
    ]
    if view.search or view.only is not Filter.ALL:
        parts.append(f"{shown:,} shown")
    return wording.joined(parts)


def enrolled_words(counts: LibraryCounts, identifier: str) -> str:
    """How many tracks are enrolled, and for which identifier where several could be meant."""
    if not identifier:
        return f"{max(counts.enrolled.values(), default=0):,} enrolled"
    number = counts.enrolled.get(identifier, 0)
    return f"{number:,} enrolled for {wording.identifier(identifier)}"


def progress_words(
    progress: EnrolProgress | None, *, is_paused: bool = False, what: str = ""
) -> str:
    """A running enrolment in a few words; `what` is the identifier the library is prepared
    for."""
    if progress is not None and progress.phase == "finished":
        return "Saving the index…"
    if progress is None or progress.phase == "scanning" or progress.total <= 0:
        return f"Preparing for {what}…" if what else "Looking for music…"
    place = f"{progress.done:,} of {progress.total:,}"
    if is_paused:
        return f"Paused at {place}"
    verb = f"{what}: preparing" if what else "Enrolling"
    return f"{verb} {place}, {wording.time_left(progress.eta_s)}"


def is_library_empty(counts: LibraryCounts | None) -> bool:
    """True while there is nothing to list."""
    return counts is None or (counts.tracks == 0 and counts.problems == 0)
