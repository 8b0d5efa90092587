"""Short notes at the lower right of the window: at most two, five seconds each, one action.

`Services.notify` is the one call that feeds both the log and the eye; the window shows what it
says in a `ToastArea`. A note waits while the pointer or the keyboard is on it, and is announced to
screen readers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QObject, QPropertyAnimation, Qt, QTimer, Signal
from PySide6.QtGui import QEnterEvent, QFocusEvent, QKeyEvent
from PySide6.QtWidgets import (
    QFrame,
    QGraphicsOpacityEffect,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from songid_desktop.ui import announce, icons, theme
from songid_desktop.ui.controls import IconLabel

SHOWN_MS = theme.TOAST_MS
AT_MOST = 2
WIDTH = 440
MIN_HEIGHT = 48
_ICONS = {"info": "info", "ok": "check", "warn": "warning", "bad": "warning"}
_ROLES = {"info": "accent", "ok": "ok", "warn": "warn", "bad": "bad"}


@dataclass(frozen=True, slots=True)
class ToastAction:
    """The one thing that can be done about a note: the word on its button, and what it does."""

    label: str
    run: Callable[[], None]


class Toast(QFrame):
    """One note. Its clock stands still while the pointer or the focus is on it."""

    closed = Signal(object)

    def __init__(
        self, text: str, action: ToastAction | None, kind: str, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.text = text
        self.kind = kind
        self._action = action
        self._is_closing = False
        theme.set_role(self, "toast")
        self.setAccessibleName(text)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._clock = QTimer(self)
        self._clock.setSingleShot(True)
        self._clock.setInterval(SHOWN_MS)
        self._clock.timeout.connect(self.close_note)
        self._left_ms = SHOWN_MS
        self._build(text, action)
        self._clock.start()

    def _build(self, text: str, action: ToastAction | None) -> None:
        row = QHBoxLayout(self)
        row.setContentsMargins(theme.Gap.M, theme.Gap.S, theme.Gap.S, theme.Gap.S)
        row.setSpacing(theme.Gap.S)
        sign = IconLabel(_ICONS[self.kind], _ROLES[self.kind])
        row.addWidget(sign, 0, Qt.AlignmentFlag.AlignVCenter)
        self._label = QLabel(text, self)
        self._label.setWordWrap(True)
        self._label.setTextFormat(Qt.TextFormat.PlainText)
        row.addWidget(self._label, 1)
        self.action_button: QPushButton | None = None
        if action is not None:
            self.action_button = QPushButton(action.label, self)
            theme.set_role(self.action_button, "link")
            self.action_button.setAccessibleName(f"{action.label}: {text}")
            self.action_button.setToolTip(f"{action.label} (this note closes)")
            self.action_button.clicked.connect(self._act)
            row.addWidget(self.action_button)
        self.close_button = QToolButton(self)
        theme.set_role(self.close_button, "quiet")
        icons.set_icon(self.close_button, "close", "muted", 16)
        self.close_button.setAccessibleName("Close this note")
        self.close_button.setToolTip("Close this note")
        self.close_button.clicked.connect(self.close_note)
        row.addWidget(self.close_button, 0, Qt.AlignmentFlag.AlignVCenter)
        for button in (self.action_button, self.close_button):
            if button is not None:
                button.installEventFilter(self)

    @property
    def is_waiting(self) -> bool:
        """True while the note's clock stands still."""
        return not self._clock.isActive()

    def _act(self) -> None:
        action, self._action = self._action, None
        if action is not None:
            self.close_note()
            action.run()

    def close_note(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            self._clock.stop()
            self.closed.emit(self)

    def _hold(self) -> None:
        if self._clock.isActive():
            self._left_ms = max(800, self._clock.remainingTime())
            self._clock.stop()

    def _go_on(self) -> None:
        has_focus = any(
            button is not None and button.hasFocus()
            for button in (self.action_button, self.close_button)
        )
        if not self._is_closing and not self.underMouse() and not has_focus:
            self._clock.start(self._left_ms)

    def enterEvent(self, event: QEnterEvent) -> None:
        self._hold()
        super().enterEvent(event)

    def leaveEvent(self, event: QEvent) -> None:
        self._go_on()
        super().leaveEvent(event)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if isinstance(event, QFocusEvent):
            if event.gotFocus():
                self._hold()
            else:
                # The focus may only have moved to the other button: decide once it has arrived.
                QTimer.singleShot(0, self, self._go_on)
        elif (
            isinstance(event, QKeyEvent)
            and event.type() == QEvent.Type.KeyPress
            and event.key() == Qt.Key.Key_Escape
        ):
            self.close_note()
            return True
        return super().eventFilter(watched, event)


class ToastArea(QWidget):
    """Owner of the notes of one window; lies over `host` at its lower right, `foot_px` above its
    lower edge, and is no larger than what it shows, so that nothing below it is covered."""

    focus_left = Signal()
    """A note that the keyboard was on has gone: give the focus to something."""

    def __init__(self, host: QWidget) -> None:
        super().__init__(host)
        self._foot_px = 0
        self._notes: list[Toast] = []
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(theme.Gap.S)
        self.setAccessibleName("Notes")
        self.hide()
        host.installEventFilter(self)

    @property
    def notes(self) -> tuple[Toast, ...]:
        """What is shown, oldest first."""
        return tuple(self._notes)

    def set_foot(self, foot_px: int) -> None:
        """Keep clear of the progress strip."""
        if foot_px != self._foot_px:
            self._foot_px = foot_px
            self._place()

    def notify(self, text: str, action: ToastAction | None = None, kind: str = "info") -> None:
        """Show `text`. `kind`: info, ok, warn or bad. GUI thread only."""
        for note in tuple(self._notes):
            # The same words twice are one note with a fresh clock.
            if note.text == text or len(self._notes) >= AT_MOST:
                self._drop(note)
        note = Toast(text, action, kind if kind in _ICONS else "info", self)
        note.closed.connect(self._drop)
        self._notes.append(note)
        self._column.addWidget(note)
        self._place()
        self.show()
        self.raise_()
        note.show()
        self._fade_in(note)
        announce.say(self, text, is_urgent=kind in ("warn", "bad"))

    def close_all(self) -> None:
        for note in tuple(self._notes):
            self._drop(note)

    def _drop(self, note: Toast) -> None:
        if note not in self._notes:
            return
        self._notes.remove(note)
        # The window's, not this widget's own `focusWidget`: that remembers what once had it.
        focused = self.window().focusWidget()
        had_focus = focused is not None and note.isAncestorOf(focused)
        self._column.removeWidget(note)
        note.hide()
        note.deleteLater()
        if not self._notes:
            self.hide()
        self._place()
        if had_focus:
            self.focus_left.emit()

    def _place(self) -> None:
        host = self.parentWidget()
        if host is None or not self._notes:
            return
        edge = theme.Gap.L
        width = min(WIDTH, host.width() - 2 * edge)
        for note in self._notes:
            note.setFixedWidth(width)
        self._column.activate()
        heights = [max(MIN_HEIGHT, note.heightForWidth(width)) for note in self._notes]
        for note, height in zip(self._notes, heights, strict=True):
            note.setFixedHeight(height)
        height = sum(heights)
        height += theme.Gap.S * (len(self._notes) - 1)
        self.setGeometry(
            host.width() - width - edge,
            host.height() - self._foot_px - height - edge,
            width,
            height,
        )

    def _fade_in(self, note: Toast) -> None:
        if theme.is_motion_reduced():
            return
        effect = QGraphicsOpacityEffect(note)
        note.setGraphicsEffect(effect)
        fade = QPropertyAnimation(effect, b"opacity", note)
        fade.setDuration(theme.SLIDE_MS)
        fade.setStartValue(0.0)
        fade.setEndValue(1.0)
        # An effect that stays costs an offscreen copy at every repaint.
        fade.finished.connect(lambda: note.setGraphicsEffect(None))  # type: ignore[arg-type]
        fade.start(QPropertyAnimation.DeletionPolicy.DeleteWhenStopped)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is self.parentWidget() and event.type() == QEvent.Type.Resize:
            self._place()
        return super().eventFilter(watched, event)
