import json

import numpy as np
import pytest

from songid_desktop.evaluate import fit_offset
from songid_desktop.evaluate.fit_offset import CONDITIONS, Look, cross_validated, fit, remaining
from songid_desktop.landmark.config import LandmarkConfig
from songid_desktop.paths import resource


@pytest.fixture(scope="module")
def looks():
    """Errors that one reading tells but for a few milliseconds."""
    rng = np.random.default_rng(2)
    made = []
    for number in range(300):
        smear = float(rng.uniform(0.0, 1.0))
        readings = np.array([smear, float(rng.normal()), 1.0])
        error_s = -0.04 * smear + 0.003 * float(rng.normal())
        condition = CONDITIONS[number % len(CONDITIONS)]
        score = float(rng.uniform(8.0, 40.0))
        made.append(Look(f"track {number % 40}", condition, 5.0, error_s, score, readings))
    return made


def test_what_can_be_read_is_put_right_on_tracks_not_fitted_on(looks):
    before = np.abs([look.error_s for look in looks])
    after = np.abs([look.error_s for look in looks] + cross_validated(looks))
    assert np.median(before) > 0.015
    assert np.median(after) < 0.004


def test_an_outlier_hardly_moves_the_fit(looks):
    wild = [*looks, Look("wild", "room0", 5.0, 0.09, 9.0, np.array([0.5, 0.0, 1.0]))]
    probe = np.array([0.5, 0.0, 1.0])
    assert float(probe @ fit(wild)) == pytest.approx(float(probe @ fit(looks)), abs=0.001)


def test_the_error_that_is_said_holds_for_two_of_three(looks):
    correction_s = cross_validated(looks)
    constant, per_s, per_root = remaining(looks, correction_s)
    said = [
        constant + per_s * abs(moved) + per_root / np.sqrt(look.score)
        for look, moved in zip(looks, correction_s, strict=True)
    ]
    rest = np.abs([look.error_s for look in looks] + correction_s)
    assert 0.55 < np.mean(rest <= said) < 0.8


def test_figures_name_every_condition_asked(looks, capsys):
    figures = fit_offset.report(looks, np.zeros(len(looks)))
    assert [name.split()[0] for name in figures] == list(CONDITIONS)
    assert "median" in capsys.readouterr().out


def test_the_shipped_reading_is_of_what_is_shipped():
    data = json.loads(resource("calibration", "landmark_offset.json").read_text(encoding="utf-8"))
    assert data["provenance"]["configuration"] == LandmarkConfig().digest()
    assert data["provenance"]["noise_and_rooms"] == "train"
