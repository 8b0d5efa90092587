"""Numbers, times and problems said in words, the same in every page."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from songid_desktop.types import FileProblem, Verdict

LONGEST_ACRONYM = 4
_TURNING = dict.fromkeys((*range(0x202A, 0x202F), *range(0x2066, 0x206A)))
ALMOST_CERTAIN_AT = 0.95
"""Probability from which a match is called almost certain."""


def plural(count: int, one: str, many: str = "") -> str:
    """``plural(1204, "track")`` is "1,204 tracks"."""
    word = one if count == 1 else (many or one + "s")
    return f"{count:,} {word}"


def clock(seconds: float | None) -> str:
    """Length or position as 3:05 or 1:02:03; a dash where it is not known."""
    if seconds is None or math.isnan(seconds):
        return "\N{EN DASH}"
    sign = "-" if seconds <= -0.5 else ""
    whole = int(abs(seconds) + 0.5)
    hours, rest = divmod(whole, 3600)
    minutes, secs = divmod(rest, 60)
    if hours:
        return f"{sign}{hours}:{minutes:02d}:{secs:02d}"
    return f"{sign}{minutes}:{secs:02d}"


def hours(seconds: float) -> str:
    """Amount of music as a person says it: 54 hours, 3.2 hours, 12 minutes, 40 seconds."""
    if seconds >= 36_000:
        return plural(round(seconds / 3600), "hour")
    if seconds >= 3_600:
        return f"{seconds / 3600:.1f} hours"
    if seconds >= 90:
        return plural(round(seconds / 60), "minute")
    return plural(round(seconds), "second")


def time_left(seconds: float | None) -> str:
    """A remaining time, rounded so that it does not dance."""
    if seconds is None or math.isnan(seconds) or seconds < 0:
        return "estimating…"
    if seconds < 8:
        return "a few seconds left"
    if seconds < 55:
        return f"about {round(seconds / 5) * 5} s left"
    if seconds < 5_400:
        return f"about {max(1, round(seconds / 60))} min left"
    return f"about {seconds / 3600:.1f} h left"


def rate(times_real_time: float) -> str:
    """How much faster than listening."""
    return f"{times_real_time:,.0f} \N{MULTIPLICATION SIGN} real time"


def percent(probability: float) -> str:
    """A probability as a whole number that never claims 0 or 100."""
    if probability < 0.01:
        return "<1 %"
    number = int(probability * 100 + 0.5)
    return ">99 %" if number > 99 else f"{number} %"


def sureness(verdict: str, probability: float) -> str:
    """The word for an answer: LOOK's table of verdicts, for a row of the history."""
    if verdict == Verdict.MATCH:
        return "Almost certain" if probability >= ALMOST_CERTAIN_AT else "Likely"
    if verdict == Verdict.UNSURE:
        return "Maybe"
    return "Not in your library"


def day(unix_s: float, now_s: float | None = None) -> str:
    """Today, Yesterday, or the date as 12 March 2026, with its weekday."""
    now = time.localtime(time.time() if now_s is None else now_s)
    then = time.localtime(unix_s)
    if then[:3] == now[:3]:
        return "Today"
    before = time.localtime(time.mktime((*now[:2], now[2] - 1, 12, 0, 0, 0, 0, -1)))
    if then[:3] == before[:3]:
        return "Yesterday"
    return time.strftime(f"%A, {then.tm_mday} %B %Y", then)


def short_day(unix_s: float, now_s: float | None = None) -> str:
    """Today, Yesterday, Monday within a week, else 12 Mar 2026."""
    name = day(unix_s, now_s)
    if "," not in name:
        return name
    age_s = (time.time() if now_s is None else now_s) - unix_s
    if 0 <= age_s < 6 * 86_400:
        return name.split(",", 1)[0]
    then = time.localtime(unix_s)
    return time.strftime(f"{then.tm_mday} %b %Y", then)


def moment(unix_s: float) -> str:
    """Time of day, as 21:04."""
    return time.strftime("%H:%M", time.localtime(unix_s))


@lru_cache(maxsize=32)
def identifier(name: str) -> str:
    """What an identifier is called: its label, or its name where this version knows none."""
    from songid_desktop.identify.registry import available

    labels = {info.name: info.label for info in available()}
    return labels.get(name) or plain_identifier(name)


def plain_identifier(name: str) -> str:
    """What an identifier is called as far as its name tells."""
    return name.upper() if len(name) <= LONGEST_ACRONYM else name.capitalize()


def one_line(text: str) -> str:
    """A name as one line that runs its own way: line breaks are blanks, and what would turn the
    rest of the line round (U+202E and its kin) is left out."""
    if text.isascii() and text.isprintable():
        return text
    return " ".join(text.translate(_TURNING).split())


def joined(parts: Sequence[str], between: str = " · ") -> str:
    """The parts that say something, in one line."""
    return between.join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class ProblemWords:
    """What a reason code says to a person: two words, and what to do about it."""

    label: str
    remedy: str


PROBLEMS: dict[FileProblem, ProblemWords] = {
    FileProblem.EMPTY: ProblemWords(
        "Empty file", "The file holds no data. Copy it again from where it came from."
    ),
    FileProblem.CORRUPT: ProblemWords(
        "Damaged file", "The sound can't be read. Restore it from a backup or rip it again."
    ),
    FileProblem.NOT_AUDIO: ProblemWords(
        "No sound in it",
        "The file has an audio name but holds no audio. It can stay; it is skipped.",
    ),
    FileProblem.TOO_SHORT: ProblemWords(
        "Too short", "Under one second is too little to recognise. It can stay; it is skipped."
    ),
    FileProblem.NO_PERMISSION: ProblemWords(
        "Not allowed to read",
        "Give your user the right to read the file or its folder, then rescan (F5).",
    ),
    FileProblem.DRM: ProblemWords(
        "Copy protected", "Protected files can't be decoded. Get an unprotected copy."
    ),
    FileProblem.TRUNCATED: ProblemWords(
        "Ends early", "What could be read is enrolled. A whole copy would be found over its length."
    ),
    FileProblem.PROGRAM: ProblemWords(
        "Not fingerprinted", "The file is not at fault. Rescan (F5) to try again."
    ),
}


def problem_label(problem: FileProblem | None) -> str:
    return PROBLEMS[problem].label if problem is not None else "Failed"


def problem_remedy(problem: FileProblem | None) -> str:
    if problem is None:
        return "Rescan (F5) to try again."
    return PROBLEMS[problem].remedy
