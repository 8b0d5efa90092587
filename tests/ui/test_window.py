"""The shell: pages, sizes, keys, drops, names for everything one can touch, one instance."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from PySide6.QtCore import QEvent, QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDropEvent, QKeyEvent, QShortcut
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QComboBox,
    QLabel,
    QLineEdit,
    QScrollBar,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from songid_desktop.ui import theme
from songid_desktop.ui.drop_hint import DropHint
from songid_desktop.ui.single_instance import SingleInstance, server_name
from songid_desktop.ui.theme import Size
from songid_desktop.ui.window import MainWindow, PageSpec
from tests.support import qt

HERE = __name__


class QuietPage(QWidget):
    """A page without machinery, that writes down what it is asked."""

    def __init__(self, services, parent=None):
        super().__init__(parent)
        self.asked: list[object] = []
        self.setLayout(QVBoxLayout())
        self.layout().addWidget(QLabel("A page"))

    def add_paths(self, paths):
        self.asked.append(("add", list(paths)))

    def add_folder(self):
        self.asked.append("add_folder")

    def focus_search(self):
        self.asked.append("search")

    def identify_files(self, files):
        self.asked.append(("identify", list(files)))

    def listen_key(self, event):
        self.asked.append(event.key())
        return event.key() == Qt.Key.Key_Space


QUIET = tuple(
    PageSpec(name, name.title(), name, HERE, "QuietPage")
    for name in ("listen", "library", "history")
)


@pytest.fixture
def window(services, shown):
    made = MainWindow(services, QUIET)
    shown.append(made)
    qt.show(made)
    return made


def press(widget, key, modifiers=Qt.KeyboardModifier.NoModifier):
    QTest.keyClick(widget, key, modifiers)


def test_it_opens_at_its_size_and_gets_narrow(window):
    assert (window.width(), window.height()) == Size.WINDOW
    assert window.sidebar.width() == Size.SIDEBAR
    window.resize(*Size.WINDOW_MIN)
    qt.settle()
    assert window.sidebar.width() == Size.SIDEBAR_NARROW
    window.resize(100, 100)
    qt.settle()
    assert (window.width(), window.height()) == Size.WINDOW_MIN


def test_it_is_never_larger_than_the_screen(window):
    window.resize(5000, 4000)
    window.fit_screen()
    room = window.screen().availableGeometry()
    assert window.width() == max(Size.WINDOW_MIN[0], room.width())
    assert window.height() == max(Size.WINDOW_MIN[1], room.height())


def test_it_remembers_its_size(services, shown):
    first = MainWindow(services, QUIET)
    shown.append(first)
    qt.show(first)
    first.resize(900, 640)
    qt.settle()
    first.close()
    second = MainWindow(services, QUIET)
    shown.append(second)
    assert second.height() == 640  # the width is cut to the small screen of the tests


@pytest.mark.parametrize("stored", ["nonsense!", "AAAA", "ä"])
def test_a_broken_memory_of_its_size_is_no_harm(services, shown, stored):
    services.change_settings(window_geometry=stored)
    made = MainWindow(services, QUIET)
    shown.append(made)
    assert made.width() >= Size.WINDOW_MIN[0]


def test_pages_are_made_when_first_shown(window):
    assert list(window._pages) == ["listen"]
    window.show_page("history")
    assert list(window._pages) == ["listen", "history"]
    assert window.current_page is window.page("history")


def test_shortcuts_lead_everywhere(window):
    window.activateWindow()
    for number, name in enumerate(("listen", "library", "history"), 1):
        keys = {each.key().toString(): each for each in window.findChildren(QShortcut)}
        keys[f"Ctrl+{number}"].activated.emit()
        assert window.current_page is window.page(name)
    keys["Ctrl+F"].activated.emit()
    assert window.page("history").asked == ["search"]
    keys["F1"].activated.emit()
    sheet = window._sheet
    assert sheet.isVisible()
    texts = {each.text() for each in sheet.findChildren(QLabel)}
    assert {"Space", "Ctrl+O", "Ctrl+3"} <= texts
    press(sheet, Qt.Key.Key_Escape)
    assert not sheet.isVisible()


def test_the_sheet_cuts_nothing_and_fits_the_screen(services, shown):
    made = MainWindow(services)
    shown.append(made)
    qt.show(made)
    made.show_shortcuts()
    sheet = made._sheet
    qt.wait_until(sheet.isVisible)
    qt.settle()
    assert cut_text(sheet) == []
    room = sheet.screen().availableGeometry().height()
    assert sheet.height() <= room
    sheet.resize(sheet.width(), 300)  # as on a small screen
    qt.settle()
    assert cut_text(sheet) == []
    assert sheet.body.verticalScrollBar().maximum() > 0
    sheet.close()


def test_the_keyboard_goes_with_the_page(services, shown):
    made = MainWindow(services)
    shown.append(made)
    qt.show(made)
    made.start_late()
    listen = made.page("listen")
    listen.button.setFocus(Qt.FocusReason.TabFocusReason)
    services.notify("Something was said.")
    made.show_page("library")
    assert made.page("library").isAncestorOf(made.focusWidget()) or (
        made.focusWidget() is made.page("library")
    )
    made._toasts.close_all()
    assert made.focusWidget() is made.page("library")
    made.show_page("listen")
    services.notify("Something else was said.")
    made._toasts.notes[0].close_button.setFocus(Qt.FocusReason.TabFocusReason)
    made._toasts.close_all()
    assert made.focusWidget() is listen.button


def test_space_and_escape_reach_the_listen_page_from_anywhere(window):
    listen = window.page("listen")
    window.show_page("library")
    for key in (Qt.Key.Key_Space, Qt.Key.Key_Escape):
        window.keyPressEvent(QKeyEvent(QEvent.Type.KeyPress, key, Qt.KeyboardModifier.NoModifier))
    assert listen.asked == [Qt.Key.Key_Space, Qt.Key.Key_Escape]


def test_the_sidebar_marks_the_page_and_can_be_walked(window):
    buttons = window.sidebar.findChildren(QAbstractButton)
    assert [each.text() for each in buttons if each.isChecked()] == ["Listen"]
    names = [each.text() for each in buttons]
    assert set(names) == {"Listen", "Library", "History", "Preferences"}
    library = next(each for each in buttons if each.text() == "Library")
    library.setFocus(Qt.FocusReason.TabFocusReason)
    press(library, Qt.Key.Key_Space)
    assert window.current_page is window.page("library")
    assert library.isChecked()


def drop(window, paths):
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    copy, left, none = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton, Qt.KeyboardModifier
    window.dropEvent(QDropEvent(QPointF(9, 9), copy, data, left, none.NoModifier))
    qt.settle()


def test_what_dropping_will_do_is_said_while_one_drags(window, tmp_path):
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(tmp_path / "a.mp3"))])
    copy, left, none = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton, Qt.KeyboardModifier

    def enter():
        window.dragEnterEvent(QDragEnterEvent(QPoint(9, 9), copy, data, left, none.NoModifier))

    enter()
    hint = window.findChild(DropHint)
    assert hint.isVisible()
    assert "name their music" in hint.accessibleName()
    assert not window.grab().isNull()
    window.dragLeaveEvent(QDragLeaveEvent())
    assert not hint.isVisible()
    enter()
    drop(window, [tmp_path / "a.mp3"])
    assert not hint.isVisible()


def test_files_that_are_dropped_are_identified(window, tmp_path):
    song = tmp_path / "曲 名.mp3"
    song.write_bytes(b"x")
    drop(window, [song])
    qt.wait_until(lambda: window.page("listen").asked)
    assert window.page("listen").asked == [("identify", [song])]


def test_a_folder_that_is_dropped_is_offered_for_the_library(window, tmp_path):
    from songid_desktop.ui.offer import Offer

    drop(window, [tmp_path])
    qt.wait_until(lambda: window.findChildren(Offer))
    offer = window.findChildren(Offer)[0]
    assert "library" not in window._pages  # nothing happens unasked
    accept = next(each for each in offer.findChildren(QAbstractButton) if each.text())
    accept.click()
    assert window.page("library").asked == [("add", [tmp_path])]
    qt.settle()
    drop(window, [tmp_path])
    qt.wait_until(lambda: window.findChildren(Offer))
    press(window.findChildren(Offer)[0], Qt.Key.Key_Escape)
    qt.settle()
    assert not window.findChildren(Offer)


def test_pages_ask_for_one_another(window, services, tmp_path):
    services.ask_library("add_folder")
    assert window.page("library").asked == ["add_folder"]
    services.identify_files([tmp_path / "a.ogg"])
    assert window.page("listen").asked == [("identify", [tmp_path / "a.ogg"])]
    services.show_page("history")
    assert window.current_page is window.page("history")


# Everything one can touch has a name and says what it does

TOUCHABLE = (QAbstractButton, QLineEdit, QComboBox, QSlider)


def unnamed(root):
    found = []
    for each in root.findChildren(QWidget):
        is_part = isinstance(each, QScrollBar) or each.objectName().startswith("qt_")
        wants = isinstance(each, TOUCHABLE) or each.focusPolicy() & Qt.FocusPolicy.TabFocus
        if is_part or not wants or isinstance(each.parent(), QComboBox):
            continue
        if not each.accessibleName() and not (isinstance(each, QAbstractButton) and each.text()):
            found.append(f"{each!r} has no accessible name")
        if isinstance(each, TOUCHABLE) and not each.toolTip() and each.isVisibleTo(root):
            found.append(f"{each!r} has no tooltip")
    return found


def test_everything_on_the_listen_page_has_a_name_and_a_hint(services, shown):
    made = MainWindow(services)
    shown.append(made)
    qt.show(made)
    assert unnamed(made) == []


def test_the_keyboard_reaches_everything_on_the_listen_page(services, shown):
    made = MainWindow(services)
    shown.append(made)
    qt.show(made)
    wanted = {
        each
        for each in made.findChildren(QWidget)
        if each.isVisible() and each.isEnabled() and each.focusPolicy() & Qt.FocusPolicy.TabFocus
    }
    seen, at = set(), made.focusWidget() or made
    for _ in range(200):
        at = at.nextInFocusChain()
        seen.add(at)
    assert {repr(each) for each in wanted - seen} == set()


@pytest.mark.parametrize("size", [(820, 560), (1180, 760), (1920, 1080)])
@pytest.mark.parametrize("choice", ["light", "dark"])
def test_the_listen_page_fits_at_every_size(qapp, services, shown, size, choice):
    theme.apply(qapp, choice)
    made = MainWindow(services)
    shown.append(made)
    qt.show(made, *size)
    page = made.current_page
    assert cut_text(page) == []
    assert page.rect().contains(page.answer.geometry())
    assert Size.PANEL_MIN <= page.answer.width() <= Size.PANEL_MAX
    assert page.spectrogram.height() > 200
    below = page.button.mapTo(page, page.button.rect().bottomRight())
    assert page.rect().contains(below)


def cut_text(root):
    """Buttons and one-line labels whose words do not fit."""
    found = []
    for each in root.findChildren(QWidget):
        if not each.isVisible():
            continue
        needs = each.minimumSizeHint()
        if isinstance(each, QAbstractButton) and each.text() and each.width() < needs.width():
            found.append(f"{each!r} {each.text()!r}: {each.width()} of {needs.width()} px")
        if type(each) is QLabel and each.text() and not each.wordWrap():
            wide = each.fontMetrics().horizontalAdvance(each.text())
            if each.width() < wide:
                found.append(f"{each!r} {each.text()!r}: {each.width()} of {wide} px")
        if type(each) is QLabel and each.wordWrap() and each.text():
            tall = each.heightForWidth(each.width())
            if each.height() < tall:
                found.append(f"{each!r} {each.text()!r}: {each.height()} of {tall} px high")
    return found


@pytest.mark.parametrize("scale", ["1.5", "2"])
def test_nothing_is_cut_on_fine_screens(tmp_path, python, project, scale):
    script = textwrap.dedent(
        f"""
        from pathlib import Path
        from songid_desktop import settings
        from songid_desktop.paths import base_dir_paths
        from songid_desktop.ui import app, bridge, theme
        from songid_desktop.ui.services import Services
        from songid_desktop.ui.window import MainWindow
        from tests.support import qt
        from tests.ui.test_window import cut_text
        paths = base_dir_paths(Path({str(tmp_path)!r}))
        settings.save(paths.settings, settings.Settings(first_run_done=True))
        application = app.make_application()
        bridge.start()
        theme.apply(application, "dark")
        services = Services(paths)
        window = MainWindow(services)
        qt.show(window, 820, 560)
        assert window.devicePixelRatioF() == {scale}, window.devicePixelRatioF()
        assert cut_text(window) == [], cut_text(window)
        window.close()
        services.close()
        """
    )
    environment = {**os.environ, "QT_SCALE_FACTOR": scale}
    done = subprocess.run(
        [python, "-c", script],
        cwd=project, capture_output=True, text=True, timeout=60, check=False, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


# Start-up

LATE = ("scipy", "pyqtgraph", "sounddevice", "av", "mutagen", "sqlite3", "torch", "librosa")


def test_the_first_frame_needs_nothing_heavy(tmp_path, python, project):
    script = textwrap.dedent(
        f"""
        import sys
        from pathlib import Path
        from songid_desktop import settings
        from songid_desktop.paths import base_dir_paths
        from songid_desktop.ui import app
        paths = base_dir_paths(Path({str(tmp_path)!r}))
        settings.save(paths.settings, settings.Settings(first_run_done=True))
        def look(window, services, instance, files):
            print([name for name in {LATE!r} if name in sys.modules])
            print(type(window.current_page).__name__, window.current_page.button.isEnabled())
            window.close()
        app._after_first_frame = look
        sys.exit(app.run(paths))
        """
    )
    done = subprocess.run(
        [python, "-c", script], cwd=project, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["[]", "ListenPage True"], done.stderr


# One instance


def test_a_second_start_hands_over_its_files(paths, python, project):
    first = SingleInstance(paths)
    assert first.is_first
    first.listen()
    received = []
    first.received.connect(received.append)
    names = ["/music/曲.mp3", "/b c.ogg"]
    folders = [str(paths.data), str(paths.config), str(paths.runtime)]
    script = textwrap.dedent(
        f"""
        import sys
        from pathlib import Path
        from songid_desktop.paths import Paths
        from songid_desktop.ui import app
        paths = Paths(*map(Path, {folders!r}))
        sys.exit(app.run(paths, [Path(name) for name in {names!r}]))
        """
    )
    second = subprocess.Popen([python, "-c", script], cwd=project)
    qt.wait_until(lambda: received, 20)
    qt.wait_until(lambda: second.poll() is not None, 20)
    assert second.returncode == 0
    assert received == [[Path(name) for name in names]]
    assert not SingleInstance(paths).is_first
    first.close()
    third = SingleInstance(paths)
    assert third.is_first
    third.close()
    first.deleteLater()


def test_instances_of_other_folders_live_side_by_side(paths, tmp_path):
    from songid_desktop.paths import base_dir_paths

    other = base_dir_paths(tmp_path / "other")
    assert server_name(paths) != server_name(other)
    one, two = SingleInstance(paths), SingleInstance(other)
    assert one.is_first
    assert two.is_first
    one.close()
    two.close()


def test_a_killed_window_does_not_block_the_next(paths, python, project):
    script = textwrap.dedent(
        f"""
        import os, signal
        from pathlib import Path
        from PySide6.QtCore import QCoreApplication
        from songid_desktop.paths import Paths
        from songid_desktop.ui.single_instance import SingleInstance
        app = QCoreApplication([])
        paths = Paths(*map(Path, {[str(paths.data), str(paths.config), str(paths.runtime)]!r}))
        made = SingleInstance(paths)
        made.listen()
        os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    subprocess.run([python, "-c", script], cwd=project, timeout=60, check=False)
    assert (paths.runtime / "window.lock").exists()
    made = SingleInstance(paths)
    assert made.is_first
    made.listen()
    assert made._server is not None
    made.close()
    made.deleteLater()


def test_nonsense_on_the_socket_is_ignored(paths, warning_log):
    from PySide6.QtNetwork import QLocalSocket

    warning_log.allow("no list of files")
    made = SingleInstance(paths)
    made.listen()
    received = []
    made.received.connect(received.append)
    for message in (b"{}\n", b"\xff\xfe\n", b"17\n", b'["ok"]\n'):
        socket = QLocalSocket()
        socket.connectToServer(server_name(paths))
        assert socket.waitForConnected(1000)
        socket.write(message)
        socket.flush()
        qt.wait_until(lambda m=message: received or m != b'["ok"]\n')
        qt.settle()
        socket.abort()
        socket.deleteLater()
    qt.wait_until(lambda: received)
    assert received == [[Path("ok")]]
    made.close()
    made.deleteLater()


def test_a_folder_that_cannot_be_written_still_opens_a_window(tmp_path, warning_log):
    from songid_desktop.paths import base_dir_paths

    warning_log.allow("does not look for others")
    blocked = tmp_path / "file"
    blocked.write_text("")
    made = SingleInstance(base_dir_paths(blocked))
    assert made.is_first
    made.close()


def test_application_is_named():
    app = QApplication.instance()
    assert app.applicationDisplayName() == "SongID Desktop"
    assert app.desktopFileName() == "songid-desktop"
    assert not app.windowIcon().isNull()
    assert sys.excepthook is sys.__excepthook__  # tests do not install ours
