"""The part of the Jamendo API v3.0 that a data set needs: pages of tracks, and their files.

Every request waits its turn (`pause_s` after the one before), and what the service answers decides
what follows: asked to slow down (HTTP 429, or its own code 6) the wait doubles or is as long as it
says; errors of its own (5xx, an answer that is no JSON) are tried again; a client id it does not
know ends everything with a sentence. The client id stands in request addresses only: it is written
nowhere and never part of a message.

The report names its songs by number, 220 to 9,201 among its examples: it took the service's lowest
track ids, so the listing here is ordered by id.
"""

from __future__ import annotations

import json
import math
import threading
import time
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, BinaryIO

from songid_desktop.errors import Cancelled, EnvironmentProblem, UsageError
from songid_desktop.neural.transport import LineTrouble, Patience, Stream, open_stream, read_all
from songid_desktop.types import CancelToken

API_URL = "https://api.jamendo.com/v3.0"
PAGE_TRACKS = 200
"""The most that the service gives at once."""
_MOST_PAGE_BYTES = 20_000_000
_MOST_FILE_BYTES = 500_000_000
_TRIES = 6
_FIRST_WAIT_S = 2.0
_LONGEST_WAIT_S = 120.0
_WRONG_CLIENT = 5
_SUSPENDED = 11
_PASSING = {1: "it reports an error of its own", 6: "it asks to come back later"}
"""Codes of the service's own answers; those that asking again may help."""

Tell = Callable[[str, float], None]
"""Told why it waits, and for how many seconds."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A track as the service lists it. `audio_url` is empty where it may not be downloaded."""

    track_id: str
    title: str
    artist: str
    artist_id: str
    album: str
    duration_s: float
    genre: str
    licence: str
    source: str
    audio_url: str

    @staticmethod
    def read(said: Mapping[str, Any]) -> Listed | None:
        """From one of the service's results; None where it has no number to go by."""
        from songid_desktop.catalog.tags import clean

        track_id = str(said.get("id", ""))
        if not (track_id.isascii() and track_id.isdigit() and len(track_id) <= 12):
            return None
        info = said.get("musicinfo")
        tags = info.get("tags") if isinstance(info, Mapping) else None
        genres = tags.get("genres") if isinstance(tags, Mapping) else None
        genre = "; ".join(clean(one) for one in genres) if isinstance(genres, list) else ""
        may_download = said.get("audiodownload_allowed", True) not in (False, "false", "0", 0)
        url = said.get("audiodownload") or ""
        try:
            duration_s = float(said.get("duration") or 0.0)
        except (TypeError, ValueError):
            duration_s = 0.0
        return Listed(
            track_id=track_id,
            title=clean(said.get("name") or ""),
            artist=clean(said.get("artist_name") or ""),
            artist_id=clean(said.get("artist_id") or ""),
            album=clean(said.get("album_name") or ""),
            duration_s=duration_s if math.isfinite(duration_s) else 0.0,
            genre=genre,
            licence=clean(said.get("license_ccurl") or ""),
            source=clean(said.get("shareurl") or f"https://www.jamendo.com/track/{track_id}"),
            audio_url=url if may_download and isinstance(url, str) and is_web(url) else "",
        )


def is_web(url: str) -> bool:
    """Whether an address that somebody else gave us is one to ask a web server for."""
    try:
        parts = urllib.parse.urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and url.isprintable()


class ServiceTrouble(EnvironmentProblem):
    """The service can't be used at present; what was collected is kept."""


class FileTrouble(Exception):
    """One file could not be had. `is_lasting` says that asking again is of no use."""

    def __init__(self, reason: str, *, is_lasting: bool) -> None:
        super().__init__(reason)
        self.is_lasting = is_lasting


class Service:
    """One client of the service, which asks one thing at a time."""

    def __init__(
        self,
        client_id: str,
        api_url: str = API_URL,
        *,
        pause_s: float = 0.5,
        timeout_s: float = 20.0,
        first_wait_s: float = _FIRST_WAIT_S,
        tell: Tell | None = None,
        cancel: CancelToken | None = None,
    ) -> None:
        if not is_web(api_url):
            raise UsageError(f"“{api_url}” is no address of a web service.")
        self._client_id = client_id
        self._api_url = api_url.rstrip("/")
        self._pause_s = pause_s
        self._first_wait_s = first_wait_s
        self._patience = Patience(connect_s=timeout_s, stall_s=timeout_s, tries=1)
        self._tell = tell or (lambda _why, _seconds: None)
        self._cancel = cancel
        self._next_at = 0.0

    # ------------------------------------------------------------------------------- listing

    def page(self, offset: int, limit: int = PAGE_TRACKS) -> list[Mapping[str, Any]]:
        """Results `offset` … `offset + limit` of all tracks by id; fewer at the end.

        Raises
        ------
        ServiceTrouble
            When it refuses, or goes on failing.
        Cancelled
        """
        query = {
            "client_id": self._client_id,
            "format": "json",
            "limit": limit,
            "offset": offset,
            "order": "id",
            "type": "single albumtrack",
            "include": "musicinfo",
            "audioformat": "mp32",
            "audiodlformat": "mp32",
        }
        url = f"{self._api_url}/tracks/?{urllib.parse.urlencode(query)}"
        for attempt in range(1, _TRIES + 1):
            self._take_turn()
            try:
                body, _ = read_all(url, self._cancel, self._patience, _MOST_PAGE_BYTES)
                return self._results(body)
            except LineTrouble as trouble:
                if not trouble.is_passing or attempt == _TRIES:
                    raise ServiceTrouble(_unusable(trouble.reason)) from trouble
                self._wait(trouble.reason, attempt, trouble.retry_after_s)
        raise AssertionError("a try either returns or raises")

    def _results(self, body: bytes) -> list[Mapping[str, Any]]:
        """Results of an answer. Raises `LineTrouble` where asking again may help."""
        code, words, results = _read_answer(body)
        if code == 0:
            return results
        if code == _WRONG_CLIENT:
            raise ServiceTrouble(
                "Jamendo does not know this client id. Look it up, or make one, at "
                "devportal.jamendo.com, and give it with --client-id."
            )
        if code == _SUSPENDED:
            raise ServiceTrouble(
                "Jamendo has suspended the application of this client id; its owner can ask why "
                "at devportal.jamendo.com."
            )
        if code in _PASSING:
            raise LineTrouble(_PASSING[code], is_passing=True)
        words = " ".join(words.replace(self._client_id, "…").split())[:200]
        detail = f" It says: {words}" if words else ""
        raise ServiceTrouble(f"Jamendo refuses the request (code {code}).{detail}")

    # --------------------------------------------------------------------------------- files

    def fetch(self, url: str, part: Path, arrived: Callable[[int], None] | None = None) -> None:
        """Bring a file to `part`, going on where it ends already.

        Parameters
        ----------
        arrived : callable, optional
            Told the number of bytes of each piece.

        Raises
        ------
        FileTrouble
            This file can't be had.
        ServiceTrouble
            No file can be had.
        OSError, Cancelled
        """
        reason = ""
        for attempt in range(1, _TRIES + 1):
            self._take_turn()
            before = part.stat().st_size if part.exists() else 0
            try:
                with part.open("ab") as file:
                    self._bring_rest(url, file, arrived)
            except LineTrouble as trouble:
                if not trouble.is_passing:
                    if trouble.status is None:  # no network, no trust: not this file's doing
                        raise ServiceTrouble(_unusable(trouble.reason)) from trouble
                    raise FileTrouble(trouble.reason, is_lasting=True) from trouble
                reason = trouble.reason
                is_further = part.stat().st_size > before
                if attempt < _TRIES:
                    self._wait(reason, 1 if is_further else attempt, trouble.retry_after_s)
            else:
                return
        raise FileTrouble(reason, is_lasting=False)

    def _bring_rest(self, url: str, file: BinaryIO, arrived: Callable[[int], None] | None) -> None:
        """One request for what is missing, written as it comes."""
        here = file.tell()
        headers = {"Range": f"bytes={here}-"} if here else {}
        try:
            with open_stream(url, self._cancel, self._patience, headers) as stream:
                here = _go_on_at(stream, file, here)
                announced = _number(stream.headers.get("Content-Length"))
                got = 0
                for chunk in stream.chunks(self._cancel):
                    got += len(chunk)
                    _refuse_if_endless(here + got)
                    file.write(chunk)
                    if arrived is not None:
                        arrived(len(chunk))
        except LineTrouble as trouble:
            if trouble.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                file.truncate(0)  # more is here than there: it is another file by now
                raise LineTrouble("its file has changed", is_passing=True) from trouble
            raise
        if announced is not None and got < announced:
            raise LineTrouble("the connection broke off", is_passing=True)

    # ------------------------------------------------------------------------------- waiting

    def _take_turn(self) -> None:
        self._sleep(self._next_at - time.monotonic())
        self._next_at = time.monotonic() + self._pause_s

    def _wait(self, reason: str, attempt: int, after_s: float | None) -> None:
        """Back off: twice as long each time, and never less than the service asked for."""
        wait_s = self._first_wait_s * 2.0 ** (attempt - 1)
        if after_s is not None:
            wait_s = max(wait_s, after_s)
        if wait_s > _LONGEST_WAIT_S and after_s is not None:
            raise ServiceTrouble(
                f"Jamendo asks for a pause of {wait_s / 60:.0f} minutes. What was collected is "
                "kept; give the same command again after that."
            )
        wait_s = min(wait_s, _LONGEST_WAIT_S)
        self._tell(_sentence(reason), wait_s)
        self._sleep(wait_s)
        self._tell("", 0.0)

    def _sleep(self, seconds: float) -> None:
        if (self._cancel or threading.Event()).wait(max(0.0, seconds)):
            raise Cancelled


def _sentence(reason: str) -> str:
    return f"Jamendo can't be used just now: {reason}."


def _unusable(reason: str) -> str:
    return f"{_sentence(reason)} What was collected is kept; the same command goes on from here."


def _read_answer(body: bytes) -> tuple[int, str, list[Mapping[str, Any]]]:
    """Code, message and results of one of the service's answers."""
    unreadable = LineTrouble("its answer can't be read", is_passing=True)
    try:
        said = json.loads(body)
        headers, results = said["headers"], said.get("results", [])
        code = int(headers.get("code") or 0)
        words = str(headers.get("error_message") or "")
        if not code and headers.get("status") == "failed":
            code = 1
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise unreadable from None
    if not code and not isinstance(results, list):
        raise unreadable
    return code, words, [one for one in results if isinstance(one, Mapping)] if not code else []


def _go_on_at(stream: Stream, file: BinaryIO, here: int) -> int:
    """Where in the file what comes belongs; the file is emptied where it comes from the start."""
    if stream.status != HTTPStatus.PARTIAL_CONTENT:
        file.truncate(0)
        return 0
    if not _begins_at(stream.headers.get("Content-Range"), here):
        file.truncate(0)
        raise LineTrouble("it sends another part than was asked for", is_passing=True)
    return here


def _refuse_if_endless(size_bytes: int) -> None:
    if size_bytes > _MOST_FILE_BYTES:
        raise FileTrouble("the file is far too large", is_lasting=True)


def _begins_at(content_range: str | None, start: int) -> bool:
    return content_range is not None and content_range.replace(" ", "").startswith(f"bytes{start}-")


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() else None
