"""`songid dataset`: list a folder of music as a data set, or collect one that is free."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from songid_desktop.cli import output
from songid_desktop.cli.interrupts import EXIT_INTERRUPTED, cancel_on_interrupt

if TYPE_CHECKING:
    from songid_desktop.paths import Paths
    from songid_desktop.train.dataset import ScanReport, Unusable
    from songid_desktop.train.jamendo import Collected, Progress

_SHOWN_PROBLEMS = 20
"""So many are said one by one; --json has them all."""


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "dataset",
        help="list a folder as a data set to train on, or collect a free one",
        description="Make data sets for training: metadata.csv with track id, title, artist, "
        "album, duration, genre, path and split.",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    _add_scan(actions)
    _add_jamendo(actions)


def _add_scan(actions: Any) -> None:
    scan = actions.add_parser(
        "scan",
        help="list and share out a folder of music",
        description="Look at every audio file of a folder and write metadata.csv: a held-out test "
        "set, and the rest 80/20 for training and validation. All of an artist is on one side. "
        "The same files and seed give the same table.",
    )
    scan.add_argument("folder", type=output.path_argument, metavar="DIR")
    scan.add_argument(
        "--out", type=output.path_argument, metavar="FILE", help="default: DIR/metadata.csv"
    )
    scan.add_argument("--seed", type=int, default=0, metavar="N", help="of the split (default: 0)")
    scan.add_argument(
        "--validation-share",
        type=_share,
        default=0.2,
        metavar="X",
        help="of what is not test (default: 0.2)",
    )
    scan.add_argument(
        "--test-share", type=_share, default=0.17, metavar="X", help="of all (default: 0.17)"
    )
    scan.add_argument(
        "--shortest",
        type=_seconds,
        default=5.0,
        metavar="SECONDS",
        help="leave out shorter files (default: 5)",
    )
    scan.add_argument(
        "--decode-all",
        action="store_true",
        help="decode every file to its end, to find damage anywhere",
    )
    scan.add_argument(
        "--keep-splits",
        action="store_true",
        help="tracks that the table has already keep their split",
    )
    scan.add_argument("--json", action="store_true", help="report as one JSON line on stdout")
    scan.set_defaults(run=run_scan)


def _add_jamendo(actions: Any) -> None:
    jamendo = actions.add_parser(
        "jamendo",
        help="collect freely licensed music from Jamendo",
        description="Collect tracks through the Jamendo API v3.0, as the report did: so many for "
        "training and validation, others by other artists held out for test. What can't be used "
        "is left out with its reason. Stopped or killed, the same command goes on.",
        epilog="A client id is free: devportal.jamendo.com. The licence of every track is kept in "
        "metadata.csv; most allow no commercial use.",
    )
    jamendo.add_argument(
        "--client-id",
        metavar="ID",
        help="of your Jamendo application (else the variable JAMENDO_CLIENT_ID)",
    )
    jamendo.add_argument("--out", type=output.path_argument, required=True, metavar="DIR")
    jamendo.add_argument(
        "--tracks",
        type=_count,
        default=1000,
        metavar="N",
        help="tracks to ask for, before the invalid are left out (default: 1000)",
    )
    jamendo.add_argument(
        "--test-tracks",
        type=_count_or_none,
        default=200,
        metavar="N",
        help="valid tracks to hold out (default: 200)",
    )
    jamendo.add_argument("--seed", type=int, default=0, metavar="N", help="of the split")
    jamendo.add_argument(
        "--shortest",
        type=_seconds,
        default=30.0,
        metavar="SECONDS",
        help="leave out shorter tracks (default: 30)",
    )
    jamendo.add_argument(
        "--pause",
        type=_seconds,
        default=0.5,
        metavar="SECONDS",
        help="between two requests, at least (default: 0.5)",
    )
    jamendo.add_argument(
        "--timeout",
        type=_seconds,
        default=20.0,
        metavar="SECONDS",
        help="of a connection that says nothing (default: 20)",
    )
    jamendo.add_argument("--api-url", metavar="URL", help="another server with the same API")
    jamendo.add_argument("--json", action="store_true", help="report as one JSON line on stdout")
    jamendo.set_defaults(run=run_jamendo)


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"not a number: {text!r}") from None
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"not a number: {text!r}")
    return number


def _share(text: str) -> float:
    share = _number(text)
    if not 0.0 <= share <= 0.9:
        raise argparse.ArgumentTypeError(f"must be from 0 to 0.9, not {text}")
    return share


def _seconds(text: str) -> float:
    seconds = _number(text)
    if not 0.0 <= seconds <= 3600.0:
        raise argparse.ArgumentTypeError(f"must be from 0 to 3600 seconds, not {text}")
    return seconds


def _count_or_none(text: str) -> int:
    try:
        count = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"not a whole number: {text!r}") from None
    if not 0 <= count <= 100_000:
        raise argparse.ArgumentTypeError(f"must be from 0 to 100,000, not {text}")
    return count


def _count(text: str) -> int:
    count = _count_or_none(text)
    if not count:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return count


def run_scan(args: argparse.Namespace, _paths: Paths) -> int:
    from songid_desktop.errors import Cancelled
    from songid_desktop.train.dataset import TABLE, scan, write_table
    from songid_desktop.train.split import Shares

    folder: Path = args.folder.expanduser()
    table = args.out.expanduser() if args.out else folder / TABLE
    line = output.ProgressLine()
    try:
        with cancel_on_interrupt() as interrupt:
            report = scan(
                folder,
                table,
                seed=args.seed,
                shares=Shares(args.validation_share, args.test_share),
                shortest_s=args.shortest,
                decode_all=args.decode_all,
                keep_splits=args.keep_splits,
                progress=lambda done, total: line.show(f"{done:,} of {total:,} files"),
                cancel=interrupt.token,
            )
    except Cancelled:
        line.end()
        output.note("Stopped; no table was written.")
        return EXIT_INTERRUPTED
    line.end()
    write_table(table, report.rows)
    if args.json:
        output.emit(_scan_object(report, table))
    else:
        _say_scan(report, table)
    return 0


def _scan_object(report: ScanReport, table: Path) -> dict[str, Any]:
    return {
        "table": output.path_text(table),
        "tracks": len(report.rows),
        "splits": report.tracks,
        "duration_s": round(report.duration_s, 2),
        "split_by": "track" if report.is_split_by_track else "artist",
        "unusable": [_problem_object(one) for one in report.unusable],
        "doubtful": [_problem_object(one) for one in report.doubtful],
    }


def _problem_object(one: Unusable) -> dict[str, str]:
    return {
        "path": output.path_text(one.path),
        "reason": one.problem.value,
        "message": one.message,
    }


def _say_scan(report: ScanReport, table: Path) -> None:
    problems = (*report.unusable, *report.doubtful)
    for one in problems[:_SHOWN_PROBLEMS]:
        output.note(f"{output.printable(one.path)}: {one.message}")
    if len(problems) > _SHOWN_PROBLEMS:
        output.note(f"… and {len(problems) - _SHOWN_PROBLEMS:,} more; --json lists them all.")
    if report.is_split_by_track:
        output.note(
            "There are too few artists, albums and folders to share out, so the split is by "
            "track: versions of one piece may stand on both sides."
        )
    parts = ", ".join(f"{count:,} {split}" for split, count in report.tracks.items())
    left_out = f"; {len(report.unusable):,} files left out" if report.unusable else ""
    output.say(
        f"{len(report.rows):,} tracks, {report.duration_s / 3600:.1f} hours: {parts}{left_out}."
    )
    output.say(f"Written: {output.printable(table)}")


def run_jamendo(args: argparse.Namespace, _paths: Paths) -> int:
    import os

    from songid_desktop.errors import Cancelled, UsageError
    from songid_desktop.train.jamendo import API_URL, Request, collect

    client_id = (args.client_id or os.environ.get("JAMENDO_CLIENT_ID", "")).strip()
    if not client_id:
        raise UsageError(
            "Jamendo wants to know who asks: give --client-id ID, or set JAMENDO_CLIENT_ID. "
            "One is free at devportal.jamendo.com."
        )
    request = Request(
        folder=args.out.expanduser(),
        tracks=args.tracks,
        test_tracks=args.test_tracks,
        seed=args.seed,
        shortest_s=args.shortest,
        pause_s=args.pause,
        timeout_s=max(0.05, args.timeout),
        api_url=args.api_url or API_URL,
    )
    line = output.ProgressLine()
    try:
        with cancel_on_interrupt() as interrupt:
            collected = collect(
                request,
                client_id,
                progress=lambda progress: line.show(_jamendo_text(progress)),
                cancel=interrupt.token,
            )
    except Cancelled:
        line.end()
        output.note("Stopped. What was collected is kept; the same command goes on from here.")
        return EXIT_INTERRUPTED
    finally:
        line.end()
    if args.json:
        output.emit(_jamendo_object(collected))
    else:
        _say_jamendo(collected)
    return 0


def _jamendo_text(progress: Progress) -> str:
    if progress.waiting_s:
        return f"{progress.note} Next try in {progress.waiting_s:.0f} s."
    text = f"{progress.done:,} of {progress.total:,} tracks, {progress.left_out:,} left out"
    parts = [text, f"{progress.megabytes:,.0f} MB"]
    if progress.eta_s is not None:
        parts.append(f"{output.clock(progress.eta_s)} left")
    return ", ".join(parts)


def _jamendo_object(collected: Collected) -> dict[str, Any]:
    return {
        "table": output.path_text(collected.table),
        "asked_for": collected.asked_for,
        "tracks": sum(collected.splits.values()),
        "splits": collected.splits,
        "left_out": collected.left_out,
        "unreachable": collected.unreachable,
        "licences": collected.licences,
        "is_complete": collected.is_complete,
    }


def _say_jamendo(collected: Collected) -> None:
    for reason, count in sorted(collected.left_out.items()):
        output.say(f"left out: {count:,} {reason}")
    if collected.unreachable:
        output.note(
            f"{collected.unreachable:,} tracks could not be fetched this time; the same command "
            "tries them again."
        )
    if not collected.is_complete:
        output.note("The service has no more tracks than these.")
    parts = ", ".join(f"{count:,} {split}" for split, count in collected.splits.items())
    total = sum(collected.splits.values())
    output.say(f"{total:,} of {collected.asked_for:,} tracks: {parts}.")
    output.say(f"Written: {output.printable(collected.table)}")
