"""Opens any model: one of our weights files, or the folder of a pretrained checkpoint.

A checkpoint's tensors go into transformers' own classes under whatever names it was saved with:
with or without the prefix of a task head, AST's names before and after transformers 5, weight
normalisation before and after torch 2.
"""

from __future__ import annotations

import re
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as read_tensors
from torch import Tensor, nn

from songid_desktop.neural import layout
from songid_desktop.neural.config import Model, ModelError
from songid_desktop.neural.geometry import describe
from songid_desktop.neural.weights import empty_module, fill, load

_BACKBONE = "backbone."
_PREFIXES = ("audio_spectrogram_transformer.", "hubert.", "model.", "backbone.")
_RENAMED = (
    (re.compile(r"^encoder\.layer\.(\d+)\."), r"layers.\1."),
    (re.compile(r"\.attention\.attention\.query\."), ".attention.q_proj."),
    (re.compile(r"\.attention\.attention\.key\."), ".attention.k_proj."),
    (re.compile(r"\.attention\.attention\.value\."), ".attention.v_proj."),
    (re.compile(r"\.attention\.output\.dense\."), ".attention.o_proj."),
    (re.compile(r"^(layers\.\d+)\.intermediate\.dense\."), r"\1.mlp.fc1."),
    (re.compile(r"^(layers\.\d+)\.output\.dense\."), r"\1.mlp.fc2."),
    (re.compile(r"\.weight_g$"), ".parametrizations.weight.original0"),
    (re.compile(r"\.weight_v$"), ".parametrizations.weight.original1"),
)
_POSITIONS = "backbone.embeddings.position_embeddings"
_SPECIAL_TOKENS = 2


def open_model(path: Path) -> tuple[nn.Module, Model]:
    """The module of a weights file or of a checkpoint's folder, in evaluation mode.

    Raises
    ------
    ModelError
        It can't be used; the message says why.
    """
    if path.is_dir():
        return open_checkpoint(path)
    loaded = load(path)
    return loaded.module, loaded.model


def open_checkpoint(folder: Path) -> tuple[nn.Module, Model]:
    """A pretrained checkpoint as a backbone with pooled features.

    Raises
    ------
    ModelError
        The folder holds no checkpoint that we run, or its files are damaged.
    """
    model = describe(folder)
    layout.check(folder, model.name)
    where = str(folder / layout.WEIGHTS)
    module = empty_module(model, where, is_large=True)
    fill(module, backbone_tensors(folder, model, module), where)
    return module, model


def backbone_tensors(folder: Path, model: Model, module: nn.Module) -> dict[str, Tensor]:
    """A checkpoint's tensors under the names that our encoder has for them; what belongs to heads
    and pretraining alone is left out.

    Raises
    ------
    ModelError
        The file can't be read.
    """
    path = folder / layout.WEIGHTS
    try:
        found = read_tensors(path.read_bytes())
    except (OSError, SafetensorError, ValueError) as error:
        raise ModelError(f"{path} can't be read. Install the model again.") from error
    wanted = module.state_dict()
    taken: dict[str, Tensor] = {}
    for name, tensor in found.items():
        key = _BACKBONE + _renamed(name)
        if key in wanted:
            taken[key] = tensor
    if model.architecture == "ast" and _POSITIONS in taken:
        taken[_POSITIONS] = _cut_positions(taken[_POSITIONS], wanted[_POSITIONS].shape[1], model)
    return taken


def _renamed(name: str) -> str:
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    for old, new in _RENAMED:
        name = old.sub(new, name)
    return name


def _cut_positions(positions: Tensor, n_wanted: int, model: Model) -> Tensor:
    """The middle of the grid of positions, for windows shorter than those of the pretraining, as
    AST's authors cut it; (1, 2 + rows * columns, hidden), rows (bands) outer."""
    body, n_mels = model.body, model.front_end.n_mels
    rows = (n_mels - getattr(body, "patch", 1)) // getattr(body, "frequency_stride", 1) + 1
    n_given = positions.shape[1] - _SPECIAL_TOKENS
    n_kept = n_wanted - _SPECIAL_TOKENS
    if n_given <= n_kept or n_given % rows or n_kept % rows:
        return positions
    grid = positions[:, _SPECIAL_TOKENS:].reshape(1, rows, n_given // rows, -1)
    first = (grid.shape[2] - n_kept // rows) // 2
    middle = grid[:, :, first : first + n_kept // rows].reshape(1, n_kept, -1)
    return torch.cat((positions[:, :_SPECIAL_TOKENS], middle), dim=1)
