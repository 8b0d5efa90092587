"""What workers are made of: light, one thread each, and a tee that never blocks."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from songid_desktop.catalog import protocol, tee
from songid_desktop.catalog.crew import Done, ProcessCrew
from songid_desktop.catalog.enrol import enrol
from songid_desktop.paths import Paths
from songid_desktop.types import AudioBlock, CancelToken, Fingerprint
from tests.support.catalog import CheckSum, enrol_here, write_song

HEAVY = ("PySide6", "sounddevice", "sqlite3", "scipy", "multiprocessing", "asyncio")


def test_a_worker_loads_little() -> None:
    code = (
        "import sys, songid_desktop.catalog.worker;"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout.strip() == "[]"


class Reporting(CheckSum):
    """Puts what it finds around it where the payload should be."""

    def fingerprint(
        self, blocks: Iterable[AudioBlock], cancel: CancelToken | None = None
    ) -> Fingerprint:
        for _ in blocks:
            pass
        print("a library that prints")
        niceness = os.nice(0) if hasattr(os, "nice") else 0
        said = f"{os.environ['OMP_NUM_THREADS']} {niceness}"
        return Fingerprint(self.name, "v1", said.encode(), 1.0)


@pytest.mark.skipif(os.name != "posix", reason="niceness")
def test_workers_are_single_threaded_nice_and_tolerate_printing(tmp_path: Path) -> None:
    song = write_song(tmp_path / "a.wav", 1)
    crew = ProcessCrew([Reporting()], 1, is_low_priority=True)
    try:
        crew.submit(protocol.Task(song, ("checksum",)))
        event = crew.next_event(30.0)
        while not isinstance(event, Done):
            event = crew.next_event(30.0)
    finally:
        crew.close()
    (fingerprint,) = event.result.fingerprints  # type: ignore[union-attr]
    assert fingerprint.payload.decode() == f"1 {min(19, os.nice(0) + 10)}"


def blocks_of(count: int) -> Iterator[AudioBlock]:
    for number in range(count):
        yield AudioBlock(np.full(10, number, np.float32), 10, number * 10)


def reader_that_stops(after: int) -> tee.Consumer[list[int]]:
    """Takes blocks until it has more than `after`; then leaves, or fails when that is odd."""

    def read(blocks: Iterable[AudioBlock]) -> list[int]:
        got: list[int] = []
        for block in blocks:
            got.append(block.start_sample // 10)
            if len(got) > after:
                if after % 2:
                    raise ValueError("enough")
                break
        return got

    return read


@given(
    count=st.integers(0, 12),
    stops=st.lists(st.integers(0, 15), min_size=1, max_size=4),
    fails=st.integers(-1, 15),
)
def test_every_reader_gets_every_block_until_it_stops(
    count: int, stops: list[int], fails: int
) -> None:
    def broken() -> Iterator[AudioBlock]:
        for number, block in enumerate(blocks_of(count)):
            if number == fails:
                raise OSError("torn")
            yield block

    threads = threading.active_count()
    will_fail = 0 <= fails < count
    try:
        results = tee.share(broken(), [reader_that_stops(stop) for stop in stops])
    except OSError:
        assert will_fail
    else:
        assert not will_fail or (len(stops) == 1 and stops[0] < fails)
        for stop, result in zip(stops, results, strict=True):
            if isinstance(result, ValueError):
                assert stop % 2 == 1
                assert count > stop
            else:
                assert result == list(range(min(count, stop + 1)))
    assert threading.active_count() == threads


class StopsEarly(CheckSum):
    def fingerprint(
        self, blocks: Iterable[AudioBlock], cancel: CancelToken | None = None
    ) -> Fingerprint:
        next(iter(blocks))
        return Fingerprint(self.name, "v1", b"first block", 4.0)


def test_a_track_is_as_long_as_its_sound_whoever_stopped_listening(
    paths: Paths, music: Path
) -> None:
    from songid_desktop.catalog.catalog import Catalog

    write_song(music / "a.wav", 1, 30.0)
    enrol_here(paths, music, fingerprinters=[StopsEarly()])
    with Catalog.open(paths) as catalog:
        assert catalog.tracks()[0].duration_s == pytest.approx(30.0)


def test_several_identifiers_in_one_pass_make_what_each_alone_makes(
    paths: Paths, music: Path
) -> None:
    from songid_desktop.catalog.catalog import Catalog
    from songid_desktop.paths import base_dir_paths

    for seed in range(3):
        write_song(music / f"{seed}.wav", seed, 9.0)
    all_of_them = [
        CheckSum(name="a"),
        CheckSum(name="b"),
        CheckSum(name="c", sample_rate=4000),
        CheckSum(name="d", sample_rate=None),
    ]
    enrol(paths, [music], all_of_them, jobs=2)
    for each in all_of_them:
        alone = base_dir_paths(music.parent / each.name)
        enrol_here(alone, music, fingerprinters=[each])
        with Catalog.open(paths) as together, Catalog.open(alone) as reference:
            found = [
                {change.fingerprint for change in catalog.reader().changes(each.name, "v1", 0)}
                for catalog in (together, reference)
            ]
        assert found[0] == found[1]
        assert len(found[0]) == 3
