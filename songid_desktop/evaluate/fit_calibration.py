"""Fit the landmark identifier's probability, and measure what comes of it.

    python -m songid_desktop.evaluate.fit_calibration CORPUS --work DIR [--write]
    python -m songid_desktop.evaluate.fit_calibration CORPUS --work DIR --measure

CORPUS holds ``manifest.csv`` (path, role) and ``noise_rooms.csv`` (path, kind, split). DIR keeps
fingerprints and index between runs.

Fitting enrols the `train`, `validation` and `distractor` tracks, asks for clips of `validation` and
of some `train` tracks, and for clips of `validation_absent` tracks and of the `train` noises, which
must not be answered; nor must any clip of an enrolled track once that track is left out. Every clip
is looked at as a listening session would, from 1 s to 15 s. What a left-out or absent track was
taken for counts unless both are twins by `evaluate.twins`' rule, which asks no identifier.
Measuring enrols everything but `absent` and `validation_absent`, asks for clips of `query` and
`absent` tracks among the `eval` noises and rooms, and changes nothing.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from songid_desktop.audio.decode import decode, open_audio
from songid_desktop.audio.resample import resample
from songid_desktop.evaluate.clips import Surroundings, degrade, draw_start, tracks
from songid_desktop.evaluate.twins import find_likenesses, track_changes
from songid_desktop.identify import calibration
from songid_desktop.identify.calibration import Calibration, Lead
from songid_desktop.identify.landmark import (
    NAME,
    LandmarkFingerprinter,
    LandmarkIdentifier,
    Ranking,
)
from songid_desktop.landmark import evidence
from songid_desktop.landmark.config import LandmarkConfig
from songid_desktop.paths import resource
from songid_desktop.types import Fingerprint, FingerprintChange

Floats = npt.NDArray[np.float64]
Pool = ProcessPoolExecutor

CONDITIONS = ("clean", "white10", "white0", "room10", "room0", "room-5")
LOOKS_S = (1.0, 2.0, 3.0, 5.0, 10.0, 15.0)
MEASURED_S = (2.0, 5.0, 10.0)
NOTABLE_LEAD = 2.0
"""Wrong answers with a lead from this on are looked at for being twins."""
ABSENT_WEIGHT = 3.0
"""A session looks some thirty times before it ends; a track that is absent has that many chances
of being answered wrongly, one that plays is done after a few."""
COPIES_AMONG = 8
"""First candidates of a look that are compared with the track left out."""
RIDGE = 1e-6


@dataclass(frozen=True, slots=True)
class Row:
    """One look: what was asked under which condition, and what came first."""

    path: str
    first: str
    """The track that came first."""
    condition: str
    length_s: float
    is_enrolled: bool
    is_right: bool
    lead: Lead
    offset_error_s: float | None
    """None where another file came first."""


# -- library ------------------------------------------------------------------------------------


class Prints:
    """Fingerprints in a folder, in the shape of the catalog's reader."""

    def __init__(self, folder: Path, paths: Sequence[str]) -> None:
        self._folder = folder
        self.paths = list(paths)

    def file(self, path: str) -> Path:
        return self._folder / hashlib.sha256(path.encode()).hexdigest()[:24]

    def catalog_id(self) -> str:
        return ""

    def revision(self) -> int:
        return len(self.paths)

    def changes(
        self, identifier: str, config_digest: str, since_revision: int
    ) -> Iterator[FingerprintChange]:
        for number in range(since_revision + 1, len(self.paths) + 1):
            payload = self.file(self.paths[number - 1]).read_bytes()
            found = Fingerprint(identifier, config_digest, payload, 0.0)
            yield FingerprintChange(number, number, found)

    def fingerprint_count(self, identifier: str, config_digest: str) -> int:
        del identifier, config_digest
        return len(self.paths)


def _enrol_one(job: tuple[Path, Path]) -> None:
    source, target = job
    if target.exists():
        return
    maker = LandmarkFingerprinter()
    with open_audio(source, maker.sample_rate) as blocks:
        payload = maker.fingerprint(blocks).payload
    temporary = target.with_suffix(".writing")
    temporary.write_bytes(payload)
    temporary.replace(target)


def prepare(corpus: Path, work: Path, paths: Sequence[str], name: str, pool: Pool) -> Prints:
    """Fingerprint what is missing and save the index ``work / name``."""
    folder = work / f"prints-{LandmarkConfig().digest()}"
    folder.mkdir(parents=True, exist_ok=True)
    prints = Prints(folder, paths)
    jobs = [(corpus / path, prints.file(path)) for path in paths]
    list(pool.map(_enrol_one, jobs, chunksize=8))
    identifier = LandmarkIdentifier(work / name)
    identifier.open(prints)
    identifier.save()
    print(f"{name}: {identifier.statistics()}", file=sys.stderr)
    identifier.close()
    return prints


# -- looks --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Task:
    """Everything one process needs to make and look at the clips of one track."""

    corpus: Path
    index: Path
    prints: Prints
    split: str
    path: str
    is_noise: bool
    lengths_s: tuple[float, ...]
    as_session: bool
    draw: int


@functools.lru_cache(maxsize=1)
def _identifier(index: Path, prints_key: tuple[Path, tuple[str, ...]]) -> LandmarkIdentifier:
    identifier = LandmarkIdentifier(index)
    identifier.open(Prints(prints_key[0], prints_key[1]))
    return identifier


def run_task(task: Task) -> list[Row]:
    """All looks of one track (or noise) and draw."""
    rng = np.random.default_rng([task.draw, *task.path.encode()])
    around = Surroundings(task.corpus, task.split)
    block = decode(task.corpus / task.path)
    key = (task.prints.file("").parent, tuple(task.prints.paths))
    identifier = _identifier(task.index, key)
    conditions = ("clean",) if task.is_noise else CONDITIONS
    rows: list[Row] = []
    for condition in conditions:
        for longest in task.lengths_s[-1:] if task.as_session else task.lengths_s:
            count = min(round(longest * block.sample_rate), len(block.samples))
            start = draw_start(block.samples, count, rng)
            if start is None:
                continue
            clip = degrade(block, slice(start, start + count), condition, around, rng)
            low = resample(clip, block.sample_rate, identifier.config.peaks.sample_rate)
            for length_s in task.lengths_s if task.as_session else (longest,):
                wanted = round(length_s * identifier.config.peaks.sample_rate)
                if len(low) < wanted - 2:
                    continue
                ranking = identifier.rank(low[:wanted])
                shown = "noise" if task.is_noise else condition
                rows += _row(ranking, task, shown, length_s, start / block.sample_rate)
                rows += _left_out(identifier, ranking, task, shown, length_s)
    return rows


def _left_out(
    identifier: LandmarkIdentifier, ranking: Ranking, task: Task, condition: str, length_s: float
) -> list[Row]:
    """What an enrolled track's look comes to without that track, and without its copies."""
    if not task.as_session or task.path not in task.prints.paths:
        return []
    own = task.prints.paths.index(task.path) + 1
    found = next((c for c in ranking.candidates if c.track_id == own), None)
    if found is None:
        return []
    copies = (
        c.track_id
        for c in ranking.candidates[:COPIES_AMONG]
        if c is not found and evidence.are_twins(found, c, ranking.clip.n_frames)
    )
    rest = identifier.without(ranking, {own, *copies})
    return [
        replace(row, is_enrolled=False, is_right=False, offset_error_s=None)
        for row in _row(rest, task, condition, length_s, 0.0)
    ]


def _row(
    ranking: Ranking, task: Task, condition: str, length_s: float, start_s: float
) -> list[Row]:
    """What one look came to, if there was anything to see."""
    names = task.prints.paths
    if ranking.lead is None:
        return []
    first = ranking.candidates[0]
    group = {first.track_id, *ranking.twins}
    is_same_file = names[first.track_id - 1] == task.path
    error_s = first.offset_frames * LandmarkConfig().peaks.frame_s - start_s
    return [
        Row(
            path=task.path,
            first=names[first.track_id - 1],
            condition=condition,
            length_s=length_s,
            is_enrolled=task.path in names,
            is_right=any(names[track_id - 1] == task.path for track_id in group),
            lead=ranking.lead,
            offset_error_s=error_s if is_same_file else None,
        )
    ]


# -- fit ----------------------------------------------------------------------------------------


def fit(rows: Sequence[Row], typical: tuple[float, float]) -> Calibration:
    """Logistic regression on the leads; every feature's weight may only be as its meaning says."""
    from scipy.optimize import minimize

    table = Calibration((), typical)
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
        (0.0, None) if sign > 0 else (None, 0.0) if sign < 0 else (None, None)
        for sign in calibration.SIGNS
    ]
    found = minimize(loss, np.zeros(len(scale)), jac=True, method="L-BFGS-B", bounds=bounds)
    return Calibration(tuple((found.x / scale).tolist()), typical)


def typical_rival(rows: Sequence[Row]) -> tuple[float, float]:
    """Line through the best rival's score among what must not be answered, against log length; its
    upper half, because a small library is to err on the careful side."""
    absent = [row for row in rows if not row.is_enrolled and row.lead.rivals]
    log_s = np.array([np.log(row.lead.clip_s) for row in absent])
    score = np.array([row.lead.rivals[0] for row in absent])
    slope, constant = np.polyfit(log_s, score, 1)
    above = score > constant + slope * log_s
    slope, constant = np.polyfit(log_s[above], score[above], 1)
    return float(constant), float(slope)


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
    conditions = list(dict.fromkeys(row.condition for row in rows))
    for condition in conditions:
        for length_s in sorted({row.length_s for row in rows}):
            here = [
                (row, p)
                for row, p in zip(rows, probability, strict=True)
                if (row.condition, row.length_s) == (condition, length_s)
            ]
            asked = [(row, p) for row, p in here if row.is_enrolled]
            absent = [p for row, p in here if not row.is_enrolled]
            text = ""
            if asked:
                first = sum(row.is_right for row, _ in asked)
                match = sum(row.is_right and p >= calibration.MATCH_AT for row, p in asked)
                wrong = sum(not row.is_right and p >= calibration.MATCH_AT for row, p in asked)
                text = f"top-1 {wilson(first, len(asked))} %, match {wilson(match, len(asked))} %"
                text += f", wrong match {wrong} of {len(asked)}"
            if absent:
                match = sum(p >= calibration.MATCH_AT for p in absent)
                unsure = sum(calibration.UNSURE_AT <= p < calibration.MATCH_AT for p in absent)
                text += f"; absent: match {match}, unsure {unsure} of {len(absent)}"
            figures[f"{condition} {length_s:g} s"] = text.lstrip("; ")
            print(f"{condition:8s} {length_s:4g} s  {text.lstrip('; ')}")
    figures["calibration error"] = _reliability(rows, probability)
    print("offset error of clean and white clips (s):", _offset_errors(rows))
    return figures


def _offset_errors(rows: Sequence[Row]) -> str:
    errors = np.array(
        [
            row.offset_error_s
            for row in rows
            if row.offset_error_s is not None and row.condition[0] in "cw"
        ]
    )
    errors = errors[np.abs(errors) < 0.25]  # beyond lie a track's own repeats
    if not len(errors):
        return "none"
    size = np.abs(errors)
    low, high = np.median(size), np.percentile(size, 95)
    return f"median {low:.4f}, 95th percentile {high:.4f}, bias {np.median(errors):+.4f}"


def _reliability(rows: Sequence[Row], probability: Floats) -> str:
    """Expected calibration error over ten bins, printed with its diagram."""
    right = np.array([row.is_enrolled and row.is_right for row in rows])
    place = np.minimum((probability * 10).astype(int), 9)
    error = 0.0
    for number in range(10):
        inside = place == number
        if inside.any():
            said, was = probability[inside].mean(), right[inside].mean()
            error += inside.mean() * abs(said - was)
            print(f"said {said:.3f}, was {was:.3f}, {int(inside.sum())} looks")
    return f"{error:.4f}"


# -- commands -----------------------------------------------------------------------------------


def _fit_tasks(corpus: Path, work: Path, prints: Prints, n_train: int, draws: int) -> list[Task]:
    rng = np.random.default_rng(3)
    enrolled = set(prints.paths)
    train = [path for path in tracks(corpus, ["train"]) if path in enrolled]
    chosen = [train[i] for i in rng.permutation(len(train))[:n_train]]
    asked = [*tracks(corpus, ["validation"]), *chosen]
    noises = [str(path.relative_to(corpus)) for path in Surroundings(corpus, "train").noises]
    absent = tracks(corpus, ["validation_absent"])
    make = functools.partial(
        Task, corpus, work / "fit", prints, "train", lengths_s=LOOKS_S, as_session=True
    )
    tasks = [
        *(make(path=path, is_noise=False, draw=0) for path in asked),
        *(make(path=path, is_noise=False, draw=draw) for path in absent for draw in range(draws)),
        *(
            make(path=path, is_noise=True, draw=draw)
            for path in noises
            for draw in range(3 * draws)
        ),
    ]
    # In mixed order the progress tells how long it will take.
    return [tasks[i] for i in rng.permutation(len(tasks))]


def _measure_tasks(corpus: Path, work: Path, prints: Prints, draws: int) -> list[Task]:
    noises = [str(path.relative_to(corpus)) for path in Surroundings(corpus, "eval").noises]
    make = functools.partial(
        Task, corpus, work / "measure", prints, "eval", lengths_s=MEASURED_S, as_session=False
    )
    music = tracks(corpus, ["query", "absent"])
    return [
        *(make(path=path, is_noise=False, draw=draw) for path in music for draw in range(draws)),
        *(make(path=path, is_noise=True, draw=draw) for path in noises for draw in range(8)),
    ]


def _run(tasks: Sequence[Task], pool: Pool, kept: Path) -> list[Row]:
    rows: list[Row] = []
    for number, found in enumerate(pool.map(run_task, tasks, chunksize=2), start=1):
        rows += found
        if number % 20 == 0:
            print(f"{number} of {len(tasks)}", file=sys.stderr, flush=True)
    _keep(rows, kept)
    return rows


def _keep(rows: Sequence[Row], kept: Path) -> None:
    kept.write_text(json.dumps([asdict(row) for row in rows]), encoding="utf-8")


def _kept_rows(kept: Path) -> list[Row]:
    """Looks of an earlier run."""
    rows = json.loads(kept.read_text(encoding="utf-8"))
    for row in rows:
        row["lead"] = Lead(**{**row["lead"], "rivals": tuple(row["lead"]["rivals"])})
    return [Row(**row) for row in rows]


def _write(curve: Calibration, rows: Sequence[Row], figures: dict[str, str], enrolled: int) -> None:
    data = {
        "weights": curve.weights,
        "typical_rival": curve.typical_rival,
        "provenance": {
            "command": "python -m songid_desktop.evaluate.fit_calibration CORPUS --work D --write"
            + (f" --most {enrolled}" if enrolled else ""),
            "date": datetime.now(UTC).date().isoformat(),
            "configuration": LandmarkConfig().digest(),
            "roles": "enrolled: train, validation, distractor; asked: validation, some train; "
            "must not be answered: validation_absent, train noises, what is asked when left out",
            "noise_and_rooms": "train",
            "conditions": list(CONDITIONS),
            "tracks_enrolled": enrolled or "all",
            "looks": len(rows),
            "figures": figures,
            "figures_are": "cross-validated over tracks, five folds",
        },
    }
    target = resource("calibration", f"{NAME}.json")
    target.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"written: {target}")


def _looks(options: argparse.Namespace) -> list[Row]:
    corpus, work = options.corpus.absolute(), options.work.absolute()
    name = "measure" if options.measure else "fit"
    kept = work / f"looks-{name}.json"
    if options.reuse:
        return _kept_rows(kept)
    roles = ["train", "validation", "distractor"] + (["query"] if options.measure else [])
    with Pool(options.jobs) as pool:
        enrolled = tracks(corpus, roles)
        if options.most:  # those asked for, and the first of the others
            asked = set(tracks(corpus, ["query" if options.measure else "validation"]))
            others = [path for path in enrolled if path not in asked]
            enrolled = [path for path in enrolled if path in asked] + others
            enrolled = enrolled[: options.most]
        prints = prepare(corpus, work, enrolled, name, pool)
        if options.measure:
            return _run(_measure_tasks(corpus, work, prints, options.draws), pool, kept)
        tasks = _fit_tasks(corpus, work, prints, options.train_tracks, options.draws)
        rows = without_twins(_run(tasks, pool, kept), corpus, pool)
        _keep(rows, kept)
        return rows


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--measure", action="store_true", help="measure instead of fitting")
    parser.add_argument("--write", action="store_true", help="ship the fitted curve")
    parser.add_argument("--reuse", action="store_true", help="take the looks of the last run")
    parser.add_argument("--train-tracks", type=int, default=20)
    parser.add_argument("--most", type=int, default=0, help="tracks enrolled at most, 0: all")
    parser.add_argument("--draws", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=max(1, (os.cpu_count() or 2)))
    options = parser.parse_args(arguments)
    rows = _looks(options)
    if options.measure:
        curve = calibration.load()
        report(rows, np.array([curve.probability(row.lead) for row in rows]))
        return 0
    curve = fit(rows, typical_rival(rows))
    figures = report(rows, cross_validated(rows))
    print(curve)
    if options.write:
        _write(curve, rows, figures, options.most)
    return 0


if __name__ == "__main__":
    sys.exit(main())
