"""Small widgets every page uses: labels that elide, buttons with name and tooltip, a check box and
empty states in our own look."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import (
    QFocusEvent,
    QFontMetrics,
    QPainter,
    QPaintEvent,
    QPen,
    QPolygonF,
    QResizeEvent,
)
from PySide6.QtWidgets import (
    QCheckBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from songid_desktop.ui import icons, theme
from songid_desktop.ui.theme import Gap, Size, Type
from songid_desktop.ui.wording import one_line


def label(
    text: str = "",
    role: str = "",
    size: int = Type.BODY,
    *,
    strong: bool = False,
    wraps: bool = False,
    selectable: bool = False,
) -> QLabel:
    """A label of one type size; plain text always, so that a title with < in it shows as is."""
    result = QLabel(text)
    result.setTextFormat(Qt.TextFormat.PlainText)
    dress_label(result, role, size, strong=strong)
    result.setWordWrap(wraps)
    if selectable:
        result.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return result


def dress_label(target: QLabel, role: str, size: int, *, strong: bool = False) -> None:
    """Give a label its role and type."""
    theme.set_font(target, size, Type.STRONG if strong else Type.REGULAR)
    if role:
        theme.set_role(target, role)


class ElidedLabel(QLabel):
    """One line that ends in "…" when it does not fit (or has it in the `middle`); the whole text is
    then the tooltip, unless another hint was set."""

    def __init__(
        self,
        text: str = "",
        role: str = "",
        size: int = Type.BODY,
        *,
        strong: bool = False,
        middle: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        mode = Qt.TextElideMode
        self._mode = mode.ElideMiddle if middle else mode.ElideRight
        self._hint = ""
        self.setTextFormat(Qt.TextFormat.PlainText)
        dress_label(self, role, size, strong=strong)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setText(text)

    def setText(self, text: str) -> None:
        """Show `text` as far as there is room."""
        if text == self.text():
            return
        super().setText(text)
        self.setAccessibleName(text)
        self._update_hint()

    def set_full_text(self, text: str) -> None:
        """The same as `setText`, said so that the reader knows nothing is lost."""
        self.setText(text)

    def set_hint(self, hint: str) -> None:
        """Use `hint` as the tooltip, whether the text fits or not."""
        self._hint = hint
        self._update_hint()

    def shown_text(self) -> str:
        """What stands on the screen."""
        return QFontMetrics(self.font()).elidedText(
            one_line(self.text()), self._mode, max(0, self.contentsRect().width())
        )

    def sizeHint(self) -> QSize:
        metrics = QFontMetrics(self.font())
        return QSize(metrics.horizontalAdvance(self.text()) + 2, metrics.height())

    def minimumSizeHint(self) -> QSize:
        return QSize(0, QFontMetrics(self.font()).height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._update_hint()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        painter = QPainter(self)
        painter.setPen(self.palette().color(self.foregroundRole()))
        painter.drawText(self.contentsRect(), self.alignment(), self.shown_text())

    def _update_hint(self) -> None:
        is_cut = self.shown_text() != self.text()
        self.setToolTip(self._hint or (self.text() if is_cut else ""))


def button(
    text: str,
    tooltip: str,
    on_click: Callable[[], object] | None = None,
    *,
    icon: str = "",
    role: str = "",
    checkable: bool = False,
    shortcut: str = "",
) -> QPushButton:
    """A button with a word; `tooltip` says what it does in a sentence."""
    result = QPushButton(text)
    result.setAccessibleName(text)
    if icon:
        icons.set_icon(result, icon, "on_accent" if role == "primary" else _icon_role(role))
    _finish_button(result, tooltip, on_click, role, checkable=checkable, shortcut=shortcut)
    return result


def icon_button(
    icon: str,
    name: str,
    tooltip: str = "",
    on_click: Callable[[], object] | None = None,
    *,
    role: str = "quiet",
    checkable: bool = False,
    shortcut: str = "",
) -> QToolButton:
    """A button of one icon; `name` is what a screen reader says."""
    result = QToolButton()
    result.setAccessibleName(name)
    result.setFixedSize(Size.CONTROL, Size.CONTROL)
    icons.set_icon(result, icon, _icon_role(role), on_role="accent" if checkable else None)
    _finish_button(result, tooltip or name, on_click, role, checkable=checkable, shortcut=shortcut)
    if role == "quiet":
        theme.set_role(result, "icon")
    return result


def _icon_role(role: str) -> str:
    return {"danger": "bad", "link": "accent"}.get(role, "text")


def _finish_button(
    target: QPushButton | QToolButton,
    tooltip: str,
    on_click: Callable[[], object] | None,
    role: str,
    *,
    checkable: bool,
    shortcut: str,
) -> None:
    target.setToolTip(f"{tooltip} ({shortcut})" if shortcut else tooltip)
    target.setCheckable(checkable)
    # A click with the mouse leaves the focus where it was: no ring lingers, and Space goes on
    # meaning "listen".
    target.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    if role:
        theme.set_role(target, role)
    if on_click is not None:
        callback = on_click
        target.clicked.connect(lambda _checked=False: callback())


def is_by_keyboard(event: QFocusEvent) -> bool:
    """Whether the focus was moved by a key; then the ring is drawn."""
    reason = Qt.FocusReason
    return event.reason() in (
        reason.TabFocusReason,
        reason.BacktabFocusReason,
        reason.ShortcutFocusReason,
    )


class CheckBox(QCheckBox):
    """A check box drawn from the tokens; style sheets alone cannot draw the tick in colour."""

    BOX = 18

    def __init__(self, text: str = "", tooltip: str = "") -> None:
        super().__init__(text)
        theme.set_font(self)
        self.setAccessibleName(text)
        self.setToolTip(tooltip)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setMinimumHeight(Size.CONTROL)

    def sizeHint(self) -> QSize:
        metrics = QFontMetrics(self.font())
        wide = self.BOX + Gap.S + metrics.horizontalAdvance(self.text()) + 2 * Gap.XS
        return QSize(wide, Size.CONTROL)

    def minimumSizeHint(self) -> QSize:
        return QSize(self.BOX + Gap.S + Gap.XXL, Size.CONTROL)

    def hitButton(self, position: object) -> bool:  # noqa: ARG002  (the whole widget is the target)
        return True

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box = QRectF(Gap.XS + 0.5, (self.height() - self.BOX) / 2 + 0.5, self.BOX - 1, self.BOX - 1)
        is_on = self.isChecked()
        fill = "accent" if is_on else ("hover" if self.underMouse() else "surface")
        edge = "accent" if is_on else "muted"
        if not self.isEnabled():
            fill, edge = ("disabled" if is_on else "surface"), "disabled"
        painter.setBrush(theme.colour(fill))
        painter.setPen(QPen(theme.colour(edge), 1))
        painter.drawRoundedRect(box, 4, 4)
        if is_on:
            painter.setPen(_tick_pen())
            x, y = box.x(), box.y()
            painter.drawPolyline(
                QPolygonF(
                    [QPointF(x + 4, y + 9), QPointF(x + 7.5, y + 12.5), QPointF(x + 13, y + 5)]
                )
            )
        if self.hasFocus():
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(theme.colour("accent"), Size.FOCUS_RING))
            painter.drawRoundedRect(box.adjusted(-3, -3, 3, 3), Size.RADIUS, Size.RADIUS)
        left = Gap.XS + self.BOX + Gap.S
        room = self.rect().adjusted(left, 0, 0, 0)
        painter.setPen(theme.colour("text" if self.isEnabled() else "disabled"))
        text = QFontMetrics(self.font()).elidedText(
            self.text(), Qt.TextElideMode.ElideRight, room.width()
        )
        painter.drawText(room, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, text)


def _tick_pen() -> QPen:
    return QPen(
        theme.colour("on_accent"),
        2,
        Qt.PenStyle.SolidLine,
        Qt.PenCapStyle.RoundCap,
        Qt.PenJoinStyle.RoundJoin,
    )


class IconLabel(QLabel):
    """An icon that is not a button; follows the theme."""

    def __init__(self, name: str = "", role: str = "text", size: int = Size.ICON) -> None:
        super().__init__()
        self._name, self._role, self._size = name, role, size
        self.setFixedSize(size, size)

    def set_icon(self, name: str, role: str = "text") -> None:
        self._name, self._role = name, role
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        if self._name:
            painter = QPainter(self)
            painter.drawPixmap(
                0, 0, icons.pixmap(self._name, self._role, self._size, self.devicePixelRatioF())
            )


def divider(*, vertical: bool = False) -> QFrame:
    """A line of one pixel."""
    result = QFrame()
    theme.set_role(result, "vdivider" if vertical else "divider")
    return result


def column(*margins: int, gap: int = Gap.S) -> QVBoxLayout:
    """A vertical layout with `margins` (one for all sides, or four) and `gap`."""
    result = QVBoxLayout()
    _set_margins(result, margins)
    result.setSpacing(gap)
    return result


def row(*margins: int, gap: int = Gap.S) -> QHBoxLayout:
    """A horizontal layout with `margins` (one for all sides, or four) and `gap`."""
    result = QHBoxLayout()
    _set_margins(result, margins)
    result.setSpacing(gap)
    return result


def _set_margins(layout: QVBoxLayout | QHBoxLayout, margins: tuple[int, ...]) -> None:
    four = margins if len(margins) == 4 else (margins or (0,)) * 4
    layout.setContentsMargins(four[0], four[1], four[2], four[3])
