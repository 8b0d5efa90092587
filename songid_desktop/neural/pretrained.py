"""Opens any model: one of our weights files, or the folder of a pretrained checkpoint.

A checkpoint's tensors go into transformers' own classes under whatever names it was saved with
(`naming`). What belongs to a task's head or to pretraining alone is left out.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as read_tensors
from torch import Tensor, nn

from songid_desktop.neural import layout, lockfile
from songid_desktop.neural.config import Model, ModelError
from songid_desktop.neural.geometry import describe
from songid_desktop.neural.naming import canonical, of_backbone
from songid_desktop.neural.weights import empty_module, fill, load

_BACKBONE = "backbone."
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
    module = empty_module(model, is_large=True)
    fill(module, backbone_tensors(folder, model, module), where)
    return module, model


def backbone_tensors(folder: Path, model: Model, module: nn.Module) -> dict[str, Tensor]:
    """A checkpoint's tensors under the names that our encoder has for them; what belongs to heads
    and pretraining alone is left out.

    Raises
    ------
    ModelError
        The file can't be read, or is not the one that was installed.
    """
    path = folder / layout.WEIGHTS
    try:
        content = path.read_bytes()
        _check_lock(folder, content)
        found = read_tensors(content)
    except (OSError, SafetensorError, ValueError) as error:
        raise ModelError(f"{path} can't be read. Install the model again.") from error
    names = {canonical(key): key for key in module.state_dict()}
    taken: dict[str, Tensor] = {}
    for name, tensor in found.items():
        key = names.get(_BACKBONE + of_backbone(name))
        if key is not None:
            taken[key] = tensor
    if model.architecture == "ast" and _POSITIONS in taken:
        n_wanted = module.get_parameter(_POSITIONS).shape[1]
        taken[_POSITIONS] = _cut_positions(taken[_POSITIONS], n_wanted, model)
    return taken


def _check_lock(folder: Path, content: bytes) -> None:
    """Compare with what was checked at the installation; a folder of one's own has no lock."""
    if not (folder / lockfile.LOCK_NAME).exists():
        return
    try:
        locked = lockfile.read(folder).file(layout.WEIGHTS)
    except lockfile.LockDamaged as error:
        raise ModelError(str(error)) from error
    if locked is not None and hashlib.sha256(content).hexdigest() != locked.sha256:
        raise ModelError(
            f"{folder / layout.WEIGHTS} is not the file that was installed (its SHA-256 differs):"
            f" it is damaged or was exchanged. Remove the model and install it again."
        )


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
