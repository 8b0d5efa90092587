"""The demo as a whole, and its pieces as the window's first run uses them."""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest

from songid_desktop.audio.ring import Ring
from songid_desktop.catalog.catalog import Catalog
from songid_desktop.errors import Cancelled, EnvironmentProblem
from songid_desktop.evaluate.demo import (
    RING_RATE_HZ,
    DemoFeed,
    DemoScene,
    are_demo_tunes_installed,
    install_demo_tunes,
    make_scene,
    remove_demo_tunes,
    run_demo,
)
from songid_desktop.evaluate.demo_tunes import TUNES
from songid_desktop.identify.engine import Engine
from songid_desktop.identify.session import ListeningSession, Look
from songid_desktop.paths import Paths, base_dir_paths
from songid_desktop.types import AudioBlock, CancelToken, Verdict
from tests.support.identifying import wait_for


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    paths = base_dir_paths(tmp_path_factory.mktemp("demo"))
    assert not are_demo_tunes_installed(paths)
    assert install_demo_tunes(paths).added == len(TUNES)
    return paths


def ramp_scene(seconds: float) -> DemoScene:
    samples = np.arange(round(seconds * RING_RATE_HZ), dtype=np.float32)
    return DemoScene("Ramp", Path("ramp"), 0.0, AudioBlock(samples, RING_RATE_HZ))


def test_installing_twice_changes_nothing(installed: Paths) -> None:
    assert are_demo_tunes_installed(installed)
    report = install_demo_tunes(installed)
    assert (report.added, report.unchanged) == (0, len(TUNES))


def test_removing_leaves_the_other_music(tmp_path: Path) -> None:
    from songid_desktop.identify.enrolment import enrol_library
    from tests.support.cli import noise, write_wav

    paths = base_dir_paths(tmp_path / "base")
    assert remove_demo_tunes(paths) == 0, "nothing there yet"
    write_wav(tmp_path / "mine.wav", noise(3.0))
    enrol_library(paths, [tmp_path / "mine.wav"], in_process=True)
    install_demo_tunes(paths)
    assert remove_demo_tunes(paths) == len(TUNES)
    assert not are_demo_tunes_installed(paths)
    assert not paths.demo_tunes.exists()
    with Catalog.open(paths) as catalog:
        assert [track.title for track in catalog.tracks()] == ["mine"]
        assert paths.demo_tunes not in catalog.folders()


def test_a_folder_that_can_not_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file in the way")
    with pytest.raises(EnvironmentProblem, match="can't be written"):
        install_demo_tunes(base_dir_paths(tmp_path))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_scene_is_named_by_a_session_with_the_right_place(installed: Paths, seed: int) -> None:
    scene = make_scene(installed.demo_tunes, seed=seed)
    assert scene.audio.sample_rate == RING_RATE_HZ
    assert scene.audio.duration_s >= 8.0
    ring = Ring(RING_RATE_HZ)
    session = ListeningSession(ring)
    with Engine(installed) as engine:
        for begin in range(0, len(scene.audio.samples), RING_RATE_HZ // 2):
            ring.write(scene.audio.samples[begin : begin + RING_RATE_HZ // 2])
            block = session.due()
            if block is not None:
                session.take(engine.identify(block), block)
            if session.is_done:
                break
        look = session.last_look
        assert look is not None
        assert look.is_final
        assert look.identification.verdict is Verdict.MATCH
        assert look.best is not None
        track = engine.track(look.best.track_id)
        assert track is not None
        assert track.path == scene.path
        assert look.best.offset_s == pytest.approx(scene.start_s, abs=0.15)


def test_scenes_differ_unless_seeded(installed: Paths) -> None:
    one, same = (make_scene(installed.demo_tunes, seed=4) for _ in range(2))
    assert one.title == same.title
    assert np.array_equal(one.audio.samples, same.audio.samples)
    starts = {make_scene(installed.demo_tunes).start_s for _ in range(2)}
    assert len(starts) == 2


def test_a_feed_writes_every_sample_once_and_tells_the_end() -> None:
    ring, ended = Ring(RING_RATE_HZ), threading.Event()
    feed = DemoFeed(ring, ramp_scene(2.0), speed=20.0, on_end=ended.set)
    assert not feed.is_running
    feed.start()
    assert ended.wait(10)
    feed.stop()
    block = ring.latest(5.0)
    assert np.array_equal(block.samples, np.arange(2 * RING_RATE_HZ, dtype=np.float32))
    assert not feed.is_running


def test_a_feed_stops_at_once_and_then_tells_nothing() -> None:
    ring, ended = Ring(RING_RATE_HZ), threading.Event()
    feed = DemoFeed(ring, ramp_scene(60.0), on_end=ended.set)
    feed.stop()  # before it began
    feed = DemoFeed(ring, ramp_scene(60.0), on_end=ended.set)
    feed.start()
    wait_for(lambda: ring.position > 0)
    feed.stop()
    feed.stop()
    position = ring.position
    assert not feed.is_running
    assert ring.position == position < 60 * RING_RATE_HZ
    assert not ended.is_set()
    with pytest.raises(RuntimeError, match="once"):
        feed.start()


def test_a_feed_wants_a_ring_of_its_rate() -> None:
    with pytest.raises(ValueError, match="8000"):
        DemoFeed(Ring(8000), ramp_scene(1.0))
    with pytest.raises(ValueError, match="speed"):
        DemoFeed(Ring(RING_RATE_HZ), ramp_scene(1.0), speed=0)


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.slow
def test_the_whole_demo_is_right_and_leaves_nothing(scratch: Path) -> None:
    looks: list[Look] = []
    steps: list[str] = []
    result = run_demo(seed=11, on_step=steps.append, on_look=lambda look, _e: looks.append(look))
    assert result.is_right
    assert result.final is looks[-1]
    assert result.final.is_final
    assert result.named is not None
    assert result.named.title == result.scene.title
    assert len(steps) == 2
    assert list(scratch.iterdir()) == []


def test_a_cancelled_demo_leaves_nothing(scratch: Path) -> None:
    cancel = CancelToken()
    cancel.set()
    with pytest.raises(Cancelled):
        run_demo(cancel=cancel)
    assert list(scratch.iterdir()) == []
