"""Ctrl+C and a polite kill as a cancel token: work ends between two steps, state stays clean."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

EXIT_INTERRUPTED = 130
"""128 + SIGINT, as shells have it."""


class Interrupt:
    """What Ctrl+C did so far. `token` is set by the first one; while `waiting`, where no token is
    looked at (a read from stdin), it raises KeyboardInterrupt at once."""

    def __init__(self) -> None:
        self.token = threading.Event()
        self._is_waiting = False

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """A stretch that only an exception can end."""
        self._is_waiting = True
        try:
            if self.token.is_set():
                raise KeyboardInterrupt
            yield
        finally:
            self._is_waiting = False

    def ask(self, _number: int, _frame: FrameType | None) -> None:
        """The signal handler."""
        was_asked = self.token.is_set()
        self.token.set()
        if was_asked or self._is_waiting:
            raise KeyboardInterrupt


@contextlib.contextmanager
def cancel_on_interrupt() -> Iterator[Interrupt]:
    """Within the block the first Ctrl+C (or SIGTERM) sets the token; a second one ends at once.

    Away from the main thread, where no handler can be set, the token is never set.
    """
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, interrupt.ask) for number in numbers}
    try:
        yield interrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
