"""`songid models` as another program sees it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from songid_desktop.neural import staging
from tests.support.checkpoint_files import AST, MERT, ast_folder
from tests.support.cli import Songid
from tests.support.hub_server import HubServer

FILES = 4


@pytest.fixture
def server(tmp_path: Path) -> Iterator[HubServer]:
    with HubServer() as made:
        made.add(AST, ast_folder(tmp_path / "ast on the hub"), "bsd-3-clause")
        yield made


def official(lines: list[dict[str, object]]) -> dict[str, dict[str, object]]:
    return {str(line["name"]): line for line in lines if line["origin"] == "official"}


def test_list_install_verify_remove(server: HubServer, songid: Songid) -> None:
    listed = official(songid.run("models", "list", "--json").json_lines())
    assert list(listed) == [AST, MERT]
    assert {line["state"] for line in listed.values()} == {"absent"}
    assert listed[AST]["licence"] is None  # it is the model card's to say

    done = songid.run("models", "install", AST, "--json", HF_ENDPOINT=server.endpoint)
    assert done.code == 0, done.err
    installed = done.json_line()
    assert installed["commit"] == server.models[AST].commit
    assert len(installed["files"]) == FILES
    assert "bsd-3-clause" in done.err

    asked = len(server.requests)
    line = official(songid.run("models", "list", "--json").json_lines())[AST]
    assert (line["state"], line["licence"]) == ("installed", "bsd-3-clause")
    assert line["commit"] == installed["commit"]
    assert songid.run("models", "verify", AST, "--json").json_line() == {
        "name": AST,
        "ok": True,
        "problems": [],
    }
    assert len(server.requests) == asked  # neither needs the hub

    weights = staging.places(AST, songid.paths).final / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[1000] ^= 1
    weights.write_bytes(content)
    wrong = songid.run("models", "verify")
    assert wrong.code == 3
    assert "has changed" in wrong.err

    gone = songid.run("models", "remove", "ast-official")
    assert (gone.code, "is removed" in gone.out) == (0, True)
    assert not weights.exists()


def test_from_a_folder(songid: Songid, tmp_path: Path) -> None:
    folder = ast_folder(tmp_path / "straße")
    done = songid.run("models", "install", "mine", "--from", folder)
    assert (done.code, "mine is installed" in done.out) == (0, True)
    table = songid.run("models", "list").out
    assert "mine" in table
    assert AST in table


def test_a_polite_end_is_a_pause(server: HubServer, songid: Songid) -> None:
    server.faults.hang_after = 100_000
    with songid.start("models", "install", "ast-official", HF_ENDPOINT=server.endpoint) as process:
        assert server.hanging.wait(30.0)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20.0)
    assert process.returncode == 130
    assert out == b""
    assert b"goes on from here" in err
    assert b"Traceback" not in err
    line = official(songid.run("models", "list", "--json").json_lines())[AST]
    assert line["state"] == "partial"
    assert line["arrived_bytes"]
    assert "% here" in songid.run("models", "list").out
    server.faults.hang_after = None
    assert songid.run("models", "install", "ast-official", HF_ENDPOINT=server.endpoint).code == 0


def test_a_second_one_is_told_who_is_at_it(server: HubServer, songid: Songid) -> None:
    server.faults.hang_after = 100_000
    with songid.start("models", "install", "ast-official", HF_ENDPOINT=server.endpoint) as process:
        assert server.hanging.wait(30.0)
        second = songid.run("models", "install", "ast-official", HF_ENDPOINT=server.endpoint)
        removing = songid.run("models", "remove", "ast-official")
        line = official(songid.run("models", "list", "--json").json_lines())[AST]
    assert second.code == removing.code == 3
    assert f"songid models (process {process.pid})" in second.err
    assert line["state"] == "busy"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["install", "no/such"], 2, "--from PATH"),
        (["install", ""], 2, "empty"),
        (["install", "ast-official", "--from", "/nowhere/at/all"], 2, "no folder"),
        (["remove", "ast-official"], 2, "is not installed"),
        (["remove", "no-such"], 2, "No model is called"),
        (["verify", "mert-official"], 2, "is not installed"),
        (["verify"], 0, "No model is installed"),
        ([], 2, "usage"),
    ],
)
def test_wrong_usage_is_a_sentence(
    songid: Songid, arguments: list[str], code: int, words: str
) -> None:
    done = songid.run("models", *arguments)
    if "No model is installed" in words and done.code == 0 and done.out:
        return  # models came along, and they are as they should be
    assert done.code == code
    assert words in done.err
    assert "Traceback" not in done.err


def test_without_a_network_the_hub_is_named(songid: Songid) -> None:
    done = songid.run("models", "install", "mert-official", HF_ENDPOINT="http://127.0.0.1:9")
    assert done.code == 3
    assert "127.0.0.1:9" in done.err
    assert "local folder" in done.err
