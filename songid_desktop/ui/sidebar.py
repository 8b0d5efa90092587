"""The sidebar: one button a page, the gear at its foot; icons alone in a narrow window."""

from __future__ import annotations

from itertools import pairwise

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFontMetrics, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QAbstractButton, QFrame, QWidget

from songid_desktop.ui import icons, theme
from songid_desktop.ui.controls import column
from songid_desktop.ui.theme import Gap, Size, Type


class NavButton(QAbstractButton):
    """One place to go: icon and word, or the icon alone. The current one carries a bar and the
    accent, so that colour is not the only sign."""

    def __init__(self, text: str, icon: str, shortcut: str) -> None:
        super().__init__()
        self._icon_name = icon
        self._shortcut = shortcut
        self.setText(text)
        self.setAccessibleName(text)
        self.setToolTip(f"{text} ({shortcut})")
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setFixedHeight(Size.PRIMARY)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        theme.set_font(self, Type.BODY, Type.STRONG)

    def sizeHint(self) -> QSize:
        return QSize(Size.SIDEBAR_NARROW - 2 * Gap.S, Size.PRIMARY)

    def event(self, event: QEvent) -> bool:
        if event.type() in (QEvent.Type.HoverEnter, QEvent.Type.HoverLeave):
            self.update()
        return super().event(event)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        area = QRectF(self.rect())
        fill = None
        if self.isChecked():
            fill = "selection"
        elif self.isDown():
            fill = "pressed"
        elif self.underMouse():
            fill = "hover"
        if fill is not None:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme.colour(fill))
            painter.drawRoundedRect(area, Size.RADIUS, Size.RADIUS)
        colour = "accent" if self.isChecked() else "text"
        if self.isChecked():
            painter.setPen(QPen(theme.colour("accent"), 3, c=Qt.PenCapStyle.RoundCap))
            painter.drawLine(QPointF(2.5, 12), QPointF(2.5, area.height() - 12))
        is_narrow = self.width() < Size.SIDEBAR_NARROW + Gap.XXL
        left = (self.width() - Size.ICON) // 2 if is_narrow else Gap.M
        painter.drawPixmap(
            left,
            (self.height() - Size.ICON) // 2,
            icons.pixmap(self._icon_name, colour, Size.ICON, self.devicePixelRatioF()),
        )
        if not is_narrow:
            room = self.rect().adjusted(left + Size.ICON + Gap.M, 0, -Gap.S, 0)
            painter.setPen(theme.colour("text" if not self.isChecked() else "accent"))
            text = QFontMetrics(self.font()).elidedText(
                self.text(), Qt.TextElideMode.ElideRight, room.width()
            )
            painter.drawText(room, Qt.AlignmentFlag.AlignVCenter, text)
        if self.hasFocus():
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(theme.colour("accent"), Size.FOCUS_RING))
            painter.drawRoundedRect(area.adjusted(1, 1, -1, -1), Size.RADIUS, Size.RADIUS)


class Sidebar(QFrame):
    """176 px, or 56 px in a narrow window."""

    chosen = Signal(str)
    """Name of the page, or "preferences"."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        theme.set_role(self, "sidebar")
        self.setAccessibleName("Pages")
        self._buttons: dict[str, NavButton] = {}
        self._layout = column(Gap.S, Gap.M, Gap.S, Gap.M, gap=Gap.XS)
        self._layout.addStretch(1)
        self.setLayout(self._layout)
        self._gear = self._make("preferences", "Preferences", "gear", "Ctrl+,")
        self._layout.addWidget(self._gear)
        self.set_narrow(is_narrow=False)

    def add_page(self, name: str, title: str, icon: str, shortcut: str) -> None:
        """Add a page below those there are."""
        made = self._make(name, title, icon, shortcut)
        made.setCheckable(True)
        self._layout.insertWidget(len(self._buttons), made)
        self._buttons[name] = made
        # Tab goes down the column, whatever order the widgets were made in.
        ordered = [*self._buttons.values(), self._gear]
        for one, after in pairwise(ordered):
            QWidget.setTabOrder(one, after)

    def _make(self, name: str, title: str, icon: str, shortcut: str) -> NavButton:
        made = NavButton(title, icon, shortcut)
        made.clicked.connect(lambda: self._choose(name))
        return made

    def _choose(self, name: str) -> None:
        self.chosen.emit(name)

    def set_current(self, name: str) -> None:
        """Mark the page that is shown; none for an unknown name."""
        for each, button in self._buttons.items():
            button.setChecked(each == name)

    def set_narrow(self, *, is_narrow: bool) -> None:
        """Icons alone, or icons and words."""
        self.setFixedWidth(Size.SIDEBAR_NARROW if is_narrow else Size.SIDEBAR)
