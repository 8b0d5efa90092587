"""One collection of made-up tunes for all tests of the training room."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from songid_desktop.train.data import Music, load_music
from tests.support.training import RATE, make_collection


@pytest.fixture(scope="session")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_collection(tmp_path_factory.mktemp("collection"))


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def music(collection: Path, cache: Path) -> Music:
    return load_music(collection, RATE, cache)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
