"""A trained model on disk: what is written comes back, and whatever is wrong with the files is said
in a sentence."""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from songid_desktop.neural.card import Card, card_path, read_card, write_card
from songid_desktop.neural.config import CnnBody, Model, ModelError
from songid_desktop.neural.weights import load, save
from tests.support.encoders import ALL, AST, CNN, MERT, encoder

DETAILS = {"data": "noise", "seed": 7, "licence": "CC0-1.0"}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model's weights file with its card; never written to."""
    path = tmp_path_factory.mktemp("models") / "cnn.safetensors"
    save(path, encoder(CNN), CNN, DETAILS)
    return path


@pytest.fixture
def copy(saved: Path, tmp_path: Path) -> Path:
    path = tmp_path / saved.name
    path.write_bytes(saved.read_bytes())
    card_path(path).write_bytes(card_path(saved).read_bytes())
    return path


@pytest.mark.parametrize("model", ALL.values(), ids=ALL)
def test_what_is_saved_comes_back(model: Model, tmp_path: Path) -> None:
    module = encoder(model)
    card = save(tmp_path / "m.safetensors", module, model, DETAILS)
    loaded = load(tmp_path / "m.safetensors", model.name)
    assert loaded.model == model
    assert loaded.card == card
    assert not loaded.module.training
    windows = torch.randn(4, *model.front_end.input_shape)
    with torch.inference_mode():
        cosines = (module(windows) * loaded.module(windows)).sum(dim=1)
    np.testing.assert_allclose(cosines, 1, atol=1e-3)


@pytest.mark.parametrize("stored", ["float16", "bfloat16", "float32"])
def test_matrices_are_stored_small_and_run_in_full(stored: str, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save(path, encoder(CNN), CNN, DETAILS, stored)  # type: ignore[arg-type]
    kinds = {t.dtype for t in load_file(path).values() if t.ndim > 1}
    assert kinds == {getattr(torch, stored)}
    assert {p.dtype for p in load(path).module.parameters()} == {torch.float32}


def test_what_half_precision_can_not_hold_is_stored_wider(tmp_path: Path) -> None:
    module = encoder(CNN)
    with torch.no_grad():
        next(module.parameters()).mul_(1e6)
    save(tmp_path / "m.safetensors", module, CNN, DETAILS)
    loaded = load(tmp_path / "m.safetensors").module
    found, wanted = next(loaded.parameters()), next(module.parameters())
    np.testing.assert_allclose(found, wanted.detach(), rtol=1e-2)


def test_a_diverged_training_is_not_saved(tmp_path: Path) -> None:
    module = encoder(CNN)
    with torch.no_grad():
        next(module.parameters()).fill_(float("nan"))
    with pytest.raises(ModelError, match="diverged"):
        save(tmp_path / "m.safetensors", module, CNN, DETAILS)
    assert not list(tmp_path.iterdir())


def test_the_card_tells_what_it_was_told_without_torch(saved: Path) -> None:
    card = read_card(saved)
    assert card.model == CNN
    assert {key: card.details[key] for key in DETAILS} == DETAILS
    assert card.digest == CNN.digest(card.sha256)
    assert json.loads(card_path(saved).read_text())["seed"] == 7


@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_flipped_bit_gets_through(saved: Path, copy: Path, where: float, bit: int) -> None:
    content = bytearray(saved.read_bytes())
    content[int(where * len(content))] ^= 1 << bit
    copy.write_bytes(content)
    with pytest.raises(ModelError, match="SHA-256"):
        load(copy)


@given(share=st.floats(0, 1, exclude_max=True))
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_truncated_file_is_called_cut_short(saved: Path, copy: Path, share: float) -> None:
    content = saved.read_bytes()
    copy.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ModelError, match="cut short"):
        load(copy)


@given(data=st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_card_is_a_model_error_or_harmless(
    saved: Path, copy: Path, data: st.DataObject
) -> None:
    content = bytearray(card_path(saved).read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] = data.draw(st.integers(0, 255))
    card_path(copy).write_bytes(content)
    copy.write_bytes(saved.read_bytes())
    with contextlib.suppress(ModelError):
        assert load(copy).model == CNN


def test_with_the_right_checksum_other_bytes_are_still_no_model(copy: Path) -> None:
    """A card and a file that agree, but the file is no weights file."""
    for content in (b"", b"hello", b"\xff" * 100, (5).to_bytes(8, "little") + b"[1,2]"):
        copy.write_bytes(content)
        write_card(copy, Card(CNN, hashlib.sha256(content).hexdigest(), len(content)))
        with pytest.raises(ModelError, match=r"no weights file|can't be read"):
            load(copy)


def test_missing_files_are_named(copy: Path) -> None:
    copy.unlink()
    with pytest.raises(ModelError, match="is not there"):
        load(copy)
    card_path(copy).unlink()
    with pytest.raises(ModelError, match="no card"):
        load(copy)


def test_a_model_of_another_identifier_is_refused(copy: Path) -> None:
    with pytest.raises(ModelError, match="“cnn”, not for “ast”"):
        load(copy, "ast")


def test_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    """The file says one thing and holds another, with checksums that agree."""
    path = tmp_path / "m.safetensors"
    wider = replace(CNN, body=CnnBody(channels=(4, 8, 8, 16, 32)))
    for module, told in ((encoder(AST), CNN), (encoder(wider), CNN), (encoder(CNN), wider)):
        save(path, module, told, DETAILS)
        with pytest.raises(ModelError, match="another architecture"):
            load(path)


def test_a_surplus_or_missing_tensor_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save(path, encoder(CNN), CNN, DETAILS)
    tensors = load_file(path)
    for changed in (tensors | {"extra": torch.zeros(2)}, dict(list(tensors.items())[1:])):
        save_file(changed, path, metadata={"model": CNN.to_json()})
        _agree(path, CNN)
        with pytest.raises(ModelError, match="another architecture"):
            load(path)


def test_a_file_and_a_card_of_different_models_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save(path, encoder(CNN), CNN, DETAILS)
    _agree(path, replace(CNN, hop_s=0.5))
    with pytest.raises(ModelError, match="another model than its card"):
        load(path)


def test_weights_that_are_not_numbers_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save(path, encoder(CNN), CNN, DETAILS)
    tensors = load_file(path)
    next(iter(tensors.values())).fill_(float("inf"))
    save_file(tensors, path, metadata={"model": CNN.to_json()})
    _agree(path, CNN)
    with pytest.raises(ModelError, match="not finite"):
        load(path)


@pytest.mark.parametrize("model", [AST, MERT], ids=["ast", "mert"])
def test_tensors_under_the_names_of_other_versions_are_read(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    module = encoder(model)
    save(path, module, model, DETAILS)
    old = {_older(name): tensor for name, tensor in load_file(path).items()}
    assert set(old) != set(load_file(path))
    save_file(old, path, metadata={"model": model.to_json()})
    _agree(path, model)
    windows = torch.randn(2, *model.front_end.input_shape)
    with torch.inference_mode():
        cosines = (module(windows) * load(path).module(windows)).sum(dim=1)
    np.testing.assert_allclose(cosines, 1, atol=1e-3)


def _older(name: str) -> str:
    for new, old in (
        (".parametrizations.weight.original0", ".weight_g"),
        (".parametrizations.weight.original1", ".weight_v"),
        ("backbone.layers.", "backbone.encoder.layer."),
        (".attention.o_proj.", ".attention.output.dense."),
        (".mlp.fc1.", ".intermediate.dense."),
        (".mlp.fc2.", ".output.dense."),
    ):
        name = name.replace(new, old)
    if "encoder.layer." in name:
        for new, old in (("q_proj", "query"), ("k_proj", "key"), ("v_proj", "value")):
            name = name.replace(f".attention.{new}.", f".attention.attention.{old}.")
    return name


def _agree(path: Path, model: Model) -> None:
    """A card that has the file's own checksum."""
    content = path.read_bytes()
    write_card(path, Card(model, hashlib.sha256(content).hexdigest(), len(content)))
