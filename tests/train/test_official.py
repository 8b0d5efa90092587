"""Fine-tuning a pretrained checkpoint: its own sizes and its own ears, with a new head."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from songid_desktop.errors import UsageError
from songid_desktop.train import presets
from songid_desktop.train.config import merged
from songid_desktop.train.start import Places, prepare
from tests.support.pretrained_files import small_ast, small_mert
from tests.support.training import make_collection

SMALL: dict[str, Any] = {
    "model": {"dim": 16},
    "batch": 4,
    "steps": 2,
    "degrade": {"made_rooms": 0, "made_noise": False},
    "check": {"every_steps": 2, "queries": 2, "distractors": 1, "noise_db": []},
}


@pytest.fixture
def places(tmp_path: Path) -> Places:
    folder = make_collection(tmp_path / "music", train=4, validation=2)
    return Places(folder, tmp_path / "run", tmp_path / "cache", start_from=tmp_path / "official")


@pytest.mark.parametrize("kind", ["ast", "mert"])
def test_a_pretrained_encoder_goes_on_learning(places: Places, kind: str) -> None:
    from songid_desktop.neural.embedder import Embedder
    from songid_desktop.neural.pretrained import open_model

    assert places.start_from is not None
    {"ast": small_ast, "mert": small_mert}[kind](places.start_from)
    values = merged(presets.preset(f"report-{kind}"), SMALL)
    training = prepare(values, places, workers=0, device="cpu")
    given, _ = open_model(places.start_from)
    backbone = {n: v for n, v in given.state_dict().items() if n.startswith("backbone.")}
    begun = training.module.state_dict()
    assert backbone
    assert all(torch.equal(begun[name], value) for name, value in backbone.items())
    assert training.model.head == "attention"
    assert training.model.front_end.sample_rate in (16_000, 24_000)
    assert training.run().step == 2
    embedder = Embedder(places.out / "best.safetensors")
    assert embedder.model.dim == 16


def test_another_kind_of_model_is_refused(places: Places) -> None:
    assert places.start_from is not None
    small_mert(places.start_from)
    values = merged(presets.preset("report-ast"), SMALL)
    with pytest.raises(UsageError, match="mert, not ast"):
        prepare(values, places, workers=0, device="cpu")
