"""The JSON at the head of a safetensors file, read without torch."""

from __future__ import annotations

import json

MODEL_KEY = "model"
"""In the metadata of weights of our own training: the model's description."""


def metadata_of(content: bytes) -> dict[str, str]:
    """The free metadata of a safetensors file's bytes; empty where it has none.

    Raises
    ------
    ValueError
        The bytes do not begin as such a file does.
    """
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > len(content) - 8:
        raise ValueError("no safetensors header")
    header = json.loads(content[8 : 8 + length])
    given = header.get("__metadata__", {}) if isinstance(header, dict) else {}
    return given if isinstance(given, dict) else {}
