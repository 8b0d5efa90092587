import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from songid_desktop.evaluate.rooms import Room, hear
from songid_desktop.landmark.config import LandmarkConfig
from songid_desktop.landmark.index import Part
from songid_desktop.landmark.match import analyse, search
from songid_desktop.landmark.peaks import track_peaks
from songid_desktop.landmark.scheme import LandmarkScheme
from songid_desktop.landmark.segment import build_segment
from songid_desktop.landmark.verify import among_best, score_beside, score_elsewhere
from tests.support.landmark_library import RATE, block, tune

CONFIG = LandmarkConfig()
SECONDS = 20.0
LOOPED = 99


@pytest.fixture(scope="module")
def tunes():
    looped = np.tile(tune(LOOPED, 2.0), 10)
    return {**{n: tune(n, SECONDS) for n in range(10)}, LOOPED: looped}


@pytest.fixture(scope="module")
def parts(tunes):
    peaks = [track_peaks([block(sound)], CONFIG.peaks)[0] for sound in tunes.values()]
    segment = build_segment(list(tunes), peaks, LandmarkScheme(CONFIG))
    return [Part(segment, np.ones(len(tunes), np.bool_))]


def ranked(parts, sound):
    clip = analyse(np.asarray(sound, np.float32), CONFIG)
    return clip, search(parts, clip, CONFIG)[0]


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(-9, 9)), max_size=40),
    st.integers(1, 5),
)
def test_a_few_of_each_row_are_its_best(rows, wanted):
    row = np.array([r for r, _ in rows], np.int64)
    score = np.array([s for _, s in rows], np.int64)
    chosen = among_best(row, score, wanted)
    assert np.all(np.diff(chosen) > 0)
    for number in set(row.tolist()):
        own = np.flatnonzero(row == number)
        kept = chosen[row[chosen] == number]
        assert len(kept) == min(wanted, len(own))
        assert sorted(score[kept])[::-1] == sorted(score[own])[::-1][: len(kept)]


@settings(max_examples=12, deadline=None)
@given(n=st.integers(0, 9), start=st.integers(RATE, 13 * RATE), seed=st.integers(0, 99))
def test_a_tune_is_found_in_a_room_full_of_talk(parts, tunes, n, start, seed):
    room = Room(reverberation_s=0.6, distance_m=2.5, snr_db=5.0, seed=seed)
    heard = hear(tunes[n][start - RATE : start + 5 * RATE], RATE, room)[RATE:]
    _, found = ranked(parts, heard)
    assert found[0].track_id == n
    place_s = found[0].offset_frames * CONFIG.peaks.frame_s
    assert place_s == pytest.approx(start / RATE, abs=0.1)


def test_offsets_of_clean_clips_are_exact_to_milliseconds(parts, tunes):
    errors = []
    for n in range(10):
        start = 3 * RATE + 1237 * n
        _, found = ranked(parts, tunes[n][start : start + 3 * RATE])
        errors.append(abs(found[0].offset_frames * CONFIG.peaks.frame_s - start / RATE))
    assert np.median(errors) < 0.005
    assert max(errors) < 0.03


def test_a_tune_full_of_repeats_does_not_crowd_out_the_others(parts, tunes):
    mixed = tunes[LOOPED][: 5 * RATE] + tunes[4][4 * RATE : 9 * RATE]
    _, found = ranked(parts, mixed)
    assert {found[0].track_id, found[1].track_id} == {4, LOOPED}


def test_what_is_right_is_right_at_one_place_and_pitch_only(parts, tunes):
    clip, found = ranked(parts, tunes[2][5 * RATE : 9 * RATE])
    assert score_elsewhere(found[0], clip) < 0.8 * found[0].score
    assert score_beside(found[0], clip) < 0.4 * found[0].score


@pytest.mark.parametrize("sound", [np.zeros(2 * RATE), np.full(2 * RATE, 0.3), np.eye(1, 2 * RATE)])
def test_what_has_no_peaks_has_finite_scores(parts, sound):
    clip, found = ranked(parts, np.ravel(sound))
    assert np.isfinite(clip.level).all()
    assert np.isfinite(clip.tone).all()
    assert all(np.isfinite(candidate.score) for candidate in found)
