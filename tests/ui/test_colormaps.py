"""Palettes: loudness reads as lightness, with any eyes and in print."""

from __future__ import annotations

import numpy as np
import pytest

from songid_desktop.settings import PALETTES
from songid_desktop.ui import colormaps

# Linear RGB as seen without the long, middle or short cones (Machado 2009, severity 1).
BLINDNESS = {
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
               [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
               [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
               [0.004733, 0.691367, 0.303900]],
}  # fmt: skip


def test_every_palette_of_the_settings_exists():
    assert tuple(colormaps.PALETTES) == PALETTES


@pytest.mark.parametrize("name", PALETTES)
class TestPalette:
    def test_lightness_runs_one_way(self, name):
        steps = np.diff(colormaps.lightness(colormaps.table(name)))
        direction = -1 if colormaps.is_light(name) else 1
        assert (steps * direction >= -1e-9).all()
        assert abs(steps.sum()) > 0.6

    def test_it_uses_its_256_steps(self, name):
        assert len(np.unique(colormaps.words(name))) > 180

    def test_words_are_the_table(self, name):
        red, green, blue = colormaps.table(name)[200]
        word = int(colormaps.words(name)[200])
        assert word == 0xFF000000 | int(red) << 16 | int(green) << 8 | int(blue)

    @pytest.mark.parametrize("eyes", BLINDNESS)
    def test_it_stays_in_order_with_other_eyes(self, name, eyes):
        scaled = colormaps.table(name) / 255.0
        linear = np.where(scaled <= 0.04045, scaled / 12.92, ((scaled + 0.055) / 1.055) ** 2.4)
        seen = np.clip(linear @ np.array(BLINDNESS[eyes]).T, 0.0, 1.0)
        luminance = seen @ [0.2126, 0.7152, 0.0722]
        direction = -1 if colormaps.is_light(name) else 1
        eighths = luminance[:: 255 // 8] * direction
        assert (np.diff(eighths) > 0).all()
