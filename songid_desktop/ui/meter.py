"""The level of the live sound: a bar of segments in dBFS with peak hold, a clip mark and the
number. Shape tells what colour tells: the clip mark is a word, the hold a line of its own."""

from __future__ import annotations

import time

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QFontMetrics, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from songid_desktop.audio.levels import FLOOR_DBFS, Level
from songid_desktop.ui import theme
from songid_desktop.ui.spectrogram_axes import MINUS
from songid_desktop.ui.theme import Gap, Size, Type

LOW_DBFS = -60.0
WARN_DBFS = -6.0
HOLD_S = 1.5
CLIP_SHOWN_S = 2.0
_FALL_DB_PER_S = 26.0
_TEXT_EVERY_S = 0.2
_SEGMENT, _SEGMENT_GAP = 7, 2


def share(level_dbfs: float) -> float:
    """How far the bar reaches, 0 … 1."""
    return min(1.0, max(0.0, (level_dbfs - LOW_DBFS) / -LOW_DBFS))


class LevelMeter(QWidget):
    """Give it each block's level; it falls by itself at the rate meters fall."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._shown_dbfs = FLOOR_DBFS
        self._hold_dbfs = FLOOR_DBFS
        self._hold_until = 0.0
        self._clip_until = 0.0
        self._text = ""
        self._text_at = 0.0
        self._loudest_dbfs = FLOOR_DBFS
        self._is_on = False
        self._seen: tuple[object, ...] = ()
        self.setFixedHeight(Size.CONTROL)
        self.setMinimumWidth(120)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        theme.set_font(self, Type.CAPTION)
        self.setAccessibleName("Sound level")
        self.setToolTip("Sound level. It should move with the music and stay below 0 dB.")

    def sizeHint(self) -> QSize:
        return QSize(260, Size.CONTROL)

    @property
    def text(self) -> str:
        """What the number says."""
        return self._text

    @property
    def is_clipping(self) -> bool:
        """Whether the clip mark is lit."""
        return time.monotonic() < self._clip_until

    @property
    def shown_dbfs(self) -> float:
        return self._shown_dbfs

    def take(self, level: Level, elapsed_s: float) -> None:
        """The level of the newest block, `elapsed_s` after the last one."""
        now = time.monotonic()
        self._is_on = True
        fallen = self._shown_dbfs - _FALL_DB_PER_S * elapsed_s
        self._shown_dbfs = max(level.rms_dbfs, fallen, FLOOR_DBFS)
        if level.peak_dbfs >= self._hold_dbfs or now > self._hold_until:
            self._hold_dbfs = level.peak_dbfs
            self._hold_until = now + HOLD_S
        if level.clipped_fraction > 0.0:
            self._clip_until = now + CLIP_SHOWN_S
        self._loudest_dbfs = max(self._loudest_dbfs, level.rms_dbfs)
        if now - self._text_at >= _TEXT_EVERY_S:
            self._say(self._loudest_dbfs, now)
            self._loudest_dbfs = FLOOR_DBFS
        self._update_if_changed()

    def _update_if_changed(self) -> None:
        """Repaint only for another segment, number or mark: most frames change none."""
        step = round(share(self._shown_dbfs) * 200)
        seen = (step, round(share(self._hold_dbfs) * 200), self._text, self.is_clipping)
        if seen != self._seen:
            self._seen = seen
            self.update()

    def clear(self) -> None:
        """Not listening."""
        self._is_on = False
        self._shown_dbfs = self._hold_dbfs = self._loudest_dbfs = FLOOR_DBFS
        self._clip_until = 0.0
        self._text = ""
        self._seen = ()
        self.setAccessibleDescription("Not listening")
        self.update()

    def _say(self, level_dbfs: float, now: float) -> None:
        self._text_at = now
        is_silent = level_dbfs <= FLOOR_DBFS
        self._text = "silent" if is_silent else f"{level_dbfs:.0f} dB".replace("-", MINUS)
        clip = ", clipping" if self.is_clipping else ""
        self.setAccessibleDescription(f"{self._text}{clip}")

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        painter = QPainter(self)
        metrics = QFontMetrics(self.font())
        number = metrics.horizontalAdvance(f"{MINUS}120 dB")
        clip = metrics.horizontalAdvance("Clip") + 2 * Gap.XS
        bar_right = self.width() - number - clip - 2 * Gap.S
        self._paint_bar(painter, bar_right)
        middle = Qt.AlignmentFlag.AlignVCenter.value
        right = Qt.AlignmentFlag.AlignRight.value
        painter.setPen(theme.colour("muted" if not self._is_on else "text"))
        painter.drawText(
            QRectF(self.width() - number, 0, number, self.height()), middle | right, self._text
        )
        if self.is_clipping:
            box = QRectF(bar_right + Gap.S, (self.height() - 18) / 2, clip, 18)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme.colour("bad"))
            painter.drawRoundedRect(box, 4, 4)
            painter.setPen(theme.colour("on_bad"))
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter, "Clip")

    def _paint_bar(self, painter: QPainter, right: int) -> None:
        top = (self.height() - Size.METER) // 2
        pitch = _SEGMENT + _SEGMENT_GAP
        count = max(1, (right + _SEGMENT_GAP) // pitch)
        lit = share(self._shown_dbfs) * count
        held = round(share(self._hold_dbfs) * count) - 1
        warn_from = share(WARN_DBFS) * count
        track, ok, warn = (theme.colour(role) for role in ("track", "ok", "warn"))
        for i in range(count):
            colour = track
            if self._is_on and i < lit:
                colour = warn if i >= warn_from else ok
            elif self._is_on and i == held:
                colour = theme.colour("bad" if self._hold_dbfs > -0.1 else "muted")
            painter.fillRect(i * pitch, top, _SEGMENT, Size.METER, colour)
