"""The real window, on a real X server, hearing through a real sound server."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from songid_desktop import settings
from songid_desktop.paths import base_dir_paths
from tests.support.music import TuneLibrary
from tests.support.screen import Hands, started_window
from tests.support.sound import PrivateSoundServer, wait_until
from tests.support.tools import last_json, songid

pytestmark = [pytest.mark.window, pytest.mark.slow]

TITLE = "SongID"


@pytest.fixture
def own_library(tmp_path: Path) -> TuneLibrary:
    """A library of its own, in a window that was used before."""
    made = TuneLibrary.make(tmp_path)
    paths = base_dir_paths(made.base_dir)
    settings.save(paths.settings, settings.Settings(first_run_done=True))
    return made


def window_command(library: TuneLibrary, *files: Path) -> list[str]:
    code = "import sys; from songid_desktop.__main__ import main_window; sys.exit(main_window())"
    return [sys.executable, "-c", code, "--base-dir", str(library.base_dir), *map(str, files)]


def log_of(library: TuneLibrary) -> str:
    log = base_dir_paths(library.base_dir).log
    return log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""


def played(library: TuneLibrary, title: str) -> bool:
    return any(title in str(row.get("title", "")) for row in library.plays())


@pytest.mark.sound
def test_pressing_space_names_what_plays(
    own_library: TuneLibrary,
    server: PrivateSoundServer,
    display: str,
    project: Path,
    tmp_path: Path,
) -> None:
    tune = own_library.tunes[1]
    at_rest = server.recording_count()  # the software microphone itself records its loudspeaker
    environment = {**server.own_env, "DISPLAY": display, "QT_QPA_PLATFORM": "xcb"}
    with started_window(
        window_command(own_library), project, log_folder=tmp_path, **environment
    ) as window:
        window.wait_for("ready", 40)
        hands = Hands(display)
        frame = hands.find_window(TITLE)
        server.play(tune)
        hands.press(frame, "space")
        wait_until(lambda: server.recording_count() > at_rest, 20, "the microphone opening")
        wait_until(lambda: played(own_library, "Paper Boats"), 40, "the history row of the match")
        # The match ended listening: the microphone is closed without anybody pressing anything.
        wait_until(lambda: server.recording_count() == at_rest, 10, "the microphone closing")
        assert len(own_library.plays()) == 1
        assert window.close() == 0
        assert "Traceback" not in window.errors() + log_of(own_library)


@pytest.mark.sound
@pytest.mark.parametrize(
    "listened_s", [2.0, 0.0], ids=["while listening", "while the microphone opens"]
)
def test_window_listens_on_after_the_sound_server_crashed(  # noqa: PLR0917 - fixtures
    own_library: TuneLibrary,
    own_server: PrivateSoundServer,
    display: str,
    project: Path,
    tmp_path: Path,
    listened_s: float,
) -> None:
    environment = {**own_server.own_env, "DISPLAY": display, "QT_QPA_PLATFORM": "xcb"}
    with started_window(
        window_command(own_library), project, log_folder=tmp_path, **environment
    ) as window:
        window.wait_for("ready", 40)
        hands = Hands(display)
        frame = hands.find_window(TITLE)
        at_rest = own_server.recording_count()
        hands.press(frame, "space")
        wait_until(lambda: own_server.recording_count() > at_rest, 20, "the microphone opening")
        opened_at = time.monotonic()
        wait_until(lambda: time.monotonic() - opened_at >= listened_s, 5, "listening for a while")
        own_server.kill()
        own_server.start()
        wait_until(lambda: own_server.recording_count() > at_rest, 40, "listening again by itself")
        own_server.play(own_library.tunes[4])
        wait_until(lambda: played(own_library, "Orange Kite"), 40, "the match after the crash")
        assert window.close() == 0
        assert "Traceback" not in window.errors() + log_of(own_library)


def test_file_on_the_command_line_is_handed_to_the_open_window(
    own_library: TuneLibrary, display: str, project: Path, tmp_path: Path
) -> None:
    environment = {"DISPLAY": display, "QT_QPA_PLATFORM": "xcb"}
    with started_window(
        window_command(own_library), project, log_folder=tmp_path, **environment
    ) as window:
        window.wait_for("ready", 40)
        second_log = tmp_path / "second"
        second_log.mkdir()
        command = window_command(own_library, own_library.tunes[5])
        with started_window(command, project, log_folder=second_log, **environment) as second:
            assert second.process.wait(30) == 0  # it hands over and ends
            assert "songid-trace" not in second.errors()
        assert window.process.poll() is None
        assert window.close() == 0
        assert "Traceback" not in window.errors() + log_of(own_library)


def test_open_window_sees_what_the_command_line_enrols(
    tmp_path: Path, display: str, project: Path
) -> None:
    """The window holds no lock that keeps the command line from writing."""
    base_dir = tmp_path / "instance"
    settings.save(base_dir_paths(base_dir).settings, settings.Settings(first_run_done=True))
    library = TuneLibrary(base_dir, ())
    environment = {"DISPLAY": display, "QT_QPA_PLATFORM": "xcb"}
    with started_window(
        window_command(library), project, log_folder=tmp_path, **environment
    ) as window:
        window.wait_for("ready", 40)
        made = TuneLibrary.make(tmp_path)
        assert made.base_dir == base_dir
        named = songid("identify", made.tunes[0], "--json", base_dir=base_dir)
        assert last_json(named)["verdict"] == "match"
        assert window.close() == 0
        assert "Traceback" not in window.errors() + log_of(library)


def test_first_run_opens_and_closes(tmp_path: Path, display: str, project: Path) -> None:
    library = TuneLibrary(tmp_path / "new", ())
    environment = {"DISPLAY": display, "QT_QPA_PLATFORM": "xcb"}
    with started_window(
        window_command(library), project, log_folder=tmp_path, **environment
    ) as window:
        window.wait_for("painted", 40)
        Hands(display).find_window(TITLE)
        assert window.close() == 0
        assert "Traceback" not in window.errors() + log_of(library)
