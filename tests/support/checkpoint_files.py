"""Checkpoints of the official layout made small: the same files and names of tensors, a few
hundred kilobytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

AST = "MIT/ast-finetuned-audioset-10-10-0.4593"
MERT = "m-a-p/MERT-v1-95M"
HIDDEN = 48
LAYERS = 2
_CARD = "---\nlicense: {licence}\ntags:\n- audio\n---\n# A small model\n"


def safetensors(tensors: dict[str, np.ndarray[Any, np.dtype[np.float32]]]) -> bytes:
    """The bytes of a safetensors file."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    data = b""
    for name, tensor in tensors.items():
        piece = tensor.astype("<f4").tobytes()
        offsets = [len(data), len(data) + len(piece)]
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": offsets}
        data += piece
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def ast_tensors(layers: int = LAYERS) -> dict[str, np.ndarray[Any, np.dtype[np.float32]]]:
    rng = np.random.default_rng(5)
    root = "audio_spectrogram_transformer"
    shapes: dict[str, tuple[int, ...]] = {
        f"{root}.embeddings.cls_token": (1, 1, HIDDEN),
        f"{root}.embeddings.patch_embeddings.projection.weight": (HIDDEN, 1, 16, 16),
    }
    for layer in range(layers):
        stem = f"{root}.encoder.layer.{layer}"
        shapes[f"{stem}.intermediate.dense.weight"] = (4 * HIDDEN, HIDDEN)
        shapes[f"{stem}.output.dense.weight"] = (HIDDEN, 4 * HIDDEN)
        shapes[f"{stem}.attention.attention.query.weight"] = (HIDDEN, HIDDEN)
    shapes["classifier.dense.weight"] = (527, HIDDEN)
    return {name: np.float32(rng.standard_normal(shape)) for name, shape in shapes.items()}


def ast_folder(folder: Path, licence: str = "bsd-3-clause", layers: int = LAYERS) -> Path:
    """A folder as the hub shows AST's: about 300 kB of safetensors."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "architectures": ["ASTForAudioClassification"],
        "model_type": "audio-spectrogram-transformer",
        "hidden_size": HIDDEN,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 2,
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    extractor = {"feature_extractor_type": "ASTFeatureExtractor", "mean": -4.2677393}
    (folder / "preprocessor_config.json").write_text(json.dumps(extractor))
    (folder / "README.md").write_text(_CARD.format(licence=licence))
    (folder / "model.safetensors").write_bytes(safetensors(ast_tensors(layers)))
    (folder / "pytorch_model.bin").write_bytes(b"the same once more, pickled: not to be fetched")
    (folder / "modeling_trap.py").write_text("raise SystemExit('remote code was run')\n")
    return folder


def mert_tensors() -> dict[str, np.ndarray[Any, np.dtype[np.float32]]]:
    rng = np.random.default_rng(6)
    shapes: dict[str, tuple[int, ...]] = {
        "masked_spec_embed": (HIDDEN,),
        "feature_extractor.conv_layers.0.conv.weight": (32, 1, 10),
        "encoder.pos_conv_embed.conv.weight_g": (1, 1, 16),
        "encoder.pos_conv_embed.conv.weight_v": (HIDDEN, 3, 16),
    }
    for layer in range(LAYERS):
        stem = f"encoder.layers.{layer}"
        shapes[f"{stem}.attention.q_proj.weight"] = (HIDDEN, HIDDEN)
        shapes[f"{stem}.feed_forward.output_dense.weight"] = (HIDDEN, 4 * HIDDEN)
        shapes[f"{stem}.feed_forward.intermediate_dense.weight"] = (4 * HIDDEN, HIDDEN)
    return {name: np.float32(rng.standard_normal(shape)) for name, shape in shapes.items()}


def mert_folder(folder: Path) -> Path:
    """A folder as the hub shows MERT's: pickled weights alone, and code that is never fetched."""
    import torch

    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "architectures": ["MERTModel"],
        "auto_map": {"AutoModel": "modeling_MERT.MERTModel"},
        "model_type": "mert_model",
        "hidden_size": HIDDEN,
        "num_hidden_layers": LAYERS,
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    (folder / "preprocessor_config.json").write_text('{"sampling_rate": 24000}')
    (folder / "README.md").write_text(_CARD.format(licence="cc-by-nc-4.0"))
    (folder / "modeling_MERT.py").write_text("raise SystemExit('remote code was run')\n")
    weights = {name: torch.from_numpy(tensor) for name, tensor in mert_tensors().items()}
    torch.save(weights, folder / "pytorch_model.bin")
    return folder
