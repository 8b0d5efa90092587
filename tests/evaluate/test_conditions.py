import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from songid_desktop.audio.levels import measure
from songid_desktop.audio.resample import resample
from songid_desktop.dsp.weighting import a_weighted_level_db
from songid_desktop.errors import UsageError
from songid_desktop.evaluate import conditions
from songid_desktop.evaluate.conditions import (
    ABSENT,
    ALL,
    Stretch,
    change_speed,
    compress,
    generator,
    no_music,
    over_the_phone,
    parse,
    parse_list,
)
from songid_desktop.types import AudioBlock
from tests.support.soundfiles import tune

RATE = 22_050
START_S, LENGTH_S = 3.0, 2.0


class Around:
    """One echo, and hiss."""

    def noise(self, rng, rate, count):
        return (0.1 * rng.standard_normal(count)).astype(np.float32)

    def room(self, rng, rate):
        response = np.zeros(rate // 2, np.float32)
        response[0], response[rate // 5] = 1.0, 0.5
        return response


@pytest.fixture(scope="module")
def track():
    return AudioBlock(tune(8.0, RATE), RATE)


@pytest.fixture
def stretch(track):
    return Stretch(track, round(START_S * RATE), LENGTH_S, Around(), ("a key", 1))


def delay_s(sound, other, rate):
    """How much later `other` is."""
    size = 1 << (len(sound) + len(other)).bit_length()
    product = np.fft.rfft(other, size) * np.conj(np.fft.rfft(sound, size))
    place = int(np.argmax(np.fft.irfft(product, size)))
    return (place - size if place > size // 2 else place) / rate


@pytest.mark.parametrize("name", ALL)
def test_every_condition_gives_a_clip_of_its_length_at_its_place(stretch, name):
    clip = stretch.clip(parse(name))
    assert clip.audio.duration_s == pytest.approx(LENGTH_S, abs=0.01)
    assert clip.start_s == pytest.approx(START_S, abs=0.2)
    assert clip.audio.samples.dtype == np.float32
    assert np.isfinite(clip.audio.samples).all()


@pytest.mark.parametrize("name", ["room0", "white10", "speed+2", "opus12", "pitch-1"])
def test_a_clip_depends_on_its_key_alone(track, name):
    def make(key, *before):
        stretch = Stretch(track, 40_000, LENGTH_S, Around(), key)
        for other in before:
            stretch.clip(parse(other))
        return stretch.clip(parse(name)).audio.samples

    np.testing.assert_array_equal(make(("k", 1)), make(("k", 1), "room10", "white0", "phone"))


def test_another_key_is_another_noise(track):
    clips = [
        Stretch(track, 40_000, LENGTH_S, Around(), ("k", draw)).clip(parse("white0")).audio.samples
        for draw in (0, 1)
    ]
    assert np.abs(clips[0] - clips[1]).max() > 0.01


def test_clean_is_as_decoded(stretch, track):
    clip = stretch.clip(parse("clean"))
    begin = round(START_S * RATE)
    np.testing.assert_array_equal(
        clip.audio.samples, track.samples[begin : begin + round(LENGTH_S * RATE)]
    )


@pytest.mark.parametrize("snr_db", [20, 0, -5, 7.5])
def test_white_noise_has_its_ratio_over_the_whole_band(stretch, snr_db):
    noise = stretch.clip(parse(f"white{snr_db}")).audio.samples - stretch.clean
    ratio_db = 10 * np.log10(np.mean(stretch.clean**2) / np.mean(noise**2))
    assert ratio_db == pytest.approx(snr_db, abs=0.05)


def test_band_noise_has_its_ratio_at_the_identifiers_rate(stretch):
    clip = stretch.clip(parse("bandwhite0"), 8000)
    clean = resample(stretch.clean, RATE, 8000)
    noise = clip.audio.samples - clean
    assert clip.audio.sample_rate == 8000
    assert np.mean(clean**2) == pytest.approx(np.mean(noise**2), rel=0.01)


@pytest.mark.parametrize("snr_db", [10, 0, -5])
def test_rooms_hold_true_reverberation_and_the_ratio_a_listener_hears(stretch, track, snr_db):
    clip = stretch.clip(parse(f"room{snr_db}"))
    begin, count = round(START_S * RATE), round(LENGTH_S * RATE)
    echo = begin - RATE // 5  # the echo of what was played before the clip begins
    wet = track.samples[begin : begin + count] + 0.5 * track.samples[echo : echo + count]
    noise = clip.audio.samples - wet
    found_db = a_weighted_level_db(wet, RATE) - a_weighted_level_db(noise, RATE)
    assert found_db == pytest.approx(snr_db, abs=0.05)


def test_rooms_differ_in_the_level_alone(stretch):
    ten, zero = (stretch.clip(parse(name)).audio.samples for name in ("room10", "room0"))
    five = stretch.clip(parse("room5")).audio.samples
    # All three lie on one line: the same music plus so much of the same noise.
    share = (10**-0.25 - 10**-0.5) / (1 - 10**-0.5)
    np.testing.assert_allclose(five, ten + share * (zero - ten), atol=1e-5)


def test_quiet_and_overdrive_have_their_levels(stretch):
    assert measure(stretch.clip(parse("quiet")).audio.samples).peak_dbfs == pytest.approx(
        -51, abs=0.05
    )
    loud = stretch.clip(parse("overdrive")).audio.samples
    assert np.abs(loud).max() == 1.0
    assert 0.001 < np.mean(np.abs(loud) == 1.0) < 0.9


@pytest.mark.parametrize("name", ["opus12", "mp3_32", "aac32"])
@pytest.mark.parametrize("rate", [44_100, 22_050, 48_000])
def test_codecs_keep_place_and_length(name, rate):
    sound = tune(2.0, rate)
    stretch = Stretch(AudioBlock(sound, rate), 0, 2.0, Around(), ("k",))
    coded = stretch.clip(parse(name)).audio.samples
    assert len(coded) == len(sound)
    assert abs(delay_s(sound, coded, rate)) < 0.001
    loss = np.sqrt(np.mean((coded - sound) ** 2) / np.mean(sound**2))
    assert 0.01 < loss < 0.5


@pytest.mark.parametrize(("name", "share"), [("speed+2", 1.02), ("speed-4", 0.96)])
def test_speed_holds_that_much_more_or_less_of_the_track(track, name, share):
    stretch = Stretch(track, 2 * RATE, LENGTH_S, Around(), ("k",))
    clip = stretch.clip(parse(name))
    heard = track.samples[round(clip.start_s * RATE) :][: round(LENGTH_S * share * RATE)]
    back = change_speed(clip.audio.samples, RATE, 1 / share)[: len(heard)]
    assert len(back) == pytest.approx(len(heard), abs=30)
    assert abs(delay_s(heard, back, RATE)) < 0.0005
    assert np.corrcoef(heard[1000 : len(back) - 1000], back[1000:-1000])[0, 1] > 0.98


@pytest.mark.parametrize(
    ("name", "tempo", "pitch"),
    [
        ("tempo+5", 1.05, 1.0),
        ("tempo-5", 0.95, 1.0),
        ("pitch+1", 1.0, 2 ** (1 / 12)),
        ("pitch-1", 1.0, 2 ** (-1 / 12)),
    ],
)
def test_tempo_and_pitch_change_one_without_the_other(name, tempo, pitch):
    """A steady tone tells the pitch, clicks the tempo and the place."""
    rate = 44_100
    time_s = np.arange(9 * rate) / rate
    sound = (0.02 * np.sin(2 * np.pi * 1000 * time_s)).astype(np.float32)
    random = np.random.default_rng(0)
    grain = random.standard_normal(200) * np.exp(-np.arange(200) / 50)
    places = np.arange(1.0, 8.5, 0.25) + random.uniform(0, 0.1, 30)
    for place in places:
        sound[round(place * rate) :][:200] += grain.astype(np.float32)
    stretch = Stretch(AudioBlock(sound, rate), 2 * rate, 4.0, Around(), ("k",))
    clip = stretch.clip(parse(name))
    heard = clip.audio.samples
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
    near = np.arange(len(spectrum)) * rate / len(heard)
    inside = (near > 850) & (near < 1150)
    assert near[inside][np.argmax(spectrum[inside])] == pytest.approx(1000 * pitch, abs=4)
    errors = []
    for place in places:
        expected = (place - clip.start_s) / tempo
        if 0.1 < expected < 3.8:
            begin = round((expected - 0.06) * rate)
            around = np.abs(np.correlate(heard[begin : begin + round(0.12 * rate)], grain, "valid"))
            errors.append((begin + int(np.argmax(around))) / rate - expected)
    assert abs(float(np.median(errors))) < 0.015
    assert float(np.max(np.abs(errors))) < 0.02


def test_the_phone_passes_its_band_at_eight_kilohertz():
    rate = 44_100
    time_s = np.arange(2 * rate) / rate
    sound = sum(np.sin(2 * np.pi * hz * time_s) for hz in (120, 1000, 3800, 6000))
    heard = over_the_phone(np.asarray(0.1 * sound, np.float32), rate)
    spectrum = np.abs(np.fft.rfft(heard)) / len(heard)
    assert len(heard) == 16_000
    assert spectrum[2000] > 0.03
    assert spectrum[240] < 0.01 * spectrum[2000]
    assert spectrum[7600] < 0.05 * spectrum[2000]


def test_compression_brings_loud_and_soft_nearer():
    rate = 8000
    sound = np.random.default_rng(0).standard_normal(4 * rate).astype(np.float32)
    sound[: 2 * rate] *= 0.1
    pressed = compress(sound, rate)
    before = np.std(sound[2 * rate :]) / np.std(sound[: 2 * rate])
    after = np.std(pressed[2 * rate :]) / np.std(pressed[:rate])
    assert after < 0.5 * before
    assert np.std(pressed) == pytest.approx(np.std(sound), rel=0.01)


def test_near_the_end_a_faster_clip_begins_earlier(track):
    stretch = Stretch(track, 6 * RATE, 2.0, Around(), ("k",))
    clip = stretch.clip(parse("speed+4"))
    assert clip.start_s == pytest.approx(8.0 - 2.08, abs=0.001)
    assert clip.audio.duration_s == pytest.approx(2.0, abs=0.001)


@given(st.integers(0, 1000))
def test_silence_is_quiet_and_a_tone_is_not(key):
    silence = no_music(parse("silence"), 0.5, 8000, (key,))
    tone = no_music(parse("tone"), 0.5, 8000, (key,))
    assert measure(silence.samples).rms_dbfs < -55
    assert measure(tone.samples).rms_dbfs > -30
    assert len(silence.samples) == len(tone.samples) == 4000


def test_groups_stand_for_their_names():
    assert tuple(one.name for one in parse_list("absent")) == ABSENT
    assert tuple(one.name for one in parse_list("all")) == (*ALL, *ABSENT)
    assert [one.name for one in parse_list("clean, room0,clean")] == ["clean", "room0"]
    assert all(parse(name).is_absent for name in ABSENT)
    assert not any(parse(name).is_absent for name in ALL)


@pytest.mark.parametrize("name", [*ALL, *ABSENT, "white-5", "absent_phone"])
def test_every_condition_can_be_said(name):
    words = parse(name).words
    assert words
    assert not set("{}") & set(words)


@pytest.mark.parametrize("name", ["loud", "white", "speed", "room1e9", "", "absent_", "room٣"])
def test_an_unknown_condition_lists_the_known_ones(name):
    with pytest.raises(UsageError, match="room-5"):
        parse_list(name)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("white999", "decibels from -60 to 60"),
        ("absent_room-61", "decibels from -60 to 60"),
        ("speed+90", "per cent from -"),
        ("speed+0", "but 0"),
        ("pitch+40", "semitones from -"),
        ("opus1", "whole kbit/s from "),
        ("opus12.5", "whole kbit/s from "),
    ],
)
def test_a_condition_out_of_range_tells_the_range(name, said):
    with pytest.raises(UsageError, match="out of range") as refused:
        parse_list(name)
    assert said in str(refused.value)
    assert name in str(refused.value)


def test_the_ends_of_every_range_can_be_said():
    for name in ("white60", "room-60", "opus6", "opus256", "speed+0.5", "pitch-1"):
        assert parse(name).name == name


def test_random_numbers_come_from_the_key_alone():
    assert generator("a", 1).random() == generator("a", 1).random()
    assert generator("a", 1).random() != generator("a1").random()
    assert conditions.MOST_STRETCH >= 1.2
