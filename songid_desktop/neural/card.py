"""The model card beside a weights file: what the model is, what made it, and the checksum by which
the two belong together. JSON, read without torch, so that anybody may ask what a model is called.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from songid_desktop.neural.config import Model, ModelError, model_from_dict

FORMAT = "songid-model-1"
_CARD_BYTES = 4_000_000
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Card:
    """What is known of a weights file. `details` is what whoever trained it wrote: data with its
    licences, recipe, command, seed, time, figures."""

    model: Model
    sha256: str
    size_bytes: int
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Name of what the model enrols: equal exactly when vectors can be mixed."""
        return self.model.digest(self.sha256)


def card_path(weights: Path) -> Path:
    """Where the card of a weights file lies: beside it, with the ending .json."""
    return weights.with_suffix(".json")


def write_card(weights: Path, card: Card) -> None:
    """Put the card beside its weights, whole or not at all."""
    values = {
        **card.details,
        "format": FORMAT,
        "weights": {"sha256": card.sha256, "size_bytes": card.size_bytes},
        "model": asdict(card.model),
    }
    text = json.dumps(values, indent=2, ensure_ascii=False) + "\n"
    write_whole(card_path(weights), text.encode())


def read_card(weights: Path) -> Card:
    """The card of a weights file.

    Raises
    ------
    ModelError
        It is missing, can't be read, or is of another version.
    """
    path = card_path(weights)
    try:
        with path.open("rb") as source:
            values = json.loads(source.read(_CARD_BYTES), parse_constant=_refuse)
    except FileNotFoundError:
        raise ModelError(
            f"The model {weights.name} has no card: {path} is not there, so it can't be checked."
            f" Put both files back, or train the model again."
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"The model card {path} can't be read. {_PUT_BACK}") from error
    if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
        raise ModelError(
            f"{path} is no model card of this version (“{FORMAT}”). Train the model again, or use"
            f" the version of the program that made it."
        )
    given = values.pop("weights", None)
    sha256 = given.get("sha256") if isinstance(given, dict) else None
    size = given.get("size_bytes") if isinstance(given, dict) else None
    if not (isinstance(sha256, str) and _SHA256.fullmatch(sha256) and isinstance(size, int)):
        raise ModelError(f"The model card {path} names no checksum. {_PUT_BACK}")
    try:
        model = model_from_dict(values.pop("model", None))
    except (ValueError, OverflowError) as error:
        raise ModelError(f"The model card {path} describes no model. {_PUT_BACK}") from error
    return Card(model, sha256, size, values)


def _refuse(name: str) -> None:
    """NaN and infinities: JSON has none, and no model either."""
    raise ValueError(name)


_PUT_BACK = "Put back the file that belongs there; other identifiers work as before."


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that a crash leaves the old one or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("wb") as sink:
            sink.write(content)
            sink.flush()
            os.fsync(sink.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
