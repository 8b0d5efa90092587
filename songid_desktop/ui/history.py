"""The History page: what was heard, when, how surely; edit, undo, favourites, clips, export.

The page only composes: `history_model` and `table_loader` bring the rows, `history_table` draws
them, `history_details` edits one, `history_actions` changes the catalog.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QPoint, QStandardPaths, Qt
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QMenu, QWidget

from songid_desktop.ui import wording
from songid_desktop.ui.controls import ElidedLabel, button, column, label, row
from songid_desktop.ui.empty_state import EmptyState
from songid_desktop.ui.file_dialog import dress
from songid_desktop.ui.history_actions import HistoryActions, file_name
from songid_desktop.ui.history_details import PlayDetails
from songid_desktop.ui.history_model import HistoryModel, title_of
from songid_desktop.ui.history_query import HistoryFacts, HistoryReader, HistoryView
from songid_desktop.ui.history_table import HistoryTable
from songid_desktop.ui.library_bar import SearchField
from songid_desktop.ui.paged_model import TableSnapshot
from songid_desktop.ui.table_body import TableBody
from songid_desktop.ui.table_page import MenuEntry, TablePage
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


class HistoryPage(TablePage):
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
        ("Menu", "What else can be done, and the order of the rows"),
    )

    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(services, parent)
        self.actions_ = HistoryActions(services, self)
        self.model = HistoryModel(self)
        self._small_covers = Thumbnails(services, COVER, self)
        self._large_covers = Thumbnails(services, Size.COVER, self)
        self.table: HistoryTable = HistoryTable(self.model, self._small_covers)
        self.details: PlayDetails = PlayDetails(self._large_covers)
        self._build()
        self.follow(HistoryReader(services.paths), "history-rows", HistoryView())
        self._connect()

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
        self.body = TableBody(self.table, self.details, empty, self._clear, self.read_again)
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
        self.favourites_button.toggled.connect(self._filter)
        self.table.row_opened.connect(self._open_row)
        self.table.remove_wanted.connect(self.delete_selected)
        self.table.star_clicked.connect(self._star_row)
        details = self.details
        details.edited.connect(lambda play, name, text: self.actions_.edit(play, **{name: text}))
        details.starred.connect(self._toggle_star)
        details.delete_wanted.connect(lambda play: self.actions_.delete([play.play_id]))
        details.play_track_wanted.connect(self._play_or_stop_track)
        details.play_clip_wanted.connect(self._play_or_stop_clip)
        self._services.playing_changed.connect(details.set_playing)
        self.add_shortcuts(
            {
                "F2": self.edit_selected,
                "Ctrl+D": self.star_selected,
                "Ctrl+E": self.open_export,
                "Shift+Return": self._play_selected_clip,
                "Shift+Enter": self._play_selected_clip,
            }
        )

    # -- what is shown ------------------------------------------------------------------------

    def stop(self) -> None:
        """The window closes: what is being typed is saved."""
        self.details.commit_all()
        if self._file_dialog is not None:
            self._file_dialog.close()

    def take_snapshot(self, snapshot: TableSnapshot) -> None:
        facts = snapshot.extra if isinstance(snapshot.extra, HistoryFacts) else HistoryFacts()
        self._show_part(snapshot, facts)
        parts = [wording.plural(facts.total, "play") if facts.total else ""]
        if facts.favourites:
            parts.append(wording.plural(facts.favourites, "favourite"))
        if snapshot.view.is_narrowed:
            parts.append(f"{snapshot.row_count:,} shown")
        self.counts_line.set_full_text(wording.joined(parts))
        self.chosen_row.keep()

    def _show_part(self, snapshot: TableSnapshot, facts: HistoryFacts) -> None:
        if snapshot.row_count:
            self.show_table()
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

    def _filter(self, is_on: bool) -> None:
        self.loader.set_view(replace(self.loader.view, only_favourites=is_on))

    def _clear(self) -> None:
        self.search.clear_now()
        self.favourites_button.setChecked(False)

    # -- the chosen rows ----------------------------------------------------------------------

    @property
    def chosen(self) -> Play | None:
        """The play that the keyboard is on."""
        row: Play | None = self.chosen_row.row
        return row

    def show_row(self, row: Play) -> None:
        self.details.show_play(row)

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
        self.actions_.delete(self.model.ids_in(self.table.selected_spans()))

    def row_menu(self, row: Play, row_number: int) -> Sequence[MenuEntry]:  # noqa: ARG002
        at = wording.clock(row.offset_s)
        star = "No longer a favourite" if row.is_favourite else "Favourite"
        return (
            ("play", f"Play from {at}", lambda: self.play_track(row), row.path is not None),
            ("wave", "Play what was heard", lambda: self.play_clip(row), row.clip is not None),
            ("edit", "Name or edit (F2)", self.edit_selected, True),
            ("star", star, lambda: self._toggle_star(row), True),
            ("trash", "Delete", self.delete_selected, True),
        )

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
        # What is chosen now, whatever is heard while one thinks of a name.
        ids = self.model.ids_in(spans or [(0, self.model.rowCount() - 1)])
        where = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.DocumentsLocation)
        folder = Path(where) if where and Path(where).is_dir() else Path.home()
        words = FORMATS[fmt][0].rstrip("…")
        dialog = QFileDialog(self.window(), f"Export: {words}", str(folder))
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setNameFilters([f"{words} (*.{fmt})"])
        dialog.setDefaultSuffix(fmt)
        dialog.selectFile(file_name(fmt))
        dialog.fileSelected.connect(lambda name: self.actions_.export(ids, Path(name), fmt))
        dialog.finished.connect(self._drop_file_dialog)
        self._file_dialog = dress(dialog)
        dialog.open()
