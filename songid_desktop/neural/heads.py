"""From an encoder's output to the vector that is stored, and the report's classification head.

`DivideEncode` keeps positions and serves fingerprint sequences; `MeanPooling` and
`AttentionPooling` with `Projection` are the report's heads (sections 2.4, 3.2 and 3.3).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from songid_desktop.neural.config import Model


class DivideEncode(nn.Module):
    """Cuts the encoder's output into `dim` groups and gives each a small network of its own that
    makes one number (Lai et al. 2015; Chang et al. 2021, section 3.2): (n, features) → (n, dim)."""

    def __init__(self, features: int, dim: int, hidden: int = 32) -> None:
        super().__init__()
        if features % dim:
            raise ValueError(f"{features} features can't be cut into {dim} equal groups")
        group = features // dim
        self.weight_in = nn.Parameter(torch.empty(dim, group, hidden))
        self.bias_in = nn.Parameter(torch.zeros(dim, 1, hidden))
        self.weight_out = nn.Parameter(torch.empty(dim, hidden, 1))
        self.bias_out = nn.Parameter(torch.zeros(dim, 1, 1))
        nn.init.normal_(self.weight_in, std=(2.0 / group) ** 0.5)
        nn.init.normal_(self.weight_out, std=hidden**-0.5)

    def forward(self, features: Tensor) -> Tensor:
        """(n, features) → (n, dim), not yet normalised."""
        dim, group, _ = self.weight_in.shape
        # One batched product per layer: a grouped convolution of this shape is far slower.
        divided = features.reshape(len(features), dim, group).transpose(0, 1)  # (dim, n, group)
        hidden = functional.elu(torch.baddbmm(self.bias_in, divided, self.weight_in))
        encoded = torch.baddbmm(self.bias_out, hidden, self.weight_out)  # (dim, n, 1)
        return encoded.squeeze(2).transpose(0, 1)


class MeanPooling(nn.Module):
    """The report's baseline pooling: the mean over tokens.

    (n, tokens, features) → (n, features)
    """

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens.mean(dim=1)


class AttentionPooling(nn.Module):
    """The report's enhanced pooling (3.2): tokens weighted by a learned importance,
    (n, tokens, features) → (n, features)."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.score = nn.Linear(features, 1)

    def forward(self, tokens: Tensor) -> Tensor:
        weights = self.score(tokens).softmax(dim=1)  # (n, tokens, 1)
        pooled: Tensor = (weights * tokens).sum(dim=1)
        return pooled


class Projection(nn.Module):
    """Pooled features to the embedding's size: (n, features) → (n, dim), not yet normalised."""

    def __init__(self, features: int, dim: int) -> None:
        super().__init__()
        self.linear = nn.Linear(features, dim)

    def forward(self, features: Tensor) -> Tensor:
        projected: Tensor = self.linear(features)
        return projected


class Classifier(nn.Module):
    """The report's classification head (2.4) with multi-sample dropout (3.2): embedding → logits
    over the training tracks, (n, dim) → (n, n_classes)."""

    def __init__(self, dim: int, n_classes: int, dropout: float = 0.0, samples: int = 1) -> None:
        super().__init__()
        self.linear = nn.Linear(dim, n_classes)
        self.dropout = dropout
        self.samples = samples

    def forward(self, embedding: Tensor) -> Tensor:
        if not self.training or self.dropout <= 0:
            logits: Tensor = self.linear(embedding)
            return logits
        masked = [
            self.linear(functional.dropout(embedding, self.dropout)) for _ in range(self.samples)
        ]
        return torch.stack(masked).mean(dim=0)


class TokenHead(nn.Module):
    """The head of a transformer: tokens to the embedding, as `Model.head` says.

    ``divide_encode`` cuts the tokens in their order, so that every group looks at one place of the
    window; the report's ``mean`` and ``attention`` forget places; ``none`` is the mean as it is.
    """

    def __init__(self, model: Model, n_tokens: int, features: int) -> None:
        super().__init__()
        self.pooling: nn.Module
        self.projection: nn.Module
        if model.head == "divide_encode":
            self.pooling = nn.Flatten(1)
            self.projection = DivideEncode(n_tokens * features, model.dim, model.group_hidden)
        else:
            is_weighted = model.head == "attention"
            self.pooling = AttentionPooling(features) if is_weighted else MeanPooling()
            has_none = model.head == "none"
            self.projection = nn.Identity() if has_none else Projection(features, model.dim)
        self.classifier = (
            Classifier(model.dim, model.n_classes, model.dropout, model.dropout_samples)
            if model.n_classes
            else None
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """(n, tokens, features) → (n, dim), before normalisation; in float32."""
        with torch.autocast(tokens.device.type, enabled=False):
            embedding: Tensor = self.projection(self.pooling(tokens.float()))
            return embedding

    def classify(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """(n, tokens, features) → vectors (n, dim) of length 1 and logits (n, n_classes)."""
        if self.classifier is None:
            raise ValueError("this model was made without a classification head")
        embedding = self(tokens)
        return normalised(embedding), self.classifier(embedding)


def normalised(embedding: Tensor) -> Tensor:
    """Length 1, in float32 whatever ran before: (n, dim) → (n, dim)."""
    return functional.normalize(embedding.float(), dim=1)
