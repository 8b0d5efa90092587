"""What the Linux sound server (PipeWire or PulseAudio) says, asked through its own tool `pactl`."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from songid_desktop.errors import DeviceError
from songid_desktop.types import Source, SourceKind

_TIMEOUT_S = 3.0
_LEASH_S = 1.0
_PLACEHOLDER = "auto_null"
"""The sink that a server makes up when there is no loudspeaker at all."""


class NoPactl(DeviceError):
    """The tool to ask with is not installed."""


class NoServer(DeviceError):
    """Nobody answers."""


def _environment() -> dict[str, str]:
    # Numbers with a decimal point and text as it is, whatever the user's language.
    return {**os.environ, "LC_ALL": "C.UTF-8", "LANGUAGE": "C"}


def _program() -> str:
    program = shutil.which("pactl")
    if program is None:
        raise NoPactl(
            "The sound sources can't be listed because the program pactl is missing. Install the"
            " package pulseaudio-utils."
        )
    return program


@contextlib.contextmanager
def _asked(*question: str) -> Iterator[subprocess.Popen[bytes]]:
    """A question under way, in JSON; ended when left, whatever became of it."""
    try:
        asking = subprocess.Popen(
            [_program(), "-f", "json", *question],
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    except OSError as error:
        raise NoPactl(f"The program pactl can't be run: {error.strerror}.") from error
    with asking:
        try:
            yield asking
        finally:
            asking.kill()


def _answer(asking: subprocess.Popen[bytes]) -> Any:
    try:
        output, _ = asking.communicate(timeout=_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise NoServer("The sound server does not answer.") from None
    if asking.returncode != 0:
        raise NoServer(
            "No sound server is running: neither PipeWire nor PulseAudio answers. Log in again, or"
            " start it (systemctl --user start pipewire pipewire-pulse)."
        )
    try:
        return json.loads(output.decode("utf-8", "replace"))
    except ValueError:
        raise NoPactl(
            "The installed pactl is too old to list the sound sources; version 16 or later does."
        ) from None


@dataclass(frozen=True, slots=True)
class Survey:
    """What there is to listen to, and the names of what is muted or turned down to nothing."""

    sources: tuple[Source, ...]
    muted: frozenset[str] = frozenset()


def survey() -> Survey:
    """Microphones, then monitors; the server's default one marked.

    Raises
    ------
    NoPactl, NoServer
    """
    with _asked("info") as first, _asked("list", "sources") as second:  # at once, not in turn
        info, listed = _answer(first), _answer(second)
    default = info.get("default_source_name") or ""
    sources = [_describe(item, default) for item in listed]
    order = (SourceKind.MICROPHONE, SourceKind.MONITOR)
    return Survey(
        tuple(sorted(sources, key=lambda source: order.index(source.kind))),
        frozenset(str(item.get("name")) for item in listed if _is_muted(item)),
    )


def _is_muted(item: dict[str, Any]) -> bool:
    volumes = [channel.get("value") for channel in (item.get("volume") or {}).values()]
    return bool(item.get("mute")) or (bool(volumes) and not any(volumes))


def _describe(item: dict[str, Any], default: str) -> Source:
    name = str(item.get("name", ""))
    properties = item.get("properties") or {}
    sink = item.get("monitor_source") or item.get("monitor_of_sink") or ""
    label = str(item.get("description") or properties.get("device.description") or name)
    if sink and sink != "n/a":
        label = label.removeprefix("Monitor of ")
        label = f"What the computer plays ({label})"
        return Source(name, label, SourceKind.MONITOR, name == default and sink != _PLACEHOLDER)
    return Source(name, label, SourceKind.MICROPHONE, name == default)


_LEASHED = '"$1" subscribe & exec >/dev/null; read -r _; kill "$!"'
"""pactl does not notice when nobody reads it any more, and would outlive a program that was killed.
The shell waits for the pipe from us to close, however that comes, and ends it."""


class Watch:
    """Notices that sources came or went, or that the server did: one `pactl subscribe` child."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        with contextlib.suppress(OSError, DeviceError):
            self._child = subprocess.Popen(
                ["/bin/sh", "-c", _LEASHED, "sh", _program()],
                env=_environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                start_new_session=True,  # Ctrl+C in a terminal would end the shell alone
            )
            assert self._child.stdout is not None
            os.set_blocking(self._child.stdout.fileno(), False)

    @property
    def is_alive(self) -> bool:
        """False when the server went away, or there was none."""
        if self._child is None or self._child.stdout is None:
            return False
        poll = select.poll()
        poll.register(self._child.stdout, 0)  # asks only whether a writer is left
        return not poll.poll(0)

    def has_news(self) -> bool:
        """Whether anything about sources or the server changed since the last call. Never waits."""
        if self._child is None or self._child.stdout is None:
            return False
        news = False
        while True:
            try:
                text = os.read(self._child.stdout.fileno(), 65_536)
            except BlockingIOError:
                return news
            except OSError:
                text = b""
            if not text:  # said once; from here on there is nobody to ask
                self.close()
                return True
            # "Event 'new' on source #52"; our own stream is a source-output, and no news.
            news = news or b"on source #" in text or b"on server" in text

    def close(self) -> None:
        """End the child; takes a few milliseconds."""
        child, self._child = self._child, None
        if child is None:
            return
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                pipe.close()
        try:
            child.wait(_LEASH_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
