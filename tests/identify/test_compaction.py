"""Indexes are compacted by a process of its own."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from songid_desktop.catalog.catalog import Catalog
from songid_desktop.identify.compaction import BackgroundCompaction, compact_index, is_due
from songid_desktop.identify.engine import Engine
from songid_desktop.identify.enrolment import enrol_library
from songid_desktop.identify.worker import IdentificationWorker
from songid_desktop.landmark import index as index_module
from songid_desktop.paths import Paths
from songid_desktop.types import AudioBlock, CancelToken
from tests.support.cli import RATE, noise, write_wav
from tests.support.identifying import wait_for

TRACKS = 3


@pytest.fixture
def scattered(paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """A library whose index lies in many files."""
    monkeypatch.setattr(index_module, "SAVE_WEIGHT", 0)
    for number in range(TRACKS):
        write_wav(tmp_path / f"{number}.wav", noise(4.0, seed=number))
        enrol_library(paths, [tmp_path / f"{number}.wav"], in_process=True)
    assert len(files(paths)) == TRACKS
    return paths


def files(paths: Paths) -> list[Path]:
    return list((paths.index / "landmark").glob("*.segment"))


def test_a_process_of_its_own_compacts_while_the_index_is_open(scattered: Paths) -> None:
    with Engine(scattered) as engine:
        assert engine.track_count() == TRACKS
        background = BackgroundCompaction(scattered)
        assert background.start(["landmark"])
        assert background.wait(60.0)
        assert len(files(scattered)) == 1
        assert not background.start(["landmark"]), "nothing more to do"
        background.close()
        found = engine.identify(AudioBlock(noise(4.0, seed=1), RATE))
        assert found.best is not None
        assert engine.track_count() == TRACKS


def test_a_command_compacts_at_its_end_what_is_due(scattered: Paths, tmp_path: Path) -> None:
    write_wav(tmp_path / "last.wav", noise(4.0, seed=TRACKS))
    enrol_library(scattered, [tmp_path / "last.wav"], in_process=True, compacts=True)
    assert len(files(scattered)) == 1
    with Engine(scattered) as engine:
        assert engine.track_count() == TRACKS + 1


def test_a_cancelled_command_leaves_the_index_as_it_is(scattered: Paths, tmp_path: Path) -> None:
    write_wav(tmp_path / "last.wav", noise(4.0, seed=TRACKS))
    cancel = CancelToken()
    cancel.set()
    enrol_library(scattered, [tmp_path / "last.wav"], in_process=True, compacts=True, cancel=cancel)
    assert len(files(scattered)) == TRACKS


def test_the_window_s_worker_sees_to_it(scattered: Paths) -> None:
    worker = IdentificationWorker(scattered, lambda _answer: None)
    try:
        wait_for(lambda: len(files(scattered)) == 1)
    finally:
        worker.close()


def test_its_owner_ends_it_at_once(scattered: Paths) -> None:
    background = BackgroundCompaction(scattered)
    assert background.start(["landmark"])
    background.close()
    assert not background.is_running
    assert compact_index(scattered, "landmark") <= 1
    assert len(files(scattered)) == 1
    with Engine(scattered) as engine:
        assert engine.track_count() == TRACKS


def test_it_waits_for_who_is_changing_the_library(scattered: Paths) -> None:
    stop = threading.Event()
    with Catalog.open(scattered) as catalog, catalog.writer("somebody else"):
        worker = threading.Thread(target=compact_index, args=(scattered, "landmark", stop))
        worker.start()
        worker.join(0.5)
        assert len(files(scattered)) == TRACKS
    worker.join(30.0)
    assert not worker.is_alive()
    assert len(files(scattered)) == 1


def test_told_to_stop_it_leaves_the_index_as_it_was(scattered: Paths) -> None:
    stop = threading.Event()
    stop.set()
    assert compact_index(scattered, "landmark", stop) == 0
    assert len(files(scattered)) == TRACKS
    assert is_due(scattered, "landmark")


def test_there_is_nothing_to_do_without_a_library(paths: Paths) -> None:
    assert not is_due(paths, "landmark")
    assert compact_index(paths, "landmark") == 0
    assert not BackgroundCompaction(paths).start(["landmark"])
