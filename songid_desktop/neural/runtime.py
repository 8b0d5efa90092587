"""A trained encoder made ready for this processor: the same numbers, fewer steps.

Batch normalisation is folded into the convolution before it, weight normalisation into its weights,
and where the processor multiplies bfloat16 itself the encoder runs in that; heads stay float32.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils import parametrize
from torch.nn.utils.fusion import fuse_conv_bn_eval


def has_fast_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 in hardware (AVX-512 BF16 or AMX on x86).
    Elsewhere it is emulated, and slower than float32."""
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(bool(getattr(torch.cpu, name, bool)()) for name in checks)


def prepare(module: nn.Module, *, bfloat16: bool) -> nn.Module:
    """Change an encoder in evaluation mode, in place, for fast use; it can't be trained any more.

    Parameters
    ----------
    module : nn.Module
        As `build` makes it, on the processor.
    bfloat16 : bool
        Run the encoder, not its head, in that.
    """
    _fold(module)
    for part in ("stages", "blocks", "backbone"):
        encoder = getattr(module, part, None)
        if isinstance(encoder, nn.Module):
            _lay_out(encoder)
            if bfloat16:
                encoder.to(torch.bfloat16)
    return module


def _fold(module: nn.Module) -> None:
    """Fold what follows a convolution, or reshapes its weights, into the weights."""
    if parametrize.is_parametrized(module):
        for name in list(module.parametrizations):  # type: ignore[arg-type]
            parametrize.remove_parametrizations(module, name)
    before: tuple[str, nn.Module] | None = None
    for name, child in list(module.named_children()):
        if isinstance(child, nn.BatchNorm2d) and before and isinstance(before[1], nn.Conv2d):
            setattr(module, before[0], fuse_conv_bn_eval(before[1], child))
            setattr(module, name, nn.Identity())
        else:
            _fold(child)
        before = (name, child)


def _lay_out(encoder: nn.Module) -> None:
    """Weights of convolutions over pictures in the order that their input has."""
    for part in encoder.modules():
        if isinstance(part, nn.Conv2d):
            part.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
