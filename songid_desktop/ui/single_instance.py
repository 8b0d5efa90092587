"""One window per instance: a second start hands its files to the first and raises it.

A lock file next to the log decides who is first; it names a process, so one left behind by
`kill -9` is recognised and taken over. Behind it listens a local socket, keyed by the instance's
folders, so that `--base-dir` instances live side by side. QtNetwork is imported only when it is
needed: by a second start, and by the first one after its first frame.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QLockFile, QObject, Signal

from songid_desktop.paths import Paths

if TYPE_CHECKING:
    from PySide6.QtNetwork import QLocalServer, QLocalSocket

log = logging.getLogger(__name__)

HAND_OVER_FOR_S = 4.0
"""How long a second start tries to reach a first one that is still starting."""
_WAIT_MS = 1000
_MOST_BYTES = 1_000_000
_ANSWER = b"ok\n"


def server_name(paths: Paths) -> str:
    """The socket's name: the user's, and this instance's."""
    key = f"{os.getuid() if hasattr(os, 'getuid') else ''}:{paths.data}:{paths.config}"
    return "songid-desktop-" + hashlib.sha256(os.fsencode(key)).hexdigest()[:20]


class SingleInstance(QObject):
    """Make one, then ask `is_first`. The first `listen`s, a second one calls `hand_over`."""

    received = Signal(object)
    """Paths (list of Path) that a second start handed over; the list may be empty."""

    def __init__(self, paths: Paths) -> None:
        super().__init__()
        self._name = server_name(paths)
        self._lock: QLockFile | None = None
        self._server: QLocalServer | None = None
        self.is_first = self._take_lock(paths.runtime / "window.lock")

    def _take_lock(self, path: Path) -> bool:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            log.warning(
                "Without a place for its lock, the window does not look for others: %s", error
            )
            return True
        self._lock = QLockFile(str(path))
        self._lock.setStaleLockTime(0)  # the lock is held as long as the window is open
        if self._lock.tryLock(0):
            return True
        # Anything but "somebody holds it" (a read-only disk) must not keep the window shut.
        return self._lock.error() != QLockFile.LockError.LockFailedError

    def hand_over(self, files: Sequence[Path]) -> bool:
        """Give `files` to the first window and have it raised; False when it can't be reached."""
        from PySide6.QtNetwork import QLocalSocket

        message = json.dumps([os.fsdecode(path) for path in files]).encode() + b"\n"
        give_up_at = time.monotonic() + HAND_OVER_FOR_S
        while time.monotonic() < give_up_at:
            socket = QLocalSocket()
            socket.connectToServer(self._name)
            if socket.waitForConnected(_WAIT_MS):
                socket.write(message)
                socket.waitForBytesWritten(_WAIT_MS)
                is_read = socket.waitForReadyRead(_WAIT_MS) and socket.readAll().data() == _ANSWER
                socket.disconnectFromServer()
                if is_read:
                    return True
            time.sleep(0.1)
        return False

    def listen(self) -> None:
        """Wait for second starts. A socket left behind by a killed process is removed first."""
        from PySide6.QtNetwork import QLocalServer

        server = QLocalServer(self)
        server.setSocketOptions(QLocalServer.SocketOption.UserAccessOption)
        QLocalServer.removeServer(self._name)
        if not server.listen(self._name):
            log.warning("A second start can't reach this window: %s", server.errorString())
            return
        server.newConnection.connect(self._accept)
        self._server = server

    def _accept(self) -> None:
        assert self._server is not None
        while (socket := self._server.nextPendingConnection()) is not None:
            socket.readyRead.connect(lambda s=socket: self._read(s))
            socket.disconnected.connect(socket.deleteLater)
            self._read(socket)

    def _read(self, socket: QLocalSocket) -> None:
        if socket.bytesAvailable() > _MOST_BYTES:
            socket.abort()
            return
        if not socket.canReadLine():
            return
        try:
            names = json.loads(bytes(socket.readLine().data()))
        except ValueError:
            names = None
        if not isinstance(names, list):
            log.warning("A message that was no list of files was ignored.")
            socket.abort()
            return
        paths = [Path(name) for name in names if isinstance(name, str)]
        socket.write(_ANSWER)
        socket.flush()
        self.received.emit(paths)

    def close(self) -> None:
        """Let the next start be the first."""
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._lock is not None:
            self._lock.unlock()
            self._lock = None
