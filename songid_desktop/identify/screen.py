"""The signal screen: what the sound itself says before, and beside, any identifier.

Three levels speak. Exact zeros and a level under `TOO_QUIET_DBFS` are hopeless and end it.
Clipping is a warning that stands beside whatever the identifier says. Whether there is music is
asked last, when no identifier found anything (`measure_music`).
"""

from __future__ import annotations

from dataclasses import dataclass

from songid_desktop.audio.levels import Level, measure
from songid_desktop.identify.music import SHORTEST_S, music_features, shipped_model
from songid_desktop.types import AudioBlock, Reason

TOO_QUIET_DBFS = -85.0
"""RMS under which nothing can be found: 5 dB above the quantisation noise of 16 bits. Anything
louder is tried, because the identifiers do not mind the level."""

FAINT_DBFS = -65.0
"""RMS under which a sound that nobody knew is called too quiet: the inputs of most computers make
this much noise by themselves."""

CLIPPED_FRACTION = 0.01
"""Share of clipped samples from which it is worth saying. Loud masters reach a few in a thousand
by themselves."""


@dataclass(frozen=True, slots=True)
class ScreenResult:
    """What the level alone says.

    `reason` EXACT_ZEROS or TOO_QUIET: hopeless, no identifier need look. CLIPPING: a warning that
    may stand beside any verdict. None: nothing to say. `message` is a sentence with the measured
    value.
    """

    level: Level
    reason: Reason | None
    message: str

    @property
    def is_hopeless(self) -> bool:
        return self.reason in (Reason.EXACT_ZEROS, Reason.TOO_QUIET)


@dataclass(frozen=True, slots=True)
class MusicMeasure:
    """How music-like a clip is. `score` under `threshold`: no music heard."""

    score: float
    threshold: float

    @property
    def is_no_music(self) -> bool:
        return self.score < self.threshold


def screen(audio: AudioBlock, *, is_file: bool = False) -> ScreenResult:
    """Judge the level of `audio`: zeros, hopelessly quiet, clipped, or fine.

    The sentence names what can be done, which differs for a file and for a source (`is_file`).
    """
    level = measure(audio.samples)
    reason = _reason(level)
    if reason is None:
        return ScreenResult(level, None, "")
    sentence = _of_file(reason, level) if is_file else _of_source(reason, level)
    return ScreenResult(level, reason, sentence)


def _reason(level: Level) -> Reason | None:
    if level.is_exact_zero:
        return Reason.EXACT_ZEROS
    if level.rms_dbfs < TOO_QUIET_DBFS:
        return Reason.TOO_QUIET
    return Reason.CLIPPING if level.clipped_fraction >= CLIPPED_FRACTION else None


def _of_source(reason: Reason, level: Level) -> str:
    if reason is Reason.EXACT_ZEROS:
        return (
            "The source delivers exact zeros: it is muted, or the system keeps it from this "
            "program. Unmute it, or choose another source."
        )
    if reason is Reason.TOO_QUIET:
        return (
            f"Too quiet to recognise anything ({level.rms_dbfs:.0f} dBFS). "
            "Turn the input up or move closer."
        )
    return f"The input is overdriven: {level.clipped_fraction:.0%} clipped. Turn it down."


def _of_file(reason: Reason, level: Level) -> str:
    if reason is Reason.EXACT_ZEROS:
        return "There is nothing but digital silence in the file."
    if reason is Reason.TOO_QUIET:
        return f"The file is too quiet to recognise anything ({level.rms_dbfs:.0f} dBFS)."
    return f"The recording is overdriven: {level.clipped_fraction:.0%} clipped."


def measure_music(audio: AudioBlock) -> MusicMeasure:
    """Measure whether there is music in `audio`. Asked only when no identifier found a match.

    A clip too short to tell counts as music.
    """
    model = shipped_model()
    if audio.duration_s < SHORTEST_S:
        return MusicMeasure(1.0, model.threshold)
    return MusicMeasure(model.score(music_features(audio)), model.threshold)
