"""A file of the hub brought here: goes on where an earlier try ended, however that ended, and is
kept only when its bytes have the checksum that the hub publishes.

What has arrived lies in ``NAME.DIGEST.part``, so that it can only ever be taken for the file with
that checksum. A part that fails the check after it was resumed is thrown away and fetched once more
whole: the earlier piece may be what was damaged.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO

from songid_desktop.errors import Cancelled, EnvironmentProblem
from songid_desktop.neural.hub import HubError, HubFile, HubModel, trouble_sentence
from songid_desktop.neural.transport import LineTrouble, Patience, Stream, open_stream, pause
from songid_desktop.types import CancelToken

READ_BYTES = 1 << 20
Arrived = Callable[[int], object]
"""Told how many bytes of the file are here now."""


class WrongBytes(EnvironmentProblem):
    """A file does not have the checksum that was published for it; it has been thrown away."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A file that is here and right."""

    name: str
    size_bytes: int
    sha256: str


class FileDigest:
    """Both checksums of a file whose size is known, as its bytes come."""

    def __init__(self, size_bytes: int) -> None:
        self._sha256 = hashlib.sha256()
        self._blob = hashlib.sha1(b"blob %d\0" % size_bytes, usedforsecurity=False)

    def update(self, piece: bytes) -> None:
        self._sha256.update(piece)
        self._blob.update(piece)

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()

    def fits(self, file: HubFile) -> bool:
        """Whether these are the bytes that the hub published."""
        if file.sha256:
            return self.sha256 == file.sha256
        return self._blob.hexdigest() == file.blob_sha1


def part_path(folder: Path, file: HubFile) -> Path:
    return folder / f"{file.name}.{file.digest[:16]}.part"


def arrived_bytes(folder: Path, file: HubFile) -> int:
    """How much of the file lies in `folder`, whole or in part."""
    for path in (folder / file.name, part_path(folder, file)):
        with contextlib.suppress(OSError):
            return min(path.stat().st_size, file.size_bytes)
    return 0


def digest_of(
    path: Path, cancel: CancelToken | None = None, read: Arrived | None = None
) -> FileDigest:
    """Checksums of a file on disk; `read` is told how many of its bytes were read.

    Raises
    ------
    OSError, Cancelled
    """
    with path.open("rb") as source:
        made = FileDigest(os.fstat(source.fileno()).st_size)
        for piece in _pieces(source, cancel):
            made.update(piece)
            if read is not None:
                read(source.tell())
    return made


def _pieces(source: BinaryIO, cancel: CancelToken | None) -> Iterator[bytes]:
    while piece := source.read(READ_BYTES):
        if cancel is not None and cancel.is_set():
            raise Cancelled
        yield piece


def download(
    model: HubModel,
    file: HubFile,
    folder: Path,
    *,
    cancel: CancelToken | None = None,
    arrived: Arrived | None = None,
    waits: Callable[[str], object] | None = None,
    patience: Patience | None = None,
) -> Checked:
    """Have `file` in `folder`, checked; does nothing but check where it is there already. `waits`
    is told why it has to be tried again.

    Raises
    ------
    HubError
        The hub can't be used; the part stays for the next try.
    WrongBytes
        Its bytes are not those that were published, twice where the first try had been resumed.
    EnvironmentProblem
        The disk is full or the folder can't be written; the part stays.
    Cancelled
        The part stays.
    """
    target, part = folder / file.name, part_path(folder, file)
    with disk_trouble(folder):
        if target.is_file():
            found = digest_of(target, cancel)
            if target.stat().st_size == file.size_bytes and found.fits(file):
                (arrived or _nobody)(file.size_bytes)
                return Checked(file.name, file.size_bytes, found.sha256)
            target.unlink()
        was_resumed = part.exists() and part.stat().st_size > 0
        fetch = _Fetch(model, file, part, cancel, patience or Patience())
        fetch.tell(arrived, waits)
        digest = fetch.run()
        if not digest.fits(file) and was_resumed:
            part.unlink()
            digest = fetch.run()
        if not digest.fits(file):
            part.unlink()
            raise WrongBytes(
                f"{file.name} arrived damaged: its checksum is not the one that the model hub"
                " publishes. It has been thrown away and nothing was installed; try again."
            )
        part.replace(target)
    return Checked(file.name, file.size_bytes, digest.sha256)


class _Fetch:
    """The tries it takes until a part is as long as the file."""

    def __init__(
        self,
        model: HubModel,
        file: HubFile,
        part: Path,
        cancel: CancelToken | None,
        patience: Patience,
    ) -> None:
        self._model, self._file, self._part = model, file, part
        self._cancel, self._patience = cancel, patience
        self._digest, self._here = FileDigest(file.size_bytes), 0
        self._tell: Arrived = _nobody
        self._waits: Callable[[str], object] = _nobody

    def tell(self, arrived: Arrived | None, waits: Callable[[str], object] | None) -> None:
        """Tell what arrives, and why something has to be tried again."""
        self._tell, self._waits = arrived or _nobody, waits or _nobody

    def run(self) -> FileDigest:
        """Bring the part to its full length; gives the checksums of what lies there."""
        with open(self._part, "ab") as out:  # noqa: PTH123 - appends where the path's `open` would
            self._read_what_is_left(out)
            failures, farthest = 0, self._here
            while self._here < self._file.size_bytes:
                try:
                    self._bring_rest(out)
                except LineTrouble as trouble:
                    # To get as far as before, from the beginning, is no progress.
                    failures = 1 if self._here > farthest else failures + 1
                    farthest = max(farthest, self._here)
                    self._bear(trouble, failures, out)
            out.flush()
            os.fsync(out.fileno())
        return self._digest

    def _read_what_is_left(self, out: BinaryIO) -> None:
        """Take in what an earlier try left; a part that is too long is none."""
        self._start_over(out, keep=out.tell() <= self._file.size_bytes)
        with self._part.open("rb") as left:
            for piece in _pieces(left, self._cancel):
                self._digest.update(piece)
                self._here += len(piece)
        self._tell(self._here)

    def _start_over(self, out: BinaryIO, *, keep: bool = False) -> None:
        if not keep:
            out.truncate(0)
        self._digest, self._here = FileDigest(self._file.size_bytes), 0

    def _bring_rest(self, out: BinaryIO) -> None:
        """One request for what is missing, written as it comes."""
        headers = {"Range": f"bytes={self._here}-"} if self._here else {}
        url = self._model.url(self._file)
        with open_stream(url, self._cancel, self._patience, headers) as stream:
            commit = stream.headers.get("X-Repo-Commit")
            if commit and commit != self._model.commit:
                raise LineTrouble("it sends another version than was asked for", is_passing=False)
            if self._here and not _continues_at(stream, self._here):
                self._start_over(out)
                if stream.status == HTTPStatus.PARTIAL_CONTENT:
                    raise LineTrouble("it sends another piece than was asked for", is_passing=True)
            for piece in stream.chunks(self._cancel):
                if self._here + len(piece) > self._file.size_bytes:
                    self._start_over(out)
                    raise LineTrouble("it sends more than it announced", is_passing=False)
                out.write(piece)
                self._digest.update(piece)
                self._here += len(piece)
                self._tell(self._here)
        if self._here < self._file.size_bytes:
            raise LineTrouble("the connection broke off", is_passing=True)

    def _bear(self, trouble: LineTrouble, failures: int, out: BinaryIO) -> None:
        """Wait for the next try, or give up."""
        is_beyond_end = trouble.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
        if is_beyond_end and self._here:
            self._start_over(out)
        elif not trouble.is_passing:
            failures = self._patience.tries
        if failures >= self._patience.tries:
            raise HubError(
                trouble_sentence(self._model.endpoint, trouble, self._file.name)
            ) from None
        out.flush()
        self._waits(trouble.reason)
        pause(failures, trouble, self._cancel, self._patience)


def _nobody(_news: object) -> None:
    """Nobody wants to know."""


def _continues_at(stream: Stream, here: int) -> bool:
    """Whether the answer's body begins at byte `here`, as was asked for."""
    if stream.status != HTTPStatus.PARTIAL_CONTENT:
        return False
    return (stream.headers.get("Content-Range") or "").startswith(f"bytes {here}-")


_FULL = {errno.ENOSPC, errno.EDQUOT}


@contextlib.contextmanager
def disk_trouble(folder: Path) -> Iterator[None]:
    """Say in a sentence what the disk refuses.

    Raises
    ------
    EnvironmentProblem
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise EnvironmentProblem(
                f"The disk that holds {folder} is full. What has arrived is kept; free some room,"
                " then go on."
            ) from error
        raise EnvironmentProblem(
            f"{folder} can't be used: {error.strerror or error}. What is installed works as"
            " before; see that the folder can be written, then go on."
        ) from error
