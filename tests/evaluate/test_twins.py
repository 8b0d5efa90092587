import numpy as np
import pytest

from songid_desktop.evaluate.conditions import change_speed
from songid_desktop.evaluate.repeats import RATE_HZ, repeat_error_s
from songid_desktop.evaluate.twins import Likeness, changes, find_likenesses, groups_of
from songid_desktop.types import AudioBlock
from tests.support.soundfiles import tune


@pytest.fixture(scope="module")
def tunes():
    return [tune(32.0, RATE_HZ, seed) for seed in range(3)]


def likenesses(asked, **sounds):
    known = {name: changes(sound) for name, sound in sounds.items()}
    return {(p.one, p.other) for p in find_likenesses([asked], known, list(known))}


def test_other_music_is_no_twin(tunes):
    assert likenesses("a", a=tunes[0], b=tunes[1], c=tunes[2]) == set()


@pytest.mark.parametrize("speed", [1.0, 1.02, 0.96])
def test_copies_cut_noisy_or_at_another_speed_are_twins(tunes, speed):
    random = np.random.default_rng(0)
    copy = change_speed(tunes[0][12_345:], RATE_HZ, speed)
    copy = 0.3 * copy + 0.002 * random.standard_normal(len(copy)).astype(np.float32)
    assert likenesses("copy", a=tunes[0], b=tunes[1], copy=copy) == {("copy", "a")}


def test_silence_and_short_sounds_have_no_twins(tunes):
    silence = np.zeros(20 * RATE_HZ, np.float32)
    assert likenesses("a", a=silence, b=silence.copy(), c=tunes[0]) == set()
    short = tunes[0][: 5 * RATE_HZ]
    assert likenesses("a", a=short, b=tunes[0]) == set()


def test_groups_hold_all_that_hang_together():
    pairs = [Likeness("a", "b", 0.9), Likeness("c", "b", 0.9), Likeness("x", "y", 0.9)]
    groups = groups_of(pairs)
    assert groups["a"] == groups["b"] == groups["c"]
    assert groups["x"] == groups["y"] != groups["a"]


def test_a_repeat_is_known_and_measured():
    once = tune(4.0, RATE_HZ, 5)
    track = AudioBlock(np.concatenate([once, tune(3.3, RATE_HZ, 6), once]), RATE_HZ)
    error_s = repeat_error_s(track, 1.0, 1.0 + 7.3 + 0.02, 2.0)
    assert error_s == pytest.approx(0.02, abs=0.008)
    assert repeat_error_s(track, 1.0, 5.0, 2.0) is None
    # Even where the found place reaches beyond the track's end.
    assert repeat_error_s(track, 1.0, 11.0, 2.0) is None
