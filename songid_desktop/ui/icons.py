"""Our own icons: SVG files with strokes in `currentColor`, coloured from the theme at run time.

A button is given its icon with `set_icon`; the name and role stay with the widget, so that a
change of theme recolours every one. Painters ask for `pixmap`.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from PySide6.QtCore import QByteArray, QRectF, QSize, Qt
from PySide6.QtGui import QAction, QGuiApplication, QIcon, QPainter, QPixmap
from PySide6.QtWidgets import QAbstractButton, QWidget

from songid_desktop.paths import resource

SIZE = 20


def names() -> list[str]:
    """Names of all shipped icons."""
    return sorted(path.stem for path in resource("icons").glob("*.svg"))


@lru_cache(maxsize=128)
def _source(name: str) -> bytes:
    return resource("icons", f"{name}.svg").read_bytes()


@lru_cache(maxsize=1024)
def _render(name: str, colour: str, size: int, scale: float) -> QPixmap:
    from PySide6.QtSvg import QSvgRenderer

    renderer = QSvgRenderer(QByteArray(_source(name).replace(b"currentColor", colour.encode())))
    pixmap = QPixmap(round(size * scale), round(size * scale))
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    renderer.render(painter, QRectF(0, 0, pixmap.width(), pixmap.height()))
    painter.end()
    pixmap.setDevicePixelRatio(scale)
    return pixmap


def pixmap(name: str, role: str = "text", size: int = SIZE, scale: float | None = None) -> QPixmap:
    """Icon `name` in the theme's colour `role` (or an #RRGGBB), `size` px, for a screen of
    `scale`."""
    from songid_desktop.ui import theme

    if scale is None:
        app = QGuiApplication.instance()
        scale = app.devicePixelRatio() if isinstance(app, QGuiApplication) else 1.0
    return _render(name, theme.current().colour(role).name(), size, scale)


def icon(name: str, role: str = "text", size: int = SIZE, on_role: str | None = None) -> QIcon:
    """A QIcon for one theme and the screen's scale now; `set_icon` gives one that follows both."""
    result = QIcon(pixmap(name, role, size))
    result.addPixmap(pixmap(name, "disabled", size), QIcon.Mode.Disabled)
    if on_role is not None:
        result.addPixmap(pixmap(name, on_role, size), QIcon.Mode.Normal, QIcon.State.On)
    return result


def set_icon(
    target: QAbstractButton | QAction,
    name: str,
    role: str = "text",
    size: int = SIZE,
    on_role: str | None = None,
) -> None:
    """Give a button or action an icon that follows the theme."""
    target.setProperty("iconSpec", [name, role, size, on_role or ""])
    target.setIcon(icon(name, role, size, on_role))
    if isinstance(target, QAbstractButton):
        target.setIconSize(QSize(size, size))


def recolour(widgets: Iterable[QWidget]) -> None:
    """Draw again every icon given by `set_icon`, after a change of theme or scale."""
    for widget in widgets:
        targets: list[QAbstractButton | QAction] = [
            action for action in widget.actions() if action.property("iconSpec")
        ]
        if isinstance(widget, QAbstractButton) and widget.property("iconSpec"):
            targets.append(widget)
        for target in targets:
            name, role, size, on_role = target.property("iconSpec")
            target.setIcon(icon(name, role, int(size), on_role or None))
