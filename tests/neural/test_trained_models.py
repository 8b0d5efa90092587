"""Models of one's own training: installed by name, found, checked, refused and taken away."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from songid_desktop.errors import UsageError
from songid_desktop.neural import local, models, roster, staging
from songid_desktop.neural.layout import NotThisModel
from songid_desktop.neural.lockfile import Lock
from songid_desktop.neural.state import State
from songid_desktop.paths import Paths, base_dir_paths
from tests.support.neural_library import weights_at


def take(name: str, source: Path, paths: Paths) -> Lock:
    return local.install_from(name, source, paths, holder="a test")


def training_in(folder: Path) -> Path:
    """A folder as `songid train` leaves it."""
    folder.mkdir()
    weights_at(folder / "best.safetensors")
    (folder / "config.json").write_text('{"values": {}}')
    (folder / "checkpoint.safetensors").write_bytes(b"not looked at")
    return folder


@pytest.mark.parametrize("given_as", ["folder", "file"])
def test_what_was_trained_is_installed_and_found_by_its_name(tmp_path: Path, given_as: str) -> None:
    paths, run = base_dir_paths(tmp_path / "base"), training_in(tmp_path / "run")
    lock = take("mine", run if given_as == "folder" else run / "best.safetensors", paths)
    assert {file.name for file in lock.files} == {"model.safetensors", "model.json"}
    place = models.find("mine", paths)
    assert place is not None
    assert (place.key, place.name, place.origin) == ("mine", "cnn", "local")
    assert place.is_installed
    own = models.find(str(run / "best.safetensors"), paths)
    assert own is not None
    assert place.digest() == own.digest()
    listed = roster.find("mine", paths)
    assert (listed.kind, listed.state) == ("cnn", State.INSTALLED)
    assert roster.faults(listed, paths) == []


def test_a_trained_model_that_changed_is_noticed(tmp_path: Path) -> None:
    paths = base_dir_paths(tmp_path / "base")
    take("mine", training_in(tmp_path / "run"), paths)
    place = models.find("mine", paths)
    assert place is not None
    with place.path.open("r+b") as weights:
        weights.seek(-3, 2)
        weights.write(b"\xff")
    assert len(roster.faults(roster.find("mine", paths), paths)) >= 1
    roster.remove(roster.find("mine", paths), paths, holder="a test")
    assert models.find("mine", paths) is None


def test_weights_that_are_not_those_of_their_card_are_refused(tmp_path: Path) -> None:
    paths, run = base_dir_paths(tmp_path / "base"), training_in(tmp_path / "run")
    other = weights_at(tmp_path / "other.safetensors", seed=1)
    (run / "best.safetensors").write_bytes(other.path.read_bytes())
    with pytest.raises(NotThisModel, match="not the file that its card describes"):
        take("mine", run, paths)
    assert models.find("mine", paths) is None


def test_a_training_without_a_check_has_nothing_to_install(tmp_path: Path) -> None:
    run = training_in(tmp_path / "run")
    (run / "best.safetensors").unlink()
    with pytest.raises(UsageError, match="has not been checked so far"):
        take("mine", run, base_dir_paths(tmp_path / "base"))


def test_weights_of_a_training_are_no_published_model(tmp_path: Path) -> None:
    paths, run = base_dir_paths(tmp_path / "base"), training_in(tmp_path / "run")
    with pytest.raises(UsageError, match="name of its own"):
        take("ast-official", run, paths)
    with pytest.raises(UsageError, match="can't be a model's name"):
        take("report", run, paths)


def in_card(weights: Path, **changes: object) -> None:
    """Change what a card says of its model."""
    path = weights.with_suffix(".json")
    card = json.loads(path.read_text())
    for name, value in changes.items():
        group = card["model"]["front_end"] if name in card["model"]["front_end"] else card["model"]
        group[name] = value
    path.write_text(json.dumps(card))


@pytest.mark.parametrize("value", [float("inf"), float("nan"), 10**400])
def test_a_card_with_impossible_numbers_is_refused_and_spoils_nothing_else(
    tmp_path: Path, value: float
) -> None:
    paths, run = base_dir_paths(tmp_path / "base"), training_in(tmp_path / "run")
    take("good", run, paths)
    take("bad", run, paths)
    bad = models.find("bad", paths)
    assert bad is not None
    in_card(bad.path, window_s=value)
    assert [place.name for place in models.every(paths) if place.origin == "local"] == ["", "cnn"]
    in_card(run / "best.safetensors", window_s=value)
    with pytest.raises(NotThisModel):
        take("another", run, paths)
    roster.remove(roster.find("bad", paths), paths, holder="a test")


@pytest.mark.parametrize("changes", [{"group_hidden": 8}, {"name": "mert"}, {"hop_s": 0.5}])
def test_a_card_of_another_model_is_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    run = training_in(tmp_path / "run")
    in_card(run / "best.safetensors", **changes)
    with pytest.raises(NotThisModel, match="not the file that its card describes"):
        take("mine", run, base_dir_paths(tmp_path / "base"))


def test_a_folder_with_the_name_of_an_identifier_is_not_one(tmp_path: Path) -> None:
    paths = base_dir_paths(tmp_path / "base")
    take("mine", training_in(tmp_path / "run"), paths)
    folder = staging.places("mine", paths).final
    for name in ("landmark", "report", "all", "cnn", "mine.safetensors"):
        (folder.parent / name).symlink_to(folder, target_is_directory=True)
    keys = [place.key for place in models.every(paths)]
    assert keys[-1] == "mine"
    assert len(keys) == len(set(keys)) == 6


def test_names_that_differ_in_capitals_alone_are_one(tmp_path: Path) -> None:
    paths, run = base_dir_paths(tmp_path / "base"), training_in(tmp_path / "run")
    take("Mine", run, paths)
    take("Mine", run, paths)
    with pytest.raises(UsageError, match="“Mine” already"):
        take("mine", run, paths)
    found = models.find("mine", paths)
    assert found is not None
    assert found.key == "Mine"


def test_a_linked_model_is_unlinked_and_stays_where_it_is(tmp_path: Path) -> None:
    paths = base_dir_paths(tmp_path / "base")
    take("mine", training_in(tmp_path / "run"), paths)
    folder = staging.places("mine", paths).final
    elsewhere = tmp_path / "elsewhere"
    folder.rename(elsewhere)
    folder.symlink_to(elsewhere, target_is_directory=True)
    roster.remove(roster.find("mine", paths), paths, holder="a test")
    assert not folder.is_symlink()
    assert (elsewhere / "model.safetensors").is_file()
