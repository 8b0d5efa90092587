"""Convolutional encoders over log-mel pictures.

`CnnFingerprint` is the one that ships; `CnnBaseline` and `CnnEnhanced` are the report's (2.4).
All take (n, n_mels, n_frames) and give L2-normalised (n, dim).
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from songid_desktop.neural.config import CnnBody, Model
from songid_desktop.neural.heads import Classifier, DivideEncode, Projection, normalised


def as_picture(x: Tensor, encoder: nn.Module) -> Tensor:
    """Windows as a picture of one channel in the encoder's own number type, channels innermost in
    memory: (n, n_mels, n_frames) → (n, 1, n_mels, n_frames)."""
    x = x.to(next(encoder.parameters()).dtype)
    return x.unsqueeze(1).contiguous(memory_format=torch.channels_last)


class Stage(nn.Module):
    """One residual stage: a step down with more channels, then a residual convolution.

    (n, c_in, mels, frames) → (n, c_out, mels / stride, frames / stride)
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        stride: tuple[int, int],
        kernel: tuple[int, int] = (3, 3),
    ) -> None:
        super().__init__()
        half = (kernel[0] // 2, kernel[1] // 2)
        self.step = nn.Conv2d(c_in, c_out, kernel, stride, half, bias=False)
        self.step_norm = nn.BatchNorm2d(c_out)
        self.residual = nn.Conv2d(c_out, c_out, 3, padding=1, bias=False)
        self.residual_norm = nn.BatchNorm2d(c_out)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu_(self.step_norm(self.step(x)))
        return torch.relu_(self.residual_norm(self.residual(x)).add_(x))


class CnnFingerprint(nn.Module):
    """Residual stages, then a divide-and-encode head that keeps where in the window things are."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        body = model.body
        if not isinstance(body, CnnBody) or len(body.strides) != len(body.channels):
            raise ValueError(f"{model.body} gives no stride for each of its stages")
        stages: list[nn.Module] = []
        c_in = 1
        shape = list(model.front_end.input_shape)
        for i, (c_out, stride) in enumerate(zip(body.channels, body.strides, strict=True)):
            stages.append(Stage(c_in, c_out, stride, body.stem_kernel if i == 0 else (3, 3)))
            shape = [math.ceil(n / s) for n, s in zip(shape, stride, strict=True)]
            c_in = c_out
        self.stages = nn.Sequential(*stages)
        self.head = DivideEncode(c_in * shape[0] * shape[1], model.dim, model.group_hidden)

    def forward(self, x: Tensor) -> Tensor:
        """(n, n_mels, n_frames) → (n, dim), each of length 1."""
        features = self.stages(as_picture(x, self.stages)).flatten(1)
        # Small sums of many numbers: in float32 also where the convolutions run in bfloat16.
        with torch.autocast(x.device.type, enabled=False):
            return normalised(self.head(features.float()))


class ConvBlock(nn.Module):
    """The report's block, Conv-BN-ReLU-MaxPool: (n, c_in, h, w) → (n, c_out, h / 2, w / 2)."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(c_out)
        self.pool = nn.MaxPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        pooled: Tensor = self.pool(torch.relu_(self.norm(self.conv(x))))
        return pooled


class ReportCnn(nn.Module):
    """The report's encoder (2.4): blocks, adaptive average pooling, projection to the embedding
    and, in training, a classification head."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        body = model.body
        if not isinstance(body, CnnBody):
            raise TypeError(f"{model.body} are not the sizes of a convolutional encoder")
        channels = (1, *body.channels)
        self.blocks = nn.Sequential(*(ConvBlock(a, b) for a, b in pairwise(channels)))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.projection = Projection(channels[-1], model.dim)
        self.classifier = (
            Classifier(model.dim, model.n_classes, model.dropout, model.dropout_samples)
            if model.n_classes
            else None
        )

    def embed(self, x: Tensor) -> Tensor:
        """(n, n_mels, n_frames) → (n, dim), before normalisation."""
        pooled = self.pool(self.blocks(as_picture(x, self.blocks))).flatten(1)
        projected: Tensor = self.projection(pooled.float())
        return projected

    def forward(self, x: Tensor) -> Tensor:
        """(n, n_mels, n_frames) → (n, dim), each of length 1."""
        return normalised(self.embed(x))

    def classify(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(n, n_mels, n_frames) → vectors (n, dim) of length 1 and class logits (n, n_classes)."""
        if self.classifier is None:
            raise ValueError("this model was made without a classification head")
        embedding = self.embed(x)
        return normalised(embedding), self.classifier(embedding)


class CnnBaseline(ReportCnn):
    """The report's proof of concept: three blocks, 32 → 64 → 128 channels, 128-D."""


class CnnEnhanced(ReportCnn):
    """The report's deeper encoder: four blocks, 64 → 128 → 256 → 512 channels, 256-D."""
