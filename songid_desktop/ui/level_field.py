"""A field for a level in whole decibels: typed, or moved by the arrow keys."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent, QWheelEvent
from PySide6.QtWidgets import QLineEdit

from songid_desktop.ui import theme

STEP_DB = 5
_MINUS = "\N{MINUS SIGN}"


class LevelField(QLineEdit):
    """Shows “-90 dB”; takes a number with or without its unit, and keeps it within its range."""

    changed = Signal(float)
    """Level (dB), after Enter, an arrow key, or leaving the field."""

    def __init__(self, name: str, low_db: int, high_db: int) -> None:
        super().__init__()
        self._low, self._high = low_db, high_db
        self._value = low_db
        self.setFixedWidth(84)
        self.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.setAccessibleName(name)
        self.setToolTip(f"{name}: type a number, or use the arrow keys")
        theme.set_font(self)
        self.editingFinished.connect(self._commit)

    @property
    def value(self) -> int:
        return self._value

    def set_value(self, value: int) -> None:
        """Show a level without telling anyone."""
        self._value = min(self._high, max(self._low, value))
        text = f"{self._value} dB".replace("-", _MINUS)
        if text != self.text():
            self.setText(text)

    def _commit(self) -> None:
        text = self.text().replace(_MINUS, "-").lower().replace("db", "").strip()
        try:
            wanted = round(float(text.replace(",", ".")))
        except (ValueError, OverflowError):
            wanted = self._value
        self._change(wanted)

    def _change(self, wanted: int) -> None:
        before = self._value
        self.set_value(wanted)
        if self._value != before:
            self.changed.emit(float(self._value))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        step = {Qt.Key.Key_Up: STEP_DB, Qt.Key.Key_Down: -STEP_DB}.get(Qt.Key(event.key()))
        if step is None:
            super().keyPressEvent(event)
        else:
            self._change(self._value + step)

    def wheelEvent(self, event: QWheelEvent) -> None:
        if self.hasFocus() and event.angleDelta().y():
            self._change(self._value + (STEP_DB if event.angleDelta().y() > 0 else -STEP_DB))
            event.accept()
        else:
            # Scrolling past it must not change it.
            event.ignore()
