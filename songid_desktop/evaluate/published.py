"""What the report published, as facts to lay beside our own measurements.

The numbers are the report's own, on its own songs and clips; they compare with ours only as far as
conditions of the same name were made alike. ``resources/report`` holds them as tables, each with a
first line that names its place in the report.
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Iterator
from dataclasses import dataclass

from songid_desktop.paths import resource

SOURCE = (
    "Published numbers: “Song Identification Using Audio Fingerprinting and Deep Learning”, "
    "Part II: white noise over clips of 2, 5 and 10 s; 989 songs to tune on, 200 others to test."
)
TUNING, TEST = "tuning-1000", "test-200"
LABELS = {
    "landmark": "Landmark (report)",
    "cnn-baseline": "CNN, 3 layers (report)",
    "cnn-enhanced": "CNN, 4 layers (report)",
    "ast-baseline": "AST (report)",
    "ast-enhanced": "AST, enhanced (report)",
    "mert-baseline": "MERT (report)",
    "mert-enhanced": "MERT, enhanced (report)",
}
"""Published methods, in the report's order, as people read them."""


@dataclass(frozen=True, slots=True)
class Published:
    """One cell of the report's result tables.

    Attributes
    ----------
    method : str
        A key of `LABELS`.
    dataset : str
        `TUNING` or `TEST`.
    metric : str
        ``top_1`` or ``top_5``.
    condition : str
        In our words: ``clean``, ``white20``, ``white10`` or ``white0``.
    length_s : float
    accuracy_pct : float
    """

    method: str
    dataset: str
    metric: str
    condition: str
    length_s: float
    accuracy_pct: float


@dataclass(frozen=True, slots=True)
class PublishedCell:
    """One cell of the report's grid: Top-1 of clean clips of 5 s, and latency."""

    pns: int
    fan: int
    eth: float
    accuracy_pct: float
    latency_s: float


def _rows(name: str) -> Iterator[dict[str, str]]:
    with resource("report", name).open(encoding="utf-8", newline="") as lines:
        yield from csv.DictReader(line for line in lines if not line.startswith("#"))


@functools.cache
def results() -> tuple[Published, ...]:
    """Every published accuracy of the landmark, CNN, AST and MERT methods."""
    return tuple(
        Published(
            method=row["method"],
            dataset=row["dataset"],
            metric=row["metric"],
            condition="clean" if row["snr_db"] == "clean" else f"white{row['snr_db']}",
            length_s=float(row["clip_s"]),
            accuracy_pct=float(row["accuracy_pct"]),
        )
        for row in _rows("results.csv")
    )


@functools.cache
def grid() -> tuple[PublishedCell, ...]:
    """The report's 27 cells, in its order."""
    return tuple(
        PublishedCell(
            pns=int(row["pns"]),
            fan=int(row["fan"]),
            eth=float(row["eth"]),
            accuracy_pct=100.0 * float(row["accuracy"]),
            latency_s=float(row["latency_s"]),
        )
        for row in _rows("grid.csv")
    )


def find(
    method: str, condition: str, length_s: float, metric: str = "top_1", dataset: str = TEST
) -> float | None:
    """The published accuracy (per cent) of one cell, None where the report has none."""
    wanted = (method, dataset, metric, condition, length_s)
    for row in results():
        if (row.method, row.dataset, row.metric, row.condition, row.length_s) == wanted:
            return row.accuracy_pct
    return None


def find_cell(pns: int, fan: int, eth: float) -> PublishedCell | None:
    """The published cell of the grid with these parameters, None where there is none."""
    for cell in grid():
        if (cell.pns, cell.fan, cell.eth) == (pns, fan, eth):
            return cell
    return None
