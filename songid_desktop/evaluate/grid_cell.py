"""One cell of the grid: its index built, every clip asked for, the figures.

The tracks' surveys and the clips are `grid_material`'s; the index lies on disk and is thrown away
afterwards.
"""

from __future__ import annotations

import itertools
import math
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from songid_desktop.errors import Cancelled
from songid_desktop.evaluate import published
from songid_desktop.evaluate.grid_material import Material, load_clip, load_survey
from songid_desktop.identify.report import NAME, ReportIdentifier
from songid_desktop.landmark.index import IndexStatistics
from songid_desktop.landmark.report import ReportConfig, decibel_frames
from songid_desktop.landmark.report_votes import pack
from songid_desktop.types import CancelToken, Fingerprint, FingerprintChange

TOP = 5
_SAVE_EVERY_POSTINGS = 20_000_000
"""Postings gathered in memory before they are written: some 300 MB at the most."""


@dataclass(frozen=True, slots=True)
class CellResult:
    """One cell under one condition and length. Shares in per cent, the interval Wilson's of 95 %.

    `stft_ratio` is what an identification costs in multiples of an STFT of the same clip, medians
    of processor time both: what else the machine does at the time hardly matters to it.
    """

    pns: int
    fan: int
    eth: float
    condition: str
    length_s: float
    total: int
    right: int
    top_1_pct: float
    top_1_low_pct: float
    top_1_high_pct: float
    top_5_pct: float
    offset_error_median_s: float | None
    latency_p50_s: float
    latency_p95_s: float
    stft_ratio: float
    tracks: int
    postings: int
    index_bytes: int
    build_s: float
    published_top_1_pct: float | None
    published_latency_s: float | None


@dataclass(frozen=True, slots=True)
class _Look:
    """What one clip came to."""

    place: int
    """Rank of the right track, 0 when it is not among the first `TOP`."""
    error_s: float
    latency_s: float
    cpu_s: float
    stft_cpu_s: float


class _NoCatalog:
    """A reader of no catalog: the grid gives its tracks to the index itself."""

    def catalog_id(self) -> str:
        return ""

    def revision(self) -> int:
        return 0

    def changes(
        self, identifier: str, config_digest: str, since_revision: int
    ) -> Iterator[FingerprintChange]:
        del identifier, config_digest, since_revision
        return iter(())

    def fingerprint_count(self, identifier: str, config_digest: str) -> int:
        del identifier, config_digest
        return 0


def measure_cell(
    config: ReportConfig,
    material: Material,
    folder: Path,
    told: Callable[[CellResult], None],
    cancel: CancelToken | None = None,
) -> list[CellResult]:
    """Every condition and length of one cell; its index lies in `folder` meanwhile.

    Parameters
    ----------
    told : callable
        Given each result as soon as it is there.

    Raises
    ------
    Cancelled
    """
    shutil.rmtree(folder, ignore_errors=True)
    identifier = ReportIdentifier(folder, config)
    try:
        began = time.perf_counter()
        identifier.open(_NoCatalog())
        _fill(identifier, material, cancel)
        build_s = time.perf_counter() - began
        size = identifier.statistics()
        results = []
        for asked in itertools.product(material.conditions, material.lengths_s):
            looks = list(_looks(identifier, material, asked, cancel))
            if looks:
                results.append(_result(config, asked, looks, build_s, size))
                told(results[-1])
        return results
    finally:
        identifier.close()
        shutil.rmtree(folder, ignore_errors=True)


def _result(
    config: ReportConfig,
    asked: tuple[str, float],
    looks: Sequence[_Look],
    build_s: float,
    size: IndexStatistics,
) -> CellResult:
    condition, length_s = asked
    first = [look for look in looks if look.place == 1]
    low, high = wilson_pct(len(first), len(looks))
    latency = np.array([look.latency_s for look in looks])
    cpu_s = float(np.median([look.cpu_s for look in looks]))
    stft_s = float(np.median([look.stft_cpu_s for look in looks]))
    of_report = published.find_cell(config.pns, config.fan, config.eth)
    if (condition, length_s) != ("clean", 5.0):
        of_report = None
    return CellResult(
        pns=config.pns,
        fan=config.fan,
        eth=config.eth,
        condition=condition,
        length_s=length_s,
        total=len(looks),
        right=len(first),
        top_1_pct=100.0 * len(first) / len(looks),
        top_1_low_pct=low,
        top_1_high_pct=high,
        top_5_pct=100.0 * sum(look.place > 0 for look in looks) / len(looks),
        offset_error_median_s=float(np.median([x.error_s for x in first])) if first else None,
        latency_p50_s=float(np.median(latency)),
        latency_p95_s=float(np.percentile(latency, 95)),
        stft_ratio=cpu_s / max(stft_s, 1e-6),
        tracks=size.tracks,
        postings=size.postings,
        index_bytes=size.bytes,
        build_s=build_s,
        published_top_1_pct=of_report.accuracy_pct if of_report else None,
        published_latency_s=of_report.latency_s if of_report else None,
    )


def _fill(identifier: ReportIdentifier, material: Material, cancel: CancelToken | None) -> None:
    """Index every track; track number n is the n-th chosen one."""
    config = identifier.config
    waiting = 0
    for number, path in enumerate(material.choice.tracks):
        _look_at(cancel)
        if path in material.missing:
            continue
        survey = load_survey(material.survey_file(path))
        peaks = survey.peaks(config)
        seconds = survey.n_samples / survey.sample_rate
        payload = pack(peaks, survey.sample_rate)
        identifier.add(number, Fingerprint(NAME, identifier.config_digest, payload, seconds))
        waiting += len(peaks) * config.fan
        if waiting >= _SAVE_EVERY_POSTINGS:
            identifier.save()
            waiting = 0
    identifier.save()


def _looks(
    identifier: ReportIdentifier,
    material: Material,
    wanted: tuple[str, float],
    cancel: CancelToken | None,
) -> Iterator[_Look]:
    """Ask for the clips of one condition and length; for the first twice, so that none is cold."""
    number = {path: n for n, path in enumerate(material.choice.tracks)}
    is_warm = False
    for asked in material.asked:
        if (asked.condition, asked.length_s) != wanted or asked.path in material.missing:
            continue
        _look_at(cancel)
        kept = load_clip(asked.file)
        if kept is None:
            continue
        audio, start_s = kept
        if not is_warm:
            identifier.identify(audio, top=TOP)
            is_warm = True
        cpu = [time.process_time()]
        decibel_frames(audio.samples, identifier.config)
        cpu.append(time.process_time())
        began = time.perf_counter()
        answer = identifier.identify(audio, top=TOP)
        latency_s = time.perf_counter() - began
        cpu.append(time.process_time())
        found = [match for match in answer.matches if match.track_id == number[asked.path]]
        yield _Look(
            place=found[0].rank if found else 0,
            error_s=abs(found[0].offset_s - start_s) if found else math.inf,
            latency_s=latency_s,
            cpu_s=cpu[2] - cpu[1],
            stft_cpu_s=cpu[1] - cpu[0],
        )


def _look_at(cancel: CancelToken | None) -> None:
    if cancel is not None and cancel.is_set():
        raise Cancelled


def wilson_pct(right: int, total: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share, in per cent."""
    z = 1.959964
    share = right / total
    middle = share + z * z / (2 * total)
    half = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    scale = 100.0 / (1 + z * z / total)
    return max(0.0, (middle - half) * scale), min(100.0, (middle + half) * scale)
