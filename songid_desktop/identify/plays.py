"""Continuous mode: looks become plays, one a piece of music, however often it is recognised.

A `match` begins a play; `unsure` only prolongs one. A pause, talk over the music or looks that
miss leave the play open for `GAP_S`. Another track takes over when two looks in a row name it, so
that a single wrong one in the middle of a track neither ends the play nor begins another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from songid_desktop.identify.session import SAME_PLACE_S, WINDOW_MAX_S, Look, is_same_place
from songid_desktop.types import Match, Verdict

GAP_S = 20.0
"""A play that was not recognised for this long is over: longer than the listening window, so that
a window full of talk or applause does not split a play."""

RESTART_SLACK_S = 3.0
"""A track that begins (again) no earlier than this before its last play was heard to end has been
started anew."""


@dataclass(frozen=True, slots=True)
class HeardPlay:
    """One play so far. Times are Unix seconds; `offset_s` is the position in the track at
    `started_at`; `confidence` and `match` are those of the best look."""

    number: int
    """Counts the plays of one log from 1; the handle to find the history row by."""
    track_id: int
    started_at: float
    ended_at: float
    offset_s: float
    confidence: float
    match: Match
    is_open: bool


@dataclass(frozen=True, slots=True)
class PlayChange:
    """What one look did: a play that ended, one that began, or the open one that went on."""

    opened: HeardPlay | None = None
    updated: HeardPlay | None = None
    closed: HeardPlay | None = None


class PlayLog:
    """Merges looks into plays: never two open at once, no repeats for gaps and single misses.

    Parameters
    ----------
    duration_s : callable, optional
        Length (s) of a track by its id, so that a play never outlasts its track.
    """

    def __init__(self, duration_s: Callable[[int], float | None] | None = None) -> None:
        self._duration_s = duration_s
        self._done: list[HeardPlay] = []
        self._open: HeardPlay | None = None
        self._began_at = 0.0
        """When the open play's track had its first sample (Unix s), by its newest look."""
        self._heard_until = 0.0
        self._rival: Look | None = None

    @property
    def current(self) -> HeardPlay | None:
        """The open play, if any."""
        return self._open

    @property
    def plays(self) -> tuple[HeardPlay, ...]:
        """Every play so far, oldest first, the open one last."""
        return (*self._done, self._open) if self._open is not None else tuple(self._done)

    def take(self, look: Look) -> PlayChange:
        """Take in the next look. Looks come in the order of their sound."""
        closed = self._close_if_over(look.heard_at)
        best, began_at = look.best, look.track_began_at
        verdict = look.identification.verdict
        if (
            best is None
            or began_at is None
            or verdict not in (Verdict.MATCH, Verdict.UNSURE)
            or (verdict is Verdict.UNSURE and self._open is None)
        ):
            self._rival = None
            return PlayChange(closed=closed)
        if self._open is None:
            return PlayChange(opened=self._begin(look, look, began_at), closed=closed)
        if self._is_same(best.track_id, began_at) and not self._is_restart(began_at):
            self._rival = None
            return PlayChange(updated=self._go_on(look, best, began_at))
        if not self._is_second_time(look):
            self._rival = look
            return PlayChange()
        closed, newcomer = self._close(), self._rival
        return PlayChange(opened=self._begin(newcomer or look, look, began_at), closed=closed)

    def finish(self) -> PlayChange:
        """Close what is open: listening has ended."""
        return PlayChange(closed=self._close() if self._open is not None else None)

    def _is_same(self, track_id: int, began_at: float) -> bool:
        """True for the open play's own track, and for a twin of it: a second file of the same
        recording, named now and then in its place, shows itself by beginning at the same time."""
        if self._open is None:
            return False
        if track_id == self._open.track_id:
            return True
        return abs(began_at - self._began_at) <= SAME_PLACE_S

    def _is_restart(self, began_at: float) -> bool:
        return began_at >= self._heard_until - RESTART_SLACK_S

    def _is_second_time(self, look: Look) -> bool:
        """True when the look before named the same newcomer, one of the two as a match."""
        rival = self._rival
        if rival is None or not is_same_place(rival, look):
            return False
        verdicts = (rival.identification.verdict, look.identification.verdict)
        return Verdict.MATCH in verdicts

    def _begin(self, first: Look, look: Look, began_at: float) -> HeardPlay:
        """Open a play that `first` heard and `look` settled (often one and the same)."""
        best = _surer(first, look)
        window_from = first.heard_at - first.window_s
        after = self._done[-1].ended_at if self._done else window_from
        started_at = min(max(window_from, after, began_at), look.heard_at)
        play = HeardPlay(
            number=len(self._done) + 1,
            track_id=best.track_id,
            started_at=started_at,
            ended_at=max(started_at, self._capped(look, began_at, best.track_id)),
            offset_s=max(0.0, (started_at - began_at) * look.speed),
            confidence=best.confidence,
            match=best,
            is_open=True,
        )
        self._open, self._rival = play, None
        self._began_at, self._heard_until = began_at, look.heard_at
        return play

    def _go_on(self, look: Look, best: Match, began_at: float) -> HeardPlay:
        play = self._open
        if play is None:
            raise RuntimeError("No play is open.")
        is_better = best.track_id == play.track_id and best.confidence > play.confidence
        ended_at = self._capped(look, began_at, best.track_id)
        play = replace(
            play,
            ended_at=max(play.ended_at, ended_at),
            confidence=best.confidence if is_better else play.confidence,
            match=best if is_better else play.match,
        )
        self._open = play
        self._began_at, self._heard_until = began_at, look.heard_at
        return play

    def _capped(self, look: Look, began_at: float, track_id: int) -> float:
        """When the look heard it, but not beyond the end of the track: the window still holds its
        sound for seconds after it fell silent."""
        duration_s = None if self._duration_s is None else self._duration_s(track_id)
        if duration_s is None:
            return look.heard_at
        return min(look.heard_at, began_at + duration_s / look.speed)

    def _close_if_over(self, now: float) -> HeardPlay | None:
        if self._open is None or now - self._heard_until <= GAP_S:
            return None
        return self._close()

    def _close(self) -> HeardPlay:
        play = self._open
        if play is None:
            raise RuntimeError("No play is open.")
        play = replace(play, is_open=False)
        self._done.append(play)
        self._open = None
        return play


def _surer(first: Look, look: Look) -> Match:
    """The better match of two looks that name the same track."""
    one, other = first.best, look.best
    if one is None or other is None:
        raise ValueError("A play begins with looks that name a track.")
    return other if other.confidence >= one.confidence else one


if GAP_S <= WINDOW_MAX_S:
    raise ValueError(f"GAP_S must be longer than the listening window, not {GAP_S} s")
