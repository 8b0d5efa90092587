"""The table of the Library page: cover and title, artist, album, genre, length, and the state for
each identifier: a chip where there is one, a column of signs for each of several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, QRect, QRectF, Qt
from PySide6.QtGui import QPainter, QPainterPath, QPen, QPolygonF
from PySide6.QtWidgets import QWidget

from songid_desktop.types import EnrolState, IdentifierState, Track
from songid_desktop.ui import icons, paint_kit, wording
from songid_desktop.ui.column_table import ColumnTable
from songid_desktop.ui.library_model import Column, LibraryModel, cell_text, state_of
from songid_desktop.ui.paged_model import ROW_ROLE, Index
from songid_desktop.ui.row_table import (
    CELL_PAD,
    SORT_SIGN,
    RowDelegate,
    draw_gap,
    draw_text,
)
from songid_desktop.ui.theme import Gap, Size, Type

if TYPE_CHECKING:
    from songid_desktop.catalog.records import ProblemFile
    from songid_desktop.ui.thumbnails import Thumbnails

COVER = 32
CHIP_HEIGHT = 22
CHIP_SIGN = 8
WIDTH_DURATION = 76
WIDTH_CHIP = 96
WIDTH_SIGN = 24
WIDTH_FLAGS = 48
WIDTH_NAME_LEAST = 56
OTHERS_BELOW = 620
"""Under this width of the table (px) only the chosen identifier keeps its column."""
HIDE_BELOW = {Column.GENRE: 820, Column.ALBUM: 660, Column.ARTIST: 480, Column.DURATION: 360}
"""Under these widths of the table (px) a column goes; without its column the artist stands under
the title."""
SHARES = {Column.TITLE: 4.0, Column.ARTIST: 2.4, Column.ALBUM: 2.4, Column.GENRE: 1.3}
_GAP_SHARES = {Column.TITLE: 0.7, Column.ARTIST: 0.6, Column.ALBUM: 0.5, Column.STATE: 0.4}


class TrackTable(ColumnTable):
    """The library's rows."""

    hide_below = HIDE_BELOW
    shares = SHARES

    def __init__(self, model: LibraryModel, covers: Thumbnails, parent: QWidget | None = None):
        super().__init__(model, "Tracks", parent)
        self.library = model
        self._delegate = TrackDelegate(self, covers)
        self.setItemDelegate(self._delegate)
        self._state_width = WIDTH_CHIP + WIDTH_SIGN + 2 * CELL_PAD
        self._chosen = ""
        covers.arrived.connect(self.viewport().update)

    def make_room(self, chips: int) -> None:
        """Make the state column wide enough for that many chips."""
        wide = max(1, chips) * WIDTH_CHIP + WIDTH_SIGN + 2 * CELL_PAD
        if wide != self._state_width:
            self._state_width = wide
            self.spread()

    def show_identifiers(self, names: Sequence[str], chosen: str) -> None:
        """Give each of several identifiers a column; in a narrow table `chosen` alone has one."""
        self._chosen = chosen
        if self.library.set_identifiers(names):
            self.take_headers()
        self.spread()

    def widths(self, room: int) -> dict[int, int]:
        identifiers = self.library.identifiers
        found: dict[int, int] = {
            Column.STATE: WIDTH_FLAGS if identifiers else self._state_width,
            Column.DURATION: WIDTH_DURATION,
        }
        for place, name in enumerate(identifiers, len(Column)):
            self.setColumnHidden(place, room < OTHERS_BELOW and name != self._chosen)
            word = paint_kit.metrics(Type.CAPTION, strong=True).horizontalAdvance(
                wording.identifier(name)
            )
            wide = word + 2 * CELL_PAD + SORT_SIGN + Gap.XS
            found[place] = max(WIDTH_NAME_LEAST, wide)
        return found

    def free_room(self, room: int, widths: Mapping[int, int]) -> int:
        """The room there would be with one chip a row."""
        if not self.library.identifiers:
            return room
        names = sum(
            wide
            for column, wide in widths.items()
            if column >= len(Column) and not self.isColumnHidden(column)
        )
        return room - max(0, names + WIDTH_FLAGS - self._state_width)


class TrackDelegate(RowDelegate):
    """Paints the cells of tracks and of files that failed."""

    def __init__(self, table: TrackTable, covers: Thumbnails) -> None:
        super().__init__(table)
        self._tracks = table
        self._covers = covers

    def paint_cell(self, painter: QPainter, area: QRect, index: Index) -> None:
        row = index.data(ROW_ROLE)
        name = self._tracks.library.identifier_of(index.column())
        if name:
            self._paint_sign(painter, area, state_of(row, name))
            return
        column = Column(index.column())
        if row is None:
            self._paint_gap(painter, area, column)
        elif column is Column.TITLE:
            self._paint_title(painter, area, row)
        elif column is Column.STATE and self._tracks.library.identifiers:
            self._paint_flags(painter, area, row)
        elif column is Column.STATE:
            self._paint_state(painter, area, row)
        else:
            role = "text" if column is Column.ARTIST else "muted"
            if not isinstance(row, Track):
                role = "bad"
            elif row.is_missing:
                role = "muted"
            is_right = column is Column.DURATION
            draw_text(painter, area, cell_text(row, column), role, is_right=is_right)

    def _paint_gap(self, painter: QPainter, area: QRect, column: Column) -> None:
        if column is Column.TITLE:
            box = cover_box(area)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(paint_kit.colour("track"))
            painter.drawRoundedRect(box, Gap.XS, Gap.XS)
            area = area.adjusted(COVER + Gap.M, 0, 0, 0)
        if column in _GAP_SHARES:
            draw_gap(painter, area, _GAP_SHARES[column])

    def _paint_title(self, painter: QPainter, area: QRect, row: Track | ProblemFile) -> None:
        box = cover_box(area)
        scale = self._table.devicePixelRatioF()
        if isinstance(row, Track):
            draw_cover(painter, box, self._covers.pixmap(row, scale), is_faint=row.is_missing)
        else:
            sign = icons.pixmap("file-audio", "muted", Size.ICON, scale)
            inset = (COVER - Size.ICON) // 2
            painter.drawPixmap(box.left() + inset, box.top() + inset, sign)
        text_area = area.adjusted(COVER + Gap.M, 0, 0, 0)
        title = cell_text(row, Column.TITLE)
        under = cell_text(row, Column.ARTIST)
        is_faint = not isinstance(row, Track) or row.is_missing
        role = "muted" if is_faint else "text"
        if self._table.isColumnHidden(Column.ARTIST) and under:
            half = area.height() // 2
            upper = text_area.adjusted(0, 4, 0, 2 - half)
            lower = text_area.adjusted(0, half - 2, 0, -4)
            draw_text(painter, upper, title, role, strong=True)
            under_role = "muted" if isinstance(row, Track) else "bad"
            draw_text(painter, lower, under, under_role, size=Type.CAPTION)
        else:
            draw_text(painter, text_area, title, role, strong=True)

    def _paint_state(self, painter: QPainter, area: QRect, row: Track | ProblemFile) -> None:
        left = area.left()
        if not isinstance(row, Track):
            draw_chip(painter, area, left, "Not enrolled", "failed", "bad")
            return
        if row.is_missing:
            left += draw_chip(painter, area, left, "Missing", "missing", "warn") + Gap.XS
        for state in row.states:
            word, role = wording.identifier(state.identifier), _STATE_ROLES[state.state]
            left += draw_chip(painter, area, left, word, state.state, role) + Gap.XS
        if not row.states and not row.is_missing:
            left += draw_chip(painter, area, left, "Pending", "pending", "muted") + Gap.XS
        if row.warning and left + Size.ICON <= area.right():
            scale = self._table.devicePixelRatioF()
            top = area.center().y() - 7
            painter.drawPixmap(left + 2, top, icons.pixmap("warning", "warn", 16, scale))

    def _paint_sign(self, painter: QPainter, area: QRect, state: IdentifierState | None) -> None:
        """The state for one identifier, below the first letter of its name."""
        if state is None:
            return
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        centre = QPointF(area.left() + CHIP_SIGN / 2 + Gap.XS, area.center().y() + 0.5)
        draw_sign(painter, centre, state.state, _STATE_ROLES[state.state])

    def _paint_flags(self, painter: QPainter, area: QRect, row: Track | ProblemFile) -> None:
        """What is out of the ordinary about a file."""
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        centre = QPointF(area.left() + CHIP_SIGN, area.center().y() + 0.5)
        if not isinstance(row, Track):
            draw_sign(painter, centre, EnrolState.FAILED, "bad")
        elif row.is_missing:
            draw_sign(painter, centre, "missing", "warn")
        elif row.warning:
            sign = icons.pixmap("warning", "warn", 16, self._table.devicePixelRatioF())
            painter.drawPixmap(area.left(), area.center().y() - 7, sign)


_STATE_ROLES = {
    EnrolState.ENROLLED: "ok",
    EnrolState.PENDING: "muted",
    EnrolState.FAILED: "bad",
}


def cover_box(area: QRect) -> QRect:
    """Where the cover goes in a row's first cell."""
    return QRect(area.left(), area.top() + (area.height() - COVER) // 2, COVER, COVER)


def draw_cover(painter: QPainter, box: QRect, picture: object, *, is_faint: bool = False) -> None:
    """A cover with round corners; faint where the file is missing."""
    from PySide6.QtGui import QPixmap

    assert isinstance(picture, QPixmap)
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
    path = QPainterPath()
    path.addRoundedRect(QRectF(box), Gap.XS, Gap.XS)
    painter.setClipPath(path)
    painter.setOpacity(0.45 if is_faint else 1.0)
    painter.drawPixmap(box, picture)
    painter.restore()


def draw_chip(  # noqa: PLR0917  (a painter's helper, called in one line each)
    painter: QPainter, area: QRect, left: int, word: str, sign: str, role: str
) -> int:
    """A chip: ring, dot or triangle, and a word; its width (px). Shape and word carry the meaning,
    colour only helps."""
    room = area.right() + 1 - left
    fixed = Gap.S + CHIP_SIGN + Gap.XS + 2 + Gap.S
    if room < fixed + 12:
        return 0
    text, text_wide = paint_kit.elided(word, room - fixed, Type.CAPTION)
    wide = fixed + text_wide
    top = area.top() + (area.height() - CHIP_HEIGHT) // 2
    box = QRectF(left + 0.5, top + 0.5, wide - 1, CHIP_HEIGHT - 1)
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(paint_kit.colour("line"), Size.LINE))
    painter.setBrush(paint_kit.colour("surface"))
    painter.drawRoundedRect(box, CHIP_HEIGHT / 2, CHIP_HEIGHT / 2)
    draw_sign(painter, QPointF(left + Gap.S + CHIP_SIGN / 2, box.center().y()), sign, role)
    painter.setFont(paint_kit.font(Type.CAPTION))
    painter.setPen(paint_kit.colour("text" if role != "muted" else "muted"))
    text_left = left + Gap.S + CHIP_SIGN + Gap.XS + 2
    text_area = QRect(text_left, top, int(wide), CHIP_HEIGHT)
    painter.drawText(text_area, int(Qt.AlignmentFlag.AlignVCenter), text)
    painter.restore()
    return wide


def draw_sign(painter: QPainter, centre: QPointF, sign: str, role: str) -> None:
    """Ring: pending. Dot: enrolled. Triangle: failed. Dashed ring: missing."""
    colour = paint_kit.colour(role)
    half = CHIP_SIGN / 2
    if sign == EnrolState.ENROLLED:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colour)
        painter.drawEllipse(centre, half, half)
        return
    painter.setBrush(Qt.BrushStyle.NoBrush)
    if sign == EnrolState.FAILED:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colour)
        x, y = centre.x(), centre.y()
        corners = [(x, y - half - 0.5), (x + half + 1, y + half), (x - half - 1, y + half)]
        painter.drawPolygon(QPolygonF([QPointF(*corner) for corner in corners]))
        return
    pen = QPen(colour, 1.5)
    if sign == "missing":
        pen.setDashPattern([1.6, 1.4])
    painter.setPen(pen)
    painter.drawEllipse(centre, half - 0.75, half - 0.75)
