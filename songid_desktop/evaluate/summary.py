"""The figures of one run: read from its folder once, told as text, as JSON, and by the page."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from songid_desktop.errors import UsageError
from songid_desktop.evaluate import embedding_page, embeddings, figures, published
from songid_desktop.evaluate.costs import ABSENT, FOUND
from songid_desktop.evaluate.figures import Cell, Share
from songid_desktop.evaluate.results import GRID_FILE, Record, RunFolder

DASH = "–"
PUBLISHED_METHOD = "landmark"
_FALSE_SHARES = (0.01, 0.001)
CLEAN_5S_PCT = 94.0
"""The report's landmark method, clean clips of 5 s, 1,000 songs: only its grid says so."""

Table = tuple[str, list[str], list[list[str]]]


@dataclass(frozen=True, slots=True)
class Summary:
    """A run's description and its answers.

    Attributes
    ----------
    run : dict
        `run.json`; empty where only a grid was measured.
    records : list of Record
        Of the newest build of every identifier.
    builds : dict
        Identifier to build.
    older : int
        Answers of earlier builds, which are left out.
    grid : dict
        `grid.json`, or empty.
    embeddings : dict
        `embeddings.json`, or empty.
    """

    run: dict[str, Any]
    records: list[Record]
    builds: dict[str, str]
    older: int
    grid: dict[str, Any]
    embeddings: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """What `folder` holds.

        Raises
        ------
        UsageError
            When it holds no run.
        """
        if not folder.is_dir():
            raise UsageError(f"There is no folder {folder}.")
        kept = RunFolder(folder)
        run = kept.read_run()
        every = kept.read_results()
        records, builds = figures.newest_builds(every)
        try:
            grid = json.loads((folder / GRID_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            grid = {}
        learned = embeddings.read(folder)
        if not run and not grid and not learned:
            raise UsageError(
                f"{folder} holds no results. Make some with: songid evaluate run "
                f"--catalog-from MUSIC --out {folder}"
            )
        return cls(run, records, builds, len(every) - len(records), grid, learned)

    @property
    def identifiers(self) -> list[str]:
        """The program's own first, the report's last."""
        return sorted(self.builds, key=lambda name: (name == "report", name != "landmark", name))

    def as_object(self) -> dict[str, Any]:
        """All figures, fit for JSON."""
        return {
            "run": {name: value for name, value in self.run.items() if name not in _BULKY},
            "cells": [_object(cell) for cell in figures.cells(self.records)],
            "false_answers": [_object(one) for one in figures.false_answers(self.records)],
            "recalls": {
                f"{share:g}": [_object(one) for one in figures.recalls(self.records, share)]
                for share in _FALSE_SHARES
            },
            "sessions": [_object(one) for one in figures.sessions(self.records)],
            "calibration": {
                name: _object(figures.reliability(self.of(name))) for name in self.identifiers
            },
            "confidences_over_one": figures.too_sure(self.records),
            "growth": [
                {"identifier": name, "condition": condition, "tracks": tracks, **_object(share)}
                for name, condition, tracks, share in figures.growth(self.records)
            ],
            "times": [_object(one) for one in figures.times(self.run.get("costs", {}))],
            "growth_times": {
                size: [_object(one) for one in figures.times(measured)]
                for size, measured in self.run.get("growth", {}).items()
            },
            "grid": self.grid.get("cells", []),
            "embeddings": embeddings.numbers(self.embeddings),
        }

    def of(self, identifier: str) -> list[Record]:
        """Answers of one identifier."""
        return [one for one in self.records if one.identifier == identifier]

    # -- tables ---------------------------------------------------------------------------------

    def tables(self) -> list[Table]:
        """Every table that has something to say: title, heads, rows."""
        every = [
            self.accuracy_table(),
            self.answers_table(),
            self.false_table(),
            self.recall_table(),
            self.session_table(),
            self.time_table(),
            self.size_table(),
            self.growth_table(),
            self.grid_table(),
            *embedding_page.tables(self.embeddings),
        ]
        return [table for table in every if table[2]]

    def accuracy_table(self) -> Table:
        head = ["Condition", "Clip", "Identifier", "Clips", "Top-1 %", "95 %", "Top-5 %", "95 %"]
        rows = [
            [
                cell.condition,
                f"{cell.length_s:g} s",
                cell.identifier,
                f"{cell.top1.total:,}",
                percent(cell.top1),
                interval(cell.top1),
                percent(cell.top5),
                interval(cell.top5),
                published_pct(cell),
            ]
            for cell in self._by_condition()
        ]
        return "The right track first, or among five", [*head, "Report's own Top-1 %"], rows

    def answers_table(self) -> Table:
        head = ["Condition", "Clip", "Identifier", "Match and right %", "95 %", "Match but wrong"]
        head += ["Offset median", "95th", "Repeats"]
        rows = [
            [
                cell.condition,
                f"{cell.length_s:g} s",
                cell.identifier,
                percent(cell.match_right),
                interval(cell.match_right),
                f"{cell.match_wrong.count} of {cell.match_wrong.total:,}",
                milliseconds(cell.offset_s, 0),
                milliseconds(cell.offset_s, 1),
                str(cell.repeats),
            ]
            for cell in self._by_condition()
        ]
        return "What was answered, and where in the track", head, rows

    def _by_condition(self) -> list[Cell]:
        """Identifiers beside each other."""
        every = figures.cells(self.records)
        conditions = list(dict.fromkeys(cell.condition for cell in every))
        conditions = figures.condition_order(conditions)
        place = {name: number for number, name in enumerate(self.identifiers)}
        return sorted(
            every,
            key=lambda c: (conditions.index(c.condition), c.length_s, place[c.identifier]),
        )

    def false_table(self) -> Table:
        head = ["Absent", "Clip", "Identifier", "Clips", "Match", "per 1,000", "95 %"]
        head += ["Unsure", "per 1,000", "95 %"]
        rows = []
        for name in self.identifiers:
            for one in figures.false_answers(self.of(name)):
                rows.append([one.condition, f"{one.length_s:g} s", name])
                rows[-1] += _per_thousand(one.match, one.unsure)
            match, unsure = figures.all_false_answers(self.records, name)
            if match.total:
                rows.append(["all of them", "", name, *_per_thousand(match, unsure)])
        return "False answers, at the shipped threshold", head, rows

    def recall_table(self) -> Table:
        """At other thresholds than the shipped one, the same for every identifier."""
        shares = [figures.recalls(self.records, share) for share in _FALSE_SHARES]
        head = ["Condition", "Clip", "Identifier"]
        head += [f"At {100 * share:g} % false answers" for share in _FALSE_SHARES]
        order = figures.condition_order(list(dict.fromkeys(one.condition for one in shares[0])))
        rows = [
            [one.condition, f"{one.length_s:g} s", one.identifier, *map(_recall, same)]
            for same in zip(*shares, strict=True)
            for one in same[:1]
        ]
        rows.sort(key=lambda row: (order.index(row[0]), float(row[1].split()[0])))
        return "Right and above a threshold that few absent clips pass, %", head, rows

    def session_table(self) -> Table:
        head = ["Identifier", "Absent sessions", "Match", "Unsure", "Sessions to find"]
        head += ["Match and right %", "Match but wrong", "Heard until match, median", "95th"]
        rows = [
            [
                one.identifier,
                f"{one.false_match.total:,}",
                f"{one.false_match.count}",
                f"{one.false_unsure.count}",
                f"{one.found_right.total:,}",
                percent(one.found_right),
                f"{one.found_wrong.count}",
                seconds(one.until_match_s, 0),
                seconds(one.until_match_s, 1),
            ]
            for one in figures.sessions(self.records)
        ]
        return "Listening sessions: looks from 2 s on until a match or 15 s", head, rows

    def time_table(self) -> Table:
        head = ["Situation", "Identifier", "Clips", "Times the STFT, median", "95th", "p50", "p95"]
        head += ["Times “report”"]
        measured = figures.times(self.run.get("costs", {}))
        report = {one.situation: one.times_stft for one in measured if one.identifier == "report"}
        rows = [
            [
                _SITUATIONS.get(one.situation, one.situation),
                one.identifier,
                str(one.clips),
                f"{one.times_stft:.1f} ×",
                f"{one.times_stft_p95:.1f} ×",
                f"{one.p50_ms:.1f} ms",
                f"{one.p95_ms:.1f} ms",
                f"{one.times_stft / report[one.situation]:.3f} ×"
                if report.get(one.situation)
                else DASH,
            ]
            for one in measured
        ]
        return "Identification of 5 s in memory", head, rows

    def size_table(self) -> Table:
        head = ["Identifier", "Tracks", "Minutes", "Index, kB a minute", "Fingerprints", "Together"]
        head += ["Enrolment, × real time a core"]
        tracks = self.run.get("enrolment", {}).get("tracks", 0)
        enrolment = self.run.get("costs", {}).get("enrolment", {})
        rows = []
        for name, one in self.run.get("identifiers", {}).items():
            minutes = one["minutes"] or 1.0
            index, prints = one["index_bytes"] / minutes, one["fingerprint_bytes"] / minutes
            sound_s, _, cpu_s = enrolment.get(name, (0.0, 0.0, 0.0))
            rows.append(
                [
                    name,
                    f"{tracks:,}",
                    f"{minutes:,.0f}",
                    f"{index / 1e3:.1f}",
                    f"{prints / 1e3:.1f}",
                    f"{(index + prints) / 1e3:.1f}",
                    f"{sound_s / cpu_s:,.0f}" if cpu_s else DASH,
                ]
            )
        return "What is stored, and how fast tracks are taken in", head, rows

    def growth_table(self) -> Table:
        head = ["Condition", "Identifier", "Tracks", "Clips", "Top-1 %", "95 %"]
        head += ["Times the STFT", "Index, MB"]
        sizes = self.run.get("growth", {})
        rows = []
        for name, condition, tracks, share in figures.growth(self.records):
            measured = sizes.get(str(tracks), {})
            ratio = [one for one in figures.times(measured) if one.identifier == name]
            stored = measured.get("index_bytes", {}).get(name)
            rows.append(
                [
                    condition,
                    name,
                    f"{tracks:,}",
                    f"{share.total:,}",
                    percent(share),
                    interval(share),
                    f"{ratio[0].times_stft:.1f} ×" if ratio else DASH,
                    f"{stored / 1e6:.1f}" if stored else DASH,
                ]
            )
        return "Growth of the catalog", head, rows

    def grid_table(self) -> Table:
        """The report's 27 cells beside what it published."""
        head = ["PNS", "FAN", "ETH", "Condition", "Clip", "Clips", "Top-1 %", "95 %"]
        head += ["Report's own Top-1 %", "Times the STFT", "p50", "Report's own latency"]
        head += ["Postings, millions"]
        cells: list[dict[str, Any]] = self.grid.get("cells", [])
        rows = [
            [
                str(cell["pns"]),
                str(cell["fan"]),
                f"{cell['eth']:g}",
                str(cell["condition"]),
                f"{cell['length_s']:g} s",
                f"{cell['total']:,}",
                f"{cell['top_1_pct']:.1f}",
                f"{cell['top_1_low_pct']:.1f}–{cell['top_1_high_pct']:.1f}",
                _optional(cell.get("published_top_1_pct"), "{:.1f}"),
                f"{cell['stft_ratio']:.0f} ×",
                f"{1000 * cell['latency_p50_s']:.0f} ms",
                _optional(cell.get("published_latency_s"), "{:.3f} s"),
                f"{cell['postings'] / 1e6:,.1f}",
            ]
            for cell in cells
        ]
        tracks = cells[0].get("tracks", 0) if cells else 0
        return f"The report's grid, on {tracks:,} tracks of this music", head, rows

    def notes(self) -> list[str]:
        """What one has to know to read the tables."""
        run = self.run
        told = list(run.get("notes", []))
        if run:
            told.insert(0, f"Backgrounds: {run.get('backgrounds_are', DASH)}.")
            told.insert(1, f"Rooms: {run.get('rooms_are', DASH)}.")
            told += [_OFFSETS_ARE, _TIMES_ARE]
        twins = run.get("twins")
        if twins is not None:
            count = sum(len(group) for group in twins["groups"])
            told.append(
                f"Twins: {count} tracks in {len(twins['groups'])} groups count as one answer each; "
                f"{len(twins['not_absent'])} absent tracks were left out for having one."
            )
        for name in self.identifiers:
            found = figures.reliability(self.of(name))
            if found.counts:
                told.append(
                    f"Expected calibration error of {name}: {found.error:.3f} "
                    f"over {sum(found.counts):,} answers."
                )
        if over := figures.too_sure(self.records):
            told.append(f"The confidences of {over} answers add up to more than 1.")
        if skipped := sum(one.verdict == figures.SKIPPED for one in self.records):
            told.append(f"{skipped:,} clips could not be made: track too short, silent or damaged.")
        if len(set(self.builds.values())) > 1:
            told.append("The identifiers were measured with different builds of the program.")
        if self.grid:
            told.append(published.SOURCE)
        if self.older:
            told.append(f"{self.older:,} answers of earlier builds are left out.")
        return told


_OFFSETS_ARE = (
    "Offset errors are those of right first answers, modulo the track's own repeats: where the "
    "found place sounds like the true one, the error is the distance to that repeat."
)
_TIMES_ARE = (
    "Times are CPU times of one thread, measured in turns with the STFT of the same clip; "
    "milliseconds are those of this machine while it may have had other work."
)
_BULKY = ("costs", "growth", "backgrounds", "rooms")
_SITUATIONS = {FOUND: "enrolled, clean", ABSENT: "absent, clean"}


def published_pct(cell: Cell) -> str:
    """The report's own number for its landmark method, where it has one."""
    if cell.condition == "clean" and cell.length_s == 5.0:
        return f"{CLEAN_5S_PCT:.1f}"
    found = published.find(PUBLISHED_METHOD, cell.condition, cell.length_s)
    return DASH if found is None else f"{found:.1f}"


def percent(share: Share) -> str:
    return f"{100 * share.value:.1f}" if share.total else DASH


def interval(share: Share) -> str:
    low, high = share.interval
    return f"{100 * low:.1f}–{100 * high:.1f}" if share.total else DASH


def _recall(one: figures.Recall) -> str:
    return f"{percent(one.right)} ({interval(one.right)})"


def _per_thousand(match: Share, unsure: Share) -> list[str]:
    cells = [f"{match.total:,}"]
    for share in (match, unsure):
        low, high = share.interval
        cells += [
            str(share.count),
            f"{1000 * share.value:.1f}",
            f"{1000 * low:.1f}–{1000 * high:.1f}",
        ]
    return cells


def _optional(value: float | None, form: str) -> str:
    return DASH if value is None else form.format(value)


def milliseconds(pair: tuple[float, float] | None, place: int) -> str:
    if pair is None:
        return DASH
    return f"{1000 * pair[place]:.0f} ms" if pair[place] < 1.0 else f"{pair[place]:.1f} s"


def seconds(pair: tuple[float, float] | None, place: int) -> str:
    return DASH if pair is None else f"{pair[place]:.1f} s"


def _object(value: Any) -> dict[str, Any]:
    """A figure as JSON: shares bring their value and interval along."""
    found: dict[str, Any] = {}
    for one in dataclasses.fields(value):
        inner = getattr(value, one.name)
        found[one.name] = _object(inner) if isinstance(inner, Share) else inner
    if isinstance(value, Share):
        found["value"] = round(value.value, 6)
        found["interval_95"] = [round(edge, 6) for edge in value.interval]
    return found
