"""`songid evaluate` as another program sees it: exit codes, streams, files."""

import json
import re
import signal

import pytest

from tests.support import bench
from tests.support.identifying import wait_for


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return bench.make_music(tmp_path_factory.mktemp("evaluate"))


def quick(folder, out, *more):
    return (
        *("evaluate", "run", "--catalog-from", folder / "music", "--out", out, "--jobs", "1"),
        *("--noise-dir", folder / "noise", "--rooms-dir", folder / "rooms", "--lengths", "2"),
        *("--timing-clips", "1", *more),
    )


def test_a_run_prints_tables_and_writes_a_report(songid, folder, tmp_path):
    out = tmp_path / "out"
    done = songid.run(*quick(folder, out, "--conditions", "clean,white0,absent", "--sessions", "1"))
    assert done.code == 0, done.err
    assert re.search(r"^white0 +2 s +landmark +4 +[\d.]+ +[\d.–]+", done.out, re.MULTILINE)
    assert "False answers" in done.out
    assert "Times the STFT" in done.out
    assert "Clips:" in done.err
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "http" not in page
    assert "Right track first" in page
    again = songid.run("evaluate", "report", out, "--json")
    assert again.code == 0
    told = again.json_line()
    assert {cell["condition"] for cell in told["cells"]} == {"clean", "white0"}
    assert told["report"].endswith("report.html")
    assert told["cells"][0]["top1"]["interval_95"][1] == 1.0
    assert not songid.paths.catalog.exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--conditions", "clean,loud"), "no condition “loud”. There are: clean, white20"),
        (("--identifiers", "nose"), "no identifier called “nose”"),
        (("--lengths", "0.1"), "--lengths takes seconds"),
        (("--lengths", "x"), "not numbers"),
        (("--queries", "-3"), "not a whole number"),
        (("--noise-dir", "nowhere"), "no folder"),
        (("--split", "dev"), "--split is one of"),
    ],
)
def test_wrong_usage_ends_with_two_and_a_sentence(songid, folder, tmp_path, arguments, said):
    done = songid.run(*quick(folder, tmp_path / "out", *arguments))
    assert done.code == 2
    assert said in done.err
    assert "Traceback" not in done.err
    assert done.out == ""


def test_folders_that_are_no_good_are_said(songid, folder, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    for music, out, code, said in (
        (tmp_path / "nowhere", tmp_path / "out", 2, "is not there"),
        (tmp_path / "empty", tmp_path / "out", 2, "holds no music"),
        (folder / "music", tmp_path / "file", 2, "is a file"),
        (folder / "music", "/proc/nothing", 3, "can't be written"),
    ):
        done = songid.run("evaluate", "run", "--catalog-from", music, "--out", out, "--jobs", "1")
        assert done.code == code, done.err
        assert said in done.err
    done = songid.run("evaluate", "report", tmp_path / "empty")
    assert done.code == 2
    assert "holds no results" in done.err


def test_a_full_disk_is_said_with_three(songid, folder, tmp_path):
    (tmp_path / ".run.json.writing").symlink_to("/dev/full")
    done = songid.run(*quick(folder, tmp_path, "--conditions", "clean"))
    assert done.code == 3
    assert "No space left" in done.err
    assert "same command again" in done.err


@pytest.mark.slow
def test_an_interrupt_keeps_what_is_measured(songid, folder, tmp_path):
    arguments = quick(folder, tmp_path, "--conditions", "clean,phone,opus12", "--draws", "60")
    results = tmp_path / "results.jsonl"
    with songid.start(*arguments) as process:
        wait_for(lambda: results.exists() and results.stat().st_size > 0, 60.0)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "the same command goes on from here" in err.decode()
    assert out == b""
    kept = results.read_text().splitlines()
    assert all(json.loads(line)["condition"] in ("clean", "phone", "opus12") for line in kept)


def test_a_grid_is_measured_and_shown_beside_the_published_one(songid, folder, tmp_path):
    arguments = ("--pns", "20", "--fan", "15", "--eth", "0.3", "--lengths", "2,5", "--jobs", "1")
    music = ("--catalog-from", folder / "music", "--out", tmp_path, "--tracks", "3")
    done = songid.run("evaluate", "grid", *music, *arguments)
    assert done.code == 0, done.err
    assert re.search(r"^20 +15 +0.3 +clean +5 s +3 .*87.6 ", done.out, re.MULTILINE)
    assert "The report's grid" in (tmp_path / "report.html").read_text().replace("&#x27;", "'")
    wrong = songid.run("evaluate", "grid", *music, "--eth", "much")
    assert wrong.code == 2
    assert "--eth" in wrong.err


def test_help_lists_the_conditions(songid):
    done = songid.run("evaluate", "run", "--help")
    assert done.code == 0
    for word in ("room-5", "phone", "absent_clean", "manifest.csv", "goes on where it was"):
        assert word in done.out
