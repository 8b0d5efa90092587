"""From pressing Listen to the first right answer, through a real sound server.

    SONGID_CORPUS=… python -m tests.bench.listen [--tracks 30] [--roles validation,train]

Each track plays from a random place through a private PipeWire server with a software microphone;
a second later Listen is pressed: capture, listening session and identification worker as the window
has them, warm, the microphone closed before. The time runs from the press to the first `match`; a
wrong first match counts as never, and so does none within 20 s. Tracks that are versions of one
another (--twins, a file with the paths of one group a line, tabs between) are one answer.
"""

from __future__ import annotations

import math
import queue
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench import common
from tests.support.sound import PrivateSoundServer, wait_until

if TYPE_CHECKING:
    from songid_desktop.audio.capture import Capture
    from songid_desktop.identify.worker import Answer, IdentificationWorker

RATE_HZ = 48_000
GIVE_UP_S = 20.0
POLL_S = 0.016


@dataclass(frozen=True)
class Outcome:
    """`seconds` is infinite where the right answer never came first."""

    seconds: float
    named: Path | None
    offset_error_s: float | None


class Listener:
    """What stands behind the Listen button."""

    def __init__(self, paths: common.Paths) -> None:
        from songid_desktop.audio.capture import Capture
        from songid_desktop.catalog.catalog import Catalog
        from songid_desktop.identify.worker import IdentificationWorker

        self.answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
        self.capture: Capture = Capture()
        self.worker: IdentificationWorker = IdentificationWorker(paths, self.answers.put)
        self.catalog = Catalog.open(paths)

    def close(self) -> None:
        self.capture.close()
        self.worker.close()
        self.catalog.close()

    def press(self, track: Path, twins: frozenset[Path], started: float, start_s: float) -> Outcome:
        """Listen until the first match; `started` is when the music began to play at `start_s`."""
        from songid_desktop.identify.session import ListeningSession
        from songid_desktop.identify.worker import Request

        pressed = time.monotonic()
        generation = self.worker.bump()
        session = ListeningSession(self.capture.ring)
        self.capture.start()
        try:
            while time.monotonic() - pressed < GIVE_UP_S:
                if (audio := session.due()) is not None:
                    self.worker.submit(Request(audio, generation=generation, tag=session))
                try:
                    answer = self.answers.get(timeout=POLL_S)
                except queue.Empty:
                    continue
                found, asked = answer.identification, answer.request.audio
                if found is None:
                    raise SystemExit(f"The identification failed: {answer.error}")
                if answer.request.tag is not session or asked is None:
                    continue
                look = session.take(found, asked)
                if look.is_final and found.best is not None:
                    now = time.monotonic()
                    named = self.path_of(found.best.track_id)
                    is_right = named == track or named in twins
                    seconds = now - pressed if is_right else math.inf
                    # The sound looked at ended a moment ago; the ring has gone on since.
                    behind = self.capture.ring.position - look.end_sample
                    at_s = (look.now_in_track_s or 0.0) + behind / RATE_HZ
                    error = at_s - (start_s + now - started) if named == track else None
                    return Outcome(seconds, named, error)
        finally:
            self.capture.stop()
        return Outcome(math.inf, None, None)

    def path_of(self, track_id: int) -> Path | None:
        track = self.catalog.track(track_id)
        return None if track is None else track.path


def twin_groups(path: Path | None) -> dict[Path, frozenset[Path]]:
    if path is None:
        return {}
    folder = common.corpus_folder()
    groups: dict[Path, frozenset[Path]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        group = frozenset(folder / name for name in line.split("\t") if name)
        groups.update(dict.fromkeys(group, group))
    return groups


def choose(count: int, roles: Sequence[str], seed: int) -> list[tuple[common.CorpusTrack, float]]:
    """Tracks and places, the same for the same seed."""
    chance = random.Random(seed)
    tracks = common.corpus_tracks(*roles, minimum_s=40.0)
    chosen = chance.sample(tracks, min(count, len(tracks)))
    return [(track, chance.uniform(0, track.duration_s - 30)) for track in chosen]


def main() -> int:
    parser = common.parser(__doc__)
    parser.add_argument("--tracks", type=int, default=30)
    parser.add_argument("--roles", default="validation,train")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--twins", type=Path)
    args = parser.parse_args()
    chosen = choose(args.tracks, args.roles.split(","), args.seed)
    twins = twin_groups(args.twins)
    outcomes = []
    with (
        common.scratch("listen") as folder,
        common.library(common.enrollable_tracks(), folder) as paths,
        PrivateSoundServer() as server,
    ):
        import os

        os.environ.update(server.own_env)
        listener = Listener(paths)
        try:
            for track, start_s in chosen:
                outcome = one_track(server, listener, track, start_s, twins)
                wrong = "" if math.isfinite(outcome.seconds) else f", named: {outcome.named}"
                common.say(f"{outcome.seconds:5.2f} s  {track.path.name} at {start_s:.0f} s{wrong}")
                outcomes.append(outcome)
        finally:
            listener.close()
    report(outcomes, args.roles)
    return 0


def one_track(
    server: PrivateSoundServer,
    listener: Listener,
    track: common.CorpusTrack,
    start_s: float,
    twins: dict[Path, frozenset[Path]],
) -> Outcome:
    from songid_desktop.audio.decode import decode

    sound = decode(track.path, RATE_HZ, start_s=start_s, length_s=28.0).samples
    server.play(sound, RATE_HZ)
    wait_until(lambda: server._pactl("list", "short", "sink-inputs", check=False), what="playing")
    started = time.monotonic()
    time.sleep(1.0)
    try:
        return listener.press(track.path, twins.get(track.path, frozenset()), started, start_s)
    finally:
        server.stop_playing()


def report(outcomes: Sequence[Outcome], roles: str) -> None:
    times = [outcome.seconds for outcome in outcomes]
    right = [value for value in times if math.isfinite(value)]
    wrong = sum(o.named is not None and math.isinf(o.seconds) for o in outcomes)
    errors = [abs(o.offset_error_s) for o in outcomes if o.offset_error_s is not None]
    common.header("press Listen, until the first match is right")
    common.figure("tracks", f"{len(times)} ({roles}), {len(right)} right, {wrong} wrong first")
    common.figure("median", f"{common.percentile(times, 50):.2f} s", "goal: 2.5 s")
    common.figure("95th percentile", f"{common.percentile(times, 95):.2f} s", "goal: 5 s")
    common.figure("of those that were right", common.spread(right, " s"))
    common.figure(
        "now in the track, error", common.spread(errors, " s"), "includes the player's latency"
    )


if __name__ == "__main__":
    common.run(main)
