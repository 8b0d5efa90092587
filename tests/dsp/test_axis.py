import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from songid_desktop.dsp.axis import FrequencyAxis

KINDS = ("mel", "log", "linear")


@given(
    kind=st.sampled_from(KINDS),
    f_min=st.floats(1.0, 500.0),
    span=st.floats(100.0, 20_000.0),
    n_rows=st.integers(2, 2000),
)
def test_rows_and_frequencies_are_inverse_and_grow(kind, f_min, span, n_rows):
    axis = FrequencyAxis(kind, f_min, f_min + span, n_rows)
    centres = axis.row_centres_hz()
    assert np.all(np.diff(centres) > 0)
    np.testing.assert_allclose(centres[[0, -1]], [f_min, f_min + span], rtol=1e-9)
    np.testing.assert_allclose(axis.row_of(centres), np.arange(n_rows), atol=1e-5)


@given(kind=st.sampled_from(KINDS), f_max=st.floats(200.0, 96_000.0), most=st.integers(1, 12))
def test_ticks_lie_inside_in_order_and_are_few(kind, f_max, most):
    axis = FrequencyAxis(kind, 30.0, f_max, 300)
    ticks = axis.ticks_hz(most)
    assert len(ticks) <= most
    assert np.all(np.diff(ticks) > 0)
    assert np.all((ticks >= 30.0) & (ticks <= f_max))


def test_ticks_are_round_numbers():
    log = FrequencyAxis("log", 30.0, 24_000.0, 400)
    assert log.ticks_hz(20).tolist() == [50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4]
    linear = FrequencyAxis("linear", 0.0, 20_000.0, 400)
    assert linear.ticks_hz(5).tolist() == [0, 5000, 10_000, 15_000, 20_000]


@pytest.mark.parametrize(
    ("kind", "f_min", "f_max", "n_rows"),
    [("bark", 1, 2, 9), ("log", 0, 9, 9), ("mel", 9, 9, 9), ("mel", 1, 9, 1), ("linear", -1, 9, 9)],
)
def test_impossible_axes_are_refused(kind, f_min, f_max, n_rows):
    with pytest.raises(ValueError, match="axis"):
        FrequencyAxis(kind, f_min, f_max, n_rows)
