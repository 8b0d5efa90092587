import pickle

import numpy as np
import pytest
from scipy.signal import butter, sosfilt

from songid_desktop.errors import AudioFileError, UsageError
from songid_desktop.evaluate import backgrounds
from songid_desktop.evaluate.acoustics import (
    DRR_RANGE_DB,
    RATE_HZ,
    direct_to_reverberant_db,
    draw_room,
    impulse_response,
)
from songid_desktop.evaluate.surroundings import make_scene, stretch_of
from tests.support.music import write_short_tunes


@pytest.fixture(scope="module")
def rooms():
    return [draw_room(3, number) for number in range(10)]


def test_rooms_are_those_of_the_protocol(rooms):
    for room in rooms:
        ratio_db = direct_to_reverberant_db(impulse_response(room, RATE_HZ), RATE_HZ)
        assert DRR_RANGE_DB[0] <= ratio_db <= DRR_RANGE_DB[1]
        assert 0.3 <= room.reverberation_s <= 1.2
        assert 0.5 <= room.distance_m <= 7.0
    assert max(room.distance_m for room in rooms) > 4.0
    assert draw_room(3, 4) == rooms[4]
    assert draw_room(4, 4) != rooms[4]


@pytest.mark.parametrize("rate", [48_000, 44_100, 22_050])
def test_a_response_begins_with_the_direct_sound_and_dies_away(rooms, rate):
    for room in rooms[:5]:
        response = impulse_response(room, rate)
        assert response[0] == pytest.approx(1.0, abs=0.05)
        assert len(response) == pytest.approx(1.05 * 1.15 * room.reverberation_s * rate, rel=0.01)
        half = len(response) // 2
        assert np.sum(response[half:] ** 2) < 1e-2 * np.sum(response[:half] ** 2)


def test_sound_falls_by_sixty_decibels_in_the_stated_time(rooms):
    for room in rooms[:5]:
        response = impulse_response(room, RATE_HZ)
        band = butter(4, (350, 700), "bandpass", fs=RATE_HZ, output="sos")
        energy = np.cumsum((sosfilt(band, response[1:]) ** 2)[::-1])[::-1]
        level_db = 10 * np.log10(energy / energy[0])
        first, last = (int(np.argmax(level_db < level)) for level in (-8, -30))
        found_s = 60 / 22 * (last - first) / RATE_HZ
        assert found_s == pytest.approx(room.reverberation_s, rel=0.35)


def test_backgrounds_are_made_from_kind_and_seed_alone():
    for kind in backgrounds.KINDS:
        one, again, other = (
            backgrounds.background.__wrapped__(kind, seed, 16_000, 1.0) for seed in (1, 1, 2)
        )
        np.testing.assert_array_equal(one, again)
        assert not np.array_equal(one, other)
        assert len(one) == 16_000
        assert 0.05 < np.std(one) < 0.15


def test_without_recordings_everything_is_generated_and_said_so():
    scene, other = make_scene("eval"), make_scene("train")
    assert "generated" in scene.backgrounds_are
    assert "image-source" in scene.rooms_are
    assert not {room.name for room in scene.rooms} & {room.name for room in other.rooms}
    assert pickle.loads(pickle.dumps(scene)) == scene
    response = scene.room(np.random.default_rng(0), 16_000)
    assert response[0] == pytest.approx(1.0, abs=0.05)


def test_given_folders_come_first(tmp_path):
    write_short_tunes(tmp_path / "noise", 2, 1.0)
    write_short_tunes(tmp_path / "rooms", 1, 1.0)
    scene = make_scene(noise_dir=tmp_path / "noise", rooms_dir=tmp_path / "rooms")
    assert [sound.name for sound in scene.backgrounds] == ["tune 000.wav", "tune 001.wav"]
    assert "--noise-dir" in scene.backgrounds_are
    noise = scene.noise(np.random.default_rng(0), 11_025, 40_000)
    assert len(noise) == 40_000
    response = scene.room(np.random.default_rng(0), 11_025)
    assert np.argmax(np.abs(response)) == 0


def test_short_recordings_are_repeated(tmp_path):
    write_short_tunes(tmp_path, 1, 0.5)
    (sound,) = make_scene(noise_dir=tmp_path).backgrounds
    heard = stretch_of(sound, np.random.default_rng(0), 11_025, 20_000)
    np.testing.assert_array_equal(heard[:100], heard[len(sound.at(11_025)) :][:100])


def test_a_recording_that_is_none_is_named(tmp_path):
    (tmp_path / "hum.wav").write_bytes(b"no sound" * 100)
    with pytest.raises(AudioFileError, match=r"hum\.wav"):
        make_scene(noise_dir=tmp_path)
    with pytest.raises(AudioFileError, match=r"hum\.wav"):
        make_scene(rooms_dir=tmp_path)


def test_a_recording_that_breaks_later_is_named(tmp_path):
    write_short_tunes(tmp_path, 1, 0.5)
    scene = make_scene(noise_dir=tmp_path)
    next(tmp_path.glob("*.wav")).write_bytes(b"no sound" * 100)
    with pytest.raises(AudioFileError, match=r"can't be used"):
        scene.noise(np.random.default_rng(0), 8000, 100)


def test_the_corpus_lists_its_own(tmp_path):
    write_short_tunes(tmp_path / "noise", 2, 1.0)
    (tmp_path / "noise_rooms.csv").write_text(
        "path,kind,split\nnoise/tune 000.wav,noise,train\nnoise/tune 001.wav,noise,eval\n"
        "gone.wav,room,eval\n"
    )
    scene = make_scene("eval", corpus=tmp_path)
    assert [sound.name for sound in scene.backgrounds] == ["noise/tune 001.wav"]
    assert "noise_rooms.csv" in scene.backgrounds_are
    assert "generated" in scene.rooms_are


def test_folders_without_sound_are_refused(tmp_path):
    with pytest.raises(UsageError, match="no folder"):
        make_scene(noise_dir=tmp_path / "nowhere")
    with pytest.raises(UsageError, match="no recordings"):
        make_scene(noise_dir=tmp_path)
