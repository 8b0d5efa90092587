"""A stand-in for the model hub on this machine: the same addresses, answers, headers and redirects,
and every way of failing that a network has."""

from __future__ import annotations

import hashlib
import json
import threading
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

LARGE = (".safetensors", ".bin")
"""Kept by the hub as large files, under their SHA-256."""


def blob_sha1(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


@dataclass
class Faults:
    """What goes wrong; all of it can be changed while the server runs."""

    break_after: int | None = None
    """Close the connection after so many bytes of a large file's answer."""
    hang_after: int | None = None
    """Send nothing more after so many bytes of a large file's answer; 0 sends no head either."""
    slow: Callable[[], None] | None = None
    """Called before every 16 KiB of a large file."""
    flip_at: int | None = None
    """Change the byte at this place of a large file."""
    flip_small: bool = False
    refuse: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Part of a path: (status, how many times)."""
    ignores_ranges: bool = False
    wrong_range: bool = False
    says_commit: str = ""
    info_commit: str | None = None
    lies_about_size: int = 0
    answers_html: bool = False
    extra_bytes: bytes = b""


@dataclass
class Shelf:
    """A model at one commit."""

    commit: str
    files: dict[str, bytes]
    licence: str
    sha256: dict[str, str]
    blobs: dict[str, str]


class HubServer:
    """`with HubServer() as hub:` serves at `hub.endpoint` until the block ends."""

    def __init__(self) -> None:
        self.models: dict[str, Shelf] = {}
        self.faults = Faults()
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.sent_bytes = 0
        self.page_entries = 2
        self.closing = threading.Event()
        self.hanging = threading.Event()
        """Set once a request hangs."""
        hub = self

        class Handler(_Handler):
            server_hub = hub

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = False
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}
        )

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def add(self, repository: str, folder: Path, licence: str = "") -> str:
        """Publish a folder as a model; gives its commit."""
        files = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
        sha256 = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        blobs = {name: blob_sha1(content) for name, content in files.items()}
        text = json.dumps(blobs)
        commit = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        self.models[repository] = Shelf(commit, files, licence, sha256, blobs)
        return commit

    def fetched(self) -> list[str]:
        """Paths that were asked for, in order."""
        return [path for _method, path, _headers in self.requests]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    server_hub: HubServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """Quiet."""

    def do_GET(self) -> None:
        hub, faults = self.server_hub, self.server_hub.faults
        # As a proxy one is asked for whole addresses.
        address = urllib.parse.urlsplit(self.path)
        path = urllib.parse.unquote(address.path)
        hub.requests.append(("GET", path, dict(self.headers.items())))
        self.close_connection = True
        for piece, (status, times) in list(faults.refuse.items()):
            if piece in path and times > 0:
                faults.refuse[piece] = (status, times - 1)
                self._send(status, b"no", {"Retry-After": "0"} if status == 429 else {})
                return
        if faults.answers_html:
            self._send(200, b"<html>Please sign in to the network</html>")
            return
        for repository, shelf in hub.models.items():
            if path == f"/api/models/{repository}/revision/main":
                self._send_json(self._info(repository, shelf))
                return
            if path == f"/api/models/{repository}/tree/{shelf.commit}":
                self._tree(shelf, address.query)
                return
            for kind in ("resolve", "cdn"):
                if path.startswith(f"/{repository}/{kind}/{shelf.commit}/"):
                    self._file(repository, shelf, path.rsplit("/", 1)[-1], kind)
                    return
        self._send_json({"error": "Repository not found"}, 404)

    def _info(self, repository: str, shelf: Shelf) -> dict[str, Any]:
        commit = self.server_hub.faults.info_commit
        return {
            "id": repository,
            "sha": shelf.commit if commit is None else commit,
            "cardData": {"license": shelf.licence} if shelf.licence else {},
            "tags": ["music"],
            "siblings": [{"rfilename": name} for name in shelf.files],
        }

    def _tree(self, shelf: Shelf, query: str) -> None:
        """A few entries a page, so that pages are followed; folders stand among the files."""
        here = self.server_hub.page_entries
        entries: list[dict[str, Any]] = [
            {"type": "directory", "oid": "0" * 40, "size": 0, "path": "runs"}
        ]
        for name, content in shelf.files.items():
            entry: dict[str, Any] = {
                "type": "file",
                "oid": shelf.blobs[name],
                "size": len(content) + self.server_hub.faults.lies_about_size,
                "path": name,
            }
            if name.endswith(LARGE):
                sha256 = shelf.sha256[name]
                size = entry["size"]
                entry["lfs"] = {"oid": sha256, "size": size, "pointerSize": 134}
                entry["oid"] = "1" * 40  # of the pointer, not of the content
            entries.append(entry)
        first = int(urllib.parse.parse_qs(query).get("cursor", ["0"])[0])
        headers = {}
        if first + here < len(entries):
            base = self.path.partition("?")[0]
            following = urllib.parse.urljoin(
                self.server_hub.endpoint, f"{base}?recursive=false&cursor={first + here}"
            )
            headers["Link"] = f'<{following}>; rel="next"'
        self._send(200, json.dumps(entries[first : first + here]).encode(), headers)

    def _file(self, repository: str, shelf: Shelf, name: str, kind: str) -> None:
        faults = self.server_hub.faults
        content = shelf.files.get(name)
        if content is None:
            self._send_json({"error": "Entry not found"}, 404)
            return
        commit = faults.says_commit or shelf.commit
        if not name.endswith(LARGE):
            if faults.flip_small:
                content = bytes([content[0] ^ 1]) + content[1:]
            self._send(200, content, {"X-Repo-Commit": commit})
        elif kind == "resolve":
            target = f"{self.server_hub.endpoint}/{repository}/cdn/{shelf.commit}/{name}"
            self._send(302, b"", {"Location": target, "X-Repo-Commit": commit})
        else:
            self._large(content)

    def _large(self, content: bytes) -> None:
        faults = self.server_hub.faults
        if faults.flip_at is not None:
            at = faults.flip_at % len(content)
            content = content[:at] + bytes([content[at] ^ 0x10]) + content[at + 1 :]
        content += faults.extra_bytes
        first, headers = 0, {}
        asked = self.headers.get("Range", "")
        if asked.startswith("bytes=") and not faults.ignores_ranges:
            first = int(asked[6:].partition("-")[0])
            if first >= len(content):
                self._send(416, b"")
                return
            if faults.wrong_range:
                first = max(0, first - 7)
            headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
        if faults.hang_after == 0:
            self._hang()
            return
        self.send_response(206 if headers else 200)
        headers["Content-Length"] = str(len(content) - first)
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()
        self._large_body(content[first:])

    def _large_body(self, body: bytes) -> None:
        hub, faults = self.server_hub, self.server_hub.faults
        stops = [stop for stop in (faults.break_after, faults.hang_after) if stop is not None]
        last = min([len(body), *stops])
        for first in range(0, last, 16_384):
            if faults.slow is not None:
                faults.slow()
            if hub.closing.is_set() or not self._write(body[first : min(first + 16_384, last)]):
                return
        if faults.hang_after is not None and last < len(body):
            self._hang()

    def _hang(self) -> None:
        self.server_hub.hanging.set()
        self.server_hub.closing.wait(60.0)

    def _write(self, piece: bytes) -> bool:
        try:
            self.wfile.write(piece)
            self.wfile.flush()
        except OSError:
            return False
        self.server_hub.sent_bytes += len(piece)
        return True

    def _send_json(self, value: object, status: int = 200) -> None:
        self._send(status, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self._write(body)
