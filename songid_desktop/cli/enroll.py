"""`songid enroll`: take folders and files into the library."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any

from songid_desktop.cli import output
from songid_desktop.cli.interrupts import EXIT_INTERRUPTED, cancel_on_interrupt

if TYPE_CHECKING:
    from songid_desktop.catalog.records import EnrolProgress, EnrolReport, ProblemFile
    from songid_desktop.paths import Paths


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "enroll",
        aliases=["enrol"],
        help="take music folders and files into the library",
        description="Take music folders (with everything below) and files into the library. "
        "Run it again to bring the library up to date: what has not changed costs nothing.",
    )
    parser.add_argument("paths", nargs="+", type=output.path_argument, metavar="PATH")
    parser.add_argument(
        "--identifier",
        default="landmark",
        metavar="NAME[,NAME]|all",
        help="identifiers to fingerprint for (default: landmark)",
    )
    parser.add_argument(
        "--jobs", type=_jobs, default=0, metavar="N", help="worker processes (default: one a core)"
    )
    parser.add_argument("--json", action="store_true", help="report as one JSON line on stdout")
    parser.set_defaults(run=run)


def _jobs(text: str) -> int:
    try:
        jobs = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"not a number: {text!r}") from None
    if not 0 <= jobs <= 256:
        raise argparse.ArgumentTypeError(f"must be 0 to 256, not {jobs}")
    return jobs


def run(args: argparse.Namespace, paths: Paths) -> int:
    from songid_desktop.identify.enrolment import enrol_library
    from songid_desktop.identify.registry import resolve_names

    identifiers = resolve_names(args.identifier)
    roots = [path.expanduser().absolute() for path in args.paths]
    line = ProgressReporter()
    with cancel_on_interrupt() as interrupt:
        report = enrol_library(
            paths,
            roots,
            identifiers,
            jobs=args.jobs,
            progress=line.show,
            cancel=interrupt.token,
            holder="songid enroll",
            compacts=True,
        )
    line.end()
    if args.json:
        output.emit(report_object(report))
    else:
        _say(report)
    if report.was_cancelled:
        output.note("Stopped. What is done is kept; the same command goes on from here.")
        return EXIT_INTERRUPTED
    return 0


class ProgressReporter:
    """Enrolment progress as lines on stderr."""

    def __init__(self) -> None:
        self._line = output.ProgressLine()
        self._begun = time.monotonic()

    def show(self, progress: EnrolProgress) -> None:
        self._line.show(_progress_text(progress), is_last=progress.phase == "finished")

    def end(self) -> None:
        self._line.end()


def _progress_text(progress: EnrolProgress) -> str:
    if progress.phase == "scanning":
        return f"Looking for music: {progress.done:,} files"
    if progress.phase == "finished" and not progress.total:
        return "Nothing new"
    parts = [f"{progress.done:,} of {progress.total:,} files"]
    if progress.rate_x > 0:
        parts.append(f"{progress.rate_x:,.0f} {output.TIMES} real time")
    if progress.phase != "finished" and progress.eta_s is not None:
        parts.append(f"{output.clock(progress.eta_s)} left")
    if progress.failed:
        parts.append(f"{progress.failed:,} failed")
    return ", ".join(parts)


def _problem_object(problem: ProblemFile) -> dict[str, str]:
    return {
        "path": output.path_text(problem.path),
        "reason": problem.problem.value,
        "message": problem.message,
    }


def report_object(report: EnrolReport) -> dict[str, Any]:
    """The report as the contract has it."""
    return {
        "added": report.added,
        "unchanged": report.unchanged,
        "updated": report.updated,
        "moved": report.moved,
        "missing": report.missing,
        "failed": [_problem_object(problem) for problem in report.failed],
        "warnings": [_problem_object(problem) for problem in report.warnings],
        "audio_s": round(report.audio_s, 3),
        "elapsed_s": round(report.elapsed_s, 3),
        "copies": report.copies,
        "cancelled": report.was_cancelled,
    }


def _say(report: EnrolReport) -> None:
    for problem in report.failed:
        output.note(f"{output.printable(problem.path)}: {problem.message}")
    for problem in report.warnings:
        output.note(f"{output.printable(problem.path)}: {problem.message}")
    for root in report.missing_roots:
        output.note(f"{output.printable(root)}: not there at present; its tracks are kept.")
    counts = [
        (report.added, "added"),
        (report.updated, "updated"),
        (report.moved, "moved"),
        (report.copies, "copies"),
        (report.unchanged, "unchanged"),
        (report.missing, "missing"),
        (len(report.failed), "failed"),
    ]
    words = [f"{count:,} {word}" for count, word in counts if count]
    output.say(f"{', '.join(words) or 'No music found'} in {report.elapsed_s:.1f} s.")
