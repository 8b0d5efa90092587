"""Music Understanding Transformer (report, 3.3; Li et al. 2023): a HuBERT encoder for music.

The backbone is transformers' native `HubertModel`: MERT-v1-95M loads into it without remote code,
at 24 kHz waveform. Our small one feeds the same encoder with tokens made of mel frames, because at
this size a waveform front end is far weaker in rooms.
"""

from __future__ import annotations

from itertools import pairwise
from math import ceil

from torch import Tensor, nn
from transformers import HubertConfig, HubertModel

from songid_desktop.neural.cnn import as_picture
from songid_desktop.neural.config import Model, TransformerBody
from songid_desktop.neural.heads import TokenHead, normalised


def hubert_config(model: Model) -> HubertConfig:
    """Sizes as transformers names them. No dropout and no masking inside: training degrades the
    sound itself."""
    body = _body(model)
    if body.conv_channels:
        conv_dim, kernels, strides = body.conv_channels, body.conv_kernels, body.conv_strides
    else:
        # One convolution that is thrown away: `MelTokens` takes its place.
        rows, _ = picture_tokens(model)
        conv_dim, kernels, strides = (rows * body.picture_channels[-1],), (1,), (1,)
    return HubertConfig(
        hidden_size=body.hidden,
        num_hidden_layers=body.layers,
        num_attention_heads=body.attention_heads,
        intermediate_size=body.intermediate,
        layer_norm_eps=body.layer_norm_eps,
        num_conv_pos_embeddings=body.position_kernel,
        num_conv_pos_embedding_groups=body.position_groups,
        do_stable_layer_norm=body.stable_layer_norm,
        conv_dim=conv_dim,
        conv_kernel=kernels,
        conv_stride=strides,
        conv_bias=body.conv_bias,
        feat_extract_norm=body.conv_norm,
        hidden_dropout=0.0,
        activation_dropout=0.0,
        attention_dropout=0.0,
        layerdrop=0.0,
        mask_time_prob=0.0,
    )


def picture_tokens(model: Model) -> tuple[int, int]:
    """(mel rows, tokens) that the convolutions over a mel picture leave."""
    rows, columns = model.front_end.n_mels, model.front_end.n_frames
    for mel_step, time_step in _body(model).picture_strides:
        rows, columns = ceil(rows / mel_step), ceil(columns / time_step)
    return rows, columns


def waveform_tokens(model: Model) -> int:
    """Tokens that the convolutions over a waveform leave."""
    length = model.front_end.n_samples
    body = _body(model)
    for kernel, stride in zip(body.conv_kernels, body.conv_strides, strict=True):
        length = (length - kernel) // stride + 1
    return length


class MelTokens(nn.Module):
    """Tokens from a mel picture by a few strided convolutions, in the place of HuBERT's waveform
    convolutions: (n, n_mels, n_frames) → (n, features, tokens)."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        body = _body(model)
        steps: list[nn.Module] = []
        channels = (1, *body.picture_channels)
        for (c_in, c_out), stride in zip(pairwise(channels), body.picture_strides, strict=True):
            kernel = (3 if stride[0] < 4 else 7, 3)
            half = (kernel[0] // 2, 1)
            steps += [nn.Conv2d(c_in, c_out, kernel, stride, half, bias=False)]
            steps += [nn.BatchNorm2d(c_out), nn.GELU()]
        self.steps = nn.Sequential(*steps)

    def forward(self, x: Tensor) -> Tensor:
        picture: Tensor = self.steps(as_picture(x, self.steps))  # (n, channels, rows, tokens)
        return picture.flatten(1, 2)


class MertEncoder(nn.Module):
    """Convolutional tokens, transformer, head."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        config = hubert_config(model)
        self.backbone = HubertModel(config)
        if _body(model).conv_channels:
            n_tokens = waveform_tokens(model)
        else:
            self.backbone.feature_extractor = MelTokens(model)
            n_tokens = picture_tokens(model)[1]
        self.head = TokenHead(model, n_tokens, config.hidden_size)

    def tokens(self, x: Tensor) -> Tensor:
        """(n, n_samples) or (n, n_mels, n_frames) → (n, tokens, hidden)."""
        hidden: Tensor = self.backbone(x.to(self.backbone.dtype)).last_hidden_state
        return hidden

    def forward(self, x: Tensor) -> Tensor:
        """(n, n_samples) or (n, n_mels, n_frames) → (n, dim), each of length 1."""
        return normalised(self.head(self.tokens(x)))

    def classify(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Windows → vectors (n, dim) of length 1 and logits (n, n_classes)."""
        return self.head.classify(self.tokens(x))


def _body(model: Model) -> TransformerBody:
    if not isinstance(model.body, TransformerBody):
        raise TypeError(f"{model.body} are not the sizes of a transformer")
    return model.body
