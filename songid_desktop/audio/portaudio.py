"""PortAudio's view of things: its devices under names that last, and how to open one.

PortAudio itself is only called in the sound process (`soundworker`). It reads the list of devices
once, when it is initialised, and after a sound server's death every opening fails until it has been
terminated and initialised again.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from songid_desktop.errors import DeviceError

SERVER_DEVICES = ("pulse", "pipewire")
"""ALSA's plugins that lead to the sound server, best first: only the first also knows monitors."""


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
    """How to open a stream. `env` holds what the sound server's plugins read when one is opened."""

    device: int | None
    rate: int
    channels: int
    block_frames: int
    latency_s: float
    env: Mapping[str, str]


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
