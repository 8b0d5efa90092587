"""Waiting for windows: conditions with a deadline, never sleeps; and what a test may not leave."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from PySide6.QtCore import (
    QCoreApplication,
    QEvent,
    QEventLoop,
    QMessageLogContext,
    QThread,
    QTimer,
    QtMsgType,
    qInstallMessageHandler,
)
from PySide6.QtGui import QColor, QImage
from PySide6.QtWidgets import QApplication, QWidget
from shiboken6 import isValid


def process_events() -> None:
    """Handle the events that wait, or come within a moment."""
    QCoreApplication.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, 20)


def wait_until(claim: Callable[[], Any], timeout_s: float = 15.0, what: str = "") -> Any:
    """Run the event loop until `claim()` is true; gives its value. Patient, for the machine may be
    busy with other things.

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
        process_events()


def settle() -> None:
    """Handle everything that waits, deletions too."""
    for _ in range(3):
        QCoreApplication.processEvents()
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)


def show(widget: QWidget, width: int = 0, height: int = 0) -> QWidget:
    """Show `widget` and wait until it is painted."""
    if width and height:
        widget.resize(width, height)
    widget.show()
    wait_until(widget.isVisible)
    settle()
    return widget


def average_colour(image: QImage) -> QColor:
    """The mean colour of an image."""
    return image.scaled(1, 1).pixelColor(0, 0)


@contextmanager
def collected_messages() -> Iterator[list[str]]:
    """Everything Qt itself has to complain about."""
    seen: list[str] = []

    def take(kind: QtMsgType, context: QMessageLogContext, text: str) -> None:
        # The offscreen plugin has no windows to raise, and says so each time.
        is_about_plugin = text.startswith("This plugin does not support")
        if kind not in (QtMsgType.QtDebugMsg, QtMsgType.QtInfoMsg) and not is_about_plugin:
            seen.append(f"{context.category}: {text}")

    before = qInstallMessageHandler(take)
    try:
        yield seen
    finally:
        qInstallMessageHandler(before)


def running() -> list[str]:
    """Threads and timers that run, by what they belong to."""
    found = []
    for each in gc.get_objects():
        kind = type(each)
        if issubclass(kind, QTimer) and isValid(each) and each.isActive():
            found.append(f"QTimer {each!r} of {each.parent()!r}")
        elif issubclass(kind, QThread) and isValid(each) and each.parent() and each.isRunning():
            found.append(f"QThread {each!r}")
    return found


def left_behind(windows_before: set[int]) -> list[str]:
    """Windows, running threads and running timers that a finished test left."""
    settle()
    gc.collect()
    settle()
    app = QApplication.instance()
    found = [
        f"window {each!r}"
        for each in (app.topLevelWidgets() if isinstance(app, QApplication) else [])
        if isValid(each) and id(each) not in windows_before
    ]
    return found + running()
