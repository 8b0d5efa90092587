import contextlib
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from songid_desktop.landmark.ahead import IS_SUPPORTED, Ahead

pytestmark = pytest.mark.skipif(not IS_SUPPORTED, reason="needs posix_fadvise and preadv")


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """An `Ahead` whose file seems to be on disk only, and what it asked for."""
    path = tmp_path / "file"
    path.write_bytes(bytes(1 << 20))
    calls = []
    monkeypatch.setattr(Ahead, "_is_cold", lambda *_: True)
    monkeypatch.setattr(os, "posix_fadvise", lambda _h, place, n, _a: calls.append((place, n)))
    return Ahead(path, {"words": (64, 4), "rows": (4096, 16)}), calls


@given(
    places=st.lists(st.tuples(st.integers(0, 60_000), st.integers(0, 9_000)), max_size=20),
    name=st.sampled_from(["words", "rows"]),
)
def test_all_that_is_wanted_is_asked_for(tmp_path_factory, places, name):
    path = tmp_path_factory.mktemp("ahead") / "file"
    path.write_bytes(bytes(100))
    calls = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ahead, "_is_cold", lambda *_: True)
        patch.setattr(os, "posix_fadvise", lambda _h, place, n, _a: calls.append((place, n)))
        first = np.array([place for place, _ in places], np.int64)
        count = np.array([count for _, count in places], np.int64)
        Ahead(path, {"words": (64, 4), "rows": (4096, 16)}).ask(name, first, count)
    base, size = {"words": (64, 4), "rows": (4096, 16)}[name]
    assert calls == sorted(calls)
    for place, count in places:
        begin, end = base + place * size, base + (place + count) * size
        assert count == 0 or any(at <= begin and end <= at + n for at, n in calls)


def test_neighbours_are_asked_for_as_one(asked):
    ahead, calls = asked
    ahead.ask("words", np.array([0, 500, 100_000]), 10)
    assert calls == [(64, 2040), (400_064, 40)]


def test_nothing_is_asked_for_what_is_in_memory(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(bytes(1 << 16))
    path.read_bytes()
    monkeypatch.setattr(os, "posix_fadvise", lambda *_: pytest.fail("asked"))
    Ahead(path, {"words": (0, 4)}).ask("words", np.arange(0, 16_000, 100), 10)


def test_the_file_is_let_go_of_with_its_owner(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"something")
    ahead = Ahead(path, {})
    assert path in opened()
    del ahead
    assert path not in opened()


def opened():
    """What this process has open."""
    found = []
    for handle in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found.append(handle.readlink())
    return found
