import pickle
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from songid_desktop.identify.calibration import MATCH_AT, UNSURE_AT
from songid_desktop.identify.landmark import (
    LandmarkFingerprinter,
    LandmarkIdentifier,
    landmark_fingerprinter,
)
from songid_desktop.landmark.config import LandmarkConfig, PeakConfig
from songid_desktop.types import AudioBlock, Fingerprint, Reason, Verdict
from tests.support.landmark_library import RATE, DictReader, block, tune

TUNES = 8
SECONDS = 25.0


@pytest.fixture(scope="module")
def tunes():
    return {n: tune(n, SECONDS) for n in range(TUNES)}


@pytest.fixture(scope="module")
def identifier(tunes, tmp_path_factory):
    maker = landmark_fingerprinter()
    reader = DictReader()
    for n, sound in tunes.items():
        reader.put(n, maker.fingerprint([block(sound)]))
    found = LandmarkIdentifier(tmp_path_factory.mktemp("index"))
    found.open(reader)
    yield found
    found.close()


def noisy(sound, snr_db, seed=1):
    noise = np.random.default_rng(seed).standard_normal(len(sound))
    scale = np.sqrt(np.mean(sound**2) / np.mean(noise**2) * 10 ** (-snr_db / 10))
    return (sound + scale * noise).astype(np.float32)


def check_whole(answer, top=5):
    """What holds for every answer, whatever was heard."""
    assert answer.message
    assert answer.identifier == "landmark"
    confidences = [match.confidence for match in answer.matches]
    assert sum(confidences) <= 1.0 + 1e-9
    assert all(0.0 <= value <= 1.0 for value in confidences)
    assert len(answer.matches) <= top
    assert [match.rank for match in answer.matches] == list(range(1, len(confidences) + 1))
    assert len({match.track_id for match in answer.matches}) == len(confidences)
    first = confidences[0] if confidences else 0.0
    assert confidences == sorted(confidences, reverse=True)
    assert (answer.verdict is Verdict.MATCH) == (first >= MATCH_AT)
    assert (answer.verdict is Verdict.UNSURE) == (UNSURE_AT <= first < MATCH_AT)
    if answer.verdict is Verdict.NO_MATCH:
        assert answer.reason is Reason.NOT_SIMILAR


@settings(max_examples=25, deadline=None)
@given(n=st.integers(0, TUNES - 1), start=st.integers(0, 14 * RATE))
def test_any_stretch_of_any_tune_is_found_where_it_is(identifier, tunes, n, start):
    answer = identifier.identify(block(noisy(tunes[n][start : start + 10 * RATE], 20.0)))
    check_whole(answer)
    assert answer.verdict is Verdict.MATCH
    assert answer.best.track_id == n
    assert answer.best.offset_s == pytest.approx(start / RATE, abs=0.03)
    assert answer.best.offset_error_s < 0.05


def test_offsets_have_little_bias(identifier, tunes):
    """Bare plucked notes die away as in a room, and are taken for that: the worst there is."""
    random = np.random.default_rng(4)
    errors = []
    for n, sound in tunes.items():
        for start in random.integers(0, 18 * RATE, 6):
            answer = identifier.identify(block(noisy(sound[start : start + 5 * RATE], 30.0)))
            if answer.best and answer.best.track_id == n:
                errors.append(answer.best.offset_s - start / RATE)
    assert len(errors) >= 40
    assert np.median(np.abs(errors)) < 0.02
    assert np.percentile(np.abs(errors), 95) < 0.03


@pytest.mark.parametrize("rate", [8000, 11_025, 16_000, 44_100, 48_000, 96_000])
def test_any_rate_will_do(identifier, tunes, rate):
    from songid_desktop.audio.resample import resample

    clip = resample(tunes[3][8 * RATE : 14 * RATE], RATE, rate)
    answer = identifier.identify(block(noisy(clip, 20.0), rate))
    assert answer.best.track_id == 3
    assert answer.best.offset_s == pytest.approx(8.0, abs=0.03)


@settings(max_examples=10, deadline=None)
@given(gain_db=st.floats(-90.0, 40.0))
def test_level_does_not_matter(identifier, tunes, gain_db):
    clip = noisy(tunes[2][5 * RATE : 10 * RATE], 20.0)
    plain = identifier.identify(block(clip))
    scaled = identifier.identify(block(clip * np.float32(10 ** (gain_db / 20))))
    assert scaled.best.track_id == plain.best.track_id == 2
    assert scaled.best.score == pytest.approx(plain.best.score, rel=0.05)


def test_a_clip_that_begins_before_the_track(identifier, tunes):
    clip = np.concatenate([noisy(np.full(4 * RATE, 1e-3, np.float32), 0.0), tunes[1][: 6 * RATE]])
    answer = identifier.identify(block(clip))
    assert answer.best.track_id == 1
    assert answer.best.offset_s == pytest.approx(-4.0, abs=0.05)


def test_a_clip_that_goes_on_after_the_track(identifier, tunes):
    clip = np.concatenate([tunes[1][-6 * RATE :], np.zeros(5 * RATE, np.float32)])
    answer = identifier.identify(block(clip))
    assert answer.best.track_id == 1
    assert answer.best.offset_s == pytest.approx(SECONDS - 6.0, abs=0.05)


def test_a_long_file_is_named_by_any_of_its_stretches(identifier, tunes):
    strange = tune(99, 40.0)
    answer = identifier.identify(block(np.concatenate([strange, tunes[4]])))
    check_whole(answer)
    assert answer.best.track_id == 4
    assert answer.best.offset_s == pytest.approx(-40.0, abs=0.05)
    assert answer.heard_s == pytest.approx(65.0)
    times = answer.best.evidence.matched_peaks.time_s
    assert times.min() >= 39.9


@pytest.mark.parametrize("seed", range(100, 106))
def test_absent_tunes_are_not_matched(identifier, seed):
    answer = identifier.identify(block(tune(seed, 8.0)))
    check_whole(answer)
    assert answer.verdict is not Verdict.MATCH


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(5 * RATE),
        np.full(5 * RATE, np.nan),
        np.full(5 * RATE, np.inf),
        np.full(5 * RATE, 3e38),
        np.ones(5 * RATE),
        np.sin(2 * np.pi * 440 * np.arange(5 * RATE) / RATE),
        np.random.default_rng(0).standard_normal(5 * RATE),
        np.eye(1, 5 * RATE, 9000)[0],
    ],
    ids=["zeros", "nan", "inf", "huge", "constant", "tone", "noise", "click"],
)
def test_what_is_no_music_gets_an_honest_answer(identifier, samples):
    answer = identifier.identify(block(samples))
    check_whole(answer)
    assert answer.verdict is Verdict.NO_MATCH


def test_too_little_sound(identifier, tunes):
    for count in (0, 1, RATE // 2, RATE - 1):
        answer = identifier.identify(block(tunes[0][:count]))
        assert answer.verdict is Verdict.NOT_ENOUGH_AUDIO
        assert answer.message
    assert identifier.identify(block(tunes[0][:RATE])).verdict is not Verdict.NOT_ENOUGH_AUDIO


def test_an_empty_library(tmp_path, tunes):
    empty = LandmarkIdentifier(tmp_path)
    empty.open(DictReader())
    assert empty.identify(block(tunes[0])).verdict is Verdict.EMPTY_CATALOG
    empty.close()


def test_a_library_of_one(tmp_path, tunes):
    reader = DictReader()
    reader.put(7, landmark_fingerprinter().fingerprint([block(tunes[0])]))
    alone = LandmarkIdentifier(tmp_path)
    alone.open(reader)
    found = alone.identify(block(noisy(tunes[0][RATE : 6 * RATE], 20.0)))
    assert (found.verdict, found.best.track_id) == (Verdict.MATCH, 7)
    for seed in range(40, 44):
        assert alone.identify(block(tune(seed, 5.0))).verdict is not Verdict.MATCH
    alone.close()


def test_the_same_recording_twice_is_still_answered(tmp_path, tunes):
    maker = landmark_fingerprinter()
    reader = DictReader()
    for n, sound in tunes.items():
        reader.put(n, maker.fingerprint([block(sound)]))
    # Another encoding of number 2: a little noise, and a lead-in of its own.
    other = np.concatenate([np.zeros(3333, np.float32), noisy(tunes[2], 25.0)])
    reader.put(50, maker.fingerprint([block(other)]))
    double = LandmarkIdentifier(tmp_path)
    double.open(reader)
    answer = double.identify(block(noisy(tunes[2][6 * RATE : 12 * RATE], 20.0)))
    check_whole(answer)
    assert answer.verdict is Verdict.MATCH
    assert {match.track_id for match in answer.matches[:2]} == {2, 50}
    assert "more than once" in answer.message
    assert "same recording" in answer.matches[1].evidence.summary
    double.close()


def test_evidence_can_be_drawn(identifier, tunes):
    clip = noisy(tunes[5][3 * RATE : 9 * RATE], 20.0)
    answer = identifier.identify(block(clip))
    proof = answer.best.evidence
    assert proof.summary
    known = set(zip(proof.query_peaks.time_s, proof.query_peaks.freq_hz, strict=True))
    matched = set(zip(proof.matched_peaks.time_s, proof.matched_peaks.freq_hz, strict=True))
    assert matched <= known
    assert len(matched) >= 0.25 * len(known)
    assert len(proof.matched_pairs) >= 20
    ends = {(t, f) for row in proof.matched_pairs for t, f in (row[:2], row[2:])}
    assert ends <= known
    offsets, votes = proof.offset_histogram
    assert offsets[votes.argmax()] == pytest.approx(answer.best.offset_s, abs=0.07)
    assert proof.query_peaks.time_s.max() <= 6.0


def test_top_limits_the_list(identifier, tunes):
    clip = block(tunes[5][3 * RATE : 9 * RATE])
    assert len(identifier.identify(clip, top=2).matches) == 2
    assert identifier.identify(clip, top=1).verdict is Verdict.MATCH


def test_cancelled_before_it_began(identifier, tunes):
    cancel = threading.Event()
    cancel.set()
    assert identifier.identify(block(tunes[0]), cancel=cancel).verdict is Verdict.CANCELLED


def test_the_same_clip_gets_the_same_answer(identifier, tunes):
    clip = block(noisy(tunes[6][:40_000], 5.0))
    one, two = identifier.identify(clip), identifier.identify(clip)
    assert [(m.track_id, m.score, m.offset_s) for m in one.matches] == [
        (m.track_id, m.score, m.offset_s) for m in two.matches
    ]


def test_add_and_remove_without_a_catalog(tmp_path, tunes):
    maker = landmark_fingerprinter()
    found = LandmarkIdentifier(tmp_path)
    found.open(DictReader())
    found.add(3, maker.fingerprint([block(tunes[3])]))
    clip = block(tunes[3][:40_000])
    assert found.identify(clip).best.track_id == 3
    found.remove(3)
    assert found.track_count == 0
    assert found.identify(clip).verdict is Verdict.EMPTY_CATALOG
    foreign = Fingerprint("landmark", "other", b"", 1.0)
    with pytest.raises(ValueError, match="does not fit"):
        found.add(1, foreign)
    found.close()


def test_the_fingerprinter_travels():
    maker = landmark_fingerprinter()
    again = pickle.loads(pickle.dumps(maker))
    sound = tune(1, 3.0)
    assert again.fingerprint([block(sound)]) == maker.fingerprint([block(sound)])
    assert again.config_digest == maker.config_digest
    assert (again.name, again.sample_rate) == ("landmark", 8000)


def test_digests_tell_configurations_apart():
    plain = LandmarkConfig()
    other = LandmarkConfig(peaks=PeakConfig(density_hz=31.0))
    assert plain.digest() == LandmarkConfig().digest()
    assert plain.digest() != other.digest()
    assert plain.index_digest() != other.index_digest()


def test_fingerprints_are_small():
    found = LandmarkFingerprinter().fingerprint([block(tune(1, 60.0))])
    assert len(found.payload) <= 11_500  # a minute: peaks and ridges
    assert found.duration_s == pytest.approx(60.0)


def test_audio_blocks_may_be_read_only(identifier, tunes):
    samples = tunes[0][:40_000].copy()
    samples.flags.writeable = False
    assert identifier.identify(AudioBlock(samples, RATE)).verdict is Verdict.MATCH


def held(pitches_hz, seconds, seed=3):
    """Tones that begin together and go on."""
    random = np.random.default_rng(seed)
    time_s = np.arange(int(seconds * RATE)) / RATE
    tones = [np.sin(2 * np.pi * (hz * time_s + random.random())) for hz in pitches_hz]
    return (0.2 * np.sum(tones, axis=0)).astype(np.float32)


@pytest.mark.parametrize("pitches_hz", [(440.0,), (440.0, 660.0)])
def test_a_held_tone_is_no_track_with_that_note_in_it(tmp_path, tunes, pitches_hz):
    maker, reader = landmark_fingerprinter(), DictReader()
    organ = tunes[0] * 0.3 + held(pitches_hz, SECONDS, seed=8)[: len(tunes[0])]
    for n, sound in {**tunes, 0: organ}.items():
        reader.put(n, maker.fingerprint([block(sound)]))
    library = LandmarkIdentifier(tmp_path)
    library.open(reader)
    try:
        answer = library.identify(block(held(pitches_hz, 10.0)))
        check_whole(answer)
        assert answer.verdict is Verdict.NO_MATCH
        played = library.identify(block(organ[3 * RATE : 8 * RATE]))
        assert played.verdict is Verdict.MATCH
        assert played.best.track_id == 0
    finally:
        library.close()
