"""Fit a learned identifier's probability, and measure what comes of it.

    python -m songid_desktop.evaluate.fit_neural CORPUS --work DIR [--model cnn] [--write]
    python -m songid_desktop.evaluate.fit_neural CORPUS --work DIR --measure

CORPUS holds ``manifest.csv`` (path, role) and ``noise_rooms.csv`` (path, kind, split). DIR keeps
fingerprints and index between runs, by the model's digest. ``--model`` is an identifier's name or
the path of a weights file.

Fitting enrols the `train`, `validation` and `distractor` tracks, asks for clips of `validation` and
of some `train` tracks, and for clips of `validation_absent` tracks and of the `train` noises, which
must not be answered; nor must any clip of an enrolled track once that track is left out. Every clip
is looked at as a listening session would, from 1 s to 15 s. Measuring enrols everything but
`absent` and `validation_absent`, asks for clips of `query` and `absent` tracks among the `eval`
noises and rooms, and changes nothing.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import numpy.typing as npt

from songid_desktop.evaluate.clips import Surroundings, tracks
from songid_desktop.evaluate.fit_library import Pool, Prints, run_all
from songid_desktop.evaluate.fit_neural_looks import (
    CONDITIONS,
    Row,
    Setting,
    Task,
    prepare,
    run_task,
)
from songid_desktop.evaluate.fit_report import offset_errors, reliability
from songid_desktop.evaluate.twins import find_likenesses, track_changes
from songid_desktop.identify import neural_calibration
from songid_desktop.identify.calibration import MATCH_AT, UNSURE_AT
from songid_desktop.identify.neural_calibration import SIGNS, Lead, NeuralCalibration
from songid_desktop.neural import models
from songid_desktop.paths import base_dir_paths, resource

Floats = npt.NDArray[np.float64]

LOOKS_S = (1.0, 2.0, 3.0, 5.0, 10.0, 15.0)
MEASURED_S = (1.0, 2.0, 5.0, 10.0)
NOTABLE_LEAD = 0.1
"""Wrong answers with a lead from this on are looked at for being twins."""
ABSENT_WEIGHT = 3.0
"""A session looks some thirty times before it ends; a track that is absent has that many chances
of being answered wrongly, one that plays is done after a few."""
RIDGE = 1e-6
FALSE_SHARES = (0.01, 0.001)


# -- fit ----------------------------------------------------------------------------------------


def fit(rows: Sequence[Row], typical: tuple[float, float, float]) -> NeuralCalibration:
    """Logistic regression on the leads; every feature's weight may only be as its meaning says."""
    from scipy.optimize import minimize

    table = NeuralCalibration((), typical)
    features = np.array([table.features(row.lead) for row in rows])
    right = np.array([row.is_right and row.is_enrolled for row in rows])
    weight = np.where([row.is_enrolled for row in rows], 1.0, ABSENT_WEIGHT)
    weight /= weight.sum()
    scale = np.append(features[:, :-1].std(axis=0) + 1e-9, 1.0)
    side = np.where(right, 1.0, -1.0)

    def loss(weights: Floats) -> tuple[float, Floats]:
        margin = side * (features / scale @ weights)
        slope = -side * weight / (1.0 + np.exp(np.clip(margin, -60, 60)))
        value = float((weight * np.logaddexp(0.0, -margin)).sum() + RIDGE * (weights @ weights))
        return value, (features / scale).T @ slope + 2 * RIDGE * weights

    bounds = [
        (0.0, None) if sign > 0 else (None, 0.0) if sign < 0 else (None, None) for sign in SIGNS
    ]
    found = minimize(loss, np.zeros(len(scale)), jac=True, method="L-BFGS-B", bounds=bounds)
    return NeuralCalibration(tuple((found.x / scale).tolist()), typical)


def typical_rival(rows: Sequence[Row]) -> tuple[float, float, float]:
    """Line through the best rival's score among what must not be answered, against log length, its
    upper half, because a small library is to err on the careful side; and how far the best stands
    above the mean."""
    absent = [row.lead for row in rows if not row.is_enrolled and row.lead.rivals]
    log_s = np.array([np.log(lead.clip_s) for lead in absent])
    score = np.array([lead.rivals[0] for lead in absent])
    slope, constant = np.polyfit(log_s, score, 1)
    above = score > constant + slope * log_s
    slope, constant = np.polyfit(log_s[above], score[above], 1)
    stands = np.median([lead.rivals[0] - np.mean(lead.rivals) for lead in absent])
    return float(constant), float(slope), float(stands)


def cross_validated(rows: Sequence[Row], folds: int = 5) -> Floats:
    """Probability of every row by a curve fitted on the other tracks."""
    fold = np.array([hashlib.sha256(row.path.encode()).digest()[0] % folds for row in rows])
    probability = np.zeros(len(rows))
    for number in range(folds):
        others = [row for row, own in zip(rows, fold, strict=True) if own != number]
        curve = fit(others, typical_rival(others))
        for at in np.flatnonzero(fold == number).tolist():
            probability[at] = curve.probability(rows[at].lead)
    return probability


def without_twins(rows: Sequence[Row], corpus: Path, pool: Pool) -> list[Row]:
    """The looks but those for which a track that is not there was taken for a twin of it."""
    pairs = {(row.path, row.first) for row in rows if _is_notable(row)}
    names = sorted({name for pair in pairs for name in pair})
    made = pool.map(track_changes, [corpus / name for name in names], chunksize=2)
    known = {name: found for name, found in zip(names, made, strict=True) if found is not None}
    alike = set()
    for one in sorted({one for one, _ in pairs} & set(known)):
        others = sorted(other for mine, other in pairs if mine == one and other in known)
        alike |= {(pair.one, pair.other) for pair in find_likenesses([one], known, others)}
    for one, other in sorted(alike):
        print(f"twins: {one} and {other}", file=sys.stderr)
    return [row for row in rows if row.is_enrolled or (row.path, row.first) not in alike]


def _is_notable(row: Row) -> bool:
    lead = row.lead.score - max(row.lead.rivals[:1], default=0.0)
    return not row.is_enrolled and lead >= NOTABLE_LEAD and not row.path.startswith("noise")


# -- report -------------------------------------------------------------------------------------


def wilson(right: int, total: int) -> str:
    """Share in per cent with its 95 % interval."""
    if not total:
        return "–"
    share, z = right / total, 1.96
    middle = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z * np.sqrt(share * (1 - share) / total + z * z / (4 * total**2)) / (1 + z * z / total)
    return f"{100 * share:.1f} ({100 * (middle - half):.1f}–{100 * (middle + half):.1f})"


def report(rows: Sequence[Row], probability: Floats) -> dict[str, str]:
    """Print the tables; give the figures that go into the provenance."""
    figures: dict[str, str] = {}
    for condition in dict.fromkeys(row.condition for row in rows):
        for length_s in sorted({row.length_s for row in rows}):
            here = [
                (row, p)
                for row, p in zip(rows, probability, strict=True)
                if (row.condition, row.length_s) == (condition, length_s)
            ]
            if here:
                text = _cell(here)
                figures[f"{condition} {length_s:g} s"] = text
                print(f"{condition:8s} {length_s:4g} s  {text}")
    figures |= _recall_at(rows, probability)
    figures["calibration error"] = reliability(rows, probability)
    print("offset error of clean and white clips (s):", offset_errors(rows))
    return figures


def _cell(here: Sequence[tuple[Row, float]]) -> str:
    asked = [(row, p) for row, p in here if row.is_enrolled]
    absent = [p for row, p in here if not row.is_enrolled]
    parts = []
    if asked:
        first = sum(row.is_right for row, _ in asked)
        five = sum(row.is_right or row.is_among_five for row, _ in asked)
        match = sum(row.is_right and p >= MATCH_AT for row, p in asked)
        wrong = sum(not row.is_right and p >= MATCH_AT for row, p in asked)
        parts.append(
            f"top-1 {wilson(first, len(asked))} %, top-5 {100 * five / len(asked):.1f} %, "
            f"match {wilson(match, len(asked))} %, wrong match {wrong} of {len(asked)}"
        )
    if absent:
        match = sum(p >= MATCH_AT for p in absent)
        unsure = sum(UNSURE_AT <= p < MATCH_AT for p in absent)
        parts.append(f"absent: match {match}, unsure {unsure} of {len(absent)}")
    return "; ".join(parts)


def _recall_at(rows: Sequence[Row], probability: Floats) -> dict[str, str]:
    """Clips answered rightly at a threshold that so many clips of absent music pass."""
    absent = np.sort([p for row, p in zip(rows, probability, strict=True) if not row.is_enrolled])
    found = {}
    for share in FALSE_SHARES:
        if not len(absent):
            continue
        at = absent[min(len(absent) - 1, int(np.ceil((1.0 - share) * len(absent))))]
        text = []
        for condition in ("clean", "white0", "room0", "room-5"):
            for length_s in (2.0, 5.0, 10.0):
                asked = [
                    row.is_right and p > at
                    for row, p in zip(rows, probability, strict=True)
                    if row.is_enrolled and (row.condition, row.length_s) == (condition, length_s)
                ]
                if asked:
                    text.append(f"{condition} {length_s:g} s {100 * np.mean(asked):.1f}")
        key = f"recall at {100 * share:g} % false answers (from {at:.4f} on)"
        found[key] = ", ".join(text)
        print(f"{key}: {found[key]}")
    return found


# -- commands -----------------------------------------------------------------------------------


def _fit_tasks(setting: Setting, prints: Prints, n_train: int, draws: int) -> list[Task]:
    rng, corpus = np.random.default_rng(3), setting.corpus
    enrolled = set(prints.paths)
    train = [path for path in tracks(corpus, ["train"]) if path in enrolled]
    chosen = [train[i] for i in rng.permutation(len(train))[:n_train]]
    asked = [*tracks(corpus, ["validation"]), *chosen]
    noises = [str(path.relative_to(corpus)) for path in Surroundings(corpus, "train").noises]
    absent = tracks(corpus, ["validation_absent"])
    make = functools.partial(Task, setting, prints, lengths_s=LOOKS_S, as_session=True)
    tasks = [
        *(make(path=path, is_noise=False, draw=0) for path in asked),
        *(make(path=path, is_noise=False, draw=draw) for path in absent for draw in range(draws)),
        *(make(path=path, is_noise=True, draw=draw) for path in noises for draw in range(draws)),
    ]
    # In mixed order the progress tells how long it will take.
    return [tasks[i] for i in rng.permutation(len(tasks))]


def _measure_tasks(setting: Setting, prints: Prints, draws: int) -> list[Task]:
    corpus = setting.corpus
    noises = [str(path.relative_to(corpus)) for path in Surroundings(corpus, "eval").noises]
    make = functools.partial(Task, setting, prints, lengths_s=MEASURED_S, as_session=False)
    music = tracks(corpus, ["query", "absent"])
    return [
        *(make(path=path, is_noise=False, draw=draw) for path in music for draw in range(draws)),
        *(make(path=path, is_noise=True, draw=draw) for path in noises for draw in range(8)),
    ]


def _keep(rows: Sequence[Row], kept: Path) -> None:
    kept.write_text(json.dumps([asdict(row) for row in rows]), encoding="utf-8")


def _kept_rows(kept: Path) -> list[Row]:
    """Looks of an earlier run."""
    rows = json.loads(kept.read_text(encoding="utf-8"))
    for row in rows:
        row["lead"] = Lead(**{**row["lead"], "rivals": tuple(row["lead"]["rivals"])})
    return [Row(**row) for row in rows]


def _write(
    setting: Setting,
    curve: NeuralCalibration,
    n_rows: int,
    figures: dict[str, str],
    options: argparse.Namespace,
) -> None:
    most = f" --most {options.most}" if options.most else ""
    data = {
        "weights": curve.weights,
        "typical_rival": curve.typical_rival,
        "twin_likeness": curve.twin_likeness,
        "provenance": {
            "command": "python -m songid_desktop.evaluate.fit_neural CORPUS --work D "
            f"--model {setting.name} --train-tracks {options.train_tracks} "
            f"--draws {options.draws}{most} --write",
            "date": datetime.now(UTC).date().isoformat(),
            "model": setting.place.digest(),
            "roles": "enrolled: train, validation, distractor; asked: validation, some train; "
            "must not be answered: validation_absent, train noises, what is asked when left out",
            "noise_and_rooms": "train",
            "conditions": list(CONDITIONS),
            "looks": n_rows,
            "tracks_enrolled": options.most or "all",
            "figures": figures,
            "figures_are": "cross-validated over tracks, five folds",
        },
    }
    target = resource("calibration", f"{setting.name}.json")
    target.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"written: {target}")


def _looks_of(setting: Setting, options: argparse.Namespace) -> list[Row]:
    kept = setting.index.with_suffix(".looks.json")
    if options.reuse:
        return _kept_rows(kept)
    corpus = setting.corpus
    roles = ["train", "validation", "distractor"] + (["query"] if options.measure else [])
    with Pool(options.jobs, mp_context=get_context("spawn")) as pool:
        enrolled = tracks(corpus, roles)
        if options.most:  # those asked for, and the first of the others
            asked = set(tracks(corpus, ["query" if options.measure else "validation"]))
            others = [path for path in enrolled if path not in asked]
            enrolled = [path for path in enrolled if path in asked] + others
            enrolled = enrolled[: options.most]
        prints = prepare(setting, enrolled, pool)
        if options.measure:
            rows = run_all(run_task, _measure_tasks(setting, prints, options.draws), pool)
        else:
            tasks = _fit_tasks(setting, prints, options.train_tracks, options.draws)
            rows = without_twins(run_all(run_task, tasks, pool), corpus, pool)
    _keep(rows, kept)
    return rows


def _setting(options: argparse.Namespace) -> Setting:
    work = options.work.absolute()
    place = models.find(options.model, base_dir_paths(work))
    if place is None or not place.is_installed:
        raise SystemExit(f"There is no model called {options.model}.")
    side = "measure" if options.measure else "fit"
    index = work / f"{side}-{place.name}-{place.digest()}"
    split = "eval" if options.measure else "train"
    return Setting(options.corpus.absolute(), work, place.name, place, index, split)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--model", default="cnn", help="an identifier's name, or a weights file")
    parser.add_argument("--measure", action="store_true", help="measure instead of fitting")
    parser.add_argument("--write", action="store_true", help="ship the fitted curve")
    parser.add_argument("--reuse", action="store_true", help="take the looks of the last run")
    parser.add_argument("--train-tracks", type=int, default=20)
    parser.add_argument("--most", type=int, default=0, help="tracks enrolled at most, 0: all")
    parser.add_argument("--draws", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=max(1, (os.cpu_count() or 2)))
    options = parser.parse_args(arguments)
    setting = _setting(options)
    rows = _looks_of(setting, options)
    if options.measure:
        curve = neural_calibration.load(setting.name)
        report(rows, np.array([curve.probability(row.lead) for row in rows]))
        return 0
    curve = fit(rows, typical_rival(rows))
    figures = report(rows, cross_validated(rows))
    print(curve)
    if options.write:
        _write(setting, curve, len(rows), figures, options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
