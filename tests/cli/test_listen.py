"""`songid listen` with a microphone that plays what the test says. (That real ones work is shown
in tests/e2e.)"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from songid_desktop.audio import capture as capture_module
from songid_desktop.audio.capture import CaptureState, CaptureStatus
from songid_desktop.audio.resample import resample
from songid_desktop.audio.ring import Ring
from songid_desktop.cli import listen
from songid_desktop.cli.main import run
from songid_desktop.types import FloatArray, Source, SourceKind
from tests.cli.conftest import Shelf
from tests.cli.schemas import check_identification
from tests.support.cli import RATE, noise

RING_RATE = 48_000
BLOCK = RING_RATE // 20
MICROPHONE = Source("mic", "A microphone", SourceKind.MICROPHONE, is_default=True)


class PlayedRing(Ring):
    """A ring that gets its next 50 ms whenever somebody asks how far it is: sound as fast as the
    listener can follow. `on_over` is called when there is no more."""

    def __init__(self, samples: FloatArray, on_over: Callable[[], None]) -> None:
        super().__init__(RING_RATE)
        self._coming = samples
        self._on_over = on_over
        self.is_running = False

    @property
    def position(self) -> int:
        if self.is_running and len(self._coming):
            self.write(self._coming[:BLOCK])
            self._coming = self._coming[BLOCK:]
            if not len(self._coming):
                self._on_over()
        return super().position


class FakeCapture:
    """Stands for `audio.capture.Capture`; `sound` is what it hears, then it is `afterwards`."""

    sound: FloatArray = np.zeros(0, np.float32)
    afterwards = CaptureState.RUNNING
    message = ""

    def __init__(self, on_status: Callable[[CaptureStatus], None]) -> None:
        self.ring = PlayedRing(self.sound, self._end)
        self._on_status = on_status
        self._state = CaptureState.CLOSED
        self.is_closed = False
        self.is_ready = False

    def get_ready(self) -> None:
        self.is_ready = True

    @property
    def status(self) -> CaptureStatus:
        source = MICROPHONE if self._state is CaptureState.RUNNING else None
        return CaptureStatus(self._state, "", source, RING_RATE, self.message, 0, 0.0)

    def _tell(self, state: CaptureState, message: str) -> None:
        self._state = state
        source = MICROPHONE if state is CaptureState.RUNNING else None
        self._on_status(CaptureStatus(state, "", source, RING_RATE, message, 0, 0.0))

    def _end(self) -> None:
        if self.afterwards is not self._state:
            self._tell(self.afterwards, self.message)

    def start(self, _source_name: str) -> None:
        assert self.is_ready, "made ready while the index was being opened"
        if len(self.sound):
            self._tell(CaptureState.RUNNING, "")
            self.ring.is_running = True
        else:
            self._tell(CaptureState.LOST, self.message)

    def stop(self) -> None:
        self.ring.is_running = False

    def close(self) -> None:
        self.is_closed = True


Listen = Callable[..., tuple[int, list[Any], str]]


@pytest.fixture
def hear(
    shelf: Shelf,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Listen:
    """Run the verb over some sound: exit code, JSON lines, stderr."""

    def listen_to(
        arguments: Sequence[str],
        *sounds: FloatArray,
        afterwards: CaptureState = CaptureState.RUNNING,
        message: str = "",
    ) -> tuple[int, list[Any], str]:
        joined = np.concatenate([*sounds, np.zeros(0, np.float32)])
        heard = resample(joined, RATE, RING_RATE) if len(joined) else joined
        made = type(
            "Scripted",
            (FakeCapture,),
            {"sound": heard, "afterwards": afterwards, "message": message},
        )
        monkeypatch.setattr(capture_module, "Capture", made)
        monkeypatch.setattr(listen, "START_WITHIN_S", 0.2)
        base = ["--base-dir", str(shelf.songid.base)]
        code = run([*base, "listen", "--json", *arguments], lambda *_: 99)
        said = capsys.readouterr()
        return code, [json.loads(line) for line in said.out.splitlines()], said.err

    return listen_to


def test_once_ends_with_the_match(hear: Listen, shelf: Shelf) -> None:
    tune = shelf.tunes[0][5 * RATE : 20 * RATE]
    code, looks, err = hear(["--once", "--seconds", "15"], tune)
    assert (code, err) == (0, "")
    for look in looks:
        check_identification(look)
        assert look["heard_s"] >= 2.0
    final = looks[-1]
    assert (final["verdict"], final["final"]) == ("match", True)
    best = final["candidates"][0]
    assert best["path"] == str(shelf.file(0))
    assert best["offset_s"] == pytest.approx(5.0, abs=0.15)
    assert best["offset_s"] + final["heard_s"] == pytest.approx(final["now_s"], abs=0.01)
    assert not any(look["final"] for look in looks[:-1])


def test_the_time_given_is_the_time_listened(hear: Listen) -> None:
    code, looks, _err = hear(["--seconds", "3.2", "--top", "2"], noise(8.0, seed=3))
    assert code == 1
    assert [look["heard_s"] for look in looks[:-1]] == pytest.approx([2.0, 2.5, 3.0], abs=0.16)
    assert looks[-1]["heard_s"] == pytest.approx(3.2)
    assert looks[-1]["final"] is True
    assert looks[-1]["verdict"] == "no_match"


def test_going_on_gives_one_row_a_play(hear: Listen, shelf: Shelf) -> None:
    first, second = shelf.tunes[1][8 * RATE : 18 * RATE], shelf.tunes[2][4 * RATE : 20 * RATE]
    code, looks, _err = hear(["--seconds", "26"], first, second)
    assert code == 0
    now = [look["candidates"][0]["path"] for look in looks if look["verdict"] == "match"]
    assert now[0] == str(shelf.file(1))
    assert now[-1] == str(shelf.file(2))
    rows = shelf.songid.run("history", "--json").json_lines()[-2:]
    assert [row["title"] for row in rows] == [shelf.file(1).stem, shelf.file(2).stem]
    assert {row["source"] for row in rows} == {"A microphone"}


def test_a_source_without_sound_is_exit_3_with_its_message(hear: Listen) -> None:
    code, looks, err = hear(["--once"], message="The microphone is not there. Plug it in.")
    assert (code, looks) == (3, [])
    assert "Plug it in" in err


def test_a_source_that_is_lost_is_told_and_the_last_look_stands(hear: Listen) -> None:
    code, looks, err = hear(
        ["--seconds", "4"],
        noise(2.6, seed=4),
        afterwards=CaptureState.LOST,
        message="The microphone was unplugged. Listening goes on when it is back.",
    )
    assert code == 3
    assert err.count("unplugged") == 1
    assert looks[-1]["final"] is True
    assert {**looks[-1], "final": False} == looks[-2]


def test_text_for_people_says_what_changes(
    hear: Listen, shelf: Shelf, capsys: pytest.CaptureFixture[str]
) -> None:
    hear(["--once"], shelf.tunes[0][5 * RATE : 20 * RATE])
    base = ["--base-dir", str(shelf.songid.base)]
    assert run([*base, "listen", "--seconds", "12"], lambda *_: 99) == 0
    lines = capsys.readouterr().out.splitlines()
    assert 1 <= len(lines) <= 6, "not two lines a second"
    assert shelf.file(0).stem in lines[-1]
    assert "now at" in lines[-1]
