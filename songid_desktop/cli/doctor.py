"""`songid doctor`: is everything here that the program needs, and if not, what to do."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from songid_desktop.cli import output

if TYPE_CHECKING:
    from songid_desktop.paths import Paths


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "doctor",
        help="check what the program needs",
        description="Check sound, decoders, library, index and window libraries. Exit code 3 when "
        "something needed is missing; advice alone does not count.",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a check")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, paths: Paths) -> int:
    from songid_desktop.cli.checks import run_checks

    is_fine = True
    for check in run_checks(paths):
        is_fine = is_fine and (check.ok or not check.is_needed)
        if args.json:
            output.emit(
                {
                    "name": check.name,
                    "ok": check.ok,
                    "detail": check.detail,
                    "remedy": check.remedy,
                    "needed": check.is_needed,
                }
            )
            continue
        mark = "ok  " if check.ok else ("FAIL" if check.is_needed else "note")
        output.say(f"{mark}  {check.name}: {check.detail}")
        if check.remedy and not check.ok:
            output.say(f"      {check.remedy}")
    if not is_fine:
        output.note("songid: Something needed is missing; the lines marked FAIL say what to do.")
    return 0 if is_fine else 3
