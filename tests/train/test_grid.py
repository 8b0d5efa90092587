"""Grids: every cell once, going on where they were stopped, honest about their scale."""

from __future__ import annotations

import csv
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from songid_desktop.errors import Cancelled, UsageError
from songid_desktop.train.config import merged
from songid_desktop.train.grid import Cell, run_grid
from songid_desktop.train.start import Places
from tests.support.training import MODEL, VALUES

SMALL: Mapping[str, Any] = {
    "model": {
        "body": {"channels": [4, 8]},
        "front_end": MODEL["front_end"] | {"sample_rate": 8000, "f_max": 3700.0},
    },
    "epochs": 0.0,
    "steps": 2,
    "batch": 8,
    "check": VALUES["check"] | {"every_steps": 2, "noise_db": []},
    "degrade": {"made_rooms": 0, "made_noise": False},
}


@pytest.fixture
def places(collection: Path, cache: Path, tmp_path: Path) -> Places:
    return Places(collection, tmp_path / "grid", cache)


def _rows(table: Path) -> list[dict[str, str]]:
    with table.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def test_cells_are_trained_once_and_say_their_scale(places: Places) -> None:
    done: list[Cell] = []
    options: dict[str, Any] = {"most_cells": 3, "changes": SMALL, "workers": 0, "device": "cpu"}
    table = run_grid("report-cnn", places, done=lambda cell, *_: done.append(cell), **options)
    rows = _rows(table)
    assert [row["name"] for row in rows] == [cell.name for cell in done]
    assert len({row["name"] for row in rows}) == 3
    assert all(row["scale"].startswith("reduced: ") for row in rows)
    assert all(int(row["steps"]) == 2 for row in rows)
    before = {path: path.stat().st_mtime_ns for path in places.out.rglob("cell.json")}
    run_grid("report-cnn", places, **options)
    assert {path: path.stat().st_mtime_ns for path in places.out.rglob("cell.json")} == before


def test_a_stopped_grid_goes_on(places: Places) -> None:
    stop = threading.Event()
    options: dict[str, Any] = {
        "most_cells": 2,
        "changes": merged(SMALL, {"steps": 4}),
        "workers": 0,
        "device": "cpu",
    }
    with pytest.raises(Cancelled):
        run_grid(
            "report-augment",
            places,
            step=lambda progress: stop.set() if progress.step == 1 else None,
            cancel=stop,
            **options,
        )
    rows = _rows(run_grid("report-augment", places, **options))
    assert [row["optimiser"] for row in rows] == ["adam", "adamw"]


def test_an_unknown_grid_is_a_sentence(places: Places) -> None:
    with pytest.raises(UsageError, match="report-cnn"):
        run_grid("everything", places)
