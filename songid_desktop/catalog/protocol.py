"""What enrolment and its workers say to each other, over a pair of pipes."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from songid_desktop.catalog.stages import Examined, Fingerprinted, Refused, Vanished

_LENGTH_BYTES = 8


@dataclass(frozen=True, slots=True)
class Setup:
    """First message to a worker. The fingerprinters are pickled apart, so that one that can't be
    loaded is told from a broken pipe."""

    fingerprinters: bytes
    is_low_priority: bool


@dataclass(frozen=True, slots=True)
class Task:
    """One step for one file: to look at it, or to fingerprint it for `identifiers`."""

    path: Path
    identifiers: tuple[str, ...] | None = None
    """None: look at it."""


@dataclass(frozen=True, slots=True)
class SetPaused:
    is_paused: bool


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker has loaded everything."""


@dataclass(frozen=True, slots=True)
class Unfit:
    """The worker can't work, and why."""

    message: str


@dataclass(frozen=True, slots=True)
class Beat:
    """Still at it; seconds of the file's sound decoded so far."""

    decoded_s: float


Result = Examined | Fingerprinted | Refused | Vanished


def write_message(pipe: BinaryIO, message: object) -> None:
    body = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    pipe.write(len(body).to_bytes(_LENGTH_BYTES, "little"))
    pipe.write(body)
    pipe.flush()


def read_message(pipe: BinaryIO) -> object | None:
    """The next message, None when the other side is gone."""
    head = pipe.read(_LENGTH_BYTES)
    if len(head) < _LENGTH_BYTES:
        return None
    length = int.from_bytes(head, "little")
    body = pipe.read(length)
    if len(body) < length:
        return None
    message: object = pickle.loads(body)  # noqa: S301 (from our own process)
    return message
