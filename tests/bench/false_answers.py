"""What is answered when nothing of the library plays: an hour of speech, noise and other music.

    SONGID_CORPUS=… python -m tests.bench.false_answers [--minutes 60]

A third each: speech (espeak-ng, several voices and languages), background recordings, and music
that is not enrolled (role validation_absent). It runs through the listening session that the
microphone feeds, faster than real time: sound is written into the ring in the steps in which looks
fall due, so every look is made, on the same windows. The goal is not one `match`.
"""

from __future__ import annotations

import itertools
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from songid_desktop.types import FloatArray
from tests.bench import common

RATE_HZ = 48_000
VOICES = ("en-gb", "en-us", "de", "fr-fr", "es", "it", "pl", "pt-br", "ru", "hi", "ja", "sv")
WORDS = (
    "the evening train was late again and nobody on the platform minded very much because the "
    "light over the river had turned to copper and somebody had brought cherries. "
    "we counted the wagons, all forty of them, and argued about the number until the bridge. "
    "later she said that a list of rules is not yet a house, and that a house is not yet a home. "
    "one two three four five six seven eight nine ten, and then back down again from the top. "
)


def speech(minutes: float) -> Iterator[tuple[str, FloatArray]]:
    from songid_desktop.audio.decode import decode

    wanted_s, spoken_s = minutes * 60, 0.0
    for number, voice in enumerate(itertools.cycle(VOICES)):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "speech.wav"
            words = WORDS.split()
            turn = (number * 17) % len(words)
            text = " ".join(words[turn:] + words[:turn])
            subprocess.run(
                ["espeak-ng", "-v", voice, "-s", str(130 + number * 7 % 70),
                 "-p", str(30 + number * 11 % 50), "-w", str(path), text],
                check=True,
                capture_output=True,
            )  # fmt: skip
            samples = decode(path, RATE_HZ).samples
        spoken_s += len(samples) / RATE_HZ
        yield f"speech {voice}", samples
        if spoken_s >= wanted_s:
            return


def files(kind: str, paths: Sequence[Path], minutes: float) -> Iterator[tuple[str, FloatArray]]:
    """A minute or more of each file, so that all of them take part, one after the other; round
    again if they are too short together."""
    from songid_desktop.audio.decode import decode
    from songid_desktop.errors import AudioFileError

    left_s = minutes * 60
    each_s = max(60.0, left_s / len(paths))
    for path in itertools.islice(itertools.cycle(paths), 10 * len(paths)):
        try:
            samples = decode(path, RATE_HZ, length_s=min(each_s, left_s)).samples
        except AudioFileError:
            continue
        left_s -= len(samples) / RATE_HZ
        yield f"{kind} {path.name}", samples
        if left_s <= 1:
            return


def main() -> int:
    parser = common.parser(__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    args = parser.parse_args()
    third = args.minutes / 3
    absent = [t.path for t in common.corpus_tracks(common.SEEN_ABSENT, minimum_s=20)]
    kinds = {
        "speech": speech(third),
        "noise": files("noise", common.noise_files(), third),
        "music not enrolled": files("music", absent, third),
    }
    with (
        common.scratch("false") as folder,
        common.library(common.enrollable_tracks(), folder) as paths,
    ):
        totals = {kind: listen(paths, kind, sounds) for kind, sounds in kinds.items()}
    common.header("false answers")
    for kind, (seconds, verdicts, answered) in totals.items():
        common.figure(f"{kind}: heard", f"{seconds / 60:.1f} min, {verdicts.total()} looks")
        common.figure(f"{kind}: verdicts", ", ".join(f"{v} {n}" for v, n in verdicts.items()))
        for line in answered[:20]:
            common.figure(f"{kind}: answered", line)
    matches = sum(verdicts["match"] for _, verdicts, _ in totals.values())
    unsure = sum(verdicts["unsure"] for _, verdicts, _ in totals.values())
    looks = sum(verdicts.total() for _, verdicts, _ in totals.values())
    common.figure("false `match` looks", f"{matches} of {looks}", "goal: none")
    common.figure("false `unsure` looks", f"{unsure} of {looks}")
    return 1 if matches else 0


def listen(
    paths: common.Paths, kind: str, sounds: Iterator[tuple[str, FloatArray]]
) -> tuple[float, Counter[str], list[str]]:
    """One continuous session over `sounds`: seconds heard, verdicts of its looks, wrong answers."""
    from songid_desktop.audio.ring import Ring
    from songid_desktop.identify.engine import Engine
    from songid_desktop.identify.session import LOOK_EVERY_S, ListeningSession
    from songid_desktop.types import Verdict

    ring = Ring(RATE_HZ)
    session = ListeningSession(ring, continuous=True)
    verdicts: Counter[str] = Counter()
    answered: Counter[str] = Counter()
    step = round(LOOK_EVERY_S * RATE_HZ)
    said = 0
    with Engine(paths) as engine:
        for name, samples in sounds:
            for begin in range(0, len(samples), step):
                ring.write(np.ascontiguousarray(samples[begin : begin + step]))
                audio = session.due()
                if audio is None:
                    continue
                found = engine.identify(audio)
                session.take(found, audio)
                verdicts[found.verdict.value] += 1
                if found.verdict in (Verdict.MATCH, Verdict.UNSURE) and found.best:
                    track = engine.track(found.best.track_id)
                    named = track.path.name if track else f"track {found.best.track_id}"
                    answered[f"{found.verdict.value}: {name} named {named}"] += 1
            if session.heard_s // 300 > said:
                said = int(session.heard_s // 300)
                common.say(f"{kind}: {session.heard_s / 60:.0f} min")
    lines = [f"{count} × {line}" for line, count in answered.most_common()]
    return session.heard_s, verdicts, lines


if __name__ == "__main__":
    common.run(main)
