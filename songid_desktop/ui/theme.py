"""Every colour, size and gap of the window, in one place; widgets never spell one.

`apply` puts a theme on the application: Fusion underneath, a palette and a style sheet from the
tokens (`stylesheet.py`), icons recoloured. Widgets that paint themselves ask `current()` in their
paint event, so a switch needs no more than a repaint. Fonts are set as fonts, never through the
style sheet, because a style sheet's size would drop the tabular figures.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QFont, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication, QWidget

from songid_desktop.ui import icons, stylesheet


@dataclass(frozen=True, slots=True)
class Theme:
    """The colours of one theme, as #RRGGBB; see `mix` for states that derive from them."""

    name: str
    bg: str
    surface: str
    raised: str
    line: str
    text: str
    muted: str
    accent: str
    on_accent: str
    ok: str
    warn: str
    bad: str

    def colour(self, role: str) -> QColor:
        """`role` is a field of this class, a derived name below, or a plain #RRGGBB."""
        return QColor(_parsed(role if role.startswith("#") else self.hex(role)))

    def hex(self, role: str) -> str:
        """The colour of a role as #RRGGBB."""
        return _hex(self, role)

    def _mixed(self, role: str) -> str:
        derived = {
            "hover": mix(self.surface, self.text, HOVER),
            "pressed": mix(self.surface, self.text, PRESSED),
            "selection": mix(self.surface, self.accent, SELECTION),
            "disabled": mix(self.surface, self.muted, DISABLED),
            "track": mix(self.surface, self.text, TRACK),
            "on_bad": self.on_accent,
            "accent_hover": mix(self.accent, self.text, HOVER),
            "accent_pressed": mix(self.accent, self.text, PRESSED),
        }
        value: str = derived[role] if role in derived else getattr(self, role)
        return value


HOVER = 0.08
PRESSED = 0.14
SELECTION = 0.18
DISABLED = 0.60
TRACK = 0.10

LIGHT = Theme(
    name="light",
    bg="#F5F6F8",
    surface="#FFFFFF",
    raised="#FFFFFF",
    line="#DFE2E8",
    text="#15181D",
    muted="#5A6170",
    accent="#3D52D5",
    on_accent="#FFFFFF",
    ok="#14795A",
    warn="#8A5A00",
    bad="#B4322A",
)
DARK = Theme(
    name="dark",
    bg="#121418",
    surface="#1A1D23",
    raised="#22262E",
    line="#2E333D",
    text="#ECEEF2",
    muted="#9BA3B2",
    accent="#93A1FF",
    on_accent="#121418",
    ok="#5CCB9F",
    warn="#E3B25C",
    bad="#F28B82",
)


class Gap:
    """Distances (px)."""

    XS = 4
    S = 8
    M = 12
    L = 16
    XL = 24
    XXL = 32


class Size:
    """Extents (px)."""

    RADIUS = 6
    RADIUS_CARD = 10
    LINE = 1
    FOCUS_RING = 2
    CONTROL = 32
    PRIMARY = 40
    LISTEN = 72
    LISTEN_RING = 8
    ICON = 20
    ROW = 44
    CANDIDATE_ROW = 52
    CANDIDATE_COVER = 36
    COVER = 96
    SIDEBAR = 176
    SIDEBAR_NARROW = 56
    SIDEBAR_NARROW_BELOW = 980
    PANEL_MIN = 320
    PANEL_MAX = 400
    WINDOW = (1180, 760)
    WINDOW_MIN = (820, 560)
    PEAK = 5
    SCROLL_BAR = 10
    METER = 10


class Type:
    """Type sizes (px) and weights."""

    CAPTION = 12
    BODY = 13
    CARD = 15
    TITLE = 20
    ANSWER = 28
    REGULAR = QFont.Weight.Normal
    STRONG = QFont.Weight.DemiBold


class Canvas:
    """Colours of the dark picture that the sound is drawn on, the same in both themes."""

    BACKGROUND = "#0B0D12"
    TICKS = "#9BA3B2"
    PEAK = "#FFFFFF"
    PEAK_ALPHA = 0.70
    PEAK_ON_LIGHT = "#15181D"
    MATCHED = "#FFD166"
    MATCHED_ON_LIGHT = "#C2410C"
    PAIR_ALPHA = 0.45
    CURSOR_ALPHA = 0.55
    TEXT = "#ECEEF2"


SLIDE_MS = 150
TOAST_MS = 5000

_state: dict[str, Theme] = {"theme": LIGHT}


@lru_cache(maxsize=256)
def _hex(theme: Theme, role: str) -> str:
    return theme._mixed(role)


@lru_cache(maxsize=256)
def _parsed(colour: str) -> QColor:
    return QColor(colour)


def mix(base: str, over: str, share: float) -> str:
    """`share` of colour `over` mixed into `base`, both #RRGGBB."""
    pairs = ((int(base[i : i + 2], 16), int(over[i : i + 2], 16)) for i in (1, 3, 5))
    return "#" + "".join(f"{round(a + (b - a) * share):02X}" for a, b in pairs)


def luminance(colour: str) -> float:
    """Relative luminance of an #RRGGBB colour, 0 … 1 (WCAG 2)."""
    parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours, 1 … 21."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def current() -> Theme:
    """The theme on the application now."""
    return _state["theme"]


def is_dark() -> bool:
    return current() is DARK


def colour(role: str, alpha: float = 1.0) -> QColor:
    """A colour of the current theme, for painting."""
    result = current().colour(role)
    if alpha != 1.0:
        result.setAlphaF(alpha)
    return result


def rgb(red: int, green: int, blue: int) -> QColor:
    """A colour that is data (a palette's), not a token."""
    return QColor(red, green, blue)


def font(size: int = Type.BODY, weight: QFont.Weight = Type.REGULAR) -> QFont:
    """The system's font at `size` px with tabular figures, so that numbers do not dance."""
    result = QFont(QGuiApplication.font())
    result.setPixelSize(size)
    result.setWeight(weight)
    if hasattr(result, "setFeature"):
        result.setFeature(QFont.Tag("tnum"), 1)
    return result


def set_font(widget: QWidget, size: int = Type.BODY, weight: QFont.Weight = Type.REGULAR) -> None:
    """Give `widget` one of the type sizes."""
    widget.setFont(font(size, weight))


def set_role(widget: QWidget, role: str) -> None:
    """Name the look of a widget for the style sheet (see `stylesheet.py` for the roles)."""
    if widget.property("role") == role:
        return
    widget.setProperty("role", role)
    style = widget.style()
    style.unpolish(widget)
    style.polish(widget)
    widget.update()


def resolve(choice: str) -> Theme:
    """The theme that a setting (`system`, `light`, `dark`) means now."""
    if choice == "system":
        scheme = QGuiApplication.styleHints().colorScheme()
        return DARK if scheme == Qt.ColorScheme.Dark else LIGHT
    return DARK if choice == "dark" else LIGHT


def apply(app: QApplication, choice: str) -> Theme:
    """Put the theme that `choice` means on the application; cheap when it is there already."""
    chosen = resolve(choice)
    if app.property("songidTheme") == chosen.name and _state["theme"] is chosen:
        return chosen
    first = app.property("songidTheme") is None
    _state["theme"] = chosen
    if first:
        app.setStyle("Fusion")
        app.setFont(font())
    app.setPalette(_palette(chosen))
    app.setStyleSheet(stylesheet.build(chosen))
    app.setProperty("songidTheme", chosen.name)
    icons.recolour(app.allWidgets())
    for window in app.topLevelWidgets():
        for widget in window.findChildren(QWidget):
            widget.update()
    return chosen


def is_motion_reduced() -> bool:
    """Whether the system asks for less movement (then nothing slides)."""
    from songid_desktop.ui import motion

    return motion.is_reduced()


def _palette(theme: Theme) -> QPalette:
    palette = QPalette()
    role = QPalette.ColorRole
    for which, name in (
        (role.Window, "bg"),
        (role.WindowText, "text"),
        (role.Base, "surface"),
        (role.AlternateBase, "bg"),
        (role.ToolTipBase, "raised"),
        (role.ToolTipText, "text"),
        (role.Text, "text"),
        (role.Button, "surface"),
        (role.ButtonText, "text"),
        (role.BrightText, "bad"),
        (role.Link, "accent"),
        (role.LinkVisited, "accent"),
        (role.Highlight, "accent"),
        (role.HighlightedText, "on_accent"),
        (role.PlaceholderText, "muted"),
        (role.Accent, "accent"),
        (role.Light, "raised"),
        (role.Midlight, "line"),
        (role.Mid, "line"),
        (role.Dark, "line"),
        (role.Shadow, "line"),
    ):
        palette.setColor(which, theme.colour(name))
    for which in (role.WindowText, role.Text, role.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, which, theme.colour("disabled"))
    palette.setColor(QPalette.ColorGroup.Disabled, role.Highlight, theme.colour("line"))
    return palette
