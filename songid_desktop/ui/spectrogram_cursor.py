"""The cursor over the spectrogram: where arrows take it, and what it reads."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QRect, Qt

from songid_desktop.ui import spectrogram_axes as axes
from songid_desktop.ui.spectrogram_picture import Picture
from songid_desktop.ui.spectrogram_stream import SPAN_S, SpectrogramStream

STEP_PX, LEAP_PX = 1, 20
_MOVES = {
    Qt.Key.Key_Left: (-1, 0),
    Qt.Key.Key_Right: (1, 0),
    Qt.Key.Key_Up: (0, -1),
    Qt.Key.Key_Down: (0, 1),
}


def moved(at: QPoint | None, key: int, area: QRect, *, is_leap: bool) -> QPoint | None:
    """Where an arrow key takes the cursor, within `area`; None for another key."""
    move = _MOVES.get(Qt.Key(key))
    if move is None:
        return None
    start = at or area.center()
    step = LEAP_PX if is_leap else STEP_PX
    return QPoint(
        min(max(start.x() + move[0] * step, area.left()), area.right()),
        min(max(start.y() + move[1] * step, area.top()), area.bottom()),
    )


def readout(
    at: QPoint, area: QRect, picture: Picture, stream: SpectrogramStream, right_column: float
) -> str:
    """Hertz, note, level and time at a point of the picture's `area`."""
    row = (area.bottom() + 0.5 - at.y()) * picture.height / area.height() - 0.5
    share = (at.x() + 0.5 - area.left()) / area.width()
    column = right_column - picture.width * (1.0 - share)
    value_hz = float(stream.axis.hz_of(row))
    parts = (
        axes.exact_hertz(value_hz),
        axes.note(value_hz),
        axes.decibels(picture.db_at(column, row)),
        axes.ago((1.0 - share) * SPAN_S),
    )
    return "   ".join(part for part in parts if part)
