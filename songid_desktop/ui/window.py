"""The main window only composes: sidebar, pages, progress strip, notes.

A page is a QWidget with `title`, `icon_name` and `(services, parent)`; it is made when first shown.
Optional on a page: `take_focus()`, `focus_search()` for Ctrl+F, `shortcuts` (pairs of keys and what
they do, for the F1 sheet), `listen_key(event) -> bool` for keys nobody else wanted. Pages follow
showEvent and hideEvent themselves, ask for one another through `Services.show_page`, and never
meet.
"""

from __future__ import annotations

import base64
import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QByteArray, QEvent, Qt, QTimer, Signal
from PySide6.QtGui import (
    QCloseEvent,
    QDragEnterEvent,
    QDragLeaveEvent,
    QDropEvent,
    QKeyEvent,
    QKeySequence,
    QPaintEvent,
    QResizeEvent,
    QShortcut,
)
from PySide6.QtWidgets import QMainWindow, QStackedWidget, QWidget

from songid_desktop.ui import icons, theme
from songid_desktop.ui.controls import column, divider, row
from songid_desktop.ui.drop_hint import DropHint
from songid_desktop.ui.services import Services
from songid_desktop.ui.sidebar import Sidebar
from songid_desktop.ui.theme import Size

if TYPE_CHECKING:
    from songid_desktop.ui.preferences import PreferencesDialog
    from songid_desktop.ui.shortcuts import ShortcutSheet
    from songid_desktop.ui.toasts import ToastArea


@dataclass(frozen=True, slots=True)
class PageSpec:
    """Where a page comes from; its module is imported when it is first shown."""

    name: str
    title: str
    icon: str
    module: str
    class_name: str

    def page_class(self) -> Callable[[Services, QWidget], QWidget]:
        """The page's class, imported now."""
        found: Callable[[Services, QWidget], QWidget] = getattr(
            importlib.import_module(self.module), self.class_name
        )
        return found

    def make(self, services: Services, parent: QWidget) -> QWidget:
        """The page itself."""
        made = self.page_class()(services, parent)
        assert isinstance(made, QWidget)
        return made


DROP_WORDS = "Drop files to name their music, or a folder to add it"
_UI = "songid_desktop.ui."
PAGES = (
    PageSpec("listen", "Listen", "listen", _UI + "listen", "ListenPage"),
    PageSpec("library", "Library", "library", _UI + "library", "LibraryPage"),
    PageSpec("history", "History", "history", _UI + "history", "HistoryPage"),
)


class MainWindow(QMainWindow):
    """The window. `start_late` builds what the first frame can do without."""

    first_painted = Signal()

    def __init__(self, services: Services, pages: Sequence[PageSpec] = PAGES) -> None:
        super().__init__()
        self._services = services
        self._specs = {spec.name: spec for spec in pages}
        self._pages: dict[str, QWidget] = {}
        self._first_run: QWidget | None = None
        self._preferences: PreferencesDialog | None = None
        self._sheet: ShortcutSheet | None = None
        self._toasts: ToastArea | None = None
        self._early_notes: list[tuple[str, object, str]] = []
        self._strip: QWidget | None = None
        self._has_painted = False
        self.setWindowTitle("SongID Desktop")
        self.setMinimumSize(*Size.WINDOW_MIN)
        self.setAcceptDrops(True)
        self._build()
        self._restore_geometry()
        self._connect()
        if services.settings.first_run_done:
            self.show_page(next(iter(self._specs)))
        else:
            self._show_first_run()

    def _build(self) -> None:
        self.sidebar = Sidebar()
        for number, spec in enumerate(self._specs.values(), 1):
            self.sidebar.add_page(spec.name, spec.title, spec.icon, f"Ctrl+{number}")
        self._stack = QStackedWidget()
        theme.set_role(self._stack, "page")
        self._drop_hint = DropHint(DROP_WORDS, self._stack, "file-audio")
        self._right = column(gap=0)
        self._right.addWidget(self._stack, 1)
        line = row(gap=0)
        line.addWidget(self.sidebar)
        line.addWidget(divider(vertical=True))
        line.addLayout(self._right, 1)
        self._central = central = QWidget()
        central.setLayout(line)
        self.setCentralWidget(central)

    def _connect(self) -> None:
        services = self._services
        self.sidebar.chosen.connect(self.show_page)
        services.page_requested.connect(self.show_page)
        services.library_requested.connect(self._ask_library)
        services.files_requested.connect(self._identify_files)
        services.notified.connect(self._notify)
        for number, name in enumerate(self._specs, 1):
            self._shortcut(f"Ctrl+{number}", partial(self.show_page, name))
        self._shortcut("Ctrl+,", lambda: self.show_page("preferences"))
        self._shortcut("Ctrl+F", self._focus_search)
        self._shortcut("Ctrl+O", self._open_files)
        self._shortcut("Ctrl+Q", self.close)
        self._shortcut("F1", self.show_shortcuts)

    def _shortcut(self, keys: str, run: Callable[[], object]) -> None:
        QShortcut(QKeySequence(keys), self).activated.connect(run)

    # Pages

    @property
    def current_page(self) -> QWidget:
        """The page that is shown."""
        shown = self._stack.currentWidget()
        assert shown is not None  # a page is shown before the constructor ends
        return shown

    def page(self, name: str) -> QWidget:
        """The page called `name`, made when it was not there yet."""
        if name not in self._pages:
            made = self._specs[name].make(self._services, self._stack)
            theme.set_role(made, "page")
            made.setAccessibleName(self._specs[name].title)
            self._pages[name] = made
            self._stack.addWidget(made)
        return self._pages[name]

    def show_page(self, name: str) -> None:
        """Show a page, or the preferences."""
        if name in ("preferences", "models"):
            self._show_preferences(section=name)
            return
        self._stack.setCurrentWidget(self.page(name))
        self.sidebar.set_current(name)

    def _focus_page(self) -> None:
        """A note that had the keyboard is gone: it goes back to the page."""
        take = getattr(self.current_page, "take_focus", None)
        if take is not None:
            take()

    def _ask_library(self, what: str) -> None:
        self.show_page("library")
        run = getattr(self.page("library"), what, None)
        if run is not None:
            run()

    def _show_first_run(self) -> None:
        from songid_desktop.ui.first_run import FirstRunPage

        made = FirstRunPage(self._services, self._stack)
        theme.set_role(made, "page")
        made.finished.connect(self._end_first_run)
        made.demo_requested.connect(self._play_demo)
        self._first_run = made
        self._stack.addWidget(made)
        self._stack.setCurrentWidget(made)

    def _end_first_run(self) -> None:
        self.show_page("listen")
        if self._first_run is not None:
            self._stack.removeWidget(self._first_run)
            self._first_run.deleteLater()
            self._first_run = None

    def _play_demo(self, path: Path) -> None:
        self.show_page("listen")
        demo = getattr(self.page("listen"), "listen_to_file", None)
        if demo is not None:
            demo(path)

    def _show_preferences(self, section: str = "") -> None:
        if self._preferences is None:
            from songid_desktop.ui.preferences import PreferencesDialog

            self._preferences = PreferencesDialog(self._services, self)
        self._preferences.show()
        self._preferences.raise_()
        self._preferences.activateWindow()
        self._preferences.show_section(section)

    def show_shortcuts(self) -> None:
        """The F1 sheet."""
        from songid_desktop.ui.shortcuts import ShortcutSheet

        if self._sheet is None:
            self._sheet = ShortcutSheet(self)
        self._sheet.fill(
            [
                (spec.title, getattr(spec.page_class(), "shortcuts", ()))
                for spec in self._specs.values()
            ],
            [spec.title for spec in self._specs.values()],
        )
        self._sheet.show()
        self._sheet.raise_()

    def _focus_search(self) -> None:
        target = self.current_page
        if not hasattr(target, "focus_search"):
            self.show_page("library")
            target = self.current_page
        if hasattr(target, "focus_search"):
            target.focus_search()

    # Files

    def _open_files(self) -> None:
        self.show_page("listen")
        chooser = getattr(self.page("listen"), "choose_file", None)
        if chooser is not None:
            chooser()

    def _identify_files(self, files: Sequence[Path]) -> None:
        self.show_page("listen")
        identify = getattr(self.page("listen"), "identify_files", None)
        if identify is not None:
            identify(files)

    def take_paths(self, paths: Sequence[Path]) -> None:
        """Files are identified, folders offered for the library; also what a second start hands
        over."""
        folders = [path for path in paths if path.is_dir()]
        files = [path for path in paths if not path.is_dir()]
        if files:
            self._identify_files(files)
        if folders:
            self._offer_folders(folders)

    def _offer_folders(self, folders: list[Path]) -> None:
        from songid_desktop.ui.offer import Offer

        what = f"“{folders[0].name}”" if len(folders) == 1 else f"these {len(folders)} folders"
        offer = Offer(f"Add {what} to your library?", "Add to library")
        offer.accepted.connect(lambda: self._enrol(folders))
        self._right.insertWidget(0, offer)
        offer.announce()

    def _enrol(self, folders: list[Path]) -> None:
        self.show_page("library")
        add = getattr(self.page("library"), "add_paths", None)
        if add is not None:
            add(folders)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if any(url.isLocalFile() for url in event.mimeData().urls()):
            event.acceptProposedAction()
            self._drop_hint.show_over()

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        super().dragLeaveEvent(event)
        self._drop_hint.hide()

    def dropEvent(self, event: QDropEvent) -> None:
        self._drop_hint.hide()
        urls = event.mimeData().urls()
        paths = [Path(url.toLocalFile()) for url in urls if url.isLocalFile()]
        event.acceptProposedAction()
        # The drag ends before work begins: some file managers wait for it.
        QTimer.singleShot(0, self, lambda: self.take_paths(paths))

    def raise_window(self) -> None:
        """Bring the window to the front, as far as the desktop lets us."""
        if self.isMinimized():
            self.showNormal()
        self.show()
        self.raise_()
        self.activateWindow()

    # Notes and progress

    def start_late(self) -> None:
        """After the first frame: notes and progress strip."""
        from songid_desktop.ui.progress_strip import ProgressStrip
        from songid_desktop.ui.toasts import ToastArea

        self._toasts = ToastArea(self._central)
        self._toasts.focus_left.connect(self._focus_page)
        strip = ProgressStrip(self._services.enrolment)
        strip.installEventFilter(self)
        self._right.addWidget(strip)
        self._strip = strip
        self._place_toasts()
        for text, action, kind in self._early_notes:
            self._notify(text, action, kind)
        self._early_notes.clear()

    def _notify(self, text: str, action: object, kind: str) -> None:
        from songid_desktop.ui.toasts import ToastAction

        if self._toasts is None:
            self._early_notes.append((text, action, kind))
            return
        self._toasts.notify(text, action if isinstance(action, ToastAction) else None, kind)

    def _place_toasts(self) -> None:
        if self._toasts is not None and self._strip is not None:
            self._toasts.set_foot(self._strip.height() if self._strip.isVisible() else 0)

    def eventFilter(self, watched: object, event: QEvent) -> bool:
        if watched is self._strip and event.type() in (
            QEvent.Type.Show,
            QEvent.Type.Hide,
            QEvent.Type.Resize,
        ):
            QTimer.singleShot(0, self, self._place_toasts)
        return False

    # Events

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.DevicePixelRatioChange:  # moved to a screen of other scale
            icons.recolour(self.findChildren(QWidget))
        return bool(super().event(event))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Keys that no widget wanted: Space listens and Esc cancels from every page."""
        page = self._pages.get("listen")
        handle = getattr(page, "listen_key", None)
        if page is not None and self._first_run is None and handle is not None and handle(event):
            event.accept()
            return
        super().keyPressEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        self.sidebar.set_narrow(is_narrow=self.width() < Size.SIDEBAR_NARROW_BELOW)
        super().resizeEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if not self._has_painted:
            self._has_painted = True
            QTimer.singleShot(0, self, self.first_painted.emit)

    def closeEvent(self, event: QCloseEvent) -> None:
        geometry = base64.b64encode(bytes(self.saveGeometry().data())).decode("ascii")
        self._services.change_settings(window_geometry=geometry)
        for page in self._pages.values():
            stop = getattr(page, "stop", None)
            if stop is not None:
                stop()
        for dialog in (self._preferences, self._sheet):
            if dialog is not None:
                dialog.close()
        event.accept()
        super().closeEvent(event)

    def fit_screen(self) -> None:
        """No larger than the screen has room for: at first, and when it was remembered from a
        larger one."""
        self.resize(self.size().boundedTo(self.screen().availableGeometry().size()))

    def _restore_geometry(self) -> None:
        self.resize(*Size.WINDOW)
        stored = self._services.settings.window_geometry
        if not stored:
            return
        try:
            data = base64.b64decode(stored, validate=True)
        except ValueError:
            return
        self.restoreGeometry(QByteArray(data))


def is_space(event: QKeyEvent) -> bool:
    """Space alone."""
    return event.key() == Qt.Key.Key_Space and not event.modifiers() and not event.isAutoRepeat()
