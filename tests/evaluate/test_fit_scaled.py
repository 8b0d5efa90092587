import json

import numpy as np

from songid_desktop.evaluate.fit_curve import cross_validated, typical_rival
from songid_desktop.evaluate.fit_scaled import Row, fit, fitted
from songid_desktop.identify.scaled import ScaledLead, load
from songid_desktop.landmark.config import LandmarkConfig
from songid_desktop.landmark.scaled import ScaleConfig
from songid_desktop.paths import resource


def rows(count=80):
    """Looks as they are: what is enrolled leads by far, what is not leads by chance."""
    random = np.random.default_rng(5)
    found = []
    for number in range(count):
        is_enrolled = number % 2 == 0
        lead = random.uniform(8, 30) if is_enrolled else random.exponential(1.0)
        rivals = np.sort(random.uniform(5, 12, 30))[::-1]
        found.append(
            Row(
                path=f"track {number}",
                change="speed+2",
                condition="clean",
                length_s=5.0,
                is_enrolled=is_enrolled,
                is_right=is_enrolled,
                lead=ScaledLead(
                    score=float(rivals[0] + lead),
                    elsewhere=float(random.uniform(0.2, 0.5) * rivals[0]),
                    beside=float(random.uniform(-0.1, 0.3) * rivals[0]),
                    rivals=tuple(rivals.tolist()),
                    votes=int(random.integers(15, 99) if is_enrolled else random.integers(3, 6)),
                    rival_votes=5,
                    clip_s=float(random.choice([3.0, 5.0, 10.0])),
                ),
            )
        )
    return found


def test_the_curve_tells_them_apart_and_means_what_its_features_mean():
    looks = rows()
    curve = fit(looks, typical_rival(looks))
    assert all(weight >= 0 for weight in curve.weights[:3])
    assert all(weight <= 0 for weight in curve.weights[3:6])
    for look in looks:
        assert (curve.probability(look.lead) > 0.5) == look.is_enrolled
    left_out = cross_validated(looks, fitted)
    assert np.mean((left_out > 0.5) == [look.is_enrolled for look in looks]) > 0.95


def test_the_shipped_curve_is_of_what_is_shipped():
    source = resource("calibration", "landmark_scaled.json")
    provenance = json.loads(source.read_text(encoding="utf-8"))["provenance"]
    assert provenance["configuration"] == LandmarkConfig().digest()
    hypotheses = ScaleConfig()
    assert provenance["hypotheses"] == {
        name: getattr(hypotheses, name) for name in provenance["hypotheses"]
    }
    assert len(load().weights) == 7
