"""Small plots as SVG text: lines, steps, points with intervals, bars, on the product's dark canvas.

Colours of lines are told apart by shape too; everything outside the picture takes its colour from
the page's style, so that one text serves the light and the dark theme.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

WIDTH, HEIGHT = 520, 300
LEFT, RIGHT, TOP, BOTTOM = 54, 14, 12, 44
COLOURS = ("#FFD166", "#93A1FF", "#5CCB9F", "#F28B82", "#ECEEF2", "#E3A0FF", "#7FD7F0", "#E3B25C")
MARKS = ("circle", "square", "triangle", "diamond")

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Series:
    """One line, with a mark at every point.

    Attributes
    ----------
    points : sequence of (x, y)
    spans : sequence of (low, high), optional
        Interval of every point's y.
    style : str
        ``line``, ``steps`` (a histogram's outline; x is a bin's left edge), ``dashed`` (published
        or ideal), ``marks`` (no line).
    """

    label: str
    points: Sequence[Point]
    spans: Sequence[tuple[float, float]] = ()
    style: str = "line"


@dataclass(frozen=True, slots=True)
class Axis:
    """A range with its ticks: value and what stands beside it."""

    label: str
    low: float
    high: float
    ticks: Sequence[tuple[float, str]]
    is_log: bool = False

    def place(self, value: float) -> float:
        """0 at the low end, 1 at the high one."""
        low, high = self.low, self.high
        if self.is_log:
            value, low, high = (math.log(max(one, 1e-9)) for one in (value, low, high))
        return min(1.0, max(0.0, (value - low) / (high - low))) if high > low else 0.5


@dataclass(frozen=True, slots=True)
class Plot:
    """A picture with a title, two axes and lines."""

    title: str
    x: Axis
    y: Axis
    series: Sequence[Series]
    note: str = ""
    bars: Sequence[Point] = field(default_factory=tuple)
    """Faint columns behind the lines: x and height, 0 … 1 of the picture."""


def percent_axis(label: str, values: Sequence[float]) -> Axis:
    """Per cent from below the lowest value (0, 50, 80 or 90) to 100."""
    lowest = min(values, default=0.0)
    low = next((edge for edge in (90.0, 80.0, 50.0) if lowest >= edge), 0.0)
    step = {90.0: 2, 80.0: 5, 50.0: 10}.get(low, 20)
    return Axis(label, low, 100.0, [(v, f"{v}") for v in range(int(low), 101, step)])


def even_axis(label: str, low: float, high: float, count: int = 5) -> Axis:
    """A range with round ticks."""
    if high <= low:
        high = low + 1.0
    raw = (high - low) / count
    magnitude = 10.0 ** math.floor(math.log10(raw))
    step = next(m * magnitude for m in (1, 2, 5, 10) if m * magnitude >= raw)
    first = math.ceil(low / step - 1e-9) * step
    ticks = [first + step * number for number in range(int((high - first) / step + 1e-9) + 1)]
    return Axis(label, low, high, [(tick, f"{tick:g}") for tick in ticks])


def log_axis(label: str, values: Sequence[float], unit: str = "") -> Axis:
    """A logarithmic range around `values` with ticks at 1, 2 and 5 times powers of ten."""
    positive = [value for value in values if value > 0] or [1.0]
    low, high = min(positive) / 1.4, max(positive) * 1.4
    ticks: list[tuple[float, str]] = []
    for factors in ((1,), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 8), tuple(range(10, 100))):
        powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
        values_at = sorted({factor * 10.0**power for power in powers for factor in factors})
        ticks = [(tick, f"{tick:,g}{unit}") for tick in values_at if low <= tick <= high]
        if len(ticks) >= 3:
            break
    return Axis(label, low, high, ticks, is_log=True)


def draw(plot: Plot) -> str:
    """The picture as an SVG element."""
    parts = [
        (
            f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
            f'aria-label="{escape(plot.title, quote=True)}">'
        ),
        f"<title>{escape(plot.title)}</title>",
        (
            f'<rect class="canvas" x="{LEFT}" y="{TOP}" width="{WIDTH - LEFT - RIGHT}" '
            f'height="{HEIGHT - TOP - BOTTOM}" rx="4"/>'
        ),
        *_ticks(plot),
        *_bars(plot),
    ]
    for number, series in enumerate(plot.series):
        parts += _series(plot, series, number)
    parts.append("</svg>")
    return "".join(parts)


def _x(plot: Plot, value: float) -> float:
    return LEFT + plot.x.place(value) * (WIDTH - LEFT - RIGHT)


def _y(plot: Plot, value: float) -> float:
    return HEIGHT - BOTTOM - plot.y.place(value) * (HEIGHT - TOP - BOTTOM)


def _ticks(plot: Plot) -> list[str]:
    parts = []
    for value, text in plot.x.ticks:
        x = _x(plot, value)
        parts.append(
            f'<path class="grid" d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}"/>'
            f'<text class="tick" x="{x:.1f}" y="{HEIGHT - BOTTOM + 17}" text-anchor="middle">'
            f"{escape(text)}</text>"
        )
    for value, text in plot.y.ticks:
        y = _y(plot, value)
        parts.append(
            f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>'
            f'<text class="tick" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">'
            f"{escape(text)}</text>"
        )
    middle = (LEFT + WIDTH - RIGHT) / 2
    centre = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(
        f'<text class="label" x="{middle:.0f}" y="{HEIGHT - 8}" text-anchor="middle">'
        f"{escape(plot.x.label)}</text>"
        f'<text class="label" transform="translate(13 {centre:.0f}) rotate(-90)" '
        f'text-anchor="middle">{escape(plot.y.label)}</text>'
    )
    return parts


def _bars(plot: Plot) -> list[str]:
    inside = HEIGHT - TOP - BOTTOM
    parts = []
    for value, height in plot.bars:
        tall = max(0.0, min(1.0, height)) * inside
        parts.append(
            f'<rect class="bar" x="{_x(plot, value) - 9:.1f}" y="{HEIGHT - BOTTOM - tall:.1f}" '
            f'width="18" height="{tall:.1f}"/>'
        )
    return parts


def _series(plot: Plot, series: Series, number: int) -> list[str]:
    colour = COLOURS[number % len(COLOURS)]
    placed = [(_x(plot, x), _y(plot, y)) for x, y in series.points]
    if not placed:
        return []
    parts = []
    for (x, _), (low, high) in zip(placed, series.spans, strict=False):
        parts.append(
            f'<path d="M{x:.1f} {_y(plot, low):.1f}V{_y(plot, high):.1f}" stroke="{colour}" '
            'stroke-opacity=".45" fill="none"/>'
        )
    if series.style != "marks":
        dash = ' stroke-dasharray="5 4"' if series.style == "dashed" else ""
        parts.append(
            f'<path d="{_path(placed, series.style)}" stroke="{colour}" stroke-width="1.8" '
            f'fill="none" stroke-linejoin="round"{dash}/>'
        )
    if series.style in ("line", "marks"):
        parts += [mark(x, y, number) for x, y in placed]
    return parts


def _path(placed: Sequence[Point], style: str) -> str:
    if style != "steps":
        return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in placed)
    first, *rest = placed
    return f"M{first[0]:.1f} {first[1]:.1f}" + "".join(f"H{x:.1f}V{y:.1f}" for x, y in rest)


def mark(x: float, y: float, number: int, size: float = 3.6) -> str:
    """The mark of series `number`."""
    colour = COLOURS[number % len(COLOURS)]
    kind = MARKS[number % len(MARKS)]
    if kind == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size}" fill="{colour}"/>'
    if kind == "square":
        return (
            f'<rect x="{x - size:.1f}" y="{y - size:.1f}" width="{2 * size}" '
            f'height="{2 * size}" fill="{colour}"/>'
        )
    rise = size * 1.3
    if kind == "triangle":
        outline = f"M{x:.1f} {y - rise:.1f}l{rise} {2 * rise}h{-2 * rise}z"
    else:
        outline = f"M{x:.1f} {y - rise:.1f}l{rise} {rise}l{-rise} {rise}l{-rise} {-rise}z"
    return f'<path d="{outline}" fill="{colour}"/>'


def legend(plot: Plot) -> str:
    """Names of the lines with their marks, as HTML that flows."""
    if len(plot.series) < 2 and not any(series.label for series in plot.series):
        return ""
    items = []
    for number, series in enumerate(plot.series):
        colour = COLOURS[number % len(COLOURS)]
        dash = ' stroke-dasharray="5 4"' if series.style == "dashed" else ""
        line = "" if series.style == "marks" else (
            f'<path d="M2 7H26" stroke="{colour}" stroke-width="1.8"{dash}/>'
        )  # fmt: skip
        point = mark(14, 7, number) if series.style in ("line", "marks") else ""
        items.append(
            '<li><svg class="key" viewBox="0 0 28 14" aria-hidden="true"><rect class="canvas" '
            f'width="28" height="14" rx="3"/>{line}{point}</svg>{escape(series.label)}</li>'
        )
    return f'<ul class="legend">{"".join(items)}</ul>'
