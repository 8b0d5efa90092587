"""Audio Spectrogram Transformer (report, 3.2; Gong et al. 2021): patches of a log-mel picture
through a transformer.

The backbone is transformers' own `ASTModel`, so that official checkpoints load into it as they are;
ours is the same class with small numbers.
"""

from __future__ import annotations

from torch import Tensor, nn
from transformers import ASTConfig, ASTModel

from songid_desktop.neural.config import Model, TransformerBody
from songid_desktop.neural.heads import TokenHead, normalised

_SPECIAL_TOKENS = 2
"""The class and the distillation token stand before the patches."""


def ast_config(model: Model) -> ASTConfig:
    """Sizes as transformers names them."""
    body = model.body
    if not isinstance(body, TransformerBody):
        raise TypeError(f"{model.body} are not the sizes of a transformer")
    return ASTConfig(
        hidden_size=body.hidden,
        num_hidden_layers=body.layers,
        num_attention_heads=body.attention_heads,
        intermediate_size=body.intermediate,
        layer_norm_eps=body.layer_norm_eps,
        patch_size=body.patch,
        frequency_stride=body.frequency_stride,
        time_stride=body.time_stride,
        max_length=model.front_end.n_frames,
        num_mel_bins=model.front_end.n_mels,
    )


class AstEncoder(nn.Module):
    """Patch embedding, transformer, head."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        config = ast_config(model)
        rows = (config.num_mel_bins - config.patch_size) // config.frequency_stride + 1
        columns = (config.max_length - config.patch_size) // config.time_stride + 1
        self.backbone = ASTModel(config)
        # The class token starts at zero by transformers' rule; positions must not, or training
        # from nothing begins without any.
        nn.init.trunc_normal_(self.backbone.embeddings.position_embeddings, std=0.02)
        self.head = TokenHead(model, rows * columns, config.hidden_size)

    def tokens(self, x: Tensor) -> Tensor:
        """(n, n_mels, n_frames) → (n, patches, hidden), bands outer, time inner."""
        x = x.transpose(1, 2).to(self.backbone.dtype)
        hidden: Tensor = self.backbone(x).last_hidden_state
        return hidden[:, _SPECIAL_TOKENS:]

    def forward(self, x: Tensor) -> Tensor:
        """(n, n_mels, n_frames) → (n, dim), each of length 1."""
        return normalised(self.head(self.tokens(x)))

    def classify(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(n, n_mels, n_frames) → vectors (n, dim) of length 1 and logits (n, n_classes)."""
        return self.head.classify(self.tokens(x))
