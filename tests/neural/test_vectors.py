"""What is stored of a track."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from songid_desktop.neural.vectors import HEAD_BYTES, pack, read_head, unit, unpack
from tests.support.vector_library import wander


@settings(max_examples=30, deadline=None)
@given(
    count=st.integers(0, 60),
    dim=st.integers(1, 200),
    hop_s=st.floats(0.01, 10.0),
    start_s=st.floats(-5.0, 5.0),
    seed=st.integers(0, 100),
)
def test_what_is_packed_comes_back(count, dim, hop_s, start_s, seed):
    rows = unit(np.random.default_rng(seed).standard_normal((count, dim)))
    found = unpack(pack(rows, hop_s, start_s))
    assert found.values.shape == (count, dim)
    assert found.hop_s == pytest.approx(hop_s, abs=1e-6)
    assert found.start_s == pytest.approx(start_s, abs=1e-6)
    assert np.einsum("nd,nd->n", found.as_float(), rows) == pytest.approx(1.0, abs=2e-3)
    assert np.abs(found.values * found.scale - rows).max(initial=0.0) <= found.scale


def test_eight_bits_move_no_cosine():
    rows, others = wander(1, 400, 128), wander(2, 400, 128)
    kept = unpack(pack(rows, 0.25)).as_float()
    assert np.abs(kept @ others.T - rows @ others.T).max() < 1e-2
    assert np.abs(kept @ others.T - rows @ others.T).mean() < 1e-3


def test_a_minute_takes_less_than_32_kilobytes():
    assert len(pack(wander(1, 240, 128), 0.25)) <= 31_000


def test_what_is_no_number_counts_as_nothing():
    rows = wander(1, 4)
    rows[1, 3] = np.nan
    rows[2] = np.inf
    found = unpack(pack(rows, 0.25))
    assert not found.values[2].any()
    assert np.isfinite(found.as_float()).all()


def test_silence_can_be_stored():
    assert not unpack(pack(np.zeros((3, 8), np.float32), 0.25)).as_float().any()


@settings(max_examples=60, deadline=None)
@given(at=st.integers(0, 10_000), value=st.integers(1, 255))
def test_any_changed_byte_is_noticed(at, value):
    payload = bytearray(pack(wander(3, 20), 0.25))
    at %= len(payload)
    is_in_what_is_said_of_them = 12 <= at < HEAD_BYTES - 4  # hop, start and scale
    payload[at] ^= value
    if is_in_what_is_said_of_them:
        return
    with pytest.raises(ValueError, match=r"vectors|bytes"):
        unpack(bytes(payload))


@pytest.mark.parametrize("length", [0, 1, HEAD_BYTES - 1, HEAD_BYTES + 5])
def test_what_is_cut_short_is_refused(length):
    with pytest.raises(ValueError, match=r"vectors|bytes"):
        unpack(pack(wander(3, 20), 0.25)[:length])


def test_the_head_alone_says_where_rows_lie():
    rows = wander(3, 20)
    payload = pack(rows, 0.25)
    layout = read_head(payload[:HEAD_BYTES])
    place, length = layout.span(5, 3)
    part = np.frombuffer(payload[place : place + length], np.int8).reshape(3, layout.dim)
    assert (part == unpack(payload).values[5:8]).all()


def test_vectors_have_two_axes():
    with pytest.raises(ValueError, match="shape"):
        pack(np.zeros(4, np.float32), 0.25)
