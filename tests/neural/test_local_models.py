"""Checkpoints from a folder: what is copied, what is known of it, and what is refused; and the list
of all models."""

from __future__ import annotations

import contextlib
import hashlib
import json
import pickle
import threading
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from songid_desktop.errors import Cancelled, EnvironmentProblem, UsageError
from songid_desktop.neural import (
    checkpoints,
    convert,
    layout,
    local,
    lockfile,
    models,
    roster,
    staging,
)
from songid_desktop.neural.convert import NotConverted
from songid_desktop.neural.download import WrongBytes
from songid_desktop.neural.install import card_licence
from songid_desktop.neural.layout import NotThisModel
from songid_desktop.neural.lockfile import Lock
from songid_desktop.neural.state import State
from songid_desktop.paths import Paths, base_dir_paths
from tests.support.checkpoint_files import AST, MERT, ast_folder, mert_folder
from tests.support.hub_server import LARGE, blob_sha1


def take(name: str, folder: Path, paths: Paths, **named: object) -> Lock:
    return local.install_from(name, folder, paths, holder="a test", **named)  # type: ignore[arg-type]


@pytest.fixture
def ast(tmp_path: Path) -> Path:
    return ast_folder(tmp_path / "some folder")


def cache_of(folder: Path, target: Path) -> Path:
    """`folder` as the hub's own tools keep it: blobs by checksum, links to them by commit."""
    commit = "c0ffee" + "0" * 34
    snapshot = target / "snapshots" / commit
    for made in (target / "blobs", target / "refs", snapshot):
        made.mkdir(parents=True)
    (target / "refs" / "main").write_text(commit)
    for path in folder.iterdir():
        content = path.read_bytes()
        is_large = path.name.endswith(LARGE)
        blob = hashlib.sha256(content).hexdigest() if is_large else blob_sha1(content)
        (target / "blobs" / blob).write_bytes(content)
        (snapshot / path.name).symlink_to(f"../../blobs/{blob}")
    return target


def test_a_copy_of_an_official_one(ast: Path, paths: Paths) -> None:
    before = {path.name: path.read_bytes() for path in ast.iterdir()}
    lock = take("ast-official", ast, paths)
    assert (lock.name, lock.commit, lock.source) == (AST, "", local.LOCAL_SOURCE)
    assert lock.licence == "bsd-3-clause"
    assert {file.name for file in lock.files} == {
        "config.json",
        "preprocessor_config.json",
        "README.md",
        "model.safetensors",
    }
    assert checkpoints.status(AST, paths).state is State.INSTALLED
    assert checkpoints.faults(AST, paths) == []
    assert {path.name: path.read_bytes() for path in ast.iterdir()} == before


def test_a_further_backbone_under_its_own_name(ast: Path, paths: Paths) -> None:
    take("my-ast.v2", ast, paths)
    (mine,) = [each for each in roster.listed(paths) if each.origin == "local"]
    assert (mine.name, mine.kind, mine.state) == ("my-ast.v2", "ast", State.INSTALLED)
    assert roster.faults(mine, paths) == []
    assert roster.remove(mine, paths, holder="a test") > 100_000
    assert [each.origin for each in checkpoints.every(paths) if not each.is_official] == []


def test_the_cache_of_the_hubs_own_tools_knows_the_commit(ast: Path, paths: Paths) -> None:
    cache = cache_of(ast, ast.parent / "models--MIT--ast")
    for given_folder in (cache, next((cache / "snapshots").iterdir())):
        lock = take(AST, given_folder, paths)
        assert lock.commit == "c0ffee" + "0" * 34
        weights = lock.file("model.safetensors")
        assert weights is not None
        assert weights.published == f"sha256:{weights.sha256}"
    blob = cache / "blobs" / hashlib.sha256((ast / "model.safetensors").read_bytes()).hexdigest()
    content = bytearray(blob.read_bytes())
    content[-9] ^= 1
    blob.write_bytes(content)
    with pytest.raises(WrongBytes, match="is damaged"):
        take(AST, cache, paths)
    assert checkpoints.faults(AST, paths) == []  # what was installed stays


def test_an_installed_folder_of_another_computer(ast: Path, paths: Paths, tmp_path: Path) -> None:
    lock = take(AST, ast, paths)
    installed = staging.places(AST, paths).final
    elsewhere = base_dir_paths(tmp_path / "another")
    copied = take(AST, installed, elsewhere)
    assert copied.files == lock.files
    with pytest.raises(UsageError, match="installed already"):
        take(AST, installed, paths)
    weights = installed / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(WrongBytes):
        take("another", installed, elsewhere)


def test_pickled_weights_of_a_folder_stay_there(tmp_path: Path, paths: Paths) -> None:
    folder = mert_folder(tmp_path / "mert")
    lock = take(MERT, folder, paths)
    assert lock.made_from is not None
    assert (folder / "pytorch_model.bin").exists()
    assert not list(staging.places(MERT, paths).final.glob("*.bin"))
    assert checkpoints.faults(MERT, paths) == []


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "a/b",
        "../x",
        "-x",
        "x y",
        "landmark",
        "CNN",
        AST.replace("/", "--"),
        "ü" * 90,
        "x" * 99,
    ],
)
def test_names_that_are_none(ast: Path, paths: Paths, name: str) -> None:
    with pytest.raises(UsageError, match="can't be a model's name"):
        take(name, ast, paths)
    assert not paths.data.exists()


def refused(folder: Path, paths: Paths, name: str = "mine") -> str:
    with pytest.raises((NotThisModel, UsageError)) as caught:
        take(name, folder, paths)
    assert not staging.places(name, paths).final.exists()
    return str(caught.value)


def test_folders_that_hold_no_checkpoint(ast: Path, paths: Paths, tmp_path: Path) -> None:
    assert "no folder" in refused(tmp_path / "nothing", paths)
    assert "no folder" in refused(ast / "config.json", paths)
    assert "holds no config.json" in refused(tmp_path, paths)
    (ast / "model.safetensors").rename(ast / "model-00001-of-00002.safetensors")
    (ast / "pytorch_model.bin").unlink()
    assert "holds neither" in refused(ast, paths)
    (ast / "model.safetensors.index.json").write_text("{}")
    assert "several pieces" in refused(ast, paths)


@pytest.mark.parametrize(
    "config", ["", "[]", "{", '{"model_type": "bert"}', "{}", '{"model_type": 7}', "[" * 99_999]
)
def test_configurations_of_something_else(ast: Path, paths: Paths, config: str) -> None:
    (ast / "config.json").write_text(config)
    assert "config" in refused(ast, paths)


def test_an_official_name_takes_no_other_architecture(ast: Path, paths: Paths) -> None:
    assert "is AST, not MERT" in refused(ast, paths, MERT)


@settings(max_examples=30, suppress_health_check=list(HealthCheck))
@given(length=st.integers(0, 10_000_000))
def test_weights_cut_short_anywhere(tmp_path: Path, length: int) -> None:
    path = tmp_path / "model.safetensors"
    ast_folder(tmp_path / "whole")
    content = (tmp_path / "whole" / "model.safetensors").read_bytes()
    path.write_bytes(content[: length % len(content)])
    with pytest.raises(NotThisModel, match="damaged, cut short"):
        layout.tensor_shapes(path)


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(st.binary(max_size=300))
def test_any_bytes_as_weights_are_a_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.safetensors"
    for bytes_ in (content, len(content).to_bytes(8, "little") + content):
        path.write_bytes(bytes_)
        with contextlib.suppress(NotThisModel):
            assert layout.tensor_shapes(path) == {}


def test_cancelled_copies_leave_nothing(ast: Path, paths: Paths) -> None:
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        take("mine", ast, paths, cancel=cancel)
    assert not staging.places("mine", paths).partial.exists()


class Trap:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("trap was sprung"),))  # type: ignore[return-value]


@pytest.mark.slow
def test_a_pickle_that_would_run_something(
    tmp_path: Path, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    import torch

    folder = mert_folder(tmp_path / "mert")
    for write in (
        lambda path: path.write_bytes(pickle.dumps({"x": Trap()})),
        lambda path: torch.save({"x": Trap()}, path),
    ):
        write(folder / "pytorch_model.bin")
        with pytest.raises(NotConverted, match="more than weights"):
            take(MERT, folder, paths)
        assert not (tmp_path / "trap was sprung").exists()
        assert not staging.places(MERT, paths).final.exists()


@pytest.mark.slow
def test_pickles_that_are_no_weights(tmp_path: Path) -> None:
    import torch

    source, target = tmp_path / "x.bin", tmp_path / "x.safetensors"
    torch.save([1, 2], source)
    with pytest.raises(NotConverted, match="no list of named tensors"):
        convert.to_safetensors(source, target)
    source.write_bytes(source.read_bytes()[:-50])
    with pytest.raises(NotConverted, match="damaged"):
        convert.to_safetensors(source, target)
    assert not target.exists()


@pytest.mark.slow
def test_old_pickles_and_shared_tensors_are_converted(tmp_path: Path) -> None:
    import torch
    from safetensors.numpy import load_file

    one = torch.arange(6.0).reshape(2, 3)
    source, target = tmp_path / "x.bin", tmp_path / "x.safetensors"
    weights = {"state_dict": {"a": one, "b": one, "c": one.T}}
    torch.save(weights, source, _use_new_zipfile_serialization=False)
    convert.to_safetensors(source, target)
    loaded = load_file(target)
    assert (loaded["a"] == loaded["b"]).all()
    assert loaded["c"].shape == (3, 2)


@pytest.mark.slow
def test_a_conversion_has_bounds(tmp_path: Path) -> None:
    import torch

    source, target = tmp_path / "x.bin", tmp_path / "x.safetensors"
    # 4 TB said in a few bytes: all elements of one.
    torch.save({"a": torch.zeros(1).expand(1_000_000, 1_000_000)}, source)
    with pytest.raises(EnvironmentProblem, match=r"memory|can't be written"):
        convert.to_safetensors(source, target)
    with pytest.raises(NotConverted, match="too long"):
        convert.to_safetensors(source, target, within_s=0.05)

    def cancelled_within_s() -> float:
        cancel = threading.Event()
        timer = threading.Timer(0.2, cancel.set)
        began = time.monotonic()
        timer.start()
        with pytest.raises(Cancelled):
            convert.to_safetensors(source, target, cancel)
        timer.join()
        return time.monotonic() - began - 0.2

    assert any(cancelled_within_s() < 0.2 for _ in range(5))
    assert not target.exists()


@pytest.mark.parametrize(
    ("head", "licence"),
    [
        ("---\nlicense: mit\n---\n", "mit"),
        ("---\r\nlicense: 'apache-2.0'\r\n---\r\n", "apache-2.0"),
        ("\ufeff---\ntags:\n- a\nlicense:\n- cc-by-4.0\n---\n", "cc-by-4.0"),
        ("---\nlicense: other\nlicense_name: our-own\n---\n", "our-own"),
        ("---\nlicense: [mit]\n---\n", "mit"),
        ("---\ntags: x\n---\nlicense: mit\n", ""),
        ("license: mit\n", ""),
        ("", ""),
        ("---\nlicense:\n---", ""),
    ],
)
def test_the_licence_is_the_one_in_the_cards_head(tmp_path: Path, head: str, licence: str) -> None:
    (tmp_path / "README.md").write_bytes(head.encode())
    assert card_licence(tmp_path) == licence


def test_what_lies_among_the_models_and_is_none(paths: Paths, ast: Path) -> None:
    take("mine", ast, paths)
    folder = staging.places("mine", paths).final.parent
    (folder / "stray.txt").write_text("x")
    (folder / "empty").mkdir()
    states = {each.name: each.state for each in checkpoints.every(paths)}
    assert states["mine"] is State.INSTALLED
    assert states["empty"] is State.DAMAGED
    assert "stray.txt" not in states
    assert roster.remove(roster.find("empty", paths), paths, holder="a test") == 0


def test_shipped_models_are_checked_against_their_cards(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from songid_desktop.neural.card import Card, write_card
    from songid_desktop.neural.config import Model

    monkeypatch.setattr(models, "resource", tmp_path.joinpath)
    weights = tmp_path / "models" / "cnn.safetensors"
    weights.parent.mkdir()
    weights.write_bytes(b"weights")
    sha256 = hashlib.sha256(b"weights").hexdigest()
    write_card(weights, Card(Model(), sha256, 7, {"licence": "GPL-3.0-or-later"}))
    found = roster.find("cnn", paths)
    assert (found.kind, found.state, found.sha256) == ("cnn", State.SHIPPED, sha256)
    assert found.licence == "GPL-3.0-or-later"
    assert roster.faults(found, paths) == []
    assert found in roster.to_verify(paths)
    with pytest.raises(UsageError, match="stays"):
        roster.remove(found, paths, holder="a test")
    weights.write_bytes(b"weighty")
    assert "checksum" in roster.faults(found, paths)[0]
    weights.write_bytes(b"w")
    assert roster.find("cnn", paths).state is State.DAMAGED
    weights.with_suffix(".json").write_text("{}")
    assert "card" in roster.find("cnn", paths).message


def test_the_lock_is_readable_json(ast: Path, paths: Paths) -> None:
    take(AST, ast, paths)
    stored = json.loads((staging.places(AST, paths).final / lockfile.LOCK_NAME).read_text())
    assert stored["schema"] == lockfile.SCHEMA
    assert stored["installed_at"].endswith("Z")
