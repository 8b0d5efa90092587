"""`songid enroll`."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from songid_desktop.identify.registry import installed_names
from tests.cli.conftest import NAMES, Shelf
from tests.cli.schemas import check_report
from tests.support.cli import Songid, noise, write_wav


def test_the_report_is_the_last_line_on_stdout(shelf: Shelf) -> None:
    done = shelf.enrolled
    assert done.code == 0, done.err
    report = done.json_line()
    check_report(report)
    assert report["added"] == len(NAMES)
    assert {Path(problem["path"]).name: problem["reason"] for problem in report["failed"]} == {
        "text.mp3": "not_audio",
        "nothing.flac": "empty",
    }
    assert report["audio_s"] > 90
    assert "files" in done.err, "progress is told on stderr"


def test_a_second_time_nothing_changes(shelf: Shelf) -> None:
    done = shelf.songid.run("enroll", shelf.music, "--json")
    report = done.json_line()
    check_report(report)
    assert (report["added"], report["unchanged"]) == (0, len(NAMES))
    assert done.code == 0


@pytest.mark.slow
def test_all_means_every_installed_identifier_and_only_adds(songid: Songid, tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", noise(3.0))
    assert songid.run("enroll", tmp_path / "a.wav", "--json").json_line()["added"] == 1
    report = songid.run("enroll", tmp_path / "a.wav", "--identifier", "all", "--json").json_line()
    check_report(report)
    assert report["added"] == 0
    (track,) = songid.run("catalog", "list", "--json").json_lines()
    assert track["states"] == dict.fromkeys(installed_names(), "enrolled")
    again = songid.run("enroll", tmp_path / "a.wav", "--identifier", "all", "--json").json_line()
    assert (again["added"], again["updated"], again["unchanged"]) == (0, 0, 1)


def test_what_goes_and_moves_is_told(songid: Songid, tmp_path: Path) -> None:
    music = tmp_path / "music"
    music.mkdir()
    for number in range(3):
        write_wav(music / f"{number}.wav", noise(3.0, seed=number))
    assert songid.run("enroll", music, "--json").json_line()["added"] == 3
    (music / "0.wav").rename(music / "renamed.wav")
    (music / "1.wav").unlink()
    report = songid.run("enroll", music, "--json").json_line()
    check_report(report)
    assert (report["moved"], report["missing"], report["added"]) == (1, 1, 0)
    listed = songid.run("catalog", "list", "--json").json_lines()
    assert sorted(track["is_missing"] for track in listed) == [False, False, True]
    removed = songid.run("catalog", "remove", "--missing", "--json").json_line()
    assert removed["removed"] == 1


def test_text_for_people(songid: Songid, tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", noise(2.0))
    (tmp_path / "b.mp3").write_text("no")
    done = songid.run("enroll", tmp_path / "a.wav", tmp_path / "b.mp3")
    assert done.code == 0
    assert done.out.startswith("1 added, 1 failed")
    assert "b.mp3" in done.err


@pytest.mark.skipif(sys.platform == "darwin", reason="names are always UTF-8 there")
def test_a_name_that_is_no_text_goes_in_and_comes_out_whole(songid: Songid, tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/caf\xe9 \xff.wav"
    write_wav(name, noise(3.0))
    path = os.fsdecode(name)
    assert songid.run("enroll", path, "--json").json_line()["added"] == 1
    (track,) = songid.run("catalog", "list", "--json").json_lines()
    assert os.fsencode(track["path"]) == name
    answer = songid.run("identify", path, "--json").json_line()
    assert answer["file"] == path
    assert answer["candidates"][0]["path"] == path
    text = songid.run("identify", path, LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert "Traceback" not in text.err
    assert text.out


def test_another_writer_is_named_and_nothing_happens(songid: Songid, tmp_path: Path) -> None:
    from songid_desktop.catalog.catalog import Catalog

    write_wav(tmp_path / "a.wav", noise(2.0))
    assert songid.run("enroll", tmp_path / "a.wav").code == 0
    write_wav(tmp_path / "b.wav", noise(2.0, seed=2))
    with Catalog.open(songid.paths) as catalog, catalog.writer("the rehearsal window"):
        for arguments in (
            ["enroll", str(tmp_path)],
            ["catalog", "remove", "1"],
            ["catalog", "rebuild"],
        ):
            done = songid.run(*arguments)
            assert done.code == 3
            assert "the rehearsal window" in done.err
            assert str(os.getpid()) in done.err
            assert done.out == ""
        assert songid.run("identify", tmp_path / "a.wav").code in (0, 1), "reading goes on"


def test_a_folder_that_can_not_be_written_is_exit_3(tmp_path: Path) -> None:
    (tmp_path / "base").write_text("a file stands where the folder should be")
    write_wav(tmp_path / "a.wav", noise(2.0))
    done = Songid(tmp_path / "base").run("enroll", tmp_path / "a.wav")
    assert done.code == 3
    assert "Traceback" not in done.err
    assert done.err.strip()


@pytest.mark.skipif(os.name == "nt", reason="signals as Unix has them")
def test_ctrl_c_keeps_what_is_done_and_the_next_run_goes_on(songid: Songid, tmp_path: Path) -> None:
    music = tmp_path / "music"
    music.mkdir()
    write_wav(music / "000.wav", noise(60.0))
    for number in range(1, 60):
        shutil.copy(music / "000.wav", music / f"{number:03}.wav")
        with (music / f"{number:03}.wav").open("r+b") as file:
            file.seek(1000 + number)
            file.write(bytes([number] * 500))
    with songid.start("enroll", music, "--json", "--jobs", "1") as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert b"files" in line
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        assert process.returncode == 130, err
        assert b"Traceback" not in err
    check_report(json.loads(out))
    done = songid.run("catalog", "verify", "--json")
    assert done.json_line() == {"ok": True, "problems": []}


def test_the_interpreter_is_started_safely(songid: Songid, tmp_path: Path) -> None:
    """Worker processes are spawned: they must not run the command line once more."""
    for number in range(4):
        write_wav(tmp_path / f"{number}.wav", noise(2.0, seed=number))
    done = songid.run("enroll", tmp_path, "--jobs", "2", "--json")
    assert done.json_line()["added"] == 4
    left = subprocess.run(
        ["pgrep", "-f", str(songid.base)], capture_output=True, text=True, check=False
    )
    assert left.stdout == ""
