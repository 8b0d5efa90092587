"""How the program and its sound process talk: framed messages over a pair of pipes.

Only the standard library is imported here, since the sound process must start quickly.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from enum import IntEnum
from typing import Any, BinaryIO, NamedTuple

_HEAD = struct.Struct("<BIdIBI")
FRAME_BYTES = 4
"""Of one float32 sample of one channel."""


class Kind(IntEnum):
    """What a message is about."""

    ASK = 1
    """To the sound process: do something; `number` comes back with the answer."""
    ANSWER = 2
    SOUND = 3
    """Frames of stream `number`, float32, interleaved: heard (at `at`), or to be played."""
    PLAYED = 4
    """Stream `number` has played `frames` frames so far."""
    FADE = 5
    """To the sound process: let stream `number` fall silent without a click."""
    ENDED = 6
    """Stream `number` ended; by itself, unless it was closed."""


class Message(NamedTuple):
    """One message.

    Attributes
    ----------
    number : int
        Of the question, or of the stream.
    at : float
        Monotonic time (s), which all processes of one machine share.
    frames : int
        How many frames of sound `body` holds, or were played.
    flag : bool
        Of what was heard: PortAudio says that frames before it were lost. Of what was played: it
        has faded to silence.
    """

    kind: Kind
    number: int
    at: float = 0.0
    frames: int = 0
    flag: bool = False
    body: bytes = b""

    def facts(self) -> dict[str, Any]:
        """The body of a question or an answer."""
        facts: dict[str, Any] = json.loads(self.body)
        return facts


def compose(kind: Kind, number: int, facts: Mapping[str, Any]) -> Message:
    """A question or an answer made of plain values."""
    return Message(kind, number, body=json.dumps(facts).encode())


def write(pipe: BinaryIO, message: Message) -> None:
    """Write a message and see that it leaves at once; waits while the pipe is full."""
    head = _HEAD.pack(
        message.kind,
        message.number,
        message.at,
        message.frames,
        message.flag,
        len(message.body),
    )
    pipe.write(head + message.body)
    pipe.flush()


def read(pipe: BinaryIO) -> Message | None:
    """Wait for the next message; None when the other side is gone."""
    head = pipe.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    kind, number, at, frames, flag, length = _HEAD.unpack(head)
    body = pipe.read(length)
    if len(body) < length:
        return None
    return Message(Kind(kind), number, at, frames, bool(flag), body)
