"""The real command enrols through kills and bad files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from songid_desktop.catalog.catalog import Catalog
from songid_desktop.errors import CatalogError
from songid_desktop.paths import base_dir_paths
from tests.support.music import short_tune, write_short_tunes
from tests.support.sound import wait_until, write_wav
from tests.support.tools import last_json, songid

pytestmark = pytest.mark.slow


def enrolled_count(base_dir: Path) -> int:
    try:
        with Catalog.open(base_dir_paths(base_dir), create=False) as catalog:
            return catalog.counts().enrolled.get("landmark", 0)
    except CatalogError:
        return 0


def processes_of_group(group: int) -> list[str]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = stat.read_text().rpartition(") ")
        except OSError:
            continue
        fields = rest.split()
        if int(fields[2]) == group and fields[0] not in "ZX":
            found.append(name)
    return found


@pytest.fixture(scope="module")
def many_tunes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many")
    write_short_tunes(folder, 60)
    return folder


@pytest.mark.parametrize("already", [0, 1, 25])
def test_killed_enrolment_loses_at_most_the_file_in_hand(
    many_tunes: Path, tmp_path: Path, already: int
) -> None:
    base_dir = tmp_path / "instance"
    process = subprocess.Popen(
        [sys.executable, "-m", "songid_desktop", "--base-dir", str(base_dir),
         "enroll", str(many_tunes), "--jobs", "2", "--json"],
        env=os.environ,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    database = base_dir_paths(base_dir).catalog
    wait_until(database.exists, 30, "the database")
    wait_until(lambda: enrolled_count(base_dir) >= already, 60, f"{already} tracks")
    # The parent alone is killed: its workers must see that for themselves.
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = enrolled_count(base_dir)
    assert already <= kept < 60
    wait_until(lambda: not processes_of_group(process.pid), 10, "the workers' end")

    if kept:  # killed while the database was being made, there is none yet, and that is said
        verified = songid("catalog", "verify", "--json", base_dir=base_dir)
        assert verified.returncode == 0, verified.stdout + verified.stderr
    again = songid("enroll", many_tunes, "--json", base_dir=base_dir)
    assert again.returncode == 0, again.stderr
    report = last_json(again)
    assert report["added"] + report["unchanged"] + report["updated"] == 60
    assert report["unchanged"] >= kept - 1
    assert report["failed"] == []
    named = songid("identify", many_tunes / "tune 059.wav", "--json", base_dir=base_dir)
    assert last_json(named)["verdict"] == "match"


def test_second_writer_is_refused_by_name(many_tunes: Path, tmp_path: Path) -> None:
    base_dir = tmp_path / "instance"
    with Catalog.open(base_dir_paths(base_dir)) as catalog, catalog.writer("the first program"):
        refused = songid("enroll", many_tunes, "--json", base_dir=base_dir)
    assert refused.returncode == 3
    assert "the first program" in refused.stderr
    assert str(os.getpid()) in refused.stderr


@pytest.fixture
def bad_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "müsic"
    folder.mkdir()
    write_wav(folder / "good.wav", short_tune(1, 8), 11_025)
    whole = (folder / "good.wav").read_bytes()
    (folder / "empty.mp3").write_bytes(b"")
    (folder / "letter.mp3").write_text("Dear diary, this is no music.\n" * 50)
    (folder / "random.ogg").write_bytes(os.urandom(20_000))
    (folder / "half.wav").write_bytes(whole[: len(whole) // 2])
    write_wav(folder / "blink.wav", short_tune(2, 0.5), 11_025)
    (folder / "folder.flac").mkdir()
    (folder / "loop").symlink_to(folder)
    (folder / "nowhere.mp3").symlink_to(folder / "gone.mp3")
    write_wav(folder / "日本語の曲 🎵.wav", short_tune(3, 8), 11_025)
    strange = os.fsdecode(os.fsencode(folder) + b"/caf\xe9 latin1.wav")
    write_wav(Path(strange), short_tune(4, 8), 11_025)
    (folder / "notes.txt").write_text("not listed as music at all")
    return folder


def test_folder_of_broken_files_is_taken_as_far_as_it_goes(
    bad_folder: Path, tmp_path: Path
) -> None:
    base_dir = tmp_path / "instance"
    done = songid("enroll", bad_folder, "--json", base_dir=base_dir)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    report = last_json(done)
    reasons = {Path(entry["path"]).name: entry["reason"] for entry in report["failed"]}
    assert reasons.pop("nowhere.mp3", "none") in ("none", "no_permission", "corrupt", "empty")
    assert reasons.pop("letter.mp3") in ("not_audio", "corrupt")
    assert reasons.pop("random.ogg") in ("not_audio", "corrupt")
    assert reasons == {"empty.mp3": "empty", "blink.wav": "too_short"}
    assert all(entry["message"] for entry in report["failed"])
    warned = {Path(entry["path"]).name: entry["reason"] for entry in report["warnings"]}
    assert warned == {"half.wav": "truncated"}
    assert report["added"] == 4  # good, half, Japanese, Latin-1
    again = last_json(songid("enroll", bad_folder, "--json", base_dir=base_dir))
    assert (again["added"], again["unchanged"]) == (0, 4)


def test_broken_files_are_answered_one_by_one(bad_folder: Path, tmp_path: Path) -> None:
    base_dir = tmp_path / "instance"
    assert songid("enroll", bad_folder, base_dir=base_dir).returncode == 0
    names = ["good.wav", "empty.mp3", "letter.mp3", "folder.flac", "gone.mp3", "good.wav"]
    files = [bad_folder / name for name in names]
    done = songid("identify", *files, "--json", base_dir=base_dir)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["file"] for answer in answers] == [str(file) for file in files]
    verdicts = [answer["verdict"] for answer in answers]
    assert verdicts == ["match", "error", "error", "error", "error", "match"]
    assert all(a["reason"] == "unreadable" and a["message"] for a in answers[1:5])
    assert done.returncode == 3
    assert "Traceback" not in done.stderr


def test_one_warm_process_answers_line_by_line(bad_folder: Path, tmp_path: Path) -> None:
    base_dir = tmp_path / "instance"
    assert songid("enroll", bad_folder, base_dir=base_dir).returncode == 0
    process = subprocess.Popen(
        [sys.executable, "-m", "songid_desktop", "--base-dir", str(base_dir),
         "identify", "--stdin-list", "--json"],
        env=os.environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    assert process.stdin
    assert process.stdout
    try:
        for name, verdict in [("good.wav", "match"), ("empty.mp3", "error")] * 3:
            process.stdin.write(f"{bad_folder / name}\n")
            process.stdin.flush()
            began = time.monotonic()
            assert json.loads(process.stdout.readline())["verdict"] == verdict
            assert time.monotonic() - began < 20
    finally:
        _, errors = process.communicate(timeout=20)
    assert "Traceback" not in errors
