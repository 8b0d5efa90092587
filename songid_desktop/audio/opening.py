"""Opening a file as sound: what may be opened, by which demuxers, and what to say when it can't
be."""

from __future__ import annotations

import os
import stat
from typing import Any, BinaryIO

from songid_desktop.audio import containers
from songid_desktop.errors import AudioFileError
from songid_desktop.types import FileProblem

_DEMUXERS = (
    "aac,ac3,aiff,amr,ape,asf,au,caf,dsf,eac3,flac,matroska,webm,mov,mp4,m4a,3gp,mp3,mpc,mpc8,ogg,"
    "tta,w64,wav,wv"
)
"""The only containers libav may take a file for. Without this list a text file can pass for a
playlist, and a playlist makes libav open what it names, addresses on the network among it."""

_LOCKED = (
    "The file is copy-protected and can't be decoded. The shop it came from may offer it without"
    " protection."
)


def open_container(file: BinaryIO, head: bytes, suffix: str) -> tuple[Any, Any]:
    """libav's container and the audio stream in it that is best to decode."""
    import av

    if not head:
        raise AudioFileError(FileProblem.EMPTY, "The file is empty (0 bytes).")
    if containers.is_locked(file, head):
        raise AudioFileError(FileProblem.DRM, _LOCKED)
    quiet_libav()
    container = av.open(
        _NamedFile(file, suffix),
        metadata_errors="replace",
        container_options={"format_whitelist": _DEMUXERS},
        io_open=_refuse_to_open,
    )
    streams = container.streams
    if streams.audio:
        return container, streams.best("audio") or streams.audio[0]
    is_picture = bool(streams.video)
    container.close()  # from here on, asking for streams would read freed memory
    if is_picture:
        raise AudioFileError(
            FileProblem.NOT_AUDIO, "The file holds a picture or a video without sound."
        )
    raise explain(ValueError("no streams"), head)


def open_file(path: str | os.PathLike[str]) -> BinaryIO:
    """Open `path` for reading if it is a plain file: a pipe or a device could keep us for ever."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116 - takes any path-like
            what = "a folder" if os.path.isdir(path) else "no plain file"  # noqa: PTH112
            raise AudioFileError(FileProblem.NOT_AUDIO, f"This is {what}.")
        return open(path, "rb")  # noqa: PTH123 - odd bytes; the reader closes it
    except (OSError, ValueError) as error:
        raise explain(error, b"") from error


class _NamedFile:
    """What libav reads from: our open file, under a name that only carries its ending.

    The real name would have to be valid UTF-8, and might read as a protocol ("concat:…").
    """

    def __init__(self, file: BinaryIO, suffix: str) -> None:
        self._file = file
        self.name = "sound" + (suffix if suffix.isascii() else "")

    def read(self, count: int) -> bytes:
        return self._file.read(count)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


def _refuse_to_open(url: str, flags: int, options: dict[str, str]) -> Any:  # noqa: ARG001 - PyAV's
    raise PermissionError(f"a sound file may not open {url!r}")


def explain(error: Exception, head: bytes) -> AudioFileError:
    """The one error for people, whatever a library raised.

    Parameters
    ----------
    error : Exception
    head : bytes
        The file's beginning, as far as it was read.
    """
    return AudioFileError(*_name_problem(error, head))


def _name_problem(error: Exception, head: bytes) -> tuple[FileProblem, str]:
    import av.error

    # libav's errors are OSErrors too, yet say nothing of the file system.
    is_system = isinstance(error, OSError) and not isinstance(error, av.error.FFmpegError)
    content = containers.name_other_content(head)
    if (isinstance(error, FileNotFoundError) and is_system) or "null byte" in str(error):
        return FileProblem.NOT_AUDIO, "There is no such file."
    if isinstance(error, PermissionError) and is_system:
        return FileProblem.NO_PERMISSION, "The file may not be read: permission denied."
    if isinstance(error, OSError) and is_system:
        reason = os.strerror(error.errno) if error.errno else str(error)
        return FileProblem.CORRUPT, f"The file can't be read: {reason}."
    if content:
        return FileProblem.NOT_AUDIO, f"The file is no sound but {content}."
    if isinstance(error, MemoryError):
        return FileProblem.CORRUPT, "The file asks for more memory than there is."
    return FileProblem.CORRUPT, "The file can't be decoded: it is damaged or no sound."


def quiet_libav() -> None:
    """Keep libav's own messages off the terminal: what matters comes back as exceptions."""
    import av.logging

    av.logging.set_level(None)
    av.logging.set_libav_level(av.logging.PANIC)
