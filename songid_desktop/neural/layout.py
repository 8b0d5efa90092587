"""What a checkpoint must look like before it is taken: one of the architectures that we run, whole.

Read without torch: the configuration is JSON, and a safetensors file begins with a JSON list of its
tensors. Nothing of a checkpoint is ever executed; code that a repository brings along is not even
fetched.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from songid_desktop.neural.config import ModelError

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
PICKLED_WEIGHTS = "pytorch_model.bin"
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


def check(folder: Path, kind: str = "") -> Architecture:
    """See that `folder` holds a whole checkpoint, of the encoder `kind` where one is named.

    Raises
    ------
    NotThisModel
    """
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
    return found


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
