"""What no test may do: talk to the network, log a warning nobody expected, leave a thread or a
child process behind.

Each guard names the offender. They stand here, apart from the fixtures that use them, so that the
guards themselves can be tested.
"""

from __future__ import annotations

import ipaddress
import logging
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

GRACE_S = 3.0
"""How long a thread or child that has been told to end may take to do so after its test."""


class NetworkTouched(AssertionError):
    """A test tried to leave the machine."""


def _leaves_machine(address: Any) -> bool:
    if not isinstance(address, tuple) or not address:
        return False  # a path of a local socket
    host = str(address[0]).partition("%")[0]
    if host in ("", "localhost"):
        return False
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return True


@contextmanager
def no_network() -> Iterator[list[str]]:
    """Refuse connections and look-ups beyond this machine; yields the list of what was tried."""
    tried: list[str] = []

    def guarded(name: str, original: Callable[..., Any], position: int) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if len(args) > position and _leaves_machine(args[position]):
                tried.append(f"{name} {args[position]!r}")
                raise NetworkTouched(f"A test tried to use the network: {tried[-1]}")
            return original(*args, **kwargs)

        return call

    def look_up(host: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name is not None and _leaves_machine((name,)):
            tried.append(f"getaddrinfo {name!r}")
            raise NetworkTouched(f"A test tried to use the network: {tried[-1]}")
        return original_look_up(host, *args, **kwargs)

    original_look_up = socket.getaddrinfo
    replaced = {
        "connect": guarded("connect", socket.socket.connect, 1),
        "connect_ex": guarded("connect_ex", socket.socket.connect_ex, 1),
    }
    try:
        for name, call in replaced.items():
            setattr(socket.socket, name, call)
        socket.getaddrinfo = look_up
        yield tried
    finally:
        socket.getaddrinfo = original_look_up
        for name in replaced:
            delattr(socket.socket, name)  # uncovers the C method beneath


class WarningLog(logging.Handler):
    """Collects what is logged at WARNING and above, from any thread."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.records: list[logging.LogRecord] = []
        self.allowed: list[re.Pattern[str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def allow(self, pattern: str) -> None:
        """Expect messages in which `pattern` (a regular expression) is found."""
        self.allowed.append(re.compile(pattern))

    def unexpected(self) -> list[str]:
        texts = (f"{r.levelname} {r.name}: {r.getMessage()}" for r in self.records)
        return [text for text in texts if not any(p.search(text) for p in self.allowed)]


def live_threads() -> set[threading.Thread]:
    """Threads that Python started. Those it only met (a sound library's callback thread) stay
    listed for ever before Python 3.13, so they prove nothing."""
    return {t for t in threading.enumerate() if not isinstance(t, threading._DummyThread)}


def _command_line(pid: int) -> str:
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ""
    return raw.replace(b"\0", b" ").decode(errors="replace").strip()


def child_processes() -> dict[int, str]:
    """Command lines of our direct children by process id; a finished one that nobody waited for
    shows as ``(zombie)``."""
    children: dict[int, str] = {}
    for task in Path("/proc/self/task").glob("*/children"):
        try:
            pids = [int(pid) for pid in task.read_text().split()]
        except OSError:
            continue
        for pid in pids:
            children[pid] = _command_line(pid) or "(zombie)"
    return children


_PYTHONS_OWN_HELPERS = ("multiprocessing.resource_tracker", "multiprocessing.forkserver")


def left_behind(
    threads_before: set[threading.Thread], children_before: dict[int, str], grace_s: float = GRACE_S
) -> list[str]:
    """What runs now and did not before, after `grace_s` to come to its end."""
    deadline = time.monotonic() + grace_s
    while True:
        threads = live_threads() - threads_before
        children = {
            pid: command
            for pid, command in child_processes().items()
            if pid not in children_before
            and not any(helper in command for helper in _PYTHONS_OWN_HELPERS)
        }
        if not threads and not children:
            return []
        if time.monotonic() > deadline:
            return [f"thread {t.name!r}" for t in threads] + [
                f"process {pid}: {command[:120]}" for pid, command in children.items()
            ]
        _reap(children)
        time.sleep(0.01)


def _reap(children: dict[int, str]) -> None:
    # subprocess reaps what it knows of when it makes the next process; a Popen that was dropped
    # while its process ran is only reaped then, and is no leak.
    import subprocess

    if any(command == "(zombie)" for command in children.values()):
        subprocess._cleanup()


def open_handles() -> dict[str, str]:
    """Open file descriptors of this process and what they point to."""
    handles: dict[str, str] = {}
    for entry in Path("/proc/self/fd").iterdir():
        try:
            handles[entry.name] = str(entry.readlink())
        except OSError:
            continue  # the descriptor of this very listing
    return handles


def explain(problems: Sequence[str]) -> str:
    return "\n  ".join(("", *problems))
