"""The report's grid again, on other music: accuracy and latency of its 27 cells.

PNS 20/30/40 × FAN 15/30/50 × ETH 0.3/0.5/0.7, each an index of its own on disk, searched by the
identifier `report`. A track's spectrogram is surveyed once and shared by all cells; one index lies
on disk at a time, and the postings in memory are bounded whatever the number of tracks. Every
finished cell is kept, so a run that was interrupted goes on with the next one.

Times depend on the machine and on what else it does. What a clip costs is therefore also given as
multiples of one STFT (2048/512, in dB) of the same clip, taken just before, both in processor time;
the report's seconds stand beside them for its own machine.
"""

from __future__ import annotations

import argparse
import csv
import io
import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from songid_desktop.errors import UsageError
from songid_desktop.evaluate import conditions, published
from songid_desktop.evaluate.grid_cell import CellResult, measure_cell
from songid_desktop.evaluate.grid_material import Material, choose, file_name, prepare
from songid_desktop.evaluate.parallel import default_jobs
from songid_desktop.evaluate.results import RunFolder
from songid_desktop.evaluate.surroundings import make_scene
from songid_desktop.landmark.report import ReportConfig
from songid_desktop.types import CancelToken

PNS, FAN, ETH = (20, 30, 40), (15, 30, 50), (0.3, 0.5, 0.7)
DEFAULT_TRACKS = 200
WORK = "grid-work"

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class GridOptions:
    """What to measure, and with how much music."""

    catalog_from: Path
    out: Path
    tracks: int | None = DEFAULT_TRACKS
    """None: all there are."""
    queries: int | None = None
    """Tracks asked for; None: all that may."""
    lengths_s: tuple[float, ...] = (5.0,)
    conditions: tuple[str, ...] = ("clean",)
    draws: int = 1
    """Clips of each of them, of every length under every condition."""
    pns: tuple[int, ...] = PNS
    fan: tuple[int, ...] = FAN
    eth: tuple[float, ...] = ETH
    seed: int = 1
    jobs: int = 0
    """Processes that decode and survey; 0: one for each core. Clips are asked for one by one."""
    noise_dir: Path | None = None
    rooms_dir: Path | None = None

    def cells_key(self) -> str:
        """Name of what the kept results depend on, beside the cell itself."""
        asked = (self.tracks, self.queries, self.lengths_s, self.conditions, self.draws, self.seed)
        return file_name(self.material_key(), *asked)

    def material_key(self) -> str:
        """Name of what the kept surveys and clips depend on, beside what their own names say."""
        places = (self.catalog_from.absolute(), self.noise_dir, self.rooms_dir)
        return file_name(*places, ReportConfig().index_digest())


def run_grid(
    options: GridOptions,
    *,
    progress: Progress | None = None,
    cancel: CancelToken | None = None,
) -> dict[str, Any]:
    """Measure every cell.

    Returns
    -------
    dict
        Fit for JSON; ``cells`` are `CellResult`s. The same lies in ``out/grid.json``, and the cells
        in ``out/grid.csv``, both brought up to date after each cell.

    Raises
    ------
    UsageError
        When there is no music to measure with, or a condition is unknown.
    EnvironmentProblem
        When `out` can't be written.
    Cancelled
        What was measured is kept, and the same call goes on.
    """
    say = progress or (lambda _line: None)
    folder = RunFolder(options.out)
    with folder.taken():
        return _measure_cells(options, folder, say, cancel)


def _measure_cells(
    options: GridOptions, folder: RunFolder, say: Progress, cancel: CancelToken | None
) -> dict[str, Any]:
    work = RunFolder(options.out / WORK / options.cells_key())
    work.prepare()
    material = _prepare(options, say, cancel)
    cells = list(itertools.product(options.pns, options.eth, options.fan))
    results: list[CellResult] = []
    for number, (pns, eth, fan) in enumerate(cells, start=1):
        config = ReportConfig(pns=pns, fan=fan, eth=eth)

        def told(row: CellResult, number: int = number) -> None:
            say(f"{number} of {len(cells)}: {describe(row)}")

        rows = _kept_cell(work, config)
        if rows is None:
            rows = measure_cell(config, material, work.folder / "index", told, cancel)
            work.write_text(_cell_file(config), json.dumps([asdict(row) for row in rows]))
        else:
            for row in rows:
                told(row)
        results += rows
        _write_tables(folder, options, material, results)
    return _state(options, material, results)


def _cell_file(config: ReportConfig) -> str:
    return f"pns{config.pns}_fan{config.fan}_eth{config.eth:g}.json"


def _kept_cell(work: RunFolder, config: ReportConfig) -> list[CellResult] | None:
    """What an earlier run measured."""
    try:
        found = json.loads((work.folder / _cell_file(config)).read_text(encoding="utf-8"))
        return [CellResult(**row) for row in found]
    except (OSError, ValueError, TypeError):
        return None


def _prepare(options: GridOptions, say: Progress, cancel: CancelToken | None) -> Material:
    for name in options.conditions:
        if not conditions.parse(name).is_music:
            raise UsageError(f"The grid asks for music of its catalog; “{name}” is none.")
    choice = choose(options.catalog_from, options.tracks, options.queries, options.seed)
    scene = make_scene(
        corpus=options.catalog_from, noise_dir=options.noise_dir, rooms_dir=options.rooms_dir
    )
    say(f"{len(choice.tracks)} tracks, {len(choice.queries)} of them asked for.")
    material = Material(
        choice,
        options.out / WORK / f"material-{options.material_key()}",
        # The report's own always, so that grids of some of its cells share what was surveyed.
        tuple(sorted({*PNS, *options.pns})),
        options.lengths_s,
        options.conditions,
        options.draws,
        options.seed,
    )
    material.folder.mkdir(exist_ok=True)

    def told(done: int, total: int) -> None:
        if done % 20 == 0 or done == total:
            say(f"Surveyed {done} of {total} tracks.")

    jobs = options.jobs or default_jobs()
    prepare(material, scene, jobs=jobs, told=told, cancel=cancel)
    for path, problem in material.missing.items():
        say(f"Left out: {path}: {problem}")
    if len(material.missing) == len(choice.tracks):
        raise UsageError(f"None of the tracks in {options.catalog_from} can be read.")
    return material


# -- results ------------------------------------------------------------------------------------


def describe(row: CellResult) -> str:
    """One line for people."""
    text = (
        f"PNS {row.pns} FAN {row.fan} ETH {row.eth:g}, {row.condition} {row.length_s:g} s: "
        f"top-1 {row.top_1_pct:.1f} % ({row.top_1_low_pct:.1f}–{row.top_1_high_pct:.1f}) "
        f"of {row.total}, {1e3 * row.latency_p50_s:.0f} ms = {row.stft_ratio:.0f} STFT, "
        f"{row.postings / 1e6:.1f} M postings"
    )
    if row.published_top_1_pct is not None:
        text += f"; report {row.published_top_1_pct:.1f} %, {row.published_latency_s:.3f} s"
    return text


def _state(
    options: GridOptions, material: Material, results: Sequence[CellResult]
) -> dict[str, Any]:
    return {
        "options": json.loads(json.dumps(asdict(options), default=str)),
        "published": published.SOURCE,
        "left_out": material.missing,
        "cells": [asdict(row) for row in results],
    }


def _write_tables(
    folder: RunFolder, options: GridOptions, material: Material, results: Sequence[CellResult]
) -> None:
    state = _state(options, material, results)
    folder.write_text("grid.json", json.dumps(state, indent=1, ensure_ascii=False) + "\n")
    if results:
        table = io.StringIO()
        writer = csv.DictWriter(table, list(asdict(results[0])), lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in results)
        folder.write_text("grid.csv", table.getvalue())


# -- command line -------------------------------------------------------------------------------


def options_from(chosen: argparse.Namespace) -> GridOptions:
    """Options of a command line; what is None or not there keeps its default.

    Lists come as text with commas, `tracks` as a number or “all”.

    Raises
    ------
    UsageError
        When a value makes no sense; the message names it.
    """
    values: dict[str, Any] = {}
    for name, (target, read) in _READERS.items():
        given = getattr(chosen, name, None)
        if given is not None:
            values[target] = read(name, given)
    return GridOptions(chosen.catalog_from.expanduser(), chosen.out.expanduser(), **values)


def _numbers(name: str, text: str, least: float) -> tuple[float, ...]:
    try:
        values = tuple(dict.fromkeys(float(part) for part in text.split(",") if part.strip()))
    except ValueError:
        values = ()
    if not values or not all(least <= value < 1e4 for value in values):
        raise UsageError(f"--{name} needs numbers from {least:g} on, not “{text}”.")
    return values


def _read_whole(least: int) -> Callable[[str, str], tuple[int, ...]]:
    return lambda name, text: tuple(round(value) for value in _numbers(name, text, least))


def _read_count(least: int) -> Callable[[str, int], int]:
    def read(name: str, value: int) -> int:
        if value < least:
            raise UsageError(f"--{name} needs a number from {least} on, not {value}.")
        return value

    return read


def _read_tracks(name: str, text: str) -> int | None:
    return None if text == "all" else round(_numbers(name, text, 1)[0])


def _read_conditions(_name: str, text: str) -> tuple[str, ...]:
    return tuple(condition.name for condition in conditions.parse_list(text))


def _read_folder(_name: str, path: Path) -> Path:
    return path.expanduser()


_READERS: dict[str, tuple[str, Callable[[str, Any], Any]]] = {
    "tracks": ("tracks", _read_tracks),
    "queries": ("queries", _read_count(1)),
    "lengths": ("lengths_s", lambda name, text: _numbers(name, text, 1)),
    "conditions": ("conditions", _read_conditions),
    "draws": ("draws", _read_count(1)),
    "pns": ("pns", _read_whole(2)),
    "fan": ("fan", _read_whole(1)),
    "eth": ("eth", lambda name, text: _numbers(name, text, 0)),
    "seed": ("seed", _read_count(0)),
    "jobs": ("jobs", _read_count(0)),
    "noise_dir": ("noise_dir", _read_folder),
    "rooms_dir": ("rooms_dir", _read_folder),
}
"""Option of the command line: field of `GridOptions`, and how its value is read."""
