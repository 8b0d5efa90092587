"""A trained model as two files: weights (safetensors, the model's description in their metadata)
and the card with their checksum.

Matrices are stored in half precision, vectors (biases, normalisation) in full; what runs is float32
again. Nothing is ever unpickled: a weights file can hold numbers and nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load as read_tensors
from safetensors.torch import save as tensor_bytes
from torch import Tensor, nn

from songid_desktop.neural.build import build
from songid_desktop.neural.card import Card, read_card, write_card, write_whole
from songid_desktop.neural.config import Model, ModelError
from songid_desktop.neural.header import MODEL_KEY, metadata_of
from songid_desktop.neural.naming import canonical

Stored = Literal["float16", "bfloat16", "float32"]

_LARGE_BYTES = 40_000_000
_COUNTER = "num_batches_tracked"
"""How many batches a normalisation saw in training: of no use afterwards."""


class Loaded(NamedTuple):
    """A model ready to run: `module` is in evaluation mode, float32."""

    module: nn.Module
    model: Model
    card: Card


def save(
    path: Path,
    module: nn.Module,
    model: Model,
    details: Mapping[str, Any],
    stored: Stored = "float16",
) -> Card:
    """Write weights and card.

    Parameters
    ----------
    path : Path
        Of the weights, ending .safetensors; the card goes beside it.
    details : mapping
        What the card shall say; see `Card`.
    stored : "float16", "bfloat16" or "float32"
        Of matrices. Where a value does not fit float16, bfloat16 is taken.

    Raises
    ------
    ModelError
        The weights hold numbers that are not finite: the training diverged.
    """
    kept = {
        name: tensor.detach().cpu().contiguous()
        for name, tensor in module.state_dict().items()
        if not name.endswith(_COUNTER)
    }
    if not all(torch.isfinite(tensor).all() for tensor in kept.values()):
        raise ModelError(
            "The model's weights are not finite numbers, so they were not saved: the training"
            " diverged. Go on from an earlier checkpoint with a lower learning rate."
        )
    kind = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}[stored]
    if kind is torch.float16 and any(_is_beyond_half(tensor) for tensor in kept.values()):
        kind = torch.bfloat16
    small = {n: t.to(kind) if t.is_floating_point() and t.ndim > 1 else t for n, t in kept.items()}
    content = tensor_bytes(small, metadata={MODEL_KEY: model.to_json()})
    card = Card(model, hashlib.sha256(content).hexdigest(), len(content), dict(details))
    write_whole(path, content)
    write_card(path, card)
    return card


def _is_beyond_half(tensor: Tensor) -> bool:
    return tensor.ndim > 1 and bool(tensor.abs().max() > torch.finfo(torch.float16).max)


def load(path: Path, name: str = "") -> Loaded:
    """Read a trained model, after checking every byte of it.

    Parameters
    ----------
    path : Path
        Of the weights file; its card lies beside it.
    name : str
        The identifier it is wanted for; empty for any.

    Raises
    ------
    ModelError
        It is missing, truncated, damaged, does not match its card, or is of another architecture.
    """
    card = read_card(path)
    if name and card.model.name != name:
        raise ModelError(
            f"{path} is a model for the identifier “{card.model.name}”, not for “{name}”."
        )
    content = _checked_bytes(path, card)
    try:
        described = Model.from_json(metadata_of(content).get(MODEL_KEY, ""))
        tensors = read_tensors(content)
    except (SafetensorError, ValueError) as error:
        raise ModelError(f"{path} is no weights file that can be read. {_AGAIN}") from error
    if described != card.model:
        raise ModelError(f"{path} holds another model than its card describes. {_AGAIN}")
    module = empty_module(card.model, is_large=card.size_bytes > _LARGE_BYTES)
    fill(module, tensors, str(path))
    return Loaded(module, card.model, card)


_AGAIN = "Install or train it again; other identifiers work as before."


def _checked_bytes(path: Path, card: Card) -> bytes:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ModelError(
            f"The model's weights are missing: {path} is not there. {_AGAIN}"
        ) from None
    except OSError as error:
        raise ModelError(f"{path} can't be read: {error.strerror}. {_AGAIN}") from error
    if len(content) < card.size_bytes:
        raise ModelError(
            f"{path} is cut short: {len(content):,} of {card.size_bytes:,} bytes. {_AGAIN}"
        )
    if hashlib.sha256(content).hexdigest() != card.sha256:
        raise ModelError(
            f"{path} is not the file that its card describes (its SHA-256 differs): it is damaged"
            f" or was exchanged. {_AGAIN}"
        )
    return content


def empty_module(model: Model, *, is_large: bool = False) -> nn.Module:
    """The encoder of a model before `fill` gives it its weights.

    A large one gets no random ones first, which would take seconds; for a small one what torch
    imports for that takes longer.
    """
    with torch.device("meta" if is_large else "cpu"):
        return build(model)


def fill(module: nn.Module, tensors: dict[str, Tensor], where: str) -> None:
    """Give an empty module its weights as float32, and set it to evaluation mode.

    Raises
    ------
    ModelError
        Another architecture's names or shapes.
    """
    wanted = module.state_dict()
    given = {canonical(name): tensor for name, tensor in tensors.items()}
    found: dict[str, Tensor] = {}
    for key, tensor in wanted.items():
        weight = given.pop(canonical(key), None)
        if weight is None and key.endswith(_COUNTER):
            weight = torch.zeros((), dtype=torch.long)
        if weight is None:
            raise ModelError(
                f"{where} is of another architecture: it has no weights for “{key}”. {_AGAIN}"
            )
        if weight.shape != tensor.shape:
            raise ModelError(
                f"{where} is of another architecture: “{key}” is {tuple(weight.shape)},"
                f" not {tuple(tensor.shape)}. {_AGAIN}"
            )
        found[key] = weight
    if given:
        raise ModelError(
            f"{where} is of another architecture: nothing here takes “{min(given)}”. {_AGAIN}"
        )
    whole = {key: t.float() if t.is_floating_point() else t for key, t in found.items()}
    if not all(torch.isfinite(t).all() for t in whole.values()):
        raise ModelError(f"{where} holds weights that are not finite numbers. {_AGAIN}")
    module.load_state_dict(whole, assign=True)
    module.eval().requires_grad_(requires_grad=False)
