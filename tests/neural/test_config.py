"""A model's description: it survives the trip through JSON, and its digest names what matters."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from songid_desktop.neural.build import build
from songid_desktop.neural.config import CnnBody, FrontEnd, Model, ModelError, TransformerBody
from tests.support.encoders import ALL, AST, CNN, MERT


@pytest.mark.parametrize("model", ALL.values(), ids=ALL)
def test_a_model_survives_json(model: Model) -> None:
    assert Model.from_json(model.to_json()) == model


@given(
    st.integers(1, 999), st.floats(0.01, 9), st.lists(st.integers(1, 64), min_size=1, max_size=5)
)
def test_any_sizes_survive_json(dim: int, hop_s: float, channels: list[int]) -> None:
    body = CnnBody(channels=tuple(channels), strides=((2, 1),) * len(channels))
    model = Model(dim=dim, hop_s=hop_s, body=body)
    assert Model.from_json(model.to_json()) == model


def test_the_digest_names_model_and_weights() -> None:
    model = Model()
    digests = {
        model.digest(),
        model.digest("a" * 64),
        replace(model, dim=64).digest(),
        replace(model, hop_s=0.5).digest(),
        replace(model, front_end=FrontEnd(f_min=50.0)).digest(),
    }
    assert len(digests) == 5


def test_how_a_clip_is_looked_up_does_not_change_what_is_enrolled() -> None:
    model = Model()
    assert replace(model, query_phases=4).digest("x") == model.digest("x")
    assert replace(model, dropout=0.5, n_classes=7).digest("x") == model.digest("x")


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"flavour": "sweet"}, "flavour"),
        ({"front_end": {"hop_samples": 3}}, "hop_samples"),
        ({"architecture": "rnn"}, "rnn"),
        ({"dim": "128"}, "dim"),
        ({"dim": True}, "dim"),
        ({"dim": 0}, "dimension"),
        ({"front_end": 3}, "front_end"),
        ({"body": {"channels": [24, 0]}}, "channels"),
        ({"body": {"channels": 24}}, "channels"),
        ([], "table"),
    ],
)
def test_an_impossible_description_is_refused_in_words(values: object, word: str) -> None:
    with pytest.raises(ModelError, match=word):
        Model.from_json(json.dumps(values))


@given(st.text(max_size=40))
def test_no_text_is_anything_but_a_model_or_a_model_error(text: str) -> None:
    with contextlib.suppress(ModelError):
        Model.from_json(text)


def test_sizes_of_another_kind_are_refused() -> None:
    with pytest.raises(ModelError, match="another kind"):
        Model(architecture="ast", body=CnnBody())
    with pytest.raises(ModelError, match="another kind"):
        Model(body=TransformerBody())


def test_a_window_of_ours_is_exactly_one_second_with_the_frames_centred() -> None:
    front = FrontEnd()
    span = (front.n_frames - 1) * front.hop + front.frame_samples
    assert front.n_samples == front.sample_rate
    assert 0 <= span - front.n_samples - 2 * front.pad_samples <= 1


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"window_s": 0.0}, "window"),
        ({"sample_rate": -8000}, "window"),
        ({"deviation": 0.0}, "deviation"),
        ({"hop": 0}, "picture"),
        ({"n_mels": 0}, "picture"),
        ({"n_fft": 512}, "transform"),
        ({"window_s": 0.1}, "window"),
        ({"f_max": 4001.0}, "half"),
        ({"f_min": 3700.0}, "half"),
    ],
)
def test_an_impossible_front_end_is_refused_in_words(values: dict[str, float], word: str) -> None:
    with pytest.raises(ModelError, match=word):
        Model.from_json(json.dumps({"front_end": values}))


def test_sizes_that_do_not_go_together_are_a_model_error() -> None:
    for model in (replace(CNN, dim=7), replace(AST, dim=7), replace(MERT, dim=7)):
        with pytest.raises(ModelError, match="do not go together"):
            build(model)
