"""`songid dataset`: its exit codes, its JSON, its words."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from songid_desktop.train.dataset import read_rows
from tests.support.cli import Songid, write_wav
from tests.support.jamendo_server import CLIENT_ID, JamendoServer, songs
from tests.support.music import short_tune


@pytest.fixture
def music(tmp_path: Path) -> Path:
    for number in range(8):
        folder = tmp_path / "music" / f"album {number}"
        folder.mkdir(parents=True)
        write_wav(folder / "tüne.wav", short_tune(number, 6.0, 8000), 8000)
    (tmp_path / "music" / "bad.mp3").write_text("This is no music.")
    return tmp_path / "music"


@pytest.fixture
def server() -> Iterator[JamendoServer]:
    with JamendoServer(songs(6)) as running:
        yield running


def jamendo(server: JamendoServer, out: Path, *more: str) -> list[str | Path]:
    return [
        "dataset", "jamendo", "--client-id", CLIENT_ID, "--out", out, "--tracks", "4",
        "--test-tracks", "1", "--shortest", "3", "--pause", "0", "--api-url", server.api_url, *more,
    ]  # fmt: skip


def test_scan_writes_a_table_and_says_so(songid: Songid, music: Path) -> None:
    done = songid.run("dataset", "scan", music)
    assert done.code == 0
    assert "8 tracks" in done.out
    assert "1 files left out" in done.out
    assert "bad.mp3: " in done.err
    rows = read_rows(music / "metadata.csv")
    assert all((music / row.path).is_file() for row in rows)


def test_scan_reports_in_json(songid: Songid, music: Path, tmp_path: Path) -> None:
    table = tmp_path / "t" / "x.csv"
    said = songid.run("dataset", "scan", music, "--out", table, "--seed", "3", "--json").json_line()
    assert said["table"] == str(table)
    assert said["tracks"] == 8
    assert sum(said["splits"].values()) == 8
    assert said["split_by"] == "artist"
    (bad,) = said["unusable"]
    assert bad["reason"] == "not_audio"
    assert bad["message"]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["scan"],
        ["scan", "/no/such/folder"],
        ["scan", ".", "--test-share", "2"],
        ["scan", ".", "--shortest", "nan"],
        ["jamendo", "--out", "x", "--client-id", ""],
        ["jamendo", "--client-id", "x"],
        ["jamendo", "--out", "x", "--client-id", "x", "--tracks", "0"],
        ["jamendo", "--out", "x", "--client-id", "x", "--api-url", "file:///etc"],
    ],
)
def test_wrong_usage_is_a_sentence(
    songid: Songid,
    tmp_path: Path,
    arguments: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from songid_desktop.cli.main import run

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JAMENDO_CLIENT_ID", raising=False)
    assert run(["--base-dir", str(tmp_path / "base"), "dataset", *arguments], lambda *_: 99) == 2
    said = capsys.readouterr()
    assert said.err.strip()
    assert "Traceback" not in said.err


def test_jamendo_collects(songid: Songid, server: JamendoServer, tmp_path: Path) -> None:
    done = songid.run(*jamendo(server, tmp_path / "set", "--json"))
    assert done.code == 0, done.err
    said = done.json_line()
    assert said["splits"] == {"train": 3, "validation": 1, "test": 1}
    assert said["is_complete"]
    again = songid.run(*jamendo(server, tmp_path / "set"))
    assert "5 of 5 tracks: 3 train, 1 validation, 1 test." in again.out
    assert server.asked_for("/audio/") == 5


def test_a_wrong_client_id_is_exit_3(songid: Songid, server: JamendoServer, tmp_path: Path) -> None:
    done = songid.run(*jamendo(server, tmp_path / "set", "--client-id", "wrong"))
    assert done.code == 3
    assert "does not know this client id" in done.err
    assert not (tmp_path / "set" / "metadata.csv").exists()


def test_the_client_id_may_come_from_the_environment(
    songid: Songid, server: JamendoServer, tmp_path: Path
) -> None:
    arguments = [part for part in jamendo(server, tmp_path / "set") if part != CLIENT_ID]
    arguments.remove("--client-id")
    assert songid.run(*arguments, JAMENDO_CLIENT_ID=CLIENT_ID).code == 0


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_keeps_what_there_is(
    songid: Songid, server: JamendoServer, tmp_path: Path, number: signal.Signals
) -> None:
    server.faults.hang = {"/audio/102"}
    with songid.start(*jamendo(server, tmp_path / "set")) as process:
        assert server.hanging.wait(60)
        begun = time.monotonic()
        process.send_signal(number)
        assert process.wait(30) == 130
        assert time.monotonic() - begun < 2.0  # the interpreter's own end is in that
        assert process.stderr is not None
        assert b"goes on from here" in process.stderr.read()
    assert len(read_rows(tmp_path / "set" / "metadata.csv")) == 2


def test_a_kill_is_gone_on_from(songid: Songid, server: JamendoServer, tmp_path: Path) -> None:
    server.faults.hang = {"/audio/103"}
    with songid.start(*jamendo(server, tmp_path / "set")) as process:
        assert server.hanging.wait(60)
        process.kill()
        process.wait(30)
    server.faults.hang.clear()
    assert songid.run(*jamendo(server, tmp_path / "set")).code == 0
    assert server.asked_for("/audio/101") == 1
    assert len(read_rows(tmp_path / "set" / "metadata.csv")) == 5
