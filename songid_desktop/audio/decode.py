"""Sound files into mono float32 samples, in memory bounded whatever their length.

libav (through PyAV) reads everything people keep music in. What it raises differs by format and
by kind of damage; here it all becomes `AudioFileError` with one of seven reasons. A damaged packet
costs its own few milliseconds, not the file.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, BinaryIO, Self, TypeVar

import numpy as np

from songid_desktop.audio import containers
from songid_desktop.audio.opening import explain, open_container, open_file
from songid_desktop.audio.packets import MAX_RATE, MIN_RATE, DecodedStream, Piece
from songid_desktop.audio.resample import ZERO_CROSSINGS, StreamResampler
from songid_desktop.errors import AudioFileError, Cancelled
from songid_desktop.types import AudioBlock, CancelToken, FileProblem, FloatArray

_T = TypeVar("_T")

SUPPORTED_SUFFIXES: frozenset[str] = frozenset(
    {
        *(".mp3", ".mp2", ".flac", ".ogg", ".oga", ".opus", ".spx", ".m4a", ".m4b", ".m4p", ".mp4"),
        *(".aac", ".wav", ".wave", ".w64", ".rf64", ".aif", ".aiff", ".aifc", ".wma", ".asf"),
        *(".caf", ".au", ".snd", ".ape", ".wv", ".tta", ".mpc", ".mka", ".webm", ".ac3", ".dsf"),
        *(".amr", ".m4r", ".3gp"),
    }
)
"""File name endings worth trying, lower case with the dot."""

_MISSING_S = 0.5
_MISSING_SHARE = 0.01
"""Sound that may be missing from what a container states before it counts as cut off: containers
round, and encoders count their own padding."""


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """What a container says about its sound. `duration_s` is None where it says nothing; where it
    states no length, libav's estimate."""

    duration_s: float | None
    sample_rate: int
    channels: int
    codec: str
    container: str


class AudioReader:
    """A file's sound as consecutive blocks; a context manager, iterated once. Made by `open_audio`.

    Attributes
    ----------
    info : MediaInfo
    sample_rate : int
        Of the blocks (Hz).
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        sample_rate: int | None = None,
        *,
        block_s: float = 4.0,
        start_s: float = 0.0,
        length_s: float | None = None,
        cancel: CancelToken | None = None,
    ) -> None:
        self._file: BinaryIO | None = None
        self._container: Any = None
        self._stated_s: float | None = None
        self._is_cut_off = False
        self._warnings: list[tuple[FileProblem, str]] = []
        self._given_samples = 0
        self._cancel = cancel
        try:
            self._file = open_file(path)
            self._open(self._file, os.path.splitext(path)[1])  # noqa: PTH122 - keeps odd bytes
        except BaseException:
            self.close()
            raise
        self.sample_rate = sample_rate or self.info.sample_rate
        self._block_samples = max(1, round(block_s * self.sample_rate))
        self._start_s = max(0.0, start_s)
        self._length_s = length_s

    def _open(self, file: BinaryIO, suffix: str) -> None:
        head = b""
        try:
            head = containers.read_head(file)
            self._container, self._stream = open_container(file, head, suffix)
            self.info = _describe(self._container, self._stream, head)
            place = file.tell()
            name = self._container.format.name
            self._stated_s = containers.stated_duration_s(file, head, name, self.info.duration_s)
            self._is_cut_off = name == "ogg" and containers.ends_inside_ogg_page(file)
            file.seek(place)
        except (AudioFileError, Cancelled):
            raise
        except Exception as error:
            raise explain(error, head) from error

    @property
    def decoded_s(self) -> float:
        """Seconds given out so far."""
        return self._given_samples / self.sample_rate

    @property
    def warnings(self) -> tuple[tuple[FileProblem, str], ...]:
        """What is doubtful about the file, with a sentence each; complete after the last block."""
        return tuple(self._warnings)

    def close(self) -> None:
        """Let go of the file; may be called twice."""
        container, self._container = self._container, None
        if container is not None:
            container.close()
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[AudioBlock]:
        """Give the blocks, each of `block_s` but the last.

        Raises
        ------
        AudioFileError
            When nothing of the file can be decoded.
        Cancelled
            When the cancel token was set.
        """
        if self._container is None:
            raise ValueError("the reader is closed")
        first = round(self._start_s * self.sample_rate)
        limit = None if self._length_s is None else round(self._length_s * self.sample_rate)
        waiting: list[FloatArray] = []
        waiting_samples = 0
        for piece in self._explained(self._resampled(first)):
            left = None if limit is None else limit - self._given_samples - waiting_samples
            samples = piece[:left]
            waiting.append(samples)
            waiting_samples += len(samples)
            while waiting_samples >= self._block_samples:
                joined = np.concatenate(waiting)
                yield self._give(joined[: self._block_samples], first)
                waiting = [joined[self._block_samples :]]
                waiting_samples = len(waiting[0])
            if limit is not None and self._given_samples + waiting_samples >= limit:
                break
        if waiting_samples:
            yield self._give(np.concatenate(waiting), first)

    def _give(self, samples: FloatArray, first: int) -> AudioBlock:
        block = AudioBlock(samples, self.sample_rate, first + self._given_samples)
        self._given_samples += len(samples)
        return block

    def _explained(self, pieces: Iterator[_T]) -> Iterator[_T]:
        """The same pieces; what goes wrong between them in words for people."""
        while self._container is not None:  # libav would read freed memory after `close`
            try:
                piece = next(pieces)
            except StopIteration:
                return
            except (AudioFileError, Cancelled):
                raise
            except Exception as error:
                raise explain(error, b"") from error
            yield piece

    def _resampled(self, first: int) -> Iterator[FloatArray]:
        """Samples at `sample_rate` from output sample `first` to the end, in pieces."""
        if self._container is None:
            raise ValueError("the reader is closed")
        source = DecodedStream(self._container, self._stream, self._cancel)
        target = self.sample_rate
        resampler: StreamResampler | None = None
        drop = skip = 0
        for piece in source.pieces(first / target):
            samples = piece.samples
            if resampler is None:
                drop, skip = _alignment(piece.position, piece.rate, first, target)
                resampler = StreamResampler(piece.rate, target)
                if skip < 0:
                    yield np.zeros(-skip, np.float32)
                    skip = 0
            elif resampler.from_rate != piece.rate:
                yield resampler.flush()[skip:]
                drop = skip = 0
                resampler = StreamResampler(piece.rate, target)
            if drop:
                samples, drop = samples[drop:], max(0, drop - len(samples))
            output = resampler.push(samples)
            if skip:
                output, skip = output[skip:], max(0, skip - len(output))
            if len(output):
                yield output
        if resampler is not None:
            yield resampler.flush()[skip:]
        self._judge(source)

    def stereo_pieces(self, start_s: float = 0.0) -> Iterator[tuple[FloatArray, int]]:
        """What a loudspeaker wants instead of blocks: pieces of shape (n, 2) from `start_s` on,
        each with its rate (Hz), as they are decoded. Raises as iterating does."""
        if self._container is None:
            raise ValueError("the reader is closed")
        source = DecodedStream(self._container, self._stream, self._cancel, is_stereo=True)
        yield from self._explained(_cut_to_start(source.pieces(start_s), start_s))
        if source.decoded_samples == 0 and not source.is_past_end:
            raise _nothing_decoded()

    def _judge(self, source: DecodedStream) -> None:
        """Warn of what was odd, now that the end is reached."""
        if source.decoded_samples == 0 and not source.is_past_end:
            raise _nothing_decoded()
        end_s, stated_s = source.decoded_end_s, self._stated_s
        slack_s = max(_MISSING_S, _MISSING_SHARE * (stated_s or 0.0))
        if stated_s is not None and stated_s - end_s > slack_s:
            self._warn(
                FileProblem.TRUNCATED,
                f"Only the first {_minutes(end_s)} of {_minutes(stated_s)} could be decoded: the"
                " file is cut off or damaged.",
            )
        elif self._is_cut_off:
            self._warn(
                FileProblem.TRUNCATED,
                f"The file is cut off; the first {_minutes(end_s)} could be decoded.",
            )
        elif source.missing_s > _MISSING_S:
            self._warn(
                FileProblem.TRUNCATED,
                f"{source.missing_s:.1f} s could not be decoded and count as silence: the file is"
                " damaged.",
            )
        if source.impossible_samples:
            self._warn(
                FileProblem.CORRUPT,
                f"{source.impossible_samples} samples were not numbers and count as silence.",
            )

    def _warn(self, problem: FileProblem, sentence: str) -> None:
        self._warnings.append((problem, sentence))


def _nothing_decoded() -> AudioFileError:
    return AudioFileError(FileProblem.CORRUPT, "No sound could be decoded: the file is damaged.")


def _cut_to_start(pieces: Iterator[Piece], start_s: float) -> Iterator[tuple[FloatArray, int]]:
    for piece in pieces:
        early = round(start_s * piece.rate) - piece.position
        if early < len(piece.samples):
            yield piece.samples[max(0, early) :], piece.rate


def _alignment(position: int, rate: int, first: int, target: int) -> tuple[int, int]:
    """Where to begin resampling so that the result is that of a decoding from the start, cut.

    Output sample m of a whole decoding stands at input sample m * rate / target. The beginning is
    put where both are whole numbers, at least the filter's reach before output sample `first`.

    Parameters
    ----------
    position : int
        Input position of the first sample there is.
    rate, target : int
        Input and output rate (Hz).
    first : int
        Wanted output position.

    Returns
    -------
    drop : int
        Input samples to leave out.
    skip : int
        Output samples to leave out after that; negative: silence to put in, because the sound
        begins after `first`.
    """
    divisor = math.gcd(rate, target)
    step_in, step_out = rate // divisor, target // divisor
    margin = math.ceil(ZERO_CROSSINGS * max(1.0, target / rate)) if rate != target else 0
    step = max((first - margin) // step_out, -(-position // step_in), 0)
    return step * step_in - position, first - step * step_out


def _describe(container: Any, stream: Any, head: bytes) -> MediaInfo:
    """What the stream states of itself, if it is possible at all."""
    codec = stream.codec_context
    if codec is None:
        raise AudioFileError(
            FileProblem.NOT_AUDIO, "The file's sound is coded in a way that can't be decoded here."
        )
    if not MIN_RATE <= codec.sample_rate <= MAX_RATE or codec.channels < 1:
        if containers.name_other_content(head):
            raise explain(ValueError("no sound"), head)
        stated = "no channels"
        if codec.channels >= 1:
            stated = f"an impossible sample rate ({codec.sample_rate} Hz)"
        raise AudioFileError(FileProblem.CORRUPT, f"The file states {stated}: it is damaged.")
    duration_s: float | None = None
    if stream.duration is not None and stream.time_base:
        duration_s = float(stream.duration * stream.time_base)
    elif container.duration is not None:
        duration_s = container.duration / 1e6
    return MediaInfo(
        duration_s=duration_s if duration_s is not None and duration_s > 0 else None,
        sample_rate=codec.sample_rate,
        channels=codec.channels,
        codec=codec.name,
        container=container.format.name.split(",", 1)[0],
    )


def _minutes(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"


def open_audio(
    path: str | os.PathLike[str],
    sample_rate: int | None = None,
    *,
    block_s: float = 4.0,
    start_s: float = 0.0,
    length_s: float | None = None,
    cancel: CancelToken | None = None,
) -> AudioReader:
    """Open a sound file for reading in blocks; memory stays bounded whatever its length.

    Parameters
    ----------
    path : path-like
        Any name, also one that is not valid UTF-8.
    sample_rate : int or None
        Rate (Hz) of the blocks; None for the file's own.
    block_s : float
        Length of a block (s).
    start_s, length_s : float
        Part of the track to give (s), exact to the sample wherever the format keeps time; None for
        all of the rest. A start beyond the end gives nothing.
    cancel : CancelToken or None
        Looked at between packets.

    Raises
    ------
    AudioFileError
        When it is not sound that can be decoded, with the reason.
    """
    return AudioReader(
        path, sample_rate, block_s=block_s, start_s=start_s, length_s=length_s, cancel=cancel
    )


def probe(path: str | os.PathLike[str]) -> MediaInfo:
    """What the file's header states, without decoding. Raises `AudioFileError` as `open_audio`."""
    with open_audio(path) as reader:
        return reader.info


def decode(
    path: str | os.PathLike[str],
    sample_rate: int | None = None,
    *,
    start_s: float = 0.0,
    length_s: float | None = None,
    cancel: CancelToken | None = None,
) -> AudioBlock:
    """Decode a file, or a part of it, into one block; see `open_audio`."""
    with open_audio(path, sample_rate, start_s=start_s, length_s=length_s, cancel=cancel) as reader:
        blocks = [block.samples for block in reader]
        samples = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
        rate = reader.sample_rate
    return AudioBlock(samples, rate, round(max(0.0, start_s) * rate))
