"""One HTTP request that can be left within a moment, whatever the other side does.

A blocking read can't be interrupted, so each request runs on a thread of its own and hands over
what arrives in a short queue; whoever waits looks at the cancel token in between. Leaving shuts the
socket, which ends the thread. Proxies come from the environment (`https_proxy`, `no_proxy`, …), as
they do for every program; no credentials are ever sent.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import queue
import socket
import ssl
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from songid_desktop import __version__
from songid_desktop.errors import Cancelled
from songid_desktop.types import CancelToken

CHUNK_BYTES = 256 * 1024
_QUEUE_CHUNKS = 8
_LOOK_EVERY_S = 0.05
"""How often the cancel token is looked at while nothing arrives."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for another computer, and how often to try again."""

    connect_s: float = 15.0
    stall_s: float = 30.0
    """Without an answer, or a byte of it, for this long it counts as hung."""
    tries: int = 5
    """Failures in a row, without a byte in between, after which it is given up."""
    pause_s: float = 0.5
    """Before the second try; doubled each time."""
    longest_pause_s: float = 20.0


class LineTrouble(Exception):
    """A request that failed. `reason` fits into a sentence; `is_passing` says whether trying again
    can help."""

    def __init__(
        self,
        reason: str,
        *,
        is_passing: bool,
        status: int | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_passing = is_passing
        self.status = status
        self.retry_after_s = retry_after_s


class _Line:
    """The socket of one request, so that it can be shut from another thread."""

    def __init__(self, patience: Patience) -> None:
        self.patience = patience
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self.is_shut = False

    def took(self, made: socket.socket) -> None:
        made.settimeout(self.patience.stall_s)
        with self._lock:
            if not self.is_shut:
                self._sockets.append(made)
                return
        _shut(made)

    def shut(self) -> None:
        with self._lock:
            self.is_shut = True
            sockets, self._sockets = self._sockets, []
        for each in sockets:
            _shut(each)


def _shut(made: socket.socket) -> None:
    with contextlib.suppress(OSError, ValueError):
        made.shutdown(socket.SHUT_RDWR)


class _Plain(http.client.HTTPConnection):
    def __init__(self, *args: Any, line: _Line, **named: Any) -> None:
        super().__init__(*args, **named)
        self._line = line

    def connect(self) -> None:
        super().connect()
        self._line.took(self.sock)


class _Secure(http.client.HTTPSConnection):
    def __init__(self, *args: Any, line: _Line, **named: Any) -> None:
        super().__init__(*args, **named)
        self._line = line

    def connect(self) -> None:
        super().connect()
        self._line.took(self.sock)


class _PlainHandler(urllib.request.HTTPHandler):
    def __init__(self, line: _Line) -> None:
        super().__init__()
        self._line = line

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(functools.partial(_Plain, line=self._line), req)


class _SecureHandler(urllib.request.HTTPSHandler):
    def __init__(self, line: _Line) -> None:
        super().__init__()
        self._line = line
        self._trusted = trusted_context()

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        made = functools.partial(_Secure, line=self._line, context=self._trusted)
        return self.do_open(made, req)


_BUNDLES = (
    "/etc/ssl/cert.pem",  # macOS, Alpine, BSD
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora
    "/etc/ssl/ca-bundle.pem",  # openSUSE
)


def trusted_context() -> ssl.SSLContext:
    """What secured lines are held to: the certificates that the system trusts. A frozen program,
    and Python's own build on a Mac, look for them where their builder had them; then they are taken
    from where systems keep them."""
    context = ssl.create_default_context()
    where = ssl.get_default_verify_paths()
    if sys.platform != "win32" and not (where.cafile or where.capath):
        for bundle in _BUNDLES:
            with contextlib.suppress(OSError):
                context.load_verify_locations(bundle)
                break
    return context


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows to where the hub keeps its large files, never from a secured line to an open one."""

    def redirect_request(  # noqa: PLR0917 - as urllib calls it
        self,
        req: urllib.request.Request,
        fp: Any,
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if not newurl.startswith(("https://", "http://")) or (
            req.type == "https" and not newurl.startswith("https://")
        ):
            fp.close()
            raise LineTrouble("it points to an address that is not secured", is_passing=False)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class Stream:
    """An answer on its way. `status` and `headers` are those of the last of its redirects."""

    def __init__(self, url: str, headers: dict[str, str], patience: Patience) -> None:
        self._line = _Line(patience)
        self._patience = patience
        self._queue: queue.Queue[object] = queue.Queue(_QUEUE_CHUNKS)
        self._request = urllib.request.Request(  # noqa: S310 - http(s) only, see `hub.endpoint`
            url, headers={"User-Agent": f"songid-desktop/{__version__}", **headers}
        )
        self.status = 0
        self.headers = http.client.HTTPMessage()
        self._thread = threading.Thread(target=self._work, name="songid-download", daemon=True)
        self._thread.start()

    # -- on the request's own thread ----------------------------------------------------------

    def _work(self) -> None:
        try:
            opener = urllib.request.build_opener(
                _PlainHandler(self._line), _SecureHandler(self._line), _Redirects()
            )
            with opener.open(self._request, timeout=self._patience.connect_s) as response:
                self._put((response.status, response.headers))
                while chunk := response.read1(CHUNK_BYTES):
                    if not self._put(chunk):
                        return
            self._put(None)
        except Exception as error:  # noqa: BLE001 - handed over to who waits, whatever it is
            self._put(_trouble(error))

    def _put(self, item: object) -> bool:
        while not self._line.is_shut:
            with contextlib.suppress(queue.Full):
                self._queue.put(item, timeout=_LOOK_EVERY_S)
                return True
        return False

    # -- on the thread of who asked -----------------------------------------------------------

    def wait_for_head(self, cancel: CancelToken | None) -> None:
        """Until status and headers are there.

        Raises
        ------
        LineTrouble, Cancelled
        """
        head = self._next(cancel, self._patience.connect_s + self._patience.stall_s)
        assert isinstance(head, tuple)
        self.status, self.headers = head

    def chunks(self, cancel: CancelToken | None) -> Iterator[bytes]:
        """The body as it arrives; ends where the other side ends it, early or not.

        Raises
        ------
        LineTrouble, Cancelled
        """
        while True:
            item = self._next(cancel, self._patience.stall_s)
            if item is None:
                return
            assert isinstance(item, bytes)
            yield item

    def _next(self, cancel: CancelToken | None, within_s: float) -> object:
        deadline = time.monotonic() + within_s
        while True:
            if cancel is not None and cancel.is_set():
                raise Cancelled
            try:
                item = self._queue.get(timeout=_LOOK_EVERY_S)
            except queue.Empty:
                if time.monotonic() > deadline:
                    raise LineTrouble(
                        f"nothing came for {within_s:.0f} s", is_passing=True
                    ) from None
                continue
            if isinstance(item, LineTrouble):
                raise item
            return item

    def close(self) -> None:
        """Leave, at once, whatever is still under way."""
        self._line.shut()


@contextlib.contextmanager
def open_stream(
    url: str,
    cancel: CancelToken | None,
    patience: Patience,
    headers: dict[str, str] | None = None,
) -> Iterator[Stream]:
    """Ask for `url` and give the answer once its head is there.

    Raises
    ------
    LineTrouble
        It could not be reached, or it answered with an error.
    Cancelled
        `cancel` was set; within 100 ms, also while nothing arrives.
    """
    stream = Stream(url, headers or {}, patience)
    try:
        stream.wait_for_head(cancel)
        yield stream
    finally:
        stream.close()


def read_all(
    url: str, cancel: CancelToken | None, patience: Patience, at_most_bytes: int
) -> tuple[bytes, http.client.HTTPMessage]:
    """A small answer whole, with its headers; tried again where that can help.

    Raises
    ------
    LineTrouble, Cancelled
    """
    too_long = LineTrouble("its answer is far too long", is_passing=False)
    for attempt in range(1, patience.tries + 1):
        try:
            with open_stream(url, cancel, patience) as stream:
                body = bytearray()
                for chunk in stream.chunks(cancel):
                    body += chunk
                    if len(body) > at_most_bytes:
                        raise too_long
                return bytes(body), stream.headers
        except LineTrouble as trouble:
            if not trouble.is_passing or attempt == patience.tries:
                raise
            pause(attempt, trouble, cancel, patience)
    raise AssertionError("a try either returns or raises")


def pause(
    attempt: int, trouble: LineTrouble, cancel: CancelToken | None, patience: Patience
) -> None:
    """Wait before the next try: longer each time, or as long as the other side asked.

    Raises
    ------
    Cancelled
    """
    seconds = patience.pause_s * 2.0 ** (attempt - 1)
    if trouble.retry_after_s is not None:
        seconds = max(seconds, trouble.retry_after_s)
    seconds = min(seconds, patience.longest_pause_s)
    if (cancel or threading.Event()).wait(seconds):
        raise Cancelled


def _trouble(error: Exception) -> LineTrouble:
    """What went wrong, in words for the middle of a sentence."""
    if isinstance(error, LineTrouble):
        return error
    if isinstance(error, urllib.error.HTTPError):
        with error:
            return _refusal(error)
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    for kind, words, is_passing in _TROUBLES:
        if isinstance(reason, kind):
            return LineTrouble(words, is_passing=is_passing)
    return LineTrouble(f"{reason}", is_passing=False)


_TROUBLES: tuple[tuple[type[Exception], str, bool], ...] = (
    (ssl.SSLCertVerificationError, "its certificate is not trusted by this computer", False),
    (socket.gaierror, "its name is not known (no network?)", False),
    (ConnectionRefusedError, "it refuses the connection", True),
    (TimeoutError, "it does not answer", True),
    (OSError, "the connection broke off", True),
    (http.client.HTTPException, "the connection broke off", True),
)
"""The first that fits counts: what went wrong, in words, and whether trying again can help."""
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})


def _refusal(error: urllib.error.HTTPError) -> LineTrouble:
    code, after = error.code, None
    with contextlib.suppress(AttributeError, TypeError, ValueError):
        after = max(0.0, float(error.headers["Retry-After"]))
    words = {
        401: "it asks for a password (401)",
        403: "it refuses access (403)",
        404: "it has nothing there (404)",
        407: "the proxy asks for a password (407)",
        429: "it asks to come back later (429)",
    }
    text = words.get(code, f"it answered with error {code}")
    return LineTrouble(text, is_passing=code in _PASSING, status=code, retry_after_s=after)
