"""Enrolment as both front ends call it: catalog and index go together."""

from __future__ import annotations

import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from songid_desktop.catalog.catalog import Catalog
from songid_desktop.errors import CatalogBusy, UsageError
from songid_desktop.identify.engine import Engine
from songid_desktop.identify.enrolment import (
    enrol_library,
    prepare_library,
    rebuild_indexes,
    save_indexes,
)
from songid_desktop.identify.worker import Answer, IdentificationWorker, Request
from songid_desktop.paths import Paths
from songid_desktop.types import AudioBlock, CancelToken, Verdict
from tests.support.cli import RATE, Songid, noise, write_wav
from tests.support.guards import WarningLog
from tests.support.identifying import wait_for


def test_saves_an_index_that_opens_without_the_catalog_being_read_again(
    paths: Paths, tmp_path: Path
) -> None:
    write_wav(tmp_path / "a.wav", noise(4.0))
    report = enrol_library(paths, [tmp_path / "a.wav"], in_process=True)
    assert (report.added, report.was_cancelled) == (1, False)
    assert any(paths.index.rglob("*"))
    with Engine(paths) as engine:
        assert engine.track_count() == 1


def test_preparing_fingerprints_what_lacks_it_and_looks_at_no_folder(
    paths: Paths, tmp_path: Path
) -> None:
    write_wav(tmp_path / "a.wav", noise(4.0))
    enrol_library(paths, [tmp_path], in_process=True)
    write_wav(tmp_path / "b.wav", noise(4.0, seed=1))
    report = prepare_library(paths, ["report"], in_process=True)
    assert (report.added, report.updated) == (0, 1)
    assert prepare_library(paths, ["report"], in_process=True).updated == 0
    with Engine(paths) as engine:
        assert (engine.track_count("report"), engine.track_count()) == (1, 1)


def test_cancelled_at_once_it_leaves_a_sound_library(paths: Paths, tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", noise(4.0))
    cancel = CancelToken()
    cancel.set()
    assert enrol_library(paths, [tmp_path], in_process=True, cancel=cancel).was_cancelled
    with Engine(paths) as engine:
        assert engine.track_count() == 0
    assert enrol_library(paths, [tmp_path], in_process=True).added == 1


def test_unknown_identifiers_are_refused_before_anything_is_done(
    paths: Paths, tmp_path: Path
) -> None:
    with pytest.raises(UsageError):
        enrol_library(paths, [tmp_path], ["ouija"])
    assert not paths.catalog.exists()


def test_a_rebuild_finds_the_same_tracks(paths: Paths, tmp_path: Path) -> None:
    for number in range(3):
        write_wav(tmp_path / f"{number}.wav", noise(3.0, seed=number))
    enrol_library(paths, [tmp_path], in_process=True)
    assert rebuild_indexes(paths, ["landmark"]) == 3
    assert save_indexes(paths, ["landmark"]) == 3


def test_an_index_that_can_not_be_saved_costs_no_track(
    paths: Paths, tmp_path: Path, warning_log: WarningLog
) -> None:
    warning_log.allow("could not be saved")
    write_wav(tmp_path / "a.wav", noise(4.0))
    paths.data.mkdir(parents=True)
    paths.index.write_text("a file where the folder should be")
    assert enrol_library(paths, [tmp_path / "a.wav"], in_process=True).added == 1
    with Catalog.open(paths) as catalog:
        assert catalog.track_count() == 1


def test_a_busy_library_keeps_its_index(paths: Paths, tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", noise(3.0))
    enrol_library(paths, [tmp_path], in_process=True)
    before = sorted(paths.index.rglob("*"))
    with (
        Catalog.open(paths) as catalog,
        catalog.writer("somebody else"),
        pytest.raises(CatalogBusy, match="somebody else"),
    ):
        rebuild_indexes(paths, ["landmark"])
    assert sorted(paths.index.rglob("*")) == before


@pytest.mark.parametrize("already_there", [False, True])
def test_an_open_worker_sees_what_the_command_line_enrols(
    tmp_path: Path, already_there: bool
) -> None:
    """Within 2 s of the command's end, with and without a catalog at the start."""
    songid = Songid(tmp_path / "base")
    (tmp_path / "music").mkdir()
    if already_there:
        write_wav(tmp_path / "music" / "a.wav", noise(3.0))
        enrol_library(songid.paths, [tmp_path / "music"], in_process=True)
    answers: list[Answer] = []
    changed = threading.Event()
    worker = IdentificationWorker(songid.paths, answers.append, lambda _counter: changed.set())
    try:
        wait_for(lambda: worker.is_idle)
        write_wav(tmp_path / "music" / "b.wav", noise(4.0, seed=5))
        changed.clear()
        subprocess.run(
            songid.command("enroll", tmp_path / "music"),
            check=True,
            capture_output=True,
            timeout=60,
        )
        ended = time.monotonic()
        assert changed.wait(2.0)
        clip = AudioBlock(np.ascontiguousarray(noise(4.0, seed=5)), RATE)
        worker.submit(Request(audio=clip))
        wait_for(lambda: len(answers) == 1)
        assert time.monotonic() - ended < 10.0
        assert answers[0].identification is not None
        assert answers[0].identification.verdict is Verdict.MATCH
    finally:
        worker.close()
