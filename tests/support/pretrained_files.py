"""Pretrained checkpoints of the official layout made small, written by transformers' own classes:
every tensor is there, under the names that the published files have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn
from transformers import ASTConfig, ASTForAudioClassification, HubertConfig, HubertModel

_NEWER = (
    (".parametrizations.weight.original0", ".weight_g"),
    (".parametrizations.weight.original1", ".weight_v"),
    ("transformer.layers.", "transformer.encoder.layer."),
    (".attention.o_proj.", ".attention.output.dense."),
    (".mlp.fc1.", ".intermediate.dense."),
    (".mlp.fc2.", ".output.dense."),
    (".attention.q_proj.", ".attention.attention.query."),
    (".attention.k_proj.", ".attention.attention.key."),
    (".attention.v_proj.", ".attention.attention.value."),
)


def small_ast(folder: Path, **config: Any) -> ASTForAudioClassification:
    """A folder as MIT's AST has it, and the model that is in it."""
    torch.manual_seed(3)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    made = ASTForAudioClassification(ASTConfig(**sizes, intermediate_size=64, **config)).eval()
    for parameter in made.parameters():
        nn.init.normal_(parameter, std=0.2)
    _write(folder, made, {"model_type": "audio-spectrogram-transformer", **made.config.to_dict()})
    prepared = {"mean": -4.2677393, "std": 4.5689974, "sampling_rate": 16_000}
    (folder / "preprocessor_config.json").write_text(json.dumps(prepared))
    return made


def small_mert(folder: Path, **config: Any) -> HubertModel:
    """A folder as MERT's authors have it: HuBERT under another name, old names of weight
    normalisation, and tensors of the pretraining besides."""
    torch.manual_seed(4)
    sizes = {
        "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 64, "conv_dim": (8,) * 7, "num_conv_pos_embeddings": 16,
        "num_conv_pos_embedding_groups": 4,
    }  # fmt: skip
    made = HubertModel(HubertConfig(**sizes)).eval()
    told = made.config.to_dict() | {
        "model_type": "mert_model",
        "auto_map": {"AutoModel": "modeling_MERT.MERTModel"},
        "feature_extractor_cqt": False,
        "attention_relax": -1.0,
        "deepnorm": False,
    }
    _write(folder, made, told | config, {"final_proj.weight": torch.zeros(3, 3)})
    prepared = {"do_normalize": True, "sampling_rate": 24_000}
    (folder / "preprocessor_config.json").write_text(json.dumps(prepared))
    return made


def _write(
    folder: Path, made: nn.Module, config: dict[str, Any], besides: dict[str, Any] | None = None
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {}
    for name, tensor in made.state_dict().items():
        published = name
        is_hubert = isinstance(made, HubertModel)
        for newer, older in _NEWER[:2] if is_hubert else _NEWER:
            published = published.replace(newer, older)
        tensors[published] = tensor.contiguous()
    save_file(tensors | (besides or {}), folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config))
