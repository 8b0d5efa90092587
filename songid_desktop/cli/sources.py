"""`songid sources`: the places to listen at."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from songid_desktop.cli import output

if TYPE_CHECKING:
    from songid_desktop.paths import Paths


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "sources",
        help="list microphones and what the computer plays",
        description="List the sources that `songid listen --source NAME` can listen to.",
    )
    parser.add_argument("--json", action="store_true", help="as one JSON array")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, paths: Paths) -> int:  # noqa: ARG001 - every verb's signature
    from songid_desktop.audio.devices import list_sources

    sources = list_sources()
    if args.json:
        output.emit(
            [
                {
                    "name": source.name,
                    "description": source.description,
                    "kind": source.kind.value,
                    "default": source.is_default,
                }
                for source in sources
            ]
        )
        return 0
    rows = [
        ["*" if source.is_default else "", source.kind.value, source.name, source.description]
        for source in sources
    ]
    output.table(rows, ["", "kind", "name", "description"])
    return 0
