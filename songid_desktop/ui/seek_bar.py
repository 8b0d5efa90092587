"""Play a track from any place: a button, a slider over its length, and the time it stands at."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QSlider, QStyle, QStyleOptionSlider, QWidget

from songid_desktop.ui import icons, wording
from songid_desktop.ui.controls import icon_button, label, row
from songid_desktop.ui.theme import Gap, Type

if TYPE_CHECKING:
    from songid_desktop.ui.services import Services

FOLLOW_MS = 250
TICKS_PER_S = 10


class JumpSlider(QSlider):
    """A slider whose handle goes where one clicks, as players do."""

    def __init__(self) -> None:
        super().__init__(Qt.Orientation.Horizontal)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        option = QStyleOptionSlider()
        self.initStyleOption(option)
        handle = self.style().pixelMetric(QStyle.PixelMetric.PM_SliderLength, option, self)
        room = max(1, self.width() - handle)
        place = round(event.position().x() - handle / 2)
        value = QStyle.sliderValueFromPosition(self.minimum(), self.maximum(), place, room)
        self.setSliderPosition(value)
        super().mousePressEvent(event)


class SeekBar(QWidget):
    """One track's playback. Moving the slider while it plays goes there; else it says from where
    Play will start."""

    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._services = services
        self._path: Path | None = None
        self._duration_s = 0.0
        self._is_missing = False
        line = row(gap=Gap.S)
        self.play_button = icon_button("play", "Play", "Play", self.toggle)
        line.addWidget(self.play_button)
        self.slider = JumpSlider()
        self.slider.setAccessibleName("Position in the track")
        self.slider.setToolTip("Where to play from")
        self.slider.valueChanged.connect(self._show_place)
        self.slider.sliderReleased.connect(self._seek)
        self.slider.actionTriggered.connect(lambda _action: self._seek_soon())
        line.addWidget(self.slider, 1)
        self.place = label("0:00", "muted", Type.CAPTION)
        self.place.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        line.addWidget(self.place)
        self.setLayout(line)
        self._timer = QTimer(self)
        self._timer.setInterval(FOLLOW_MS)
        self._timer.timeout.connect(self._follow_position)
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(FOLLOW_MS)
        self._later.timeout.connect(self._seek)
        services.playing_changed.connect(self._take_playing)

    def set_track(self, path: Path, duration_s: float, *, is_missing: bool = False) -> None:
        """What Play will play."""
        if path != self._path:
            self._path = path
            self._duration_s = duration_s
            self.slider.setRange(0, max(1, int(duration_s * TICKS_PER_S)))
            self.slider.setSingleStep(5 * TICKS_PER_S)
            self.slider.setPageStep(30 * TICKS_PER_S)
            self.slider.setValue(0)
            self.place.setFixedWidth(
                self.place.fontMetrics().horizontalAdvance(wording.clock(duration_s)) + Gap.S
            )
        self._is_missing = is_missing
        self.slider.setEnabled(not is_missing)
        self._show_place()
        self._take_playing(None)

    @property
    def start_s(self) -> float:
        """Where the slider stands (s)."""
        return self.slider.value() / TICKS_PER_S

    @property
    def is_playing(self) -> bool:
        """True while the player plays this track."""
        if not self._services.is_prepared or self._path is None:
            return False
        return self._services.player.playing == self._path

    def toggle(self) -> None:
        """Play from here, or stop."""
        if self.is_playing:
            self._services.stop_playing()
        else:
            self.play()

    def play(self, start_s: float | None = None) -> None:
        """Play from `start_s`, or from where the slider stands."""
        if self._path is None or self._is_missing:
            return
        if start_s is not None:
            self.slider.setValue(int(start_s * TICKS_PER_S))
        start = self.start_s
        if start >= self._duration_s - 0.5:
            start = 0.0
        self._services.play(self._path, start)

    def _seek_soon(self) -> None:
        if self.is_playing and not self.slider.isSliderDown():
            self._later.start()

    def _seek(self) -> None:
        self._later.stop()
        if self.is_playing:
            self.play()

    def _show_place(self) -> None:
        self.place.setText(wording.clock(self.start_s))
        self._show_button()

    def _show_button(self) -> None:
        is_on = self.is_playing
        at = wording.clock(self.start_s)
        if self._is_missing:
            tip = "The file is missing"
        elif is_on:
            tip = "Stop"
        else:
            tip = "Play (Enter)" if self.slider.value() == 0 else f"Play from {at} (Enter)"
        if self.play_button.toolTip() != tip:
            icons.set_icon(self.play_button, "stop" if is_on else "play")
            self.play_button.setToolTip(tip)
            self.play_button.setAccessibleName(tip)
        self.play_button.setEnabled(not self._is_missing)

    def _take_playing(self, _path: object) -> None:
        self._show_button()
        if self.is_playing and self.isVisible():
            self._timer.start()
        else:
            self._timer.stop()

    def _follow_position(self) -> None:
        if not self.is_playing:
            self._take_playing(None)
        elif not self.slider.isSliderDown() and not self._later.isActive():
            self.slider.setValue(int(self._services.player.position_s * TICKS_PER_S))

    def follow(self) -> None:
        """The bar came into sight."""
        self._take_playing(None)

    def rest(self) -> None:
        """The bar went out of sight."""
        self._timer.stop()
