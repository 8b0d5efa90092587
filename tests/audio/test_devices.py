"""Sources are listed with stable names, and their absence is explained."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import pytest

from songid_desktop.audio import devices, portaudio, soundprocess, soundserver
from songid_desktop.errors import DeviceError
from songid_desktop.types import Source, SourceKind
from tests.support.sound import MICROPHONE, SINK, PrivateSoundServer, wait_until

MIC = Source("mic", "Mic", SourceKind.MICROPHONE)
USB = Source("usb", "USB", SourceKind.MICROPHONE, is_default=True)
MONITOR = Source("sink.monitor", "What the computer plays", SourceKind.MONITOR)


@pytest.mark.sound
def test_microphones_and_monitors_are_listed(server: PrivateSoundServer) -> None:
    by_name = {source.name: source for source in devices.list_sources()}
    assert by_name[MICROPHONE] == Source(
        MICROPHONE, "Test microphone", SourceKind.MICROPHONE, is_default=True
    )
    monitor = by_name[SINK + ".monitor"]
    assert monitor.kind is SourceKind.MONITOR
    assert monitor.description == "What the computer plays (Test speaker)"
    assert not monitor.is_default


@pytest.mark.sound
def test_a_monitor_is_told_by_what_it_is_not_by_its_name(server: PrivateSoundServer) -> None:
    server.add_microphone("my.monitor", "Stage monitor mic")
    kinds = {source.name: source.kind for source in devices.list_sources()}
    assert kinds["my.monitor"] is SourceKind.MICROPHONE


@pytest.mark.sound
def test_plugging_is_seen_and_noticed(server: PrivateSoundServer) -> None:
    watch = soundserver.Watch()
    try:
        assert watch.is_alive
        mutes = itertools.cycle((True, False))

        def is_subscribed() -> bool:
            server.set_muted(MICROPHONE, next(mutes))
            return watch.has_news()

        wait_until(is_subscribed)
        server.add_microphone("usb", 'Müllers "Mikro"')
        wait_until(watch.has_news)
        assert "usb" in {source.name for source in devices.list_sources()}
        server.remove("usb")
        wait_until(watch.has_news)
        assert "usb" not in {source.name for source in devices.list_sources()}
        server.kill()
        wait_until(lambda: not watch.is_alive)
        assert watch.has_news()
        assert not watch.has_news()
    finally:
        watch.close()


@pytest.mark.sound
def test_no_server_is_said_in_a_sentence(server: PrivateSoundServer) -> None:
    server.kill()
    started = time.monotonic()
    with pytest.raises(DeviceError, match=r"No sound server is running.*systemctl") as caught:
        devices.list_sources()
    assert time.monotonic() - started < 5.0
    assert "Traceback" not in str(caught.value)


def test_no_pactl_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(soundprocess, "list_devices", lambda: ())
    with pytest.raises(DeviceError, match="pulseaudio-utils"):
        devices.list_sources()


def _device(index: int, label: str, api: str, *, default: bool = False) -> portaudio.Device:
    return portaudio.Device(index, f"{api}: {label}", label, api, 1, 0, 48_000, default)


def test_without_pactl_the_default_microphone_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(soundprocess, "list_devices", lambda: (_device(0, "pulse", "ALSA"),))
    (source,) = devices.list_sources()
    assert source.description == "The system's default microphone"


@pytest.mark.sound
def test_a_dead_server_leaves_only_real_devices(
    server: PrivateSoundServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.kill()
    card = _device(1, "Card: ALC (hw:0,0)", "ALSA", default=True)
    monkeypatch.setattr(soundprocess, "list_devices", lambda: (_device(0, "pulse", "ALSA"), card))
    assert [source.name for source in devices.list_sources()] == [card.name]


def test_no_portaudio_names_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')\n")
    monkeypatch.syspath_prepend(tmp_path)  # the sound process looks where we do
    with pytest.raises(DeviceError, match="libportaudio2"):
        soundprocess.list_devices()
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(DeviceError, match="libportaudio2"):
        devices.list_sources()


def test_what_is_wanted_is_chosen_else_the_default() -> None:
    sources = (MIC, USB, MONITOR)
    assert devices.choose(sources, "sink.monitor") == MONITOR
    assert devices.choose(sources, "") == USB
    assert devices.choose(sources, "gone") == USB
    assert devices.choose((MIC, MONITOR), "gone") == MIC


def test_portaudio_devices_get_names_that_last() -> None:
    apis = [
        {"name": "MME", "default_input_device": -1},
        {"name": "Windows WASAPI", "default_input_device": 2},
    ]
    items = [
        ("Mic", 0, 2, 0),
        ("Loudspeaker", 0, 0, 2),
        ("Mic", 1, 1, 0),
        ("Mic", 1, 1, 0),
        ("Loudspeaker [Loopback]", 1, 2, 0),
    ]
    listed = portaudio.describe(
        [
            {
                "name": name,
                "hostapi": api,
                "max_input_channels": inputs,
                "max_output_channels": outputs,
                "default_samplerate": 44_100.0,
            }
            for name, api, inputs, outputs in items
        ],
        apis,
    )
    assert [device.name for device in listed] == [
        "MME: Mic",
        "MME: Loudspeaker",
        "Windows WASAPI: Mic",
        "Windows WASAPI: Mic #2",
        "Windows WASAPI: Loudspeaker [Loopback]",
    ]
    assert [device.is_default_input for device in listed] == [False, False, True, False, False]


def test_windows_lists_each_device_once(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = (
        _device(0, "Mic", "MME"),
        _device(1, "Mic", "Windows WASAPI", default=True),
        _device(2, "Speakers [Loopback]", "Windows WASAPI"),
    )
    monkeypatch.setattr(devices.sys, "platform", "win32")
    monkeypatch.setattr(soundprocess, "list_devices", lambda: listed)
    assert devices.list_sources() == (
        Source("Windows WASAPI: Mic", "Mic", SourceKind.MICROPHONE, is_default=True),
        Source(
            "Windows WASAPI: Speakers [Loopback]",
            "What the computer plays (Speakers)",
            SourceKind.MONITOR,
        ),
    )
