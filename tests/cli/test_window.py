"""Opening the window from the command line, where it can't be opened."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import songid_desktop
from songid_desktop import __main__ as entry


@pytest.fixture
def no_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is always a screen")
@pytest.mark.parametrize("arguments", [[], ["--base-dir", "x"]])
def test_without_a_screen_it_says_so(
    no_screen: None, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert entry.main(arguments) == 3
    assert entry.main_window([*arguments, "song.wav"]) == 3
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("no screen") == 2
    assert "songid doctor" in said.err


def test_files_and_base_dir_reach_the_window(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    opened: list[tuple[Path | None, list[Path]]] = []

    def open_window(base_dir: Path | None, files: list[Path]) -> int:
        opened.append((base_dir, files))
        return 5

    monkeypatch.setattr(entry, "_open_window", open_window)
    assert entry.main_window(["--base-dir", str(tmp_path), "a.wav", "b.mp3"]) == 5
    assert entry.main_window([]) == 5
    assert opened == [(tmp_path, [Path("a.wav"), Path("b.mp3")]), (None, [])]


def test_a_missing_qt_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    monkeypatch.setitem(sys.modules, "PySide6", None)
    if hasattr(songid_desktop, "ui"):  # the package's own name for it is put back afterwards, too
        monkeypatch.setattr(songid_desktop, "ui", None)
    for name in [name for name in sys.modules if name.startswith("songid_desktop.ui")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "PySide6.QtCore", None)
    assert entry.main([]) == 3
    assert "a library it needs is missing" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--base-dir", ""], [""]])
def test_an_empty_path_is_not_the_present_folder(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        entry.main_window(arguments)
    assert ended.value.code == 2
    assert "the path is empty" in capsys.readouterr().err
