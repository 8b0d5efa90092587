"""Pages of the window on the offscreen platform, over real catalogs of generated sound."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PySide6.QtWidgets import (
    QAbstractButton,
    QComboBox,
    QLineEdit,
    QPlainTextEdit,
    QSlider,
    QWidget,
)

from songid_desktop.catalog.catalog import Catalog
from songid_desktop.paths import Paths
from songid_desktop.types import Track
from songid_desktop.ui.services import Services
from tests.support import qt
from tests.support.catalog import as_landmark, enrol_here, write_song


def until(claim: Callable[[], Any], what: str = "") -> Any:
    """Let events happen until `claim()` is true; patient, for the machine may be busy."""
    return qt.wait_until(claim, 15.0, what)


class Notes:
    """What the services told the person."""

    def __init__(self, services: Services) -> None:
        self.texts: list[str] = []
        self.actions: list[Any] = []
        services.notified.connect(self._take)

    def _take(self, text: str, action: object, _kind: str) -> None:
        self.texts.append(text)
        self.actions.append(action)

    def wait(self, words: str) -> Any:
        """The action of the first note that has `words` in it."""
        place = until(
            lambda: next((i + 1 for i, t in enumerate(self.texts) if words in t), 0),
            what=f"a note with {words!r}, not {self.texts}",
        )
        return self.actions[place - 1]


def make_library(paths: Paths, music: Path, names: Sequence[str]) -> list[Track]:
    """Enrol one generated file a name; the tracks in the catalog's default order."""
    for number, name in enumerate(names):
        write_song(music / name, number)
    enrol_here(paths, music, fingerprinters=(as_landmark(),))
    with Catalog.open(paths) as catalog:
        return catalog.tracks()


def tree_problems(page: QWidget) -> list[str]:
    """Visible controls without an accessible name or a tooltip."""
    kinds = (QAbstractButton, QComboBox, QLineEdit, QPlainTextEdit, QSlider)
    faults = []
    for widget in page.findChildren(QWidget):
        if not isinstance(widget, kinds) or not widget.isVisibleTo(page):
            continue
        if widget.objectName().startswith("qt_"):
            continue
        name = f"{type(widget).__name__} {getattr(widget, 'text', str)()!r}"
        if not (widget.accessibleName() or getattr(widget, "text", str)()):
            faults.append(f"{name} has no name")
        if not widget.toolTip():
            faults.append(f"{name} has no tooltip")
    return faults
