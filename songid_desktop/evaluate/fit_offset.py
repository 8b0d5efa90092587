"""Fit what a room does to the place where a track is found, and measure what remains.

    python -m songid_desktop.evaluate.fit_offset CORPUS --work DIR [--write]

CORPUS and DIR are those of `fit_calibration`, whose index of `train`, `validation` and `distractor`
tracks is used here too. Asked are clips of `validation` and some `train` tracks among the `train`
noises and rooms; those named rightly and within 0.1 s, so that no repeat of the music is taken for
an error.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from songid_desktop.audio.decode import decode
from songid_desktop.audio.resample import resample
from songid_desktop.evaluate.clips import Surroundings, degrade, draw_start, tracks
from songid_desktop.evaluate.fit_library import Pool, Prints, prepare
from songid_desktop.evaluate.fit_looks import CONDITIONS
from songid_desktop.identify.landmark import LandmarkIdentifier
from songid_desktop.landmark.config import LandmarkConfig
from songid_desktop.landmark.placing import Placing, readings
from songid_desktop.paths import resource

Floats = npt.NDArray[np.float64]

LENGTHS_S = (2.0, 5.0, 10.0)
FARTHEST_S = 0.1
FOLDS = 5
RIDGE = 0.02
_ROBUST_S = 0.008
"""Errors beyond this count by their size, not its square."""
_ROUNDS = 4


@dataclass(frozen=True, slots=True)
class Task:
    """Everything one process needs to make and look at the clips of one track."""

    corpus: Path
    index: Path
    prints: Prints
    path: str


@dataclass(frozen=True, slots=True)
class Look:
    """One clip whose track was found: where it was off, and what could be read."""

    path: str
    condition: str
    length_s: float
    error_s: float
    score: float
    readings: Floats


@functools.lru_cache(maxsize=1)
def _identifier(index: Path, folder: Path, paths: tuple[str, ...]) -> LandmarkIdentifier:
    identifier = LandmarkIdentifier(index, scales=None)
    identifier.open(Prints(folder, paths))
    return identifier


def run_task(task: Task) -> list[Look]:
    """All looks of one track."""
    rng = np.random.default_rng([5, *task.path.encode()])
    around = Surroundings(task.corpus, "train")
    block = decode(task.corpus / task.path)
    identifier = _identifier(task.index, task.prints.file("").parent, tuple(task.prints.paths))
    peaks = identifier.config.peaks
    own = task.prints.paths.index(task.path) + 1
    found: list[Look] = []
    for condition in CONDITIONS:
        for length_s in LENGTHS_S:
            count = round(length_s * block.sample_rate)
            start = draw_start(block.samples, count, rng)
            if start is None or count >= len(block.samples):
                continue
            clip = degrade(block, slice(start, start + count), condition, around, rng)
            ranking = identifier.rank(resample(clip, block.sample_rate, peaks.sample_rate))
            if not ranking.candidates or ranking.candidates[0].track_id != own:
                continue
            first = ranking.candidates[0]
            error_s = first.offset_frames * peaks.frame_s - start / block.sample_rate
            read = readings(first, ranking.clip)
            if abs(error_s) < FARTHEST_S and read is not None:
                found.append(Look(task.path, condition, length_s, error_s, first.score, read))
    return found


def fit(looks: Sequence[Look]) -> Floats:
    """Weights that put the errors right: ridge regression, every condition counting alike, outliers
    by their size only."""
    table = np.array([look.readings for look in looks])
    wanted = -np.array([look.error_s for look in looks])
    names = [look.condition for look in looks]
    alike = np.array([1.0 / names.count(name) for name in names])
    alike /= alike.mean()
    middle, scale = table.mean(axis=0), table.std(axis=0) + 1e-9
    middle[-1], scale[-1] = 0.0, 1.0
    scaled = (table - middle) / scale
    penalty = RIDGE * len(looks) * np.diag([*np.ones(table.shape[1] - 1), 0.0])
    counted = alike
    weights = np.zeros(table.shape[1])
    for _ in range(_ROUNDS):
        weighed = scaled * counted[:, None]
        weights = np.linalg.solve(weighed.T @ scaled + penalty, weighed.T @ wanted)
        rest = np.abs(wanted - scaled @ weights)
        counted = alike * _ROBUST_S / np.maximum(_ROBUST_S, rest)
    plain = weights / scale
    plain[-1] = weights[-1] - float(middle @ (weights / scale))
    return np.asarray(plain, np.float64)


def remaining(looks: Sequence[Look], correction_s: Floats) -> tuple[float, float, float]:
    """Line through the size of what remains: two of three errors are smaller."""
    from scipy.optimize import minimize

    rest = np.abs([look.error_s for look in looks] + correction_s)
    root = 1.0 / np.sqrt(np.maximum([look.score for look in looks], 1.0))
    table = np.stack([np.full(len(rest), 0.01), np.abs(correction_s), root / 10.0], axis=1)

    def loss(weights: Floats) -> float:
        over = rest - table @ weights
        return float(np.maximum(over * 2 / 3, -over / 3).mean() * 1e3)

    found = minimize(loss, np.full(3, 0.2), method="Nelder-Mead", options={"maxiter": 4000}).x
    constant, per_s, per_root = np.maximum(found, 0.0) * [0.01, 1.0, 0.1]
    return float(constant), float(per_s), float(per_root)


def cross_validated(looks: Sequence[Look]) -> Floats:
    """Correction of every look by weights fitted on the other tracks."""
    fold = np.array([hashlib.sha256(look.path.encode()).digest()[0] % FOLDS for look in looks])
    table = np.array([look.readings for look in looks])
    correction_s = np.zeros(len(looks))
    for number in range(FOLDS):
        others = [look for look, own in zip(looks, fold, strict=True) if own != number]
        correction_s[fold == number] = table[fold == number] @ fit(others)
    return correction_s


def report(looks: Sequence[Look], correction_s: Floats) -> dict[str, str]:
    """Print what the errors were and what they are."""
    before = 1e3 * np.array([look.error_s for look in looks])
    after = before + 1e3 * correction_s
    figures: dict[str, str] = {}
    for condition in CONDITIONS:
        for length_s in LENGTHS_S:
            here = np.array(
                [(look.condition, look.length_s) == (condition, length_s) for look in looks]
            )
            if not here.any():
                continue
            text = f"{_in_words(after[here])}; uncorrected {_in_words(before[here])}"
            figures[f"{condition} {length_s:g} s"] = f"{int(here.sum())} clips: {text}"
            print(f"{condition:8s} {length_s:4g} s  {text}")
    return figures


def _in_words(error_ms: Floats) -> str:
    size = np.abs(error_ms)
    return (
        f"median {np.median(size):.1f} ms, 95th percentile {np.percentile(size, 95):.1f} ms, "
        f"bias {np.median(error_ms):+.1f} ms"
    )


def _write(placing: Placing, looks: Sequence[Look], figures: dict[str, str]) -> None:
    data = {
        "weights": placing.weights.tolist(),
        "error_s": placing.error_s,
        "provenance": {
            "command": "python -m songid_desktop.evaluate.fit_offset CORPUS --work D --write",
            "date": datetime.now(UTC).date().isoformat(),
            "configuration": LandmarkConfig().digest(),
            "roles": "enrolled: train, validation, distractor; asked: validation, some train",
            "noise_and_rooms": "train",
            "looks": len(looks),
            "figures": figures,
            "figures_are": "cross-validated over tracks, five folds",
        },
    }
    target = resource("calibration", "landmark_offset.json")
    target.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"written: {target}")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--write", action="store_true", help="ship the fitted reading")
    parser.add_argument("--train-tracks", type=int, default=60)
    parser.add_argument("--jobs", type=int, default=max(1, (os.cpu_count() or 2)))
    options = parser.parse_args(arguments)
    corpus, work = options.corpus.absolute(), options.work.absolute()
    rng = np.random.default_rng(7)
    train = tracks(corpus, ["train"])
    some = [train[i] for i in rng.permutation(len(train))[: options.train_tracks]]
    with Pool(options.jobs) as pool:
        enrolled = tracks(corpus, ["train", "validation", "distractor"])
        prints = prepare(corpus, work, enrolled, "fit", pool)
        asked = [*tracks(corpus, ["validation"]), *some]
        tasks = [Task(corpus, work / "fit", prints, path) for path in asked]
        looks = [look for found in pool.map(run_task, tasks) for look in found]
    correction_s = cross_validated(looks)
    figures = report(looks, correction_s)
    placing = Placing(fit(looks), remaining(looks, correction_s))
    print(f"what remains: {placing.error_s}")
    if options.write:
        _write(placing, looks, figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
