"""Fit the probability of the search for other speeds, tempos and pitches.

    python -m songid_desktop.evaluate.fit_scaled CORPUS --work DIR [--write]

CORPUS and DIR are those of `fit_calibration`, whose index of `train`, `validation` and `distractor`
tracks is used here too. Asked are clips of `validation` and some `train` tracks, played at other
speeds, tempos and pitches, most of them in rooms and noise besides; clips as they are only where
the plain search does not match them. Clips of `validation_absent` tracks and of the `train` noises
must not be answered.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from songid_desktop.audio.decode import decode
from songid_desktop.audio.resample import resample
from songid_desktop.evaluate.clips import Surroundings, draw_start, tracks
from songid_desktop.evaluate.conditions import Stretch, generator, parse
from songid_desktop.evaluate.fit_curve import cross_validated, curve_weights, typical_rival
from songid_desktop.evaluate.fit_library import Pool, Prints, prepare
from songid_desktop.evaluate.fit_report import wilson
from songid_desktop.identify import calibration
from songid_desktop.identify.landmark import LandmarkIdentifier
from songid_desktop.identify.scaled import ScaledCalibration, ScaledLead, load, rank_scaled
from songid_desktop.landmark.config import LandmarkConfig
from songid_desktop.landmark.match import analyse
from songid_desktop.landmark.scaled import ScaleConfig
from songid_desktop.paths import resource
from songid_desktop.types import AudioBlock, FloatArray

Floats = npt.NDArray[np.float64]

CHANGES = (
    *("speed+1", "speed-1", "speed+2", "speed-2", "speed+4", "speed-4", "speed+6", "speed-6"),
    *("tempo+5", "tempo-5", "tempo+2", "pitch+1", "pitch-1", "pitch+0.5", "none"),
)
CONDITIONS = ("clean", "clean", "white10", "white0", "room10", "room0", "room-5")
"""Of which one is drawn for every clip; `none` is asked under the hardest."""
ABSENT_CONDITIONS = ("clean", "white10", "white0", "room10", "room0")
LENGTHS_S = (3.0, 5.0, 10.0)
"""Every clip is looked at as a listening session would: its first seconds, then more of it."""
CHANGES_A_TRACK = 8
ABSENT_WEIGHT = 10.0
"""As in `fit_calibration`: what is absent is looked at many times."""
SIGNS = (1, 1, 1, -1, -1, -1, 0)
"""A longer lead never speaks against a match, a longer clip with the same lead never for one."""
_PAST_S = 1.0


@dataclass(frozen=True, slots=True)
class Row:
    """One look. `factor_error` and `offset_error_s` are None where another file came first."""

    path: str
    change: str
    condition: str
    length_s: float
    is_enrolled: bool
    is_right: bool
    lead: ScaledLead
    first: str = ""
    factor_error: float | None = None
    offset_error_s: float | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """Everything one process needs to make and look at the clips of one track or noise."""

    corpus: Path
    index: Path
    prints: Prints
    path: str
    kind: str
    draw: int


@dataclass(frozen=True, slots=True)
class _Asked:
    """A clip at the configured rate, and how the track is played in it."""

    samples: FloatArray
    start_s: float
    tempo: float
    pitch: float


@functools.lru_cache(maxsize=1)
def _identifier(index: Path, prints_key: tuple[Path, tuple[str, ...]]) -> LandmarkIdentifier:
    identifier = LandmarkIdentifier(index)
    identifier.open(Prints(prints_key[0], prints_key[1]))
    return identifier


def run_task(task: Task) -> list[Row]:
    """All looks of one track (or noise) and draw."""
    block = decode(task.corpus / task.path)
    identifier = _identifier(task.index, (task.prints.file("").parent, tuple(task.prints.paths)))
    rng = generator(task.path, task.draw)
    if task.kind == "noise":
        pairs = [("none", "clean")]
    elif task.kind == "absent":
        pairs = [("none", condition) for condition in ABSENT_CONDITIONS]
    else:
        hardest = {"none": CONDITIONS[-3:]}
        some = ["none", *rng.choice(CHANGES[:-1], CHANGES_A_TRACK - 1, replace=False).tolist()]
        pairs = [(change, str(rng.choice(hardest.get(change, CONDITIONS)))) for change in some]
    around = Surroundings(task.corpus, "train")
    rows: list[Row] = []
    for change, condition in pairs:
        asked = _clip(task, block, (change, condition), around, rng)
        if asked is None:
            continue
        for length_s in LENGTHS_S:
            rows += _look(task, identifier, asked, (change, condition, length_s))
    return rows


def _clip(
    task: Task,
    block: AudioBlock,
    what: tuple[str, str],
    around: Surroundings,
    rng: np.random.Generator,
) -> _Asked | None:
    """The longest clip with a change and a condition; None where the track is too short."""
    change, condition = what
    length_s = LENGTHS_S[-1]
    rate = block.sample_rate
    family, amount = ("none", 0.0) if change == "none" else (change[:5], float(change[5:]))
    tempo = 1.0 + amount / 100.0 if family in ("speed", "tempo") else 1.0
    pitch = {"speed": tempo, "pitch": 2.0 ** (amount / 12.0)}.get(family, 1.0)
    needed = round((length_s + _PAST_S) * tempo * rate)
    start = draw_start(block.samples, needed, rng)
    if start is None or len(block.samples) < needed:
        return None
    key = (task.path, task.draw, *what)
    played, start_s = block, start / rate
    if family != "none":
        whole = Stretch(block, start, length_s + _PAST_S, around, key).clip(parse(change))
        # The condition is put on what is played, with a second of its past before the clip.
        played, start_s = whole.audio, whole.start_s + _PAST_S * tempo
        start = round(_PAST_S * rate)
    clip = Stretch(played, start, length_s, around, key).clip(parse(condition)).audio
    low = resample(clip.samples, clip.sample_rate, LandmarkConfig().peaks.sample_rate)
    return _Asked(low, start_s, tempo, pitch)


def _look(
    task: Task, identifier: LandmarkIdentifier, asked: _Asked, what: tuple[str, str, float]
) -> list[Row]:
    """What one look came to; nothing where the plain search is content, or nothing was seen."""
    change, condition, length_s = what
    is_enrolled = task.path in task.prints.paths
    samples = asked.samples[: round(length_s * identifier.config.peaks.sample_rate)]
    if change == "none" and is_enrolled:
        plain = identifier.rank(samples)
        if plain.probability >= calibration.MATCH_AT:
            return []
    config = identifier.config
    clip = analyse(samples, config)
    ranking = rank_scaled(
        identifier.index.parts(),
        clip,
        config,
        ScaleConfig(),
        clip_s=length_s,
        curve=ScaledCalibration((0.0,) * 7, (0.0, 0.0)),
    )
    if ranking.lead is None:
        return []
    names = task.prints.paths
    first = ranking.candidates[0]
    group = {first.track_id, *ranking.twins}
    is_same_file = names[first.track_id - 1] == task.path
    off = max(abs(first.scale.tempo / asked.tempo - 1), abs(first.scale.pitch / asked.pitch - 1))
    offset_s = first.candidate.offset_frames * config.peaks.frame_s
    return [
        Row(
            path=task.path,
            change=change,
            condition="noise" if task.kind == "noise" else condition,
            length_s=length_s,
            is_enrolled=is_enrolled,
            is_right=any(names[track_id - 1] == task.path for track_id in group),
            lead=ranking.lead,
            first=names[first.track_id - 1],
            factor_error=off if is_same_file else None,
            offset_error_s=offset_s - asked.start_s if is_same_file else None,
        )
    ]


# -- fit ----------------------------------------------------------------------------------------


def fit(rows: Sequence[Row], typical: tuple[float, float]) -> ScaledCalibration:
    """Logistic regression on the leads; every feature's weight may only be as its meaning says."""
    table = ScaledCalibration((), typical)
    features = np.array([table.features(row.lead) for row in rows])
    weights = curve_weights(features, rows, SIGNS, ABSENT_WEIGHT)
    return ScaledCalibration(weights, typical, load().drums)


def fitted(rows: Sequence[Row]) -> Callable[[Row], float]:
    """Probability of any row, by what these say."""
    curve = fit(rows, typical_rival(rows))
    return lambda row: curve.probability(row.lead)


# -- report -------------------------------------------------------------------------------------


def report(rows: Sequence[Row], probability: Floats) -> dict[str, str]:
    """Print the tables; give the figures that go into the provenance."""
    figures: dict[str, str] = {}
    both = list(zip(rows, probability.tolist(), strict=True))

    def show(name: str, own: list[tuple[Row, float]]) -> None:
        if own:
            figures[name] = _summary(own)
            print(f"{name:24s} {figures[name]}")

    for length_s in LENGTHS_S:
        here = [(row, p) for row, p in both if row.length_s == length_s]
        for change in CHANGES:
            asked = [(r, p) for r, p in here if r.is_enrolled and r.change == change]
            show(f"{change} clean {length_s:g} s", [x for x in asked if x[0].condition == "clean"])
            show(f"{change} hard {length_s:g} s", [x for x in asked if x[0].condition != "clean"])
        for condition in (*ABSENT_CONDITIONS, "noise"):
            absent = [(r, p) for r, p in here if not r.is_enrolled and r.condition == condition]
            show(f"absent {condition} {length_s:g} s", absent)
    for row, p in both:
        if p >= calibration.UNSURE_AT and not (row.is_enrolled and row.is_right):
            print(f"wrong {p:.3f}: {row.path} {row.condition} {row.length_s:g} s is {row.first}")
    _print_errors(rows)
    return figures


def _summary(own: Sequence[tuple[Row, float]]) -> str:
    match = [row for row, p in own if p >= calibration.MATCH_AT]
    unsure = sum(calibration.UNSURE_AT <= p < calibration.MATCH_AT for _, p in own)
    if not own[0][0].is_enrolled:
        return f"absent: match {len(match)}, unsure {unsure} of {len(own)}"
    first = sum(row.is_right for row, _ in own)
    right = sum(row.is_right for row in match)
    text = f"top-1 {wilson(first, len(own))} %, match {wilson(right, len(own))} %"
    return f"{text}, wrong match {len(match) - right} of {len(own)}"


def _print_errors(rows: Sequence[Row]) -> None:
    """Errors of factor and offset where the right file came first at the right place."""
    for length_s in LENGTHS_S:
        near = [
            row
            for row in rows
            if row.length_s == length_s
            and row.condition == "clean"
            and row.offset_error_s is not None
            and abs(row.offset_error_s) < 0.25
        ]
        if near:
            factor = 100 * np.array([row.factor_error or 0.0 for row in near])
            offset = np.abs([row.offset_error_s or 0.0 for row in near])
            low, high = np.percentile(factor, [50, 95])
            print(f"{length_s:g} s: factor error median {low:.3f} %, 95th percentile {high:.3f} %")
            low, high = np.percentile(offset, [50, 95])
            print(f"{length_s:g} s: offset error median {low:.4f} s, 95th percentile {high:.4f} s")


# -- commands -----------------------------------------------------------------------------------


def _tasks(corpus: Path, work: Path, prints: Prints, n_train: int, draws: int) -> list[Task]:
    rng = np.random.default_rng(3)
    train = tracks(corpus, ["train"])
    chosen = [train[i] for i in rng.permutation(len(train))[:n_train]]
    noises = [str(path.relative_to(corpus)) for path in Surroundings(corpus, "train").noises]
    make = functools.partial(Task, corpus, work / "fit", prints)
    asked = [*tracks(corpus, ["validation"]), *chosen]
    absent = tracks(corpus, ["validation_absent"])
    tasks = [
        *(make(path, "asked", 0) for path in asked),
        *(make(path, "absent", draw) for path in absent for draw in range(2 * draws)),
        *(make(path, "noise", draw) for path in noises for draw in range(3 * draws)),
    ]
    # In mixed order the progress tells how long it will take.
    return [tasks[i] for i in rng.permutation(len(tasks))]


def _looks(options: argparse.Namespace) -> list[Row]:
    corpus, work = options.corpus.absolute(), options.work.absolute()
    kept = work / "looks-scaled.json"
    if options.reuse:
        found = json.loads(kept.read_text(encoding="utf-8"))
        for row in found:
            row["lead"] = ScaledLead(**{**row["lead"], "rivals": tuple(row["lead"]["rivals"])})
        return [Row(**row) for row in found]
    rows: list[Row] = []
    with Pool(options.jobs) as pool:
        paths = tracks(corpus, ["train", "validation", "distractor"])
        prints = prepare(corpus, work, paths, "fit", pool)
        tasks = _tasks(corpus, work, prints, options.train_tracks, options.draws)
        cut = math.ceil(len(tasks) * options.share)
        tasks = [*tasks[:cut], *(task for task in tasks[cut:] if task.kind != "asked")]
        for number, own in enumerate(pool.map(run_task, tasks, chunksize=2), start=1):
            rows += own
            if number % 20 == 0:
                print(f"{number} of {len(tasks)}", file=sys.stderr, flush=True)
    kept.write_text(json.dumps([asdict(row) for row in rows]), encoding="utf-8")
    return rows


def _write(
    curve: ScaledCalibration, rows: Sequence[Row], figures: dict[str, str], share: float
) -> None:
    command = "python -m songid_desktop.evaluate.fit_scaled CORPUS --work D --write"
    if share < 1.0:
        command += f" --share {share:g}"
    data = {
        "weights": curve.weights,
        "typical_rival": curve.typical_rival,
        "drums": curve.drums,
        "provenance": {
            "command": command,
            "date": datetime.now(UTC).date().isoformat(),
            "configuration": LandmarkConfig().digest(),
            "hypotheses": asdict(ScaleConfig()),
            "roles": "enrolled: train, validation, distractor; asked: validation, some train; "
            "must not be answered: validation_absent, train noises",
            "noise_and_rooms": "train",
            "changes": list(CHANGES),
            "conditions": sorted(set(CONDITIONS)),
            "looks": len(rows),
            "figures": figures,
            "figures_are": "cross-validated over tracks, five folds; hard: in rooms and noise",
        },
    }
    target = resource("calibration", "landmark_scaled.json")
    target.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    load.cache_clear()
    print(f"written: {target}")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--write", action="store_true", help="ship the fitted curve")
    parser.add_argument("--reuse", action="store_true", help="take the looks of the last run")
    parser.add_argument("--train-tracks", type=int, default=10)
    parser.add_argument("--share", type=float, default=1.0, help="of the clips that are asked")
    parser.add_argument("--draws", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=max(1, (os.cpu_count() or 2)))
    options = parser.parse_args(arguments)
    rows = _looks(options)
    curve = fit(rows, typical_rival(rows))
    figures = report(rows, cross_validated(rows, fitted))
    print(curve)
    if options.write:
        _write(curve, rows, figures, options.share)
    return 0


if __name__ == "__main__":
    sys.exit(main())
