import numpy as np
import pytest

from songid_desktop.dsp.weighting import a_weight_gain, a_weighted_level_db


@pytest.mark.parametrize(
    ("freq_hz", "gain_db"),
    # IEC 61672-1, table 3.
    [
        (31.5, -39.4),
        (63, -26.2),
        (125, -16.1),
        (500, -3.2),
        (1000, 0.0),
        (2000, 1.2),
        (8000, -1.1),
        (16_000, -6.6),
    ],
)
def test_gain_follows_the_standard(freq_hz, gain_db):
    assert 20 * np.log10(a_weight_gain(freq_hz)) == pytest.approx(gain_db, abs=0.15)


@pytest.mark.parametrize("n", [48_000, 48_001])
def test_level_of_a_sine(n):
    sine = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(n) / 48_000)
    assert a_weighted_level_db(sine, 48_000) == pytest.approx(-9.03, abs=0.02)


def test_level_of_nothing():
    assert a_weighted_level_db(np.zeros(0), 8000) == -np.inf
    assert a_weighted_level_db(np.zeros(100), 8000) == -np.inf
