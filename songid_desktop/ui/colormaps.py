"""Palettes of the spectrogram, made from formulas so that loudness always reads as lightness.

Each palette is a path through OKLCh (Ottosson 2020: lightness, chroma, hue of a space in which
equal steps look equal). Lightness runs one way from end to end; hue and chroma follow control
points; what the screen cannot show is brought in by lowering the chroma only. So every palette is
monotone in lightness by construction, also in print and with any colour blindness.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

STEPS = 256
CONTRAST = 1.3
"""Exponent of the way along a palette: music fills the middle of the range of levels, and above 1
its lines stand out from it."""

Points = tuple[tuple[float, float], ...]
FloatTable = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Palette:
    """Lightness at both ends; chroma and hue (degrees) as (place 0 … 1, value) points."""

    label: str
    lightness: tuple[float, float]
    chroma: Points
    hue: Points
    is_colour_blind_safe: bool = True


PALETTES = {
    "magma": Palette(
        "Magma",
        (0.15, 0.97),
        ((0.0, 0.02), (0.2, 0.13), (0.45, 0.20), (0.65, 0.19), (0.85, 0.13), (1.0, 0.07)),
        ((0.0, 275.0), (0.25, 298.0), (0.45, 342.0), (0.65, 382.0), (0.82, 420.0), (1.0, 466.0)),
    ),
    "viridis": Palette(
        "Viridis",
        (0.24, 0.92),
        ((0.0, 0.11), (0.25, 0.11), (0.5, 0.10), (0.75, 0.17), (1.0, 0.20)),
        ((0.0, 310.0), (0.25, 272.0), (0.5, 205.0), (0.75, 152.0), (1.0, 107.0)),
    ),
    "cividis": Palette(
        "Cividis",
        (0.22, 0.93),
        ((0.0, 0.09), (0.2, 0.07), (0.45, 0.012), (0.55, 0.012), (0.8, 0.10), (1.0, 0.15)),
        ((0.0, 262.0), (0.45, 262.0), (0.55, 96.0), (1.0, 96.0)),
    ),
    "grey": Palette("Grey", (0.14, 0.985), ((0.0, 0.0),), ((0.0, 0.0),)),
    "print": Palette("Print", (1.0, 0.12), ((0.0, 0.0),), ((0.0, 0.0),)),
}


def is_light(name: str) -> bool:
    """Whether silence is the light end (then marks over it must be dark)."""
    low, high = PALETTES[name].lightness
    return low > high


@lru_cache(maxsize=8)
def table(name: str) -> npt.NDArray[np.uint8]:
    """Colours from quiet to loud; uint8, shape (256, 3), sRGB."""
    palette = PALETTES[name]
    at = np.linspace(0.0, 1.0, STEPS) ** CONTRAST
    lightness = palette.lightness[0] + at * (palette.lightness[1] - palette.lightness[0])
    chroma = _along(palette.chroma, at)
    hue = np.radians(_along(palette.hue, at))
    rgb = _in_gamut(lightness, chroma, hue)
    result: npt.NDArray[np.uint8] = np.round(rgb * 255.0).astype(np.uint8)
    result.setflags(write=False)
    return result


@lru_cache(maxsize=8)
def words(name: str) -> npt.NDArray[np.uint32]:
    """The same as 0xFFRRGGBB, what QImage.Format_RGB32 holds; uint32, shape (256,)."""
    rgb = table(name).astype(np.uint32)
    opaque = np.uint32(0xFF000000)
    result = (opaque | (rgb[:, 0] << 16) | (rgb[:, 1] << 8) | rgb[:, 2]).astype(np.uint32)
    result.setflags(write=False)
    return result


def lightness(rgb: npt.NDArray[np.uint8]) -> FloatTable:
    """OKLab lightness of sRGB colours; shape (n, 3) → (n,), 0 … 1."""
    scaled = rgb.astype(np.float64) / 255.0
    linear = np.where(scaled <= 0.04045, scaled / 12.92, ((scaled + 0.055) / 1.055) ** 2.4)
    cones = np.cbrt(linear @ _RGB_TO_LMS.T)
    result: FloatTable = cones @ _LMS_TO_L
    return result


_RGB_TO_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_LMS_TO_RGB = np.linalg.inv(_RGB_TO_LMS)
_LMS_TO_L = np.array([0.2104542553, 0.7936177850, -0.0040720468])
_LAB_TO_LMS = np.array(
    [
        [1.0, 0.3963377774, 0.2158037573],
        [1.0, -0.1055613458, -0.0638541728],
        [1.0, -0.0894841775, -1.2914855480],
    ]
)


def _along(points: Points, at: FloatTable) -> FloatTable:
    places, values = zip(*points, strict=True)
    result: FloatTable = np.interp(at, places, values)
    return result


def _linear_rgb(lightness: FloatTable, chroma: FloatTable, hue: FloatTable) -> FloatTable:
    lab = np.stack([lightness, chroma * np.cos(hue), chroma * np.sin(hue)], axis=1)
    result: FloatTable = ((lab @ _LAB_TO_LMS.T) ** 3) @ _LMS_TO_RGB.T
    return result


def _in_gamut(lightness: FloatTable, chroma: FloatTable, hue: FloatTable) -> FloatTable:
    """sRGB 0 … 1 of the colours, each with as much of its chroma as the screen can show."""
    low, high = np.zeros_like(chroma), np.ones_like(chroma)
    for _ in range(20):
        middle = (low + high) / 2
        linear = _linear_rgb(lightness, chroma * middle, hue)
        fits = ((linear >= -1e-6) & (linear <= 1.0 + 1e-6)).all(axis=1)
        low, high = np.where(fits, middle, low), np.where(fits, high, middle)
    linear = np.clip(_linear_rgb(lightness, chroma * low, hue), 0.0, 1.0)
    curve: FloatTable = 1.055 * linear ** (1 / 2.4) - 0.055
    return np.where(linear <= 0.0031308, linear * 12.92, curve)
