"""Whether the system asks for less movement.

Desktops behind the freedesktop portal are asked once, without waiting; elsewhere the style's own
word holds. The answer is kept: nothing that moves is worth asking for each time.
"""

from __future__ import annotations

import os
import sys

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QApplication, QStyle

_SERVICE, _PATH = "org.freedesktop.portal.Desktop", "/org/freedesktop/portal/desktop"
_INTERFACE = "org.freedesktop.portal.Settings"
_QUESTION = ("org.gnome.desktop.interface", "enable-animations")

_state = {"is_reduced": False}


def is_reduced() -> bool:
    """True when nothing should slide."""
    style = QApplication.style()
    return _state["is_reduced"] or not style.styleHint(QStyle.StyleHint.SH_Widget_Animate)


def ask_system(owner: QObject) -> None:
    """Ask the desktop; its answer counts from when it comes."""
    if sys.platform != "linux" or not os.environ.get("DBUS_SESSION_BUS_ADDRESS"):
        return
    from PySide6.QtDBus import QDBusConnection, QDBusMessage, QDBusPendingCallWatcher, QDBusVariant

    bus = QDBusConnection.sessionBus()
    if not bus.isConnected():
        return
    question = QDBusMessage.createMethodCall(_SERVICE, _PATH, _INTERFACE, "ReadOne")
    question.setArguments(list(_QUESTION))
    watcher = QDBusPendingCallWatcher(bus.asyncCall(question), owner)

    def take() -> None:
        answer = watcher.reply()
        values = answer.arguments()
        value = values[0] if values else None
        if isinstance(value, QDBusVariant):
            value = value.variant()
        if value is False:  # an error's text, or nothing, changes nothing
            _state["is_reduced"] = True
        watcher.deleteLater()

    watcher.finished.connect(take)
