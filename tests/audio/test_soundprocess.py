"""PortAudio may hang, crash or be killed: listening goes on, and nothing is left behind."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from songid_desktop.audio import soundprocess
from songid_desktop.audio.capture import Capture, CaptureState, CaptureStatus
from songid_desktop.audio.feed import Feed
from songid_desktop.audio.portaudio import StreamSpec
from songid_desktop.audio.ring import Ring
from songid_desktop.audio.soundprocess import SoundProcess, SoundProcessLost
from songid_desktop.errors import Cancelled, DeviceError
from tests.support.guards import child_processes
from tests.support.sound import MICROPHONE, PrivateSoundServer, wait_until

RATE = 48_000
FAKE_PORTAUDIO = '''
"""Stands for sounddevice: does what a test wants of PortAudio."""
import os, threading, time
_initialized = 1
CARD = {"name": "Card", "hostapi": 0, "max_input_channels": 2, "max_output_channels": 2,
        "default_samplerate": 48000.0}
def query_devices():
    return [CARD]
def query_hostapis():
    return [{"name": "Fake", "default_input_device": 0}]
def _terminate():
    global _initialized
    _initialized -= 1
def _initialize():
    global _initialized
    _initialized += 1
class Fine:
    input_overflow = False
class Stream:
    latency = 0.01
    def __init__(self, callback, finished_callback, channels, blocksize, **_):
        self.callback, self.finished, self.channels = callback, finished_callback, channels
        self.frames = blocksize
        self.is_over = False
    def start(self):
        mode = os.environ.get("SID_FAKE", "")
        if mode == "hang":
            time.sleep(60)
        elif mode == "dies while it starts":
            self.finished()
            time.sleep(60)
        elif mode == "crash":
            os.abort()
        elif mode == "refuse":
            raise RuntimeError("Invalid sample rate [PaErrorCode -9997]", -9997)
        else:
            threading.Thread(target=self.run, daemon=True).start()
    def abort(self):
        self.is_over = True
    def close(self):
        self.is_over = True
class RawInputStream(Stream):
    def run(self):
        at = 0
        while at < 200 * self.frames:
            block = bytearray()
            for frame in range(at, at + self.frames):
                for channel in range(self.channels):
                    block += FLOATS.pack(frame / 65536)
            self.callback(block, self.frames, None, Fine)
            at += self.frames
        self.finished()
class RawOutputStream(Stream):
    def run(self):
        with open(os.environ["SID_PLAYED"], "wb", buffering=0) as played:
            while not self.is_over:
                block = bytearray(4 * self.frames * self.channels)
                self.callback(memoryview(block), self.frames, None, Fine)
                played.write(block)
                time.sleep(self.frames / 480000)  # ten times as fast as sound
        self.finished()
import struct
FLOATS = struct.Struct("<f")
'''


def spec(channels: int = 1, **env: str) -> StreamSpec:
    return StreamSpec(0, RATE, channels, 48, 0.04, env)


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PortAudio that can be told to misbehave, by the variable SID_FAKE."""
    (tmp_path / "sounddevice.py").write_text(FAKE_PORTAUDIO)
    monkeypatch.syspath_prepend(tmp_path)  # the sound process looks where we do


@pytest.fixture
def process(fake: None) -> Iterator[SoundProcess]:
    process = SoundProcess()
    yield process
    process.kill()


@pytest.mark.parametrize("channels", [1, 2])
def test_every_frame_arrives_in_its_place(process: SoundProcess, channels: int) -> None:
    ring = Ring(RATE)
    stream = process.open_input(spec(channels), Feed(ring, RATE, channels))
    wait_until(lambda: not process.is_active(stream))  # it ended by itself, after all its sound
    assert np.array_equal(ring.latest(1.0).samples * 65_536, np.arange(200 * 48))


def test_a_refusal_is_told_in_portaudios_words(process: SoundProcess) -> None:
    with pytest.raises(DeviceError) as caught:
        process.open_input(spec(SID_FAKE="refuse"), Feed(Ring(RATE), RATE, 1))
    assert str(caught.value) == "The device could not be opened: Invalid sample rate."
    assert process.pid is not None


@pytest.mark.parametrize("mode", ["hang", "crash", "dies while it starts"])
def test_what_hangs_or_crashes_is_ended_and_started_anew(
    process: SoundProcess, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    process.devices()
    monkeypatch.setattr(process, "_patience_s", 0.5 if mode == "hang" else 60.0)
    first, begun = process.pid, time.monotonic()
    with pytest.raises(SoundProcessLost):
        process.open_input(spec(SID_FAKE=mode), Feed(Ring(RATE), RATE, 1))
    assert time.monotonic() - begun < 5
    assert process.pid is None
    ring = Ring(RATE)
    process.open_input(spec(), Feed(ring, RATE, 1))
    assert process.pid != first
    wait_until(lambda: ring.position > 0)


def test_patience_grows_with_each_silence_and_returns_with_an_answer(
    process: SoundProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    process.devices()
    normal = process._patience_s
    monkeypatch.setattr(process, "_patience_s", 0.2)
    with pytest.raises(SoundProcessLost, match="does not answer"):
        process.open_input(spec(SID_FAKE="hang"), Feed(Ring(RATE), RATE, 1))
    assert process._patience_s == pytest.approx(0.4)
    monkeypatch.setattr(process, "_patience_s", 60.0)  # a busy machine starts slowly
    process.devices()
    assert process._patience_s == normal


def test_asking_for_something_else_ends_the_waiting(fake: None) -> None:
    begun = time.monotonic()
    process = SoundProcess(lambda: time.monotonic() - begun > 1.0)
    try:
        with pytest.raises(Cancelled):
            process.open_input(spec(SID_FAKE="hang"), Feed(Ring(RATE), RATE, 1))
        assert time.monotonic() - begun < 2.5
        assert process.pid is None
    finally:
        process.kill()


def test_nothing_reaches_a_feed_that_was_let_go(process: SoundProcess) -> None:
    ring = Ring(RATE)
    process.open_input(spec(), Feed(ring, RATE, 1))
    wait_until(lambda: ring.position > 0)
    process.close_stream()
    position = ring.position
    process.open_input(spec(), Feed(Ring(RATE), RATE, 1))
    wait_until(lambda: not process.is_active(2))
    assert ring.position == position


def test_what_is_given_is_played_then_silence(process: SoundProcess, tmp_path: Path) -> None:
    told: list[tuple[int, bool]] = []
    given = np.random.default_rng(0).uniform(-1, 1, (1_000, 2)).astype(np.float32)
    output = spec(2, SID_PLAYED=str(tmp_path / "played"))
    stream, latency_s = process.open_output(output, lambda *note: told.append(note))
    assert latency_s == 0.01
    for at in range(0, 1_000, 70):  # pieces that are no multiple of a block
        process.play(stream, given[at : at + 70])
    wait_until(lambda: told and told[-1] == (1_000, False))
    process.close_stream()
    played = np.fromfile(tmp_path / "played", np.float32).reshape(-1, 2)
    begun = np.flatnonzero(played.any(axis=1))[0]
    # While a piece was on its way the callback may have found nothing: the order is what counts.
    assert np.array_equal(played[played.any(axis=1)], given)
    assert not played[begun + 1_000 + 20 * 48 :].any()


def test_fading_ends_in_silence_without_a_click(process: SoundProcess, tmp_path: Path) -> None:
    told: list[tuple[int, bool]] = []
    output = spec(2, SID_PLAYED=str(tmp_path / "played"))
    stream, _ = process.open_output(output, lambda *note: told.append(note))
    process.play(stream, np.full((48_000, 2), 0.5, np.float32))
    wait_until(lambda: told and told[-1][0] > 480)
    process.fade(stream)
    wait_until(lambda: told[-1][1])
    process.close_stream()
    played = np.fromfile(tmp_path / "played", np.float32).reshape(-1, 2)
    end = np.flatnonzero(played[:, 0])[-1]
    assert np.abs(np.diff(played[end - 40 : end + 2, 0])).max() < 0.02
    assert np.array_equal(played[:, 0], played[:, 1])
    assert told[-1][0] < 48_000


def test_a_machine_that_starts_no_process_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    told: list[CaptureStatus] = []
    with pytest.raises(DeviceError, match=r"can't be started \(Resource temporarily"):
        SoundProcess().devices()
    capture = Capture(told.append)
    try:
        capture.start()
        wait_until(lambda: capture.status.state is CaptureState.LOST)
        assert "can't be started" in capture.status.message
        assert capture.status.message.endswith("It is tried again by itself.")
    finally:
        capture.close()


def test_the_sound_process_is_light() -> None:
    """It starts in a tenth of a second, since Listen waits for it."""
    code = (
        "import sys, songid_desktop.audio.soundworker as worker;"
        "print([name for name in ('numpy', 'scipy', 'av', 'PySide6', 'dataclasses', 'inspect',"
        " 'asyncio', 'multiprocessing') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# -- with a real sound server ----------------------------------------------------------------


def sound_processes() -> list[int]:
    return [pid for pid, command in child_processes().items() if "soundworker" in command]


def is_running(pid: int) -> bool:
    """Whether the process lives; one that only waits to be buried does not."""
    return child_processes().get(pid, "(zombie)") != "(zombie)"


class Ear:
    """A capture and all it said."""

    def __init__(self) -> None:
        self.told: list[CaptureStatus] = []
        self.capture = Capture(self.told.append)

    def start(self) -> None:
        self.capture.start()
        self.wait(CaptureState.RUNNING)

    def wait(self, state: CaptureState) -> None:
        wait_until(lambda: self.capture.status.state is state, 15, f"{state}: {self.told}")

    def is_hearing(self) -> bool:
        position = self.capture.ring.position
        wait_until(lambda: self.capture.ring.position > position + RATE // 2, 10, "sound")
        return True


@pytest.fixture
def ear() -> Iterator[Ear]:
    ear = Ear()
    yield ear
    ear.capture.close()


@pytest.mark.sound
def test_listening_outlives_the_death_of_its_process(server: PrivateSoundServer, ear: Ear) -> None:
    ear.start()
    (first,) = sound_processes()
    os.kill(first, signal.SIGKILL)
    ear.wait(CaptureState.LOST)
    assert ear.capture.status.message == "The sound system broke down. It is tried again by itself."
    ear.wait(CaptureState.RUNNING)
    assert ear.is_hearing()
    assert sound_processes() != [first]
    assert len(sound_processes()) == 1


@pytest.mark.sound
def test_what_is_ready_stays_closed_and_is_used(server: PrivateSoundServer, ear: Ear) -> None:
    at_rest = server.recording_count()
    ear.capture.get_ready()
    wait_until(sound_processes)
    ready = sound_processes()
    assert server.recording_count() == at_rest
    assert ear.told == []
    ear.start()
    assert sound_processes() == ready
    ear.capture.stop()
    assert sound_processes() == ready
    ear.capture.close()
    wait_until(lambda: sound_processes() == [])
    ear.capture.get_ready()
    assert sound_processes() == []


@pytest.mark.sound
def test_a_process_that_died_while_nobody_listened(server: PrivateSoundServer, ear: Ear) -> None:
    ear.capture.get_ready()
    wait_until(sound_processes)
    (first,) = sound_processes()
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: not is_running(first))
    ear.start()
    assert ear.is_hearing()
    assert all(status.state is not CaptureState.LOST for status in ear.told)


@pytest.mark.sound
def test_a_process_that_stands_still_is_replaced(server: PrivateSoundServer, ear: Ear) -> None:
    ear.start()
    (first,) = sound_processes()
    os.kill(first, signal.SIGSTOP)
    ear.wait(CaptureState.STALLED)
    ear.wait(CaptureState.LOST)
    ear.wait(CaptureState.RUNNING)
    assert ear.is_hearing()
    assert sound_processes() != [first]


@pytest.mark.sound
def test_even_a_hanging_sound_system_can_be_stopped(server: PrivateSoundServer, ear: Ear) -> None:
    ear.start()
    ear.capture.stop()
    (first,) = sound_processes()
    os.kill(first, signal.SIGSTOP)
    ear.capture.start()
    wait_until(lambda: "does not answer" in ear.capture.status.message)
    started = time.monotonic()
    ear.capture.stop()
    assert time.monotonic() - started < 0.2
    assert ear.capture.status.state is CaptureState.CLOSED
    ear.start()
    assert ear.is_hearing()


@pytest.mark.sound
@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_server_that_dies_while_the_microphone_opens(
    server: PrivateSoundServer, ear: Ear
) -> None:
    """At every moment of opening: here PortAudio can wait for ever for a stream that has died."""
    for attempt in range(8):
        at_rest = server.recording_count()
        ear.told.clear()
        ear.capture.start()
        wait_until(lambda: server.recording_count() > at_rest)  # noqa: B023 - used in this round
        server.kill()
        server.start()
        wait_until(lambda: server.recording_count() > at_rest, 20, f"{attempt}: {ear.told}")  # noqa: B023
        ear.wait(CaptureState.RUNNING)
        assert ear.is_hearing()
        # What happened was told, in sentences that say that it goes on by itself.
        losses = [status.message for status in ear.told if status.state is CaptureState.LOST]
        assert losses
        assert all(re.search(r"by itself", message) for message in losses)
        ear.capture.stop()
        wait_until(lambda: server.recording_count() == at_rest)  # noqa: B023


_LISTENING_PROGRAM = """
import signal, time
from songid_desktop.audio.capture import Capture
# A background job of a shell would have it ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
capture = Capture()
capture.start()
while capture.ring.position < 24_000:
    time.sleep(0.01)
print("listening", flush=True)
time.sleep(60)
"""


_HELD_UP_PROGRAM = """
import sys, time
from songid_desktop.audio.capture import Capture
told = []
capture = Capture(told.append)
capture.start()
while capture.ring.position < 48_000:
    time.sleep(0.01)
begun, before = time.monotonic(), capture.ring.position
print("listening", flush=True)
while time.monotonic() - begun < 5.0:
    time.sleep(0.01)
time.sleep(1.5)  # losses are counted over a second
heard_s = (capture.ring.position - before) / 48_000
print(abs(heard_s - (time.monotonic() - begun)) < 0.2, capture.status.lost_samples,
      sorted({status.state for status in told} - {"opening"}))
capture.close()
"""


@pytest.mark.sound
@pytest.mark.slow
def test_a_program_that_is_held_up_loses_no_sound(
    server: PrivateSoundServer, project: Path
) -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", _HELD_UP_PROGRAM], cwd=project, stdout=subprocess.PIPE, text=True
    )
    with program:
        assert program.stdout is not None
        try:
            assert program.stdout.readline().strip() == "listening"
            program.send_signal(signal.SIGSTOP)
            with contextlib.suppress(subprocess.TimeoutExpired):
                program.wait(4.0)
            program.send_signal(signal.SIGCONT)
            assert program.stdout.readline().strip() == "True 0 [<CaptureState.RUNNING: 'running'>]"
        finally:
            program.kill()


@pytest.mark.sound
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_program_leaves_no_process(
    server: PrivateSoundServer, project: Path, how: signal.Signals
) -> None:
    def command_of(process: psutil.Process) -> str:
        try:
            return " ".join(process.cmdline())
        except psutil.Error:  # it has ended
            return ""

    program = subprocess.Popen(
        [sys.executable, "-c", _LISTENING_PROGRAM],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with program:
        assert program.stdout is not None
        try:
            assert program.stdout.readline().strip() == b"listening"
            children = psutil.Process(program.pid).children(recursive=True)
            commands = [command_of(child) for child in children]
            assert any("soundworker" in command for command in commands)
            assert any("pactl subscribe" in command for command in commands)
            program.send_signal(how)
            program.wait(10)
            wait_until(lambda: not any(map(command_of, children)), 5, "the end of all children")
        finally:
            program.kill()


@pytest.mark.sound
def test_the_frozen_program_is_its_own_sound_process(
    server: PrivateSoundServer, project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A frozen program has no interpreter: it starts itself, with one argument."""
    frozen = tmp_path / "songid-desktop"
    frozen.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(project)!r})\n"
        "from songid_desktop.__main__ import main_window\nsys.exit(main_window())\n"
    )
    frozen.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(frozen))
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert any(device.inputs for device in soundprocess.list_devices())
    capture = Capture()
    try:
        capture.start()
        wait_until(lambda: capture.ring.position > RATE // 4)
        source = capture.status.source
        assert source is not None
        assert source.name == MICROPHONE
    finally:
        capture.close()
