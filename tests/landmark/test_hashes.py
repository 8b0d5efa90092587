import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from songid_desktop.landmark.config import HashConfig
from songid_desktop.landmark.hashes import KEY_BITS, hash_pairs, pair_peaks

CONFIG = HashConfig()

peak_lists = st.lists(
    st.tuples(st.integers(0, 400), st.integers(8, 475)), max_size=80, unique=True
).map(sorted)


def arrays(peaks):
    table = np.array(peaks, np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def by_hand(peaks, fan):
    """The rule of the docstring, one peak at a time."""
    pairs = []
    for a, (frame, column) in enumerate(peaks):
        taken = 0
        for t in range(a + 1, len(peaks)):
            dt, df = peaks[t][0] - frame, abs(peaks[t][1] - column)
            if CONFIG.min_frames <= dt <= CONFIG.max_frames and df <= CONFIG.max_bins:
                if taken < fan:
                    pairs.append((a, t))
                taken += 1
    return pairs


@given(peaks=peak_lists, fan=st.integers(1, 25))
def test_pairs_are_the_nearest_in_the_zone(peaks, fan):
    frame, column = arrays(peaks)
    anchor, target = pair_peaks(frame, column, CONFIG, fan)
    assert sorted(zip(anchor.tolist(), target.tolist(), strict=True)) == by_hand(peaks, fan)


@given(peaks=peak_lists, shift=st.integers(0, 10_000))
def test_hashes_do_not_know_when(peaks, shift):
    frame, column = arrays(peaks)
    pairs = pair_peaks(frame, column, CONFIG, 10)
    key = hash_pairs(frame, column, *pairs)
    assert np.array_equal(key, hash_pairs(frame + shift, column, *pairs))
    assert not len(key) or int(key.max()) < 1 << KEY_BITS


@given(peaks=peak_lists)
def test_different_pairs_have_different_hashes(peaks):
    frame, column = arrays(peaks)
    anchor, target = pair_peaks(frame, column, CONFIG, 10)
    key = hash_pairs(frame, column, anchor, target)
    shape = {
        (int(column[a]), int(column[t] - column[a]), int(frame[t] - frame[a]))
        for a, t in zip(anchor, target, strict=True)
    }
    assert len(set(key.tolist())) == len(shape)
