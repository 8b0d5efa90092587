"""Starting and ending the window.

The first frame needs Qt, NumPy (through the shared types) and the page that is shown; everything
else is imported on a background thread once it is on the screen.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType

from PySide6.QtCore import QTimer
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QApplication

from songid_desktop import __version__
from songid_desktop.paths import APP_NAME, Paths, resource
from songid_desktop.ui import bridge, theme
from songid_desktop.ui.services import Services
from songid_desktop.ui.single_instance import SingleInstance
from songid_desktop.ui.window import MainWindow

log = logging.getLogger("songid_desktop")

EXIT_FAILED = 3
LOG_AT_MOST_BYTES = 1_000_000
TRACE_VARIABLE = "SONGID_TRACE_START"
"""Set to 1, the window says on stderr when it was painted and when it was ready (Unix time)."""
PROBE_VARIABLE = "SONGID_PROBE_EVENTS"
"""Set to a file name, the CPU time of every GUI event is written there at the end."""
_SIGNAL_POLL_MS = 250
_SWITCH_S = 0.001
"""How long another thread may hold Python before the GUI thread gets it (usually 5 ms, a third of
a frame)."""


def run(paths: Paths, files: Sequence[Path] = ()) -> int:
    """Open the window, or hand `files` to the one that is open. Returns the exit code."""
    files = [Path(os.path.abspath(path)) for path in files]  # noqa: PTH100  (keeps symlinks as given)
    sys.setswitchinterval(_SWITCH_S)
    app = make_application()
    instance = SingleInstance(paths)
    if not instance.is_first:
        if instance.hand_over(files):
            return 0
        log.warning("The window that is open does not answer; opening another.")
    _log_to_file(paths)
    bridge.start()
    services = Services(paths)
    try:
        theme.apply(app, services.settings.theme)
        window = MainWindow(services)
    except Exception:
        log.exception("The window could not be made")
        return _give_up(paths, services, instance)
    _catch_what_nobody_caught(services)
    _follow_theme(app, services)
    instance.received.connect(window.take_paths)
    instance.received.connect(lambda _paths: window.raise_window())
    window.first_painted.connect(lambda: _after_first_frame(window, services, instance, files))
    _end_on_signals(app, window)
    window.fit_screen()
    window.show()
    try:
        return app.exec()
    finally:
        instance.close()
        services.close()
        bridge.stop()
        window.deleteLater()
        _write_probe(app)


def _give_up(paths: Paths, services: Services, instance: SingleInstance) -> int:
    """The window could not be made: say so where it is read without one."""
    sys.stderr.write(
        "songid: The window can't open: something is wrong inside the program. The details are "
        f"above and in {paths.log}.\nThe command line works all the same, see: songid --help\n"
    )
    instance.close()
    services.close()
    bridge.stop()
    return EXIT_FAILED


def make_application() -> QApplication:
    """The one QApplication, named and with its icon."""
    existing = QApplication.instance()
    if isinstance(existing, QApplication):
        return existing
    app: QApplication
    if os.environ.get(PROBE_VARIABLE):
        from songid_desktop.ui.probe import ProbedApplication

        app = ProbedApplication(sys.argv[:1])
    else:
        app = QApplication(sys.argv[:1])
    app.setApplicationName(APP_NAME)
    app.setApplicationDisplayName("SongID Desktop")
    app.setApplicationVersion(__version__)
    app.setDesktopFileName("songid-desktop")
    app.setWindowIcon(QIcon(str(resource("icons", "app", "songid-desktop.svg"))))
    return app


def _after_first_frame(
    window: MainWindow, services: Services, instance: SingleInstance, files: Sequence[Path]
) -> None:
    _trace("painted")
    services.prepared.connect(lambda: _trace("ready"))
    services.prepare()
    # One piece an event, so that the first clicks are answered between them.
    pieces: list[Callable[[], None]] = [
        window.start_late,
        instance.listen,
        partial(_ask_about_motion, window),
    ]
    if files:
        pieces.append(lambda: window.take_paths(files))
    for number, piece in enumerate(pieces):
        QTimer.singleShot(number, window, piece)


def _ask_about_motion(window: MainWindow) -> None:
    from songid_desktop.ui import motion

    motion.ask_system(window)


def _trace(what: str) -> None:
    if os.environ.get(TRACE_VARIABLE):
        sys.stderr.write(f"songid-trace {what} {time.time():.4f}\n")
        sys.stderr.flush()


def _follow_theme(app: QApplication, services: Services) -> None:
    """Apply the chosen theme at once, and the system's when that is the choice."""

    def apply() -> None:
        theme.apply(app, services.settings.theme)

    services.settings_changed.connect(lambda _settings: apply())
    app.styleHints().colorSchemeChanged.connect(lambda _scheme: apply())


def _catch_what_nobody_caught(services: Services) -> None:
    """Errors nobody expected, from any thread: into the log, and a note in the window."""

    def show(error: BaseException) -> None:
        bridge.post(services.report, error)

    def on_main(
        _kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        if isinstance(error, KeyboardInterrupt):
            bridge.post(QApplication.closeAllWindows)
            return
        show(error.with_traceback(trace))

    def on_thread(details: threading.ExceptHookArgs) -> None:
        if details.exc_value is not None and not isinstance(details.exc_value, SystemExit):
            show(details.exc_value)

    sys.excepthook = on_main
    threading.excepthook = on_thread


def _end_on_signals(app: QApplication, window: MainWindow) -> None:
    """Ctrl+C in the terminal and a polite kill close the window as its own button would."""

    def end(_number: int, _frame: object) -> None:
        QTimer.singleShot(0, window, window.close)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    # Python sees a signal only when its interpreter runs; this wakes it now and then.
    waker = QTimer(app)
    waker.setInterval(_SIGNAL_POLL_MS)
    waker.timeout.connect(lambda: None)
    waker.start()


def _log_to_file(paths: Paths) -> None:
    """Warnings and what was shown as a note, in the runtime folder; one older file is kept."""
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    handlers[0].setLevel(logging.WARNING)
    try:
        paths.log.parent.mkdir(parents=True, exist_ok=True)
        if paths.log.exists() and paths.log.stat().st_size > LOG_AT_MOST_BYTES:
            paths.log.replace(paths.log.with_suffix(".old.txt"))
        handlers.append(_LogFile(paths.log, encoding="utf-8", errors="replace"))
    except OSError as error:
        sys.stderr.write(f"No log is kept: {error}\n")
    form = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    for handler in handlers:
        handler.setFormatter(form)
        root.addHandler(handler)


class _LogFile(logging.FileHandler):
    """A log that, where the disk is full, says so once and lets the program go on."""

    _has_complained = False

    def handleError(self, record: logging.LogRecord) -> None:
        error = sys.exception()
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self._has_complained:
            self._has_complained = True
            sys.stderr.write(f"The log can't be written: {error}\n")


def _write_probe(app: QApplication) -> None:
    target = os.environ.get(PROBE_VARIABLE)
    if target:
        from songid_desktop.ui.probe import ProbedApplication

        if isinstance(app, ProbedApplication):
            app.write(Path(target))
