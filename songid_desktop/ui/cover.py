"""Cover art in rounded corners, with a stand-in drawn from the title when there is none.

The stand-in is a small constellation: its hue and points come from the letters, so a track always
looks the same and two tracks rarely do.
"""

from __future__ import annotations

import hashlib
import math
from functools import lru_cache

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPainterPath, QPaintEvent, QPen, QPixmap
from PySide6.QtWidgets import QWidget

from songid_desktop.ui import theme
from songid_desktop.ui.theme import Size


def decode(data: bytes | None, side: int) -> QImage | None:
    """Cover bytes as an image of `side` device pixels, cut square; None when they are no picture.
    Runs on a job thread: QImage may be used there, QPixmap may not."""
    if not data:
        return None
    image = QImage.fromData(data)
    if image.isNull():
        return None
    scaled = image.scaled(
        side,
        side,
        Qt.AspectRatioMode.KeepAspectRatioByExpanding,
        Qt.TransformationMode.SmoothTransformation,
    )
    return scaled.copy((scaled.width() - side) // 2, (scaled.height() - side) // 2, side, side)


def initials(title: str) -> str:
    """One or two letters that stand for a title."""
    words = [word for word in title.split() if word[0].isalnum()]
    if not words:
        return title[:1].upper()
    first = words[0][0]
    is_wide = ord(first) > 0x2E80  # one CJK sign says more than two
    return first if is_wide or len(words) == 1 else (first + words[1][0]).upper()


@lru_cache(maxsize=512)
def stand_in(title: str, side: int, scale: float, theme_name: str) -> QPixmap:
    """The drawn cover of a title; `side` in logical pixels."""
    seed = hashlib.sha256(title.casefold().encode("utf-8", "replace")).digest()
    hue = seed[0] / 256
    is_dark = theme_name == theme.DARK.name
    back = QColor.fromHslF(hue, 0.32, 0.24 if is_dark else 0.82)
    ink = QColor.fromHslF(hue, 0.45, 0.80 if is_dark else 0.27)
    pixmap = QPixmap(round(side * scale), round(side * scale))
    pixmap.setDevicePixelRatio(scale)
    pixmap.fill(back)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    _draw_constellation(painter, side, seed, ink)
    painter.setPen(ink)
    painter.setFont(theme.font(max(12, round(side * 0.34)), theme.Type.STRONG))
    painter.drawText(QRectF(0, 0, side, side), Qt.AlignmentFlag.AlignCenter, initials(title))
    painter.end()
    return pixmap


def _draw_constellation(painter: QPainter, side: int, seed: bytes, ink: QColor) -> None:
    faint = QColor(ink)
    faint.setAlphaF(0.30)
    points = []
    for i in range(5):
        angle = 2 * math.pi * (i + seed[2 * i + 1] / 256) / 5
        reach = side * (0.36 + 0.11 * seed[2 * i + 2] / 256)
        points.append(
            QPointF(side / 2 + reach * math.cos(angle), side / 2 + reach * math.sin(angle))
        )
    painter.setPen(QPen(faint, max(1.0, side / 80)))
    painter.drawPolyline(points)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(faint)
    for point in points:
        painter.drawEllipse(point, side / 30, side / 30)


class Cover(QWidget):
    """One cover."""

    def __init__(self, side: int = Size.COVER) -> None:
        super().__init__()
        self._side = side
        self._title = ""
        self._image: QImage | None = None
        self.setFixedSize(side, side)
        self.setAccessibleName("Cover")

    def sizeHint(self) -> QSize:
        return QSize(self._side, self._side)

    def show_title(self, title: str) -> None:
        """Another track: the stand-in, until `show_image` brings the cover."""
        if title != self._title:
            self._title, self._image = title, None
            self.setAccessibleName(f"Cover of {title}")
            self.setToolTip(title)
            self.update()

    def show_image(self, image: QImage | None) -> None:
        """The cover's picture, or None."""
        self._image = image
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        painter = QPainter(self)
        paint(painter, QRectF(self.rect()), self._title, self._image, self.devicePixelRatioF())


def paint(painter: QPainter, box: QRectF, title: str, image: QImage | None, scale: float) -> None:
    """Draw a cover into `box`; delegates of tables use this too."""
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
    path = QPainterPath()
    path.addRoundedRect(box, Size.RADIUS, Size.RADIUS)
    painter.setClipPath(path)
    if image is not None:
        painter.drawImage(box, image)
    else:
        drawn = stand_in(title, round(box.width()), scale, theme.current().name)
        painter.drawPixmap(box.topLeft(), drawn)
    painter.restore()
