"""Starting and ending the window: what nobody caught, signals, settings, the log."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from songid_desktop import settings as settings_store
from songid_desktop.errors import Cancelled, CatalogBusy
from songid_desktop.ui import app as app_module
from songid_desktop.ui.probe import FrameProbe, summary
from tests.support import qt


@pytest.fixture
def hooks(services):
    before = sys.excepthook, threading.excepthook
    app_module._catch_what_nobody_caught(services)
    yield
    sys.excepthook, threading.excepthook = before


def notes_of(services):
    notes = []
    services.notified.connect(lambda text, _action, kind: notes.append((kind, text)))
    return notes


def test_what_a_thread_did_not_catch_is_logged_and_told(services, hooks, warning_log):
    warning_log.allow("inside the program|Something failed")
    notes = notes_of(services)

    def fail():
        raise RuntimeError("a bug")

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    qt.wait_until(lambda: notes)
    assert notes[0][0] == "bad"
    assert str(services.paths.log) in notes[0][1]


def test_what_a_slot_did_not_catch_is_told_and_the_window_lives(services, hooks, warning_log):
    warning_log.allow("inside the program|Something failed")
    from PySide6.QtCore import QTimer

    notes, later = notes_of(services), []

    def fail():
        raise ValueError("a bug")

    QTimer.singleShot(0, fail)
    QTimer.singleShot(0, lambda: later.append(1))
    qt.wait_until(lambda: notes and later)


def test_our_own_errors_say_their_own_sentence(services, warning_log):
    warning_log.allow("songid enroll")
    notes = notes_of(services)
    services.report(CatalogBusy("The library is being changed by songid enroll (process 7)."))
    assert notes == [("warn", "The library is being changed by songid enroll (process 7).")]


def test_a_cancel_is_nothing_to_tell(services):
    notes = notes_of(services)
    services.report(Cancelled())
    services.report(Cancelled(), "History:")
    assert notes == []


def test_settings_are_saved_soon_and_told_to_all(services):
    heard = []
    services.settings_changed.connect(heard.append)
    services.change_settings(axis="log")
    services.change_settings(axis="log")
    services.change_settings(axis="nonsense")
    assert [each.axis for each in heard] == ["log", "mel"]
    services.change_settings(palette="grey")
    qt.wait_until(lambda: settings_store.load(services.paths.settings).palette == "grey")


def test_a_place_that_cannot_be_written_is_told(services, warning_log):
    warning_log.allow("could not be saved")
    notes = notes_of(services)
    services.paths.settings.unlink()
    services.paths.config.rmdir()
    services.paths.config.write_text("in the way")
    services.change_settings(axis="log")
    qt.wait_until(lambda: notes)
    assert "could not be saved" in notes[0][1]


def test_closing_goes_in_order_and_may_come_twice(services):
    from tests.support.listening import install

    capture, worker, player = install(services)
    services.change_settings(axis="linear")
    services.close()
    services.close()
    assert capture.is_closed
    assert worker.is_closed
    assert player.is_closed
    assert settings_store.load(services.paths.settings).axis == "linear"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.skipif(os.name != "posix", reason="signals of this kind are POSIX's")
def test_a_polite_kill_closes_the_window(paths, python, project, number):
    settings_store.save(paths.settings, settings_store.Settings(first_run_done=True))
    folders = [str(paths.data), str(paths.config), str(paths.runtime)]
    script = textwrap.dedent(
        f"""
        import sys
        from pathlib import Path
        from songid_desktop.paths import Paths
        from songid_desktop.ui import app
        sys.exit(app.run(Paths(*map(Path, {folders!r}))))
        """
    )
    process = subprocess.Popen(
        [python, "-c", script],
        cwd=project,
        env={**os.environ, app_module.TRACE_VARIABLE: "1"},
        stderr=subprocess.PIPE,
        text=True,
    )
    seen = []
    for line in process.stderr:
        seen.append(line)
        if "ready" in line:
            break
    process.send_signal(number)
    rest = process.stderr.read()
    process.stderr.close()
    assert process.wait(20) == 0, "".join(seen) + rest
    assert "Traceback" not in rest
    assert settings_store.load(paths.settings).window_geometry


def test_a_window_that_cannot_be_made_says_so(paths, python, project):
    folders = [str(paths.data), str(paths.config), str(paths.runtime)]
    script = textwrap.dedent(
        f"""
        import sys
        from pathlib import Path
        from songid_desktop.paths import Paths
        from songid_desktop.ui import app, window
        def fail(_self):
            raise RuntimeError("no sidebar today")
        window.MainWindow._build = fail
        sys.exit(app.run(Paths(*map(Path, {folders!r}))))
        """
    )
    done = subprocess.run(
        [python, "-c", script], cwd=project, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 3
    assert "The window can't open" in done.stderr
    assert str(paths.log) in done.stderr
    assert "no sidebar today" in paths.log.read_text()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
def test_a_full_disk_does_not_fill_the_terminal(capsys):
    handler = app_module._LogFile("/dev/full", encoding="utf-8")
    for number in range(3):
        handler.handle(logging.LogRecord("x", logging.ERROR, "", 0, f"line {number}", None, None))
    with contextlib.suppress(OSError):
        handler.close()
    said = capsys.readouterr().err
    assert said.count("The log can't be written") == 1
    assert "Traceback" not in said


def test_percentiles():
    assert summary([]) == {"count": 0}
    values = summary([0.001] * 99 + [0.1])
    assert values["count"] == 100
    assert values["median_ms"] == pytest.approx(1.0)
    assert values["max_ms"] == pytest.approx(100.0)
    probe = FrameProbe()
    probe.painted(0.0, 0.001)
    probe.painted(0.016, 0.018)
    assert probe.summary()["interval"]["median_ms"] == pytest.approx(17.0)
    probe.clear()
    assert probe.summary()["paint"]["count"] == 0
