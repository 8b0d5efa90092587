"""What the Listen page says about an answer: heading, number, line, and the one thing to do next.

Pure functions, so that every row of the table of words can be tested without a window.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from songid_desktop.types import Identification, Reason, SourceKind, Verdict
from songid_desktop.ui.wording import percent, plural, sureness

FIRST_GUESS_S = 2.0
STILL_OPEN_UNTIL_S = 8.0
"""While listening, "not in your library" is said only after this much sound: before it, the next
half second may well bring the match."""


class Action(StrEnum):
    """The one thing to do; the page knows how."""

    NONE = ""
    PLAY = "play"
    ADD_FOLDER = "add_folder"
    DEMO = "demo"
    KEEP_CLIP = "keep_clip"
    OPEN_FILE = "open_file"
    CHOOSE_SOURCE = "choose_source"
    SOUND_SETTINGS = "sound_settings"
    LIBRARY = "library"
    RETRY = "retry"
    PREPARE = "prepare"
    MODELS = "models"


@dataclass(frozen=True, slots=True)
class Words:
    """What stands in the panel. `number` is set beside the heading in the same size; `icon` is
    drawn where there is no cover."""

    heading: str
    line: str = ""
    number: str = ""
    action: Action = Action.NONE
    icon: str = ""
    role: str = "text"
    is_naming: bool = False
    """Whether the best candidate is shown as the answer."""
    second_action: Action = Action.NONE
    is_idle: bool = False
    """Whether it says what to do first, and gives way to anything that happened."""


def idle(track_count: int | None, trouble: str = "", can_name: str = "") -> Words:
    """Before listening. `track_count` is how many tracks there are; None while unknown.
    `can_name` is the sentence on how many of them can be named."""
    if trouble:
        return Words(
            "Your library can't be read",
            trouble,
            icon="warning",
            role="bad",
            action=Action.RETRY,
            is_idle=True,
        )
    if track_count == 0:
        return replace(empty_library(), is_idle=True)
    names = can_name
    if not names and track_count is not None:
        names = f"{plural(track_count, 'track')} can be named."
    return Words(
        "What is playing?",
        f"Press Listen, or drop an audio file here. {names}".rstrip(),
        icon="listen",
        action=Action.OPEN_FILE,
        is_idle=True,
    )


def empty_library() -> Words:
    """Nothing is enrolled."""
    return Words(
        "Your library is empty",
        "Add a folder, and songs you hear can be named.",
        icon="library",
        action=Action.ADD_FOLDER,
        second_action=Action.DEMO,
    )


def starting() -> Words:
    """Listen was pressed before everything was loaded, or the device is still opening."""
    return Words("Listening…", "Opening the sound source", icon="listen")


def waiting(heard_s: float, opening: str = "") -> Words:
    """Listening, and no look yet. `opening` is the identifier that is being made ready."""
    if opening:
        return Words("Listening…", f"heard {heard_s:.1f} s; getting {opening} ready", icon="listen")
    what = f"first guess at {FIRST_GUESS_S:g} s" if heard_s <= FIRST_GUESS_S else "comparing"
    return Words("Listening…", f"heard {heard_s:.1f} s; {what}", icon="listen")


def reading(name: str) -> Words:
    """A file is being looked at."""
    return Words("Reading the file…", name, icon="file-audio")


def not_read(name: str, state: str) -> Words:
    """A file whose turn has not come, or never will."""
    return Words(state, name, icon="file-audio")


def for_look(found: Identification, heard_s: float, *, kind: SourceKind, is_open: bool) -> Words:
    """For a look at live sound. `is_open`: listening goes on, so a miss is not the last word."""
    verdict = found.verdict
    if verdict in (Verdict.MATCH, Verdict.UNSURE) and found.best is not None:
        return _naming(found)
    if verdict is Verdict.NO_MATCH:
        return _no_match(found, heard_s, is_open=is_open)
    if verdict is Verdict.NO_SIGNAL:
        return _no_signal(found, kind)
    others = {
        Verdict.EMPTY_CATALOG: empty_library(),
        Verdict.ERROR: failed(found.message),
    }
    return others.get(verdict, waiting(heard_s))


def _no_match(found: Identification, heard_s: float, *, is_open: bool) -> Words:
    if found.reason is Reason.NO_MUSIC:
        line = found.message or "Move closer, or turn it up."
        return Words("No music heard", line, icon="listen", action=Action.CHOOSE_SOURCE)
    if is_open and heard_s < STILL_OPEN_UNTIL_S:
        return Words("Listening…", "nothing certain yet", icon="listen")
    if found.reason is Reason.CLIPPING:
        return _too_loud(found)
    return Words(
        "Not in your library", _no_match_line(found), icon="search", action=Action.KEEP_CLIP
    )


def _too_loud(found: Identification) -> Words:
    return Words(
        "Too loud",
        found.message or "The sound is overdriven. Turn the microphone down.",
        icon="warning",
        role="warn",
        action=Action.SOUND_SETTINGS,
    )


def for_file(found: Identification) -> Words:
    """For a file."""
    if found.verdict is Verdict.ERROR:
        return Words(
            "This file can't be read",
            found.message,
            icon="warning",
            role="bad",
            action=Action.OPEN_FILE,
        )
    if found.verdict is Verdict.NOT_ENOUGH_AUDIO:
        line = found.message or "It holds too little sound to recognise anything."
        return Words("Too short", line, icon="file-audio", action=Action.OPEN_FILE)
    if found.verdict is Verdict.NO_SIGNAL:
        line = found.message or "There is nothing to hear in it."
        heading = "Too quiet" if found.reason is Reason.TOO_QUIET else "This file is silent"
        return Words(heading, line, icon="file-audio", action=Action.OPEN_FILE)
    if found.verdict is Verdict.NO_MATCH and found.reason is not Reason.NO_MUSIC:
        return Words(
            "Not in your library", _no_match_line(found), icon="search", action=Action.OPEN_FILE
        )
    words = for_look(found, STILL_OPEN_UNTIL_S, kind=SourceKind.MICROPHONE, is_open=False)
    if found.reason is Reason.NO_MUSIC and not words.is_naming:
        return Words("No music in it", found.message, icon="file-audio", action=Action.OPEN_FILE)
    return words


def device_gone(message: str) -> Words:
    """No device at all at present."""
    return Words(
        "No sound source",
        message or "The microphone was unplugged. Listening goes on when it is back.",
        icon="unplugged",
        role="warn",
        action=Action.CHOOSE_SOURCE,
    )


def failed(message: str) -> Words:
    """The identification itself failed."""
    return Words(
        "That did not work",
        message or "The music could not be identified. Try it once more.",
        icon="warning",
        role="bad",
        action=Action.LIBRARY,
    )


def _naming(found: Identification) -> Words:
    best = found.best
    assert best is not None
    summary = best.evidence.summary
    line = summary[:1].upper() + summary[1:]
    if found.reason is Reason.CLIPPING:
        line = f"{line}. The sound is overdriven." if line else "The sound is overdriven."
    return Words(
        sureness(found.verdict, best.confidence),
        line,
        number=percent(best.confidence),
        action=Action.PLAY,
        is_naming=True,
    )


def _no_signal(found: Identification, kind: SourceKind) -> Words:
    is_microphone = kind is SourceKind.MICROPHONE
    if found.reason is Reason.TOO_QUIET:
        return Words(
            "Too quiet",
            found.message or "Move closer, or turn it up.",
            icon="microphone" if is_microphone else "speaker",
            role="warn",
            action=Action.SOUND_SETTINGS,
        )
    if found.reason is Reason.CLIPPING:
        return _too_loud(found)
    heading = "The microphone sends nothing" if is_microphone else "The computer plays nothing"
    fallback = (
        "It may be muted, or not allowed for this program."
        if is_microphone
        else "Start some music, or listen to a microphone instead."
    )
    return Words(
        heading,
        found.message or fallback,
        icon="microphone" if is_microphone else "speaker",
        role="warn",
        action=Action.SOUND_SETTINGS if is_microphone else Action.CHOOSE_SOURCE,
    )


def _no_match_line(found: Identification) -> str:
    if found.matches:
        return "Nothing in it sounds the same. The nearest are below."
    return found.message or "Good sound, but nothing in your library is like it."
