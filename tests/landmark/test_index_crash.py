"""Whoever is killed while changing an index leaves a sound one."""

import os
import pickle
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from songid_desktop.identify.landmark import NAME, LandmarkFingerprinter
from songid_desktop.landmark.config import LandmarkConfig
from songid_desktop.landmark.index import LandmarkIndex
from songid_desktop.landmark.match import analyse, search
from tests.support.landmark_library import RATE, DictReader, block, tune

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs kill -9"),
]

CONFIG = LandmarkConfig()
ROOT = Path(__file__).parents[2]
TUNES = 7


@pytest.fixture(scope="module")
def prints():
    maker = LandmarkFingerprinter()
    return [maker.fingerprint([block(tune(n, 6.0))]) for n in range(TUNES)]


@pytest.fixture(scope="module")
def clips():
    return [analyse(tune(n, 6.0)[RATE : 4 * RATE], CONFIG) for n in range(TUNES)]


@pytest.fixture
def work(tmp_path, prints):
    """States of a catalog: tracks come, one goes, one is replaced."""
    reader, states = DictReader(), []
    steps = [
        [(0, 0), (1, 1), (2, 2), (3, 3)],
        [(4, 4), (1, None)],
        [(5, 5), (0, 6)],
    ]
    for changes in steps:
        for track_id, number in changes:
            reader.put(track_id, None if number is None else prints[number])
        states.append(pickle.loads(pickle.dumps(reader)))
    path = tmp_path / "readers.pickle"
    path.write_bytes(pickle.dumps(states))
    return path, states


def start(folder, readers, step=0):
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.dying_index", str(folder), str(readers), str(step)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def expect_sound(folder, states, clips):
    """Every state of the catalog is answered from what lies there, without a rebuild, by whoever
    comes next; and what was left over goes with the next save."""
    index = LandmarkIndex(folder, NAME, CONFIG)
    index.open(states[-1])
    assert index.rebuilt_because == ""
    expected = {6: 0, 2: 2, 3: 3, 4: 4, 5: 5}
    for number, clip in enumerate(clips):
        candidates, _ = search(index.parts(), clip, CONFIG)
        if number in expected:
            assert candidates[0].track_id == expected[number]
        else:
            assert all(c.score < 8.0 or c.track_id != number for c in candidates)
    assert index.track_count == len(expected)
    index.save()
    index.close()
    named = set(folder.glob("*.segment"))
    left = {path for path in folder.iterdir() if path.name != "manifest.json"} - named
    assert all(path.suffix == ".compacting" for path in left)
    again = LandmarkIndex(folder, NAME, CONFIG)
    again.open(states[-1])
    assert again.rebuilt_because == ""
    assert again.statistics().bytes_in_memory == 0
    assert again.track_count == len(expected)
    again.close()


def test_killed_at_any_step_it_leaves_a_sound_index(tmp_path, work, clips):
    readers, states = work
    steps = 0
    for step in range(1, 500):
        folder = tmp_path / f"{step}"
        child = start(folder, readers, step)
        said, _ = child.communicate(timeout=60)
        expect_sound(folder, states, clips)
        if said:
            assert said == b"done"
            break
        assert child.returncode == -signal.SIGKILL
        steps = step
    assert steps > 30


def test_killed_at_any_time_it_leaves_a_sound_index(tmp_path, work, clips):
    readers, states = work
    began = time.monotonic()
    child = start(tmp_path / "whole", readers)
    child.communicate(timeout=60)
    whole_s = time.monotonic() - began
    folder = tmp_path / "killed"
    dice = random.Random(5)
    for _ in range(8):
        child = start(folder, readers)
        try:
            child.wait(dice.uniform(0.5, 1.0) * whole_s)
        except subprocess.TimeoutExpired:
            child.kill()
        child.communicate(timeout=60)
        expect_sound(folder, states, clips)


def test_killed_in_a_compaction_its_leftover_goes_with_the_next_one(tmp_path, work, clips):
    readers, states = work
    folder = tmp_path / "index"
    folder.mkdir()
    (folder / "0123.compacting").write_bytes(b"half a segment")
    child = start(folder, readers)
    said, _ = child.communicate(timeout=60)
    assert said == b"done"
    assert not list(folder.glob("*.compacting"))
    assert len(list(folder.glob("*.segment"))) == 1
    expect_sound(folder, states, clips)
