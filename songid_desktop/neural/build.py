"""From a `Model` to the module that runs it."""

from __future__ import annotations

import threading

from torch import nn

from songid_desktop.neural.config import Model, ModelError

_IMPORTING = threading.Lock()


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
    try:
        return _encoder(model)
    except (ValueError, TypeError, RuntimeError, ZeroDivisionError, IndexError) as error:
        raise ModelError(f"The sizes of the model do not go together: {error}") from error


def _encoder(model: Model) -> nn.Module:
    # transformers takes seconds to import: only the encoder that is wanted is. It hands out its
    # classes in a way that two threads can't share (an enrolment builds AST and MERT at once).
    if model.architecture == "ast":
        with _IMPORTING:
            from songid_desktop.neural.ast import AstEncoder

        return AstEncoder(model)
    if model.architecture == "mert":
        with _IMPORTING:
            from songid_desktop.neural.mert import MertEncoder

        return MertEncoder(model)
    from songid_desktop.neural.cnn import CnnBaseline, CnnEnhanced, CnnFingerprint

    if model.architecture == "cnn_fingerprint":
        return CnnFingerprint(model)
    is_deep = model.architecture == "cnn_enhanced"
    return CnnEnhanced(model) if is_deep else CnnBaseline(model)
