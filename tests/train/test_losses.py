"""The losses do what their formulas say."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from songid_desktop.train.config import Loss
from songid_desktop.train.losses import PairLoss


def _vectors(count: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return functional.normalize(torch.randn(count, 8, generator=generator), dim=1)


def test_infonce_is_the_reports_formula() -> None:
    anchors, replicas = _vectors(4, 1), _vectors(4, 2)
    found = float(PairLoss(Loss(temperature=0.1)).contrast(anchors, replicas, torch.arange(4)))
    both = np.concatenate((anchors.numpy(), replicas.numpy()))
    similarity = np.exp(both @ both.T / 0.1)
    np.fill_diagonal(similarity, 0.0)
    wanted = [-math.log(similarity[row, (row + 4) % 8] / similarity[row].sum()) for row in range(8)]
    assert found == pytest.approx(float(np.mean(wanted)), rel=1e-4)


def test_pairs_that_belong_together_cost_less() -> None:
    loss, anchors = PairLoss(Loss()), _vectors(6, 1)
    labels = torch.arange(6)
    assert loss.contrast(anchors, anchors, labels) < loss.contrast(anchors, _vectors(6, 2), labels)


def test_other_windows_of_the_own_track_are_no_negatives() -> None:
    loss = PairLoss(Loss())
    anchors = _vectors(4, 1)
    twins = torch.cat((anchors[:1], anchors[:1], anchors[2:]))
    told = float(loss.contrast(twins, twins, torch.tensor([0, 0, 2, 3])))
    not_told = float(loss.contrast(twins, twins, torch.tensor([0, 1, 2, 3])))
    assert told < not_told


def test_the_temperature_is_learned_only_where_asked_for() -> None:
    for is_learned in (False, True):
        loss = PairLoss(Loss(temperature=0.07, learn_temperature=is_learned))
        assert loss.temperature == pytest.approx(0.07)
        anchors = _vectors(4, 1).requires_grad_()
        loss.contrast(anchors, _vectors(4, 2), torch.arange(4)).backward()
        assert (loss.log_scale.grad is not None) is is_learned


def test_classification_is_the_sum_over_both_views_and_can_be_smoothed() -> None:
    logits, labels = torch.randn(5, 7), torch.arange(5)
    plain = PairLoss(Loss()).classification(logits, logits, labels)
    assert float(plain) == pytest.approx(2 * float(functional.cross_entropy(logits, labels)))
    smooth = PairLoss(Loss(label_smoothing=0.2)).classification(logits, logits, labels)
    assert float(smooth) != pytest.approx(float(plain))


def test_a_pupil_that_sees_the_same_neighbours_costs_nothing() -> None:
    loss, teacher = PairLoss(Loss()), _vectors(6, 3)
    turned = torch.linalg.qr(torch.randn(8, 8))[0]
    assert float(loss.relations(teacher @ turned, teacher)) == pytest.approx(0.0, abs=1e-4)
    assert float(loss.relations(_vectors(6, 4), teacher)) > 0.01


def test_a_pupil_is_drawn_to_the_teachers_vectors() -> None:
    loss, teacher, labels = PairLoss(Loss()), _vectors(6, 3), torch.arange(6)
    both = torch.cat((teacher, teacher))
    assert loss.lookup(both, teacher, labels) < loss.lookup(_vectors(12, 4), teacher, labels)
    # Another window of the same track is no reproach.
    twins = torch.cat((teacher[:1], teacher[:1], teacher[2:]))
    told = loss.lookup(torch.cat((twins, twins)), twins, torch.tensor([0, 0, 2, 3, 4, 5]))
    assert told < loss.lookup(torch.cat((twins, twins)), twins, labels)
