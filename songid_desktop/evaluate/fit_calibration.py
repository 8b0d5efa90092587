"""Fit the landmark identifier's probability, and measure what comes of it.

    python -m songid_desktop.evaluate.fit_calibration CORPUS --work DIR [--write]
    python -m songid_desktop.evaluate.fit_calibration CORPUS --work DIR --measure

CORPUS holds ``manifest.csv`` (path, role) and ``noise_rooms.csv`` (path, kind, split). DIR keeps
fingerprints and index between runs.

Fitting enrols the `train`, `validation` and `distractor` tracks, asks for clips of `validation` and
of some `train` tracks, and for clips of `validation_absent` tracks and of the `train` noises, which
must not be answered; nor must any clip of an enrolled track once that track is left out, nor the
tones of an absent track with the drums of an enrolled one (`percussion.separate`). Every clip
is looked at as a listening session would, from 1 s to 15 s. What a left-out or absent track was
taken for counts unless both are twins by `evaluate.twins`' rule, which asks no identifier, or are
named in ``--versions FILE`` (two paths a line): mixes and arrangements of one piece that share
recorded passages, as their titles and their notes tell.
Measuring enrols everything but `absent` and `validation_absent`, asks for clips of `query` and
`absent` tracks among the `eval` noises and rooms, and changes nothing.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from songid_desktop.evaluate.clips import Surroundings, tracks
from songid_desktop.evaluate.fit_curve import cross_validated, typical_rival
from songid_desktop.evaluate.fit_library import Pool, Prints, prepare, run_all
from songid_desktop.evaluate.fit_looks import CONDITIONS, DRUMS, Row, Task, run_task
from songid_desktop.evaluate.fit_report import report
from songid_desktop.evaluate.fit_trees import boosted
from songid_desktop.evaluate.twins import find_likenesses, track_changes
from songid_desktop.identify import calibration
from songid_desktop.identify.calibration import SIGNS, Calibration, Lead
from songid_desktop.identify.landmark import NAME
from songid_desktop.landmark.config import LandmarkConfig
from songid_desktop.paths import resource

LOOKS_S = (1.0, 2.0, 3.0, 5.0, 10.0, 15.0)
MEASURED_S = (2.0, 5.0, 10.0)
NOTABLE_LEAD = 2.0
"""Wrong answers with a lead from this on are looked at for being twins."""
_DRUMS_WEIGHT = 0.15
"""Of a look at an enrolled track's drums under other music: made to be met at every look, they're
rare in truth."""
_WITH_DRUMS = 114
"""Clips made of an enrolled track's drums and an absent one's tones: two for each of these."""
ABSENT_WEIGHT = 2.0
"""A session looks some thirty times before it ends; a track that is absent has that many chances
of being answered wrongly, one that plays is done after a few."""


def fit(rows: Sequence[Row], typical: tuple[float, float]) -> Calibration:
    """Boosted trees on the leads; every feature may only speak as its meaning says."""
    table = Calibration(0.0, (), typical)
    features = np.array([table.features(row.lead) for row in rows])
    is_right = np.array([row.is_right and row.is_enrolled for row in rows])
    weight = np.array([_weight(row) for row in rows])
    start, trees = boosted(features, is_right, weight, SIGNS)
    return Calibration(start, trees, typical)


def _weight(row: Row) -> float:
    if row.condition == DRUMS:
        return _DRUMS_WEIGHT
    return 1.0 if row.is_enrolled else ABSENT_WEIGHT


def fitted(rows: Sequence[Row]) -> Callable[[Row], float]:
    """Probability of any row, by what these say."""
    curve = fit(rows, _rival(rows))
    return lambda row: curve.probability(row.lead)


def _rival(rows: Sequence[Row]) -> tuple[float, float]:
    return typical_rival([row for row in rows if row.condition != DRUMS])


def without_twins(
    rows: Sequence[Row], corpus: Path, pool: Pool, versions: Collection[tuple[str, str]] = ()
) -> list[Row]:
    """The looks but those for which a track that is not there was taken for a twin of it, or for a
    known version."""
    pairs = {(row.path, row.first) for row in rows if _is_notable(row)}
    names = sorted({name for pair in pairs for name in pair})
    made = pool.map(track_changes, [corpus / name for name in names], chunksize=2)
    known = {name: found for name, found in zip(names, made, strict=True) if found is not None}
    alike = {*versions, *((other, one) for one, other in versions)}
    for one in sorted({one for one, _ in pairs} & set(known)):
        others = sorted(other for mine, other in pairs if mine == one and other in known)
        alike |= {(pair.one, pair.other) for pair in find_likenesses([one], known, others)}
    for one, other in sorted(alike):
        print(f"twins: {one} and {other}", file=sys.stderr)
    return [row for row in rows if row.is_enrolled or (row.path, row.first) not in alike]


def _is_notable(row: Row) -> bool:
    lead = row.lead.score - max(row.lead.rivals[:1], default=0.0)
    return not row.is_enrolled and lead >= NOTABLE_LEAD and not row.path.startswith("noise")


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
    drums = [train[i] for i in rng.permutation(len(train))[: draws * _WITH_DRUMS]]
    tones = [absent[i % len(absent)] for i in range(len(drums))]
    tasks = [
        *(make(path=path, is_noise=False, draw=0) for path in asked),
        *(
            make(path=path, is_noise=False, draw=number, drums_of=other)
            for number, (path, other) in enumerate(zip(tones, drums, strict=True))
        ),
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


def _keep(rows: Sequence[Row], kept: Path) -> None:
    kept.write_text(json.dumps([asdict(row) for row in rows]), encoding="utf-8")


def _kept_rows(kept: Path) -> list[Row]:
    """Looks of an earlier run."""
    rows = json.loads(kept.read_text(encoding="utf-8"))
    for row in rows:
        row["lead"] = Lead(**{**row["lead"], "rivals": tuple(row["lead"]["rivals"])})
    return [Row(**row) for row in rows]


def _write(
    curve: Calibration, rows: Sequence[Row], figures: dict[str, str], options: argparse.Namespace
) -> None:
    pairs = [
        f"{Path(one).name} and {Path(other).name}" for one, other in _versions(options.versions)
    ]
    said = " --versions FILE" if pairs else ""
    said += f" --most {options.most}" if options.most else ""
    said += f" --train-tracks {options.train_tracks} --draws {options.draws} --write"
    data = {
        "typical_rival": curve.typical_rival,
        "start": curve.start,
        "provenance": {
            "command": "python -m songid_desktop.evaluate.fit_calibration CORPUS --work D" + said,
            "date": datetime.now(UTC).date().isoformat(),
            "configuration": LandmarkConfig().digest(),
            "roles": "enrolled: train, validation, distractor; asked: validation, some train; "
            "must not be answered: validation_absent, train noises, what is asked when left out, "
            "tones of validation_absent with drums of train",
            "noise_and_rooms": "train",
            "conditions": list(CONDITIONS),
            "versions": pairs,
            "tracks_enrolled": options.most or "all",
            "looks": len(rows),
            "figures": figures,
            "figures_are": "cross-validated over tracks, five folds",
        },
    }
    target = resource("calibration", f"{NAME}.json")
    # The trees as one line each: nobody reads them, and a step a line would fill the file.
    text = json.dumps(data, indent=1, ensure_ascii=False)
    trees = ",\n  ".join(json.dumps(tree, separators=(",", ":")) for tree in curve.trees)
    text = text.removesuffix("\n}") + f',\n "trees": [\n  {trees}\n ]\n}}\n'
    target.write_text(text, encoding="utf-8")
    print(f"written: {target}")


def _versions(listed: Path | None) -> list[tuple[str, str]]:
    """Pairs of paths out of a file with one pair a line, apart by a tab."""
    if listed is None:
        return []
    lines = listed.read_text(encoding="utf-8").splitlines()
    return [(one, other) for one, other in (line.split("\t") for line in lines if line)]


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
            rows = run_all(run_task, _measure_tasks(corpus, work, prints, options.draws), pool)
            _keep(rows, kept)
            return rows
        tasks = _fit_tasks(corpus, work, prints, options.train_tracks, options.draws)
        rows = run_all(run_task, tasks, pool)
        _keep(rows, kept)
        rows = without_twins(rows, corpus, pool, _versions(options.versions))
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
    parser.add_argument("--versions", type=Path, help="pairs of tracks that are one piece")
    parser.add_argument("--most", type=int, default=0, help="tracks enrolled at most, 0: all")
    parser.add_argument("--draws", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=max(1, (os.cpu_count() or 2)))
    options = parser.parse_args(arguments)
    rows = _looks(options)
    if options.measure:
        curve = calibration.load()
        report(rows, np.array([curve.probability(row.lead) for row in rows]))
        return 0
    curve = fit(rows, _rival(rows))
    figures = report(rows, cross_validated(rows, fitted))
    print(f"{len(curve.trees)} trees; expected rival: {curve.typical_rival}")
    if options.write:
        _write(curve, rows, figures, options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
