"""Listening, without a widget: states, the feed of sound, looks and their answers.

Results carry the worker's generation and the session they belong to; whatever is of another one is
dropped. Sound is drained on the GUI thread by a fast timer while the page is seen, and by a slow
one while it is not: the looks go on behind other pages and in a minimised window.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt, QTimer, Signal

from songid_desktop.types import AudioBlock, SourceKind
from songid_desktop.ui.file_queue import FileQueue
from songid_desktop.ui.listen_state import ListenState
from songid_desktop.ui.peak_finder import PeakFinder
from songid_desktop.ui.ring_tap import RingTap
from songid_desktop.ui.services import Services

if TYPE_CHECKING:
    from songid_desktop.audio.capture import CaptureStatus
    from songid_desktop.audio.ring import Ring
    from songid_desktop.evaluate.demo import DemoFeed, DemoScene
    from songid_desktop.identify.session import ListeningSession
    from songid_desktop.identify.worker import Answer

FRAME_MS = 16
HIDDEN_MS = 100
TOP = 5


class ListenControl(QObject):
    """Drives capture, session and worker for the Listen page."""

    state_changed = Signal(str)
    began = Signal(object)
    """A new listening, with its Ring."""
    heard = Signal(object, float)
    """The newest AudioBlock, and the seconds since the last tick; each frame, the block maybe
    empty."""
    looked = Signal(object, object)
    """A Look, and the AudioBlock it looked at."""
    files_asked = Signal(object, bool)
    """Paths to name, and whether they come behind others that are not done yet."""
    file_answered = Signal(object, object)
    """A path, and its Identification."""
    failed = Signal(object)
    """An exception: the identification itself failed."""
    device_said = Signal(object)
    """A CaptureStatus."""
    ended = Signal()
    """Listening is over: a final match, stop, or the demo's end."""
    given_up = Signal()
    """What was asked for will not begin: taken back before everything was loaded, or it can't be
    loaded."""

    def __init__(self, services: Services, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._services = services
        self._state = ListenState.IDLE
        self._tap: RingTap | None = None
        self._session: ListeningSession | None = None
        self._feed: DemoFeed | None = None
        self._wants_start = False
        self._queue = FileQueue()
        self._generation = 0
        self._last_tick = 0.0
        self._is_visible = True
        self._was_running = False
        self.peaks = PeakFinder(services, self)
        self.clock: Callable[[], float] = time.time
        """Unix time at which sound is heard; tests that feed faster than real time set another."""
        self.source_kind = SourceKind.MICROPHONE
        self.source_label = ""
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self.tick)
        services.prepared.connect(self._on_prepared)
        services.prepare_failed.connect(self._on_prepare_failed)
        services.answered.connect(self._on_answer)
        services.capture_changed.connect(self._on_capture)
        services.playing_changed.connect(self._on_playing)

    # State

    @property
    def state(self) -> ListenState:
        return self._state

    @property
    def is_active(self) -> bool:
        """Whether live sound is listened to, or soon will be."""
        return self._state in (ListenState.STARTING, ListenState.LISTENING, ListenState.PAUSED)

    @property
    def heard_s(self) -> float:
        """Seconds heard in this listening."""
        return 0.0 if self._session is None else self._session.heard_s

    @property
    def ring(self) -> Ring | None:
        """The sound of the present or last listening."""
        return None if self._tap is None else self._tap.ring

    @property
    def position(self) -> int:
        """Up to where (samples on the ring's clock) the sound was taken."""
        return 0 if self._tap is None else self._tap.position

    @property
    def is_demo(self) -> bool:
        """Whether the sound is the demo's, not a device's."""
        return self._feed is not None

    @property
    def file_place(self) -> tuple[int, int]:
        """Number of the file in hand, and how many there are."""
        return self._queue.place

    @property
    def file_in_hand(self) -> Path | None:
        """The file that is being named, or was last."""
        return self._queue.in_hand

    def _set_state(self, state: ListenState) -> None:
        if state is not self._state:
            self._state = state
            self.state_changed.emit(state.value)
        self._run_timer()

    def _run_timer(self) -> None:
        if not self.is_active or self._session is None:
            self._timer.stop()
            return
        interval = FRAME_MS if self._is_visible else HIDDEN_MS
        if not self._timer.isActive() or self._timer.interval() != interval:
            self._timer.start(interval)

    def set_visible(self, *, is_visible: bool) -> None:
        """Whether anybody sees the frames."""
        self._is_visible = is_visible
        self._run_timer()

    # Listening

    def toggle(self) -> None:
        """The big button."""
        if self.is_active:
            self.stop()
        else:
            self.start()

    def start(self) -> None:
        """Listen to the chosen source; queued while the machinery is being loaded."""
        self.cancel_files()
        if not self._services.is_prepared:
            self._wants_start = True
            self._set_state(ListenState.STARTING)
            return
        self._services.stop_playing()
        self._end_feed()
        self._begin(self._services.capture.ring)
        self._services.capture.start(self._services.settings.source)

    def listen_to_scene(self, scene: DemoScene) -> None:
        """Listen to the demo instead of a device."""
        from songid_desktop.audio.ring import Ring
        from songid_desktop.evaluate.demo import DemoFeed
        from songid_desktop.ui import bridge

        self.stop()
        if not self._services.is_prepared:
            self.given_up.emit()
            return
        ring = Ring(scene.audio.sample_rate)
        feed = DemoFeed(ring, scene, on_end=lambda: bridge.post(self._on_feed_end, feed))
        self._feed = feed
        self.source_label = "Demo"
        self._begin(ring)
        feed.start()

    def _begin(self, ring: Ring) -> None:
        from songid_desktop.identify.session import ListeningSession

        self._wants_start = False
        self._generation = self._services.worker.bump()
        is_continuous = self._services.settings.continuous and self._feed is None
        self._session = ListeningSession(ring, continuous=is_continuous, clock=self.clock)
        self._tap = RingTap(ring)
        self.peaks.begin(ring)
        self._last_tick = time.monotonic()
        self._was_running = self._feed is not None
        self.began.emit(ring)
        self._set_state(ListenState.STARTING)

    def stop(self) -> None:
        """Stop listening and close the microphone; a file in hand goes on."""
        self._wants_start = False
        if not self.is_active:
            return
        if self._session is not None:
            self._session.stop()
        if self._services.is_prepared:
            self._generation = self._services.worker.bump()  # an answer on its way is too late
        self._end()

    def _end(self) -> None:
        """Close the feed. The answer stays."""
        had_session = self._session is not None
        self._drain()
        if self._services.is_prepared:
            self._services.capture.stop()
        self._end_feed()
        self._set_state(ListenState.IDLE)
        if had_session:
            self.ended.emit()
        else:
            self.given_up.emit()

    def _end_feed(self) -> None:
        if self._feed is not None:
            feed, self._feed = self._feed, None
            feed.stop()

    def _on_feed_end(self, feed: DemoFeed) -> None:
        if feed is self._feed:
            self.stop()

    def _on_prepared(self) -> None:
        if self._wants_start:
            self.start()
        elif self._queue:
            self._next_file()

    def _on_prepare_failed(self) -> None:
        """Nothing that waits for the machinery will ever begin."""
        if self._wants_start:
            self.stop()
        elif self._state is ListenState.FILE:
            self.cancel_files()
            self.given_up.emit()

    def set_continuous(self, *, is_continuous: bool) -> None:
        """Keep on after a match; a running session follows."""
        self._services.change_settings(continuous=is_continuous)
        if self._session is not None:
            self._session.is_continuous = is_continuous

    def set_source(self, name: str) -> None:
        """Choose the source; changes over while listening."""
        self._services.change_settings(source=name)
        if self.is_active and self._services.is_prepared and self._feed is None:
            self._services.capture.start(name)
            if self._session is not None:
                self._session.mark_gap()

    # Sound

    def tick(self) -> None:
        """Drain the ring, and look when it is time to."""
        now = time.monotonic()
        elapsed, self._last_tick = now - self._last_tick, now
        block = self._drain()
        if block is None:
            return
        if len(block.samples) and self._state is ListenState.STARTING:
            self._set_state(ListenState.LISTENING)
        self.heard.emit(block, elapsed)
        if self._services.settings.show_constellation and self._is_visible:
            self.peaks.follow(self.position)
        self._look()

    def _drain(self) -> AudioBlock | None:
        if self._tap is None or not self.is_active:
            return None
        return self._tap.take(is_hurried=not self._is_visible)

    def _look(self) -> None:
        session = self._session
        if session is None:
            return
        block = session.due()
        if block is None:
            return
        from songid_desktop.identify.worker import Request

        self._services.worker.submit(
            Request(
                audio=block,
                identifier=self._services.settings.identifier,
                top=TOP,
                generation=self._generation,
                tag=session,
            )
        )

    # Answers

    def _on_answer(self, answer: Answer) -> None:
        request = answer.request
        if request.generation != self._generation:
            return
        if request.path is not None:
            self._take_file_answer(request.path, answer)
            return
        session = self._session
        if session is None or request.tag is not session or request.audio is None:
            return
        if answer.identification is None:
            self.stop()
            self.failed.emit(answer.error)
            return
        look = session.take(answer.identification, request.audio)
        self.looked.emit(look, request.audio)
        if session.is_done and self.is_active:
            self._end()

    # Files

    def identify_files(self, files: Sequence[Path]) -> None:
        """Name the music of files, one after another; more of them go behind those that wait."""
        if not files:
            return
        if self._state is ListenState.FILE:
            self._queue.add(files)
            self.files_asked.emit(list(files), True)
            self.state_changed.emit(self._state.value)
            return
        self.stop()
        self._queue.start(files)
        self.files_asked.emit(list(files), False)
        self._set_state(ListenState.FILE)
        if self._services.is_prepared:
            self._next_file()

    def _next_file(self) -> None:
        from songid_desktop.identify.worker import Request

        if not self._queue:
            self._set_state(ListenState.IDLE)
            return
        path = self._queue.take()
        self._set_state(ListenState.FILE)
        self.state_changed.emit(ListenState.FILE.value)
        self._generation = self._services.worker.bump()
        identifier = self._services.settings.identifier
        self._services.worker.submit(
            Request(path=path, identifier=identifier, top=TOP, generation=self._generation)
        )

    def _take_file_answer(self, path: Path, answer: Answer) -> None:
        if answer.identification is None:
            self.failed.emit(answer.error)
        else:
            self.file_answered.emit(path, answer.identification)
        self._next_file()

    def cancel_files(self) -> None:
        """Forget the files that wait and drop the one in hand."""
        self._queue.clear()
        if self._state is ListenState.FILE:
            if self._services.is_prepared:
                self._generation = self._services.worker.bump()
            self._set_state(ListenState.IDLE)

    # Device and playback

    def _on_capture(self, status: CaptureStatus) -> None:
        from songid_desktop.audio.capture import CaptureState

        if status.source is not None:
            self.source_kind, self.source_label = status.source.kind, status.source.description
        self.device_said.emit(status)
        if not self.is_active or self._feed is not None:
            return
        if status.state is CaptureState.RUNNING:
            if self._was_running and self._session is not None:
                self._session.mark_gap()  # what is heard from here on does not join what was
            self._was_running = True
            if self._state is ListenState.PAUSED:
                self._set_state(ListenState.LISTENING)
        elif status.state in (CaptureState.LOST, CaptureState.STALLED):
            self._set_state(ListenState.PAUSED)

    def _on_playing(self, path: Path | None) -> None:
        """Our own loudspeaker would answer for the music; continuous listening waits."""
        if path is not None and self.is_active and self._feed is None:
            self._services.capture.stop()
            self._set_state(ListenState.PAUSED)
        elif path is None and self._state is ListenState.PAUSED and self._session is not None:
            self._services.capture.start(self._services.settings.source)
            self._session.mark_gap()

    def close(self) -> None:
        """The window closes."""
        self.cancel_files()
        self.stop()
