"""The Library page: folders in, one readable table of tracks, their states, and what is wrong.

The page only composes: `library_model` and `library_loader` bring the rows, `track_table` draws
them, `library_actions` changes the catalog, `library_bar` holds search and filters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import (
    QDragEnterEvent,
    QDragLeaveEvent,
    QDropEvent,
    QGuiApplication,
    QKeyEvent,
    QKeySequence,
    QResizeEvent,
    QShortcut,
    QShowEvent,
)
from PySide6.QtWidgets import QFileDialog, QFrame, QHBoxLayout, QMenu, QStackedWidget, QWidget

from songid_desktop.catalog.records import ProblemFile
from songid_desktop.types import Track
from songid_desktop.ui import enrol_notes, icons, theme, wording
from songid_desktop.ui.chosen_row import ChosenRow
from songid_desktop.ui.controls import ElidedLabel, button, column, label, row
from songid_desktop.ui.empty_page import EmptyPage
from songid_desktop.ui.library_actions import LibraryActions
from songid_desktop.ui.library_bar import FilterBar, SearchField
from songid_desktop.ui.library_model import ORDERS, Column, LibraryModel
from songid_desktop.ui.library_query import Filter, LibraryFacts, LibraryReader, View
from songid_desktop.ui.paged_model import ROW_ROLE, TableSnapshot
from songid_desktop.ui.table_loader import TableLoader
from songid_desktop.ui.theme import Gap, Size, Type
from songid_desktop.ui.thumbnails import Thumbnails
from songid_desktop.ui.track_details import TrackDetails, open_folder
from songid_desktop.ui.track_table import COVER, TrackTable

if TYPE_CHECKING:
    from songid_desktop.catalog.records import LibraryCounts
    from songid_desktop.ui.library_folders import FoldersDialog
    from songid_desktop.ui.services import Services

EMPTY_WORDS = "No music here yet. Add a folder, and songs you hear can be named."
_NONE_WORDS = {
    Filter.ALL: "There are no tracks here.",
    Filter.ENROLLED: "No track is enrolled yet. A rescan (F5) enrols what is pending.",
    Filter.PENDING: "Nothing is pending: every track that can be read is enrolled.",
    Filter.PROBLEMS: "No problems: every file could be read.",
    Filter.MISSING: "Nothing is missing: every file is where it was.",
}
NO_DETAILS_BELOW = 640


class LibraryPage(QWidget):
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
    )

    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._services = services
        self._folders_dialog: FoldersDialog | None = None
        self._file_dialog: QFileDialog | None = None
        self._track_to_show: int | None = None
        self.snapshot: TableSnapshot | None = None
        self.setAcceptDrops(True)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.actions_ = LibraryActions(services, self)
        self.model = LibraryModel(self)
        self._small_covers = Thumbnails(services, COVER, self)
        self._large_covers = Thumbnails(services, Size.COVER, self)
        self.table = TrackTable(self.model, self._small_covers)
        self.chosen = ChosenRow(self.table, self.model)
        self.details = TrackDetails(services, self._large_covers)
        self._build()
        self.loader = TableLoader(
            services,
            self.model,
            reader=LibraryReader(services.paths),
            lane="library",
            view=View(),
            visible_pages=self.table.visible_pages,
        )
        self._connect()
        self.loader.refresh()

    # -- building -----------------------------------------------------------------------------

    def _build(self) -> None:
        outer = column(Gap.L, Gap.L, Gap.L, Gap.M, gap=Gap.M)
        outer.addLayout(self._make_head())
        self.filters = FilterBar()
        outer.addWidget(self.filters)
        self._stack = QStackedWidget()
        self._stack.addWidget(self._make_list())
        self._empty = EmptyPage(
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
        self._stack.addWidget(self._empty)
        self._clear_search = button("Clear search", "Show all tracks again (Esc)", self._clear)
        self._nothing = EmptyPage("search", "", self._clear_search)
        self._stack.addWidget(self._nothing)
        self._trouble = EmptyPage("warning", "")
        self._stack.addWidget(self._trouble)
        self._stack.addWidget(QWidget())
        outer.addWidget(self._stack, 1)
        outer.addLayout(self._make_foot())
        self.setLayout(outer)
        self._drop_frame = QFrame(self)
        self._drop_frame.setStyleSheet("")
        self._drop_frame.hide()
        self._show_part(None)

    def _make_head(self) -> QHBoxLayout:
        head = row(gap=Gap.S)
        head.addWidget(label("Library", size=Type.TITLE, strong=True))
        head.addSpacing(Gap.S)
        self.search = SearchField("Search title, artist, album, genre or file")
        head.addWidget(self.search, 10)
        head.addStretch(1)
        self._folders_button = button(
            "Folders",
            "Which folders the library is made from",
            self.manage_folders,
            icon="folder",
            role="quiet",
        )
        head.addWidget(self._folders_button)
        self._rescan_button = button(
            "Rescan",
            "Look for new, changed and missing files",
            self.rescan,
            icon="refresh",
            role="quiet",
            shortcut="F5",
        )
        head.addWidget(self._rescan_button)
        self._add_button = button(
            "Add folder…",
            "Choose a folder of music, or drop one here",
            self.add_folder,
            icon="folder-add",
            shortcut="Ctrl+N",
        )
        head.addWidget(self._add_button)
        return head

    def _make_list(self) -> QWidget:
        whole = QWidget()
        line = row(gap=Gap.M)
        whole.setLayout(line)
        card = QFrame()
        theme.set_role(card, "card")
        inside = column(1, gap=0)
        inside.addWidget(self.table)
        card.setLayout(inside)
        line.addWidget(card, 1)
        line.addWidget(self.details)
        self.details.hide()
        return whole

    def _make_foot(self) -> QHBoxLayout:
        foot = row(gap=Gap.L)
        self.counts_line = ElidedLabel("", "muted", Type.CAPTION)
        self.counts_line.setMinimumHeight(20)
        foot.addWidget(self.counts_line, 1)
        self.progress_line = ElidedLabel("", "accent", Type.CAPTION, strong=True)
        self.progress_line.setAlignment(Qt.AlignmentFlag.AlignRight)
        foot.addWidget(self.progress_line, 1)
        return foot

    def _connect(self) -> None:
        services = self._services
        self.loader.loaded.connect(self._take_snapshot)
        self.loader.failed.connect(self._take_trouble)
        self.search.wanted.connect(self._search_for)
        self.search.left_down.connect(self._focus_table)
        self.filters.chosen.connect(self._filter_by)
        self.table.sort_wanted.connect(self._sort_by)
        self.table.row_opened.connect(self._open_row)
        self.table.remove_wanted.connect(self.remove_selected)
        self.table.customContextMenuRequested.connect(self._show_menu)
        self.chosen.changed.connect(self._show_chosen)
        self.details.remove_wanted.connect(lambda track_id: self.actions_.remove_tracks([track_id]))
        self.details.rescan_wanted.connect(lambda path: self.actions_.enrol([path]))
        self.actions_.changed.connect(self.loader.refresh)
        services.catalog_changed.connect(self._forget_covers)
        services.enrolment.changed.connect(self._show_progress)
        services.enrolment.finished.connect(self._forget_covers)
        enrol_notes.install(services).problems_wanted.connect(self.show_problems)
        for keys, run in (
            ("F5", self.rescan),
            ("Ctrl+N", self.add_folder),
            ("Ctrl+Z", self.actions_.undo),
        ):
            shortcut = QShortcut(QKeySequence(keys), self)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(run)
        self.table.sort_header.set_sorted(Column.ARTIST, is_descending=False)
        self._show_progress()

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

    def _drop_file_dialog(self, _result: int) -> None:
        if self._file_dialog is not None:
            self._file_dialog.deleteLater()
            self._file_dialog = None

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

    def focus_search(self) -> None:
        """Ctrl+F."""
        self.search.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.search.selectAll()

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

    def stop(self) -> None:
        """The window closes."""
        for dialog in (self._folders_dialog, self._file_dialog):
            if dialog is not None:
                dialog.close()

    # -- what is shown ------------------------------------------------------------------------

    def _take_snapshot(self, snapshot: TableSnapshot) -> None:
        self.snapshot = snapshot
        counts = _counts(snapshot)
        self.filters.set_counts(counts)
        self.counts_line.set_full_text(self._counts_words(counts))
        if counts is not None:
            identifiers = set(counts.enrolled) | set(counts.pending) | set(counts.failed)
            self.table.make_room(len(identifiers) + bool(counts.missing))
        self._show_part(snapshot)
        self._keep_choice()

    def _show_part(self, snapshot: TableSnapshot | None) -> None:
        """Table, empty state, or nothing found; a blank while the first read is on its way."""
        is_empty = snapshot is not None and is_library_empty(_counts(snapshot))
        has_rows = self.model.rowCount() > 0
        if snapshot is None:
            page = 4
        elif has_rows:
            page = 0
        elif is_empty and not self.search.text():
            page = 1
        else:
            page = 2
            is_search = bool(snapshot.view.search)
            words = f"Nothing matches “{snapshot.view.search}”." if is_search else ""
            self._nothing.set_text(words or _NONE_WORDS[snapshot.view.only])
            self._clear_search.setVisible(is_search)
        self._stack.setCurrentIndex(page)
        if page == 0 and self.hasFocus():
            self.table.setFocus(Qt.FocusReason.OtherFocusReason)
        for part in (self.search, self.filters, self._folders_button, self._rescan_button):
            part.setVisible(not is_empty)
        self._add_button.setVisible(not is_empty)

    def _take_trouble(self, error: BaseException) -> None:
        from songid_desktop.errors import SongIDError

        if isinstance(error, SongIDError):
            self._trouble.set_text(str(error))
            self._stack.setCurrentIndex(3)
        else:
            self._services.report(error, "The library could not be read.")

    def _counts_words(self, counts: LibraryCounts | None) -> str:
        if counts is None or is_library_empty(counts):
            return ""
        enrolled = max(counts.enrolled.values(), default=0)
        failed = sum(counts.failed.values()) + counts.problems
        parts = [
            wording.plural(counts.tracks, "track"),
            wording.hours(counts.duration_s),
            f"{enrolled:,} enrolled",
            f"{counts.missing:,} missing" if counts.missing else "",
            wording.plural(failed, "problem") if failed else "",
        ]
        shown = self.model.rowCount()
        view = self.model.view
        if view.search or view.only is not Filter.ALL:
            parts.append(f"{shown:,} shown")
        return wording.joined(parts)

    def _show_progress(self) -> None:
        job = self._services.enrolment
        progress = job.progress
        if not job.is_active:
            self.progress_line.set_full_text("")
        elif progress is None or progress.phase == "scanning" or progress.total <= 0:
            self.progress_line.set_full_text("Looking for music…")
        elif progress.phase == "finished":
            self.progress_line.set_full_text("Saving the index…")
        else:
            self.progress_line.set_full_text(
                f"Enrolling {progress.done:,} of {progress.total:,}, "
                f"{wording.time_left(progress.eta_s)}"
            )

    def _forget_covers(self, *_args: object) -> None:
        # Not while a folder is enrolled: every track would make all covers flicker.
        if not self._services.enrolment.is_active:
            self._small_covers.forget()
            self._large_covers.forget()

    # -- search, filter, sort -----------------------------------------------------------------

    def _search_for(self, text: str) -> None:
        self.loader.set_view(replace(self.loader.view, search=text))

    def _filter_by(self, only: Filter) -> None:
        self.loader.set_view(replace(self.loader.view, only=only))

    def _sort_by(self, section: int) -> None:
        if section not in ORDERS:
            return
        order, view = ORDERS[Column(section)], self.loader.view
        is_descending = view.order == order and not view.is_descending
        self.loader.set_view(replace(view, order=order, is_descending=is_descending))
        self.table.sort_header.set_sorted(section, is_descending=is_descending)

    def _clear(self) -> None:
        self.search.clear_now()
        self.filters.choose(Filter.ALL)

    # -- the chosen rows ----------------------------------------------------------------------

    def _focus_table(self) -> None:
        self.table.setFocus(Qt.FocusReason.TabFocusReason)

    def _show_chosen(self, row: object) -> None:
        if isinstance(row, Track | ProblemFile):
            self.details.show_row(row)
        has_room = self._stack.width() >= NO_DETAILS_BELOW
        self.details.setVisible(row is not None and has_room)

    def _keep_choice(self) -> None:
        """After a read: the chosen track is still chosen, though rows may have moved."""
        wanted = self.model.find(self._track_to_show) if self._track_to_show is not None else -1
        if wanted >= 0:
            self._track_to_show = None
            self.table.go_to(wanted)
        else:
            self.chosen.keep()

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
        ids = self.model.ids
        chosen = [
            int(track_id)
            for first, last in self.table.selected_spans()
            for track_id in (ids[first : last + 1] if ids is not None else ())
        ]
        if chosen:
            self.actions_.remove_tracks(chosen)
        elif self.table.selected_spans():
            self._services.notify(
                "Files that could not be read are no part of the library; there is nothing to "
                "remove."
            )

    def _show_menu(self, place: QPoint) -> None:
        index = self.table.indexAt(place)
        if not index.isValid():
            index = self.table.currentIndex()
            place = self.table.visualRect(index).center()
        found = index.data(ROW_ROLE) if index.isValid() else None
        if found is None:
            return
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        is_track = isinstance(found, Track)
        if is_track:
            play = menu.addAction("Play", lambda: self._open_row(index.row()))
            icons.set_icon(play, "play")
            play.setEnabled(not found.is_missing)
        folder = menu.addAction("Open its folder", lambda: open_folder(found.path))
        icons.set_icon(folder, "external")
        copy = menu.addAction(
            "Copy its path", lambda: QGuiApplication.clipboard().setText(str(found.path))
        )
        icons.set_icon(copy, "file")
        menu.addSeparator()
        if is_track:
            remove = menu.addAction("Remove from library", self.remove_selected)
            icons.set_icon(remove, "trash")
        else:
            again = menu.addAction("Try again", lambda: self.actions_.enrol([found.path]))
            icons.set_icon(again, "refresh")
        menu.popup(self.table.viewport().mapToGlobal(place))

    # -- events -------------------------------------------------------------------------------

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape and self.table.selected_spans():
            self.chosen.clear()
            return
        super().keyPressEvent(event)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if not self.isAncestorOf(self.window().focusWidget() or self.window()):
            # Not the search field: Space would write a blank there instead of listening.
            target = self.table if self.table.isVisible() else self
            target.setFocus(Qt.FocusReason.OtherFocusReason)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._show_chosen(self.chosen.row)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if any(url.isLocalFile() for url in event.mimeData().urls()):
            event.acceptProposedAction()

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        super().dragLeaveEvent(event)

    def dropEvent(self, event: QDropEvent) -> None:
        urls = event.mimeData().urls()
        event.acceptProposedAction()
        self.add_paths([Path(url.toLocalFile()) for url in urls if url.isLocalFile()])


def _counts(snapshot: TableSnapshot) -> LibraryCounts | None:
    return snapshot.extra.counts if isinstance(snapshot.extra, LibraryFacts) else None


def is_library_empty(counts: LibraryCounts | None) -> bool:
    """True while there is nothing to list."""
    return counts is None or (counts.tracks == 0 and counts.problems == 0)
