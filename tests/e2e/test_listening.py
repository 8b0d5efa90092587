"""The real command line hears music through a real sound server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.music import TuneLibrary
from tests.support.sound import MICROPHONE, SINK, PrivateSoundServer, wait_until
from tests.support.tools import last_json, songid

pytestmark = [pytest.mark.sound, pytest.mark.slow]


def best(look: dict[str, Any]) -> dict[str, Any]:
    assert look["candidates"], look
    candidate = look["candidates"][0]
    assert isinstance(candidate, dict)
    return candidate


def test_what_plays_nearby_is_named(library: TuneLibrary, server: PrivateSoundServer) -> None:
    tune = library.tunes[2]
    began = time.monotonic()
    server.play(tune)
    done = songid("listen", "--once", "--seconds", "25", "--json",
                  base_dir=library.base_dir, **server.own_env)  # fmt: skip
    played_s = time.monotonic() - began
    assert done.returncode == 0, done.stderr
    looks = [json.loads(line) for line in done.stdout.splitlines()]
    final = looks[-1]
    assert final["verdict"] == "match"
    assert best(final)["path"] == str(tune)
    assert best(final)["confidence"] > 0.5
    assert [look["heard_s"] for look in looks] == sorted(look["heard_s"] for look in looks)
    # Where the music is now: it began when we pressed play, and the program took a moment to end.
    now_s = best(final)["offset_s"] + final["heard_s"]
    assert played_s - 4 < now_s < played_s + 0.5
    # Probabilities, not scores: what is left over is "not in your library".
    for look in looks:
        assert sum(c["confidence"] for c in look["candidates"]) <= 1.000001


def test_what_the_computer_plays_is_a_source(
    library: TuneLibrary, server: PrivateSoundServer
) -> None:
    listed = songid("sources", "--json", **server.own_env)
    assert listed.returncode == 0, listed.stderr
    sources = {entry["name"]: entry for entry in json.loads(listed.stdout)}
    assert sources[MICROPHONE]["kind"] == "microphone"
    assert sources[MICROPHONE]["default"] is True
    monitor = f"{SINK}.monitor"
    assert sources[monitor]["kind"] == "monitor"
    server.play(library.tunes[0])
    done = songid("listen", "--source", monitor, "--once", "--seconds", "25", "--json",
                  base_dir=library.base_dir, **server.own_env)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert best(last_json(done))["path"] == str(library.tunes[0])


def test_digital_silence_is_called_so(library: TuneLibrary, server: PrivateSoundServer) -> None:
    done = songid("listen", "--seconds", "3", "--json",
                  base_dir=library.base_dir, **server.own_env)  # fmt: skip
    assert done.returncode == 1, done.stderr
    final = last_json(done)
    assert (final["verdict"], final["reason"]) == ("no_signal", "exact_zeros")
    assert final["message"]


def test_source_that_is_not_there_is_refused(
    library: TuneLibrary, server: PrivateSoundServer
) -> None:
    done = songid("listen", "--source", "no-such-source", "--once", "--json",
                  base_dir=library.base_dir, **server.own_env)  # fmt: skip
    assert done.returncode == 3
    assert "no-such-source" in done.stderr
    assert "Traceback" not in done.stderr


def test_machine_without_sound_is_told_so(library: TuneLibrary, tmp_path: Path) -> None:
    nobody = {"PULSE_SERVER": f"unix:{tmp_path}/none", "XDG_RUNTIME_DIR": str(tmp_path)}
    began = time.monotonic()
    done = songid("listen", "--once", "--json", base_dir=library.base_dir, **nobody)
    assert done.returncode == 3
    assert done.stderr.strip()
    assert "Traceback" not in done.stderr
    assert time.monotonic() - began < 20


def test_empty_library_is_told_what_to_do(server: PrivateSoundServer, tmp_path: Path) -> None:
    done = songid("listen", "--once", "--json", base_dir=tmp_path / "new", **server.own_env)
    assert done.returncode == 3
    assert "songid enroll" in done.stderr


def test_listening_outlives_a_crash_of_the_sound_server(
    library: TuneLibrary, own_server: PrivateSoundServer, tmp_path: Path
) -> None:
    out, err = tmp_path / "looks.jsonl", tmp_path / "notes.txt"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "songid_desktop", "--base-dir", str(library.base_dir),
             "listen", "--seconds", "120", "--json"],
            env={**os.environ, **own_server.own_env},
            stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr,
        )  # fmt: skip

    def named(tune: Path) -> bool:
        lines = out.read_text().splitlines()
        looks = [json.loads(line) for line in lines if line.endswith("}")]
        return any(k["verdict"] == "match" and best(k)["path"] == str(tune) for k in looks)

    try:
        own_server.play(library.tunes[0])
        wait_until(lambda: named(library.tunes[0]), 30, "the first tune")
        own_server.stop_playing()
        own_server.kill()
        wait_until(lambda: err.read_text().strip(), 20, "a word about the lost source")
        assert process.poll() is None
        own_server.start()
        own_server.play(library.tunes[3])
        wait_until(lambda: named(library.tunes[3]), 40, "the tune after the restart")
        process.send_signal(signal.SIGINT)
        assert process.wait(15) is not None
        assert "Traceback" not in err.read_text()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
