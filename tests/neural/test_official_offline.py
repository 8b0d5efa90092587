"""Checkpoints written by transformers itself, small: installed through the hub's stand-in, they run
when the hub is gone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from songid_desktop.neural import install, models, official
from songid_desktop.neural.transport import Patience
from songid_desktop.paths import Paths
from tests.support.checkpoint_files import AST, MERT
from tests.support.hub_server import HubServer

QUICK = Patience(connect_s=5.0, stall_s=5.0, tries=2, pause_s=0.01)


def small_ast(folder: Path) -> None:
    from safetensors.torch import save_file
    from transformers import ASTConfig, ASTForAudioClassification

    config = ASTConfig(
        hidden_size=48, num_hidden_layers=2, num_attention_heads=2, intermediate_size=96
    )
    folder.mkdir()
    weights = ASTForAudioClassification(config).state_dict()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    said = {**config.to_dict(), "architectures": ["ASTForAudioClassification"]}
    (folder / "config.json").write_text(json.dumps(said))
    (folder / "preprocessor_config.json").write_text(
        json.dumps({"feature_extractor_type": "ASTFeatureExtractor", "sampling_rate": 16_000})
    )


def small_mert(folder: Path) -> None:
    """As MERT's authors publish it: pickled, with the old names of weight normalisation."""
    import torch
    from transformers import HubertConfig, HubertModel

    config = HubertConfig(
        hidden_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=96,
        conv_dim=(32,) * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4,
    )
    names = {
        "parametrizations.weight.original0": "weight_g",
        "parametrizations.weight.original1": "weight_v",
    }
    weights = {}
    for name, tensor in HubertModel(config).state_dict().items():
        for new, old in names.items():
            name = name.replace(new, old)  # noqa: PLW2901 - one of two endings
        weights[name] = tensor
    folder.mkdir()
    torch.save(weights, folder / "pytorch_model.bin")
    said = {**config.to_dict(), "model_type": "mert_model", "architectures": ["MERTModel"]}
    (folder / "config.json").write_text(
        json.dumps({**said, "auto_map": {"AutoModel": "modeling_MERT.MERTModel"}})
    )
    (folder / "preprocessor_config.json").write_text(
        json.dumps({"sampling_rate": 24_000, "do_normalize": True})
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # transformers' own, while it writes the checkpoints
@pytest.mark.parametrize(("name", "write"), [(AST, small_ast), (MERT, small_mert)])
def test_installed_once_it_runs_without_the_hub(
    name: str, write: object, tmp_path: Path, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from songid_desktop.neural.embedder import Embedder

    torch.set_num_threads(1)
    write(tmp_path / "made")  # type: ignore[operator]
    known = official.find(name)
    assert known is not None
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    with HubServer() as server:
        server.add(name, tmp_path / "made", "mit")
        monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
        lock = install.install(known, paths, holder="a test", patience=QUICK)
    assert lock.licence == "mit"
    place = models.find(known.key, paths)
    assert place is not None
    assert place.is_installed
    front_end = place.model().front_end
    sound = np.random.default_rng(1).standard_normal(front_end.n_samples).astype(np.float32)
    vectors = Embedder(place.path, threads=1).of_samples(0.1 * sound)
    assert vectors.shape == (1, 48)
    assert np.isfinite(vectors).all()
