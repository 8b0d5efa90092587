"""The table of the History page: when, what, how surely, where in the track, for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QRect, Signal
from PySide6.QtGui import QMouseEvent, QPainter
from PySide6.QtWidgets import QWidget

from songid_desktop.types import Verdict
from songid_desktop.ui import icons, paint_kit, wording
from songid_desktop.ui.column_table import ColumnTable
from songid_desktop.ui.history_model import (
    Column,
    HistoryModel,
    cell_text,
    cover_words,
    is_named,
    title_of,
)
from songid_desktop.ui.paged_model import ROW_ROLE, Index
from songid_desktop.ui.row_table import RowDelegate, draw_gap, draw_text
from songid_desktop.ui.theme import Gap, Type
from songid_desktop.ui.track_table import COVER, cover_box, draw_cover

if TYPE_CHECKING:
    from songid_desktop.catalog.records import Play
    from songid_desktop.ui.thumbnails import Thumbnails

_WIDTHS = {
    Column.WHEN: 88,
    Column.SURE: 188,
    Column.OFFSET: 60,
    Column.HEARD: 60,
    Column.IDENTIFIER: 96,
    Column.MARKS: 72,
}
_HIDE_BELOW = {
    Column.IDENTIFIER: 1060,
    Column.SOURCE: 940,
    Column.ARTIST: 760,
    Column.HEARD: 640,
    Column.OFFSET: 560,
    Column.MARKS: 380,
}
_NUMBER_ALONE_BELOW = 680
_NUMBER_WIDTH = 72
_SHARES = {Column.TITLE: 4.0, Column.ARTIST: 2.4, Column.SOURCE: 2.0}
_GAP_SHARES = {Column.WHEN: 0.5, Column.TITLE: 0.7, Column.ARTIST: 0.6, Column.SURE: 0.6}
MARK = 18
_STEP = MARK + Gap.S


class HistoryTable(ColumnTable):
    """Plays; the star is clicked in its row."""

    hide_below = _HIDE_BELOW
    shares = _SHARES

    star_clicked = Signal(int)
    """Row whose star was clicked."""

    def __init__(
        self, model: HistoryModel, covers: Thumbnails, parent: QWidget | None = None
    ) -> None:
        super().__init__(model, "What was heard", parent)
        self._delegate = PlayDelegate(self, covers)
        self.setItemDelegate(self._delegate)
        covers.arrived.connect(self.viewport().update)

    def widths(self, room: int) -> dict[Column, int]:
        is_short = room < _NUMBER_ALONE_BELOW
        return {**_WIDTHS, Column.SURE: _NUMBER_WIDTH} if is_short else {**_WIDTHS}

    def mousePressEvent(self, event: QMouseEvent) -> None:
        index = self.indexAt(event.position().toPoint())
        is_star = index.isValid() and index.column() == Column.MARKS
        left = self.columnViewportPosition(Column.MARKS)
        if is_star and event.position().x() < left + Gap.S + _STEP:
            self.star_clicked.emit(index.row())
            return
        super().mousePressEvent(event)


class PlayDelegate(RowDelegate):
    """Paints the cells of plays."""

    def __init__(self, table: HistoryTable, covers: Thumbnails) -> None:
        super().__init__(table)
        self._covers = covers

    def paint_cell(self, painter: QPainter, area: QRect, index: Index) -> None:
        play: Play | None = index.data(ROW_ROLE)
        column = Column(index.column())
        if play is None:
            if column in _GAP_SHARES:
                draw_gap(painter, area, _GAP_SHARES[column])
        elif column is Column.TITLE:
            self._paint_title(painter, area, play)
        elif column is Column.WHEN:
            when, day = wording.moment(play.started_at), wording.short_day(play.started_at)
            draw_two(painter, area, when, day)
        elif column is Column.SURE:
            self._paint_sure(painter, area, play)
        elif column is Column.MARKS:
            self._paint_marks(painter, area, play, is_here=index.row() == self._table.hovered_row)
        else:
            role = "text" if column is Column.ARTIST else "muted"
            is_right = column in (Column.OFFSET, Column.HEARD)
            draw_text(painter, area, cell_text(play, column), role, is_right=is_right)

    def _paint_title(self, painter: QPainter, area: QRect, play: Play) -> None:
        scale = self._table.devicePixelRatioF()
        picture = self._covers.for_play(play.track_id, cover_words(play), scale)
        draw_cover(painter, cover_box(area), picture)
        text_area = area.adjusted(COVER + Gap.M, 0, 0, 0)
        role = "text" if play.title else "muted"
        if self._table.isColumnHidden(Column.ARTIST) and play.artist:
            draw_two(painter, text_area, title_of(play), play.artist, strong=True)
        else:
            draw_text(painter, text_area, title_of(play), role, strong=True)

    def _paint_sure(self, painter: QPainter, area: QRect, play: Play) -> None:
        words = wording.sureness(play.verdict, play.confidence)
        is_short = area.width() < _NUMBER_WIDTH
        if not is_named(play):
            draw_text(painter, area, "" if is_short else words, "muted")
            return
        number = wording.percent(play.confidence)
        metrics_room = paint_kit.elided(">99 %", 999, strong=True)[1] + Gap.S
        if not is_short:
            draw_text(painter, area.adjusted(0, 0, -metrics_room, 0), words)
        role = "ok" if play.verdict == Verdict.MATCH else "warn"
        draw_text(painter, area, number, role, strong=True, is_right=not is_short)

    def _paint_marks(self, painter: QPainter, area: QRect, play: Play, *, is_here: bool) -> None:
        scale = self._table.devicePixelRatioF()
        top = area.center().y() - MARK // 2 + 1
        if play.is_favourite or is_here:
            name = "star-filled" if play.is_favourite else "star"
            role = "warn" if play.is_favourite else "muted"
            painter.drawPixmap(area.left(), top, icons.pixmap(name, role, MARK, scale))
        if play.clip is not None:
            sign = icons.pixmap("wave", "muted", MARK, scale)
            painter.drawPixmap(area.left() + _STEP, top, sign)


def draw_two(
    painter: QPainter, area: QRect, upper: str, lower: str, *, strong: bool = False
) -> None:
    """Two lines in one row."""
    half = area.height() // 2
    draw_text(painter, area.adjusted(0, 4, 0, 2 - half), upper, strong=strong)
    draw_text(painter, area.adjusted(0, half - 2, 0, -4), lower, "muted", size=Type.CAPTION)
