"""Small covers for the rows of tables: read and scaled on a job thread, kept, drawn when there.

`pixmap` answers at once with what is known: the cover, or a stand-in made from the title. A cover
that has to be read first comes later with `arrived`.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from PySide6.QtCore import QBuffer, QByteArray, QObject, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QImage, QImageReader, QPixmap

from songid_desktop.paths import Paths
from songid_desktop.types import Track
from songid_desktop.ui import cover, theme

if TYPE_CHECKING:
    from songid_desktop.ui.services import Services

LANE = "covers"
BATCH = 12
KEPT = 600
"""Pixmaps kept: at 32 px and scale 2 they are 16 kB each."""
WAITING_AT_MOST = 40
"""Covers of rows that were scrolled past long ago are not worth reading."""


class Thumbnails(QObject):
    """Covers of one size for one page."""

    arrived = Signal()
    """Some covers came: paint again."""

    def __init__(self, services: Services, size: int, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._services = services
        self._size = size
        self._scale = 1.0
        self._known: OrderedDict[int, QPixmap | None] = OrderedDict()
        self._wanted: OrderedDict[int, None] = OrderedDict()
        self._is_reading = False
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(0)
        self._soon.timeout.connect(self._read)

    def pixmap(self, track: Track, scale: float) -> QPixmap:
        """What to draw for `track` now."""
        return self._find(track.track_id if track.has_cover else None, track.title, scale)

    def for_play(self, track_id: int | None, title: str, scale: float) -> QPixmap:
        """What to draw for a play of the history, whose track may be gone."""
        return self._find(track_id, title, scale)

    def _find(self, track_id: int | None, title: str, scale: float) -> QPixmap:
        if scale != self._scale:
            self._scale = scale
            self._known.clear()
        known = None
        if track_id is not None:
            if track_id in self._known:
                self._known.move_to_end(track_id)
                known = self._known[track_id]
            else:
                self._want(track_id)
        return known or self.stand_in(title, scale)

    def stand_in(self, title: str, scale: float) -> QPixmap:
        """A drawing made from the title."""
        return cover.stand_in(title, self._size, scale, theme.current().name)

    def forget(self) -> None:
        """The catalog changed: covers may be others now."""
        self._known.clear()

    def _want(self, track_id: int) -> None:
        self._wanted[track_id] = None
        self._wanted.move_to_end(track_id)
        while len(self._wanted) > WAITING_AT_MOST:
            self._wanted.popitem(last=False)
        if not self._is_reading and not self._soon.isActive():
            self._soon.start()

    def _read(self) -> None:
        if self._is_reading or not self._wanted:
            return
        batch = [self._wanted.popitem()[0] for _ in range(min(BATCH, len(self._wanted)))]
        self._is_reading = True
        job = self._services.jobs.run(
            read_covers, self._services.paths, batch, self._size, self._scale, lane=LANE
        )
        job.done.connect(self._take)
        job.failed.connect(lambda _error: self._take(dict.fromkeys(batch)))
        job.finished.connect(self._go_on)

    def _take(self, images: object) -> None:
        assert isinstance(images, dict)
        for track_id, image in images.items():
            picture = None
            if image is not None:
                picture = QPixmap.fromImage(image)
                picture.setDevicePixelRatio(self._scale)
            self._known[track_id] = picture
        while len(self._known) > KEPT:
            self._known.popitem(last=False)
        self.arrived.emit()

    def _go_on(self) -> None:
        self._is_reading = False
        if self._wanted:
            self._soon.start()


def read_covers(
    paths: Paths, track_ids: list[int], size: int, scale: float
) -> dict[int, QImage | None]:
    """Read and scale covers on a job thread; None where there is none or it can't be read."""
    from songid_desktop.catalog.catalog import Catalog

    with Catalog.open(paths, create=False) as catalog:
        return {
            track_id: scaled_cover(catalog.cover(track_id), round(size * scale))
            for track_id in track_ids
        }


def scaled_cover(data: bytes | None, side_px: int) -> QImage | None:
    """A picture cut to a square of `side_px` device pixels.

    JPEGs are decoded at the small size straight away, which is what makes a page of covers cheap.
    """
    if not data:
        return None
    buffer = QBuffer()
    buffer.setData(QByteArray(data))
    buffer.open(QBuffer.OpenModeFlag.ReadOnly)
    reader = QImageReader(buffer)
    reader.setAutoTransform(True)
    full = reader.size()
    if full.isValid() and full.width() > 0 and full.height() > 0:
        reader.setScaledSize(
            full.scaled(QSize(side_px, side_px), Qt.AspectRatioMode.KeepAspectRatioByExpanding)
        )
    image = reader.read()
    if image.isNull():
        return None
    if image.width() != side_px or image.height() != side_px:
        image = image.scaled(
            side_px,
            side_px,
            Qt.AspectRatioMode.KeepAspectRatioByExpanding,
            Qt.TransformationMode.SmoothTransformation,
        )
        left, top = (image.width() - side_px) // 2, (image.height() - side_px) // 2
        image = image.copy(left, top, side_px, side_px)
    return image
