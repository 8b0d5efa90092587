import numpy as np
import pytest

from songid_desktop.evaluate.rooms import Room, hear
from songid_desktop.landmark import placing
from songid_desktop.landmark.config import LandmarkConfig, SearchConfig
from songid_desktop.landmark.index import Part
from songid_desktop.landmark.match import analyse, most_votes, search
from songid_desktop.landmark.peaks import track_peaks
from songid_desktop.landmark.scheme import LandmarkScheme
from songid_desktop.landmark.segment import build_segment
from tests.support.landmark_library import RATE, block, tune

CONFIG = LandmarkConfig()
TUNES = range(6)


@pytest.fixture(scope="module")
def tunes():
    return [tune(n, 20.0) for n in TUNES]


@pytest.fixture(scope="module")
def part(tunes):
    peaks = [track_peaks([block(sound)], CONFIG.peaks)[0] for sound in tunes]
    segment = build_segment(list(TUNES), peaks, LandmarkScheme(CONFIG))
    return Part(segment, np.ones(len(tunes), np.bool_))


def found_in(part, sound, config=CONFIG):
    clip = analyse(np.asarray(sound, np.float32), config)
    candidates, votes = search([part], clip, config)
    return candidates, votes, clip


def errors_s(part, tunes, degrade):
    """Signed error of the place before and after it is put right."""
    before, after = [], []
    for n in TUNES:
        start = 4 * RATE + 1237 * n
        candidates, _, clip = found_in(part, degrade(tunes[n], start))
        assert candidates[0].track_id == n
        error_s = candidates[0].offset_frames * CONFIG.peaks.frame_s - start / RATE
        before.append(error_s)
        after.append(error_s + placing.load().correction_s(candidates[0], clip))
    return np.array(before), np.array(after)


def in_a_room(sound, start):
    room = Room(reverberation_s=0.7, distance_m=3.0, snr_db=20.0, seed=start % 7)
    return hear(sound[start - RATE : start + 5 * RATE], RATE, room)[RATE:]


def test_what_a_room_does_to_the_place_is_put_right(part, tunes):
    before, after = errors_s(part, tunes, in_a_room)
    assert np.median(before) < -0.004, "the room should make the track seem earlier"
    assert np.median(np.abs(after)) < np.median(np.abs(before))


def test_a_dry_clip_is_left_nearly_where_it_was(part, tunes):
    _, after = errors_s(part, tunes, lambda sound, start: sound[start : start + 5 * RATE])
    assert np.median(np.abs(after)) < 0.01
    assert np.abs(after).max() < 0.03


def test_other_alignments_than_it_was_fitted_on_are_left_as_they_are(part, tunes):
    config = LandmarkConfig(search=SearchConfig(phases=4))
    candidates, _, clip = found_in(part, tunes[2][3 * RATE : 8 * RATE], config)
    assert placing.readings(candidates[0], clip) is None
    assert placing.load().correction_s(candidates[0], clip) == 0.0


def test_the_error_left_is_larger_where_more_was_put_right_or_less_heard():
    reading = placing.load()
    assert 0.0 < reading.error_after_s(0.0, 40.0) < reading.error_after_s(0.02, 40.0)
    assert reading.error_after_s(0.01, 40.0) < reading.error_after_s(0.01, 6.0) < 0.1


def test_votes_of_the_others_leave_out_what_is_named(part, tunes):
    candidates, votes, _ = found_in(part, tunes[1][5 * RATE : 9 * RATE])
    first = candidates[0]
    own, other = most_votes(votes, first, ())
    assert own >= first.votes > other
    ids = {number for number in TUNES if number != first.track_id}
    assert most_votes(votes, first, ids) == (own, 0)


def test_votes_of_removed_tracks_do_not_count(part, tunes):
    sound = tunes[1][5 * RATE : 9 * RATE]
    alive = np.array([n != 1 for n in TUNES])
    candidates, votes, _ = found_in(Part(part.segment, alive), sound)
    first = candidates[0]
    assert first.track_id != 1
    _, other = most_votes(votes, first, ())
    _, with_removed = most_votes(found_in(part, sound)[1], first, ())
    assert other < with_removed
