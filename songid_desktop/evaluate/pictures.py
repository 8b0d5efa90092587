"""Which plots a run gives: from its figures to axes and lines."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from songid_desktop.evaluate import figures, published
from songid_desktop.evaluate.conditions import parse
from songid_desktop.evaluate.costs import ABSENT, FOUND
from songid_desktop.evaluate.figures import Cell, Share
from songid_desktop.evaluate.plots import (
    Axis,
    Plot,
    Series,
    even_axis,
    log_axis,
    percent_axis,
)
from songid_desktop.evaluate.results import CLIP, Record
from songid_desktop.evaluate.summary import Summary

_SHOWN = ("clean", "white20", "white10", "white0", "room10", "room0", "room-5", "phone")
_HISTOGRAM_BINS = 36


def pictures(summary: Summary) -> list[Plot]:
    """Every plot that has something to show, in the order of the page."""
    cells = figures.cells(summary.records)
    names = summary.identifiers
    found = [_by_length(name, [one for one in cells if one.identifier == name]) for name in names]
    found += [_by_noise(summary, family, cells) for family in ("white", "room")]
    for name in names:
        own = summary.of(name)
        found += [_cmc(name, own), _scores(name, own), _reliability(name, own)]
    found += [_latency(summary), _growth(summary), _growth_times(summary)]
    return [plot for plot in found if plot is not None]


def _line(label: str, shares: Sequence[tuple[float, Share]]) -> Series:
    """Shares over something, in per cent, with their intervals."""
    return Series(
        label,
        [(x, 100 * share.value) for x, share in shares],
        [(100 * share.interval[0], 100 * share.interval[1]) for _, share in shares],
    )


def _by_length(name: str, cells: Sequence[Cell]) -> Plot | None:
    lengths = sorted({cell.length_s for cell in cells})
    conditions = [one for one in _SHOWN if any(cell.condition == one for cell in cells)]
    conditions = conditions or figures.condition_order(cell.condition for cell in cells)[:8]
    if len(lengths) < 2:
        return None
    series = []
    for condition in conditions:
        own = [(c.length_s, c.top1) for c in _of(cells, condition)]
        series.append(_line(condition, own))
    return Plot(
        f"Accuracy by clip length: {name}",
        Axis("clip length (s)", lengths[0] * 0.85, lengths[-1] * 1.15,
             [(length, f"{length:g}") for length in lengths], is_log=True),
        percent_axis("Top-1 (%)", [y for one in series for _, y in one.points]),
        series,
    )  # fmt: skip


def _of(cells: Sequence[Cell], condition: str) -> list[Cell]:
    return [cell for cell in cells if cell.condition == condition]


def _by_noise(summary: Summary, family: str, cells: Sequence[Cell]) -> Plot | None:
    """Top-1 over the level of the noise, one line an identifier and length."""
    own = [cell for cell in cells if parse(cell.condition).family == family]
    levels = sorted({parse(cell.condition).amount for cell in own}, reverse=True)
    if len(levels) < 2:
        return None
    lengths = sorted({cell.length_s for cell in own})
    series = []
    for name in summary.identifiers:
        for length_s in lengths:
            line = [
                (parse(cell.condition).amount, cell.top1)
                for cell in own
                if (cell.identifier, cell.length_s) == (name, length_s)
            ]
            if line:
                series.append(_line(f"{name}, {length_s:g} s", line))
    if family == "white":
        for length_s in lengths:
            told = [
                (level, value)
                for level in levels
                if (value := published.find("landmark", f"white{level:g}", length_s)) is not None
            ]
            if told:
                label = f"report's own numbers, {length_s:g} s"
                series.append(Series(label, sorted(told), style="dashed"))
    what = "white noise" if family == "white" else "rooms with a background (A-weighted)"
    low, high = min(levels) - 1.5, max(levels) + 1.5
    # Quiet on the left, loud on the right: the axis runs downwards.
    flipped = [Series(s.label, [(-x, y) for x, y in s.points], s.spans, s.style) for s in series]
    return Plot(
        f"Accuracy in {what}",
        Axis("signal over noise (dB)", -high, -low, [(-level, f"{level:g}") for level in levels]),
        percent_axis("Top-1 (%)", [y for one in series for _, y in one.points]),
        flipped,
    )


def _middle_length(records: Sequence[Record]) -> float:
    lengths = sorted({one.length_s for one in records})
    return 5.0 if 5.0 in lengths else lengths[len(lengths) // 2]


def _cmc(name: str, records: Sequence[Record]) -> Plot | None:
    own = [one for one in figures.asked(records, CLIP) if one.is_enrolled]
    if not own:
        return None
    length_s = _middle_length(own)
    own = [one for one in own if one.length_s == length_s]
    conditions = [one for one in _SHOWN if any(r.condition == one for r in own)]
    conditions = conditions or figures.condition_order(r.condition for r in own)[:8]
    series = []
    for condition in conditions:
        curve = figures.cmc([one for one in own if one.condition == condition])
        points = [(float(rank), 100 * value) for rank, value in enumerate(curve, start=1)]
        series.append(Series(condition, points))
    return Plot(
        f"Cumulative match: {name}, {length_s:g} s",
        Axis("among the first … candidates", 1, figures.RANKS,
             [(rank, str(rank)) for rank in (1, 5, 10, 15, 20)]),
        percent_axis("right track (%)", [y for one in series for _, y in one.points]),
        series,
    )  # fmt: skip


def _scores(name: str, records: Sequence[Record]) -> Plot | None:
    """How far right answers stand above wrong ones and those to absent clips."""
    own = [one for one in figures.asked(records, CLIP) if one.best]
    kinds = {
        "right": [one.score for one in own if one.is_right],
        "wrong": [one.score for one in own if one.is_enrolled and not one.is_right],
        "absent": [one.score for one in own if not one.is_enrolled],
    }
    kinds = {label: values for label, values in kinds.items() if values}
    if not kinds:
        return None
    every = np.concatenate([np.asarray(values) for values in kinds.values()])
    low, high = float(every.min()), float(np.percentile(every, 99))
    high = max(high, low + 1e-6)
    edges = np.linspace(low, high, _HISTOGRAM_BINS + 1)
    series, tallest = [], 0.0
    for label, values in kinds.items():
        counts, _ = np.histogram(np.clip(values, low, high), edges)
        shares = 100.0 * counts / len(values)
        tallest = max(tallest, float(shares.max()))
        points = [(float(x), float(y)) for x, y in zip(edges, [*shares, shares[-1]], strict=True)]
        series.append(Series(f"{label} ({len(values):,})", points, style="steps"))
    return Plot(
        f"Scores of first candidates: {name}",
        even_axis("score, in the identifier's own unit", low, high),
        even_axis("of its kind (%)", 0.0, 1.05 * tallest),
        series,
    )


def _reliability(name: str, records: Sequence[Record]) -> Plot | None:
    found = figures.reliability(records)
    if not found.counts:
        return None
    most = max(found.counts)
    spans = [
        tuple(100 * edge for edge in figures.wilson(round(share * count), count))
        for share, count in zip(found.was, found.counts, strict=True)
    ]
    return Plot(
        f"Reliability: {name} (expected calibration error {found.error:.3f})",
        Axis("confidence said (%)", 0, 100, [(v, str(v)) for v in range(0, 101, 20)]),
        Axis("came true (%)", 0, 100, [(v, str(v)) for v in range(0, 101, 20)]),
        [
            Series("ideal", [(0.0, 0.0), (100.0, 100.0)], style="dashed"),
            Series(
                "answers",
                [(100 * s, 100 * w) for s, w in zip(found.said, found.was, strict=True)],
                [(low, high) for low, high in spans],
            ),
        ],
        note="Columns: how many answers (the tallest: " + f"{most:,}).",
        bars=[(100 * s, 0.9 * n / most) for s, n in zip(found.said, found.counts, strict=True)],
    )


_PLACES = {FOUND: "enrolled, clean", ABSENT: "absent, clean"}


def _latency(summary: Summary) -> Plot | None:
    """Every clip's time as a multiple of the spectrogram's, as a cumulative curve."""
    measured = summary.run.get("costs", {})
    series = []
    values: list[float] = []
    for situation, by_name in measured.get("times", {}).items():
        base = [cpu for _, cpu in by_name.get("stft", [])]
        if not base:
            continue
        stft = max(float(np.median(base)), 1e-6)
        for name in summary.identifiers:
            ratios = sorted(cpu / stft for _, cpu in by_name.get(name, []))
            points = [(ratio, 100.0 * (n + 1) / len(ratios)) for n, ratio in enumerate(ratios)]
            if points:
                values += ratios
                series.append(
                    Series(f"{name}: {_PLACES.get(situation, situation)}", points, style="line")
                )
    if not series:
        return None
    return Plot(
        "Time to identify 5 s",
        log_axis("times one STFT of the same clip", values, " ×"),
        Axis("of the clips (%)", 0, 100, [(v, str(v)) for v in range(0, 101, 20)]),
        series,
        note=f"STFT: {measured.get('stft', '')}.",
    )


def _growth(summary: Summary) -> Plot | None:
    lines: dict[str, list[tuple[float, Share]]] = {}
    for name, condition, tracks, share in figures.growth(summary.records):
        lines.setdefault(f"{name}, {condition}", []).append((float(tracks), share))
    sizes = sorted({x for line in lines.values() for x, _ in line})
    if len(sizes) < 2:
        return None
    series = [_line(label, sorted(line, key=lambda one: one[0])) for label, line in lines.items()]
    return Plot(
        "Accuracy as the catalog grows",
        _sizes_axis(sizes),
        percent_axis("Top-1 (%)", [y for one in series for _, y in one.points]),
        series,
    )


def _growth_times(summary: Summary) -> Plot | None:
    lines: dict[str, list[tuple[float, float]]] = {}
    for size, measured in summary.run.get("growth", {}).items():
        for one in figures.times(measured):
            lines.setdefault(one.identifier, []).append((float(size), one.times_stft))
    sizes = sorted({x for line in lines.values() for x, _ in line})
    if len(sizes) < 2:
        return None
    series = [Series(label, sorted(line)) for label, line in lines.items()]
    return Plot(
        "Time as the catalog grows",
        _sizes_axis(sizes),
        log_axis("median, times one STFT", [y for one in series for _, y in one.points], " ×"),
        series,
    )


def _sizes_axis(sizes: Sequence[float]) -> Axis:
    ticks = [(size, f"{size:,.0f}") for size in sizes]
    return Axis("tracks in the catalog", sizes[0] / 1.2, sizes[-1] * 1.2, ticks, is_log=True)
