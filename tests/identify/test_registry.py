"""Names of identifiers, and what is made of them."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from songid_desktop.errors import UsageError
from songid_desktop.identify import registry
from songid_desktop.neural import models
from songid_desktop.neural.config import ModelError
from songid_desktop.paths import Paths
from tests.support.neural_library import weights_at

LEARNED = ("cnn", "ast", "mert")


@pytest.fixture(autouse=True)
def no_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program without any models; put some into this folder."""
    folder = tmp_path / "shipped"
    folder.mkdir()
    monkeypatch.setattr(models, "resource", lambda *parts: folder / parts[-1])
    monkeypatch.setattr(registry, "_places", [])
    return folder


@pytest.fixture
def cnn(no_models: Path) -> Path:
    """The weights of a shipped model."""
    return weights_at(no_models / "cnn.safetensors").path


def test_the_default_comes_first_and_is_installed() -> None:
    first = registry.available()[0]
    assert first.name == registry.DEFAULT_IDENTIFIER == "landmark"
    assert first.is_installed
    assert first.label
    assert first.description


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("landmark", ("landmark",)),
        ("all", ("landmark",)),
        (" landmark , landmark,", ("landmark",)),
        ("landmark,report", ("landmark", "report")),
        ("report", ("report",)),
    ],
)
def test_lists_of_names(text: str, names: tuple[str, ...]) -> None:
    assert registry.resolve_names(text) == names


@pytest.mark.usefixtures("cnn")
def test_all_means_what_is_installed() -> None:
    assert registry.resolve_names("all") == ("landmark", "cnn") == registry.installed_names()
    assert registry.resolve_names("cnn,landmark") == ("cnn", "landmark")


@pytest.mark.parametrize("text", ["", ",", "ouija", "landmark,ouija"])
def test_unknown_names_are_refused_with_the_known_ones(text: str) -> None:
    with pytest.raises(UsageError, match="landmark"):
        registry.resolve_names(text)


@pytest.mark.usefixtures("cnn")
def test_what_is_made_bears_its_name_and_travels(paths: Paths) -> None:
    for info in registry.every():
        if not info.is_installed:
            continue
        fingerprinter = registry.fingerprinter(info.name)
        assert fingerprinter.name == info.name
        copy = pickle.loads(pickle.dumps(fingerprinter))
        assert copy.config_digest == fingerprinter.config_digest
        made = registry.create(info.name, paths)
        assert (made.name, made.config_digest) == (info.name, fingerprinter.config_digest)
        expected = None if info.is_hidden else fingerprinter.config_digest
        assert registry.config_digests().get(info.name) == expected


def test_what_is_for_evaluation_is_offered_nowhere_but_answers_to_its_name() -> None:
    hidden = [info.name for info in registry.every() if info.is_hidden]
    assert hidden == ["report"]
    for names in (
        [info.name for info in registry.available()],
        registry.installed_names(),
        registry.resolve_names(registry.ALL),
        registry.config_digests(),
    ):
        assert not set(names) & set(hidden)
    assert registry.describe("report").is_hidden
    assert registry.DEFAULT_IDENTIFIER not in hidden
    with pytest.raises(UsageError) as refused:
        registry.describe("ouija")
    assert "report" not in str(refused.value)


@pytest.mark.usefixtures("cnn")
def test_their_indexes_lie_apart(paths: Paths) -> None:
    made = [registry.create(one.name, paths) for one in registry.every() if one.is_installed]
    folders = set()
    for identifier in made:
        search = getattr(identifier, "search", None)
        index = identifier.index if search is None else search.index  # type: ignore[attr-defined]
        folders.add(index.directory)
    assert len(folders) == len(made) == 3


def test_learned_ones_are_offered_with_what_they_need() -> None:
    offered = {info.name: info for info in registry.available()}
    assert tuple(offered) == ("landmark", *LEARNED)
    for name in LEARNED:
        assert not offered[name].is_installed
        assert "missing from this installation" in offered[name].needs
        assert offered[name].label
        assert offered[name].description
        with pytest.raises(UsageError, match="missing from this installation"):
            registry.describe(name)


def test_a_damaged_card_is_said_and_stops_nothing(cnn: Path) -> None:
    cnn.with_suffix(".json").write_text("{}", encoding="utf-8")
    info = next(info for info in registry.available() if info.name == "cnn")
    assert not info.is_installed
    assert "no model card of this version" in info.needs
    assert registry.installed_names() == ("landmark",)
    assert registry.config_digests().keys() == {"landmark"}


def test_damaged_weights_are_told_before_an_enrolment(cnn: Path, paths: Paths) -> None:
    cnn.write_bytes(cnn.read_bytes()[:-1] + b"\0")
    with pytest.raises(ModelError, match="SHA-256"):
        registry.fingerprinter("cnn")
    assert registry.create("cnn", paths).name == "cnn"


@pytest.mark.usefixtures("cnn")
def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry.importlib.util, "find_spec", lambda _: None)
    info = next(info for info in registry.available() if info.name == "cnn")
    assert not info.is_installed
    assert "PyTorch" in info.needs


def test_an_installed_checkpoint_is_one_more_identifier(paths: Paths) -> None:
    from tests.support.pretrained_files import small_ast

    registry.look_in(paths)
    assert "ast-official" not in [info.name for info in registry.available()]
    folder = paths.data / "models" / "MIT--ast-finetuned-audioset-10-10-0.4593"
    folder.mkdir(parents=True)
    small_ast(folder)
    info = next(info for info in registry.available() if info.name == "ast-official")
    assert info.is_installed
    assert "published checkpoint" in info.description
    assert registry.fingerprinter("ast-official").name == "ast-official"
    assert registry.config_digests()["ast-official"]


def test_asking_for_digests_imports_no_tensors() -> None:
    code = (
        "import sys\n"
        "from songid_desktop.identify import registry\n"
        "registry.config_digests(); registry.available()\n"
        "loaded = {'torch', 'faiss', 'transformers', 'safetensors'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_installed_models_of_ones_own_are_identifiers_in_every_process(
    cnn: Path, tmp_path: Path
) -> None:
    from songid_desktop.evaluate.parallel import run_tasks
    from songid_desktop.neural import local
    from songid_desktop.paths import base_dir_paths

    paths = base_dir_paths(tmp_path / "base")
    registry.look_in(paths)
    local.install_from("mine", cnn, paths, holder="a test")
    info = registry.describe("mine")
    assert (info.label, info.is_installed) == ("mine", True)
    assert registry.resolve_names("landmark,mine") == ("landmark", "mine")
    assert registry.create("mine", paths).config_digest == registry.config_digests()["mine"]
    assert set(run_tasks(_installed, [1, 2], jobs=2)) == {True}


def _installed(_number: int) -> bool:
    return "mine" in registry.installed_names()


def test_a_model_that_was_installed_anew_has_a_new_name_for_its_vectors(
    no_models: Path, tmp_path: Path
) -> None:
    from songid_desktop.neural import local
    from songid_desktop.paths import base_dir_paths

    paths = base_dir_paths(tmp_path / "base")
    registry.look_in(paths)
    digests = []
    for seed in (1, 2):
        made = weights_at(tmp_path / f"{seed}.safetensors", seed=seed)
        local.install_from("my.v1", made.path, paths, holder="a test")
        digests.append(registry.config_digests()["my.v1"])
        assert registry.fingerprinter("my.v1").config_digest == digests[-1]
    assert digests[0] != digests[1]
