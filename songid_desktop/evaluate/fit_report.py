"""Tables of what a fitted probability comes to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from songid_desktop.evaluate.fit_looks import Row
from songid_desktop.identify import calibration

Floats = npt.NDArray[np.float64]


class Look(Protocol):
    """What any identifier's looks tell."""

    @property
    def condition(self) -> str: ...
    @property
    def is_enrolled(self) -> bool: ...
    @property
    def is_right(self) -> bool: ...
    @property
    def offset_error_s(self) -> float | None: ...


def wilson(right: int, total: int) -> str:
    """Share in per cent with its 95 % interval."""
    if not total:
        return "–"
    share, z = right / total, 1.96
    middle = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z * np.sqrt(share * (1 - share) / total + z * z / (4 * total**2)) / (1 + z * z / total)
    return f"{100 * share:.1f} ({100 * (middle - half):.1f}–{100 * (middle + half):.1f})"


def report(rows: Sequence[Row], probability: Floats) -> dict[str, str]:
    """Print the tables; give the figures that go into the provenance."""
    figures: dict[str, str] = {}
    conditions = list(dict.fromkeys(row.condition for row in rows))
    for condition in conditions:
        for length_s in sorted({row.length_s for row in rows}):
            here = [
                (row, p)
                for row, p in zip(rows, probability, strict=True)
                if (row.condition, row.length_s) == (condition, length_s)
            ]
            asked = [(row, p) for row, p in here if row.is_enrolled]
            absent = [p for row, p in here if not row.is_enrolled]
            text = ""
            if asked:
                first = sum(row.is_right for row, _ in asked)
                match = sum(row.is_right and p >= calibration.MATCH_AT for row, p in asked)
                wrong = sum(not row.is_right and p >= calibration.MATCH_AT for row, p in asked)
                text = f"top-1 {wilson(first, len(asked))} %, match {wilson(match, len(asked))} %"
                text += f", wrong match {wrong} of {len(asked)}"
            if absent:
                match = sum(p >= calibration.MATCH_AT for p in absent)
                unsure = sum(calibration.UNSURE_AT <= p < calibration.MATCH_AT for p in absent)
                text += f"; absent: match {match}, unsure {unsure} of {len(absent)}"
            figures[f"{condition} {length_s:g} s"] = text.lstrip("; ")
            print(f"{condition:8s} {length_s:4g} s  {text.lstrip('; ')}")
    figures["calibration error"] = reliability(rows, probability)
    print("offset error of clean and white clips (s):", offset_errors(rows))
    return figures


def offset_errors(rows: Sequence[Look]) -> str:
    """Median, 95th percentile and bias of where in the track, apart from its own repeats."""
    errors = np.array(
        [
            row.offset_error_s
            for row in rows
            if row.offset_error_s is not None and row.condition[0] in "cw"
        ]
    )
    errors = errors[np.abs(errors) < 0.25]  # beyond lie a track's own repeats
    if not len(errors):
        return "none"
    size = np.abs(errors)
    low, high = np.median(size), np.percentile(size, 95)
    return f"median {low:.4f}, 95th percentile {high:.4f}, bias {np.median(errors):+.4f}"


def reliability(rows: Sequence[Look], probability: Floats) -> str:
    """Expected calibration error over ten bins, printed with its diagram."""
    right = np.array([row.is_enrolled and row.is_right for row in rows])
    place = np.minimum((probability * 10).astype(int), 9)
    error = 0.0
    for number in range(10):
        inside = place == number
        if inside.any():
            said, was = probability[inside].mean(), right[inside].mean()
            error += inside.mean() * abs(said - was)
            print(f"said {said:.3f}, was {was:.3f}, {int(inside.sum())} looks")
    return f"{error:.4f}"
