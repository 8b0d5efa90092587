"""From a `Model` to the module that runs it."""

from __future__ import annotations

import importlib

from torch import nn

from songid_desktop.neural.config import Model, ModelError


def build(model: Model) -> nn.Module:
    """The encoder that a model describes, with fresh random weights.

    It maps a batch of windows as the front end gives them, (n, *front_end.input_shape) float32, to
    L2-normalised vectors (n, dim). With `n_classes` it also has ``classify(x)`` → (vectors,
    logits).

    Raises
    ------
    ModelError
        Its sizes do not go together.
    """
    module = "cnn" if model.architecture.startswith("cnn") else model.architecture
    rows = {
        "cnn_fingerprint": "CnnFingerprint",
        "cnn_baseline": "CnnBaseline",
        "cnn_enhanced": "CnnEnhanced",
        "ast": "AstEncoder",
        "mert": "MertEncoder",
    }
    # transformers takes seconds to import: only the encoder that is wanted is.
    found = importlib.import_module(f"songid_desktop.neural.{module}")
    try:
        encoder: nn.Module = getattr(found, rows[model.architecture])(model)
    except (ValueError, TypeError, RuntimeError, ZeroDivisionError, IndexError) as error:
        raise ModelError(f"The sizes of the model do not go together: {error}") from error
    return encoder
