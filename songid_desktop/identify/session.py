"""The listening session: when to look at the live sound, at how much of it, and when to stop.

A first look after 2 s, then one every half second on a window that grows to 15 s and then slides.
The clock is the ring's sample count, so a stalled source makes no looks, and a feed that runs
faster than real time makes the same looks as a microphone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from songid_desktop.audio.ring import Ring
from songid_desktop.types import AudioBlock, Identification, Match, Verdict

FIRST_LOOK_S = 2.0
LOOK_EVERY_S = 0.5
WINDOW_MAX_S = 15.0

SAME_PLACE_S = 0.5
"""Two looks mean the same place when they put the track's beginning within this (s): several
times the offset error of the coarsest identifier, far under the repeats of music."""


@dataclass(frozen=True, slots=True)
class Look:
    """One answer of a session.

    `heard_s` is the time listened since the session began, `window_s` the length of the sound
    that was looked at, `now_in_track_s` where the music was at that sound's end (None without a
    candidate), `end_sample` that end on the ring's clock and `heard_at` the same as Unix time.
    """

    identification: Identification
    heard_s: float
    window_s: float
    now_in_track_s: float | None
    end_sample: int
    heard_at: float
    is_final: bool = False

    @property
    def best(self) -> Match | None:
        return self.identification.best

    @property
    def speed(self) -> float:
        """Seconds of the track that go by in a second; 1 where nothing else was measured."""
        return 1.0 if self.best is None else self.best.speed or 1.0

    @property
    def track_began_at(self) -> float | None:
        """Unix time at which the best candidate's first sample sounded, by this look."""
        if self.now_in_track_s is None:
            return None
        return self.heard_at - self.now_in_track_s / self.speed

    def now_in_track_at(self, position: int, sample_rate: int) -> float | None:
        """Where the music is when the ring has reached `position` samples (s)."""
        if self.now_in_track_s is None:
            return None
        return self.now_in_track_s + (position - self.end_sample) / sample_rate * self.speed


@dataclass(frozen=True, slots=True)
class _Due:
    """What `due` gave out: the block's end on the ring's clock and when that was (Unix time)."""

    end_sample: int
    heard_at: float


class ListeningSession:
    """Decides when to look; whoever drives it asks `due`, identifies, and gives back to `take`.

    One thread at a time; the ring may be written by another meanwhile.

    Parameters
    ----------
    ring : Ring
        The live sound; the session begins at its current position.
    continuous : bool
        Keep on after a match.
    limit_s : float, optional
        End after this much sound.
    clock : callable
        Unix time; another clock for feeds that do not run in real time.
    """

    def __init__(
        self,
        ring: Ring,
        *,
        continuous: bool = False,
        limit_s: float | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.ring = ring
        self.is_continuous = continuous
        self._rate = ring.sample_rate
        self._limit = None if limit_s is None else round(limit_s * self._rate)
        self._clock = clock
        self._begin = ring.position
        self._window_begin = self._begin
        self._next_look = self._begin + round(FIRST_LOOK_S * self._rate)
        self._out: _Due | None = None
        self._last: Look | None = None
        self._is_done = False

    @property
    def heard_s(self) -> float:
        """Seconds of sound since the session began."""
        return (self.ring.position - self._begin) / self._rate

    @property
    def is_done(self) -> bool:
        """True once a match ended it, its time was over, or it was stopped."""
        return self._is_done

    @property
    def last_look(self) -> Look | None:
        return self._last

    def due(self) -> AudioBlock | None:
        """The sound to identify now, or None while there is nothing new to look at."""
        if self._is_done:
            return None
        end = self.ring.position
        if self._limit is not None:
            end = min(end, self._begin + self._limit)
        is_at_limit = self._limit is not None and end == self._begin + self._limit
        if end < self._next_look and not is_at_limit:
            return None
        if is_at_limit and self._out is not None and self._out.end_sample == end:
            return None
        begin = max(self._window_begin, end - round(WINDOW_MAX_S * self._rate))
        block = self.ring.between(begin, end)
        self._next_look = self._look_after(end)
        self._out = _Due(end, self._clock())
        return block

    def _look_after(self, position: int) -> int:
        """The first look of the timetable after `position`; looks that were missed are skipped."""
        first = self._window_begin + round(FIRST_LOOK_S * self._rate)
        if position < first:
            return first
        every = round(LOOK_EVERY_S * self._rate)
        return first + ((position - first) // every + 1) * every

    def take(self, identification: Identification, audio: AudioBlock) -> Look:
        """Take the answer to a block that `due` gave; the look is final when it ends the
        session."""
        end = audio.start_sample + len(audio.samples)
        known = self._out is not None and self._out.end_sample == end
        heard_at = self._out.heard_at if known and self._out is not None else self._clock()
        best = identification.best
        look = Look(
            identification=identification,
            heard_s=(end - self._begin) / self._rate,
            window_s=audio.duration_s,
            now_in_track_s=None
            if best is None
            else best.offset_s + audio.duration_s * (best.speed or 1.0),
            end_sample=end,
            heard_at=heard_at,
        )
        ends = identification.verdict is Verdict.MATCH and not self.is_continuous
        if self._limit is not None and end >= self._begin + self._limit:
            ends = True
        if ends:
            self._is_done = True
            look = replace(look, is_final=True)
        self._last = look
        return look

    def mark_gap(self) -> None:
        """Sound was lost: the window starts anew here (a source came back, another was chosen)."""
        self._window_begin = self.ring.position
        self._next_look = self._window_begin + round(FIRST_LOOK_S * self._rate)

    def stop(self) -> None:
        """End the session; `due` gives nothing any more."""
        self._is_done = True


def is_same_place(one: Look, other: Look) -> bool:
    """True when both looks name the same track, going on from one to the other."""
    if one.best is None or other.best is None or one.best.track_id != other.best.track_id:
        return False
    began, also_began = one.track_began_at, other.track_began_at
    if began is None or also_began is None:
        return False
    return abs(began - also_began) <= SAME_PLACE_S
