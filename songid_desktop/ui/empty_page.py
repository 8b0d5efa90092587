"""An empty state whose sentence always shows whole, however many lines it takes."""

from __future__ import annotations

from PySide6.QtWidgets import QPushButton

from songid_desktop.ui.controls import EmptyState

SENTENCE_WIDTH = 420


class EmptyPage(EmptyState):
    """Gives its sentence the height that its width asks for: a centred label that wraps is given
    that of a wider one by the layout, and loses its last line."""

    def __init__(self, icon: str, text: str, *buttons: QPushButton) -> None:
        super().__init__(icon, text, *buttons)
        self._fit()

    def set_text(self, text: str) -> None:
        super().set_text(text)
        self._fit()

    def _fit(self) -> None:
        self.sentence.setFixedWidth(SENTENCE_WIDTH)
        self.sentence.setFixedHeight(max(1, self.sentence.heightForWidth(SENTENCE_WIDTH)))
