"""The line below the spectrogram: axis, palette, levels, constellation, freeze, save.

Words beside the icons where there is room for them, icons alone where there is not.
"""

from __future__ import annotations

from PySide6.QtCore import QPoint, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFontMetrics, QLinearGradient, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import (
    QFrame,
    QGridLayout,
    QPushButton,
    QSizePolicy,
    QSlider,
    QStyle,
    QStyleOptionButton,
    QWidget,
)

from songid_desktop.settings import Settings
from songid_desktop.ui import colormaps, theme
from songid_desktop.ui import spectrogram_axes as axes
from songid_desktop.ui.choice import Choice, ChoiceButton
from songid_desktop.ui.controls import button, icon_button, label, row
from songid_desktop.ui.services import Services
from songid_desktop.ui.theme import Gap, Size, Type

WORDS_FROM_PX = 640
_LOWEST_DB, _HIGHEST_DB, _LEAST_SPAN_DB = -130, 0, 20

AXES = (
    Choice("mel", "Mel", "As far apart as they sound: the usual choice for music"),
    Choice("log", "Log", "Every octave equally tall, like a piano's keys"),
    Choice("linear", "Linear", "Every hertz equally tall; shows harmonics evenly spaced"),
)


def range_text(low_db: float, high_db: float) -> str:
    """Both ends of the range of levels."""
    return f"{low_db:.0f} … {high_db:.0f} dB".replace("-", axes.MINUS)


class LevelsButton(QPushButton):
    """The legend of the colours, which is also the way to change their range."""

    def __init__(self) -> None:
        super().__init__()
        self._palette_name = "magma"
        self._low_db, self._high_db = -90.0, -10.0
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        theme.set_font(self, Type.CAPTION)
        theme.set_role(self, "quiet")
        self.setToolTip("Colours from quiet to loud; press to change the range of levels")

    def show_levels(self, palette: str, low_db: float, high_db: float) -> None:
        self._palette_name, self._low_db, self._high_db = palette, low_db, high_db
        self.setAccessibleName(f"Range of levels: {range_text(low_db, high_db)}")
        self.updateGeometry()
        self.update()

    def _text(self) -> str:
        return range_text(self._low_db, self._high_db)

    def sizeHint(self) -> QSize:
        return QSize(
            QFontMetrics(self.font()).horizontalAdvance(self._text()) + 2 * Gap.S + 2, Size.CONTROL
        )

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        painter = QPainter(self)
        option = QStyleOptionButton()
        self.initStyleOption(option)
        self.style().drawControl(QStyle.ControlElement.CE_PushButtonBevel, option, painter, self)
        bar = QRectF(Gap.S, self.height() - 11, self.width() - 2 * Gap.S, 5)
        gradient = QLinearGradient(bar.topLeft(), bar.topRight())
        colours = colormaps.table(self._palette_name)
        for step in range(0, colormaps.STEPS, 17):
            red, green, blue = (int(c) for c in colours[step])
            gradient.setColorAt(step / (colormaps.STEPS - 1), theme.rgb(red, green, blue))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(theme.colour("muted", 0.5))
        painter.setBrush(gradient)
        painter.drawRoundedRect(bar, 2.5, 2.5)
        painter.setPen(theme.colour("text"))
        painter.drawText(QRectF(0, 3, self.width(), 16), Qt.AlignmentFlag.AlignCenter, self._text())


class LevelsPopup(QFrame):
    """Two sliders over the page; a click elsewhere or Esc puts it away."""

    changed = Signal(float, float)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        theme.set_role(self, "popup")
        self.setAccessibleName("Range of levels")
        grid = QGridLayout()
        grid.setContentsMargins(Gap.L, Gap.M, Gap.L, Gap.M)
        grid.setHorizontalSpacing(Gap.M)
        grid.setVerticalSpacing(Gap.S)
        self.low, self._low_text = self._slider(grid, 0, "Darkest at")
        self.high, self._high_text = self._slider(grid, 1, "Brightest at")
        grid.addWidget(button("Reset", "Back to the usual range", self._reset, role="quiet"), 2, 2)
        self.setLayout(grid)
        self.low.valueChanged.connect(lambda value: self._changed(low=value))
        self.high.valueChanged.connect(lambda value: self._changed(high=value))

    def _slider(self, grid: QGridLayout, line: int, name: str) -> tuple[QSlider, QWidget]:
        slider = QSlider(Qt.Orientation.Horizontal)
        slider.setRange(_LOWEST_DB, _HIGHEST_DB)
        slider.setPageStep(10)
        slider.setMinimumWidth(180)
        slider.setAccessibleName(name)
        slider.setToolTip(f"{name} this level (dB below full scale)")
        number = label("")
        number.setMinimumWidth(56)
        number.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        grid.addWidget(label(name), line, 0)
        grid.addWidget(slider, line, 1)
        grid.addWidget(number, line, 2)
        slider.valueChanged.connect(lambda value: number.setText(axes.decibels(value)))
        return slider, number

    def show_at(self, place: QPoint, low_db: float, high_db: float) -> None:
        """Open with its lower left corner at `place`."""
        self.blockSignals(True)
        self.low.setValue(round(low_db))
        self.high.setValue(round(high_db))
        self.blockSignals(False)
        self.adjustSize()
        self.move(place - QPoint(0, self.height()))
        self.show()
        self.low.setFocus(Qt.FocusReason.TabFocusReason)

    def _changed(self, low: int | None = None, high: int | None = None) -> None:
        # The ends push one another, so that there is always a range.
        if low is not None and self.high.value() < low + _LEAST_SPAN_DB:
            self.low.setValue(min(low, _HIGHEST_DB - _LEAST_SPAN_DB))
            self.high.setValue(self.low.value() + _LEAST_SPAN_DB)
        if high is not None and self.low.value() > high - _LEAST_SPAN_DB:
            self.high.setValue(max(high, _LOWEST_DB + _LEAST_SPAN_DB))
            self.low.setValue(self.high.value() - _LEAST_SPAN_DB)
        self.changed.emit(float(self.low.value()), float(self.high.value()))

    def _reset(self) -> None:
        usual = Settings()
        self.high.setValue(round(usual.range_high_db))
        self.low.setValue(round(usual.range_low_db))


class PictureBar(QWidget):
    """See the module; it reads and writes the settings itself."""

    freeze_toggled = Signal(bool)
    save_requested = Signal()

    def __init__(self, services: Services) -> None:
        super().__init__()
        self._services = services
        self._popup: LevelsPopup | None = None
        self.axis = ChoiceButton("Frequency axis", "How frequencies are spread over the height")
        self.palette_choice = ChoiceButton("Palette", "Colours of the picture")
        self.levels = LevelsButton()
        self.marks = icon_button(
            "constellation", "Constellation", "Show the peaks that are compared", checkable=True
        )
        self.freeze = button(
            "Freeze", "Hold the picture still; listening goes on", icon="freeze", role="quiet",
            checkable=True, shortcut="F",
        )  # fmt: skip
        self.save = button(
            "Save", "Save the picture as PNG", self.save_requested.emit, icon="camera",
            role="quiet", shortcut="Ctrl+S",
        )  # fmt: skip
        self.marks.setToolTip("Show the peaks that are compared")
        layout = row(gap=Gap.XS)
        for each in (self.axis, self.palette_choice, self.levels, self.marks):
            layout.addWidget(each)
        layout.addStretch(1)
        layout.addWidget(self.freeze)
        layout.addWidget(self.save)
        self.setLayout(layout)
        self.axis.chosen.connect(lambda value: services.change_settings(axis=value))
        self.palette_choice.chosen.connect(lambda value: services.change_settings(palette=value))
        self.levels.clicked.connect(self._open_levels)
        self.marks.toggled.connect(lambda on: services.change_settings(show_constellation=on))
        self.freeze.toggled.connect(self.freeze_toggled)
        services.settings_changed.connect(self.show_settings)
        self.show_settings(services.settings)

    def show_settings(self, settings: Settings) -> None:
        """Follow the settings."""
        self.axis.set_choices(AXES, settings.axis)
        self.palette_choice.set_choices(
            [
                Choice(
                    name,
                    palette.label,
                    "For paper: white is silence"
                    if name == "print"
                    else "Bright is loud; readable with any colour vision",
                )
                for name, palette in colormaps.PALETTES.items()
            ],
            settings.palette,
        )
        self.levels.show_levels(settings.palette, settings.range_low_db, settings.range_high_db)
        self.marks.blockSignals(True)
        self.marks.setChecked(settings.show_constellation)
        self.marks.blockSignals(False)

    def set_frozen(self, *, frozen: bool) -> None:
        """Follow the view."""
        self.freeze.setChecked(frozen)

    def _open_levels(self) -> None:
        if self._popup is None:
            self._popup = LevelsPopup(self)
            self._popup.changed.connect(self._take_levels)
        settings = self._services.settings
        place = self.levels.mapToGlobal(QPoint(0, -Gap.XS))
        self._popup.show_at(place, settings.range_low_db, settings.range_high_db)

    def _take_levels(self, low_db: float, high_db: float) -> None:
        self._services.change_settings(range_low_db=low_db, range_high_db=high_db)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        has_room = self.width() >= WORDS_FROM_PX
        for each, word in ((self.freeze, "Freeze"), (self.save, "Save")):
            each.setText(word if has_room else "")
            each.setMinimumWidth(0 if has_room else Size.CONTROL)
            theme.set_role(each, "quiet" if has_room else "icon")
