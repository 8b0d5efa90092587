"""The learned identifiers behind the one interface: verdicts, offsets, evidence, bad input."""

import pickle
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from songid_desktop.errors import Cancelled
from songid_desktop.identify.calibration import MATCH_AT, UNSURE_AT
from songid_desktop.identify.neural import NeuralIdentifier
from songid_desktop.identify.neural_calibration import UNFITTED
from songid_desktop.identify.neural_fingerprinter import NeuralFingerprinter
from songid_desktop.neural import models
from songid_desktop.neural.config import ModelError
from songid_desktop.neural.index import Limits
from songid_desktop.neural.vectors import unpack
from songid_desktop.paths import base_dir_paths
from songid_desktop.types import AudioBlock, Fingerprint, Reason, Verdict
from tests.support.landmark_library import RATE, DictReader, block, tune
from tests.support.neural_library import MODEL, PictureIdentifier, weights_at

TUNES = 8
SECONDS = 25.0


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return weights_at(tmp_path_factory.mktemp("models") / "tiny.safetensors")


@pytest.fixture(scope="module")
def tunes():
    return {n: tune(n, SECONDS) for n in range(TUNES)}


@pytest.fixture(scope="module")
def reader(place, tunes, tmp_path_factory):
    maker = PictureIdentifier("cnn", tmp_path_factory.mktemp("unused"), place)
    found = DictReader()
    for n, sound in tunes.items():
        found.put(n, maker.fingerprint([block(sound)]))
    return found


@pytest.fixture(scope="module")
def identifier(place, reader, tmp_path_factory):
    made = PictureIdentifier("cnn", tmp_path_factory.mktemp("index"), place)
    made.open(reader)
    yield made
    made.close()


@pytest.fixture(scope="module")
def pausing(place, tunes, tmp_path_factory):
    """A library of which one track pauses."""
    maker = PictureIdentifier("cnn", tmp_path_factory.mktemp("unused"), place)
    found = DictReader()
    for n, sound in tunes.items():
        held = sound.copy()
        if n == 0:
            held[5 * RATE : 15 * RATE] = 0.0
        found.put(n, maker.fingerprint([block(held)]))
    made = PictureIdentifier("cnn", tmp_path_factory.mktemp("index"), place)
    made.open(found)
    yield made
    made.close()


@pytest.mark.parametrize("seconds", [2.0, 5.0, 20.0])
def test_silence_is_no_track_that_pauses(pausing, seconds):
    answer = pausing.identify(block(np.zeros(round(seconds * RATE), np.float32)))
    check_whole(answer)
    assert answer.verdict is Verdict.NO_MATCH
    assert answer.matches == ()


@pytest.mark.parametrize("name", ["cnn", "ast", "mert"])
def test_a_shipped_model_says_nothing_of_silence(name, tunes, tmp_path):
    found = models.find(name, base_dir_paths(tmp_path))
    shipped = NeuralIdentifier(name, tmp_path / "index", found)
    rate = found.model().front_end.sample_rate
    hiss = 1e-4 * np.random.default_rng(1).standard_normal(2 * rate).astype(np.float32)
    heard = np.concatenate([hiss, np.zeros(3 * rate, np.float32), 1e3 * hiss])
    lengths = np.linalg.norm(shipped.vectors(heard), axis=1)
    step_s = found.model().hop_s / found.model().query_phases
    begins_s = np.arange(len(lengths)) * step_s
    silent = (begins_s >= 2.0) & (begins_s <= 4.0)
    assert (lengths[silent] == 0.0).all()
    assert lengths[~silent] == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("silent_s", [1.0, 3.0])
def test_silence_before_a_track_is_not_held_against_it(pausing, tunes, silent_s):
    whole = tunes[3][4 * RATE : 9 * RATE]
    silence = np.zeros(round(silent_s * RATE), np.float32)
    later = pausing.identify(block(np.concatenate([silence, whole])))
    check_whole(later)
    assert later.matches[0].track_id == 3
    assert later.matches[0].offset_s == pytest.approx(4.0 - silent_s, abs=0.1)
    alone = pausing.identify(block(whole)).matches[0].score
    assert later.matches[0].score == pytest.approx(alone, abs=0.15)


def noisy(sound, snr_db, seed=1):
    noise = np.random.default_rng(seed).standard_normal(len(sound))
    scale = np.sqrt(np.mean(sound**2) / np.mean(noise**2) * 10 ** (-snr_db / 10))
    return (sound + scale * noise).astype(np.float32)


def check_whole(answer, top=5):
    """What holds for every answer, whatever was heard."""
    assert answer.message
    assert answer.identifier == "cnn"
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


@settings(max_examples=20, deadline=None)
@given(n=st.integers(0, TUNES - 1), start=st.integers(0, 14 * RATE))
def test_any_stretch_of_any_tune_is_found_where_it_is(identifier, tunes, n, start):
    answer = identifier.identify(block(noisy(tunes[n][start : start + 10 * RATE], 30.0)))
    check_whole(answer)
    assert answer.best.track_id == n
    assert answer.best.offset_s == pytest.approx(start / RATE, abs=0.06)
    assert 0.0 < answer.best.offset_error_s < 0.15
    assert answer.verdict in (Verdict.MATCH, Verdict.UNSURE)


@pytest.mark.parametrize("rate", [8000, 11_025, 16_000, 44_100, 48_000, 96_000])
def test_any_rate_will_do(identifier, tunes, rate):
    from songid_desktop.audio.resample import resample

    clip = resample(tunes[3][8 * RATE : 14 * RATE], RATE, rate)
    answer = identifier.identify(block(noisy(clip, 30.0), rate))
    assert answer.best.track_id == 3
    assert answer.best.offset_s == pytest.approx(8.0, abs=0.06)


def test_a_long_clip_is_looked_at_in_several_places(identifier, tunes):
    rest = 1e-3 * np.random.default_rng(0).standard_normal(14 * RATE).astype(np.float32)
    answer = identifier.identify(block(np.concatenate([rest, tunes[6]])))
    check_whole(answer)
    assert answer.best.track_id == 6
    assert answer.best.offset_s == pytest.approx(-14.0, abs=0.1)
    assert answer.heard_s == pytest.approx(39.0)


@pytest.mark.parametrize("semitones", [1.0, -1.0])
def test_a_tune_is_found_a_semitone_away_and_that_is_said(identifier, tunes, semitones):
    from songid_desktop.evaluate.codecs import stretch
    from songid_desktop.evaluate.conditions import change_speed

    factor = 2.0 ** (semitones / 12)
    slower = stretch(tunes[5][6 * RATE : 14 * RATE], RATE, 1.0 / factor, 0)
    clip = change_speed(slower, RATE, factor)
    answer = identifier.identify(block(clip))
    check_whole(answer)
    assert answer.verdict in (Verdict.MATCH, Verdict.UNSURE)
    assert answer.best.track_id == 5
    assert answer.best.offset_s == pytest.approx(6.0, abs=0.15)
    assert answer.best.pitch_semitones == semitones
    assert ("higher" if semitones > 0 else "lower") in answer.message


def test_a_tune_at_its_own_pitch_is_not_called_transposed(identifier, tunes):
    answer = identifier.identify(block(tunes[5][6 * RATE : 14 * RATE]))
    assert answer.best.pitch_semitones is None
    assert "semitone" not in answer.message


def test_the_evidence_is_a_curve_and_a_sentence(identifier, tunes):
    answer = identifier.identify(block(tunes[2][RATE : 6 * RATE]))
    evidence = answer.best.evidence
    time_s, cosine = evidence.similarity_curve
    assert len(time_s) == len(cosine) == 33
    assert time_s[0] == 0.0
    assert time_s[-1] == pytest.approx(4.0)
    assert cosine.mean() == pytest.approx(answer.best.score, abs=0.05)
    assert "5.0 s" in evidence.summary
    assert "above any other recording" in evidence.summary
    assert "below number 1" in answer.matches[1].evidence.summary


def test_music_that_is_not_enrolled_is_not_named(identifier):
    for seed in range(50, 56):
        answer = identifier.identify(block(tune(seed, 10.0)))
        check_whole(answer)
        assert answer.verdict is Verdict.NO_MATCH
        assert answer.matches


@pytest.mark.parametrize("length_s", [0.0, 0.01, 0.5, 0.99])
def test_too_little_sound_is_said_to_be_too_little(identifier, length_s):
    answer = identifier.identify(block(np.zeros(int(length_s * RATE), np.float32)))
    assert answer.verdict is Verdict.NOT_ENOUGH_AUDIO
    assert "At least 1 second" in answer.message


@pytest.mark.parametrize("rate", [8000, 22_050, 44_100, 48_000])
def test_one_second_is_enough(identifier, tunes, rate):
    from songid_desktop.audio.resample import resample

    clip = resample(tunes[4][9 * RATE : 11 * RATE], RATE, rate)[:rate]
    answer = identifier.identify(block(clip, rate))
    check_whole(answer)
    assert answer.best.track_id == 4


def test_nothing_to_compare_with(place, tmp_path, tunes):
    empty = PictureIdentifier("cnn", tmp_path, place)
    assert empty.identify(block(tunes[0])).verdict is Verdict.EMPTY_CATALOG
    empty.open(DictReader())
    assert empty.identify(block(tunes[0])).verdict is Verdict.EMPTY_CATALOG
    assert not empty.refresh()
    empty.close()


@pytest.mark.parametrize(
    "sound",
    [
        np.zeros(5 * RATE),
        np.full(5 * RATE, np.nan),
        np.full(5 * RATE, np.inf),
        np.full(5 * RATE, 1e30),
        np.full(5 * RATE, 1e-30),
        np.ones(5 * RATE),
        np.sign(np.sin(np.arange(5 * RATE) / 10)),
        np.random.default_rng(0).standard_normal(5 * RATE),
    ],
    ids=["zeros", "nan", "inf", "huge", "tiny", "dc", "square", "noise"],
)
def test_sound_that_is_none_gets_an_answer(identifier, sound):
    answer = identifier.identify(block(sound.astype(np.float32)))
    check_whole(answer)
    assert answer.verdict is Verdict.NO_MATCH


def test_a_few_samples_that_are_no_number_do_no_harm(identifier, tunes):
    clip = tunes[5][2 * RATE : 8 * RATE].copy()
    clip[1000:1010] = np.nan
    answer = identifier.identify(block(clip))
    assert answer.best.track_id == 5


def test_a_cancel_is_a_verdict(identifier, tunes):
    cancel = threading.Event()
    cancel.set()
    started = time.monotonic()
    answer = identifier.identify(block(tunes[0]), cancel=cancel)
    assert time.monotonic() - started < 0.2
    assert answer.verdict is Verdict.CANCELLED
    assert not answer.matches


def test_an_enrolment_can_be_ended(identifier, tunes):
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        identifier.fingerprint([block(tunes[0])], cancel)


@pytest.mark.parametrize("top", [0, 1, 3, 20])
def test_as_many_candidates_as_were_asked_for(identifier, tunes, top):
    answer = identifier.identify(block(tunes[0][: 5 * RATE]), top=top)
    assert len(answer.matches) == min(top, TUNES)


def test_a_recording_that_is_there_twice_is_one_answer(place, reader, tunes, tmp_path):
    twice = PictureIdentifier("cnn", tmp_path, place)
    twice.open(reader)
    shifted = tunes[3][RATE // 2 :]
    twice.add(70, twice.fingerprint([block(noisy(shifted, 40.0))]))
    answer = twice.identify(block(noisy(tunes[3][5 * RATE : 12 * RATE], 40.0)))
    check_whole(answer)
    assert {match.track_id for match in answer.matches[:2]} == {3, 70}
    assert answer.verdict in (Verdict.MATCH, Verdict.UNSURE)
    assert "the same recording" in answer.matches[1].evidence.summary
    twice.remove(70)
    assert twice.track_count == TUNES
    twice.close()


def test_fingerprints_of_other_weights_are_refused(identifier, place):
    foreign = Fingerprint("cnn", "other", b"", 1.0)
    with pytest.raises(ValueError, match="does not fit"):
        identifier.add(1, foreign)
    damaged = Fingerprint("cnn", identifier.config_digest, b"xxxx", 1.0)
    with pytest.raises(ValueError, match="too few"):
        identifier.add(1, damaged)


def test_other_weights_have_another_digest(place, tmp_path):
    other = weights_at(tmp_path / "other.safetensors", seed=1)
    one, two = NeuralFingerprinter("cnn", place), NeuralFingerprinter("cnn", other)
    assert one.config_digest != two.config_digest
    assert one.config_digest == NeuralFingerprinter("cnn", place).config_digest


def test_a_track_shorter_than_a_window_can_be_enrolled(identifier):
    for length in (10, RATE // 2, RATE - 1):
        made = identifier.fingerprint([block(tune(1, 2.0)[:length])])
        assert len(unpack(made.payload)) == 1
        assert made.duration_s == pytest.approx(length / RATE)
    assert len(unpack(identifier.fingerprint([]).payload)) == 0


def test_what_is_enrolled_is_small_and_counted(identifier, tunes):
    made = identifier.fingerprint([block(tunes[0])])
    assert made.duration_s == pytest.approx(SECONDS)
    assert len(unpack(made.payload)) == 97
    assert len(made.payload) <= 32_000 * SECONDS / 60 * MODEL.dim / 128 + 100


def test_a_model_that_no_curve_was_fitted_for_names_nothing_for_sure(
    place, reader, tunes, tmp_path
):
    made = PictureIdentifier("cnn", tmp_path, place, calibrated=UNFITTED)
    made.open(reader)
    answer = made.identify(block(tunes[0][: 10 * RATE]))
    assert answer.best.track_id == 0
    assert answer.verdict in (Verdict.UNSURE, Verdict.NO_MATCH)
    made.close()


# -- with a network ---------------------------------------------------------------------------


def test_a_real_network_enrols_and_answers(place, tunes, tmp_path):
    maker = pickle.loads(pickle.dumps(NeuralFingerprinter("cnn", place)))
    real = NeuralIdentifier("cnn", tmp_path, place, limits=Limits())
    reader = DictReader()
    for n in range(3):
        # However it is cut into blocks, and at whatever rate it comes.
        blocks = [
            AudioBlock(tunes[n][at : at + 30_000], RATE, at) for at in range(0, 200_000, 30_000)
        ]
        reader.put(n, maker.fingerprint(blocks))
        assert reader._rows[n][1].payload == maker.fingerprint([block(tunes[n])]).payload
    real.open(reader)
    answer = real.identify(block(tunes[1][: 3 * RATE]))
    check_whole(answer)
    assert answer.best.score > 0.5
    real.save()
    real.close()


def test_weights_that_were_exchanged_are_told_before_an_enrolment(tmp_path):
    place = weights_at(tmp_path / "tiny.safetensors")
    maker = NeuralFingerprinter("cnn", place)
    maker.check()
    data = bytearray(place.path.read_bytes())
    data[-1] ^= 1
    place.path.write_bytes(bytes(data))
    with pytest.raises(ModelError, match="SHA-256"):
        maker.check()
    with pytest.raises(ModelError, match="SHA-256"):
        maker.fingerprint([block(np.zeros(RATE, np.float32))])


def test_making_one_imports_no_tensors(place):
    import subprocess
    import sys

    code = (
        "import sys, pathlib\n"
        "from songid_desktop.neural import models\n"
        "from songid_desktop.paths import base_dir_paths\n"
        "from songid_desktop.identify.neural import NeuralIdentifier\n"
        f"place = models.find({str(place.path)!r}, base_dir_paths(pathlib.Path('/nowhere')))\n"
        "made = NeuralIdentifier('cnn', pathlib.Path('/nowhere'), place)\n"
        "print(made.config_digest, made.sample_rate)\n"
        "assert not {'torch', 'faiss', 'transformers', 'safetensors'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
