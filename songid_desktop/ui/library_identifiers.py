"""What each identifier knows of the library: a small window that blocks nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QFrame, QProgressBar, QScrollArea, QWidget

from songid_desktop.ui import theme, wording
from songid_desktop.ui.controls import IconLabel, button, column, label, row
from songid_desktop.ui.identifiers import MODELS_PAGE, IdentifierStatus
from songid_desktop.ui.theme import Gap, Type

if TYPE_CHECKING:
    from songid_desktop.ui.services import Services

_STEPS = 1000


class IdentifierCard(QFrame):
    """One identifier: what it is, what it knows, and the one thing to do about it."""

    def __init__(self, services: Services, name: str) -> None:
        super().__init__()
        self._services = services
        self._name = name
        theme.set_role(self, "card")
        self.sign = IconLabel("ring", "muted", 16)
        self.title = label("", size=Type.CARD, strong=True)
        self.words = label("", "muted")
        self.about = label("", "muted", Type.CAPTION, wraps=True)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setRange(0, _STEPS)
        self.button = button("", "What to do")
        self.button.clicked.connect(self._act)
        head = row(gap=Gap.S)
        head.addWidget(self.sign)
        head.addWidget(self.title)
        head.addWidget(self.words, 1)
        head.addWidget(self.button)
        lines = column(Gap.L, Gap.M, Gap.M, Gap.M, gap=Gap.S)
        lines.addLayout(head)
        lines.addWidget(self.about)
        lines.addWidget(self.bar)
        self.setLayout(lines)

    def show_status(self, status: IdentifierStatus, *, is_chosen: bool) -> None:
        """Say how things stand."""
        self.title.setText(status.label)
        chosen = "chosen" if is_chosen else ""
        self.words.setText(wording.joined([chosen, status.words]))
        self.about.setText(status.info.description)
        self.about.setToolTip(status.info.needs)
        if not status.info.is_installed and status.info.needs:
            self.about.setText(status.info.needs)
        is_whole = status.info.is_installed and status.tracks > 0 and not status.pending
        icon, role = ("dot", "ok") if is_whole else ("ring", "muted")
        self.sign.set_icon(icon, role)
        share = status.enrolled / status.tracks if status.tracks else 0.0
        self.bar.setValue(round(_STEPS * share))
        self.bar.setVisible(status.info.is_installed and status.tracks > 0)
        self.bar.setAccessibleName(f"{status.label}: {round(100 * share)} % of the library")
        word, tip = _action(status)
        self.button.setVisible(bool(word))
        self.button.setText(word)
        self.button.setAccessibleName(f"{word}: {status.label}")
        self.button.setToolTip(tip)

    def _act(self) -> None:
        identifiers = self._services.identifiers
        status = identifiers.status(self._name)
        if status is None:
            return
        if not status.info.is_installed:
            self._services.show_page(MODELS_PAGE)
        elif status.is_preparing:
            identifiers.stop_preparing(self._name)
        elif status.can_prepare:
            identifiers.prepare(self._name)


def _action(status: IdentifierStatus) -> tuple[str, str]:
    """Word and hint of the button; empty where there is nothing to do."""
    if not status.info.is_installed:
        return "Models…", "See and install the models of the identifiers"
    if status.is_preparing:
        return "Stop", f"Stop preparing for {status.label}; what is ready stays"
    if status.can_prepare:
        return "Prepare", f"Fingerprint the tracks that {status.label} lacks, in the background"
    return "", ""


class IdentifiersDialog(QDialog):
    """A card for each identifier that is offered."""

    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._services = services
        self.cards: dict[str, IdentifierCard] = {}
        self.setWindowTitle("Identifiers")
        self.setMinimumWidth(480)
        self.resize(560, 600)
        layout = column(Gap.XL, gap=Gap.M)
        layout.addWidget(label("Identifiers", size=Type.TITLE, strong=True))
        layout.addWidget(
            label(
                "Each names music in its own way, and learns your tracks once. That runs in the "
                "background and can be stopped at any time.",
                "muted",
                wraps=True,
            )
        )
        self._cards = column(gap=Gap.S)
        body = QWidget()
        inside = column(gap=0)
        inside.addLayout(self._cards)
        inside.addStretch(1)
        body.setLayout(inside)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setWidget(body)
        body.setAutoFillBackground(False)
        layout.addWidget(area, 1)
        foot = row(gap=Gap.S)
        foot.addWidget(
            button("Models…", "See and install the models of the identifiers", self._show_models)
        )
        foot.addStretch(1)
        foot.addWidget(button("Close", "Close this window (Esc)", self.close))
        layout.addLayout(foot)
        self.setLayout(layout)
        services.identifiers.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Say again how things stand."""
        identifiers = self._services.identifiers
        for status in identifiers.all():
            card = self.cards.get(status.name)
            if card is None:
                card = IdentifierCard(self._services, status.name)
                self.cards[status.name] = card
                self._cards.addWidget(card)
            card.show_status(status, is_chosen=status.name == identifiers.chosen_name)

    def _show_models(self) -> None:
        self._services.show_page(MODELS_PAGE)
