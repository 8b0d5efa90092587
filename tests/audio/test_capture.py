"""Listening survives whatever happens to the source, and says what happened."""

from __future__ import annotations

import gc
import os
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from songid_desktop.audio import portaudio
from songid_desktop.audio.capture import SAMPLE_RATE, Capture, CaptureState, CaptureStatus
from songid_desktop.audio.feed import Feed
from songid_desktop.audio.levels import measure
from songid_desktop.audio.soundprocess import SoundProcess
from songid_desktop.errors import DeviceError
from tests.support.guards import child_processes
from tests.support.sound import MICROPHONE, SINK, PrivateSoundServer, wait_until

pytestmark = pytest.mark.sound


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(0, 0.1, round(seconds * SAMPLE_RATE)).astype(np.float32)


class Listener:
    """A capture and all it said."""

    def __init__(self) -> None:
        self.told: list[CaptureStatus] = []
        self.capture = Capture(self.told.append)

    def wait(self, state: CaptureState, source: str | None = None) -> CaptureStatus:
        def is_there() -> bool:
            status = self.capture.status
            name = status.source.name if status.source is not None else None
            return status.state is state and source in (None, name)

        wait_until(is_there, 15.0, f"{state} {source}, but {self.told}")
        return self.capture.status

    def hear(self, seconds: float) -> np.ndarray:
        """The next `seconds` from now."""
        begin = self.capture.ring.position
        end = begin + round(seconds * SAMPLE_RATE)
        wait_until(lambda: self.capture.ring.position >= end, 15.0, "sound")
        return self.capture.ring.between(begin, end).samples


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.capture.close()


def likeness(heard: np.ndarray, played: np.ndarray) -> float:
    """Correlation, 0 … 1, of what was heard with the place in `played` where it fits best: the
    median over pieces of 0.1 s, since a busy machine makes the virtual cable itself skip."""
    return statistics.median(_piece_likeness(heard[at : at + 4_800], played)
                             for at in range(0, len(heard) - 4_799, 4_800))  # fmt: skip


def _piece_likeness(piece: np.ndarray, played: np.ndarray) -> float:
    size = 1 << (len(piece) + len(played)).bit_length()
    product = np.fft.irfft(np.fft.rfft(played, size) * np.conj(np.fft.rfft(piece, size)), size)
    at = int(np.argmax(product[: len(played) - len(piece)]))
    part = played[at : at + len(piece)]
    return float(piece @ part / (np.linalg.norm(piece) * np.linalg.norm(part)))


def test_what_is_played_is_what_is_heard(server: PrivateSoundServer, listener: Listener) -> None:
    played = noise(6.0)
    started = time.monotonic()
    listener.capture.start()
    assert time.monotonic() - started < 0.05
    status = listener.wait(CaptureState.RUNNING, MICROPHONE)
    assert (status.message, status.wanted, status.device_rate) == ("", "", SAMPLE_RATE)
    server.play(played)
    wait_until(lambda: measure(listener.capture.ring.latest(0.1).samples).rms_dbfs > -40)
    assert likeness(listener.hear(1.0), played) > 0.999


def test_a_monitor_hears_what_the_computer_plays(
    server: PrivateSoundServer, listener: Listener
) -> None:
    server.add_sink("headphones", "Headphones")
    listener.capture.start("headphones.monitor")
    listener.wait(CaptureState.RUNNING, "headphones.monitor")
    server.play(noise(6.0, seed=1))  # elsewhere
    played = noise(6.0, seed=2)
    server.play(played, sink="headphones")
    wait_until(lambda: measure(listener.capture.ring.latest(0.1).samples).rms_dbfs > -40)
    assert likeness(listener.hear(1.0), played) > 0.999


def test_an_idle_virtual_microphone_gives_exact_zeros(
    server: PrivateSoundServer, listener: Listener
) -> None:
    listener.capture.start()
    listener.wait(CaptureState.RUNNING)
    assert measure(listener.hear(0.5)).is_exact_zero


def test_unplugging_falls_back_and_replugging_returns(
    server: PrivateSoundServer, listener: Listener
) -> None:
    server.add_microphone("usb", "USB microphone")
    listener.capture.start("usb")
    listener.wait(CaptureState.RUNNING, "usb")
    listener.hear(0.2)
    server.remove("usb")
    status = listener.wait(CaptureState.RUNNING, MICROPHONE)
    assert status.wanted == "usb"
    assert status.message == (
        "USB microphone was unplugged. Using Test microphone instead; it comes back by itself."
    )
    listener.hear(0.2)
    server.add_microphone("usb", "USB microphone")
    assert listener.wait(CaptureState.RUNNING, "usb").message == ""
    listener.hear(0.2)


def test_an_unknown_source_falls_back_and_says_so(
    server: PrivateSoundServer, listener: Listener
) -> None:
    listener.capture.start("long gone")
    status = listener.wait(CaptureState.RUNNING, MICROPHONE)
    assert status.message.startswith("long gone is not connected. Using Test microphone instead")


def test_without_any_microphone_the_computer_is_heard_and_that_is_said(
    server: PrivateSoundServer, listener: Listener
) -> None:
    server.remove(MICROPHONE)
    listener.capture.start()
    status = listener.wait(CaptureState.RUNNING, SINK + ".monitor")
    assert "No microphone is connected" in status.message


def test_the_server_dies_and_comes_back(server: PrivateSoundServer, listener: Listener) -> None:
    listener.capture.start()
    listener.wait(CaptureState.RUNNING)
    listener.hear(0.3)
    before, killed_at = listener.capture.ring.position, time.monotonic()
    server.kill()
    assert listener.wait(CaptureState.LOST).message.endswith("It is tried again by itself.")
    server.start()
    listener.wait(CaptureState.RUNNING, MICROPHONE)
    played = noise(6.0, seed=3)
    server.play(played)
    wait_until(lambda: measure(listener.capture.ring.latest(0.1).samples).rms_dbfs > -40)
    assert likeness(listener.hear(1.0), played) > 0.999
    # the ring's clock went on meanwhile: what is heard keeps its place in time
    gone_s = time.monotonic() - killed_at
    counted_s = (listener.capture.ring.position - before) / SAMPLE_RATE
    assert counted_s == pytest.approx(gone_s, abs=0.25)


def test_without_a_server_it_waits_for_one(server: PrivateSoundServer, listener: Listener) -> None:
    server.kill()
    listener.capture.start()
    assert "No sound server is running" in listener.wait(CaptureState.LOST).message
    started = time.monotonic()
    listener.capture.stop()
    assert time.monotonic() - started < 0.2
    listener.capture.start()
    server.start()
    listener.wait(CaptureState.RUNNING, MICROPHONE)


def test_a_frozen_server_is_a_stall(server: PrivateSoundServer, listener: Listener) -> None:
    listener.capture.start()
    listener.wait(CaptureState.RUNNING)
    listener.hear(0.2)
    with server.frozen():
        status = listener.wait(CaptureState.STALLED)
        assert status.message == "No sound arrives from Test microphone."
    listener.wait(CaptureState.RUNNING)


def test_stopping_closes_the_microphone_at_once(
    server: PrivateSoundServer, listener: Listener
) -> None:
    listener.capture.start()
    listener.wait(CaptureState.RUNNING)
    assert server.recording_count() > 0
    others = server.recording_count() - 1
    started = time.monotonic()
    listener.capture.stop()
    assert time.monotonic() - started < 0.2
    assert listener.capture.status.state is CaptureState.CLOSED
    position = listener.capture.ring.position
    wait_until(lambda: server.recording_count() == others)
    assert listener.capture.ring.position == position


def test_a_device_that_refuses_the_rate_is_resampled(
    server: PrivateSoundServer, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = SoundProcess.open_input

    def picky(self: SoundProcess, spec: portaudio.StreamSpec, feed: Feed) -> int:
        if spec.rate != 44_100:
            raise DeviceError("The device could not be opened: Invalid sample rate.")
        return real(self, spec, feed)

    def card(self: SoundProcess, name: str) -> portaudio.Device:
        index = self.find_server_device()
        assert index is not None
        return portaudio.Device(index, MICROPHONE, "Picky", "ALSA", 2, 0, 44_100, True)

    monkeypatch.setattr(SoundProcess, "open_input", picky)
    monkeypatch.setattr(SoundProcess, "find_device", card)
    played = noise(6.0, seed=4)
    listener.capture.start()
    assert listener.wait(CaptureState.RUNNING).device_rate == 44_100
    server.play(played)
    wait_until(lambda: measure(listener.capture.ring.latest(0.1).samples).rms_dbfs > -40)
    heard = listener.hear(1.0)
    assert likeness(heard, played) > 0.8  # white noise, of which the top fifth is cut off


def test_a_muted_source_is_told(server: PrivateSoundServer, listener: Listener) -> None:
    listener.capture.start()
    listener.wait(CaptureState.RUNNING)
    server.set_muted(MICROPHONE, True)
    wait_until(lambda: "Test microphone is muted" in listener.capture.status.message)
    server.set_muted(MICROPHONE, False)
    wait_until(lambda: listener.capture.status.message == "")


def test_changing_over_while_listening(server: PrivateSoundServer, listener: Listener) -> None:
    server.add_microphone("usb", "USB microphone")
    listener.capture.start()
    listener.wait(CaptureState.RUNNING, MICROPHONE)
    listener.capture.start("usb")
    listener.wait(CaptureState.RUNNING, "usb")
    listener.capture.start("")
    listener.wait(CaptureState.RUNNING, MICROPHONE)


def test_the_environment_is_as_before(server: PrivateSoundServer, listener: Listener) -> None:
    before = dict(os.environ)
    listener.capture.start()
    listener.wait(CaptureState.RUNNING)
    assert dict(os.environ) == before


def test_a_listener_that_fails_stops_nothing(
    server: PrivateSoundServer, warning_log: object
) -> None:
    warning_log.allow("listener to the capture's status failed")  # type: ignore[attr-defined]

    def fail(status: CaptureStatus) -> None:
        raise RuntimeError(str(status.state))

    capture = Capture(fail)
    try:
        capture.start()
        wait_until(lambda: capture.status.state is CaptureState.RUNNING)
    finally:
        capture.close()


def test_closing_twice_and_starting_after(listener: Listener) -> None:
    listener.capture.stop()
    listener.capture.close()
    listener.capture.close()
    with pytest.raises(RuntimeError, match="closed"):
        listener.capture.start()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_hundreds_of_cycles_leave_nothing_behind(
    server: PrivateSoundServer, listener: Listener
) -> None:
    def count(folder: str) -> int:
        return len(list(Path(folder).iterdir()))

    def handles() -> int:
        return count("/proc/self/fd")

    def memory_kb(pid: int | str = "self") -> int:
        gc.collect()
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4

    def children() -> list[int]:
        return [pid for pid, command in child_processes().items() if "soundworker" in command]

    def cycle() -> None:
        listener.capture.start()
        listener.wait(CaptureState.RUNNING)
        listener.capture.stop()

    for _ in range(20):
        cycle()
    before = handles(), threading.active_count(), count("/proc/self/task"), memory_kb()
    (child,) = children()
    of_child = count(f"/proc/{child}/fd"), count(f"/proc/{child}/task"), memory_kb(child)
    for _ in range(200):
        cycle()
    wait_until(lambda: handles() <= before[0])
    assert threading.active_count() <= before[1]
    assert count("/proc/self/task") <= before[2]
    assert memory_kb() - before[3] < 10_000
    assert children() == [child]
    wait_until(lambda: count(f"/proc/{child}/fd") <= of_child[0])
    assert count(f"/proc/{child}/task") <= of_child[1]
    assert memory_kb(child) - of_child[2] < 10_000
    listener.capture.start()
    listener.wait(CaptureState.RUNNING)
