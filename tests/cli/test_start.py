"""Starting up: fast, light, and clear about wrong usage."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from songid_desktop import __version__
from songid_desktop.cli.main import build_parser, run
from tests.support.cli import Songid

HEAVY = (
    "numpy",
    "scipy",
    "av",
    "mutagen",
    "sounddevice",
    "sqlite3",
    "PySide6",
    "multiprocessing.pool",
)

PROBE = """
import sys
from songid_desktop.__main__ import main
code = main(sys.argv[1:])
loaded = [name for name in {heavy} if name in sys.modules]
print("code", code, "loaded", loaded, file=sys.stderr)
"""


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["identify", "--help"]])
def test_version_and_help_import_nothing_heavy(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(heavy=HEAVY), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stderr.strip() == "code 0 loaded []"
    assert done.stdout


def test_version(songid: Songid) -> None:
    done = songid.run("--version")
    assert (done.code, done.out, done.err) == (0, f"songid {__version__}\n", "")


@pytest.mark.parametrize(
    "arguments",
    [
        ["no-such-verb"],
        ["identify"],
        ["identify", ""],
        ["enroll", ""],
        ["catalog", "remove", ""],
        ["--base-dir", "", "catalog", "stats"],
        ["identify", "x.wav", "--top", "0"],
        ["identify", "x.wav", "--top", "many"],
        ["identify", "x.wav", "--identifier", "ouija"],
        ["enroll"],
        ["enroll", "/no/such/folder/anywhere"],
        ["enroll", ".", "--jobs", "-1"],
        ["enroll", ".", "--identifier", "landmark,ouija"],
        ["listen", "--seconds", "-2"],
        ["listen", "--seconds", "nan"],
        ["catalog"],
        ["catalog", "remove"],
        ["catalog", "remove", "999"],
        ["history", "--json", "--csv"],
        ["history", "--limit", "-1"],
    ],
)
def test_wrong_usage_is_exit_2_with_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert run(["--base-dir", str(tmp_path), *arguments], lambda *_: 99) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.strip()
    assert "Traceback" not in said.err


def test_without_a_verb_the_window_opens(tmp_path: Path) -> None:
    opened = []

    def open_window(base_dir: Path | None, files: object) -> int:
        opened.append((base_dir, files))
        return 7

    assert run(["--base-dir", str(tmp_path)], open_window) == 7
    assert opened == [(tmp_path, ())]


def test_every_verb_of_the_contract_is_there() -> None:
    text = build_parser().format_help()
    for verb in ("enroll", "identify", "listen", "sources", "catalog", "history", "doctor", "demo"):
        assert verb in text


def test_a_bug_is_an_apology_with_a_log_never_a_traceback(songid: Songid, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import songid_desktop.cli.history as h\n"
        "def broken(args, paths): raise KeyError('surprise')\n"
        "h.run = broken\n"
    )
    done = songid.run("history", PYTHONPATH=f"{tmp_path}:{Path(__file__).parents[2]}")
    assert done.code == 3
    assert "Traceback" not in done.err
    assert "Sorry" in done.err
    assert str(songid.paths.log) in done.err
    assert "KeyError" in songid.paths.log.read_text()
