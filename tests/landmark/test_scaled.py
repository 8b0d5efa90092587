import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from songid_desktop.errors import Cancelled
from songid_desktop.landmark.config import LandmarkConfig
from songid_desktop.landmark.index import LandmarkIndex
from songid_desktop.landmark.match import analyse
from songid_desktop.landmark.peaks import track_peaks
from songid_desktop.landmark.scaled import Kind, Scale, ScaleConfig
from songid_desktop.landmark.scaled_evidence import collect_scaled
from songid_desktop.landmark.scaled_refine import _is_tight
from songid_desktop.landmark.scaled_verify import score_beside, score_elsewhere, search_scaled
from tests.support.landmark_library import DictReader, block
from tests.support.retimed import RATE, retimed

CONFIG = LandmarkConfig()
TRIED = ScaleConfig()
TUNES = 6
SECONDS = 24.0


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    found = LandmarkIndex(tmp_path_factory.mktemp("index"), "landmark", CONFIG)
    found.open(DictReader())
    for n in range(TUNES):
        found.add(n, track_peaks([block(retimed(n, SECONDS))], CONFIG.peaks)[0])
    yield found
    found.close()


def played(n, scale, seconds=8.0, start_s=5.0):
    return retimed(n, seconds, tempo=scale.tempo, pitch=scale.pitch, start_s=start_s)


def look(index, sound, tried=TRIED):
    clip = analyse(sound, CONFIG)
    return search_scaled(index.parts(), clip, CONFIG, tried), clip


def lead(found):
    return found[0].score - max((one.score for one in found[1:]), default=0.0)


factors = st.floats(0.01, 0.06).flatmap(lambda size: st.sampled_from([1 - size, 1 + size]))


@settings(max_examples=12, deadline=None)
@given(
    kind=st.sampled_from(list(Kind)),
    factor=factors,
    n=st.integers(0, TUNES - 1),
    start_s=st.floats(0.0, 12.0),
)
def test_factor_and_place_are_found(index, kind, factor, n, start_s):
    scale = Scale(kind, factor)
    found, _ = look(index, played(n, scale, start_s=start_s))
    best = found[0]
    assert best.track_id == n
    assert best.scale.kind is kind
    # Times alone tell a tempo; frequencies tell a factor far more exactly.
    tolerance = 0.004 if kind is Kind.TEMPO else 0.002
    assert best.scale.factor == pytest.approx(factor, abs=tolerance)
    offset_s = best.candidate.offset_frames * CONFIG.peaks.frame_s
    assert offset_s == pytest.approx(start_s, abs=0.02)
    assert lead(found) > 10


@pytest.mark.parametrize(
    "scale", [Scale(Kind.SPEED, 1.04), Scale(Kind.TEMPO, 0.95), Scale(Kind.PITCH, 2 ** (1 / 12))]
)
def test_half_the_length_is_enough(index, scale):
    found, _ = look(index, played(2, scale, 4.0))
    assert found[0].track_id == 2
    assert found[0].scale.factor == pytest.approx(scale.factor, abs=0.01)


@pytest.mark.parametrize("seed", [901, 902])
@pytest.mark.parametrize("factor", [1.0, 1.03])
def test_an_absent_tune_leads_nobody(index, seed, factor):
    absent, _ = look(index, played(seed, Scale(Kind.SPEED, factor)))
    present, _ = look(index, played(3, Scale(Kind.SPEED, 1.03)))
    assert absent[0].score < 0.6 * present[0].score if absent else True
    assert lead(absent) < 0.5 * lead(present) if absent else True


def test_noise_and_silence_find_nobody(index):
    random = np.random.default_rng(1)
    present, _ = look(index, played(3, Scale(Kind.SPEED, 1.03)))
    for sound in (random.standard_normal(5 * RATE), np.zeros(5 * RATE)):
        found, _ = look(index, sound.astype(np.float32))
        assert not found or found[0].score < 0.4 * present[0].score


@pytest.mark.parametrize("gain", [1e-3, 300.0])
def test_level_changes_nothing(index, gain):
    sound = played(1, Scale(Kind.SPEED, 0.97))
    plain, _ = look(index, sound)
    other, _ = look(index, sound * np.float32(gain))
    assert [one.track_id for one in other] == [one.track_id for one in plain]
    assert other[0].scale.kind is plain[0].scale.kind
    assert other[0].scale.factor == pytest.approx(plain[0].scale.factor, abs=1e-5)
    offsets = [one[0].candidate.offset_frames for one in (plain, other)]
    assert offsets[0] == pytest.approx(offsets[1], abs=1e-3)


def test_a_clip_over_the_tracks_end_is_placed(index):
    found, _ = look(index, played(4, Scale(Kind.SPEED, 1.04), start_s=SECONDS - 5.0))
    assert found[0].track_id == 4
    offset_s = found[0].candidate.offset_frames * CONFIG.peaks.frame_s
    assert offset_s == pytest.approx(SECONDS - 5.0, abs=0.02)


def test_a_removed_track_is_not_found(tmp_path):
    small = LandmarkIndex(tmp_path, "landmark", CONFIG)
    small.open(DictReader())
    for n in (0, 1):
        small.add(n, track_peaks([block(retimed(n, SECONDS))], CONFIG.peaks)[0])
    small.flush()
    small.remove(0)
    found, _ = look(small, played(0, Scale(Kind.SPEED, 1.02)))
    assert all(one.track_id == 1 for one in found)
    small.remove(1)
    assert look(small, played(0, Scale(Kind.SPEED, 1.02)))[0] == []
    small.close()


def test_too_little_sound_finds_nobody(index):
    for count in (0, 1, 900, 1100):
        assert look(index, np.zeros(count, np.float32))[0] == []


def test_a_small_budget_still_finds_what_is_clear(index):
    found, _ = look(index, played(5, Scale(Kind.TEMPO, 1.05)), ScaleConfig(hits=30_000))
    assert found[0].track_id == 5


def test_cancel_ends_it(index):
    cancel = threading.Event()
    cancel.set()
    clip = analyse(played(0, Scale(Kind.SPEED, 1.02)), CONFIG)
    with pytest.raises(Cancelled):
        search_scaled(index.parts(), clip, CONFIG, TRIED, cancel)


def test_every_hypothesis_changes_something():
    scales = TRIED.scales()
    assert all(abs(scale.factor - 1.0) > 1e-3 for scale in scales)
    for kind, reach in ((Kind.SPEED, 0.06), (Kind.TEMPO, 0.05), (Kind.PITCH, 2 ** (1 / 12) - 1)):
        tried = [scale.factor for scale in scales if scale.kind is kind]
        assert min(tried) <= 1 - reach
        assert max(tried) >= 1 + reach
    up = Scale(Kind.PITCH, 2 ** (1 / 12))
    assert (up.tempo, up.pitch, up.semitones) == (1.0, up.factor, pytest.approx(1.0))
    assert (Scale(Kind.TEMPO, 1.1).tempo, Scale(Kind.TEMPO, 1.1).pitch) == (1.1, 1.0)


@pytest.mark.parametrize(
    "scale", [Scale(Kind.SPEED, 1.05), Scale(Kind.TEMPO, 1.05), Scale(Kind.PITCH, 0.95)]
)
def test_evidence_lies_on_the_clips_own_peaks(index, scale):
    found, clip = look(index, played(1, scale))
    shown = collect_scaled(found[0], clip, CONFIG, TRIED)
    asked = set(zip(shown.query_peaks.time_s, shown.query_peaks.freq_hz, strict=True))
    matched = set(zip(shown.matched_peaks.time_s, shown.matched_peaks.freq_hz, strict=True))
    assert matched <= asked
    assert len(matched) > 0.3 * len(asked)
    ends = {(t, f) for t1, f1, t2, f2 in shown.matched_pairs for t, f in ((t1, f1), (t2, f2))}
    assert ends <= matched
    assert len(shown.matched_pairs) > 50
    assert "peaks" in shown.summary


def test_evidence_shows_votes_where_the_clip_begins(index):
    found, clip = look(index, played(1, Scale(Kind.SPEED, 1.04)))
    axis_s, votes = collect_scaled(found[0], clip, CONFIG, TRIED).offset_histogram
    assert axis_s.shape == votes.shape
    assert axis_s[np.argmax(votes)] == pytest.approx(5.0, abs=0.05)


def test_a_wrong_candidate_has_less_to_show(index):
    found, clip = look(index, played(1, Scale(Kind.SPEED, 1.04)))
    right, wrong = (collect_scaled(one, clip, CONFIG, TRIED) for one in (found[0], found[-1]))
    assert len(wrong.matched_pairs) < 0.3 * len(right.matched_pairs)


def test_what_is_right_is_right_at_one_place_and_pitch_only(index):
    found, clip = look(index, played(2, Scale(Kind.SPEED, 0.96)))
    best = found[0]
    assert score_elsewhere(best, clip, CONFIG.peaks) < 0.8 * best.score
    assert score_beside(best, clip, CONFIG.peaks) < 0.5 * best.score


@pytest.mark.parametrize(("spread", "is_tight"), [(0.5, True), (1.5, False)])
def test_only_peaks_that_keep_the_time_say_that_nothing_is_changed(spread, is_tight):
    """Under held tones a peak lies near wherever one is looked for, at any tempo."""
    late = np.random.default_rng(3).uniform(-spread, spread, 200)
    assert _is_tight(late + 0.2) is is_tight
