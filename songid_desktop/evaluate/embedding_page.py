"""The embeddings' part of the HTML report: every analysis with the models side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from songid_desktop.evaluate.embeddings import accuracy
from songid_desktop.evaluate.figures import Share
from songid_desktop.evaluate.plots import (
    COLOURS,
    Axis,
    Plot,
    Series,
    draw,
    even_axis,
    legend,
)

Found = Mapping[str, Any]
Table = tuple[str, list[str], list[list[str]]]

_WAYS = {
    "track": "one vector a track, as in the report",
    "place": "one vector for every place of a track",
}
_CELL, _LABEL = 34, 28
_TALLEST = 1.08
_NARROW = 0.1
"""Cosines closer together than this get a digit more."""
_LONGEST_NAME = 60


def sections(found: Found) -> str:
    """Everything as HTML; empty where nothing was measured."""
    if not found or not found.get("models"):
        return ""
    return (
        _about(found)
        + _figures("How alike pairs of vectors are", [_distribution(n, m) for n, m in _of(found)])
        + _numbers(tables(found))
        + _figures(
            f"Tracks on a plane (t-SNE){_by(found)}", [_plane(found, n, m) for n, m in _of(found)]
        )
        + _alike(found, "most_alike", "The most alike triplets of tracks")
        + _alike(found, "least_alike", "The least alike triplets of tracks")
    )


def tables(found: Found) -> list[Table]:
    """Top-1 and Top-5 by one vector a clip, and the distributions, as tables; none where nothing
    was measured."""
    if not found or not found.get("models"):
        return []
    return [
        *(_accuracy_table(found, way) for way in _WAYS),
        _similarity_table(found),
    ]


def _of(found: Found) -> list[tuple[str, Found]]:
    return list(found["models"].items())


def _by(found: Found) -> str:
    return f" by {found['grouped_by']}" if found["grouped_by"] else ""


def _about(found: Found) -> str:
    models = ", ".join(
        f"{escape(name)} ({model['dim']} numbers, every {model['hop_s']:g} s)"
        for name, model in _of(found)
    )
    text = (
        f"{len(found['tracks']):,} tracks, {found['stretch_s']:g} s of each, the same for every "
        f"model: {models}. One vector a clip or track is the mean of its own."
    )
    if found["left_out"]:
        count = found["left_out"]
        text += f" {count:,} track{' is' if count == 1 else 's are'} too short or can't be read."
    return f'<section><h2>Embeddings</h2><p class="muted">{text}</p></section>'


def _figures(title: str, figures: Sequence[str]) -> str:
    return f'<section><h2>{escape(title)}</h2><div class="plots">{"".join(figures)}</div></section>'


def _figure(plot: Plot) -> str:
    note = f'<p class="small">{escape(plot.note)}</p>' if plot.note else ""
    caption = f"<figcaption>{escape(plot.title)}</figcaption>"
    return f"<figure>{caption}{draw(plot)}{legend(plot)}{note}</figure>"


# -- plots ---------------------------------------------------------------------------------------


def _distribution(name: str, model: Found) -> str:
    similarity = model["similarity"]
    edges = similarity["edges"]
    series = [
        Series(
            f"{kind['name']} ({kind['mean']:.2f})",
            list(zip(edges, [*kind["shares"], kind["shares"][-1]], strict=True)),
            style="steps",
        )
        for kind in similarity["kinds"]
    ]
    tallest = max(max(kind["shares"]) for kind in similarity["kinds"])
    return _figure(
        Plot(
            name,
            even_axis("cosine", edges[0], edges[-1]),
            even_axis("of its kind (%)", 0.0, _TALLEST * tallest),
            series,
            note=f"Vectors of clips of {similarity['length_s']:g} s. In brackets the mean.",
        )
    )


def _plane(found: Found, name: str, model: Found) -> str:
    places, groups = model["places"], found["groups"]
    names = sorted(set(groups), key=lambda group: (group == "other", group))
    series = [
        Series(
            group,
            [(x, y) for (x, y), own in zip(places, groups, strict=True) if own == group],
            style="marks",
        )
        for group in names
    ]
    return _figure(Plot(name, _bare(places, 0), _bare(places, 1), series))


def _bare(places: Sequence[Sequence[float]], side: int) -> Axis:
    """A range without ticks: the unit means nothing."""
    values = [place[side] for place in places]
    margin = 0.05 * (max(values) - min(values)) or 1.0
    return Axis("", min(values) - margin, max(values) + margin, ())


# -- triplets ------------------------------------------------------------------------------------


def _alike(found: Found, which: str, title: str) -> str:
    shown = []
    for name, model in _of(found):
        alike = model[which]
        numbers = [track + 1 for track in alike["tracks"]]
        inside = heat_map(alike["cosines"], numbers, name) + _triplet_table(alike["triplets"])
        inside += _names(found, alike["tracks"])
        shown.append(f"<figure><figcaption>{escape(name)}</figcaption>{inside}</figure>")
    return _figures(title, shown)


def heat_map(cosines: Sequence[Sequence[float]], names: Sequence[int], title: str) -> str:
    """Cosines between all pairs as an SVG of coloured squares with their numbers."""
    count = len(cosines)
    side = _LABEL + count * _CELL
    every = [value for row in cosines for value in row]
    low, high = (min(every), max(every)) if every else (0.0, 1.0)
    digits = 2 if high - low > _NARROW else 3
    label = escape(f"Cosines: {title}", quote=True)
    parts = [
        (
            f'<svg class="plot" viewBox="0 0 {side} {side}" role="img" aria-label="{label}" '
            f'style="max-width:{side}px">'
        ),
        f"<title>{label}</title>",
    ]
    for row in range(count):
        middle = _LABEL + (row + 0.5) * _CELL
        number = names[row]
        parts.append(
            f'<text class="tick" x="{_LABEL - 6}" y="{middle + 4:.0f}" text-anchor="end">'
            f'{number}</text><text class="tick" x="{middle:.0f}" y="{_LABEL - 8}" '
            f'text-anchor="middle">{number}</text>'
        )
        for column in range(count):
            value = cosines[row][column]
            share = (value - low) / (high - low) if high > low else 1.0
            x, y = _LABEL + column * _CELL, _LABEL + row * _CELL
            ink = "#0B0D12" if share > 0.5 else "#ECEEF2"
            parts.append(
                f'<rect x="{x}" y="{y}" width="{_CELL - 1}" height="{_CELL - 1}" '
                f'fill="{_shade(share)}"/><text x="{x + _CELL / 2:.0f}" y="{y + 21}" '
                f'text-anchor="middle" font-size="11" fill="{ink}">{_short(value, digits)}</text>'
            )
    return "".join([*parts, "</svg>"])


def _shade(share: float) -> str:
    """From the canvas to the first colour of lines."""
    dark, bright = (0x2E, 0x33, 0x3D), _channels(COLOURS[0])
    mixed = [round(d + share * (b - d)) for d, b in zip(dark, bright, strict=True)]
    return "#" + "".join(f"{channel:02X}" for channel in mixed)


def _channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _short(value: float, digits: int) -> str:
    """A cosine with few characters: no zero before the point, none behind a whole number."""
    text = f"{round(value, digits) + 0.0:.{digits}f}"  # -0.0 + 0.0 is 0.0
    whole, _, rest = text.partition(".")
    return f"{whole.removesuffix('0')}.{rest}" if rest.strip("0") else whole


def _triplet_table(triplets: Sequence[Found]) -> str:
    rows = "".join(
        "<tr>"
        + "".join(f"<td>{track + 1}</td>" for track in one["tracks"])
        + f"<td>{one['cosine']:.4f}</td></tr>"
        for one in triplets
    )
    heads = "".join(
        f'<th scope="col">{text}</th>' for text in ("Track", "Track", "Track", "Mean cosine")
    )
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"


def _names(found: Found, tracks: Sequence[int]) -> str:
    named = "; ".join(f"{one + 1} {_cut(found['tracks'][one])}" for one in sorted(tracks))
    return f'<p class="small">{escape(named)}</p>'


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_NAME else text[: _LONGEST_NAME - 1] + "…"


# -- tables --------------------------------------------------------------------------------------


def _accuracy_table(found: Found, way: str) -> Table:
    """Conditions down; models and lengths across."""
    models, lengths = _of(found), found["lengths_s"]
    head = ["Condition", *(f"{name}, {length:g} s" for name, _ in models for length in lengths)]
    by_model = [accuracy(model["retrieval"], way) for _, model in models]
    rows = []
    for condition in found["conditions"]:
        row = [condition]
        for cells in by_model:
            for length in lengths:
                cell = cells.get((condition, length))
                row.append(_share(cell) if cell else "–")
        rows.append(row)
    return (f"Top-1 and Top-5 (%) by one vector a clip, against {_WAYS[way]}", head, rows)


def _share(cell: Found) -> str:
    top1, top5 = (Share(cell[name], cell["clips"]) for name in ("top1", "top5"))
    low, high = top1.interval
    return f"{100 * top1.value:.1f} / {100 * top5.value:.1f} ({100 * low:.0f}–{100 * high:.0f})"


def _similarity_table(found: Found) -> Table:
    models = _of(found)
    head = ["Pairs", *(name for name, _ in models)]
    rows: dict[str, list[str]] = {}
    for number, (_, model) in enumerate(models):
        for kind in model["similarity"]["kinds"]:
            row = rows.setdefault(kind["name"], [kind["name"], *["–"] * len(models)])
            text = f"{kind['mean']:.3f} ± {kind['deviation']:.3f}"
            if kind["above"] is not None:
                text += f", {100 * kind['above']:.1f} % above"
            row[number + 1] = text
    title = "Mean cosine of pairs, its deviation, and how many are above 99.9 % of other tracks"
    return (title, head, list(rows.values()))


def _numbers(every: Sequence[Table]) -> str:
    parts = []
    for title, head, rows in every:
        heads = "".join(
            f'<th scope="col"{_left(place)}>{escape(text)}</th>' for place, text in enumerate(head)
        )
        body = "".join(
            "<tr>"
            + "".join(f"<td{_left(place)}>{escape(cell)}</td>" for place, cell in enumerate(row))
            + "</tr>"
            for row in rows
        )
        note = (
            '<p class="muted">In brackets the 95 % interval of Top-1 (Wilson).</p>'
            if "Top-1" in title
            else ""
        )
        parts.append(
            f'<section><h2>{escape(title)}</h2>{note}<div class="scroll"><table><thead><tr>{heads}'
            f"</tr></thead><tbody>{body}</tbody></table></div></section>"
        )
    return "".join(parts)


def _left(place: int) -> str:
    return ' class="left"' if place == 0 else ""
