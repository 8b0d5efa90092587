"""`songid identify`: name the music of files, one answer a file, in order, each at once."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from songid_desktop.cli import output
from songid_desktop.cli.interrupts import EXIT_INTERRUPTED, Interrupt, cancel_on_interrupt

if TYPE_CHECKING:
    from songid_desktop.identify.engine import Engine
    from songid_desktop.paths import Paths
    from songid_desktop.types import Identification


ALMOST_CERTAIN_AT = 0.95


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "identify",
        help="name the music of files",
        description="Name the music of each FILE: which track of the library, where in it, and "
        "how sure.",
    )
    parser.add_argument("files", nargs="*", type=file_name, metavar="FILE")
    parser.add_argument("--identifier", default="landmark", metavar="NAME")
    parser.add_argument(
        "--top", type=top_count, default=5, metavar="N", help="candidates at most (default: 5)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument(
        "--stdin-list",
        action="store_true",
        help="read one UTF-8 path a line from stdin and answer each at once",
    )
    parser.set_defaults(run=run)


def file_name(text: str) -> str:
    """Type of ``FILE``: as given, but not empty."""
    output.path_argument(text)
    return text


def top_count(text: str) -> int:
    """Type of ``--top``: a whole number, 1 to 1,000."""
    try:
        top = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"not a number: {text!r}") from None
    if not 1 <= top <= 1000:
        raise argparse.ArgumentTypeError(f"must be 1 to 1000, not {top}")
    return top


def run(args: argparse.Namespace, paths: Paths) -> int:
    from songid_desktop.errors import UsageError
    from songid_desktop.identify.engine import Engine
    from songid_desktop.types import Verdict

    if not args.files and not args.stdin_list:
        raise UsageError("Name at least one file, or give --stdin-list. See: songid identify -h")
    verdicts: set[Verdict] = set()
    with Engine(paths) as engine, cancel_on_interrupt() as interrupt:
        cancel = interrupt.token
        engine.require_tracks(args.identifier)
        for file in _files(args, interrupt):
            found = engine.identify_file(Path(file), args.identifier, args.top, cancel)
            if cancel.is_set():
                break
            verdicts.add(found.verdict)
            _print(file, found, engine, as_json=args.json)
        if cancel.is_set():
            output.note("Stopped.")
            return EXIT_INTERRUPTED
    if verdicts & {Verdict.ERROR, Verdict.EMPTY_CATALOG}:
        return 3
    return 0 if verdicts <= {Verdict.MATCH} else 1


def _files(args: argparse.Namespace, interrupt: Interrupt) -> Iterator[str]:
    yield from args.files
    if args.stdin_list:
        yield from _lines(sys.stdin.buffer, interrupt)


def _lines(stream: BinaryIO, interrupt: Interrupt) -> Iterator[str]:
    """Paths from a byte stream, one a line. A line is read when the one before was answered."""
    while True:
        with interrupt.waiting():
            raw = stream.readline()
        if not raw:
            return
        line = raw.rstrip(b"\r\n")
        if line:
            # UTF-8 by contract; as bytes it names the file under any locale.
            yield os.fsdecode(line) if os.name != "nt" else line.decode("utf-8", "replace")


def _print(file: str, found: Identification, engine: Engine, *, as_json: bool) -> None:
    from songid_desktop.cli.json_form import identification_object

    if as_json:
        output.emit(identification_object(file, found, engine.track))
        return
    output.say(f"{output.printable(file)}: {answer_text(found, engine)}")


def answer_text(found: Identification, engine: Engine, *, now_s: float | None = None) -> str:
    """An answer in one line: what, where in it, how sure, or why nothing."""
    from songid_desktop.types import Verdict

    best = found.best
    track = None if best is None else engine.track(best.track_id)
    if best is None or track is None or found.verdict not in (Verdict.MATCH, Verdict.UNSURE):
        return found.message or found.verdict.value.replace("_", " ")
    name = output.name(track.artist, track.title)
    if now_s is None:
        place = f"from {output.clock(best.offset_s)}"
    else:
        place = f"now at {output.clock(now_s)}"
    if found.verdict is Verdict.UNSURE:
        word = "maybe"
    else:
        word = "almost certain" if best.confidence >= ALMOST_CERTAIN_AT else "likely"
    return f"{name}, {place} ({word}, {output.percent(best.confidence)})"
