"""The player plays what it is told from where it is told, and stops when it is told."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from songid_desktop.audio.capture import Capture, CaptureState
from songid_desktop.audio.decode import decode
from songid_desktop.audio.levels import measure
from songid_desktop.audio.playback import Player
from tests.support.guards import child_processes
from tests.support.sound import SINK, PrivateSoundServer, wait_until
from tests.support.soundfiles import FORMATS, tune, write

pytestmark = pytest.mark.sound
RATE = 44_100


class Stage:
    """A player, what it said at the end, and an ear at its loudspeaker."""

    def __init__(self) -> None:
        self.ends: list[str] = []
        self.player = Player(self.ends.append)
        self.ear = Capture()

    def listen(self) -> None:
        self.ear.start(SINK + ".monitor")
        wait_until(lambda: self.ear.status.state is CaptureState.RUNNING)

    def is_loud(self) -> bool:
        return measure(self.ear.ring.latest(0.05).samples).rms_dbfs > -50

    def close(self) -> None:
        self.player.close()
        self.ear.close()


@pytest.fixture
def stage(server: PrivateSoundServer) -> Iterator[Stage]:
    stage = Stage()
    yield stage
    stage.close()


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    form = next(form for form in FORMATS if form.name == "libmp3lame.mp3")
    sides = np.stack([tune(12.0, RATE, seed=5), tune(12.0, RATE, seed=6)])
    return write(tmp_path_factory.mktemp("song") / "song.mp3", sides, form)


def place_in(song: Path, heard: np.ndarray) -> float:
    """Where in the song (s) the heard samples begin."""
    whole = decode(song, 48_000).samples
    size = 1 << (len(whole) + len(heard)).bit_length()
    product = np.fft.irfft(np.fft.rfft(whole, size) * np.conj(np.fft.rfft(heard, size)), size)
    return float(np.argmax(product[: len(whole)])) / 48_000


def test_it_plays_from_the_offset(stage: Stage, song: Path) -> None:
    stage.listen()
    stage.player.play(song, 5.0)
    assert stage.player.playing == song
    wait_until(stage.is_loud)
    wait_until(lambda: stage.player.position_s > 6.0)
    position = stage.player.position_s
    heard = stage.ear.ring.latest(0.5).samples
    place = place_in(song, heard)
    assert 5.0 <= place <= 6.5
    assert place + 0.5 == pytest.approx(position, abs=0.3)  # two latencies lie between


def test_the_end_is_told_once(stage: Stage, song: Path) -> None:
    stage.player.play(song, 11.5)
    wait_until(lambda: stage.ends)
    assert stage.ends == [""]
    assert stage.player.playing is None
    assert stage.player.position_s == 0.0


def test_stopping_is_silent_at_once_and_tells_nothing(stage: Stage, song: Path) -> None:
    stage.listen()
    stage.player.play(song)
    wait_until(stage.is_loud)
    started = time.monotonic()
    stage.player.stop()
    assert time.monotonic() - started < 0.15
    assert stage.player.playing is None
    wait_until(lambda: measure(stage.ear.ring.latest(0.05).samples).is_exact_zero, 2.0)
    assert stage.ends == []


def test_another_track_takes_over(stage: Stage, song: Path, tmp_path: Path) -> None:
    form = next(form for form in FORMATS if form.name == "pcm_s16le.wav")
    other = write(tmp_path / "other.wav", tune(0.5, RATE, seed=9), form)
    stage.player.play(song)
    wait_until(lambda: stage.player.position_s > 0.2)
    stage.player.play(other)
    assert stage.player.playing == other
    wait_until(lambda: stage.ends)
    assert stage.ends == [""]


def test_a_bad_file_is_a_sentence(stage: Stage, tmp_path: Path) -> None:
    path = tmp_path / "notes.mp3"
    path.write_text("no music")
    stage.player.play(path)
    wait_until(lambda: stage.ends)
    assert stage.ends == ["The file is no sound but text."]


def test_a_start_beyond_the_end_ends_at_once(stage: Stage, song: Path) -> None:
    stage.player.play(song, 1000.0)
    wait_until(lambda: stage.ends, 3.0)
    assert stage.ends == [""]


def test_it_goes_on_after_the_server_restarted(
    stage: Stage, song: Path, server: PrivateSoundServer
) -> None:
    stage.player.play(song)
    wait_until(lambda: stage.player.position_s > 0.3)
    server.restart()
    resumed = stage.player.position_s
    wait_until(lambda: stage.player.position_s > resumed + 0.5)
    assert stage.ends == []


def sound_processes() -> list[int]:
    return [pid for pid, command in child_processes().items() if "soundworker" in command]


def test_it_goes_on_where_it_was_after_its_process_died(stage: Stage, song: Path) -> None:
    stage.player.play(song, 2.0)
    wait_until(lambda: stage.player.position_s > 2.5)
    (first,) = sound_processes()
    os.kill(first, signal.SIGKILL)
    stopped_at, killed_at = stage.player.position_s, time.monotonic()
    wait_until(lambda: stage.player.position_s > stopped_at + 0.2)
    assert stage.player.position_s - stopped_at <= time.monotonic() - killed_at
    wait_until(lambda: stage.player.position_s > stopped_at + 1.0)
    assert stage.ends == []
    assert sound_processes() != [first]


def test_a_process_that_stands_still_is_replaced(stage: Stage, song: Path) -> None:
    stage.player.play(song, 2.0)
    wait_until(lambda: stage.player.position_s > 2.2)
    (first,) = sound_processes()
    os.kill(first, signal.SIGSTOP)
    stopped_at = stage.player.position_s
    wait_until(lambda: stage.player.position_s > stopped_at + 0.5, 15)
    assert sound_processes() != [first]
    started = time.monotonic()
    stage.player.stop()
    assert time.monotonic() - started < 0.15


def test_a_standing_process_can_be_stopped_and_closed(stage: Stage, song: Path) -> None:
    stage.player.play(song, 2.0)
    wait_until(lambda: stage.player.position_s > 2.2)
    (first,) = sound_processes()
    os.kill(first, signal.SIGSTOP)
    for end in (stage.player.stop, stage.player.close):
        started = time.monotonic()
        end()
        assert time.monotonic() - started < 0.5
    wait_until(lambda: sound_processes() == [])


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_server_that_dies_while_the_loudspeaker_opens(
    stage: Stage, song: Path, server: PrivateSoundServer
) -> None:
    for _ in range(6):
        stage.player.play(song, 2.0)
        wait_until(lambda: server.playing_count() > 0)
        server.restart()
        # A server that takes long to return is told of, and the track is pressed again.
        wait_until(lambda: stage.player.position_s > 2.5 or stage.ends, 20)
        if stage.ends:
            assert stage.ends.pop().startswith("Nothing can be played")
            stage.player.play(song, 2.0)
            wait_until(lambda: stage.player.position_s > 2.5, 20)
        assert stage.ends == []
        stage.player.stop()
        wait_until(lambda: server.playing_count() == 0)


def test_no_server_is_a_sentence(stage: Stage, song: Path, server: PrivateSoundServer) -> None:
    server.kill()
    stage.player.play(song)
    wait_until(lambda: stage.ends, 15.0)
    assert stage.ends[0].startswith("Nothing can be played: no loudspeaker or headphones answer.")


def test_playing_beside_listening(stage: Stage, song: Path) -> None:
    stage.listen()
    for _ in range(5):
        stage.player.play(song, 2.0)
        wait_until(lambda: stage.player.position_s > 2.1)
        stage.player.stop()
    assert stage.ear.status.state is CaptureState.RUNNING


def test_closing_twice_and_playing_after(song: Path) -> None:
    player = Player()
    player.stop()
    player.close()
    player.close()
    with pytest.raises(RuntimeError, match="closed"):
        player.play(song)
