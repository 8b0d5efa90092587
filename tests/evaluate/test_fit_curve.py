from dataclasses import dataclass

import numpy as np
import pytest

from songid_desktop.evaluate.fit_curve import cross_validated, curve_weights, fold_of, typical_rival
from songid_desktop.identify.calibration import Lead


@dataclass(frozen=True)
class Look:
    path: str
    is_enrolled: bool
    is_right: bool
    lead: Lead


def looks(count=120):
    random = np.random.default_rng(8)
    made = []
    for number in range(count):
        is_enrolled = number % 2 == 0
        clip_s = float(random.choice([2.0, 5.0, 10.0]))
        best = 6.0 + 2.0 * np.log(clip_s) + random.normal()
        score = best + (random.uniform(4, 20) if is_enrolled else random.exponential(1.0))
        lead = Lead(float(score), 2.0, 1.0, (float(best),), clip_s)
        made.append(Look(f"track {number % 30}", is_enrolled, is_enrolled, lead))
    return made


def features(rows):
    lead = np.array([row.lead.score - row.lead.rivals[0] for row in rows])
    return np.stack([lead, -lead, np.ones(len(rows))], axis=1)


def test_weights_go_only_the_way_they_may():
    rows = looks()
    for signs in [(1, 1, 0), (-1, -1, 0), (1, -1, 0), (0, 0, 0)]:
        weights = curve_weights(features(rows), rows, signs, 1.0)
        assert all(weight * sign >= 0 for weight, sign in zip(weights, signs, strict=True))


def test_a_heavier_weight_of_what_is_absent_makes_less_sure():
    rows = looks()
    said = [features(rows) @ curve_weights(features(rows), rows, (1, 0, 0), w) for w in (1.0, 9.0)]
    assert np.mean(said[1]) < np.mean(said[0])


def test_the_rival_to_expect_grows_with_the_clip_as_rivals_do():
    constant, slope = typical_rival(looks(600))
    assert constant == pytest.approx(6.5, abs=1.0)
    assert slope == pytest.approx(2.0, abs=0.7)


def test_every_row_is_judged_by_what_was_fitted_on_other_tracks():
    rows = looks()
    seen = []

    def fitted(others):
        folds = {fold_of(row.path) for row in others}
        seen.append(folds)
        return lambda row: float(fold_of(row.path) not in folds)

    assert cross_validated(rows, fitted).min() == 1.0
    assert len(seen) == 5
