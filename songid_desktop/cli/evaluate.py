"""`songid evaluate`: measure the identifiers on music of one's own, and show what came out."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from songid_desktop.cli import output
from songid_desktop.cli.interrupts import EXIT_INTERRUPTED, cancel_on_interrupt

if TYPE_CHECKING:
    from songid_desktop.evaluate.bench import BenchProgress
    from songid_desktop.paths import Paths

_RUN = """\
Measure how well tracks are named from degraded clips of themselves, and how rarely anything else
is. The tracks are enrolled into a throw-away catalog below --out; your own library is not touched.
Results are kept as they come: the same command goes on where it was stopped or killed, and takes
further conditions, lengths, draws and identifiers in.

A manifest.csv (columns path, role) in the folder is honoured: all but the roles absent and
validation_absent are enrolled, query is asked for, absent must not be answered. So is a
noise_rooms.csv (path, kind: noise or room, split: train or eval), and a twins.tsv (paths of one
recording, a group a line). Of a data set (metadata.csv of “songid dataset”) the test tracks are
asked for. Without them every track may be asked for, some are left out to be absent, and
backgrounds and rooms are generated; copies of a recording are looked for always.
"""
_CONDITIONS = """\
Conditions: clean, white20, white10, white0, bandwhite0, room10, room0, room-5, phone, opus12,
mp3_32, aac32, quiet, overdrive, speed+1 -1 +2 -2 +4 -4, pitch+1 -1, tempo+5 -5; numbers may be
others. What must not be answered: absent_clean, absent_room0 (or absent_ before any other),
noise_only, silence, tone. “absent” stands for those five, “all” for everything.
"""
_STOPPED = "Stopped. What is measured is kept; the same command goes on from here."


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "evaluate",
        help="measure the identifiers on music of your own",
        description="Measure the identifiers by one protocol, and show what came out.",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    _add_run(actions)
    _add_grid(actions)
    _add_embeddings(actions)
    _add_report(actions)


def _add_run(actions: Any) -> None:
    run_parser = actions.add_parser(
        "run",
        help="make clips, ask the identifiers, write figures and an HTML report",
        description=_RUN,
        epilog=_CONDITIONS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = run_parser.add_argument
    add("--catalog-from", type=Path, required=True, metavar="DIR", help="the music")
    add("--out", type=Path, required=True, metavar="DIR", help="where results are kept")
    add(
        "--catalog-tracks",
        type=_count,
        default=0,
        metavar="N",
        help="enrol only the tracks asked for and others up to N (default: all)",
    )
    add(
        "--queries",
        type=_count,
        default=0,
        metavar="N",
        help="tracks to ask for (default: all; 200 without a manifest)",
    )
    add(
        "--lengths",
        type=_numbers,
        default=(2.0, 5.0, 10.0),
        metavar="S,…",
        help="clip lengths in seconds (default: 2,5,10)",
    )
    add(
        "--conditions",
        default="clean,white10,white0,room10,room0,absent",
        metavar="NAME,…",
        help="see below (default: %(default)s)",
    )
    add(
        "--identifiers",
        default="landmark",
        metavar="NAME,…",
        help="default: landmark; “report” is the report's own configuration",
    )
    add("--draws", type=_count, default=1, metavar="K", help="clips a cell and track (default: 1)")
    add(
        "--absent-draws",
        type=_count,
        default=0,
        metavar="K",
        help="the same for what must not be answered (default: as --draws)",
    )
    add("--seed", type=_count, default=0, metavar="S", help="of everything random (default: 0)")
    add(
        "--jobs",
        type=_count,
        default=0,
        metavar="J",
        help="worker processes (default: one a core); has no influence on what is measured",
    )
    add("--noise-dir", type=Path, metavar="DIR", help="recordings of backgrounds")
    add("--rooms-dir", type=Path, metavar="DIR", help="impulse responses of rooms")
    add("--absent-from", type=Path, metavar="DIR", help="music that is not in the catalog")
    add(
        "--sessions",
        type=_count,
        nargs="?",
        const=100,
        default=0,
        metavar="N",
        help="also hold N listening sessions of absent tracks (default: 100 when given)",
    )
    add(
        "--catalog-sizes",
        type=_sizes,
        default=(),
        metavar="N,…",
        help="also ask of parts of the catalog with so many tracks",
    )
    add(
        "--split",
        default="eval",
        metavar="SIDE",
        help="eval (default), or train: the manifest's "
        "validation tracks with the training side's noises and rooms",
    )
    add(
        "--timing-clips",
        type=_count,
        default=24,
        metavar="N",
        help="clips to time identification with (default: 24; 0: none)",
    )
    add("--no-twins", action="store_true", help="do not look for copies of the same recording")
    add("--json", action="store_true", help="the figures as one JSON line on stdout")
    run_parser.set_defaults(run=run)


def _add_grid(actions: Any) -> None:
    grid = actions.add_parser(
        "grid",
        help="the report's 27 configurations, with accuracy and latency",
        description="Measure the report's grid of 27 configurations (PNS 20, 30, 40; FAN 15, 30, "
        "50; ETH 0.3, 0.5, 0.7) on music of your own. The densest hold a billion postings, so "
        "200 tracks are taken unless told otherwise.",
    )
    add = grid.add_argument
    add("--catalog-from", type=Path, required=True, metavar="DIR", help="the music")
    add("--out", type=Path, required=True, metavar="DIR", help="where results are kept")
    add("--tracks", metavar="N|all", help="default: 200")
    add("--queries", type=_count, metavar="N", help="tracks to ask for (default: all that may)")
    add("--lengths", metavar="S,…", help="clip lengths in seconds (default: 5)")
    add("--conditions", metavar="NAME,…", help="default: clean")
    add("--draws", type=_count, metavar="K", help="clips a cell and track (default: 1)")
    add("--pns", metavar="N,…", help="default: 20,30,40")
    add("--fan", metavar="N,…", help="default: 15,30,50")
    add("--eth", metavar="X,…", help="default: 0.3,0.5,0.7")
    add("--seed", type=_count, metavar="S", help="of everything random (default: 1)")
    add("--jobs", type=_count, metavar="J", help="worker processes (default: one a core)")
    add("--noise-dir", type=Path, metavar="DIR", help="recordings of backgrounds")
    add("--rooms-dir", type=Path, metavar="DIR", help="impulse responses of rooms")
    add("--json", action="store_true", help="the figures as one JSON line on stdout")
    grid.set_defaults(run=run_grid)


def _add_embeddings(actions: Any) -> None:
    parser = actions.add_parser(
        "embeddings",
        help="what the learned models' vectors look like, side by side",
        description="Analyse the vectors of learned models over the same tracks and clips: how "
        "alike the same moment and other music are, tracks on a plane by genre, the most and "
        "least alike triplets, accuracy by one vector a clip. It joins the HTML report of --out.",
    )
    add = parser.add_argument
    add("--out", type=output.path_argument, required=True, metavar="DIR", help="the report's")
    add(
        "--catalog-from",
        type=output.path_argument,
        metavar="DIR",
        help="the music (default: that of the run in --out)",
    )
    add(
        "--models",
        default="",
        metavar="NAME,…",
        help="names as “songid models list” has them, or paths of weights (default: those that "
        "travel with the program)",
    )
    add("--tracks", type=_count, default=200, metavar="N", help="default: 200; 0: all")
    add(
        "--stretch",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="of each track so much is looked at (default: 60)",
    )
    add("--lengths", type=_numbers, default=(2.0, 5.0, 10.0), metavar="S,…", help="default: 2,5,10")
    add(
        "--conditions",
        default="clean,white20,white10,white0",
        metavar="NAME,…",
        help="as in “evaluate run” (default: %(default)s)",
    )
    add("--seed", type=_count, default=0, metavar="S", help="of everything random (default: 0)")
    add("--split", default="eval", metavar="SIDE", help="as in “evaluate run” (default: eval)")
    add(
        "--jobs", type=_count, default=0, metavar="J", help="worker processes (default: one a core)"
    )
    add("--noise-dir", type=Path, metavar="DIR", help="recordings of backgrounds")
    add("--rooms-dir", type=Path, metavar="DIR", help="impulse responses of rooms")
    add("--json", action="store_true", help="the figures as one JSON line on stdout")
    parser.set_defaults(run=run_embeddings)


def _add_report(actions: Any) -> None:
    report = actions.add_parser(
        "report",
        help="write the HTML report of a folder again",
        description="Write report.html, one file that needs nothing else, from the results kept "
        "in DIR, and print the tables.",
    )
    report.add_argument("folder", type=Path, metavar="DIR")
    report.add_argument("--json", action="store_true", help="the figures as one JSON line")
    report.set_defaults(run=run_report)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) > 10**9:
        raise argparse.ArgumentTypeError(f"not a whole number from 0 to 10^9: {text!r}")
    return int(text)


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(dict.fromkeys(float(part) for part in text.split(",") if part.strip()))
    except ValueError:
        raise argparse.ArgumentTypeError(f"not numbers with commas: {text!r}") from None


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(_count(part.strip()) for part in text.split(",") if part.strip())


def run(args: argparse.Namespace, _paths: Paths) -> int:
    from songid_desktop.errors import Cancelled
    from songid_desktop.evaluate.bench import Bench
    from songid_desktop.evaluate.plan import Options
    from songid_desktop.identify.registry import resolve_names

    options = Options(
        catalog_from=args.catalog_from.expanduser(),
        out=args.out.expanduser(),
        catalog_tracks=args.catalog_tracks,
        queries=args.queries,
        lengths_s=args.lengths,
        conditions=args.conditions,
        identifiers=resolve_names(args.identifiers),
        draws=args.draws,
        absent_draws=args.absent_draws,
        seed=args.seed,
        jobs=args.jobs,
        split=args.split,
        noise_dir=_expanded(args.noise_dir),
        rooms_dir=_expanded(args.rooms_dir),
        absent_from=_expanded(args.absent_from),
        sessions=args.sessions,
        catalog_sizes=args.catalog_sizes,
        timing_clips=args.timing_clips,
    )
    line = _StageLine()
    command = "songid " + shlex.join(sys.argv[1:])
    with cancel_on_interrupt() as interrupt:
        bench = Bench(
            options,
            command=command,
            progress=line.show_stage,
            cancel=interrupt.token,
            with_twins=not args.no_twins,
        )
        try:
            bench.run()
        except Cancelled:
            line.end()
            output.note(_STOPPED)
            return EXIT_INTERRUPTED
        finally:
            line.end()
    return _show(options.out, as_json=args.json)


def _expanded(path: Path | None) -> Path | None:
    return None if path is None else path.expanduser()


class _StageLine(output.ProgressLine):
    """Progress on stderr; every stage's beginning is told, however short it is."""

    def __init__(self) -> None:
        super().__init__()
        self._stage = ""

    def show_stage(self, progress: BenchProgress) -> None:
        is_new = progress.stage != self._stage
        self._stage = progress.stage
        self.show(_progress_text(progress), is_last=is_new)


def _progress_text(progress: BenchProgress) -> str:
    text = f"{progress.stage.capitalize()}: {progress.done:,} of {progress.total:,}"
    if progress.eta_s is not None and progress.done < progress.total:
        text += f", {output.clock(progress.eta_s)} left"
    return text


def run_grid(args: argparse.Namespace, _paths: Paths) -> int:
    from songid_desktop.errors import Cancelled
    from songid_desktop.evaluate import grid

    options = grid.options_from(args)
    with cancel_on_interrupt() as interrupt:
        try:
            grid.run_grid(options, progress=output.note, cancel=interrupt.token)
        except Cancelled:
            output.note(_STOPPED)
            return EXIT_INTERRUPTED
    return _show(args.out, as_json=args.json)


def run_embeddings(args: argparse.Namespace, paths: Paths) -> int:
    from songid_desktop.errors import Cancelled
    from songid_desktop.evaluate.embeddings import EmbeddingOptions, measure

    options = EmbeddingOptions(
        out=args.out.expanduser(),
        catalog_from=_expanded(args.catalog_from),
        models=tuple(part.strip() for part in args.models.split(",") if part.strip()),
        tracks=args.tracks,
        stretch_s=args.stretch,
        lengths_s=args.lengths,
        conditions=args.conditions,
        seed=args.seed,
        split=args.split,
        noise_dir=_expanded(args.noise_dir),
        rooms_dir=_expanded(args.rooms_dir),
        jobs=args.jobs,
    )
    line = output.ProgressLine()

    def show(stage: str, done: int, total: int) -> None:
        line.show(f"{stage.capitalize()}: {done:,} of {total:,}")

    with cancel_on_interrupt() as interrupt:
        try:
            measure(options, paths, progress=show, cancel=interrupt.token)
        except Cancelled:
            line.end()
            output.note(_STOPPED)
            return EXIT_INTERRUPTED
        finally:
            line.end()
    return _show(options.out, as_json=args.json)


def run_report(args: argparse.Namespace, _paths: Paths) -> int:
    return _show(args.folder.expanduser(), as_json=args.json)


def _show(folder: Path, *, as_json: bool) -> int:
    """Write the page, then print the tables (or the figures) and say where the page is."""
    from songid_desktop.evaluate.page import write_page
    from songid_desktop.evaluate.summary import Summary

    summary = Summary.read(folder)
    page = write_page(folder, summary)
    if as_json:
        output.emit({**summary.as_object(), "report": output.path_text(page)})
        return 0
    for title, head, rows in summary.tables():
        output.say(title)
        _table(rows, head)
        output.say()
    for note in summary.notes():
        output.say(note)
    output.say(f"Report: {output.printable(page)}")
    return 0


def _table(rows: list[list[str]], head: list[str]) -> None:
    """Words to the left, numbers to the right of their columns."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    for row in [head, *rows]:
        cells = [
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        output.say("  ".join(cells).rstrip())
