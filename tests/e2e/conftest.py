"""A library of generated tunes, a sound server with a software microphone, and a screen."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import sound
from tests.support.music import TuneLibrary
from tests.support.screen import private_display, window_manager
from tests.support.tools import needed


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> TuneLibrary:
    """Shared by all tests; those that change it make their own."""
    return TuneLibrary.make(tmp_path_factory.mktemp("library"))


def require_sound_programs() -> None:
    for name in sound.PROGRAMS:
        needed(name)


@pytest.fixture(scope="session")
def shared_server() -> Iterator[sound.PrivateSoundServer]:
    require_sound_programs()
    with sound.PrivateSoundServer() as server:
        yield server


@pytest.fixture
def server(shared_server: sound.PrivateSoundServer) -> Iterator[sound.PrivateSoundServer]:
    """The private sound server with nothing playing."""
    yield shared_server
    shared_server.stop_playing()


@pytest.fixture
def own_server() -> Iterator[sound.PrivateSoundServer]:
    """A server that the test may kill."""
    require_sound_programs()
    with sound.PrivateSoundServer() as server:
        yield server


@pytest.fixture(scope="session")
def display() -> Iterator[str]:
    """A screen with a window manager."""
    with private_display() as name, window_manager(name):
        yield name
