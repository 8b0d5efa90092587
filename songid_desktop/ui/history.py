"""The History page: what was heard, when, how surely; edit, undo, favourites, clips, export.

The page only composes: `history_model` and `table_loader` bring the rows, `history_table` draws
them, `history_details` edits one, `history_actions` changes the catalog.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QPoint, QStandardPaths, Qt
from PySide6.QtGui import QKeyEvent, QKeySequence, QResizeEvent, QShortcut, QShowEvent
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QMenu, QWidget

from songid_desktop.errors import SongIDError
from songid_desktop.ui import icons, wording
from songid_desktop.ui.chosen_row import ChosenRow
from songid_desktop.ui.controls import ElidedLabel, button, column, label, row
from songid_desktop.ui.empty_state import EmptyState
from songid_desktop.ui.file_dialog import dress
from songid_desktop.ui.history_actions import HistoryActions, file_name
from songid_desktop.ui.history_details import PlayDetails
from songid_desktop.ui.history_model import HistoryModel, title_of
from songid_desktop.ui.history_query import HistoryFacts, HistoryReader, HistoryView
from songid_desktop.ui.history_table import HistoryTable
from songid_desktop.ui.library_bar import SearchField
from songid_desktop.ui.paged_model import ROW_ROLE, TableSnapshot
from songid_desktop.ui.table_body import TableBody
from songid_desktop.ui.table_loader import TableLoader
from songid_desktop.ui.theme import Gap, Size, Type
from songid_desktop.ui.thumbnails import Thumbnails
from songid_desktop.ui.track_table import COVER

if TYPE_CHECKING:
    from songid_desktop.catalog.records import Play
    from songid_desktop.ui.services import Services

EMPTY_WORDS = "Nothing heard yet. What is recognised while listening is kept here."
FORMATS = {
    "csv": ("Table (CSV)…", "Every column, for a spreadsheet"),
    "json": ("JSON…", "Every field, for programs"),
    "m3u8": ("Playlist (M3U8)…", "The tracks' files in the order they were heard"),
    "cue": ("Cue sheet…", "The list of an evening, with the times"),
}


class HistoryPage(QWidget):
    """A page of the main window; follows the catalog's change counter by itself."""

    title = "History"
    icon_name = "history"
    shortcuts = (
        ("Enter", "Play the track from where it was heard"),
        ("Shift+Enter", "Play the sound that was kept"),
        ("F2", "Name or edit the chosen play"),
        ("Ctrl+D", "Favourite"),
        ("Delete", "Delete"),
        ("Ctrl+Z", "Undo"),
        ("Ctrl+E", "Export"),
    )

    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._services = services
        self._file_dialog: QFileDialog | None = None
        self.snapshot: TableSnapshot | None = None
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.actions_ = HistoryActions(services, self)
        self.model = HistoryModel(self)
        self._small_covers = Thumbnails(services, COVER, self)
        self._large_covers = Thumbnails(services, Size.COVER, self)
        self.table = HistoryTable(self.model, self._small_covers)
        self.chosen_row = ChosenRow(self.table, self.model)
        self.details = PlayDetails(self._large_covers)
        self._build()
        self.loader = TableLoader(
            services,
            self.model,
            reader=HistoryReader(services.paths),
            lane="history-rows",
            view=HistoryView(),
            visible_pages=self.table.visible_pages,
        )
        self._connect()
        self.loader.refresh()

    # -- building -----------------------------------------------------------------------------

    def _build(self) -> None:
        outer = column(Gap.L, Gap.L, Gap.L, Gap.M, gap=Gap.M)
        outer.addLayout(self._make_head())
        listen = button(
            "Listen",
            "Go to the Listen page",
            lambda: self._services.show_page("listen"),
            icon="listen",
            role="primary",
        )
        empty = EmptyState("history", EMPTY_WORDS, listen)
        self.body = TableBody(self.table, self.details, empty, self._clear, self._read_again)
        outer.addWidget(self.body, 1)
        self.counts_line = ElidedLabel("", "muted", Type.CAPTION)
        self.counts_line.setMinimumHeight(20)
        outer.addWidget(self.counts_line)
        self.setLayout(outer)

    def _make_head(self) -> QHBoxLayout:
        head = row(gap=Gap.S)
        head.addWidget(label("History", size=Type.TITLE, strong=True))
        head.addSpacing(Gap.S)
        self.search = SearchField("Search title, artist, note or source")
        head.addWidget(self.search, 10)
        self.favourites_button = button(
            "Favourites", "Show only favourites", icon="star", role="quiet", checkable=True
        )
        head.addWidget(self.favourites_button)
        head.addStretch(1)
        self.export_button = button(
            "Export", "Write plays to a file", self.open_export, icon="export", shortcut="Ctrl+E"
        )
        head.addWidget(self.export_button)
        return head

    def _connect(self) -> None:
        self.loader.loaded.connect(self._take_snapshot)
        self.loader.failed.connect(self._take_trouble)
        self.search.wanted.connect(self._search_for)
        self.search.left_down.connect(self._focus_table)
        self.favourites_button.toggled.connect(self._filter)
        self.table.row_opened.connect(self._open_row)
        self.table.remove_wanted.connect(self.delete_selected)
        self.table.star_clicked.connect(self._star_row)
        self.table.customContextMenuRequested.connect(self._show_menu)
        self.chosen_row.changed.connect(self._show_chosen)
        details = self.details
        details.edited.connect(lambda play, name, text: self.actions_.edit(play, **{name: text}))
        details.starred.connect(self._toggle_star)
        details.delete_wanted.connect(lambda play: self.actions_.delete([play.play_id]))
        details.play_track_wanted.connect(self._play_or_stop_track)
        details.play_clip_wanted.connect(self._play_or_stop_clip)
        self._services.playing_changed.connect(details.set_playing)
        self.actions_.changed.connect(self.loader.refresh)
        for keys, run in (
            ("F2", self.edit_selected),
            ("Ctrl+D", self.star_selected),
            ("Ctrl+Z", self.actions_.undo),
            ("Ctrl+E", self.open_export),
            ("Shift+Return", self._play_selected_clip),
            ("Shift+Enter", self._play_selected_clip),
        ):
            shortcut = QShortcut(QKeySequence(keys), self)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(run)

    # -- what is shown ------------------------------------------------------------------------

    def focus_search(self) -> None:
        """Ctrl+F."""
        self.search.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.search.selectAll()

    def stop(self) -> None:
        """The window closes: what is being typed is saved."""
        self.details.commit_all()
        if self._file_dialog is not None:
            self._file_dialog.close()

    def _take_snapshot(self, snapshot: TableSnapshot) -> None:
        self.snapshot = snapshot
        facts = snapshot.extra if isinstance(snapshot.extra, HistoryFacts) else HistoryFacts()
        self._show_part(snapshot, facts)
        parts = [wording.plural(facts.total, "play") if facts.total else ""]
        if facts.favourites:
            parts.append(wording.plural(facts.favourites, "favourite"))
        if snapshot.view != HistoryView():
            parts.append(f"{snapshot.row_count:,} shown")
        self.counts_line.set_full_text(wording.joined(parts))
        self.chosen_row.keep()

    def _show_part(self, snapshot: TableSnapshot, facts: HistoryFacts) -> None:
        if snapshot.row_count:
            self.body.show_rows()
            if self.hasFocus():
                self.table.setFocus(Qt.FocusReason.OtherFocusReason)
        elif facts.total == 0:
            self.body.show_empty()
        else:
            words = "No favourites yet. Mark a play with its star, or with Ctrl+D."
            if snapshot.view.search:
                words = f"Nothing matches “{snapshot.view.search}”."
            self.body.show_nothing(words)
        for part in (self.search, self.favourites_button, self.export_button):
            part.setVisible(facts.total > 0)
        self.export_button.setEnabled(snapshot.row_count > 0)

    def _take_trouble(self, error: BaseException) -> None:
        if isinstance(error, SongIDError):
            self.body.show_trouble(str(error))
        else:
            self._services.report(error, "The history could not be read.")

    def _read_again(self) -> None:
        self._services.refresh_counts()
        self.loader.refresh()

    def _search_for(self, text: str) -> None:
        self.loader.set_view(replace(self.loader.view, search=text))

    def _filter(self, is_on: bool) -> None:
        self.loader.set_view(replace(self.loader.view, only_favourites=is_on))

    def _clear(self) -> None:
        self.search.clear_now()
        self.favourites_button.setChecked(False)

    # -- the chosen rows ----------------------------------------------------------------------

    def _focus_table(self) -> None:
        self.table.setFocus(Qt.FocusReason.TabFocusReason)

    @property
    def chosen(self) -> Play | None:
        """The play that the keyboard is on."""
        row: Play | None = self.chosen_row.row
        return row

    def _show_chosen(self, play: Play | None) -> None:
        if play is not None:
            self.details.show_play(play)
        self.body.show_details(is_wanted=play is not None)

    def _open_row(self, row_number: int) -> None:
        play = self.model.row_at(row_number)
        if play is None:
            return
        if play.path is None and play.clip is not None:
            self.play_clip(play)
        else:
            self.play_track(play)

    def play_track(self, play: Play) -> None:
        """Play the track itself, from where it was heard."""
        if play.path is None:
            self._services.notify(
                f"“{title_of(play)}” has no file to play: nothing in the library was named.",
                kind="warn",
            )
        else:
            self._services.play(play.path, play.offset_s)

    def play_clip(self, play: Play) -> None:
        """Play the sound that was kept."""
        if play.clip is None:
            self._services.notify("The sound of this play was not kept.")
        else:
            self._services.play(play.clip, 0.0)

    def _play_or_stop_track(self, play: Play) -> None:
        if self.details.is_track_playing:
            self._services.stop_playing()
        else:
            self.play_track(play)

    def _play_or_stop_clip(self, play: Play) -> None:
        if self.details.is_clip_playing:
            self._services.stop_playing()
        else:
            self.play_clip(play)

    def _play_selected_clip(self) -> None:
        if self.chosen is not None:
            self.play_clip(self.chosen)

    def edit_selected(self) -> None:
        """F2."""
        if self.chosen is not None and self.details.isVisible():
            self.details.edit_title()

    def star_selected(self) -> None:
        """Ctrl+D."""
        if self.chosen is not None:
            self._toggle_star(self.chosen)

    def _star_row(self, row_number: int) -> None:
        play = self.model.row_at(row_number)
        if play is not None:
            self._toggle_star(play)

    def _toggle_star(self, play: Play) -> None:
        self.actions_.set_favourite(play, is_favourite=not play.is_favourite)

    def delete_selected(self) -> None:
        """Delete the chosen plays; it can be undone."""
        self.actions_.delete_rows(self.model.view, self.table.selected_spans())

    def _show_menu(self, place: QPoint) -> None:
        index = self.table.indexAt(place)
        if not index.isValid():
            index = self.table.currentIndex()
            place = self.table.visualRect(index).center()
        play: Play | None = index.data(ROW_ROLE) if index.isValid() else None
        if play is None:
            return
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        at = wording.clock(play.offset_s)
        entries = (
            ("play", f"Play from {at}", lambda: self.play_track(play), play.path is not None),
            ("wave", "Play what was heard", lambda: self.play_clip(play), play.clip is not None),
            ("edit", "Name or edit (F2)", self.edit_selected, True),
            (
                "star",
                "No longer a favourite" if play.is_favourite else "Favourite",
                lambda: self._toggle_star(play),
                True,
            ),
            ("trash", "Delete", self.delete_selected, True),
        )
        for icon, words, run, is_possible in entries:
            action = menu.addAction(words, run)
            icons.set_icon(action, icon)
            action.setEnabled(is_possible)
        menu.popup(self.table.viewport().mapToGlobal(place))

    # -- export -------------------------------------------------------------------------------

    def open_export(self) -> None:
        """The menu of formats, for the chosen plays (several) and for all that are shown."""
        if not self.model.rowCount():
            return
        menu = self.make_export_menu()
        below = QPoint(self.export_button.width() - menu.sizeHint().width(), 0)
        below.setY(self.export_button.height() + Gap.XS)
        menu.popup(self.export_button.mapToGlobal(below))

    def make_export_menu(self) -> QMenu:
        """One entry a format and scope."""
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.setToolTipsVisible(True)
        spans = self.table.selected_spans()
        count = sum(last + 1 - first for first, last in spans)
        scopes: list[tuple[str, list[tuple[int, int]]]] = []
        if count > 1:
            scopes.append((f"The {count:,} chosen plays", spans))
        shown = wording.plural(self.model.rowCount(), "play")
        scopes.append((f"All {shown} shown", []))
        for words, which in scopes:
            if menu.actions():
                menu.addSeparator()
            menu.addAction(words).setEnabled(False)
            for fmt, (name, hint) in FORMATS.items():
                action = menu.addAction(name, partial(self.choose_export_file, fmt, which))
                action.setToolTip(hint)
        return menu

    def choose_export_file(self, fmt: str, spans: list[tuple[int, int]]) -> None:
        """Ask where to write, then write."""
        view = self.model.view
        where = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.DocumentsLocation)
        folder = Path(where) if where and Path(where).is_dir() else Path.home()
        words = FORMATS[fmt][0].rstrip("…")
        dialog = QFileDialog(self.window(), f"Export: {words}", str(folder))
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setNameFilters([f"{words} (*.{fmt})"])
        dialog.setDefaultSuffix(fmt)
        dialog.selectFile(file_name(fmt))
        dialog.fileSelected.connect(lambda name: self.actions_.export(view, spans, Path(name), fmt))
        dialog.finished.connect(self._drop_file_dialog)
        self._file_dialog = dress(dialog)
        dialog.open()

    def _drop_file_dialog(self, _result: int) -> None:
        if self._file_dialog is not None:
            self._file_dialog.deleteLater()
            self._file_dialog = None

    # -- events -------------------------------------------------------------------------------

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if not self.isAncestorOf(self.window().focusWidget() or self.window()):
            self.take_focus()

    def take_focus(self) -> None:
        """The rows, as soon as there are any. Not the search field: Space would write a blank
        there instead of listening."""
        target = self.table if self.table.isVisible() else self
        target.setFocus(Qt.FocusReason.OtherFocusReason)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape and self.table.selected_spans():
            self.chosen_row.clear()
            self.table.setFocus()
            return
        super().keyPressEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._show_chosen(self.chosen)
