"""The report's configuration as an identifier: whole by the protocol, faults and all."""

from __future__ import annotations

import pickle
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from songid_desktop.audio.resample import resample
from songid_desktop.errors import Cancelled
from songid_desktop.identify.calibration import MATCH_AT, UNSURE_AT
from songid_desktop.identify.engine import Engine
from songid_desktop.identify.enrolment import enrol_library
from songid_desktop.identify.report import (
    NAME,
    ReportFingerprinter,
    ReportIdentifier,
    report_fingerprinter,
)
from songid_desktop.landmark.report import ReportConfig
from songid_desktop.types import Fingerprint, Reason, Verdict
from tests.support.cli import write_wav
from tests.support.landmark_library import DictReader, block, tune

RATE = 11_025
HOP_S = 512 / RATE
TUNES = 6
SECONDS = 20.0


@pytest.fixture(scope="module")
def tunes():
    return {n: with_hiss(tune(n, SECONDS, RATE), n) for n in range(TUNES)}


@pytest.fixture(scope="module")
def reader(tunes):
    maker = report_fingerprinter()
    found = DictReader()
    for n, sound in tunes.items():
        found.put(n, maker.fingerprint([block(sound, RATE)]))
    return found


@pytest.fixture(scope="module")
def identifier(reader, tmp_path_factory):
    found = ReportIdentifier(tmp_path_factory.mktemp("index"))
    found.open(reader)
    yield found
    found.close()


def with_hiss(sound, seed, level=3e-3):
    hiss = np.random.default_rng(seed).standard_normal(len(sound))
    return (sound + level * hiss).astype(np.float32)


def check_whole(answer, top=5):
    """What holds for every answer, whatever was heard."""
    assert answer.message
    assert answer.identifier == NAME
    confidences = [match.confidence for match in answer.matches]
    assert sum(confidences) <= 1.0 + 1e-9
    assert all(0.0 <= value <= 1.0 for value in confidences)
    assert confidences == sorted(confidences, reverse=True)
    assert len(answer.matches) <= top
    assert [match.rank for match in answer.matches] == list(range(1, len(confidences) + 1))
    assert len({match.track_id for match in answer.matches}) == len(confidences)
    scores = [match.score for match in answer.matches]
    assert scores == sorted(scores, reverse=True)
    first = confidences[0] if confidences else 0.0
    assert (answer.verdict is Verdict.MATCH) == (first >= MATCH_AT)
    assert (answer.verdict is Verdict.UNSURE) == (UNSURE_AT <= first < MATCH_AT)
    if answer.verdict is Verdict.NO_MATCH:
        assert answer.reason is Reason.NOT_SIMILAR


@settings(max_examples=12, deadline=None)
@given(n=st.integers(0, TUNES - 1), frame=st.integers(0, 200), length_s=st.floats(6.0, 9.0))
def test_a_passage_on_the_tracks_own_frames_is_found_where_it_is(
    identifier, tunes, n, frame, length_s
):
    start = frame * 512
    sound = tunes[n][start : start + round(length_s * RATE)]
    answer = identifier.identify(block(sound, RATE))
    check_whole(answer)
    assert answer.verdict is Verdict.MATCH
    assert answer.best.track_id == n
    assert answer.best.offset_s == pytest.approx(frame * HOP_S, abs=1e-6)
    assert answer.best.offset_error_s == pytest.approx(HOP_S)
    assert answer.timings.total_ms >= answer.timings.match_ms > 0


@settings(max_examples=12, deadline=None)
@given(n=st.integers(0, TUNES - 1), start=st.integers(0, 100_000))
def test_between_the_frames_it_is_still_ranked_first_within_a_hop(identifier, tunes, n, start):
    answer = identifier.identify(block(tunes[n][start : start + 10 * RATE], RATE))
    check_whole(answer)
    assert answer.best.track_id == n
    assert answer.best.offset_s == pytest.approx(start / RATE, abs=1.5 * HOP_S)


@pytest.mark.parametrize("seed", range(60, 66))
def test_what_is_absent_has_few_votes(identifier, tunes, seed):
    answer = identifier.identify(block(with_hiss(tune(seed, 8.0, RATE), seed), RATE))
    check_whole(answer)
    there = identifier.identify(block(tunes[0][512 * 20 : 512 * 20 + 8 * RATE], RATE))
    assert answer.best is None or answer.best.score < 0.1 * there.best.score
    assert answer.verdict is not Verdict.MATCH


def test_another_rate_is_another_world(identifier, tunes):
    """The report hashes bins, not hertz; a clip at another rate agrees by chance only."""
    sound = tunes[2][4 * RATE : 12 * RATE]
    same = identifier.identify(block(sound, RATE))
    other = identifier.identify(block(resample(sound, RATE, 16_000), 16_000))
    check_whole(other)
    assert other.best is None or other.best.score < 0.1 * same.best.score


def test_tracks_of_another_rate_are_found_at_theirs(tmp_path, tunes):
    found = ReportIdentifier(tmp_path)
    found.open(DictReader())
    sound = resample(tunes[1], RATE, 16_000)
    found.add(5, report_fingerprinter().fingerprint([block(sound, 16_000)]))
    start = 512 * 100
    answer = found.identify(block(sound[start : start + 8 * 16_000], 16_000))
    assert (answer.verdict, answer.best.track_id) == (Verdict.MATCH, 5)
    assert answer.best.offset_s == pytest.approx(start / 16_000)
    drawn = answer.query_peaks
    assert drawn.freq_hz.max() <= 8_000
    assert drawn.time_s.max() <= 8.1
    found.close()


def test_level_is_allowed_to_matter_but_the_track_is_found(identifier, tunes):
    sound = tunes[3][512 * 50 : 512 * 50 + 10 * RATE]
    for gain in (0.1, 3.0):
        answer = identifier.identify(block(sound * np.float32(gain), RATE))
        assert answer.best.track_id == 3


def test_a_long_clip_is_looked_at_in_several_places(identifier, tunes):
    strange = with_hiss(tune(99, 130.0, RATE), 99)
    clip = np.concatenate([strange, tunes[4]])
    answer = identifier.identify(block(clip, RATE))
    check_whole(answer)
    assert answer.best.track_id == 4
    assert answer.best.offset_s == pytest.approx(-130.0, abs=1.5 * HOP_S)
    assert answer.best.evidence.matched_peaks.time_s.min() >= 129.0
    assert answer.heard_s == pytest.approx(150.0)


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
    answer = identifier.identify(block(samples, RATE))
    check_whole(answer)
    assert answer.verdict is Verdict.NO_MATCH


def test_too_little_sound_and_an_empty_library(identifier, tunes, tmp_path):
    for count in (0, 1, RATE - 1):
        answer = identifier.identify(block(tunes[0][:count], RATE))
        assert answer.verdict is Verdict.NOT_ENOUGH_AUDIO
    empty = ReportIdentifier(tmp_path)
    empty.open(DictReader())
    assert empty.identify(block(tunes[0], RATE)).verdict is Verdict.EMPTY_CATALOG
    empty.close()


def test_evidence_can_be_drawn(identifier, tunes):
    start = 512 * 60
    answer = identifier.identify(block(tunes[5][start : start + 6 * RATE], RATE))
    proof = answer.best.evidence
    known = set(zip(proof.query_peaks.time_s, proof.query_peaks.freq_hz, strict=True))
    matched = set(zip(proof.matched_peaks.time_s, proof.matched_peaks.freq_hz, strict=True))
    assert matched <= known
    assert len(matched) > 0.5 * len(known)
    ends = {(t, f) for row in proof.matched_pairs for t, f in (row[:2], row[2:])}
    assert ends <= matched
    assert len(proof.matched_pairs) == answer.best.score
    offsets, votes = proof.offset_histogram
    assert offsets[votes.argmax()] == pytest.approx(answer.best.offset_s, abs=1e-3)
    assert votes.max() == answer.best.score
    assert f"{answer.best.score:.0f} of" in proof.summary


def test_top_limits_the_list_and_nothing_else(identifier, tunes):
    clip = block(tunes[5][: 8 * RATE], RATE)
    whole = identifier.identify(clip)
    for top in (0, 1, 2):
        answer = identifier.identify(clip, top=top)
        assert len(answer.matches) == min(top, len(whole.matches))
        assert answer.verdict is whole.verdict
        assert [m.confidence for m in answer.matches] == pytest.approx(
            [m.confidence for m in whole.matches[:top]], abs=0.05
        )


def test_saved_refreshed_and_removed(reader, tunes, tmp_path):
    clip = block(tunes[2][512 * 40 : 512 * 40 + 6 * RATE], RATE)
    first = ReportIdentifier(tmp_path)
    first.open(reader)
    first.save()
    before = [(m.track_id, m.score, m.offset_s) for m in first.identify(clip).matches]
    first.close()
    again = ReportIdentifier(tmp_path)
    again.open(reader)
    assert again.statistics().bytes_in_memory == 0
    assert [(m.track_id, m.score, m.offset_s) for m in again.identify(clip).matches] == before
    again.remove(2)
    assert again.track_count == TUNES - 1
    assert 2 not in [match.track_id for match in again.identify(clip).matches]
    again.close()


def test_the_same_tracks_with_another_fan_share_fingerprints_but_no_index(reader, tmp_path):
    first = ReportIdentifier(tmp_path)
    first.open(reader)
    first.save()
    dense = first.statistics().postings
    first.close()
    other = ReportIdentifier(tmp_path, ReportConfig(fan=15))
    other.open(reader)
    assert other.config_digest == ReportConfig().digest()
    assert other.track_count == TUNES
    assert other.statistics().postings < 0.5 * dense
    other.close()


def test_foreign_and_damaged_fingerprints_are_refused(tmp_path, tunes):
    found = ReportIdentifier(tmp_path)
    found.open(DictReader())
    own = report_fingerprinter().fingerprint([block(tunes[0][: 3 * RATE], RATE)])
    with pytest.raises(ValueError, match="does not fit"):
        found.add(1, Fingerprint("landmark", own.config_digest, own.payload, 1.0))
    with pytest.raises(ValueError, match="does not fit"):
        found.add(1, Fingerprint(NAME, "another", own.payload, 1.0))
    with pytest.raises(ValueError, match="peak list"):
        found.add(1, Fingerprint(NAME, own.config_digest, own.payload[:-1], 1.0))
    assert found.track_count == 0
    found.close()


def test_cancelling(identifier, tunes):
    cancel = threading.Event()
    cancel.set()
    answer = identifier.identify(block(tunes[0], RATE), cancel=cancel)
    assert answer.verdict is Verdict.CANCELLED
    with pytest.raises(Cancelled):
        ReportFingerprinter().fingerprint([block(tunes[0], RATE)], cancel)


def test_the_fingerprinter_travels(tunes):
    maker = report_fingerprinter(ReportConfig(pns=30, fan=15, eth=0.5))
    again = pickle.loads(pickle.dumps(maker))
    sound = block(tunes[1], RATE)
    assert again.fingerprint([sound]) == maker.fingerprint([sound])
    assert (again.name, again.sample_rate) == (NAME, None)
    assert again.config_digest == maker.config_digest != report_fingerprinter().config_digest


def test_named_explicitly_it_is_enrolled_and_asked_like_any_other(paths, tmp_path, tunes):
    for n in range(3):
        write_wav(tmp_path / f"{n}.wav", tunes[n], RATE)
    enrol_library(paths, [tmp_path], ["landmark", "report"], in_process=True)
    clip = block(tunes[1][512 * 30 : 512 * 30 + 8 * RATE], RATE)
    with Engine(paths) as engine:
        answer = engine.identify(clip, "report")
        assert answer.verdict is Verdict.MATCH
        assert answer.best.offset_s == pytest.approx(30 * HOP_S, abs=1e-3)
        assert engine.identify(clip).best.track_id == answer.best.track_id
    assert sorted(folder.name for folder in paths.index.iterdir()) == ["landmark", "report"]
