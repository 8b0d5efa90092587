"""One name for each tensor, whatever version of transformers or torch wrote it.

AST's layers were renamed in transformers 5, which still reads and writes checkpoints under the old
names; weight normalisation was renamed in torch 2. Both spellings come to the newer one here, so
that weights trained with one version run with another.
"""

from __future__ import annotations

import re

_RENAMED = (
    (re.compile(r"(^|\.)encoder\.layer\.(\d+)\."), r"\1layers.\2."),
    (re.compile(r"\.attention\.attention\.query\."), ".attention.q_proj."),
    (re.compile(r"\.attention\.attention\.key\."), ".attention.k_proj."),
    (re.compile(r"\.attention\.attention\.value\."), ".attention.v_proj."),
    (re.compile(r"\.attention\.output\.dense\."), ".attention.o_proj."),
    (re.compile(r"(layers\.\d+)\.intermediate\.dense\."), r"\1.mlp.fc1."),
    (re.compile(r"(layers\.\d+)\.output\.dense\."), r"\1.mlp.fc2."),
    (re.compile(r"\.weight_g$"), ".parametrizations.weight.original0"),
    (re.compile(r"\.weight_v$"), ".parametrizations.weight.original1"),
)
_PREFIXES = ("audio_spectrogram_transformer.", "hubert.", "model.", "backbone.")


def canonical(name: str) -> str:
    """The newer spelling of a tensor's name."""
    for old, new in _RENAMED:
        name = old.sub(new, name)
    return name


def of_backbone(name: str) -> str:
    """A checkpoint's name for a tensor of the backbone, without what stands before it where the
    checkpoint has a task head."""
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    return canonical(name)
