"""The folders the library is made from: a small window with a list, that blocks nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QDialog, QFrame, QListWidget, QListWidgetItem, QWidget

from songid_desktop.paths import Paths
from songid_desktop.ui import icons, theme
from songid_desktop.ui.controls import button, column, label, row
from songid_desktop.ui.library_actions import FILES_STAY, LibraryActions, read_roots
from songid_desktop.ui.theme import Gap, Size, Type
from songid_desktop.ui.track_details import printable

if TYPE_CHECKING:
    from songid_desktop.ui.services import Services


class FoldersDialog(QDialog):
    """Lists folders and single files; adds, rescans and removes them."""

    add_wanted = Signal()

    def __init__(
        self, services: Services, actions: LibraryActions, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._services = services
        self._actions = actions
        self.setWindowTitle("Folders of the library")
        self.resize(560, 400)
        self.setMinimumSize(420, 300)
        layout = column(Gap.XL, gap=Gap.M)
        layout.addWidget(label("Folders of the library", size=Type.TITLE, strong=True))
        layout.addWidget(
            label(
                "A rescan looks in these. Removing a folder takes its tracks out of the library. "
                + FILES_STAY,
                "muted",
                wraps=True,
            )
        )
        self.places = QListWidget()
        self.places.setAccessibleName("Folders")
        self.places.setUniformItemSizes(True)
        self.places.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.places.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        theme.set_font(self.places)
        self.places.itemSelectionChanged.connect(self._update_buttons)
        card = QFrame()
        theme.set_role(card, "card")
        inside = column(Gap.XS)
        inside.addWidget(self.places)
        card.setLayout(inside)
        layout.addWidget(card, 1)
        foot = row(gap=Gap.S)
        add = button("Add folder…", "Add a folder of music (Ctrl+N)", self.add_wanted.emit)
        foot.addWidget(add)
        self._rescan = button("Rescan", "Look again in the chosen folder", self._rescan_chosen)
        foot.addWidget(self._rescan)
        self._remove = button(
            "Remove", "Forget the chosen folder; its files stay (Delete)", self._remove_chosen
        )
        foot.addWidget(self._remove)
        foot.addStretch(1)
        foot.addWidget(button("Close", "Close this window (Esc)", self.close))
        layout.addLayout(foot)
        self.setLayout(layout)
        services.catalog_changed.connect(self.refresh)
        actions.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Read the list again."""
        job = self._services.jobs.run(read_places, self._services.paths, lane="folders")
        job.done.connect(self._take)

    def _take(self, places: list[tuple[Path, bool]]) -> None:
        roots = [root for root, _is_file in places]
        chosen = self.chosen
        shown = [self.places.item(i).data(Qt.ItemDataRole.UserRole) for i in range(self.count)]
        if shown != roots:
            self.places.clear()
            for root, is_file in places:
                item = QListWidgetItem(printable(str(root)))
                item.setData(Qt.ItemDataRole.UserRole, root)
                item.setToolTip(printable(str(root)))
                item.setIcon(icons.icon("file-audio" if is_file else "folder", "muted"))
                item.setSizeHint(QSize(0, Size.CONTROL + Gap.XS))
                self.places.addItem(item)
                if root == chosen:
                    self.places.setCurrentItem(item)
        self._update_buttons()

    @property
    def count(self) -> int:
        return self.places.count()

    @property
    def chosen(self) -> Path | None:
        items = self.places.selectedItems()
        path = items[0].data(Qt.ItemDataRole.UserRole) if items else None
        return path if isinstance(path, Path) else None

    def _update_buttons(self) -> None:
        has_one = self.chosen is not None
        self._rescan.setEnabled(has_one)
        self._remove.setEnabled(has_one)

    def _rescan_chosen(self) -> None:
        if self.chosen is not None:
            self._actions.enrol([self.chosen])

    def _remove_chosen(self) -> None:
        if self.chosen is not None:
            self._actions.remove_folder(self.chosen)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Delete:
            self._remove_chosen()
        else:
            super().keyPressEvent(event)


def read_places(paths: Paths) -> list[tuple[Path, bool]]:
    """What the library is made from, and whether it is a single file. For a job thread: a drive
    that does not answer may hold this up for long."""
    return [(root, root.is_file()) for root in read_roots(paths)]
