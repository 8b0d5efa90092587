"""A button that says what is chosen and opens a menu of what could be."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from PySide6.QtCore import QPoint, QSize, Qt, Signal
from PySide6.QtGui import QAction, QFontMetrics, QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QMenu,
    QPushButton,
    QSizePolicy,
    QStyle,
    QStyleOptionButton,
    QWidget,
    QWidgetAction,
)

from songid_desktop.ui import icons, theme
from songid_desktop.ui.controls import label
from songid_desktop.ui.theme import Gap, Size, Type

CHEVRON = 16


@dataclass(frozen=True, slots=True)
class Choice:
    """One thing that can be chosen. A disabled one stays visible, greyed, with the reason as its
    hint; `group` is a heading over the first of each group; `note` stands at the right of its
    entry, and not on the button."""

    value: str
    label: str
    hint: str = ""
    icon: str = ""
    group: str = ""
    is_enabled: bool = True
    note: str = ""


class ChoiceButton(QPushButton):
    """Icon (optional), the chosen label (elided), a chevron."""

    chosen = Signal(str)
    about_to_open = Signal()

    def __init__(self, name: str, tooltip: str, icon: str = "", *, role: str = "quiet") -> None:
        super().__init__()
        self._name = name
        self._tooltip = tooltip
        self._icon_name = icon
        self._value = ""
        self._label = ""
        self._choices: tuple[Choice, ...] = ()
        self._menu = QMenu(self)
        self._menu.setToolTipsVisible(True)
        self._menu.setAccessibleName(name)
        self._menu.triggered.connect(self._take)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        theme.set_font(self)
        theme.set_role(self, role)
        self.clicked.connect(self.open_menu)
        self.set_label("")

    @property
    def value(self) -> str:
        """What is chosen."""
        return self._value

    def set_choices(self, choices: Iterable[Choice], value: str) -> None:
        """Offer `choices`, of which `value` is the one that holds."""
        self._choices = tuple(choices)
        self._value = value
        self._menu.clear()
        group = ""
        for choice in self._choices:
            if choice.group and choice.group != group:
                group = choice.group
                self._menu.addAction(self._heading(group))
            self._add(choice)
        label = next((each.label for each in self._choices if each.value == value), value)
        self.set_label(label)

    def _heading(self, text: str) -> QWidgetAction:
        words = label(text, "muted", Type.CAPTION, strong=True)
        words.setContentsMargins(Gap.S, Gap.S, Gap.L, Gap.XS)
        action = QWidgetAction(self._menu)
        action.setDefaultWidget(words)
        action.setText(text)
        action.setEnabled(False)
        words.setEnabled(True)
        return action

    def _add(self, choice: Choice) -> None:
        # What stands after a tab is set at the right of a menu's entry.
        words = f"{choice.label}\t{choice.note}" if choice.note else choice.label
        action = QAction(words, self._menu)
        action.setData(choice.value)
        action.setCheckable(True)
        action.setChecked(choice.value == self._value)
        action.setEnabled(choice.is_enabled)
        action.setToolTip(choice.hint or choice.label)
        sign = "check" if choice.value == self._value else choice.icon
        if sign:
            icons.set_icon(action, sign, "accent" if sign == "check" else "muted")
        self._menu.addAction(action)

    def set_label(self, label: str) -> None:
        """Show `label` without changing what is chosen."""
        self._label = label
        self.setAccessibleName(f"{self._name}: {label}" if label else self._name)
        self.setToolTip(f"{self._tooltip}\n{label}" if label else self._tooltip)
        self.updateGeometry()
        self.update()

    def set_icon_name(self, icon: str) -> None:
        self._icon_name = icon
        self.update()

    def open_menu(self) -> None:
        """Show the menu below the button, or above where there is more room."""
        self.about_to_open.emit()
        self._menu.popup(self.mapToGlobal(QPoint(0, self.height() + Gap.XS)))

    @property
    def menu_actions(self) -> list[QAction]:
        """The entries, headings included."""
        return self._menu.actions()

    def _take(self, action: QAction) -> None:
        value = action.data()
        if isinstance(value, str):
            self._value = value
            self.set_choices(self._choices, value)
            self.chosen.emit(value)

    def _lead(self) -> int:
        return Size.ICON + Gap.S if self._icon_name else 0

    def sizeHint(self) -> QSize:
        wide = QFontMetrics(self.font()).horizontalAdvance(self._label)
        return QSize(2 * Gap.S + self._lead() + wide + Gap.XS + CHEVRON, Size.CONTROL)

    def minimumSizeHint(self) -> QSize:
        return QSize(2 * Gap.S + self._lead() + Size.CONTROL + CHEVRON, Size.CONTROL)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        painter = QPainter(self)
        option = QStyleOptionButton()
        self.initStyleOption(option)
        self.style().drawControl(QStyle.ControlElement.CE_PushButtonBevel, option, painter, self)
        ratio = self.devicePixelRatioF()
        middle = (self.height() - Size.ICON) // 2
        if self._icon_name:
            sign = icons.pixmap(self._icon_name, "text", Size.ICON, ratio)
            painter.drawPixmap(Gap.S, middle, sign)
        left = Gap.S + self._lead()
        right = self.width() - Gap.S - CHEVRON
        painter.setPen(theme.colour("text" if self.isEnabled() else "disabled"))
        text = QFontMetrics(self.font()).elidedText(
            self._label, Qt.TextElideMode.ElideRight, right - left
        )
        painter.drawText(
            left, 0, right - left, self.height(), Qt.AlignmentFlag.AlignVCenter.value, text
        )
        chevron = icons.pixmap("chevron-down", "muted", CHEVRON, ratio)
        painter.drawPixmap(right, (self.height() - CHEVRON) // 2, chevron)


def close_menus(widget: QWidget) -> None:
    """Close whatever menu is open below `widget`."""
    for menu in widget.findChildren(QMenu):
        menu.close()
