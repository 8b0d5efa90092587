"""`songid history`: what was heard."""

from __future__ import annotations

import argparse
import io
import json
import sys
import time
from typing import TYPE_CHECKING, Any

from songid_desktop.cli import output

if TYPE_CHECKING:
    from songid_desktop.catalog.records import Play
    from songid_desktop.paths import Paths


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "history",
        help="what was heard",
        description="What was heard, in the order it was heard; --limit keeps the newest.",
    )
    parser.add_argument("--search", default="", metavar="TEXT", help="only rows with these words")
    parser.add_argument("--limit", type=int, metavar="N", help="rows at most")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object a play")
    form.add_argument("--csv", action="store_true", help="as CSV with a header line")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, paths: Paths) -> int:
    from songid_desktop.errors import UsageError

    if args.limit is not None and args.limit < 0:
        raise UsageError(f"--limit must not be negative, not {args.limit}.")
    plays = _plays(args, paths)
    if args.json:
        for row in play_objects(plays):
            output.emit(row)
    elif args.csv:
        from songid_desktop.catalog.export import export_plays

        export_plays(plays, sys.stdout, "csv")
    else:
        rows = [_row(play) for play in plays]
        output.table(rows, ["heard", "for", "sure", "what"])
        if not rows:
            output.note("Nothing was heard yet.")
    return 0


def _plays(args: argparse.Namespace, paths: Paths) -> list[Play]:
    if not paths.catalog.exists():
        return []
    from songid_desktop.catalog.catalog import Catalog
    from songid_desktop.catalog.history import History

    with Catalog.open(paths, create=False) as catalog:
        newest_first = History(catalog).search(args.search, limit=args.limit)
    return newest_first[::-1]


def play_objects(plays: list[Play]) -> list[dict[str, Any]]:
    """Rows of the history, with the keys that the window's JSON export has."""
    from songid_desktop.catalog.export import export_plays

    text = io.StringIO()
    export_plays(plays, text, "json")
    rows: list[dict[str, Any]] = json.loads(text.getvalue())
    return rows


def _row(play: Play) -> list[str]:
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(play.started_at))
    sure = output.percent(play.confidence) if play.title else output.DASH
    what = output.name(play.artist, play.title)
    return [when, output.clock(play.ended_at - play.started_at), sure, what or play.verdict]
