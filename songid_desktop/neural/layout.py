"""What a model must look like before it is taken: a checkpoint of one of the architectures that we
run, or weights that `songid train` made, with their card; whole.

Read without torch: the configuration is JSON, and a safetensors file begins with a JSON list of its
tensors. Nothing of a checkpoint is ever executed; code that a repository brings along is not even
fetched.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from songid_desktop.neural.card import card_path, read_card
from songid_desktop.neural.config import Model, ModelError
from songid_desktop.neural.header import MODEL_KEY, metadata_of

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
PICKLED_WEIGHTS = "pytorch_model.bin"
CARD = card_path(Path(WEIGHTS)).name
"""Beside weights of our own training, in place of a configuration."""
TRAINED = "best.safetensors"
"""What a training calls its weights, once they were checked …"""
IN_TRAINING = "checkpoint.safetensors"
"""… and what it goes on from."""
OPTIONAL = ("preprocessor_config.json", "README.md")
CONFIG_BYTES = 5_000_000
"""None of the small files is anywhere near this long."""
_HEADER_BYTES = 100_000_000
_DTYPE_BYTES = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1,
    "BOOL": 1, "U16": 2, "U32": 4, "U64": 8,
}  # fmt: skip


class NotThisModel(ModelError):
    """A checkpoint is of another architecture, or not whole; the message says which."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """How to tell the checkpoints of one encoder."""

    kind: str
    """The identifier that runs it: ast or mert."""
    label: str
    model_types: tuple[str, ...]
    layer: re.Pattern[str]
    """Name of a tensor of transformer layer N."""
    landmark: str
    """End of the name of a tensor that every checkpoint of it has."""


ARCHITECTURES = (
    Architecture(
        "ast",
        "AST",
        ("audio-spectrogram-transformer",),
        re.compile(r"(?:^|\.)(?:layer|layers)\.(\d+)\."),
        "embeddings.cls_token",
    ),
    Architecture(
        "mert",
        "MERT (HuBERT)",
        # MERT's authors call it by names of their own; transformers' HuBERT reads all of them.
        ("mert_model", "music_hubert", "hubert"),
        re.compile(r"(?:^|\.)encoder\.layers\.(\d+)\."),
        "feature_extractor.conv_layers.0.conv.weight",
    ),
)


def read_config(folder: Path) -> dict[str, Any]:
    """A checkpoint's configuration.

    Raises
    ------
    NotThisModel
        It is missing or no JSON object.
    """
    path = folder / CONFIG
    try:
        with path.open("rb") as source:
            config = json.loads(source.read(CONFIG_BYTES))
    except FileNotFoundError:
        raise NotThisModel(
            f"{folder} holds no {CONFIG}, so it is no checkpoint. Choose the folder that has"
            f" {CONFIG} and {WEIGHTS} in it."
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise NotThisModel(f"{path} can't be read as a model's configuration.") from error
    if not isinstance(config, dict):
        raise NotThisModel(f"{path} is no model's configuration.")
    return config


def architecture(config: dict[str, Any], where: Path) -> Architecture:
    """Which of our encoders a configuration is of.

    Raises
    ------
    NotThisModel
        None of them.
    """
    said = config.get("model_type")
    for each in ARCHITECTURES:
        if said in each.model_types:
            return each
    named = f"of the kind “{str(said)[:60]}”" if said else "of no kind that its configuration names"
    ours = " and ".join(each.label for each in ARCHITECTURES)
    raise NotThisModel(
        f"The model in {where} is {named}; {ours} can be used here. Nothing was installed."
    )


def check_config(folder: Path, kind: str = "") -> Architecture:
    """See that a folder's configuration is of an encoder of ours, of `kind` where one is named.

    Raises
    ------
    NotThisModel
    """
    found = architecture(read_config(folder), folder)
    if kind and found.kind != kind:
        wanted = next(each.label for each in ARCHITECTURES if each.kind == kind)
        raise NotThisModel(
            f"The model in {folder} is {found.label}, not {wanted}. Nothing was installed."
        )
    return found


def is_trained(folder: Path) -> bool:
    """Whether `folder` is of an installed model that `songid train` made."""
    return (folder / CARD).is_file() and not (folder / CONFIG).exists()


def trained_kind(weights: Path) -> str:
    """The identifier that runs weights of our own training: cnn, ast or mert.

    Raises
    ------
    NotThisModel
        Their card is missing, or of another version.
    """
    try:
        return read_card(weights).model.name
    except ModelError as error:
        raise NotThisModel(str(error)) from error


def kind_of(folder: Path) -> str:
    """The identifier that runs an installed model.

    Raises
    ------
    NotThisModel
    """
    return trained_kind(folder / WEIGHTS) if is_trained(folder) else check_config(folder).kind


def check(folder: Path, kind: str = "") -> None:
    """See that `folder` holds a whole model, of the encoder `kind` where one is named.

    Raises
    ------
    NotThisModel
    """
    if is_trained(folder):
        _check_trained(folder / WEIGHTS)
    else:
        _check_checkpoint(folder, kind)


def _check_trained(weights: Path) -> None:
    trained_kind(weights)
    tensor_shapes(weights)
    card = read_card(weights)
    with weights.open("rb") as source:
        found = hashlib.file_digest(source, "sha256").hexdigest()
        source.seek(0)
        head = source.read(8)
        head += source.read(int.from_bytes(head, "little"))
    try:
        is_theirs = Model.from_json(metadata_of(head).get(MODEL_KEY, "")) == card.model
    except (ModelError, ValueError, OverflowError):
        is_theirs = False
    if found != card.sha256 or not is_theirs:
        raise NotThisModel(
            f"{weights.name} is not the file that its card describes: one of the two was exchanged"
            " or damaged. Nothing was installed; take both from the training's folder again."
        )


def _check_checkpoint(folder: Path, kind: str) -> None:
    found, config = check_config(folder, kind), read_config(folder)
    shapes = tensor_shapes(folder / WEIGHTS)
    layers = {int(hit[1]) for name in shapes if (hit := found.layer.search(name))}
    wanted_layers = config.get("num_hidden_layers", 12)
    has_landmark = any(name.endswith(found.landmark) for name in shapes)
    if not has_landmark or layers != set(range(_whole(wanted_layers))):
        raise NotThisModel(
            f"The weights in {folder} do not fit their configuration: it describes {found.label}"
            f" with {wanted_layers} layers, they have {len(layers)}. Nothing was installed."
        )


def _whole(value: object) -> int:
    return value if isinstance(value, int) and 0 < value < 1000 else 0


def tensor_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a safetensors file's tensors, after seeing that it is whole.

    Raises
    ------
    NotThisModel
        It is missing, truncated, or no safetensors file.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as source:
            length = int.from_bytes(source.read(8), "little")
            if not 2 <= length <= min(_HEADER_BYTES, size - 8):
                raise _broken(path)
            header = json.loads(source.read(length))
    except FileNotFoundError:
        raise NotThisModel(f"{path.parent} holds no {path.name}.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise _broken(path) from error
    if not isinstance(header, dict):
        raise _broken(path)
    header.pop("__metadata__", None)
    shapes, spans = {}, []
    for name, entry in header.items():
        shape, span = _tensor(path, entry)
        shapes[name] = shape
        spans.append(span)
    end = 0
    for first, last in sorted(spans):
        if first != end:
            raise _broken(path)
        end = last
    if end != size - 8 - length:
        raise _broken(path)
    return shapes


def _tensor(path: Path, entry: Any) -> tuple[tuple[int, ...], tuple[int, int]]:
    try:
        shape = tuple(entry["shape"])
        first, last = entry["data_offsets"]
        is_sound = last - first == math.prod(shape) * _DTYPE_BYTES[entry["dtype"]] and first >= 0
    except (TypeError, KeyError, ValueError):
        raise _broken(path) from None
    if not is_sound:
        raise _broken(path)
    return shape, (first, last)


def _broken(path: Path) -> NotThisModel:
    return NotThisModel(
        f"{path} is damaged, cut short, or no safetensors file. Fetch it again where it came from."
    )
