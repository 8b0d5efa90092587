"""Every test of the window: Qt's complaints fail it, and so do windows, threads and timers it
leaves."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication, QWidget
from shiboken6 import isValid

from songid_desktop import settings as settings_store
from songid_desktop.paths import Paths
from songid_desktop.settings import Settings
from songid_desktop.ui import app as app_module
from songid_desktop.ui import bridge, theme, wording
from songid_desktop.ui.services import Services
from tests.support import guards, qt
from tests.support.listen_page import Desk, make_library
from tests.support.second_identifier import Offered


@pytest.fixture(scope="session")
def qapp() -> QApplication:
    """The one application of the run, in the light theme."""
    app = app_module.make_application()
    theme.apply(app, "light")
    gc.collect()
    gc.freeze()  # what was imported is not looked through for leaks after every test
    return app


@pytest.fixture(autouse=True)
def qt_guard(qapp: QApplication) -> Iterator[list[str]]:
    """Qt's messages; a test that provokes one clears the list."""
    bridge.start()
    with qt.collected_messages() as messages:
        before = {id(each) for each in qapp.topLevelWidgets()}
        yield messages
        left = qt.left_behind(before)
        for each in qapp.topLevelWidgets():
            if isValid(each) and id(each) not in before:
                each.hide()
                each.deleteLater()
        qt.settle()
    bridge.stop()
    qt.settle()
    theme.apply(qapp, "light")
    if messages:
        pytest.fail("Qt complained:" + guards.explain(messages))
    if left:
        pytest.fail("Left in the application:" + guards.explain(left))


@pytest.fixture(autouse=True)
def offered(monkeypatch: pytest.MonkeyPatch) -> Iterator[Offered]:
    """The landmarks alone, whatever weights lie beside the program; `offered.add_others()` gives
    the window more to choose from."""
    yield Offered(monkeypatch)
    wording.identifier.cache_clear()


@pytest.fixture
def services(paths: Paths, qt_guard: list[str]) -> Iterator[Services]:
    """Services of a throw-away instance that has done its first run; nothing heavy is started."""
    settings_store.save(paths.settings, Settings(first_run_done=True))
    made = Services(paths)
    yield made
    made.close()
    qt.settle()
    made.deleteLater()
    qt.settle()


@pytest.fixture
def shown(qt_guard: list[str]) -> Iterator[list[QWidget]]:
    """Put windows in here; they are closed and deleted after the test, before anything is
    counted."""
    widgets: list[QWidget] = []
    yield widgets
    for each in reversed(widgets):
        if isValid(each):
            each.close()
            each.deleteLater()
    qt.settle()


@pytest.fixture
def library(paths: Paths, tmp_path: Path) -> list[Path]:
    """Three enrolled songs with tags; their files."""
    return make_library(paths, tmp_path)


@pytest.fixture
def desk(services: Services, shown: list[QWidget], library: list[Path]) -> Iterator[Desk]:
    """The Listen page over that library."""
    made = Desk(services, shown)
    yield made
    made.page.stop()
