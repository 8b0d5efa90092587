"""The one door to PortAudio: opening, closing and starting it anew, one at a time.

PortAudio reads the list of devices once, when it is initialised, and after a sound server's death
every opening fails until it has been terminated and initialised again. That ends all streams, so
whoever holds one looks at `is_active` and opens again.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from songid_desktop.audio.soundworker import silence_alsa, words
from songid_desktop.errors import DeviceError

SERVER_DEVICES = ("pulse", "pipewire")
"""ALSA's plugins that lead to the sound server, best first: only the first also knows monitors."""

_lock = threading.RLock()
_streams: set[Any] = set()


class PortAudioMissing(DeviceError):
    """The library can't be loaded."""

    def __init__(self) -> None:
        remedy = (
            "Install the package libportaudio2 and start the program again."
            if sys.platform.startswith("linux")
            else "Install the program again."
        )
        super().__init__(
            f"The PortAudio library is missing, so no sound can be recorded or played. {remedy}"
        )


@dataclass(frozen=True, slots=True)
class Device:
    """An input or output as PortAudio sees it. `name` holds the host API and stays the same over
    restarts."""

    index: int
    name: str
    label: str
    host_api: str
    inputs: int
    outputs: int
    rate: int
    is_default_input: bool


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """How to open a stream. `env` is set while it is opened and restored afterwards."""

    is_input: bool
    device: int | None
    rate: int
    channels: int
    block_frames: int
    latency_s: float
    env: Mapping[str, str]


def _module() -> ModuleType:
    """sounddevice, imported when first needed: importing it initialises PortAudio."""
    with _lock:
        silence_alsa()
        try:
            import sounddevice

            module: ModuleType = sounddevice
        except OSError as error:
            raise PortAudioMissing from error
        except Exception as error:
            raise DeviceError(f"The sound system could not be started: {words(error)}.") from error
        return module


def refresh() -> None:
    """Start PortAudio anew, so that it sees the devices there are now. Ends every open stream."""
    with _lock:
        sound = _module()
        for stream in tuple(_streams):
            close_stream(stream)
        try:
            while sound._initialized:
                sound._terminate()
            sound._initialize()
        except Exception as error:
            raise DeviceError(f"The sound system could not be started: {words(error)}.") from error


@contextlib.contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def open_stream(spec: StreamSpec, callback: Callable[..., None]) -> Any:
    """Open and start a stream of float32 frames.

    Raises
    ------
    DeviceError
        When the device refuses; PortAudio's words are in the sentence.
    """
    with _lock:
        sound = _module()
        kind = sound.InputStream if spec.is_input else sound.OutputStream
        stream = None
        try:
            with _environment(spec.env):
                stream = kind(
                    samplerate=spec.rate,
                    blocksize=spec.block_frames,
                    device=spec.device,
                    channels=spec.channels,
                    dtype="float32",
                    latency=spec.latency_s,
                    callback=callback,
                    clip_off=True,
                    dither_off=True,
                )
                stream.start()
        except Exception as error:
            if stream is not None:
                stream.close()
            raise DeviceError(f"The device could not be opened: {words(error)}.") from error
        _streams.add(stream)
        return stream


def close_stream(stream: Any) -> None:
    """Close a stream at once; what is not played yet is dropped. May be called twice."""
    with _lock:
        _streams.discard(stream)
        if not stream.closed:
            stream.abort()
            stream.close()


def is_active(stream: Any) -> bool:
    """Whether the stream still runs; a server's death or `refresh` ends it."""
    with _lock, contextlib.suppress(Exception):
        return bool(stream.active)
    return False


def find_server_device(*, is_output: bool = False) -> int | None:
    """Index of the ALSA plugin that leads to the sound server, or None."""
    kind = "max_output_channels" if is_output else "max_input_channels"
    with _lock:
        found = {
            item["name"]: index
            for index, item in enumerate(_module().query_devices())
            if item[kind] > 0
        }
    names = (*SERVER_DEVICES, "default") if is_output else SERVER_DEVICES
    return next((found[name] for name in names if name in found), None)


def describe(devices: Sequence[Any], host_apis: Sequence[Any]) -> tuple[Device, ...]:
    """PortAudio's lists as devices with stable names; equal names get a number."""
    result: list[Device] = []
    seen: dict[str, int] = {}
    for index, item in enumerate(devices):
        api = host_apis[item["hostapi"]]
        name = f"{api['name']}: {item['name']}"
        seen[name] = seen.get(name, 0) + 1
        if seen[name] > 1:
            name = f"{name} #{seen[name]}"
        result.append(
            Device(
                index=index,
                name=name,
                label=item["name"],
                host_api=api["name"],
                inputs=item["max_input_channels"],
                outputs=item["max_output_channels"],
                rate=round(item["default_samplerate"]),
                is_default_input=api["default_input_device"] == index,
            )
        )
    return tuple(result)
