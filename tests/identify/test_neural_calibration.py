"""From a lead to a probability: every feature speaks the way its meaning says."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from songid_desktop.identify import neural_calibration
from songid_desktop.identify.calibration import MATCH_AT
from songid_desktop.identify.neural_calibration import (
    RIVALS,
    SIGNS,
    SUREST,
    UNFITTED,
    Lead,
    NeuralCalibration,
)
from songid_desktop.paths import resource

CURVE = NeuralCalibration((1.0, 0.5, 0.5, 1.0, 2.0, 0.5, -1.0, -2.0, -8.0), (0.3, -0.02, 0.1))
SHIPPED = [
    name for name in ("cnn", "ast", "mert") if resource("calibration", f"{name}.json").is_file()
]

cosines = st.floats(-0.2, 1.0)
leads = st.builds(
    Lead,
    score=cosines,
    elsewhere=cosines,
    rivals=st.lists(cosines, max_size=40).map(lambda found: tuple(sorted(found, reverse=True))),
    clip_s=st.floats(0.5, 60.0),
    inside=st.floats(0.0, 1.0),
)
curves = [CURVE, UNFITTED, *(neural_calibration.load(name) for name in SHIPPED)]


@given(lead=leads, which=st.integers(0, len(curves) - 1))
def test_a_probability_it_is(lead, which):
    assert 0.0 <= curves[which].probability(lead) <= SUREST


@given(lead=leads, more=st.floats(0.0, 0.5), which=st.integers(0, len(curves) - 1))
def test_a_higher_score_never_speaks_against_a_match(lead, more, which):
    higher = replace(lead, score=lead.score + more)
    curve = curves[which]
    assert curve.probability(higher) >= curve.probability(lead) - 1e-9


@given(lead=leads, more=st.floats(0.0, 0.5), which=st.integers(0, len(curves) - 1))
def test_being_like_the_track_elsewhere_never_speaks_for_one(lead, more, which):
    alike = replace(lead, elsewhere=lead.elsewhere + more)
    curve = curves[which]
    assert curve.probability(alike) <= curve.probability(lead) + 1e-9


@given(lead=leads)
def test_level_with_the_best_rival_is_no_match(lead):
    if lead.rivals:
        level = replace(lead, score=lead.rivals[0])
        assert CURVE.probability(level) <= 0.5 + 1e-9


def test_a_library_of_one_is_no_proof_of_itself():
    alone = Lead(0.28, 0.1, (), 5.0)
    among = Lead(0.28, 0.1, (0.1,) * RIVALS, 5.0)
    assert CURVE.probability(alone) < CURVE.probability(among)
    clear = Lead(0.95, 0.1, (), 5.0)
    assert CURVE.probability(clear) > CURVE.probability(alone)


def test_what_was_never_fitted_is_sure_of_nothing():
    assert UNFITTED.probability(Lead(0.99, 0.0, (0.1, *[0.09] * 29), 15.0)) < MATCH_AT
    assert UNFITTED.probability(Lead(0.99, 0.0, (), 15.0)) == 0.0
    assert neural_calibration.load("no such model") == UNFITTED


def test_a_calibration_is_read_from_its_file(tmp_path):
    path = tmp_path / "one.json"
    table = {"weights": CURVE.weights, "typical_rival": CURVE.typical_rival, "twin_likeness": 0.8}
    path.write_text(json.dumps(table), encoding="utf-8")
    assert neural_calibration.load("cnn", path) == replace(CURVE, twin_likeness=0.8)


@pytest.mark.parametrize("name", SHIPPED)
def test_what_is_shipped_keeps_to_the_signs_and_says_where_it_is_from(name):
    data = json.loads(resource("calibration", f"{name}.json").read_text(encoding="utf-8"))
    assert len(data["weights"]) == len(SIGNS)
    for weight, sign in zip(data["weights"], SIGNS, strict=True):
        assert weight * sign >= 0.0
    about = data["provenance"]
    assert {"command", "model", "roles", "looks", "figures"} <= set(about)
    assert "--write" in about["command"]
