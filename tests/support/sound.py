"""A sound server of one's own, with microphones that are only software.

PipeWire runs in a private runtime folder on a private bus; the user's own server is neither used
nor seen. Everything started here is ended by its process number.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

PROGRAMS = ("dbus-daemon", "pipewire", "wireplumber", "pipewire-pulse", "pactl", "paplay")
SINK = "songid_test_speaker"
MICROPHONE = "songid_test_microphone"


def missing_programs() -> tuple[str, ...]:
    """The programs of `PROGRAMS` that are not installed."""
    return tuple(name for name in PROGRAMS if shutil.which(name) is None)


def wait_until(claim: Callable[[], Any], timeout_s: float = 10.0, what: str = "") -> Any:
    """Wait until `claim()` is true and return what it gave.

    Raises
    ------
    TimeoutError
        When it is not within `timeout_s`.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        value = claim()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {timeout_s} s: {what or claim}")
        time.sleep(0.01)


class PrivateSoundServer:
    """Bus, PipeWire, session manager and PulseAudio interface in a folder of their own.

    Parameters
    ----------
    has_microphone : bool
        Begin with the loudspeaker `SINK` and the microphone `MICROPHONE` that hears it.

    Attributes
    ----------
    env : dict
        Environment under which a program uses this server.
    """

    def __init__(self, *, has_microphone: bool = True) -> None:
        missing = missing_programs()
        if missing:
            raise FileNotFoundError(f"not installed: {', '.join(missing)}")
        self.folder = Path(tempfile.mkdtemp(prefix="sid-", dir="/tmp"))  # sockets want short paths
        runtime = self.folder / "run"
        runtime.mkdir(mode=0o700)
        bus = f"unix:path={runtime}/bus"
        self.own_env = {
            "XDG_RUNTIME_DIR": str(runtime),
            "PIPEWIRE_RUNTIME_DIR": str(runtime),
            "PULSE_RUNTIME_PATH": str(runtime / "pulse"),
            "PULSE_SERVER": f"unix:{runtime}/pulse/native",
            "DBUS_SESSION_BUS_ADDRESS": bus,
            "DBUS_SYSTEM_BUS_ADDRESS": bus,
            "HOME": str(self.folder),
            "XDG_CONFIG_HOME": str(self.folder / "config"),
            "XDG_STATE_HOME": str(self.folder / "state"),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
        }
        self.env = {**os.environ, **self.own_env}
        for name in ("PULSE_SOURCE", "PULSE_SINK", "PIPEWIRE_NODE", "PIPEWIRE_REMOTE"):
            self.env.pop(name, None)
        self._bus = bus
        self._bus_process: subprocess.Popen[bytes] | None = None
        self._servers: list[subprocess.Popen[bytes]] = []
        self._players: list[subprocess.Popen[bytes]] = []
        self._modules: dict[str, str] = {}
        self._has_microphone = has_microphone
        self._do_without_bluetooth()
        try:
            self.start()
        except BaseException:
            self.close()
            raise

    # -- the server itself -------------------------------------------------------------------

    def start(self) -> None:
        """Start what does not run, with the loudspeaker and microphone when they are wanted."""
        if self._bus_process is None:
            self._bus_process = self._spawn(
                "dbus-daemon", "--session", "--nofork", "--nopidfile", f"--address={self._bus}"
            )
            bus_socket = Path(self._bus.removeprefix("unix:path="))
            wait_until(bus_socket.exists, what="the bus")
        runtime = Path(self.own_env["XDG_RUNTIME_DIR"])
        self._servers.append(self._spawn("pipewire"))
        # The file alone can be what a killed server left, and the session manager ends for good
        # when nobody listens behind it.
        wait_until(lambda: _answers(runtime / "pipewire-0"), what="PipeWire")
        self._servers.append(self._spawn("wireplumber"))
        self._servers.append(self._spawn("pipewire-pulse"))
        wait_until(lambda: self._pactl("info", check=False) is not None, what="pipewire-pulse")
        if self._has_microphone:
            self.add_sink(SINK, "Test speaker")
            self.add_microphone(MICROPHONE, "Test microphone", SINK)
            self.set_default_source(MICROPHONE)
            self.set_default_sink(SINK)

    def kill(self) -> None:
        """Kill the server as a crash would; the bus stays."""
        for process in self._servers:
            _end(process, signal.SIGKILL)
        self._servers.clear()
        self._modules.clear()

    def restart(self) -> None:
        """Kill the server and start it again."""
        self.kill()
        self.start()

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """The server stands still inside the `with` block, and goes on after it."""
        for process in self._servers:
            process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            for process in self._servers:
                process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End everything that was started and remove the folder."""
        self.stop_playing()
        for process in reversed(self._servers):
            _end(process, signal.SIGTERM)
        self._servers.clear()
        if self._bus_process is not None:
            _end(self._bus_process, signal.SIGTERM)
            self._bus_process = None
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # -- loudspeakers and microphones --------------------------------------------------------

    def add_sink(self, name: str, description: str = "") -> None:
        """Plug in a loudspeaker that only its monitor hears."""
        self._load(name, "module-null-sink", f"sink_name={name}", "rate=48000",
                   f"sink_properties='device.description=\"{description or name}\"'")  # fmt: skip
        self._wait_for(name + ".monitor")

    def add_microphone(self, name: str, description: str = "", sink: str = SINK) -> None:
        """Plug in a microphone that hears what is played to `sink`."""
        self._load(name, "module-remap-source", f"source_name={name}", f"master={sink}.monitor",
                   f"source_properties='device.description=\"{description or name}\"'")  # fmt: skip
        self._wait_for(name)

    def remove(self, name: str) -> None:
        """Unplug the loudspeaker or microphone of that name."""
        self._pactl("unload-module", self._modules.pop(name))
        wait_until(
            lambda: name not in self.source_names() and f"{name}.monitor" not in self.source_names()
        )

    def set_default_source(self, name: str) -> None:
        self._set_default("source", name)

    def set_default_sink(self, name: str) -> None:
        self._set_default("sink", name)

    def _set_default(self, kind: str, name: str) -> None:
        # "Not supported" until the session manager has put up its table of defaults.
        def is_set() -> bool:
            self._pactl(f"set-default-{kind}", name, check=False)
            return (self._pactl(f"get-default-{kind}", check=False) or "").strip() == name

        wait_until(is_set, what=f"default {kind} {name}")

    def set_muted(self, name: str, muted: bool) -> None:
        self._pactl("set-source-mute", name, "1" if muted else "0")

    def source_names(self) -> tuple[str, ...]:
        """Names of all sources as the server lists them."""
        listed = self._pactl("-f", "json", "list", "sources", check=False)
        return tuple(item["name"] for item in json.loads(listed)) if listed else ()

    def recording_count(self) -> int:
        """How many streams record at present."""
        listed = self._pactl("list", "short", "source-outputs", check=False) or ""
        return len(listed.splitlines())

    def playing_count(self) -> int:
        """How many streams play at present."""
        listed = self._pactl("list", "short", "sink-inputs", check=False) or ""
        return len(listed.splitlines())

    # -- playing -----------------------------------------------------------------------------

    def play(
        self,
        sound: npt.NDArray[np.float32] | Path,
        sample_rate: int = 48_000,
        sink: str = SINK,
    ) -> subprocess.Popen[bytes]:
        """Play a file, or mono samples (float32, shape (n,)), in the background."""
        if isinstance(sound, Path):
            path = sound
        else:
            path = self.folder / f"sound-{len(self._players)}-{time.monotonic_ns()}.wav"
            write_wav(path, sound, sample_rate)
        process = self._spawn("paplay", f"--device={sink}", "--latency-msec=50", str(path))
        self._players.append(process)
        return process

    def stop_playing(self) -> None:
        for process in self._players:
            _end(process, signal.SIGTERM)
        self._players.clear()

    # -- helpers -----------------------------------------------------------------------------

    def _do_without_bluetooth(self) -> None:
        # Its monitor asks logind who sits at the machine; in a container there is no logind, and
        # WirePlumber 0.4 then ends.
        folder = self.folder / "config" / "wireplumber" / "bluetooth.lua.d"
        folder.mkdir(parents=True)
        (folder / "60-none.lua").write_text("bluez_monitor.enabled = false\n")

    def _load(self, name: str, *arguments: str) -> None:
        number = self._pactl("load-module", *arguments)
        assert number is not None
        self._modules[name] = number.strip()

    def _wait_for(self, source: str) -> None:
        wait_until(lambda: source in self.source_names(), what=f"source {source}")

    def _pactl(self, *arguments: str, check: bool = True) -> str | None:
        try:
            done = subprocess.run(
                ["pactl", *arguments], env=self.env, capture_output=True, timeout=10, check=False
            )
        except subprocess.TimeoutExpired:
            if check:
                raise
            return None
        if done.returncode != 0:
            if check:
                raise RuntimeError(f"pactl {arguments}: {done.stderr.decode().strip()}")
            return None
        return done.stdout.decode()

    def _spawn(self, *command: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self.folder,
        )


def write_wav(path: Path, samples: npt.NDArray[np.float32], sample_rate: int) -> None:
    """Write mono float samples as 16-bit WAV."""
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(sample_rate)
        out.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())


def _answers(path: Path) -> bool:
    """Whether somebody listens on that socket."""
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(str(path))
        except OSError:
            return False
    return True


def _end(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    if process.poll() is None:
        process.send_signal(how)
        try:
            process.wait(2.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(2.0)
