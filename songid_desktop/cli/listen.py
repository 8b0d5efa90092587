"""`songid listen`: name the music playing nearby, a line a look."""

from __future__ import annotations

import argparse
import collections
import math
import time
from typing import TYPE_CHECKING, Any

from songid_desktop.cli import output
from songid_desktop.cli.identify import answer_text, top_count
from songid_desktop.cli.interrupts import EXIT_INTERRUPTED, cancel_on_interrupt

if TYPE_CHECKING:
    import threading

    from songid_desktop.audio.capture import Capture, CaptureStatus
    from songid_desktop.identify.engine import Engine
    from songid_desktop.identify.session import ListeningSession, Look
    from songid_desktop.paths import Paths
    from songid_desktop.types import Identification

START_WITHIN_S = 6.0
"""A source that gives no sound for this long after the start is an error of the environment."""

_POLL_S = 0.02
_NAMING = ("match", "unsure")


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "listen",
        help="name the music playing nearby",
        description="Listen to a microphone, or to what the computer plays, and name the music. "
        "A first answer after 2 s, then one every half second. Without --once it goes on after "
        "a match, until --seconds are over or Ctrl+C, and writes what it hears to the history.",
    )
    parser.add_argument("--source", default="", metavar="NAME", help="see: songid sources")
    parser.add_argument("--seconds", type=_seconds, metavar="N", help="listen at most this long")
    parser.add_argument("--once", action="store_true", help="end with the first match")
    parser.add_argument("--identifier", default="landmark", metavar="NAME")
    parser.add_argument("--top", type=top_count, default=5, metavar="N")
    parser.add_argument("--json", action="store_true", help="one JSON object a look")
    parser.set_defaults(run=run)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"not a number: {text!r}") from None
    if not math.isfinite(seconds) or seconds <= 0:
        raise argparse.ArgumentTypeError(f"must be more than 0, not {text}")
    return seconds


def run(args: argparse.Namespace, paths: Paths) -> int:
    from songid_desktop.audio.capture import Capture
    from songid_desktop.identify.engine import Engine
    from songid_desktop.identify.session import ListeningSession

    statuses: collections.deque[CaptureStatus] = collections.deque()
    capture = Capture(on_status=statuses.append)
    with Engine(paths) as engine, cancel_on_interrupt() as interrupt:
        try:
            capture.get_ready()  # while the index is being opened
            engine.require_tracks(args.identifier)
            if args.source:
                _require_source(args.source)
            session = ListeningSession(capture.ring, continuous=not args.once, limit_s=args.seconds)
            listener = _Listener(args, paths, engine, session, capture, statuses)
            return listener.run(interrupt.token)
        finally:
            capture.close()


def _require_source(name: str) -> None:
    """A source that is not there is an error here: nobody would notice the fallback in a script."""
    from songid_desktop.audio.devices import list_sources
    from songid_desktop.errors import DeviceError

    if all(source.name != name for source in list_sources()):
        raise DeviceError(f"There is no source called “{name}” at present. See: songid sources")


class _Listener:
    """One run of the verb: drives the session, prints its looks, keeps the history."""

    def __init__(  # noqa: PLR0917 - made in one place, from what the verb has opened
        self,
        args: argparse.Namespace,
        paths: Paths,
        engine: Engine,
        session: ListeningSession,
        capture: Capture,
        statuses: collections.deque[CaptureStatus],
    ) -> None:
        from songid_desktop.identify.history_log import PlayRecorder

        self._args = args
        self._engine = engine
        self._session = session
        self._capture = capture
        self._statuses = statuses
        self._said = ""
        self._gist: tuple[object, ...] = ()
        self._has_run = False
        self._was_interrupted_sound = False
        self._recorder = PlayRecorder(paths, engine.track)

    def run(self, cancel: threading.Event) -> int:
        from songid_desktop.audio.capture import CaptureState

        self._capture.start(self._args.source)
        begun = time.monotonic()
        # The first look is two seconds away: what it needs is loaded meanwhile.
        self._engine.warm(self._args.identifier)
        while not self._session.is_done and not cancel.is_set():
            self._follow_device()
            audio = self._session.due()
            if audio is not None:
                found = self._engine.identify(audio, self._args.identifier, self._args.top, cancel)
                if not cancel.is_set():
                    self._show(self._session.take(found, audio))
                continue
            if self._is_overdue(begun):
                break
            cancel.wait(_POLL_S)
        state = self._capture.status.state
        self._capture.stop()
        for trouble in self._recorder.finish():
            output.note(f"songid: {trouble}")
        if not self._session.is_done:
            self._show_last(was_cancelled=cancel.is_set())
        if cancel.is_set():
            output.note("Stopped.")
            return EXIT_INTERRUPTED
        if state in (CaptureState.LOST, CaptureState.STALLED):
            return 3
        return 0 if self._has_match() else 1

    def _has_match(self) -> bool:
        from songid_desktop.types import Verdict

        last = self._session.last_look
        is_match = last is not None and last.identification.verdict is Verdict.MATCH
        return is_match or self._recorder.count > 0

    def _follow_device(self) -> None:
        """Say on stderr what happens to the device; sound after a gap starts a new window."""
        from songid_desktop.audio.capture import CaptureState

        while self._statuses:
            status = self._statuses.popleft()
            if status.message and status.message != self._said:
                output.note(status.message)
            self._said = status.message
            if status.state is CaptureState.RUNNING:
                if self._was_interrupted_sound:
                    self._session.mark_gap()
                self._has_run, self._was_interrupted_sound = True, False
                self._recorder.source = status.source.description if status.source else ""
            elif status.state in (CaptureState.LOST, CaptureState.STALLED):
                self._was_interrupted_sound = True

    def _is_overdue(self, begun: float) -> bool:
        """True when the time is over by the wall clock though no sound came; raises when none
        ever came."""
        from songid_desktop.errors import DeviceError

        waited_s = time.monotonic() - begun
        if self._session.heard_s == 0 and waited_s > START_WITHIN_S:
            message = self._capture.status.message
            raise DeviceError(message or "The source gives no sound. See: songid doctor")
        seconds = self._args.seconds
        return seconds is not None and waited_s > seconds + START_WITHIN_S

    def _show(self, look: Look) -> None:
        for trouble in self._recorder.take(look):
            output.note(f"songid: {trouble}")
        self._print(look.identification, look.heard_s, look.now_in_track_s, look.is_final)

    def _show_last(self, *, was_cancelled: bool) -> None:
        """End a run that no look ended: repeat the last one as the final one."""
        from songid_desktop.types import Identification, Verdict

        last = self._session.last_look
        if last is not None:
            self._print(last.identification, last.heard_s, last.now_in_track_s, is_final=True)
            return
        heard_s = self._session.heard_s
        verdict = Verdict.CANCELLED if was_cancelled else Verdict.NOT_ENOUGH_AUDIO
        message = f"Only {heard_s:.1f} s were heard; a first answer takes 2 s."
        found = Identification(verdict, self._args.identifier, message=message, heard_s=heard_s)
        self._print(found, heard_s, None, is_final=True)

    def _print(
        self, found: Identification, heard_s: float, now_s: float | None, is_final: bool
    ) -> None:
        from songid_desktop.cli.json_form import look_object

        if self._args.json:
            output.emit(
                look_object(
                    found, self._engine.track, heard_s=heard_s, now_s=now_s, is_final=is_final
                )
            )
            return
        # A person wants to read what changes, not the same answer twice a second.
        best = found.best.track_id if found.best is not None else None
        gist = (found.verdict, found.reason, best if found.verdict in _NAMING else None)
        if gist != self._gist or is_final:
            output.say(f"{heard_s:5.1f} s  {answer_text(found, self._engine, now_s=now_s)}")
        self._gist = gist
