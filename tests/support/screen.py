"""A screen without a monitor, and the real window as a process on it."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.tools import needed


@contextmanager
def private_display(size: str = "1400x900") -> Iterator[str]:
    """An X server of our own on a number that was free; yields its name for DISPLAY."""
    read_end, write_end = os.pipe()
    server = subprocess.Popen(
        [needed("Xvfb"), "-displayfd", str(write_end), "-screen", "0", f"{size}x24",
         "-nolisten", "tcp", "-noreset"],
        pass_fds=[write_end],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(write_end)
    try:
        ready, _, _ = select.select([read_end], [], [], 20)
        number = os.read(read_end, 16).decode().strip() if ready else ""
        assert number, "Xvfb did not start"
        yield f":{number}"
    finally:
        os.close(read_end)
        server.terminate()
        server.wait(10)


@contextmanager
def window_manager(display: str) -> Iterator[None]:
    """Without one, no window ever gets the keyboard."""
    manager = subprocess.Popen(
        [needed("openbox")],
        env={**os.environ, "DISPLAY": display},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        manager.terminate()
        manager.wait(10)


@dataclass
class WindowProcess:
    """The program with its window, and what it says about its start on standard error."""

    process: subprocess.Popen[bytes]
    log: Path
    begun: float
    moments: dict[str, float] = field(default_factory=dict)
    """Unix time (s) of what was traced, by name: `painted`, `ready`."""

    def errors(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_for(self, moment: str, timeout_s: float = 20.0) -> float:
        """Seconds from the process's start to `moment`."""
        deadline = time.monotonic() + timeout_s
        while True:
            for line in self.errors().splitlines():
                words = line.split()
                if len(words) == 3 and words[0] == "songid-trace":
                    self.moments.setdefault(words[1], float(words[2]))
            if moment in self.moments:
                return self.moments[moment] - self.begun
            assert self.process.poll() is None, f"the window ended early:\n{self.errors()}"
            assert time.monotonic() < deadline, f"never {moment}:\n{self.errors()}"
            time.sleep(0.005)

    def close(self, timeout_s: float = 15.0) -> int:
        """Ask the program to end, as a session that logs out does; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout_s)


@contextmanager
def started_window(
    command: Sequence[str], folder: Path, *, log_folder: Path | None = None, **variables: str
) -> Iterator[WindowProcess]:
    """Start the window's process in `folder`; it is ended at the latest when the block is left."""
    log = (log_folder or folder) / "window.log"
    with log.open("wb") as errors:
        begun = time.time()
        process = subprocess.Popen(
            list(command),
            cwd=folder,
            env={**os.environ, "SONGID_TRACE_START": "1", **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
    window = WindowProcess(process, log, begun)
    try:
        yield window
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)


@dataclass(frozen=True)
class Hands:
    """Mouse and keyboard of somebody in front of `display`."""

    display: str

    def _xdotool(self, *arguments: str) -> str:
        done = subprocess.run(
            [needed("xdotool"), *arguments],
            env={**os.environ, "DISPLAY": self.display},
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        return done.stdout

    def find_window(self, title: str, timeout_s: float = 15.0) -> str:
        """Id of the visible window whose title contains `title`."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            found = self._xdotool("search", "--onlyvisible", "--name", title).split()
            if found:
                return found[-1]
            time.sleep(0.05)
        raise AssertionError(f"no window called {title!r}")

    def focus(self, window: str) -> None:
        self._xdotool("windowactivate", "--sync", window)

    def press(self, window: str, *keys: str) -> None:
        self.focus(window)
        self._xdotool("key", "--clearmodifiers", *keys)

    def title(self, window: str) -> str:
        return self._xdotool("getwindowname", window).strip()

    def save_picture(self, path: Path) -> None:
        """A picture of the whole screen, where ImageMagick is installed."""
        if program := shutil.which("import"):
            subprocess.run(
                [program, "-display", self.display, "-window", "root", str(path)],
                check=False,
                timeout=30,
            )
