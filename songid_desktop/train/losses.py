"""The losses (report, section 2.4): InfoNCE over a batch of pairs, classification, distillation."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from songid_desktop.train.config import Loss


class PairLoss(nn.Module):
    """``L_InfoNCE + alpha (L_CE1 + L_CE2)`` of two views of a batch.

    Every vector is compared with all others of both views: 2 n - 2 negatives. Windows of the
    anchor's own track are no negatives: music repeats itself.
    """

    def __init__(self, loss: Loss) -> None:
        super().__init__()
        self.settings = loss
        start = torch.tensor(math.log(1.0 / loss.temperature))
        self.log_scale = nn.Parameter(start, requires_grad=loss.learn_temperature)

    @property
    def temperature(self) -> float:
        return float(torch.exp(-self.log_scale.detach()))

    def contrast(self, anchors: Tensor, replicas: Tensor, labels: Tensor) -> Tensor:
        """InfoNCE; vectors (n, dim) of length 1, labels (n,)."""
        count = len(anchors)
        both = torch.cat((anchors, replicas))
        # No temperature under 0.01: the loss would see the nearest negative alone.
        logits = both @ both.T * self.log_scale.clamp(max=math.log(100.0)).exp()
        same = torch.cat((labels, labels))
        is_own = same[:, None] == same[None, :]
        target = torch.cat((torch.arange(count, 2 * count), torch.arange(count))).to(both.device)
        is_own[torch.arange(2 * count, device=both.device), target] = False
        return functional.cross_entropy(logits.masked_fill(is_own, -1e4), target)

    def classification(self, first: Tensor, second: Tensor, labels: Tensor) -> Tensor:
        """``L_CE1 + L_CE2``; logits (n, classes)."""
        smoothing = self.settings.label_smoothing
        return functional.cross_entropy(
            first, labels, label_smoothing=smoothing
        ) + functional.cross_entropy(second, labels, label_smoothing=smoothing)

    def lookup(self, vectors: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
        """How badly windows find themselves in a catalog of the teacher's vectors of the clean
        ones: (n, dim) or both views (2 n, dim) in (n, dim)."""
        views = labels.repeat(len(vectors) // len(labels))
        is_own = views[:, None] == labels[None, :]
        rows = torch.arange(len(views), device=vectors.device)
        target = rows % len(labels)
        is_own[rows, target] = False
        logits = vectors @ teacher.T / self.settings.temperature
        return functional.cross_entropy(logits.masked_fill(is_own, -1e4), target)

    def relations(self, vectors: Tensor, teacher: Tensor) -> Tensor:
        """How differently the pupil sees who resembles whom; (n, dim) of either size."""
        scale = 1.0 / self.settings.temperature
        own = functional.log_softmax(_others(vectors @ vectors.T) * scale, dim=1)
        wanted = functional.softmax(_others(teacher @ teacher.T) * scale, dim=1)
        return functional.kl_div(own, wanted, reduction="batchmean")


def _others(similarity: Tensor) -> Tensor:
    """Without the diagonal: (n, n) → (n, n - 1)."""
    count = len(similarity)
    keep = ~torch.eye(count, dtype=torch.bool, device=similarity.device)
    return similarity[keep].view(count, count - 1)
