"""`songid demo`: the main job without microphone, library or network."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from songid_desktop.cli import output
from songid_desktop.cli.interrupts import EXIT_INTERRUPTED, cancel_on_interrupt

if TYPE_CHECKING:
    from songid_desktop.evaluate.demo import DemoScene
    from songid_desktop.identify.engine import Engine
    from songid_desktop.identify.session import Look
    from songid_desktop.paths import Paths


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "demo",
        help="see it work without microphone, library or network",
        description="Make a few tunes, enrol them in a throw-away instance, play one through a "
        "made-up noisy room and name it.",
    )
    parser.add_argument("--seed", type=int, metavar="N", help="which tune and where (default: any)")
    parser.add_argument("--json", action="store_true", help="one JSON object a look")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, paths: Paths) -> int:  # noqa: ARG001 - has its own instance
    from songid_desktop.errors import Cancelled
    from songid_desktop.evaluate.demo import run_demo

    printer = _Printer(as_json=args.json)
    with cancel_on_interrupt() as interrupt:
        try:
            result = run_demo(
                seed=args.seed,
                on_step=output.note,
                on_scene=printer.scene,
                on_look=printer.look,
                cancel=interrupt.token,
            )
        except Cancelled:
            output.note("Stopped.")
            return EXIT_INTERRUPTED
    title = result.scene.title
    if result.is_right:
        output.note(f"Right: it was “{title}”. The whole demo took {result.elapsed_s:.1f} s.")
        return 0
    output.note(f"Not recognised: “{title}” was playing.")
    return 1


class _Printer:
    """Writes the looks as they come."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._scene: DemoScene | None = None

    def scene(self, scene: DemoScene) -> None:
        self._scene = scene
        output.note(
            f"Playing “{scene.title}” from {output.clock(scene.start_s)} through a noisy room."
        )

    def look(self, look: Look, engine: Engine) -> None:
        from songid_desktop.cli.identify import answer_text
        from songid_desktop.cli.json_form import look_object

        if not self._as_json:
            text = answer_text(look.identification, engine, now_s=look.now_in_track_s)
            output.say(f"{look.heard_s:5.1f} s  {text}")
            return
        scene = self._scene
        answer = look_object(
            look.identification,
            engine.track,
            heard_s=look.heard_s,
            now_s=look.now_in_track_s,
            is_final=look.is_final,
        )
        output.emit(
            {
                **answer,
                "expected_title": None if scene is None else scene.title,
                "expected_offset_s": None if scene is None else round(scene.start_s, 3),
            }
        )
