"""The HTML report: one file that needs nothing else, in the product's look, light and dark."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path

from songid_desktop.evaluate import embedding_page, figures, published
from songid_desktop.evaluate.conditions import parse
from songid_desktop.evaluate.costs import FOUND
from songid_desktop.evaluate.figures import Cell
from songid_desktop.evaluate.page_style import STYLE
from songid_desktop.evaluate.pictures import pictures
from songid_desktop.evaluate.plots import Plot, draw, legend
from songid_desktop.evaluate.results import PAGE_FILE, RunFolder
from songid_desktop.evaluate.summary import (
    DASH,
    Summary,
    Table,
    interval,
    milliseconds,
    percent,
    published_pct,
)

Value = Callable[[Cell], tuple[str, str]]
"""What a cell of a matrix shows: a number, and smaller below it what belongs to it."""


def write_page(folder: Path, summary: Summary) -> Path:
    """Write the report into the run's folder; where it stands.

    Raises
    ------
    EnvironmentProblem
        When the folder can't be written.
    """
    return RunFolder(folder).write_text(PAGE_FILE, page(summary))


def page(summary: Summary) -> str:
    """The whole report as text."""
    sections = [
        _head(summary),
        _key_figures(summary),
        _accuracy(summary),
        _pictures(pictures(summary)),
        _answers(summary),
        _tables(summary),
        embedding_page.sections(summary.embeddings),
        _what_was_run(summary),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>SongID – how well songs are named</title><style>{STYLE}</style></head>"
        f"<body><main>{''.join(sections)}</main></body></html>\n"
    )


def _head(summary: Summary) -> str:
    run = summary.run
    told = []
    if run:
        tracks = run.get("enrolment", {}).get("tracks", 0)
        clips = len(figures.asked(summary.records))
        told.append(
            f"{clips:,} clips asked of {tracks:,} tracks; "
            f"{run.get('queries', 0):,} tracks asked for, {run.get('absent', 0):,} absent"
        )
        told.append(run.get("last", "")[:10])
    return (
        "<header><h1>How well songs are named</h1>"
        f'<p class="muted">{" · ".join(escape(one) for one in told if one)}</p></header>'
    )


# -- the numbers that matter --------------------------------------------------------------------


def _key_figures(summary: Summary) -> str:
    """Four numbers of the first identifier."""
    if not summary.identifiers:
        return ""
    name = summary.identifiers[0]
    cells = [cell for cell in figures.cells(summary.records) if cell.identifier == name]
    shown = [
        (f"{percent(cell.top1)} %", f"right first, {cell.condition}, {cell.length_s:g} s",
         interval(cell.top1))
        for condition in ("clean", "white0", "room0")
        for cell in cells
        if cell.condition == condition and cell.length_s == 5.0
    ]  # fmt: skip
    match, _ = figures.all_false_answers(summary.records, name)
    if match.total:
        low, high = match.interval
        shown.append(
            (
                f"{match.count} of {match.total:,}",
                "absent clips answered as a match",
                f"{1000 * low:.1f}–{1000 * high:.1f} in 1,000",
            )
        )
    shown += [
        (f"{cost.times_stft:.1f} ×", "the time of one STFT, for 5 s", "median")
        for cost in figures.times(summary.run.get("costs", {}))
        if cost.identifier == name and cost.situation == FOUND
    ]
    items = "".join(
        f"<li><b>{escape(number)}</b><span>{escape(words)}</span>"
        f'<span class="small">{escape(below)}</span></li>'
        for number, words, below in shown
    )
    return f'<ul class="key-figures" aria-label="{escape(name)}">{items}</ul>' if items else ""


# -- matrices: conditions down, identifiers and lengths across ----------------------------------


def _accuracy(summary: Summary) -> str:
    def top1(cell: Cell) -> tuple[str, str]:
        return percent(cell.top1), interval(cell.top1)

    def top5(cell: Cell) -> tuple[str, str]:
        return percent(cell.top5), interval(cell.top5)

    cells = figures.cells(summary.records)
    return (
        _matrix("Right track first (Top-1, %)", cells, summary, top1, with_published=True)
        + _matrix("Right track among the first five (Top-5, %)", cells, summary, top5)
    )  # fmt: skip


def _answers(summary: Summary) -> str:
    def match(cell: Cell) -> tuple[str, str]:
        return percent(cell.match_right), interval(cell.match_right)

    def wrong(cell: Cell) -> tuple[str, str]:
        return str(cell.match_wrong.count), f"{cell.unsure_wrong.count} unsure"

    def offset(cell: Cell) -> tuple[str, str]:
        return milliseconds(cell.offset_s, 0), milliseconds(cell.offset_s, 1)

    cells = figures.cells(summary.records)
    title = "Answered as a match, but wrong (clips of enrolled tracks)"
    if any(cell.match_wrong.count + cell.unsure_wrong.count for cell in cells):
        wrongly = _matrix(title, cells, summary, wrong)
    else:
        many = sum(cell.top1.total for cell in cells)
        told = f"None of {many:,} clips was answered with another track, as a match or as unsure."
        wrongly = _section(title, f'<p class="muted">{told}</p>') if many else ""
    return (
        _matrix("Answered as a match, and right (%)", cells, summary, match)
        + wrongly
        + _matrix("Offset error: median, and 95th percentile", cells, summary, offset)
    )


def _matrix(
    title: str,
    cells: Sequence[Cell],
    summary: Summary,
    value: Value,
    *,
    with_published: bool = False,
) -> str:
    if not cells:
        return ""
    lengths = sorted({cell.length_s for cell in cells})
    found = {(cell.identifier, cell.condition, cell.length_s): cell for cell in cells}
    names = summary.identifiers
    groups = "".join(
        f'<th colspan="{len(lengths)}" scope="colgroup">{escape(name)}</th>' for name in names
    )
    heads = "".join(f'<th scope="col">{length:g} s</th>' for length in lengths) * len(names)
    if with_published:
        groups += f'<th colspan="{len(lengths)}" scope="colgroup">the report itself</th>'
        heads += "".join(f'<th scope="col">{length:g} s</th>' for length in lengths)
    rows = []
    for condition in figures.condition_order(cell.condition for cell in cells):
        words = escape(parse(condition).words, quote=True)
        row = [f'<th scope="row" title="{words}">{escape(condition)}</th>']
        for name in names:
            for length in lengths:
                cell = found.get((name, condition, length))
                row.append(_value(*value(cell)) if cell else f"<td>{DASH}</td>")
        if with_published:
            told = (next((c for c in cells if (c.condition, c.length_s) == (condition, length)),
                         None) for length in lengths)  # fmt: skip
            row += [f"<td>{published_pct(cell) if cell else DASH}</td>" for cell in told]
        rows.append(f"<tr>{''.join(row)}</tr>")
    counts = sorted({cell.top1.total for cell in cells})
    many = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
    note = f"{many} clips a cell; below each share its 95 % interval (Wilson)."
    if with_published:
        note += f" {published.SOURCE} Clean, 5 s: its 1,000-song grid."
    return _section(
        title,
        f'<div class="scroll"><table><thead><tr><td></td>{groups}</tr><tr>'
        f'<th scope="col">condition</th>{heads}</tr></thead><tbody>{"".join(rows)}</tbody>'
        "</table></div>",
        note if "%" in title else "",
    )


def _value(number: str, below: str) -> str:
    return f'<td>{escape(number)}<span class="small">{escape(below)}</span></td>'


def _section(title: str, inside: str, note: str = "") -> str:
    told = f'<p class="muted">{escape(note)}</p>' if note else ""
    return f"<section><h2>{escape(title)}</h2>{told}{inside}</section>"


# -- plots and tables ---------------------------------------------------------------------------


def _pictures(plots: Sequence[Plot]) -> str:
    if not plots:
        return ""
    shown = "".join(
        f"<figure><figcaption>{escape(plot.title)}</figcaption>{draw(plot)}{legend(plot)}"
        + (f'<p class="small">{escape(plot.note)}</p>' if plot.note else "")
        + "</figure>"
        for plot in plots
    )
    return f'<section><h2>Pictures</h2><div class="plots">{shown}</div></section>'


def _tables(summary: Summary) -> str:
    every = (
        summary.false_table(),
        summary.recall_table(),
        summary.session_table(),
        summary.time_table(),
        summary.size_table(),
        summary.growth_table(),
        summary.grid_table(),
    )
    return "".join(_table(table) for table in every if table[2])


def _table(table: Table) -> str:
    title, head, rows = table
    words = _word_columns(rows)
    heads = "".join(
        f'<th scope="col"{_left(number in words)}>{escape(text)}</th>'
        for number, text in enumerate(head)
    )
    body = "".join(
        "<tr>"
        + "".join(
            f"<td{_left(number in words)}>{escape(text)}</td>" for number, text in enumerate(row)
        )
        + "</tr>"
        for row in rows
    )
    return _section(
        title,
        f'<div class="scroll"><table><thead><tr>{heads}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>",
    )


def _word_columns(rows: Sequence[Sequence[str]]) -> set[int]:
    """Columns that hold words: they stand to the left."""
    return {
        number
        for number in range(len(rows[0]))
        if any(row[number] and not (row[number][0].isdigit() or row[number] == DASH)
               for row in rows)
    }  # fmt: skip


def _left(is_left: bool) -> str:
    return ' class="left"' if is_left else ""


# -- what was run -------------------------------------------------------------------------------


def _what_was_run(summary: Summary) -> str:
    run = summary.run
    notes = "".join(f"<li>{escape(note)}</li>" for note in summary.notes())
    if not run:
        return _section("How to read it", f"<ul>{notes}</ul>") if notes else ""
    options = run.get("options", {})
    pairs = [("Command", " ; ".join(run.get("commands", [])) or DASH)]
    pairs += [
        (name.replace("_", " ").capitalize(), _told(value)) for name, value in options.items()
    ]
    pairs += list(run.get("versions", {}).items())
    pairs += [
        (f"Configuration of {name}", f"{one['digest']}, build {summary.builds.get(name, DASH)}")
        for name, one in run.get("identifiers", {}).items()
    ]
    pairs.append(("Time it took", f"{run.get('elapsed_s', 0.0) / 60:.0f} min"))
    peak = run.get("costs", {}).get("peak_mb")
    if peak:
        pairs.append(("Most memory while timing", f"{peak:,.0f} MB, all identifiers open"))
    listed = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in pairs)
    asked = figures.condition_order(one.condition for one in summary.records)
    words = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(parse(name).words)}</dd>" for name in asked
    )
    places = "".join(
        f"<details><summary>{escape(title)}</summary><p>{escape('; '.join(names))}</p></details>"
        for title, names in (
            ("Backgrounds", run.get("backgrounds", [])),
            ("Rooms", run.get("rooms", [])),
            ("Twins", [" = ".join(group) for group in run.get("twins", {}).get("groups", [])]),
            ("Absent tracks with a twin, left out", run.get("twins", {}).get("not_absent", [])),
        )
        if names
    )
    return (
        _section("How to read it", f"<ul>{notes}</ul>")
        + _section("The conditions", f"<dl>{words}</dl>")
        + _section("What was run", f"<dl>{listed}</dl>{places}")
    )


def _told(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(_told(one) for one in value) or DASH
    if value is None or value == "":
        return DASH
    return value if isinstance(value, str) else json.dumps(value)
