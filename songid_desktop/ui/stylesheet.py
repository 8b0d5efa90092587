"""The style sheet, built from the theme's tokens. Roles are given with `theme.set_role`.

Roles of buttons: none (outlined), `primary` (filled, 40 px), `quiet` (no outline), `icon` (a quiet
square), `danger`, `link`. Of labels: `muted`, `accent`, `ok`, `warn`, `bad`. Of frames: `card`,
`surface`, `strip`, `divider`, `vdivider`, `page`, `toast`, `banner`, `sidebar`, `offer`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from songid_desktop.ui.theme import Theme

_COLOURS = (
    *(
        "bg",
        "surface",
        "raised",
        "line",
        "text",
        "muted",
        "accent",
        "on_accent",
        "ok",
        "warn",
        "bad",
    ),
    *("hover", "pressed", "selection", "disabled", "track", "accent_hover", "accent_pressed"),
)


def build(theme: Theme) -> str:
    """The whole style sheet for one theme."""
    from songid_desktop.ui.theme import Gap, Size  # the tokens stand in the module that calls us

    values: dict[str, str | int] = {name: theme.hex(name) for name in _COLOURS}
    values |= {
        "radius": Size.RADIUS,
        "card": Size.RADIUS_CARD,
        "ring": Size.FOCUS_RING,
        "control": Size.CONTROL - 2 * Size.LINE,
        "primary": Size.PRIMARY - 2 * Size.LINE,
        "bar": Size.SCROLL_BAR,
        "bar_radius": Size.SCROLL_BAR // 2 - 2,
        "xs": Gap.XS,
        "s": Gap.S,
        "m": Gap.M,
        "m_ring": Gap.M - 1,
        "s_ring": Gap.S - 1,
        "l": Gap.L,
        "l_ring": Gap.L - 1,
    }
    text = _TEMPLATE
    for name in sorted(values, key=len, reverse=True):
        for end in (";", "px", " "):
            text = text.replace(f"@{name}{end}", f"{values[name]}{end}")
    return text


# Borders grow from 1 to 2 px with the focus, so paddings shrink by one: nothing moves.
_TEMPLATE = """
QWidget { color: @text; }
QMainWindow, QDialog { background: @bg; }
QWidget[role="page"] { background: @bg; }
QFrame[role="surface"], QWidget[role="surface"] { background: @surface; border: 0; }
QFrame[role="card"] { background: @surface; border: 1px solid @line; border-radius: @cardpx; }
QFrame[role="strip"] { background: @surface; border: 0; border-top: 1px solid @line; }
QFrame[role="toast"] { background: @raised; border: 1px solid @muted; border-radius: @cardpx; }
QFrame[role="popup"] { background: @raised; border: 1px solid @muted; border-radius: @radiuspx; }
QFrame[role="banner"] { background: @surface; border: 1px solid @line; border-left: 4px solid @warn;
  border-radius: @radiuspx; }
QFrame[role="divider"] { background: @line; border: 0; max-height: 1px; min-height: 1px; }
QFrame[role="vdivider"] { background: @line; border: 0; max-width: 1px; min-width: 1px; }

QFrame[role="sidebar"] { background: @surface; border: 0; }
QFrame[role="offer"] { background: @surface; border: 0; border-bottom: 1px solid @line; }

QLabel { background: transparent; }
QLabel:disabled { color: @disabled; }
QLabel[role="muted"], QLabel[role="caption"] { color: @muted; }
QLabel[role="accent"] { color: @accent; }
QLabel[role="ok"] { color: @ok; }
QLabel[role="warn"] { color: @warn; }
QLabel[role="bad"] { color: @bad; }

QPushButton, QToolButton {
  background: @surface; color: @text; border: 1px solid @muted; border-radius: @radiuspx;
  min-height: @controlpx; padding: 0 @mpx;
}
QPushButton:hover, QToolButton:hover { background: @hover; }
QPushButton:pressed, QToolButton:pressed { background: @pressed; }
QPushButton:checked, QToolButton:checked { background: @selection; border-color: @accent; }
QPushButton:focus, QToolButton:focus { border: @ringpx solid @accent; padding: 0 @m_ringpx;
  min-height: 28px; }
QPushButton:disabled, QToolButton:disabled { color: @disabled; border-color: @line; }
QToolButton::menu-indicator, QPushButton::menu-indicator { image: none; width: 0; }

QPushButton[role="primary"] { background: @accent; color: @on_accent; border: 1px solid @accent;
  min-height: @primarypx; padding: 0 @lpx; }
QPushButton[role="primary"]:hover { background: @accent_hover; }
QPushButton[role="primary"]:pressed { background: @accent_pressed; }
QPushButton[role="primary"]:focus { border: @ringpx solid @text; padding: 0 @l_ringpx;
  min-height: 36px; }
QPushButton[role="primary"]:disabled { background: @track; color: @disabled; border-color: @line; }

QPushButton[role="quiet"], QToolButton[role="quiet"] { background: transparent;
  border: 1px solid transparent; padding: 0 @spx; }
QPushButton[role="quiet"]:hover, QToolButton[role="quiet"]:hover { background: @hover; }
QPushButton[role="quiet"]:pressed, QToolButton[role="quiet"]:pressed { background: @pressed; }
QPushButton[role="quiet"]:checked, QToolButton[role="quiet"]:checked { background: @selection;
  border-color: transparent; }
QPushButton[role="quiet"]:focus, QToolButton[role="quiet"]:focus {
  border: @ringpx solid @accent; padding: 0 @s_ringpx; }
QToolButton[role="icon"], QPushButton[role="icon"] { background: transparent;
  border: 1px solid transparent; padding: 0;
  min-height: 30px; min-width: 30px; }
QToolButton[role="icon"]:hover, QPushButton[role="icon"]:hover { background: @hover; }
QToolButton[role="icon"]:pressed, QPushButton[role="icon"]:pressed { background: @pressed; }
QToolButton[role="icon"]:checked, QPushButton[role="icon"]:checked {
  background: @selection; border-color: transparent; }
QToolButton[role="icon"]:focus, QPushButton[role="icon"]:focus {
  border: @ringpx solid @accent; padding: 0; min-height: 28px;
  min-width: 28px; }
QPushButton[role="danger"] { color: @bad; border-color: @bad; }
QPushButton[role="link"] { background: transparent; border: 1px solid transparent; color: @accent;
  padding: 0 @xspx; }
QPushButton[role="link"]:hover { background: @hover; }
QPushButton[role="link"]:focus { border: @ringpx solid @accent; padding: 0 3px; }

QFileDialog QToolButton { padding: 0; min-height: 24px; min-width: 24px; border: 1px solid @line; }
QFileDialog QToolButton:focus { padding: 0; min-height: 22px; min-width: 22px; }

QLineEdit, QSpinBox, QDoubleSpinBox, QComboBox, QPlainTextEdit, QTextEdit, QDateEdit {
  background: @surface; color: @text; border: 1px solid @muted; border-radius: @radiuspx;
  padding: 0 @spx; selection-background-color: @accent; selection-color: @on_accent;
}
QLineEdit, QSpinBox, QDoubleSpinBox, QComboBox, QDateEdit { min-height: @controlpx; }
QLineEdit:focus, QSpinBox:focus, QDoubleSpinBox:focus, QComboBox:focus, QPlainTextEdit:focus,
QTextEdit:focus, QDateEdit:focus { border: @ringpx solid @accent; padding: 0 @s_ringpx; }
QLineEdit:focus, QSpinBox:focus, QDoubleSpinBox:focus, QComboBox:focus { min-height: 28px; }
QLineEdit:disabled, QSpinBox:disabled, QComboBox:disabled { color: @disabled; border-color: @line; }
QComboBox::drop-down { border: 0; width: @lpx; }
QComboBox QAbstractItemView { background: @raised; border: 1px solid @line; color: @text;
  selection-background-color: @selection; selection-color: @text; outline: 0; }
QSpinBox::up-button, QSpinBox::down-button { border: 0; background: transparent; width: @lpx; }

QMenu { background: @raised; color: @text; border: 1px solid @line; border-radius: @radiuspx;
  padding: @xspx; }
QMenu::item { padding: 6px @lpx 6px @spx; border-radius: @xspx; min-height: 20px; }
QMenu::item:selected { background: @selection; color: @text; }
QMenu::item:disabled { color: @disabled; }
QMenu::separator { height: 1px; background: @line; margin: @xspx @spx; }
QMenu::icon { padding-left: @spx; }
QMenu::indicator { width: 14px; height: 14px; margin-left: 6px; }
QToolTip { background: @raised; color: @text; border: 1px solid @muted; padding: @xspx @spx; }

QAbstractItemView { background: @surface; color: @text; border: 0; outline: 0;
  alternate-background-color: @surface; selection-background-color: @selection;
  selection-color: @text; gridline-color: @line; }
QHeaderView { background: @surface; border: 0; }
QHeaderView::section { background: @surface; color: @muted; border: 0;
  border-bottom: 1px solid @line; padding: 0 @spx; min-height: @controlpx; text-align: left; }
QHeaderView::section:hover { color: @text; background: @hover; }
QTableCornerButton::section { background: @surface; border: 0; }

QScrollArea { background: transparent; border: 0; }
QScrollBar:vertical { background: transparent; width: @barpx; margin: 0; }
QScrollBar:horizontal { background: transparent; height: @barpx; margin: 0; }
QScrollBar::handle { background: @disabled; border-radius: @bar_radiuspx; margin: 2px; }
QScrollBar::handle:vertical { min-height: 32px; }
QScrollBar::handle:horizontal { min-width: 32px; }
QScrollBar::handle:hover { background: @muted; }
QScrollBar::add-line, QScrollBar::sub-line { width: 0; height: 0; border: 0; background: none; }
QScrollBar::add-page, QScrollBar::sub-page { background: none; }

QSlider { min-height: 24px; }
QSlider::groove:horizontal { height: 4px; background: @track; border-radius: 2px; }
QSlider::sub-page:horizontal { height: 4px; background: @accent; border-radius: 2px; }
QSlider::handle:horizontal { width: 16px; height: 16px; margin: -6px 0; border-radius: 8px;
  background: @accent; border: 0; }
QSlider::handle:horizontal:focus { background: @surface; border: @ringpx solid @accent; width: 12px;
  height: 12px; }
QProgressBar { background: @track; border: 0; border-radius: 3px; max-height: 6px;
  min-height: 6px; }
QProgressBar::chunk { background: @accent; border-radius: 3px; }
QSplitter::handle { background: transparent; }
"""
