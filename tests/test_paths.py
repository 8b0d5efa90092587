"""Folders of an instance."""

from __future__ import annotations

import os
import zipfile
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from songid_desktop import paths as paths_module
from songid_desktop.paths import Paths, base_dir_paths, default_paths, resolve, resource

folder_names = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=("Cs",)), min_size=1, max_size=40
).filter(lambda name: name not in (".", "..") and not name.startswith("~"))


def every_place(paths: Paths) -> list[Path]:
    derived = [
        getattr(paths, name) for name, value in vars(Paths).items() if isinstance(value, property)
    ]
    return [getattr(paths, item.name) for item in fields(Paths)] + derived


@given(folder_names)
def test_base_folder_holds_everything(name: str) -> None:
    base = Path("/some where") / name
    places = every_place(base_dir_paths(base))
    assert all(base in place.parents for place in places)
    assert len(set(places)) == len(places)


def test_relative_base_folder_is_taken_from_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    paths = base_dir_paths(Path("there"))
    monkeypatch.chdir("/")
    assert paths.catalog == tmp_path / "there" / "data" / "catalog.sqlite3"


def test_home_sign_is_understood() -> None:
    assert base_dir_paths(Path("~/x")).data == Path(os.environ["HOME"]) / "x" / "data"


def test_asking_makes_no_folder(tmp_path: Path) -> None:
    every_place(base_dir_paths(tmp_path / "new"))
    every_place(default_paths())
    assert not (tmp_path / "new").exists()


def test_resolve_chooses_between_the_two() -> None:
    assert resolve(None) == default_paths()
    assert resolve(Path("/x")) == base_dir_paths(Path("/x"))


def test_what_can_be_rebuilt_stands_apart_from_what_cannot() -> None:
    paths = default_paths()
    assert paths.index != paths.data
    assert paths.settings.parent == paths.config
    assert paths.log.parent == paths.runtime


def test_resource_of_a_checkout_exists() -> None:
    assert resource().is_dir()
    assert (resource() / "calibration").is_dir()


def test_resource_of_an_installed_package_is_found_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "site-packages" / "songid_desktop"
    (package / "resources" / "icons").mkdir(parents=True)
    monkeypatch.setattr(paths_module, "__file__", str(package / "paths.py"))
    assert resource("icons", "a.svg") == package / "resources" / "icons" / "a.svg"


def test_resource_does_not_mistake_a_file_for_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "songid_desktop"
    package.mkdir()
    with zipfile.ZipFile(package / "resources", "w"):
        pass
    monkeypatch.setattr(paths_module, "__file__", str(package / "paths.py"))
    assert resource("x") == tmp_path / "resources" / "x"
