"""From records to figures: shares with their intervals, ranks, errors, calibration.

Pure arithmetic on `results.Record`; nothing is read or written here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from songid_desktop.evaluate.conditions import GROUPS, parse
from songid_desktop.evaluate.results import CLIP, GROWTH, SESSION, Record
from songid_desktop.types import Verdict

Z_95 = 1.959964
RANKS = 20
BINS = 10
SKIPPED = "skipped"

K = TypeVar("K", bound=tuple[Any, ...])


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many."""

    count: int
    total: int

    @property
    def value(self) -> float:
        """0 … 1; 0 of none is 0."""
        return self.count / self.total if self.total else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval, 0 … 1."""
        return wilson(self.count, self.total)


def wilson(count: int, total: int, z: float = Z_95) -> tuple[float, float]:
    """Interval in which the true share lies with 95 % confidence (Wilson 1927); all of 0 … 1 when
    nothing was counted."""
    if total == 0:
        return 0.0, 1.0
    share, square = count / total, z * z
    middle = (share + square / (2 * total)) / (1 + square / total)
    spread = math.sqrt(share * (1 - share) / total + square / (4 * total * total))
    half = z * spread / (1 + square / total)
    low = 0.0 if count == 0 else max(0.0, middle - half)
    high = 1.0 if count == total else min(1.0, middle + half)
    return low, high


@dataclass(frozen=True, slots=True)
class Cell:
    """What one identifier did under one condition at one length, with tracks that can be found.

    Attributes
    ----------
    match_right, match_wrong, unsure_wrong : Share
        Answered `match` and right; and what was answered wrongly although the track is there.
    offset_s : (float, float) or None
        Median and 95th percentile of the absolute error, of right first answers.
    repeats : int
        Offsets that lie at a repeat of the track.
    """

    identifier: str
    condition: str
    length_s: float
    top1: Share
    top5: Share
    match_right: Share
    match_wrong: Share
    unsure_wrong: Share
    offset_s: tuple[float, float] | None
    repeats: int
    skipped: int


@dataclass(frozen=True, slots=True)
class FalseAnswers:
    """What was answered although it can't be found."""

    identifier: str
    condition: str
    length_s: float
    match: Share
    unsure: Share


@dataclass(frozen=True, slots=True)
class Recall:
    """Share of clips whose track came first with more than a threshold's confidence."""

    identifier: str
    condition: str
    length_s: float
    right: Share
    threshold: float


@dataclass(frozen=True, slots=True)
class Sessions:
    """Listening sessions: absent tracks, and tracks that can be found with the seconds heard
    until their match."""

    identifier: str
    false_match: Share
    false_unsure: Share
    found_right: Share
    found_wrong: Share
    until_match_s: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Reliability:
    """Said against was, by bins of confidence.

    Attributes
    ----------
    said, was : tuple of float
        Mean confidence and share of right answers of every bin that holds answers.
    counts : tuple of int
    error : float
        Expected calibration error: the mean distance of the two, weighted by the counts.
    """

    said: tuple[float, ...]
    was: tuple[float, ...]
    counts: tuple[int, ...]
    error: float


def asked(records: Iterable[Record], kind: str = CLIP) -> list[Record]:
    """Records of one kind that hold an answer."""
    return [one for one in records if one.kind == kind and one.verdict != SKIPPED]


def newest_builds(records: Sequence[Record]) -> tuple[list[Record], dict[str, str]]:
    """Of each identifier only what its newest build answered; and which build that is."""
    builds = {record.identifier: record.build for record in records}
    return [one for one in records if one.build == builds[one.identifier]], builds


def condition_order(names: Iterable[str]) -> list[str]:
    """The protocol's order; others behind, by name."""
    known = {name: place for place, name in enumerate(GROUPS["all"])}
    families: dict[tuple[str, bool], int] = {}
    for name, place in known.items():
        one = parse(name)
        families.setdefault((one.family, one.is_absent), place)

    def rank(name: str) -> tuple[int, float, str]:
        one = parse(name)
        family = families.get((one.family, one.is_absent), len(known))
        # Noise from little to much, as the protocol has it.
        inside = -one.amount if one.family in ("white", "bandwhite", "room") else known.get(name)
        return family, len(known) if inside is None else inside, name

    return sorted(set(names), key=rank)


def cells(records: Sequence[Record]) -> list[Cell]:
    """One for each identifier, condition and length that was asked, in the protocol's order."""
    chosen = [one for one in records if one.kind == CLIP and one.is_enrolled]
    return [
        _cell(key, inside)
        for key, inside in _by(chosen, lambda r: (r.identifier, r.condition, r.length_s))
    ]


def _cell(key: tuple[str, str, float], inside: list[Record]) -> Cell:
    answered = [one for one in inside if one.verdict != SKIPPED]
    total = len(answered)
    match = [one for one in answered if one.verdict == Verdict.MATCH]
    unsure = [one for one in answered if one.verdict == Verdict.UNSURE]
    errors = [
        abs(one.offset_error_s)
        for one in answered
        if one.is_right and one.offset_error_s is not None
    ]
    return Cell(
        *key,
        top1=Share(sum(one.is_right for one in answered), total),
        top5=Share(sum(one.rank is not None and one.rank <= 5 for one in answered), total),
        match_right=Share(sum(one.is_right for one in match), total),
        match_wrong=Share(sum(not one.is_right for one in match), total),
        unsure_wrong=Share(sum(not one.is_right for one in unsure), total),
        offset_s=_middle_and_high(errors),
        repeats=sum(one.is_repeat for one in answered),
        skipped=len(inside) - total,
    )


def _middle_and_high(values: Sequence[float]) -> tuple[float, float] | None:
    if not values:
        return None
    return float(np.median(values)), float(np.percentile(values, 95))


def false_answers(records: Sequence[Record]) -> list[FalseAnswers]:
    """One for each identifier, kind of absent clip and length."""
    chosen = [one for one in asked(records) if not one.is_enrolled]
    return [
        FalseAnswers(*key, *_answered(inside))
        for key, inside in _by(chosen, lambda r: (r.identifier, r.condition, r.length_s))
    ]


def all_false_answers(records: Sequence[Record], identifier: str) -> tuple[Share, Share]:
    """`match` and `unsure` answers among all of an identifier's absent clips."""
    chosen = [r for r in asked(records) if not r.is_enrolled and r.identifier == identifier]
    return _answered(chosen)


def _answered(inside: Sequence[Record]) -> tuple[Share, Share]:
    match = sum(one.verdict == Verdict.MATCH for one in inside)
    unsure = sum(one.verdict == Verdict.UNSURE for one in inside)
    return Share(match, len(inside)), Share(unsure, len(inside))


def recalls(records: Sequence[Record], false_share: float) -> list[Recall]:
    """What each identifier finds where the threshold lets so many absent clips through: one figure
    for each of its conditions and lengths, by a threshold over all of its absent clips."""
    found = []
    for (name,), inside in _by(asked(records), lambda r: (r.identifier,)):
        absent = sorted((one.confidence for one in inside if not one.is_enrolled), reverse=True)
        if not absent:
            continue
        let_through = int(false_share * len(absent))
        threshold = absent[let_through]
        there = [one for one in inside if one.is_enrolled]
        found += [
            Recall(
                name, *key, Share(sum(_passes(r, threshold) for r in cell), len(cell)), threshold
            )
            for key, cell in _by(there, lambda r: (r.condition, r.length_s))
        ]
    return found


def _passes(record: Record, threshold: float) -> bool:
    return record.is_right and record.confidence > threshold


def sessions(records: Sequence[Record]) -> list[Sessions]:
    """One for each identifier that was listened with."""
    found = []
    for (name,), inside in _by(asked(records, SESSION), lambda r: (r.identifier,)):
        absent = [one for one in inside if not one.is_enrolled]
        there = [one for one in inside if one.is_enrolled]
        match = [one for one in there if one.verdict == Verdict.MATCH]
        right = [one for one in match if one.is_right]
        found.append(
            Sessions(
                name,
                *_answered(absent),
                found_right=Share(len(right), len(there)),
                found_wrong=Share(len(match) - len(right), len(there)),
                until_match_s=_middle_and_high([one.heard_s for one in right]),
            )
        )
    return found


def cmc(records: Sequence[Record]) -> list[float]:
    """Share of clips whose track is among the first 1, 2, … `RANKS` candidates."""
    ranks = np.array([one.rank or RANKS + 1 for one in records], int)
    if not len(ranks):
        return []
    return [float(np.mean(ranks <= rank)) for rank in range(1, RANKS + 1)]


def reliability(records: Sequence[Record]) -> Reliability:
    """How far the confidence of first answers is what came true, absent clips among them."""
    chosen = [one for one in asked(records) if one.best]
    return calibration([one.confidence for one in chosen], [one.is_right for one in chosen])


def calibration(confidence: Sequence[float], right: Sequence[bool]) -> Reliability:
    """Reliability over `BINS` bins of equal width."""
    said = np.asarray(confidence, np.float64)
    was = np.asarray(right, np.float64)
    place = np.minimum((said * BINS).astype(int), BINS - 1)
    bins = [place == number for number in range(BINS) if (place == number).any()]
    means = [float(said[inside].mean()) for inside in bins]
    came = [float(was[inside].mean()) for inside in bins]
    counts = [int(inside.sum()) for inside in bins]
    error = sum(n * abs(a - b) for n, a, b in zip(counts, means, came, strict=True))
    return Reliability(
        tuple(means), tuple(came), tuple(counts), error / len(said) if len(said) else 0.0
    )


def too_sure(records: Sequence[Record]) -> int:
    """Answers whose candidates' confidences add up to more than 1: there must be none."""
    return sum(one.total_confidence > 1.0 + 1e-4 for one in asked(records))


def growth(records: Sequence[Record]) -> list[tuple[str, str, int, Share]]:
    """Identifier, condition, tracks in the catalog, and Top-1 of the same clips."""
    chosen = asked(records, GROWTH)
    return [
        (*key, Share(sum(one.is_right for one in inside), len(inside)))
        for key, inside in _by(chosen, lambda r: (r.identifier, r.condition, r.catalog_tracks))
    ]


def _by(records: Iterable[Record], key: Callable[[Record], K]) -> list[tuple[K, list[Record]]]:
    """Records that share a key, in the protocol's order of conditions."""
    groups: dict[K, list[Record]] = {}
    for record in records:
        groups.setdefault(key(record), []).append(record)
    order = condition_order({record.condition for group in groups.values() for record in group})
    place = {name: number for number, name in enumerate(order)}

    def rank(item: tuple[K, list[Record]]) -> tuple[tuple[int, float, str], ...]:
        return tuple(_sortable(place.get(part, part)) for part in item[0])

    return sorted(groups.items(), key=rank)


def _sortable(part: object) -> tuple[int, float, str]:
    """Numbers before words, so that any two keys can be compared."""
    return (0, float(part), "") if isinstance(part, (int, float)) else (1, 0.0, str(part))


@dataclass(frozen=True, slots=True)
class Cost:
    """Times of one identifier in one situation.

    Attributes
    ----------
    p50_ms, p95_ms : float
        Wall clock; only ever shown beside its ratio.
    times_stft, times_stft_p95 : float
        CPU time (median, 95th percentile) as a multiple of the spectrogram's median.
    """

    situation: str
    identifier: str
    clips: int
    p50_ms: float
    p95_ms: float
    times_stft: float
    times_stft_p95: float
    stft_ms: float


def times(measured: dict[str, object], stft: str = "stft") -> list[Cost]:
    """Figures of what `costs.measure` gave."""
    found: list[Cost] = []
    situations = measured.get("times")
    if not isinstance(situations, dict):
        return found
    for situation, by_name in situations.items():
        base = _columns(by_name.get(stft, []))
        if not len(base):
            continue
        stft_wall, stft_cpu = np.median(base, axis=0).tolist()
        for name, spent in by_name.items():
            table = _columns(spent)
            if name == stft or not len(table):
                continue
            wall, cpu = table[:, 0], table[:, 1]
            found.append(
                Cost(
                    situation=situation,
                    identifier=name,
                    clips=len(table),
                    p50_ms=float(np.median(wall)),
                    p95_ms=float(np.percentile(wall, 95)),
                    times_stft=float(np.median(cpu)) / max(stft_cpu, 1e-6),
                    times_stft_p95=float(np.percentile(cpu, 95)) / max(stft_cpu, 1e-6),
                    stft_ms=stft_wall,
                )
            )
    return found


def _columns(spent: object) -> npt.NDArray[np.float64]:
    return np.asarray(spent, np.float64).reshape(-1, 2)
