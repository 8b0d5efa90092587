"""A stand-in for the Jamendo API on this machine: lists of tracks, their files, and the ways in
which a service fails."""

from __future__ import annotations

import functools
import json
import tempfile
import threading
import urllib.parse
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from tests.support import soundfiles

CLIENT_ID = "stand-in-client"
_MP3 = next(form for form in soundfiles.FORMATS if form.name == "mp3-22k")


@functools.cache
def mp3(seconds: float, seed: int = 0) -> bytes:
    """A tune as an mp3 file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tune.mp3"
        sound = soundfiles.tune(seconds, _MP3.rate, seed)
        soundfiles.write(path, np.asarray(sound, np.float32), _MP3)
        return path.read_bytes()


@dataclass
class Song:
    """A track of the stand-in: what the list says of it, and the bytes of its file."""

    number: int
    artist: str
    content: bytes
    duration_s: float = 4.0
    said: dict[str, Any] = field(default_factory=dict)


def songs(count: int, artists: int = 0) -> list[Song]:
    """`count` tracks of 4 s by `artists` artists (default: one each)."""
    return [
        Song(100 + number, f"Artist {number % (artists or count)}", mp3(4.0, number % 4))
        for number in range(count)
    ]


@dataclass
class Faults:
    """What goes wrong; can be changed while the server runs."""

    refuse: dict[str, list[tuple[int, dict[str, str]]]] = field(default_factory=dict)
    """Part of a path: answers (status, headers) to give one after the other before the real one."""
    codes: list[int] = field(default_factory=list)
    """The service's own error codes to answer with, before the real answer."""
    bodies: list[bytes] = field(default_factory=list)
    """Answers that are no JSON, before the real one."""
    cut: dict[str, list[int]] = field(default_factory=dict)
    """Part of a path: close the connection after so many bytes, one request after the other."""
    hang: set[str] = field(default_factory=set)
    """Parts of paths that are never answered."""
    ignores_ranges: bool = False


class JamendoServer:
    """`with JamendoServer(songs(9)) as server:` serves at `server.api_url` until the block ends."""

    def __init__(self, shelf: list[Song]) -> None:
        self.songs = shelf
        self.faults = Faults()
        self.requests: list[str] = []
        self.ranges: list[str | None] = []
        self.closing = threading.Event()
        self.hanging = threading.Event()
        """Set once a request hangs."""
        outer = self

        class Handler(_Handler):
            stand_in = outer

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = False
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}
        )

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def api_url(self) -> str:
        return f"{self.root}/v3.0"

    def asked_for(self, part: str) -> int:
        return sum(part in path for path in self.requests)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def listed(self, song: Song) -> dict[str, Any]:
        return {
            "id": str(song.number),
            "name": f"Song {song.number}",
            "duration": song.duration_s,
            "artist_id": f"a-{song.artist}",
            "artist_name": song.artist,
            "album_name": "Album",
            "license_ccurl": "http://creativecommons.org/licenses/by-nc/3.0/",
            "shareurl": f"https://www.jamendo.com/track/{song.number}",
            "audio": f"{self.root}/stream/{song.number}",
            "audiodownload": f"{self.root}/audio/{song.number}",
            "audiodownload_allowed": True,
            "musicinfo": {"tags": {"genres": ["rock", "pop"], "instruments": []}},
            **song.said,
        }


class _Handler(BaseHTTPRequestHandler):
    stand_in: JamendoServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
        """Say nothing."""

    def do_GET(self) -> None:
        faults = self.stand_in.faults
        self.stand_in.requests.append(self.path)
        self.stand_in.ranges.append(self.headers.get("Range"))
        if any(part in self.path for part in faults.hang):
            self.stand_in.hanging.set()
            self.stand_in.closing.wait(30)
            self.close_connection = True
            return
        for part, answers in faults.refuse.items():
            if part in self.path and answers:
                status, headers = answers.pop(0)
                self._answer(b"refused", status, headers)
                return
        parts = urllib.parse.urlsplit(self.path)
        if parts.path == "/v3.0/tracks/":
            self._list(dict(urllib.parse.parse_qsl(parts.query)))
        elif parts.path.startswith("/audio/"):
            self._file(parts.path.removeprefix("/audio/"))
        else:
            self._answer(b"nothing here", 404)

    def _list(self, query: dict[str, str]) -> None:
        faults = self.stand_in.faults
        if faults.bodies:
            self._answer(faults.bodies.pop(0))
            return
        code = faults.codes.pop(0) if faults.codes else 0
        if query.get("client_id") != CLIENT_ID:
            code = 5
        if code:
            message = f"Client {query.get('client_id')} was refused"
            self._json({"status": "failed", "code": code, "error_message": message}, [])
            return
        offset, limit = int(query["offset"]), int(query["limit"])
        ordered = sorted(self.stand_in.songs, key=lambda song: song.number)
        results = [self.stand_in.listed(song) for song in ordered[offset : offset + limit]]
        self._json({"status": "success", "code": 0, "results_count": len(results)}, results)

    def _json(self, headers: dict[str, Any], results: list[dict[str, Any]]) -> None:
        self._answer(json.dumps({"headers": headers, "results": results}).encode())

    def _file(self, number: str) -> None:
        found = [song for song in self.stand_in.songs if str(song.number) == number]
        if not found:
            self._answer(b"no such file", 404)
            return
        content, status, headers = found[0].content, 200, {}
        asked = self.headers.get("Range")
        if asked and not self.stand_in.faults.ignores_ranges:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            if start >= len(content):
                self._answer(b"", 416)
                return
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            content, status = content[start:], 206
        self._answer(content, status, headers)

    def _answer(
        self, body: bytes, status: int = 200, headers: dict[str, str] | None = None
    ) -> None:
        cuts = [
            lengths
            for part, lengths in self.stand_in.faults.cut.items()
            if part in self.path and lengths
        ]
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if cuts:
            self.wfile.write(body[: cuts[0].pop(0)])
            self.close_connection = True
        else:
            self.wfile.write(body)
