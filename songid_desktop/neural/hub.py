"""What the model hub says about a model: which commit its branch stands at, which files that has,
and the checksum it publishes for each.

Large files carry a SHA-256 (their Git LFS object name), small ones a Git blob SHA-1; both are
recorded and checked. Nothing here is called unless a model is asked for.
"""

from __future__ import annotations

import json
import os
import re
import urllib.parse
from dataclasses import dataclass
from typing import Any

from songid_desktop.errors import EnvironmentProblem
from songid_desktop.neural.transport import LineTrouble, Patience, read_all
from songid_desktop.types import CancelToken

DEFAULT_ENDPOINT = "https://huggingface.co"
"""Where the authors of both official checkpoints publish them: the source of this data, and the
one address that the program ever asks on its own account. `HF_ENDPOINT` names a mirror."""

BRANCH = "main"
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SHA1 = _COMMIT
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
_ANSWER_BYTES = 8_000_000
_PAGES = 20
_TRIES = 3
"""Somebody waits for the answer; a download may take its time."""


class HubError(EnvironmentProblem):
    """The hub could not be asked, or its answer is of no use; what is installed works as
    before."""


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file as the hub publishes it: exactly one of the two checksums is given."""

    name: str
    size_bytes: int
    sha256: str = ""
    blob_sha1: str = ""

    @property
    def digest(self) -> str:
        """The published checksum, of whichever kind."""
        return self.sha256 or self.blob_sha1


@dataclass(frozen=True, slots=True)
class HubModel:
    """A model at one commit."""

    repository: str
    endpoint: str
    branch: str
    commit: str
    licence: str
    """The licence that the model card's head names; empty where it names none."""
    files: tuple[HubFile, ...]

    def file(self, name: str) -> HubFile | None:
        return next((file for file in self.files if file.name == name), None)

    def url(self, file: HubFile) -> str:
        """Where the file's bytes are, at this commit and no other."""
        name = urllib.parse.quote(file.name)
        return f"{self.endpoint}/{self.repository}/resolve/{self.commit}/{name}"


def endpoint() -> str:
    """Address of the hub, without a slash at its end.

    Raises
    ------
    HubError
        `HF_ENDPOINT` is no web address, or `HF_HUB_OFFLINE` forbids the network.
    """
    if os.environ.get("HF_HUB_OFFLINE", "").strip().upper() in {"1", "ON", "YES", "TRUE"}:
        raise HubError(
            "The network is switched off by HF_HUB_OFFLINE. Unset it, or install from a local"
            " folder."
        )
    address = os.environ.get("HF_ENDPOINT", "").strip().rstrip("/") or DEFAULT_ENDPOINT
    parts = urllib.parse.urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise HubError(
            f"HF_ENDPOINT is “{address}”, which is no address of a model hub. Unset it, or give"
            " one that begins with https://."
        )
    return address


def look_up(
    repository: str,
    cancel: CancelToken | None = None,
    *,
    branch: str = BRANCH,
    patience: Patience | None = None,
) -> HubModel:
    """Resolve a model's branch to a commit and list that commit's files.

    Raises
    ------
    HubError
        A sentence: no network, no such model, an answer that is none.
    Cancelled
    """
    if not _REPOSITORY.fullmatch(repository):
        raise HubError(f"“{repository}” is no name of a model on the hub (AUTHOR/MODEL).")
    where, waits = endpoint(), patience or Patience(tries=_TRIES)
    model = f"{where}/api/models/{repository}"
    info = _answer(f"{model}/revision/{urllib.parse.quote(branch, safe='')}", cancel, waits)[0]
    commit = info.get("sha") if isinstance(info, dict) else None
    if not isinstance(commit, str) or not _COMMIT.fullmatch(commit):
        raise _unreadable(where)
    files: list[HubFile] = []
    page: str | None = f"{model}/tree/{commit}?recursive=false"
    for _ in range(_PAGES):
        if page is None:
            break
        entries, page = _answer(page, cancel, waits)
        if not isinstance(entries, list):
            raise _unreadable(where)
        files += [_file(entry, where) for entry in entries if _is_file(entry)]
    return HubModel(repository, where, branch, commit, _licence(info), tuple(files))


def trouble_sentence(where: str, trouble: LineTrouble, what: str = "") -> str:
    """What a person should know of a failed request."""
    host = urllib.parse.urlsplit(where).netloc.rpartition("@")[2]
    if trouble.status in (401, 403, 404):
        return (
            f"The model hub ({host}) does not give out {what or 'this model'}: {trouble.reason}."
            " It may have been moved or withdrawn; a copy can be installed from a local folder."
        )
    return (
        f"The model hub ({host}) can't be used: {trouble.reason}. What has arrived is kept; try"
        " again later, or install from a local folder."
    )


def _answer(url: str, cancel: CancelToken | None, patience: Patience) -> tuple[Any, str | None]:
    """A JSON answer and the address of its next page, if it has one."""
    try:
        body, headers = read_all(url, cancel, patience, _ANSWER_BYTES)
    except LineTrouble as trouble:
        raise HubError(trouble_sentence(url, trouble)) from None
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        raise _unreadable(url) from None
    following = re.search(r'<([^<>]+)>\s*;\s*rel="?next"?', headers.get("Link") or "")
    if following is None:
        return answer, None
    page = urllib.parse.urljoin(url, following[1])
    here, there = urllib.parse.urlsplit(url), urllib.parse.urlsplit(page)
    if (here.scheme, here.netloc) != (there.scheme, there.netloc):
        raise _unreadable(url)
    return answer, page


def _unreadable(url: str) -> HubError:
    host = urllib.parse.urlsplit(url).netloc.rpartition("@")[2]
    return HubError(
        f"What {host} answers is not what a model hub says; a network's sign-in page may stand in"
        " between. Open a web page, then try again."
    )


def _is_file(entry: object) -> bool:
    return isinstance(entry, dict) and entry.get("type") == "file"


def _file(entry: dict[str, Any], where: str) -> HubFile:
    name, size, oid, lfs = (entry.get(key) for key in ("path", "size", "oid", "lfs"))
    if not isinstance(name, str) or not isinstance(size, int) or size < 0:
        raise _unreadable(where)
    if isinstance(lfs, dict):
        oid, size = lfs.get("oid"), lfs.get("size", size)
        if not isinstance(oid, str) or not _SHA256.fullmatch(oid) or not isinstance(size, int):
            raise _unreadable(where)
        return HubFile(name, size, sha256=oid)
    if not isinstance(oid, str) or not _SHA1.fullmatch(oid):
        raise _unreadable(where)
    return HubFile(name, size, blob_sha1=oid)


def _licence(info: dict[str, Any]) -> str:
    """The model card's licence, as the hub has read it from the card's head."""
    card = info.get("cardData")
    said = card.get("license") if isinstance(card, dict) else None
    if isinstance(said, list):
        said = ", ".join(item for item in said if isinstance(item, str))
    if isinstance(said, str) and said:
        return said[:200]
    tags = info.get("tags")
    for tag in tags if isinstance(tags, list) else ():
        if isinstance(tag, str) and tag.startswith("license:"):
            return tag.removeprefix("license:")[:200]
    return ""
