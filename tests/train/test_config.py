"""A training's values: what a file says is what is done, and nonsense is said to be that."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from songid_desktop.errors import UsageError
from songid_desktop.neural.config import model_from_dict
from songid_desktop.train import config, presets
from songid_desktop.train.config import Train


@pytest.mark.parametrize("name", presets.PRESETS)
def test_every_preset_is_a_training_of_a_model_that_exists(name: str) -> None:
    train = config.from_json(presets.preset(name))
    assert train.note
    assert config.from_json(train.to_json()) == train
    assert model_from_dict(dict(train.model)).dim > 0


def test_the_reports_best_cnn_is_as_the_report_says() -> None:
    train = config.from_json(presets.preset("report-cnn-best"))
    assert (train.batch, train.epochs, dict(train.model)["dim"]) == (32, 15, 256)
    assert (train.loss.temperature, train.loss.alpha) == (0.07, 0.25)
    optimiser = train.optimiser
    assert (optimiser.kind, optimiser.schedule, optimiser.learning_rate) == (
        "adam",
        "plateau",
        1e-4,
    )
    assert train.masks.time_p > 0
    assert train.masks.frequency_p > 0
    assert train.masks.warp_p > 0
    assert train.degrade.positives == "same_track"


@pytest.mark.parametrize(("name", "count"), [("report-cnn", 48), ("report-augment", 32)])
def test_the_grids_have_the_reports_number_of_different_cells(name: str, count: int) -> None:
    cells = dict(presets.grid_cells(name))
    digests = {config.from_json(values).digest() for values in cells.values()}
    assert len(cells) == len(digests) == count


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"temprature": 1}, "temprature"),
        ({"loss": {"tau": 0.1}}, "loss.tau"),
        ({"loss": {"temperature": "warm"}}, "loss.temperature"),
        ({"loss": {"temperature": 0}}, "loss.temperature"),
        ({"loss": 3}, "loss"),
        ({"optimiser": {"kind": "sgd"}}, "adamw"),
        ({"batch": 1}, "batch"),
        ({"batch": 2.5}, "batch"),
        ({"degrade": {"room_p": 1.5}}, "room_p"),
        ({"degrade": {"noise_db": [1]}}, "noise_db"),
        ({"steps": 0}, "steps"),
        ({"loss": {"distil_clean": 0.5}}, "distil_clean"),
        ({"masks": {"anchors_too": 1}}, "anchors_too"),
    ],
)
def test_what_makes_no_sense_is_named(values: dict[str, Any], word: str) -> None:
    with pytest.raises(UsageError, match=word):
        config.from_json(values)


def test_a_file_that_is_no_json_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.write_text("{", "utf-8")
    with pytest.raises(UsageError, match="JSON"):
        config.read(path)
    with pytest.raises(UsageError, match="no file"):
        config.read(tmp_path / "none.json")
    path.write_text("[1]", "utf-8")
    with pytest.raises(UsageError, match="object"):
        config.read(path)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=4,
)


@given(st.sampled_from([field.name for field in dataclasses.fields(Train)]), _JSON)
def test_any_json_is_a_training_or_a_sentence(name: str, value: object) -> None:
    with contextlib.suppress(UsageError):
        assert json.dumps(config.from_json({name: value}).to_json(), allow_nan=False)
