"""The Library page: folders in, one readable table of tracks, their states, and what is wrong.

The page only composes: `library_query` and `table_loader` bring the rows, `track_table` draws them,
`library_head` holds search, filters and counts, `library_actions` changes the catalog.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDropEvent, QGuiApplication
from PySide6.QtWidgets import QWidget

from songid_desktop.catalog.records import ProblemFile
from songid_desktop.types import Track
from songid_desktop.ui import enrol_notes
from songid_desktop.ui.controls import button, column
from songid_desktop.ui.drop_hint import DropHint
from songid_desktop.ui.empty_state import EmptyState
from songid_desktop.ui.library_actions import LibraryActions
from songid_desktop.ui.library_head import LibraryFoot, LibraryHead, is_library_empty
from songid_desktop.ui.library_model import STATE_ORDER, LibraryModel
from songid_desktop.ui.library_query import Filter, LibraryFacts, LibraryReader, View
from songid_desktop.ui.paged_model import TableSnapshot
from songid_desktop.ui.table_body import TableBody
from songid_desktop.ui.table_page import MenuEntry, TablePage
from songid_desktop.ui.theme import Gap, Size
from songid_desktop.ui.thumbnails import Thumbnails
from songid_desktop.ui.track_details import TrackDetails, open_folder, printable
from songid_desktop.ui.track_table import COVER, TrackTable

if TYPE_CHECKING:
    from songid_desktop.ui.library_folders import FoldersDialog
    from songid_desktop.ui.library_identifiers import IdentifiersDialog
    from songid_desktop.ui.services import Services

EMPTY_WORDS = "No music here yet. Add a folder, and songs you hear can be named."
_NONE_WORDS = {
    Filter.ALL: "There are no tracks here.",
    Filter.ENROLLED: "No track is enrolled yet. A rescan (F5) enrols what is pending.",
    Filter.PENDING: "Nothing is pending: every track that can be read is enrolled.",
    Filter.PROBLEMS: "No problems: every file could be read.",
    Filter.MISSING: "Nothing is missing: every file is where it was.",
}


class LibraryPage(TablePage):
    """A page of the main window."""

    title = "Library"
    icon_name = "library"
    shortcuts = (
        ("Ctrl+N", "Add a folder"),
        ("F5", "Rescan the folders"),
        ("Enter", "Play the chosen track"),
        ("Delete", "Remove from the library (files stay)"),
        ("Ctrl+Z", "Undo the last removal"),
        ("Esc", "Clear the search, then the choice"),
        ("Menu", "What else can be done, and the order of the rows"),
    )

    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(services, parent)
        self._folders_dialog: FoldersDialog | None = None
        self._identifiers_dialog: IdentifiersDialog | None = None
        self._chosen_identifier = services.settings.identifier
        self._meant: str | None = None
        self._track_to_show: int | None = None
        self.setAcceptDrops(True)
        self.actions_ = LibraryActions(services, self)
        self.model = LibraryModel(self)
        self._small_covers = Thumbnails(services, COVER, self)
        self._large_covers = Thumbnails(services, Size.COVER, self)
        self.table: TrackTable = TrackTable(self.model, self._small_covers)
        self.details: TrackDetails = TrackDetails(services, self._large_covers)
        self.head = LibraryHead()
        self.search, self.filters = self.head.search, self.head.filters
        self.foot = LibraryFoot()
        self.body = TableBody(
            self.table, self.details, self._make_empty(), self._clear, self.read_again
        )
        outer = column(Gap.L, Gap.L, Gap.L, Gap.M, gap=Gap.M)
        outer.addWidget(self.head)
        outer.addWidget(self.body, 1)
        outer.addWidget(self.foot)
        self.setLayout(outer)
        self._drop_hint = DropHint("Drop to add it to your library", self)
        self.follow(LibraryReader(services.paths), "library", View())
        self._connect()

    # -- building -----------------------------------------------------------------------------

    def _make_empty(self) -> EmptyState:
        return EmptyState(
            "library",
            EMPTY_WORDS,
            button(
                "Add folder…",
                "Choose a folder of music; its files are only read",
                self.add_folder,
                icon="folder-add",
                role="primary",
            ),
            button(
                "Try the demo tunes",
                "Make a few short tunes and enrol them; they can be removed again",
                self.try_demo,
                icon="demo",
            ),
        )

    def _connect(self) -> None:
        services = self._services
        self.head.add_wanted.connect(self.add_folder)
        self.head.rescan_wanted.connect(self.rescan)
        self.head.folders_wanted.connect(self.manage_folders)
        self.filters.chosen.connect(self._filter_by)
        self.table.row_opened.connect(self._open_row)
        self.table.remove_wanted.connect(self.remove_selected)
        self.head.preparation.wanted.connect(services.identifiers.prepare)
        self.filters.identifier_chosen.connect(self._count_states_of)
        self.filters.identifiers_wanted.connect(self.show_identifiers)
        services.identifiers.changed.connect(self._follow_identifiers)
        self.details.remove_wanted.connect(lambda track_id: self.actions_.remove_tracks([track_id]))
        self.details.rescan_wanted.connect(lambda path: self.actions_.enrol([path]))
        services.catalog_changed.connect(self._forget_covers)
        services.enrolment.changed.connect(self._show_progress)
        services.enrolment.finished.connect(self._forget_covers)
        services.enrolment.prepared.connect(self._forget_covers)
        enrol_notes.install(services).problems_wanted.connect(self.show_problems)
        self.add_shortcuts({"F5": self.rescan, "Ctrl+N": self.add_folder})
        self._show_progress()
        self._follow_identifiers()

    # -- asked for from outside ---------------------------------------------------------------

    def add_folder(self) -> None:
        """Ask for a folder and enrol it (also what the empty states of other pages call)."""
        if self._file_dialog is not None:
            self._file_dialog.raise_()
            return
        from songid_desktop.ui.folder_choice import make_folder_dialog

        dialog = make_folder_dialog(self._services, self.window())
        dialog.fileSelected.connect(self._take_folder)
        dialog.finished.connect(self._drop_file_dialog)
        self._file_dialog = dialog
        dialog.open()

    def _take_folder(self, name: str) -> None:
        folder = Path(name)
        self._services.change_settings(last_folder=str(folder))
        self.add_paths([folder])

    def add_paths(self, paths: Sequence[Path]) -> None:
        """Enrol what was dropped or handed over."""
        if paths:
            self.actions_.enrol(paths)

    def try_demo(self) -> None:
        """Make and enrol the demo tunes."""
        self._services.enrolment.start_demo()

    def rescan(self) -> None:
        """Look again at everything the library was made from (F5)."""
        self.actions_.rescan()

    def show_track(self, track_id: int) -> None:
        """Select one track, clearing a search that hides it."""
        self._track_to_show = track_id
        self._clear()
        self.loader.refresh()

    def show_problems(self) -> None:
        """Filter to what could not be read."""
        self.search.clear_now()
        self.filters.choose(Filter.PROBLEMS)

    def manage_folders(self) -> None:
        """The small window with the folders."""
        if self._folders_dialog is None:
            from songid_desktop.ui.library_folders import FoldersDialog

            self._folders_dialog = FoldersDialog(self._services, self.actions_, self)
            self._folders_dialog.add_wanted.connect(self.add_folder)
        self._folders_dialog.refresh()
        self._folders_dialog.show()
        self._folders_dialog.raise_()
        self._folders_dialog.activateWindow()

    def show_identifiers(self) -> None:
        """The small window with the identifiers."""
        if self._identifiers_dialog is None:
            from songid_desktop.ui.library_identifiers import IdentifiersDialog

            self._identifiers_dialog = IdentifiersDialog(self._services, self)
        self._identifiers_dialog.show()
        self._identifiers_dialog.raise_()
        self._identifiers_dialog.activateWindow()

    def stop(self) -> None:
        """The window closes."""
        for dialog in (self._folders_dialog, self._identifiers_dialog, self._file_dialog):
            if dialog is not None:
                dialog.close()

    # -- what is shown ------------------------------------------------------------------------

    def take_snapshot(self, snapshot: TableSnapshot) -> None:
        facts = snapshot.extra if isinstance(snapshot.extra, LibraryFacts) else LibraryFacts()
        counts = facts.counts
        self.filters.set_counts(counts, snapshot.view.identifier)
        self.foot.show_counts(counts, snapshot.view, self.model.rowCount())
        self.foot.show_notice(facts.notice)
        if counts is not None:
            known = set(counts.enrolled) | set(counts.pending) | set(counts.failed)
            self.table.make_room(len(known) + bool(counts.missing))
        self._show_part(snapshot.view, is_empty=is_library_empty(counts))
        self._keep_choice()

    def _show_part(self, view: View, *, is_empty: bool) -> None:
        """Table, empty state, or nothing found."""
        if self.model.rowCount():
            self.show_table()
        elif is_empty:
            self.body.show_empty()
        else:
            words = f"Nothing matches “{view.search}”." if view.search else _NONE_WORDS[view.only]
            self.body.show_nothing(words)
        self.head.show_tools(is_shown=not is_empty)

    def _show_progress(self) -> None:
        self.foot.show_progress(self._services.enrolment)

    def _forget_covers(self, *_args: object) -> None:
        # Not while a folder is enrolled: every track would make all covers flicker.
        if not self._services.enrolment.is_active:
            self._small_covers.forget()
            self._large_covers.forget()

    # -- filter -----------------------------------------------------------------

    def _filter_by(self, only: Filter) -> None:
        self.loader.set_view(replace(self.loader.view, only=only))

    def _count_states_of(self, name: str) -> None:
        """Filters and numbers mean another identifier, or any, until another one is chosen."""
        self._meant = name
        self._follow_identifiers()

    def _follow_identifiers(self) -> None:
        """One was chosen, installed, or has learnt tracks. Filters mean the chosen one, unless
        another was asked for."""
        identifiers = self._services.identifiers
        if identifiers.chosen_name != self._chosen_identifier:
            self._chosen_identifier, self._meant = identifiers.chosen_name, None
        names = [each.name for each in identifiers.in_use()]
        meant = identifiers.chosen_name if self._meant is None else self._meant
        if len(names) < 2 or meant not in names:
            meant = ""
        self.table.show_identifiers(names, identifiers.chosen_name)
        self.head.show_identifiers(identifiers, meant)
        view = replace(self.loader.view, identifier=meant)
        if view.order.removeprefix(STATE_ORDER) not in (view.order, *names):
            view = replace(view, order=View().order, is_descending=False)
            self.table.show_order(view.order, is_descending=False)
        self.loader.set_view(view)

    def _clear(self) -> None:
        self.search.clear_now()
        self.filters.choose(Filter.ALL)

    # -- the chosen rows ----------------------------------------------------------------------

    def show_row(self, row: Track | ProblemFile) -> None:
        self.details.show_row(row)

    def _keep_choice(self) -> None:
        """After a read: the chosen track is still chosen, though rows may have moved."""
        wanted = self.model.find(self._track_to_show) if self._track_to_show is not None else -1
        if wanted >= 0:
            self._track_to_show = None
            self.table.go_to(wanted)
        else:
            self.chosen_row.keep()

    def _open_row(self, row_number: int) -> None:
        found = self.model.row_at(row_number)
        if not isinstance(found, Track):
            return
        if found.is_missing:
            self._services.notify(
                f"“{found.title}” can't be played: the file is missing.", kind="warn"
            )
        elif self.details.shown == found:
            self.details.play()
        else:
            self._services.play(found.path)

    def remove_selected(self) -> None:
        """Take the chosen tracks out of the library; files stay, and it can be undone."""
        chosen = self.model.ids_in(self.table.selected_spans())
        if chosen:
            self.actions_.remove_tracks(chosen)
        elif self.table.selected_spans():
            self._services.notify(
                "Files that could not be read are no part of the library; there is nothing to "
                "remove."
            )

    def row_menu(self, row: Track | ProblemFile, row_number: int) -> Sequence[MenuEntry]:
        place: list[MenuEntry] = [
            ("external", "Open its folder", lambda: open_folder(row.path), True),
            ("file", "Copy its path", lambda: copy_text(printable(str(row.path))), True),
        ]
        if isinstance(row, Track):
            play = ("play", "Play", lambda: self._open_row(row_number), not row.is_missing)
            return (play, *place, ("trash", "Remove from library", self.remove_selected, True))
        return (*place, ("refresh", "Try again", lambda: self.actions_.enrol([row.path]), True))

    # -- events -------------------------------------------------------------------------------

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if any(url.isLocalFile() for url in event.mimeData().urls()):
            event.acceptProposedAction()
            self._drop_hint.show_over()

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        super().dragLeaveEvent(event)
        self._drop_hint.hide()

    def dropEvent(self, event: QDropEvent) -> None:
        self._drop_hint.hide()
        urls = event.mimeData().urls()
        event.acceptProposedAction()
        self.add_paths([Path(url.toLocalFile()) for url in urls if url.isLocalFile()])


def copy_text(text: str) -> None:
    """Put text on the clipboard."""
    QGuiApplication.clipboard().setText(text)
