"""The report's grids, cell by cell: a training each, one table for all.

At full size they are days of a graphics processor; every row says at which scale it was made.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from songid_desktop.errors import Cancelled
from songid_desktop.train.config import merged
from songid_desktop.train.export import CHECKPOINT
from songid_desktop.train.loop import Report, Training
from songid_desktop.train.presets import grid_cells
from songid_desktop.train.start import Places, prepare, taken
from songid_desktop.types import CancelToken

TABLE = "grid.csv"
_DONE = "cell.json"


@dataclass(frozen=True, slots=True)
class Cell:
    """One row of the table."""

    name: str
    architecture: str
    optimiser: str
    schedule: str
    learning_rate: float
    temperature: float
    alpha: float
    dim: int
    batch: int
    best: float
    """Share of the held-out clips found first at the best check."""
    best_step: int
    steps: int
    tracks: int
    seconds: float
    scale: str


def run_grid(
    name: str,
    places: Places,
    *,
    most_cells: int = 0,
    changes: Mapping[str, Any] | None = None,
    device: str = "auto",
    workers: int = 1,
    command: str = "",
    done: Callable[[Cell, int, int], None] | None = None,
    step: Report | None = None,
    cancel: CancelToken | None = None,
) -> Path:
    """Train what is not trained so far; returns the table.

    Parameters
    ----------
    most_cells : int
        Only so many, spread evenly; 0 for all.
    changes : mapping
        Values that all cells share, above all how small they are.

    Raises
    ------
    Cancelled
        Finished cells are kept, the present one goes on from its last step.
    """
    cells = list(grid_cells(name))
    if most_cells and most_cells < len(cells):
        cells = [cells[int(number * len(cells) / most_cells)] for number in range(most_cells)]
    rows: list[Cell] = []
    for number, (cell_name, values) in enumerate(cells):
        folder = places.out / cell_name
        row = _finished(folder / _DONE)
        if row is None:
            with taken(folder):
                training = prepare(
                    merged(values, dict(changes or {})),
                    replace(places, out=folder),
                    resume=(folder / CHECKPOINT).is_file(),
                    device=device,
                    workers=workers,
                    command=command,
                    cancel=cancel,
                )
                outcome = training.run(step, cancel)
                if outcome.was_stopped:
                    raise Cancelled
                row = _row(cell_name, training, changes or {})
                (folder / _DONE).write_text(json.dumps(asdict(row)) + "\n", "utf-8")
        rows.append(row)
        _write(places.out / TABLE, rows)
        if done is not None:
            done(row, number + 1, len(cells))
    return places.out / TABLE


def _finished(path: Path) -> Cell | None:
    try:
        return Cell(**json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _row(name: str, training: Training, changes: Mapping[str, Any]) -> Cell:
    train, state = training.train, training.state
    said = ", ".join(f"{key} {value}" for key, value in changes.items() if key != "seed")
    return Cell(
        name=name,
        architecture=training.model.architecture,
        optimiser=train.optimiser.kind,
        schedule=train.optimiser.schedule,
        learning_rate=train.optimiser.learning_rate,
        temperature=train.loss.temperature,
        alpha=train.loss.alpha,
        dim=training.model.dim,
        batch=train.batch,
        best=round(state.best, 4),
        best_step=state.best_step,
        steps=state.step,
        tracks=len(training.music.part("train")),
        seconds=round(state.seconds, 1),
        scale=f"reduced: {said}" if said else "full",
    )


def _write(path: Path, rows: list[Cell]) -> None:
    part = path.with_suffix(".part")
    with part.open("w", encoding="utf-8", newline="") as out:
        table = csv.writer(out)
        table.writerow([field.name for field in fields(Cell)])
        table.writerows([list(asdict(row).values()) for row in rows])
    part.replace(path)
