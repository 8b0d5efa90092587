"""Notices, while listening, that the list of sources may have changed."""

from __future__ import annotations

from songid_desktop.audio import devices, soundserver

_POLL_WITH_SERVER_S = 5.0
_POLL_WITHOUT_SERVER_S = 2.0
"""Asking PortAudio anew costs a process of 0.1 s; asking the server next to nothing."""

_SETTLING_S = 1.0
"""What changes before the server's watch has subscribed is found by looking once more after it."""


class SourceWatch:
    """Says when to look at the list of sources again: at once where the server tells, else now and
    then."""

    def __init__(self) -> None:
        self._server = soundserver.Watch() if devices.has_server() else None
        self._next_poll_at = 0.0
        self._is_settled = False

    def is_due(self, now: float) -> bool:
        """Whether to list the sources now. `now` is monotonic time (s). Never waits."""
        has_news = self._server is not None and self._server.has_news()
        if not has_news and now < self._next_poll_at:
            return False
        self.renew()
        is_told = self._server is not None and self._server.is_alive
        self._next_poll_at = now + (_POLL_WITH_SERVER_S if is_told else _POLL_WITHOUT_SERVER_S)
        if not self._is_settled:
            self._is_settled, self._next_poll_at = True, now + _SETTLING_S
        return True

    def renew(self) -> None:
        """Begin again after the server was away."""
        if self._server is not None and not self._server.is_alive:
            self._server.close()
            self._server = soundserver.Watch()
            self._is_settled = not self._server.is_alive

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
