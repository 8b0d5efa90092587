"""`songid identify`: the lines that other programs read."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Shelf
from tests.cli.schemas import check_identification
from tests.support.cli import RATE, Songid, noise, write_wav


def test_names_the_track_and_the_offset_of_the_first_sample(shelf: Shelf, tmp_path: Path) -> None:
    clip = shelf.clip(tmp_path / "clip.wav", 1, start_s=12.0, length_s=6.0)
    done = shelf.songid.run("identify", clip, "--json")
    answer = done.json_line()
    check_identification(answer)
    assert answer["file"] == str(clip)
    assert (answer["verdict"], answer["reason"]) == ("match", None)
    best = answer["candidates"][0]
    assert best["path"] == str(shelf.file(1))
    assert best["offset_s"] == pytest.approx(12.0, abs=0.1)
    assert best["confidence"] > 0.9
    assert answer["timings_ms"]["total"] >= answer["timings_ms"]["decode"] > 0
    assert done.code == 0


def test_a_long_file_is_named_with_the_offset_of_its_beginning(
    shelf: Shelf, tmp_path: Path
) -> None:
    clip = tmp_path / "long.wav"
    talk = noise(20.0)
    write_wav(clip, np.concatenate([talk, shelf.tunes[0]]))
    answer = shelf.songid.run("identify", clip, "--json").json_line()
    assert answer["candidates"][0]["path"] == str(shelf.file(0))
    assert answer["candidates"][0]["offset_s"] == pytest.approx(-20.0, abs=0.2)


def test_answers_in_order_and_goes_on_after_an_unreadable_file(
    shelf: Shelf, tmp_path: Path, noise_file: Path
) -> None:
    text = tmp_path / "text.mp3"
    text.write_text("no music")
    files = [shelf.file(2), text, noise_file, tmp_path / "absent.wav", shelf.file(0)]
    done = shelf.songid.run("identify", *files, "--json", "--top", "2")
    answers = done.json_lines()
    for answer in answers:
        check_identification(answer, top=2)
    assert [answer["file"] for answer in answers] == [str(file) for file in files]
    verdicts = [answer["verdict"] for answer in answers]
    assert verdicts == ["match", "error", "no_match", "error", "match"]
    reasons = [answer["reason"] for answer in answers]
    assert reasons == [None, "unreadable", "no_music", "unreadable", None]
    assert done.code == 3


@pytest.mark.parametrize(("files", "code"), [("match", 0), ("none", 1), ("both", 1)])
def test_exit_codes(shelf: Shelf, noise_file: Path, files: str, code: int) -> None:
    chosen = {
        "match": [shelf.file(0), shelf.file(1)],
        "none": [noise_file],
        "both": [shelf.file(0), noise_file],
    }[files]
    assert shelf.songid.run("identify", *chosen).code == code


def test_silence_shortness_and_faintness_have_their_reasons(shelf: Shelf, tmp_path: Path) -> None:
    tune = shelf.tunes[0]
    cases = {
        "zeros": (np.zeros(4 * RATE, np.float32), "no_signal", "exact_zeros"),
        "short": (tune[: RATE // 4], "not_enough_audio", None),
        "overdriven": (np.clip(tune[: 8 * RATE] * 8, -1, 1), "match", "clipping"),
    }
    for name, (samples, _verdict, _reason) in cases.items():
        write_wav(tmp_path / f"{name}.wav", samples)
    done = shelf.songid.run("identify", *[tmp_path / f"{name}.wav" for name in cases], "--json")
    found = [(answer["verdict"], answer["reason"]) for answer in done.json_lines()]
    assert found == [(verdict, reason) for _samples, verdict, reason in cases.values()]
    assert all(answer["message"] for answer in done.json_lines())
    assert done.code == 1


def test_text_for_people_under_any_locale(shelf: Shelf) -> None:
    done = shelf.songid.run(
        "identify", shelf.file(1), LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0"
    )
    assert done.code == 0, done.err
    assert done.err == ""
    assert done.out.startswith(f"{shelf.file(1)}: ")
    plain = shelf.songid.run("identify", shelf.file(1))
    assert "夜のうた, from 0:00 (almost certain" in plain.out


def test_nothing_enrolled_is_exit_3_and_names_the_command(songid: Songid, noise_file: Path) -> None:
    done = songid.run("identify", noise_file, "--json")
    assert done.code == 3
    assert "songid enroll" in done.err
    assert done.out == ""
    assert not songid.paths.catalog.exists(), "asking makes no catalog"


def test_stdin_list_answers_each_line_at_once(shelf: Shelf, tmp_path: Path) -> None:
    clips = [shelf.clip(tmp_path / f"{n} ü.wav", n, 5.0, 4.0) for n in range(3)]
    with shelf.songid.start("identify", "--stdin-list", "--json") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for number, clip in enumerate(clips):
            process.stdin.write(os.fsencode(clip) + b"\n")
            process.stdin.flush()
            answer = json.loads(process.stdout.readline())
            check_identification(answer)
            assert answer["file"] == str(clip)
            assert answer["candidates"][0]["path"] == str(shelf.file(number))
        process.stdin.write(b"\n" + os.fsencode(tmp_path) + b"/not there.wav\r\n")
        process.stdin.flush()
        answer = json.loads(process.stdout.readline())
        assert answer["file"] == f"{tmp_path}/not there.wav"
        assert answer["verdict"] == "error"
        process.stdin.close()
        assert process.wait(timeout=30) == 3


@pytest.mark.skipif(os.name == "nt", reason="signals as Unix has them")
def test_ctrl_c_while_waiting_for_a_line(shelf: Shelf) -> None:
    with shelf.songid.start("identify", "--stdin-list", "--json") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(os.fsencode(shelf.file(0)) + b"\n")
        process.stdin.flush()
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _out, err = process.communicate(timeout=30)
        assert process.returncode == 130
        assert err.strip() == b"Stopped."


@pytest.mark.skipif(os.name == "nt", reason="pipes as Unix has them")
def test_a_reader_that_goes_away_is_no_error(shelf: Shelf) -> None:
    command = shelf.songid.command("identify", *[shelf.file(0)] * 6, "--json")
    writer = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert writer.stdout is not None
    assert writer.stderr is not None
    assert writer.stdout.readline()
    writer.stdout.close()
    assert writer.stderr.read() == b""
    writer.stderr.close()
    assert writer.wait(timeout=60) == 141


def test_a_file_from_a_pipe_of_its_own_python(shelf: Shelf) -> None:
    """The package is a program: python -m songid_desktop is the same command."""
    done = subprocess.run(
        [sys.executable, "-m", "songid_desktop", "--version"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.startswith("songid ")
