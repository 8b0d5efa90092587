"""Whoever is killed while changing an index of vectors leaves a sound one."""

import os
import pickle
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from songid_desktop.neural.index import VectorIndex
from songid_desktop.neural.sequence import Clip, SearchConfig, search
from tests.support.dying_vectors import LIMITS
from tests.support.landmark_library import DictReader
from tests.support.vector_library import DIGEST, DIM, HOP_S, NAME, fine, noisy, stored

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs kill -9"),
]

ROOT = Path(__file__).parents[2]
EXPECTED = {2: 2, 3: 3, 4: 4, 5: 5, 0: 6}
"""Track → what its vectors are made from, at the end."""


@pytest.fixture
def work(tmp_path):
    """States of a catalog: tracks come, one goes, one is replaced."""
    reader, states = DictReader(), []
    for changes in (
        [(0, 0), (1, 1), (2, 2), (3, 3)],
        [(4, 4), (1, None)],
        [(5, 5), (0, 6)],
    ):
        for track_id, seed in changes:
            vectors = None if seed is None else stored(fine(seed, 12.0)[::2])
            reader.put(track_id, vectors)
        states.append(pickle.loads(pickle.dumps(reader)))
    path = tmp_path / "readers.pickle"
    path.write_bytes(pickle.dumps(states))
    return path, states


def start(folder, readers, step=0):
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.dying_vectors", str(folder), str(readers), str(step)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )


def expect_sound(folder, states):
    """The last state of the catalog is answered from what lies there, without a rebuild, by
    whoever comes next; and what was left over goes with the next save."""
    index = VectorIndex(folder, NAME, DIGEST, DIM, LIMITS)
    index.open(states[-1])
    assert index.rebuilt_because == ""
    assert index.track_count == len(EXPECTED)
    for track_id, seed in EXPECTED.items():
        clip = Clip(noisy(fine(seed, 12.0)[11:44], 0.3), HOP_S, 2)
        assert search(index, clip, SearchConfig())[0].track_id == track_id
    index.save()
    index.close()
    left = {path.name for path in folder.iterdir()}
    again = VectorIndex(folder, NAME, DIGEST, DIM, LIMITS)
    again.open(states[-1])
    assert again.rebuilt_because == ""
    named = again.saved_files()
    again.close()
    assert left == named


def test_killed_at_every_step(work, tmp_path):
    path, states = work
    step, done = 1, False
    while not done:
        folder = tmp_path / f"index {step}"
        folder.mkdir()
        process = start(folder, path, step)
        output, _ = process.communicate()
        done = output == b"done"
        assert done or process.returncode == -signal.SIGKILL
        expect_sound(folder, states)
        step += 3 if step > 10 else 1
    assert step > 20


def test_killed_at_any_moment(work, tmp_path):
    path, states = work
    moments = random.Random(4)
    folder = tmp_path / "index"
    folder.mkdir()
    for _ in range(6):
        process = start(folder, path)
        time.sleep(moments.uniform(0.2, 1.5))
        process.kill()
        process.communicate()
    expect_sound(folder, states)
