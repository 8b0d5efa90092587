"""An empty library and an empty music folder for every test."""

from __future__ import annotations

from pathlib import Path

import pytest

from songid_desktop.paths import Paths, base_dir_paths


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return base_dir_paths(tmp_path / "instance")


@pytest.fixture
def music(tmp_path: Path) -> Path:
    folder = tmp_path / "music"
    folder.mkdir()
    return folder
