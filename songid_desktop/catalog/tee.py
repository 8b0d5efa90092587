"""One stream of sound for several readers at once, in bounded memory."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from songid_desktop.types import AudioBlock

T = TypeVar("T")

_BLOCKS_AHEAD = 2
_LOOK_AGAIN_S = 0.1

Consumer = Callable[[Iterable[AudioBlock]], T]


class SourceFailed(Exception):
    """The stream itself broke; raised inside its readers so that they end."""


class _Reader:
    """One consumer on a thread of its own, fed through a short queue."""

    def __init__(self, consumer: Consumer[T]) -> None:
        self._queue: queue.Queue[AudioBlock | None] = queue.Queue(_BLOCKS_AHEAD)
        self._source_failed = False
        self.result: object = None
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(consumer,), daemon=True)
        self._thread.start()

    def _run(self, consumer: Consumer[T]) -> None:
        try:
            self.result = consumer(self._blocks())
        except BaseException as error:  # noqa: BLE001 (handed to the caller)
            self.error = error

    def _blocks(self) -> Iterator[AudioBlock]:
        while (block := self._queue.get()) is not None:
            yield block
        if self._source_failed:
            raise SourceFailed

    def give(self, block: AudioBlock | None) -> None:
        """Hand over the next block, None at the end; a reader that has ended takes nothing."""
        while self._thread.is_alive():
            try:
                self._queue.put(block, timeout=_LOOK_AGAIN_S)
            except queue.Full:
                continue
            return

    def finish(self, *, source_failed: bool) -> None:
        self._source_failed = source_failed
        self.give(None)
        self._thread.join()


def share(
    blocks: Iterable[AudioBlock], consumers: Sequence[Consumer[T]]
) -> list[T | BaseException]:
    """Run every consumer over the same `blocks`; what each returned or raised, in order.

    An error of the stream itself is raised here, after every consumer has ended.
    """
    if len(consumers) == 1:
        return [_run_alone(blocks, consumers[0])]
    readers = [_Reader(consumer) for consumer in consumers]
    source_failed = True
    try:
        for block in blocks:
            for reader in readers:
                reader.give(block)
        source_failed = False
    finally:
        for reader in readers:
            reader.finish(source_failed=source_failed)
    return [reader.result if reader.error is None else reader.error for reader in readers]  # type: ignore[misc]


class _Watched:
    """Tells the stream's own errors from those of the one who reads it."""

    def __init__(self, blocks: Iterable[AudioBlock]) -> None:
        self._blocks = blocks
        self.error: BaseException | None = None

    def __iter__(self) -> Iterator[AudioBlock]:
        # No "yield from": a reader that stops early must not close the stream itself.
        blocks = iter(self._blocks)
        while True:
            try:
                block = next(blocks)
            except StopIteration:
                return
            except BaseException as error:
                self.error = error
                raise
            yield block


def _run_alone(blocks: Iterable[AudioBlock], consumer: Consumer[T]) -> T | BaseException:
    watched = _Watched(blocks)
    try:
        result = consumer(watched)
    except BaseException as error:
        if watched.error is not None or not isinstance(error, Exception):
            raise
        return error
    return result
