"""The table of models: what is asked for by which name, what is there, and what is needed."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from songid_desktop.neural import models, official
from songid_desktop.neural.config import ModelError
from songid_desktop.neural.weights import save
from songid_desktop.paths import Paths, base_dir_paths
from tests.support.encoders import CNN, encoder
from tests.support.pretrained_files import small_ast, small_mert


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return base_dir_paths(tmp_path / "base")


def test_each_identifier_has_a_shipped_model_and_two_an_official_one(paths: Paths) -> None:
    assert [place.key for place in models.every(paths)] == [
        "cnn",
        "ast",
        "mert",
        "ast-official",
        "mert-official",
    ]


def test_an_official_one_says_what_it_needs_and_how_large_it_is(paths: Paths) -> None:
    place = models.find("MIT/ast-finetuned-audioset-10-10-0.4593", paths)
    assert place == models.find("ast-official", paths)
    assert place is not None
    assert not place.is_installed
    assert "songid models install" in place.needs
    assert place.size_bytes > 300e6
    with pytest.raises(ModelError, match="install"):
        place.model()


def test_once_installed_it_is_described_by_its_own_files(paths: Paths) -> None:
    folder = official.folder_of("m-a-p/MERT-v1-95M", paths)
    small_mert(folder)
    place = models.find("mert-official", paths)
    assert place is not None
    assert place.is_installed
    assert not place.needs
    assert place.model().dim == 32
    assert place.size_bytes < 1e6
    before = place.digest()
    content = bytearray(place.weights.read_bytes())
    content[-1] ^= 1
    place.weights.write_bytes(content)
    assert place.digest() != before


def test_a_file_or_folder_of_ones_own_is_a_model_too(paths: Paths, tmp_path: Path) -> None:
    small_ast(tmp_path / "my ast")
    save(tmp_path / "mine.safetensors", encoder(CNN), CNN, {"licence": "CC0-1.0"})
    folder = models.find(str(tmp_path / "my ast"), paths)
    file = models.find(str(tmp_path / "mine.safetensors"), paths)
    assert folder is not None
    assert file is not None
    assert (folder.name, folder.origin, folder.is_installed) == ("ast", "local", True)
    assert (file.name, file.licence, file.model()) == ("cnn", "CC0-1.0", CNN)
    assert file.digest() != replace(file, path=folder.path).digest()


@pytest.mark.parametrize(
    "name", ["", ".", "..", "nothing", "/", "no/such/folder", "cnn.safetensors"]
)
def test_what_is_no_model_is_not_found(name: str, paths: Paths) -> None:
    assert models.find(name, paths) is None


def test_a_folder_of_no_kind_is_found_but_belongs_to_no_identifier(
    paths: Paths, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    (tmp_path / "model.safetensors").write_bytes(b"")
    place = models.find(str(tmp_path), paths)
    assert place is not None
    assert place.name == ""
    with pytest.raises(ModelError, match="bert"):
        place.model()


def test_a_missing_shipped_file_says_how_to_get_one(paths: Paths, tmp_path: Path) -> None:
    place = models.find("cnn", paths)
    assert place is not None
    lost = replace(place, path=tmp_path / "cnn.safetensors")
    assert not lost.is_installed
    assert "songid train cnn" in lost.needs


def test_looking_models_up_costs_no_torch(paths: Paths) -> None:
    program = (
        "import sys; from pathlib import Path;"
        "from songid_desktop.neural import models; from songid_desktop.paths import base_dir_paths;"
        f"p = base_dir_paths(Path({str(paths.data.parent)!r}));"
        "[place.is_installed for place in models.every(p)];"
        "sys.exit(any(m in sys.modules for m in ('torch', 'transformers', 'faiss')))"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


AT_ONCE = """
import threading
from pathlib import Path
from songid_desktop.neural import models
from songid_desktop.neural.build import build
from songid_desktop.paths import base_dir_paths
import torch

start, built = threading.Barrier(2), []

def make(model):
    start.wait()
    built.append(build(model))

wanted = [models.find(name, base_dir_paths(Path("base"))).model() for name in ("ast", "mert")]
threads = [threading.Thread(target=make, args=(model,)) for model in wanted]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(sorted(type(module).__name__ for module in built))
"""


def test_two_encoders_can_be_made_at_once() -> None:
    """An enrolment for all identifiers does, in a process that has imported nothing yet."""
    done = subprocess.run(
        [sys.executable, "-c", AT_ONCE], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "['AstEncoder', 'MertEncoder']", done.stderr
