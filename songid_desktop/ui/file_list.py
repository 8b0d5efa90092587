"""Several files that were opened or dropped, with the answer to each: where the picture stands
while one listens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QRect, Qt, Signal
from PySide6.QtGui import QPainter, QResizeEvent
from PySide6.QtWidgets import QFrame, QHeaderView, QWidget

from songid_desktop.identify.registry import DEFAULT_IDENTIFIER
from songid_desktop.types import Identification, Track, Verdict
from songid_desktop.ui import answer_words, icons, theme
from songid_desktop.ui.controls import ElidedLabel, column, icon_button, row
from songid_desktop.ui.paged_model import ROW_ROLE, Index
from songid_desktop.ui.row_table import RowDelegate, RowTable, SortHeader, draw_text
from songid_desktop.ui.theme import Gap, Size, Type
from songid_desktop.ui.wording import identifier, joined, percent, plural

_SURE_WIDTH = 72
_FILE_SHARE = 0.42


class FileState(StrEnum):
    """How far a file is."""

    WAITING = "waiting"
    READING = "reading"
    DONE = "done"
    DROPPED = "dropped"
    """Never looked at: the rest was cancelled."""


@dataclass(slots=True)
class FileRow:
    """A file and what is known about it."""

    path: Path
    state: FileState = FileState.WAITING
    found: Identification | None = None
    track: Track | None = None
    """The best candidate's track, once it was looked up."""
    error: str = ""

    @property
    def is_named(self) -> bool:
        found = self.found
        return (
            found is not None
            and found.verdict in (Verdict.MATCH, Verdict.UNSURE)
            and found.best is not None
        )

    @property
    def answer(self) -> str:
        """The answer in a few words."""
        if self.error:
            return "That did not work"
        if self.found is None:
            return _STATE_WORDS[self.state]
        if self.is_named:
            track = self.track
            return joined([track.title, track.artist]) if track is not None else "…"
        is_empty = self.found.verdict is Verdict.EMPTY_CATALOG
        if is_empty and self.found.identifier != DEFAULT_IDENTIFIER:
            return f"{identifier(self.found.identifier)} knows no track yet"
        return answer_words.for_file(self.found).heading

    @property
    def sure(self) -> str:
        """The probability; empty where nothing is named."""
        best = self.found.best if self.found is not None else None
        return percent(best.confidence) if best is not None and self.is_named else ""

    @property
    def reason(self) -> str:
        """The whole sentence behind the answer."""
        return self.error or (self.found.message if self.found is not None else "")


_STATE_WORDS = {
    FileState.WAITING: "Waiting",
    FileState.READING: "Reading…",
    FileState.DONE: "",
    FileState.DROPPED: "Not looked at",
}


class Column(IntEnum):
    """Columns of the list."""

    FILE = 0
    ANSWER = 1
    SURE = 2


_HEADERS = {Column.FILE: "File", Column.ANSWER: "What it is", Column.SURE: "Sure"}


class FileModel(QAbstractTableModel):
    """The files in the order they were given."""

    def __init__(self) -> None:
        super().__init__()
        self.files: list[FileRow] = []

    def start(self, files: Sequence[FileRow]) -> None:
        self.beginResetModel()
        self.files = list(files)
        self.endResetModel()

    def add(self, files: Sequence[FileRow]) -> None:
        first = len(self.files)
        self.beginInsertRows(QModelIndex(), first, first + len(files) - 1)
        self.files.extend(files)
        self.endInsertRows()

    def touch(self, number: int) -> None:
        """A row has changed."""
        self.dataChanged.emit(self.index(number, 0), self.index(number, len(Column) - 1))

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008  (Qt's signature)
        return 0 if parent.isValid() else len(self.files)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(Column)

    def headerData(
        self,
        section: int,
        orientation: Qt.Orientation,
        role: int = Qt.ItemDataRole.DisplayRole,
    ) -> Any:
        if orientation is Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return _HEADERS[Column(section)]
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        file = self.files[index.row()]
        if role == ROW_ROLE:
            return file
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return (file.path.name, file.answer, file.sure)[index.column()]
        if role == Qt.ItemDataRole.ToolTipRole:
            parts = [str(file.path)] if index.column() == Column.FILE else [file.answer]
            return joined([*parts, file.reason], "\n")
        return None


class FileTable(RowTable):
    """One row a file."""

    def __init__(self, model: FileModel) -> None:
        super().__init__()
        self.setAccessibleName("Files and what they are")
        self.setModel(model)
        self._delegate = _FileDelegate(self)
        self.setItemDelegate(self._delegate)
        self.setSelectionMode(RowTable.SelectionMode.SingleSelection)
        header = self.horizontalHeader()
        assert isinstance(header, SortHeader)
        header.setSectionsClickable(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        left = self.viewport().width() - _SURE_WIDTH
        first = int(left * _FILE_SHARE)
        for each, wide in zip(Column, (first, left - first, _SURE_WIDTH), strict=True):
            self.setColumnWidth(each, wide)


class _FileDelegate(RowDelegate):
    def paint_cell(self, painter: QPainter, area: QRect, index: Index) -> None:
        file: FileRow = index.data(ROW_ROLE)
        text = str(index.data())
        if index.column() == Column.FILE:
            scale = self._table.devicePixelRatioF()
            sign = icons.pixmap("file-audio", "muted", Size.ICON, scale)
            top = area.center().y() - Size.ICON // 2 + 1
            painter.drawPixmap(area.left(), top, sign)
            draw_text(painter, area.adjusted(Size.ICON + Gap.S, 0, 0, 0), text)
        elif index.column() == Column.SURE:
            is_match = file.found is not None and file.found.verdict is Verdict.MATCH
            draw_text(painter, area, text, "ok" if is_match else "warn", strong=True, is_right=True)
        else:
            is_bad = bool(file.error) or (
                file.found is not None and file.found.verdict is Verdict.ERROR
            )
            role = "text" if file.is_named else "bad" if is_bad else "muted"
            draw_text(painter, area, text, role, strong=file.is_named)


class FileList(QFrame):
    """The table, a line that sums it up, and the way back to the picture."""

    chosen = Signal(int)
    """A row was chosen by hand."""
    opened = Signal(int)
    """Enter or a double-click on a row."""
    closed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        theme.set_role(self, "card")
        self.model = FileModel()
        self.table = FileTable(self.model)
        self._is_leading = False
        self.summary = ElidedLabel(size=Type.CARD, strong=True)
        self.close_button = icon_button(
            "close", "Back to the picture", "Close the list (Esc)", self.closed.emit
        )
        head = row(gap=Gap.S)
        head.setContentsMargins(Gap.M, Gap.XS, Gap.XS, Gap.XS)
        head.addWidget(self.summary, 1)
        head.addWidget(self.close_button)
        layout = column(1, gap=0)
        layout.addLayout(head)
        layout.addWidget(self.table, 1)
        self.setLayout(layout)
        self.table.row_opened.connect(self.opened)
        self.table.selectionModel().currentRowChanged.connect(self._follow_choice)
        # A click on the row that it has led to itself says: this one, and no further.
        self.table.clicked.connect(lambda index: self.chosen.emit(index.row()))

    @property
    def files(self) -> list[FileRow]:
        return self.model.files

    def show_files(self, files: Sequence[FileRow]) -> None:
        """Begin anew."""
        self.model.start(files)
        self.refresh_summary()

    def add_files(self, files: Sequence[FileRow]) -> None:
        """More have come."""
        self.model.add(files)
        self.refresh_summary()

    def touch(self, number: int) -> None:
        """What is known about a file has changed."""
        self.model.touch(number)
        self.refresh_summary()

    def lead_to(self, number: int) -> None:
        """Go to a row without anybody having chosen it."""
        self._is_leading = True
        self.table.go_to(number)
        self._is_leading = False

    def _follow_choice(self, now: QModelIndex, _before: QModelIndex) -> None:
        if now.isValid() and not self._is_leading:
            self.chosen.emit(now.row())

    def refresh_summary(self) -> None:
        """The whole list in a line."""
        self.summary.setText(summary(self.files))


def summary(files: Sequence[FileRow]) -> str:
    """ "8 files: 5 named, 2 not in your library, 1 can't be read"; while it goes on, how far."""
    kinds = Counter(_kind(file) for file in files)
    parts = [
        f"{kinds['named']:,} named" if kinds["named"] else "",
        f"{kinds['unknown']:,} not in your library" if kinds["unknown"] else "",
        f"{kinds['other']:,} without an answer" if kinds["other"] else "",
        f"{kinds['bad']:,} can't be read" if kinds["bad"] else "",
        f"{kinds['dropped']:,} not looked at" if kinds["dropped"] else "",
        f"{kinds['open']:,} to go" if kinds["open"] else "",
    ]
    return f"{plural(len(files), 'file')}: {joined(parts, ', ')}"


def _kind(file: FileRow) -> str:
    if file.error:
        return "bad"
    if file.found is None:
        return "dropped" if file.state is FileState.DROPPED else "open"
    if file.is_named:
        return "named"
    kinds = {Verdict.NO_MATCH: "unknown", Verdict.ERROR: "bad"}
    return kinds.get(file.found.verdict, "other")
