"""The look: tokens, contrast, live switching, icons."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtGui import QColor, QFont, QPalette
from PySide6.QtWidgets import QLabel, QPushButton, QWidget

from songid_desktop.paths import resource
from songid_desktop.ui import icons, theme
from songid_desktop.ui.theme import DARK, LIGHT, Canvas, contrast, mix
from tests.support import qt

UI = Path(theme.__file__).parent
COLOURS = st.from_regex(r"#[0-9A-F]{6}", fullmatch=True)


@pytest.mark.parametrize("which", [LIGHT, DARK], ids=lambda each: each.name)
class TestContrast:
    @pytest.mark.parametrize("role", ["text", "muted", "accent", "ok", "warn", "bad"])
    @pytest.mark.parametrize("surface", ["bg", "surface", "raised"])
    def test_words_on_every_surface(self, which, role, surface):
        assert contrast(which.hex(role), which.hex(surface)) >= 4.5

    @pytest.mark.parametrize(
        ("ink", "ground"),
        [
            ("on_accent", "accent"),
            ("on_accent", "accent_hover"),
            ("on_accent", "accent_pressed"),
            ("on_bad", "bad"),
            ("text", "hover"),
            ("text", "pressed"),
            ("text", "selection"),
            ("accent", "selection"),
        ],
    )
    def test_words_on_what_is_touched_or_chosen(self, which, ink, ground):
        # The accent on its own selection names a page beside an icon and a bar.
        least = 4.5 if ink != "accent" else 3.0
        assert contrast(which.hex(ink), which.hex(ground)) >= least

    def test_outlines_one_must_find(self, which):
        for surface in ("bg", "surface", "raised"):
            assert contrast(which.muted, which.hex(surface)) >= 3.0
            assert contrast(which.accent, which.hex(surface)) >= 3.0  # the focus ring


def test_ticks_are_readable_on_the_canvas():
    assert contrast(Canvas.TICKS, Canvas.BACKGROUND) >= 4.5
    assert contrast(Canvas.TEXT, Canvas.BACKGROUND) >= 4.5


@given(COLOURS, COLOURS)
def test_mixing_keeps_to_its_ends(one, other):
    assert mix(one, other, 0.0) == one
    assert mix(one, other, 1.0) == other
    low, high = sorted((theme.luminance(one), theme.luminance(other)))
    assert 1.0 <= contrast(one, other) <= 21.0
    assert low <= high


def test_no_widget_spells_a_colour():
    spelled = re.compile(
        r"""["']#[0-9A-Fa-f]{3,8}["']|Qt\.GlobalColor\.(?!transparent)|(?<![.\w])rgba?\("""
    )
    for path in UI.glob("*.py"):
        if path.name == "theme.py":
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if "theme.rgb(" in line:
                continue
            assert not spelled.search(line), f"{path.name}:{number}: {line.strip()}"


def test_every_token_of_the_style_sheet_is_filled_in():
    from songid_desktop.ui import stylesheet

    for which in (LIGHT, DARK):
        assert "@" not in stylesheet.build(which)


def test_a_switch_reaches_palette_icons_and_open_windows(qapp, shown):
    window = QWidget()
    shown.append(window)
    button = QPushButton("Go", window)
    icons.set_icon(button, "play")
    qt.show(window, 200, 100)
    light = button.icon().pixmap(20, 20).toImage()
    theme.apply(qapp, "dark")
    assert theme.is_dark()
    assert qapp.palette().color(QPalette.ColorRole.Window).name().upper() == DARK.bg
    dark = button.icon().pixmap(20, 20).toImage()
    assert light != dark
    assert theme.colour("text") == QColor(DARK.text)
    theme.apply(qapp, "light")
    assert button.icon().pixmap(20, 20).toImage() == light


def test_the_system_choice_follows_the_system(qapp):
    scheme = qapp.styleHints().colorScheme()
    expected = DARK if scheme.name == "Dark" else LIGHT
    assert theme.resolve("system") is expected
    assert theme.resolve("dark") is DARK
    assert theme.resolve("light") is LIGHT


def test_numbers_do_not_dance(qapp):
    from PySide6.QtGui import QFontMetrics

    for size in (12, 13, 15, 20, 28):
        metrics = QFontMetrics(theme.font(size))
        assert len({metrics.horizontalAdvance(digit) for digit in "0123456789"}) == 1


def test_fonts_come_from_tokens_and_keep_the_size(qapp, shown):
    label = QLabel("x")
    shown.append(label)
    theme.set_font(label, theme.Type.ANSWER, theme.Type.STRONG)
    qt.show(label)
    assert label.font().pixelSize() == 28
    assert label.font().weight() == QFont.Weight.DemiBold


@pytest.mark.parametrize("name", icons.names())
def test_each_icon_is_a_clean_drawing(qapp, name):
    root = ET.fromstring(resource("icons", f"{name}.svg").read_text())
    assert root.get("viewBox") == "0 0 20 20"
    assert root.get("stroke") == "currentColor"
    assert root.get("stroke-width") == "1.5"
    assert root.get("stroke-linejoin") == "round"
    for element in root.iter():
        assert element.get("fill") in (None, "none", "currentColor")
        assert element.get("stroke") in (None, "currentColor")
    for scale in (1.0, 1.5, 2.0):
        pixmap = icons.pixmap(name, "text", 20, scale)
        assert pixmap.width() == round(20 * scale)
        image = pixmap.toImage()
        inked = [
            (x, y)
            for x in range(image.width())
            for y in range(image.height())
            if image.pixelColor(x, y).alpha() > 100
        ]
        assert inked
        last = image.width() - 1
        assert all(0 < x < last and 0 < y < last for x, y in inked), "cut at the edge"


def test_every_icon_that_is_asked_for_exists():
    known = set(icons.names())
    asked = re.compile(
        r"""(?:set_icon\((?:[\w.]+, )?|icon_button\(\s*|icon=|pixmap\(|IconLabel\()"([a-z-]+)\""""
    )
    for path in UI.glob("*.py"):
        for name in asked.findall(path.read_text()):
            assert name in known | {"muted"}, f"{path.name} asks for {name}"
