"""Official checkpoints made small: they come to the features that transformers' own classes
compute, and variants or damage are refused in words."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from songid_desktop.neural import lockfile
from songid_desktop.neural.config import ModelError
from songid_desktop.neural.embedder import Embedder
from songid_desktop.neural.fbank import Fbank
from songid_desktop.neural.geometry import describe
from songid_desktop.neural.lockfile import Lock, LockedFile
from songid_desktop.neural.pretrained import backbone_tensors, open_model
from songid_desktop.neural.weights import empty_module, fill, load, save
from tests.support.encoders import noise
from tests.support.pretrained_files import small_ast, small_mert


def change_config(folder: Path, **values: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_ast_gives_its_own_features_at_its_full_length(tmp_path: Path) -> None:
    reference = small_ast(tmp_path)
    model = describe(tmp_path)
    full = replace(model, front_end=replace(model.front_end, n_frames=1024))
    module = empty_module(full)
    fill(module, backbone_tensors(tmp_path, full, module), "")
    pictures = torch.randn(2, 128, 1024)
    with torch.inference_mode():
        hidden = reference.audio_spectrogram_transformer(pictures.transpose(1, 2))
        wanted = functional.normalize(hidden.last_hidden_state[:, 2:].mean(dim=1), dim=1)
        np.testing.assert_allclose(module(pictures), wanted, atol=1e-4)


def test_ast_looks_at_five_seconds_with_the_middle_of_its_positions(tmp_path: Path) -> None:
    reference = small_ast(tmp_path)
    module, model = open_model(tmp_path)
    assert model.front_end.window_s == pytest.approx(4.995)
    assert (model.retrieval, model.head, model.dim) == ("clip", "none", 32)
    given = reference.audio_spectrogram_transformer.embeddings.position_embeddings[0, 2:]
    taken = module.backbone.embeddings.position_embeddings[0, 2:]
    columns = len(taken) // 12
    grid = given.reshape(12, 101, 32)
    first = (101 - columns) // 2
    np.testing.assert_array_equal(
        taken.reshape(12, columns, 32), grid[:, first : first + columns].detach()
    )


def test_mert_gives_its_own_features(tmp_path: Path) -> None:
    reference = small_mert(tmp_path)
    _module, model = open_model(tmp_path)
    assert model.front_end.sample_rate == 24_000
    sound = noise(24_000 * 5)
    scaled = (sound - sound.mean()) / np.sqrt(sound.var() + 1e-7)
    with torch.inference_mode():
        hidden = reference(torch.from_numpy(scaled)[None]).last_hidden_state
        wanted = functional.normalize(hidden.mean(dim=1), dim=1)
    found = Embedder(tmp_path, bfloat16=False).of_samples(sound)
    np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_a_short_clip_is_looked_up_too(tmp_path: Path) -> None:
    small_mert(tmp_path / "mert")
    small_ast(tmp_path / "ast")
    for kind, rate in (("mert", 24_000), ("ast", 16_000)):
        embedder = Embedder(tmp_path / kind)
        assert embedder.of_samples(noise(2 * rate)).shape == (1, 32)
        assert embedder.of_samples(noise(5 * rate)).shape == (1, 32)
        assert embedder.of_samples(noise(15 * rate)).shape == (5, 32)


def test_empty_frames_of_a_short_clip_are_those_of_the_reference(tmp_path: Path) -> None:
    small_ast(tmp_path)
    front = describe(tmp_path).front_end
    picture = Fbank(front).of_windows(noise(16_000)[None])[0]
    np.testing.assert_allclose(picture[:, 98:], -front.mean / front.deviation)


def test_a_checkpoint_can_begin_a_training_and_be_saved_as_ours(tmp_path: Path) -> None:
    small_mert(tmp_path / "official")
    _, backbone = open_model(tmp_path / "official")
    model = replace(backbone, head="attention", dim=16)
    module = empty_module(model)
    tensors = backbone_tensors(tmp_path / "official", model, module)
    head = {k: v for k, v in module.state_dict().items() if k.startswith("head.")}
    fill(module, tensors | head, "")
    save(tmp_path / "mine.safetensors", module, model, {})
    loaded = load(tmp_path / "mine.safetensors")
    sound = torch.randn(1, 48_000)
    with torch.inference_mode():
        assert (module(sound) * loaded.module(sound)).sum() > 0.999


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("feature_extractor_cqt", True),
        ("attention_relax", 32.0),
        ("deepnorm", True),
        ("hidden_act", "relu"),
        ("feat_extract_norm", "batch"),
        ("hidden_size", -1),
        ("hidden_size", "768"),
        ("conv_dim", []),
        ("conv_stride", [5, 2]),
        ("layer_norm_eps", None),
    ],
)
def test_a_variant_of_mert_is_refused_in_words(setting: str, value: object, tmp_path: Path) -> None:
    small_mert(tmp_path)
    change_config(tmp_path, **{setting: value})
    with pytest.raises(ModelError, match=r"\w+ .*\."):
        open_model(tmp_path)


def test_weights_that_do_not_fit_their_configuration_are_refused(tmp_path: Path) -> None:
    small_ast(tmp_path)
    change_config(tmp_path, hidden_size=48)
    with pytest.raises(ModelError, match="another architecture"):
        open_model(tmp_path)
    small_mert(tmp_path)
    change_config(tmp_path, num_attention_heads=3)
    with pytest.raises(ModelError, match="do not go together"):
        open_model(tmp_path)


def test_a_truncated_or_missing_checkpoint_is_refused(tmp_path: Path) -> None:
    small_ast(tmp_path)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ModelError, match="cut short"):
        open_model(tmp_path)
    weights.unlink()
    with pytest.raises(ModelError, match=r"model\.safetensors"):
        open_model(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text("[]")
    with pytest.raises(ModelError, match="configuration"):
        open_model(tmp_path)


def test_a_byte_changed_since_the_installation_is_noticed(tmp_path: Path) -> None:
    small_mert(tmp_path)
    weights = tmp_path / "model.safetensors"
    content = bytearray(weights.read_bytes())
    sha256 = hashlib.sha256(content).hexdigest()
    locked = LockedFile(weights.name, len(content), sha256)
    lockfile.write(tmp_path, Lock("m", "here", files=(locked,)))
    open_model(tmp_path)
    content[-5] ^= 4
    weights.write_bytes(content)
    with pytest.raises(ModelError, match="SHA-256"):
        open_model(tmp_path)
    (tmp_path / lockfile.LOCK_NAME).write_text("{}")
    with pytest.raises(ModelError, match="lock"):
        open_model(tmp_path)
