"""The smaller verbs: catalog, history, sources, doctor, demo."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import pytest

from songid_desktop.catalog.catalog import Catalog
from songid_desktop.catalog.history import History
from songid_desktop.catalog.records import Play
from songid_desktop.identify.registry import installed_names
from tests.cli.conftest import NAMES, Shelf
from tests.cli.schemas import check_identification
from tests.support.cli import Songid, noise, write_wav


def test_list_and_stats(shelf: Shelf) -> None:
    tracks = shelf.songid.run("catalog", "list", "--json").json_lines()
    assert sorted(Path(track["path"]).name for track in tracks) == sorted(NAMES)
    for track in tracks:
        assert track["states"]["landmark"] == "enrolled"
        assert isinstance(track["track_id"], int)
        assert track["duration_s"] > 30
    (found,) = shelf.songid.run("catalog", "list", "--search", "песня", "--json").json_lines()
    assert found["title"] == "песня 🎵"
    stats = shelf.songid.run("catalog", "stats", "--json").json_line()
    assert stats["tracks"] == 3
    assert stats["enrolled"]["landmark"] == 3
    assert stats["problems"] == 2
    assert stats["index_bytes"] > 0
    assert "3 tracks" in shelf.songid.run("catalog", "stats").out
    assert NAMES[1] in shelf.songid.run("catalog", "list").out


def test_an_empty_library_is_no_error(songid: Songid) -> None:
    for arguments in (["catalog", "list"], ["catalog", "stats"], ["catalog", "verify"]):
        assert songid.run(*arguments, "--json").code == 0
    assert songid.run("history", "--json").out == ""
    assert songid.run("catalog", "rebuild").code == 3


def test_remove_verify_and_rebuild(songid: Songid, tmp_path: Path) -> None:
    music = tmp_path / "music"
    (music / "deep").mkdir(parents=True)
    for number, name in enumerate(("a.wav", "b.wav", "deep/c.wav", "deep/d.wav")):
        write_wav(music / name, noise(5.0, seed=number))
    assert songid.run("enroll", music, "--json").json_line()["added"] == 4
    assert songid.run("identify", music / "a.wav").code == 0
    removed = songid.run("catalog", "remove", music / "a.wav", music / "deep", "--json")
    assert removed.json_line()["removed"] == 3
    assert songid.run("identify", music / "a.wav").code == 1
    assert songid.run("catalog", "verify", "--json").json_line() == {"ok": True, "problems": []}
    rebuilt = songid.run("catalog", "rebuild", "--json").json_line()
    assert rebuilt == {"identifiers": list(installed_names()), "tracks": 1}
    assert songid.run("identify", music / "b.wav").code == 0


def test_a_lost_index_is_no_loss(songid: Songid, tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", noise(5.0))
    songid.run("enroll", tmp_path / "a.wav")
    shutil.rmtree(songid.paths.index)
    assert songid.run("identify", tmp_path / "a.wav").code == 0


def test_a_damaged_database_is_told_and_saved(songid: Songid, tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", noise(5.0))
    songid.run("enroll", tmp_path / "a.wav")
    data = bytearray(songid.paths.catalog.read_bytes())
    data[100:4000] = bytes(3900)
    songid.paths.catalog.write_bytes(data)
    for arguments in (["identify", tmp_path / "a.wav"], ["catalog", "verify"], ["doctor"]):
        done = songid.run(*arguments)
        assert done.code == 3, arguments
        assert "Traceback" not in done.err
    done = songid.run("catalog", "rebuild", "--json")
    assert done.code == 0, done.err
    assert Path(done.json_line()["kept_file"]).exists()
    assert songid.run("catalog", "verify").code == 0


def test_history_as_lines_table_and_csv(songid: Songid) -> None:
    with Catalog.open(songid.paths) as catalog:
        history = History(catalog)
        for number in range(3):
            history.add(
                Play(
                    started_at=1e9 + 1000 * number,
                    ended_at=1e9 + 1000 * number + 200,
                    title=f"Título {number}",
                    artist='Ártist, "The"',
                    confidence=0.97,
                    identifier="landmark",
                )
            )
    rows = songid.run("history", "--json").json_lines()
    assert [row["title"] for row in rows] == ["Título 0", "Título 1", "Título 2"]
    assert rows[0]["verdict"] == "match"
    table = list(csv.DictReader(io.StringIO(songid.run("history", "--csv").out)))
    assert [row["artist"] for row in table] == ['Ártist, "The"'] * 3
    (newest,) = songid.run("history", "--json", "--limit", "1").json_lines()
    assert newest["title"] == "Título 2"
    assert len(songid.run("history", "--json", "--search", "titulo 1").json_lines()) == 1
    assert "Título 1" in songid.run("history").out


def test_without_a_sound_server_sources_and_listen_say_so(shelf: Shelf) -> None:
    for arguments in (["sources", "--json"], ["listen", "--source", "none", "--json"]):
        done = shelf.songid.run(*arguments)
        assert done.code == 3
        assert done.out == ""
        assert done.err.startswith("songid: ")


def test_listening_needs_a_library_first(songid: Songid) -> None:
    done = songid.run("listen", "--once")
    assert done.code == 3
    assert "songid enroll" in done.err


def test_doctor_checks_each_thing_and_names_a_remedy(shelf: Shelf) -> None:
    done = shelf.songid.run("doctor", "--json")
    checks = {check["name"]: check for check in done.json_lines()}
    expected = {"decoders", "portaudio", "audio server", "sources", "catalog", "catalog check"}
    expected |= {"disk", "index", "window", "window libraries", "fonts"}
    assert expected <= set(checks)
    for check in checks.values():
        assert isinstance(check["ok"], bool)
        assert isinstance(check["detail"], str)
        assert isinstance(check["remedy"], str)
        assert check["ok"] or check["remedy"]
    for name in ("decoders", "catalog", "catalog check", "index", "disk"):
        assert checks[name]["ok"], checks[name]
    assert not checks["audio server"]["ok"], "tests have no sound server unless they start one"
    assert done.code == 3
    assert "FAIL  audio server" in shelf.songid.run("doctor").out


@pytest.mark.slow
def test_the_demo_names_its_own_tune(songid: Songid, tmp_path: Path) -> None:
    done = songid.run("demo", "--json", "--seed", "5", TMPDIR=str(tmp_path))
    assert done.code == 0, done.err
    looks = done.json_lines()
    for look in looks:
        check_identification(look)
        assert look["heard_s"] >= 2.0
    final = looks[-1]
    assert final["verdict"] == "match"
    assert final["final"] is True
    assert final["candidates"][0]["title"] == final["expected_title"]
    assert final["candidates"][0]["offset_s"] == pytest.approx(final["expected_offset_s"], abs=0.2)
    assert list(tmp_path.glob("songid-demo-*")) == [], "the throw-away instance is gone"
    assert not songid.paths.catalog.exists(), "the user's own library is not touched"
    assert json.dumps(looks)
