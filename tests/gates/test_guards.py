"""The guards catch what they are there to catch."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.support import guards


def test_home_and_runtime_folder_are_not_the_users() -> None:
    for variable in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"):
        folder = Path(os.environ[variable])
        assert folder.parent.name.startswith("sid-")
        assert folder.stat().st_mode & 0o777 == 0o700
    assert "DBUS_SESSION_BUS_ADDRESS" not in os.environ


def test_platform_folders_follow_the_private_home() -> None:
    from songid_desktop.paths import default_paths

    home = Path(os.environ["HOME"]).parent
    paths = default_paths()
    assert all(home in folder.parents for folder in (paths.data, paths.config, paths.runtime))


@pytest.mark.parametrize("host", ["192.0.2.7", "2001:db8::1", "example.invalid"])
def test_connections_beyond_this_machine_are_refused(host: str, network_guard: list[str]) -> None:
    with pytest.raises(guards.NetworkTouched):
        socket.create_connection((host, 80), timeout=0.1)
    assert network_guard
    network_guard.clear()


def test_connections_on_this_machine_work() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname(), timeout=5),
    ):
        pass


def test_unexpected_warning_is_reported_and_expected_one_is_not() -> None:
    log = guards.WarningLog()
    record = logging.LogRecord("songid", logging.WARNING, "", 0, "disk %s", ("full",), None)
    log.handle(record)
    assert log.unexpected() == ["WARNING songid: disk full"]
    log.allow("disk f.ll")
    assert log.unexpected() == []


def test_running_thread_is_named_and_ended_one_is_not() -> None:
    before, children = guards.live_threads(), guards.child_processes()
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait, name="left-over")
    thread.start()
    assert guards.left_behind(before, children, grace_s=0.05) == ["thread 'left-over'"]
    stop.set()
    assert guards.left_behind(before, children) == []
    thread.join()


def test_running_child_is_named_and_ended_one_is_not() -> None:
    before, children = guards.live_threads(), guards.child_processes()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        found = guards.left_behind(before, children, grace_s=0.05)
        assert len(found) == 1
        assert f"process {child.pid}:" in found[0]
    finally:
        child.communicate()
    assert guards.left_behind(before, children) == []
