"""Colours, fonts and cut texts for painters that draw a hundred cells a frame.

Looking a derived colour up mixes it anew, and making a font asks the system: a frame of
a table would spend most of its time there. All of it is kept here, by theme.
"""

from __future__ import annotations

from functools import lru_cache

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics

from songid_desktop.ui import theme, wording
from songid_desktop.ui.theme import Type


@lru_cache(maxsize=64)
def _colour(_theme_name: str, role: str) -> QColor:
    return theme.colour(role)


def colour(role: str) -> QColor:
    """A colour of the theme that is on; not to be changed by the caller."""
    return _colour(theme.current().name, role)


@lru_cache(maxsize=16)
def font(size: int = Type.BODY, *, strong: bool = False) -> QFont:
    """One of the type sizes; not to be changed by the caller."""
    return theme.font(size, Type.STRONG if strong else Type.REGULAR)


@lru_cache(maxsize=16)
def metrics(size: int = Type.BODY, *, strong: bool = False) -> QFontMetrics:
    """Measures of `font(size, strong=strong)`."""
    return QFontMetrics(font(size, strong=strong))


@lru_cache(maxsize=4096)
def elided(
    text: str, width: int, size: int = Type.BODY, *, strong: bool = False
) -> tuple[str, int]:
    """One line of `text` that fits `width` px, and how wide it is."""
    measures = metrics(size, strong=strong)
    shown = measures.elidedText(wording.one_line(text), Qt.TextElideMode.ElideRight, max(0, width))
    return shown, measures.horizontalAdvance(shown)
