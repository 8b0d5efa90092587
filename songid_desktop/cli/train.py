"""`songid train`: teach an identifier, go over a grid of trainings, or export what was learned."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from songid_desktop.cli import output
from songid_desktop.cli.interrupts import EXIT_INTERRUPTED, cancel_on_interrupt
from songid_desktop.cli.train_values import read_places, read_values, with_options

if TYPE_CHECKING:
    from songid_desktop.paths import Paths
    from songid_desktop.train.loop import Outcome, Progress, Training
    from songid_desktop.train.start import Places

_TRAIN = """\
Teach one of the learned identifiers on music of your own. The folder is a collection with a
manifest.csv or the metadata.csv of “songid dataset scan”; of any other folder a fifth is held out
to judge by. A noise_rooms.csv in it (split “train”), --noise-dir and --rooms-dir bring recorded
backgrounds and rooms; what is missing is generated.

Everything may be stopped or killed at any time: the same command with --resume goes on. --out holds
best.safetensors (the weights that did best so far, with their model card), log.jsonl and the
checkpoint. “songid train presets” lists the trainings that are known by name.
"""
_GRID = """\
Train every cell of a grid of the report, one after the other, each in a folder of its own below
--out, and write grid.csv. The same command goes on where it was stopped. At full size a cell takes
the report about 1.6 hours on a graphics processor; --tracks and --epochs make it smaller, and
the table says so.
"""
_KINDS = ("cnn", "ast", "mert")


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "train",
        help="teach the learned identifiers on music of your own",
        description="Teach the learned identifiers (cnn, ast, mert) on music of your own.",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for kind in _KINDS:
        _add_kind(actions, kind)
    _add_grid(actions)
    _add_export(actions)
    listing = actions.add_parser("presets", help="list the trainings known by name")
    listing.add_argument("name", nargs="?", help="print this one's values as JSON")
    listing.set_defaults(run=_run_presets)


def _add_kind(actions: Any, kind: str) -> None:
    parser = actions.add_parser(
        kind,
        help=f"train {kind.upper()}",
        description=_TRAIN,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--config", type=output.path_argument, metavar="FILE", help="values, as a JSON object")
    add("--preset", metavar="NAME", help=f"begin with these values (default: {kind})")
    add(
        "--from",
        dest="start_from",
        metavar="official|FILE",
        help="begin with the installed official weights, or with a weights file",
    )
    add("--resume", action="store_true", help="go on with the training in --out")
    add("--json", action="store_true", help="progress as JSON lines on stdout")
    _add_common(parser)
    parser.set_defaults(run=_run_training, kind=kind)


def _add_common(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--data", type=output.path_argument, metavar="DIR", help="the music to learn from")
    add("--out", type=output.path_argument, metavar="DIR", help="folder of the training")
    add("--cache", type=output.path_argument, metavar="DIR", help="keep decoded music here")
    add("--noise-dir", type=output.path_argument, metavar="DIR", help="recorded backgrounds")
    add("--rooms-dir", type=output.path_argument, metavar="DIR", help="impulse responses of rooms")
    add("--device", default="auto", choices=("auto", "cpu", "cuda"), help="where to compute")
    add("--threads", type=_count, default=0, metavar="N", help="of the processor (default: all)")
    add(
        "--workers", type=_count_or_none, default=1, metavar="N", help="processes that make batches"
    )
    add("--steps", type=_count, metavar="N", help="how many steps in all")
    add("--epochs", type=float, metavar="X", help="how often every track is shown")
    add("--tracks", type=_count, metavar="N", help="learn from no more than so many tracks")
    add(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="change a value, e.g. loss.temperature=0.07; may be given often",
    )
    add("--seed", type=int, metavar="N", help="of all that is random")


def _add_grid(actions: Any) -> None:
    parser = actions.add_parser(
        "grid",
        help="train all cells of one of the report's grids",
        description=_GRID,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("name", choices=("report-cnn", "report-augment"), help="table 3.2 (48 cells), 3.3 (32)")
    add("--cells", type=_count, default=0, metavar="N", help="only so many, spread over the grid")
    _add_common(parser)
    parser.set_defaults(run=_run_grid)


def _add_export(actions: Any) -> None:
    parser = actions.add_parser("export", help="write a training's best weights and model card")
    parser.add_argument("run_folder", type=output.path_argument, metavar="DIR")
    parser.add_argument("--to", type=output.path_argument, required=True, metavar="FILE")
    parser.add_argument(
        "--stored",
        default="float16",
        choices=("float16", "bfloat16", "float32"),
        help="how numbers are stored (default: float16)",
    )
    parser.set_defaults(run=_run_export)


def _count(text: str) -> int:
    return _at_least(text, 1)


def _count_or_none(text: str) -> int:
    return _at_least(text, 0)


def _at_least(text: str, least: int) -> int:
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"not a whole number: {text!r}") from None
    if number < least:
        raise argparse.ArgumentTypeError(f"must be {least} or more, not {number}")
    return number


# -- one training ---------------------------------------------------------------------------------


def _run_training(args: argparse.Namespace, paths: Paths) -> int:
    _use_threads(args.threads)
    from songid_desktop.errors import Cancelled
    from songid_desktop.train.start import prepare, taken

    values, given = read_values(args)
    places = read_places(args, given, paths)
    line = output.ProgressLine()
    with cancel_on_interrupt() as interrupt, taken(places.out):
        try:
            training = prepare(
                values,
                places,
                resume=args.resume,
                device=args.device,
                workers=args.workers,
                jobs=max(1, args.workers),
                command=_command(),
                progress=lambda done, total, _: line.show(f"Reading music: {done:,} of {total:,}"),
                cancel=interrupt.token,
            )
            line.end()
            _say_what(training)
            show = _emit if args.json else _Shown(line)
            outcome = training.run(show, interrupt.token)
        except Cancelled as error:
            line.end()
            output.note(str(error))
            return EXIT_INTERRUPTED
    line.end()
    return _conclude(outcome, places)


def _use_threads(threads: int) -> None:
    """NumPy's pool of threads, not yet made, would stand in the way of torch's."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from songid_desktop.train.start import use_threads

    use_threads(threads)


def _command() -> str:
    """For the model card: what was asked for, without the folders of this computer."""
    words = [Path(word).name if Path(word).is_absolute() else word for word in sys.argv[1:]]
    return shlex.join(["songid", *words])


def _say_what(training: Training) -> None:
    music, count = training.music, sum(p.numel() for p in training.module.parameters())
    output.note(
        f"{training.model.name.upper()}, {count / 1e6:.2f} million weights; "
        f"{len(music.part('train')):,} tracks ({music.hours('train'):.1f} h) to learn from, "
        f"{len(music.part('validation')):,} to judge by; {training.steps:,} steps of "
        f"{training.train.batch:,} pairs"
    )


class _Shown:
    """Progress for people: one line, and one that stays for each check."""

    def __init__(self, line: output.ProgressLine) -> None:
        self._line = line

    def __call__(self, progress: Progress) -> None:
        text = (
            f"Step {progress.step:,} of {progress.steps:,}, loss {progress.loss:.3f}, "
            f"{100 * progress.accuracy:.0f} % of the batch right, {progress.step_s:.2f} s a step, "
            f"{output.clock(progress.eta_s)} left"
        )
        if progress.figure is None:
            self._line.show(text, is_last=progress.step == progress.steps)
            return
        self._line.end()
        levels = ", ".join(
            f"{name} {100 * share:.1f} %" for name, share in progress.figure.by_level.items()
        )
        output.note(f"Step {progress.step:,}: found first: {levels}")


def _emit(progress: Progress) -> None:
    figure = None if progress.figure is None else progress.figure.by_level
    output.emit(
        {
            "step": progress.step,
            "steps": progress.steps,
            "loss": round(progress.loss, 6),
            "accuracy": round(progress.accuracy, 4),
            "step_s": round(progress.step_s, 3),
            "eta_s": round(progress.eta_s, 3),
            "check": figure,
        }
    )


def _conclude(outcome: Outcome, places: Places) -> int:
    best = places.out / "best.safetensors"
    if outcome.was_stopped:
        output.note(
            f"Stopped after step {outcome.step:,}. What was learned is kept; the same command with "
            "--resume goes on."
        )
        return EXIT_INTERRUPTED
    output.note(
        f"Done after {outcome.step:,} steps. Best at step {outcome.best_step:,}: "
        f"{100 * outcome.best:.1f} % of the degraded clips found first. "
        f"Weights and model card: {output.printable(best)}. To use them as an identifier: "
        f"songid models install NAME --from {output.printable(places.out)}"
    )
    return 0


# -- the others -----------------------------------------------------------------------------------


def _run_grid(args: argparse.Namespace, paths: Paths) -> int:
    _use_threads(args.threads)
    from songid_desktop.errors import Cancelled
    from songid_desktop.train.grid import Cell, run_grid
    from songid_desktop.train.start import taken

    args.resume = False
    places = read_places(args, {}, paths)
    line = output.ProgressLine()

    def show(cell: Cell, number: int, count: int) -> None:
        line.end()
        output.note(f"{number} of {count}: {cell.name}: {100 * cell.best:.1f} %")

    with cancel_on_interrupt() as interrupt, taken(places.out):
        try:
            table = run_grid(
                args.name,
                places,
                most_cells=args.cells,
                changes=with_options({}, args),
                device=args.device,
                workers=args.workers,
                command=_command(),
                done=show,
                step=_Shown(line),
                cancel=interrupt.token,
            )
        except Cancelled:
            line.end()
            output.note("Stopped. Finished cells are kept; the same command goes on.")
            return EXIT_INTERRUPTED
    line.end()
    output.note(f"The table: {output.printable(table)}")
    return 0


def _run_export(args: argparse.Namespace, _paths: Paths) -> int:
    from songid_desktop.errors import UsageError
    from songid_desktop.train.export import export_run

    if args.to.suffix != ".safetensors":
        raise UsageError(f"The weights file must end in .safetensors, unlike {args.to}.")
    card = export_run(args.run_folder, args.to, args.stored)
    output.note(f"{output.printable(args.to)}: {card.size_bytes:,} bytes, SHA-256 {card.sha256}")
    return 0


def _run_presets(args: argparse.Namespace, _paths: Paths) -> int:
    from songid_desktop.train import config, presets

    if args.name is None:
        for name, values in presets.PRESETS.items():
            output.say(f"{name:22} {values.get('note', '')}")
        return 0
    whole = config.from_json(presets.preset(args.name)).to_json()
    output.say(json.dumps(whole, indent=2))
    return 0
