"""One model in the preferences: its name, a line on its state, what can be done, and a bar while
something is being done."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QHBoxLayout, QMenu, QProgressBar, QPushButton, QWidget

from songid_desktop.ui import announce, icons, theme
from songid_desktop.ui.controls import ElidedLabel, button, column, icon_button, label, row
from songid_desktop.ui.model_words import Action, RowView
from songid_desktop.ui.theme import Gap, Size, Type

_STEPS = 1000


class ModelRow(QWidget):
    """Shows a `RowView`; says what was pressed by its key."""

    asked = Signal(str)
    """Key of the action that was chosen."""

    def __init__(self, title: str, name: str) -> None:
        super().__init__()
        self._title = title
        self._view = RowView("")
        self.setAccessibleName(title)
        self.setMinimumHeight(Size.ROW)
        self.title = ElidedLabel(title)
        self.title.set_hint(name)
        self.words = label("", "muted", Type.CAPTION, wraps=True)
        self.marks = ElidedLabel("", "muted", Type.CAPTION)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setAccessibleName(f"{title}: share done")
        self.more_button = icon_button(
            "more", f"{title}: more", "More that can be done with this model", self.open_menu
        )
        self._menu = QMenu(self)
        self._menu.setToolTipsVisible(True)
        self._menu.setAccessibleName(f"{title}: more")
        self._menu.triggered.connect(lambda action: self.asked.emit(action.data()))
        self._buttons: list[QPushButton] = []
        self._place = QHBoxLayout()
        self._place.setSpacing(Gap.S)
        text = column(gap=2)
        for each in (self.title, self.words, self.marks):
            text.addWidget(each)
        line = row(gap=Gap.L)
        line.addLayout(text, 1)
        line.addLayout(self._place)
        line.setAlignment(self._place, Qt.AlignmentFlag.AlignTop)
        whole = column(0, Gap.XS, 0, Gap.S, gap=Gap.S)
        whole.addLayout(line)
        whole.addWidget(self.bar)
        self.setLayout(whole)
        self._place.addWidget(self.more_button)

    @property
    def actions_offered(self) -> dict[str, QPushButton]:
        """The buttons by the keys of their actions."""
        shown = zip(self._view.buttons, self._buttons, strict=True)
        return {action.key: made for action, made in shown}

    @property
    def menu_keys(self) -> list[str]:
        return [action.data() for action in self._menu.actions()]

    def show_view(self, view: RowView) -> None:
        """Show another state; what is the same stays untouched, so that nothing flickers and the
        keyboard stays where it is."""
        before, self._view = self._view, view
        if view.words != before.words:
            self.words.setText(view.words)
        if view.role != before.role:
            theme.set_role(self.words, view.role)
        self.marks.setText(view.marks)
        self.marks.set_hint(view.marks_hint)
        self.marks.setVisible(bool(view.marks))
        if view.buttons != before.buttons:
            self._make_buttons(view.buttons)
        if view.menu != before.menu:
            self._fill_menu(view.menu)
        self.more_button.setVisible(bool(view.menu))
        self._show_share(view.share)
        if view.role != before.role and view.role in ("ok", "warn", "bad"):
            announce.say(self, f"{self._title}: {view.words}", is_urgent=view.role != "ok")

    def _show_share(self, share: float | None) -> None:
        self.bar.setVisible(share is not None)
        if share is None:
            return
        if share < 0:
            self.bar.setRange(0, 0)
            return
        self.bar.setRange(0, _STEPS)
        self.bar.setValue(round(_STEPS * min(1.0, share)))

    def _make_buttons(self, actions: tuple[Action, ...]) -> None:
        had_focus = any(each.hasFocus() for each in self._buttons)
        for old in self._buttons:
            self._place.removeWidget(old)
            old.hide()
            old.deleteLater()
        self._buttons = []
        for place, action in enumerate(actions):
            made = button(action.label, action.hint, self._asker(action.key), icon=action.icon)
            made.setAccessibleName(f"{action.label}: {self._title}")
            if action.role:
                theme.set_role(made, action.role)
            self._place.insertWidget(place, made)
            self._buttons.append(made)
        if had_focus and self._buttons:
            self._buttons[0].setFocus(Qt.FocusReason.TabFocusReason)

    def _asker(self, key: str) -> Callable[[], object]:
        return lambda: self.asked.emit(key)

    def _fill_menu(self, actions: tuple[Action, ...]) -> None:
        self._menu.clear()
        for action in actions:
            made = QAction(action.label, self._menu)
            made.setData(action.key)
            made.setToolTip(action.hint)
            if action.icon:
                icons.set_icon(made, action.icon, "muted")
            self._menu.addAction(made)

    def open_menu(self) -> None:
        """Show what else can be done, below the button, right edges in one line."""
        corner = self.more_button.rect().bottomRight()
        left = corner.x() - self._menu.sizeHint().width()
        self._menu.popup(self.more_button.mapToGlobal(QPoint(left, corner.y() + Gap.XS)))
