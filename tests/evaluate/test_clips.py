import csv
import wave

import numpy as np
import pytest

from songid_desktop.dsp.weighting import a_weighted_level_db
from songid_desktop.evaluate.clips import Surroundings, degrade, draw_start, tracks
from songid_desktop.types import AudioBlock

RATE = 16_000


def write_wave(path, samples):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((np.clip(samples, -1, 1) * 32_767).astype("<i2").tobytes())


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    random = np.random.default_rng(1)
    write_wave(folder / "rain.wav", 0.1 * random.standard_normal(3 * RATE))
    write_wave(folder / "other.wav", 0.1 * random.standard_normal(RATE))
    echo = np.zeros(RATE // 2)
    echo[100], echo[100 + RATE // 5] = 0.5, 0.25
    write_wave(folder / "room.wav", echo)
    with (folder / "noise_rooms.csv").open("w", newline="", encoding="utf-8") as file:
        rows = [("rain.wav", "noise", "train"), ("other.wav", "noise", "eval")]
        csv.writer(file).writerows(
            [("path", "kind", "split"), *rows, ("room.wav", "room", "train")]
        )
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        rows = [("a.ogg", "query"), ("b.ogg", "absent"), ("c.ogg", "query")]
        csv.writer(file).writerows([("path", "role"), *rows])
    return folder


@pytest.fixture(scope="module")
def track():
    time_s = np.arange(12 * RATE) / RATE
    sound = 0.3 * np.sin(2 * np.pi * 700 * time_s) * (time_s > 2.0)
    return AudioBlock(sound.astype(np.float32), RATE)


WHERE = slice(6 * RATE, 10 * RATE)


def test_roles_are_read(corpus):
    assert tracks(corpus, ["query"]) == ["a.ogg", "c.ogg"]


def test_clean_is_as_it_is(corpus, track):
    around = Surroundings(corpus, "train")
    clip = degrade(track, WHERE, "clean", around, np.random.default_rng(0))
    np.testing.assert_array_equal(clip, track.samples[WHERE])


@pytest.mark.parametrize("snr_db", [20, 0, -5])
def test_white_noise_has_the_stated_ratio(corpus, track, snr_db):
    around = Surroundings(corpus, "train")
    clip = degrade(track, WHERE, f"white{snr_db}", around, np.random.default_rng(0))
    noise = clip - track.samples[WHERE]
    ratio_db = 10 * np.log10(np.mean(track.samples[WHERE] ** 2) / np.mean(noise**2))
    assert ratio_db == pytest.approx(snr_db, abs=0.05)


@pytest.mark.parametrize("snr_db", [10, 0, -5])
def test_rooms_are_levelled_as_a_listener_hears(corpus, track, snr_db):
    around = Surroundings(corpus, "train")
    clip = degrade(track, WHERE, f"room{snr_db}", around, np.random.default_rng(0))
    # The room's direct sound and echo, with the past before the clip.
    wet = 0.5 * track.samples[WHERE] + 0.25 * track.samples[6 * RATE - RATE // 5 :][: 4 * RATE]
    noise = clip - wet
    found_db = a_weighted_level_db(wet, RATE) - a_weighted_level_db(noise, RATE)
    assert found_db == pytest.approx(snr_db, abs=0.3)


def test_silence_is_not_drawn(track):
    random = np.random.default_rng(0)
    starts = [draw_start(track.samples, RATE, random) for _ in range(50)]
    assert min(starts) > RATE
    assert draw_start(np.zeros(5 * RATE, np.float32), RATE, random) is None
