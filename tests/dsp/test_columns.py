import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from songid_desktop.dsp.columns import FLOOR_DB, StreamingColumns

RATE = 48_000


def sine(freq_hz, seconds=0.3, level=1.0, rate=RATE):
    time_s = np.arange(int(seconds * rate)) / rate
    return (level * np.sin(2 * np.pi * freq_hz * time_s)).astype(np.float32)


@pytest.mark.parametrize("axis", ["mel", "log", "linear"])
@pytest.mark.parametrize("freq_hz", [100.0, 441.0, 3000.0, 14_000.0])
def test_a_sine_shows_in_its_row_at_its_level(axis, freq_hz):
    columns = StreamingColumns(RATE, n_fft=4096, axis=axis)
    picture = columns.push(sine(freq_hz, level=0.1))
    row = int(picture[5].argmax())
    bin_hz = RATE / 4096
    row_hz = float(columns.axis.hz_of(row + 1) - columns.axis.hz_of(row))
    assert columns.axis.hz_of(row) == pytest.approx(freq_hz, abs=2 * max(bin_hz, row_hz))
    assert picture[5].max() == pytest.approx(-20.0, abs=1.6)


@settings(max_examples=25, deadline=None)
@given(
    cuts=st.lists(st.integers(0, 6000), max_size=8),
    axis=st.sampled_from(["mel", "log", "linear"]),
    hop=st.integers(100, 3000),
)
def test_columns_do_not_depend_on_the_blocks(cuts, axis, hop):
    sound = np.random.default_rng(1).standard_normal(6000).astype(np.float32)
    whole = StreamingColumns(RATE, 512, hop=hop, n_rows=40, axis=axis).push(sound)
    pieces = StreamingColumns(RATE, 512, hop=hop, n_rows=40, axis=axis)
    parts = [pieces.push(part) for part in np.split(sound, sorted(cuts))]
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-3)
    assert pieces.column_count == len(whole)


def test_silence_and_broken_samples_stay_finite():
    columns = StreamingColumns(RATE)
    silence = columns.push(np.zeros(RATE // 5, np.float32))
    np.testing.assert_allclose(silence, FLOOR_DB, atol=1e-3)
    broken = np.full(RATE // 5, np.nan, np.float32)
    broken[::2] = np.inf
    assert np.isfinite(columns.push(broken)).all()
    assert np.isfinite(columns.push(np.full(RATE // 5, 3e38, np.float32))).all()


def test_columns_know_their_time():
    columns = StreamingColumns(8000, n_fft=800, hop=80)
    columns.reset(start_sample=16_000)
    assert columns.time_of(0) == pytest.approx(2.05)
    assert columns.time_of(100) == pytest.approx(3.05)


def test_nothing_heavy_is_imported():
    code = (
        "import sys; import songid_desktop.dsp.columns; "
        "sys.exit(any(m.split('.')[0] == 'scipy' for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
