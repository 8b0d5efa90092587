"""The identification worker: one long-lived thread that owns an engine.

The newest request replaces a waiting one; an answer of an older generation is dropped; whatever
goes wrong is delivered as an answer with an error. While idle it looks once a second whether the
catalog has changed, so that a window sees what a command line enrolled beside it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from songid_desktop.errors import Cancelled, SongIDError
from songid_desktop.identify.compaction import BackgroundCompaction
from songid_desktop.identify.engine import Engine
from songid_desktop.identify.registry import DEFAULT_IDENTIFIER
from songid_desktop.paths import Paths
from songid_desktop.types import AudioBlock, CancelToken, Identification, Verdict

REFRESH_EVERY_S = 1.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Request:
    """Something to identify: a clip (`audio`) or a file (`path`), exactly one of them.

    `generation` is what `IdentificationWorker.bump` last gave: requests of an older one are
    dropped. `tag` comes back untouched.
    """

    audio: AudioBlock | None = None
    identifier: str = DEFAULT_IDENTIFIER
    top: int = 5
    generation: int = 0
    tag: object = None
    path: Path | None = None

    def __post_init__(self) -> None:
        if (self.audio is None) == (self.path is None):
            raise ValueError("A request carries either audio or a path.")


@dataclass(frozen=True, slots=True)
class Answer:
    """Exactly one of `identification` and `error` is set. `error` is fit to be shown when it is a
    SongIDError; anything else is a bug, already logged."""

    request: Request
    identification: Identification | None = None
    error: Exception | None = None


class IdentificationWorker:
    """Identifies on its own thread, which starts at once, opens the index and warms it up.

    Parameters
    ----------
    paths : Paths
        The instance whose catalog is searched.
    deliver : callable
        Called with each Answer on the worker's thread; must not block.
    on_catalog_change : callable, optional
        Called with the catalog's change counter, on the worker's thread, when the catalog changed
        (also by another process); within about a second of the change.
    warm : str
        Identifier to warm up at first; empty for none.
    on_warm : callable, optional
        Called with an identifier's name and the error or None, on the worker's thread, when it was
        warmed up, at first or through `warm`.
    make_engine : callable
        Makes the engine on the worker's thread.
    """

    def __init__(
        self,
        paths: Paths,
        deliver: Callable[[Answer], None],
        on_catalog_change: Callable[[int], None] | None = None,
        *,
        warm: str = DEFAULT_IDENTIFIER,
        on_warm: Callable[[str, Exception | None], None] | None = None,
        make_engine: Callable[[Paths], Engine] = Engine,
    ) -> None:
        self._paths = paths
        self._deliver = deliver
        self._on_catalog_change = on_catalog_change
        self._warm = warm
        self._is_warm_due = bool(warm)
        self._on_warm = on_warm
        self._make_engine = make_engine
        self._wake = threading.Condition()
        self._waiting: Request | None = None
        self._running: CancelToken | None = None
        self._generation = 0
        self._is_closing = False
        self._counter: int | None = None
        self._refresh_trouble = ""
        self._compaction = BackgroundCompaction(paths)
        self._thread = threading.Thread(target=self._run, name="identification", daemon=True)
        self._thread.start()

    @property
    def generation(self) -> int:
        """The current generation: what a request must carry to be answered."""
        with self._wake:
            return self._generation

    @property
    def is_idle(self) -> bool:
        """True when nothing is being identified and nothing waits."""
        with self._wake:
            return self._running is None and self._waiting is None

    def submit(self, request: Request) -> None:
        """Queue `request`, replacing the one that waits. Returns at once, from any thread."""
        with self._wake:
            if self._is_closing or request.generation != self._generation:
                return
            self._waiting = request
            self._wake.notify_all()

    def warm(self, identifier: str) -> None:
        """Get another identifier ready (its libraries, its model, its index) before anything is
        asked of it. Returns at once, from any thread; `on_warm` tells the end."""
        with self._wake:
            self._warm = identifier
            self._is_warm_due = bool(identifier)
            self._wake.notify_all()

    def cancel(self) -> None:
        """Drop what waits and end what runs, as `bump`; idle within 200 ms."""
        self.bump()

    def bump(self) -> int:
        """Start a new generation: everything submitted before is dropped. Returns its number."""
        with self._wake:
            self._generation += 1
            self._waiting = None
            if self._running is not None:
                self._running.set()
            self._wake.notify_all()
            return self._generation

    def wait_until_idle(self, timeout_s: float) -> bool:
        """Block until nothing runs and nothing waits; False when that took too long."""
        with self._wake:
            return self._wake.wait_for(
                lambda: self._running is None and self._waiting is None, timeout_s
            )

    def close(self, timeout_s: float = 5.0) -> None:
        """End the thread and let go of the catalog. Safe to call twice."""
        with self._wake:
            self._is_closing = True
        self.bump()
        if self._thread is not threading.current_thread():
            self._thread.join(timeout_s)

    # Everything below runs on the worker's thread.

    def _run(self) -> None:
        engine: Engine | None = None
        try:
            engine = self._make_engine(self._paths)
            next_refresh = 0.0
            while True:
                self._warm_up(engine)
                if time.monotonic() >= next_refresh:
                    self._try(lambda: self._refresh(engine))
                    next_refresh = time.monotonic() + REFRESH_EVERY_S
                taken = self._next_request(next_refresh - time.monotonic())
                if self._is_closing:
                    return
                if taken is not None:
                    self._answer(engine, *taken)
        except Exception:  # noqa: BLE001 - the last stop of this thread
            # Nothing above lets an error through; should one come all the same, it is in the log
            # and the thread ends without taking the window along.
            _log.exception("The identification thread ended")
        finally:
            self._compaction.close()
            if engine is not None:
                engine.close()

    def _next_request(self, timeout_s: float) -> tuple[Request, CancelToken] | None:
        """Wait for a request, at most `timeout_s`; marks it as running."""
        with self._wake:
            if self._waiting is None and not self._is_closing and not self._is_warm_due:
                self._wake.wait(max(timeout_s, 0.0))
            request, self._waiting = self._waiting, None
            if request is None or self._is_closing:
                return None
            self._running = CancelToken()
            return request, self._running

    def _answer(self, engine: Engine, request: Request, cancel: CancelToken) -> None:
        try:
            answer = _identify(engine, request, cancel)
            with self._wake:
                is_stale = request.generation != self._generation
            if not is_stale:
                self._hand_over(answer)
            with self._wake:
                is_warm = self._is_warm_due and request.identifier == self._warm
                self._is_warm_due = self._is_warm_due and not is_warm
            if is_warm:
                self._tell_warm(request.identifier, answer.error)
        finally:
            with self._wake:
                self._running = None
                self._wake.notify_all()

    def _hand_over(self, answer: Answer) -> None:
        try:
            self._deliver(answer)
        except Exception:  # noqa: BLE001 - the receiver's fault must not end the thread
            _log.exception("An answer could not be delivered")

    def _warm_up(self, engine: Engine) -> None:
        """What is wanted next, made ready; a request for it that waits does that by itself."""
        with self._wake:
            name, waiting = self._warm, self._waiting
            if not self._is_warm_due or self._is_closing:
                return
            if waiting is not None and waiting.identifier == name:
                return
            self._is_warm_due = False
        self._tell_warm(name, self._try(lambda: engine.warm(name)))

    def _tell_warm(self, name: str, trouble: Exception | None) -> None:
        if self._on_warm is not None:
            self._on_warm(name, trouble)

    def _refresh(self, engine: Engine) -> None:
        """Catch up with the catalog and tell about a change."""
        engine.refresh()
        counter = engine.change_counter
        if counter != self._counter and self._counter is not None:
            self._tell_change(counter)
        if counter != self._counter and counter >= 0 and self._warm:
            self._compaction.start(tuple(dict.fromkeys((DEFAULT_IDENTIFIER, self._warm))))
        self._counter = counter
        self._refresh_trouble = ""

    def _try(self, step: Callable[[], None]) -> Exception | None:
        """Take a step that no request asked for; trouble is returned, and logged once a kind."""
        try:
            step()
        except SongIDError as error:
            if str(error) != self._refresh_trouble:
                self._refresh_trouble = str(error)
                _log.warning("The library can't be followed at present: %s", error)
            return error
        except Exception as error:  # noqa: BLE001 - the next second may go better
            if repr(error) != self._refresh_trouble:
                self._refresh_trouble = repr(error)
                _log.exception("Following the library failed")
            return error
        return None

    def _tell_change(self, counter: int) -> None:
        if self._on_catalog_change is not None:
            self._on_catalog_change(counter)


def _find(engine: Engine, request: Request, cancel: CancelToken) -> Identification:
    if request.path is not None:
        return engine.identify_file(request.path, request.identifier, request.top, cancel)
    if request.audio is not None:
        return engine.identify(request.audio, request.identifier, request.top, cancel)
    raise ValueError("The request carries nothing to identify.")


def _identify(engine: Engine, request: Request, cancel: CancelToken) -> Answer:
    """The answer to `request`, whatever happens."""
    try:
        return Answer(request, identification=_find(engine, request, cancel))
    except Cancelled as cancelled:
        return Answer(
            request,
            identification=Identification(
                Verdict.CANCELLED, request.identifier, message=str(cancelled)
            ),
        )
    except SongIDError as error:
        return Answer(request, error=error)
    except Exception as error:  # noqa: BLE001 - delivered, not swallowed
        _log.exception("Identification failed")
        return Answer(request, error=error)
