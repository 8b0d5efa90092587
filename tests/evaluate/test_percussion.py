import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from songid_desktop.evaluate.percussion import separate

RATE = 22_050


def tone(seconds, hz):
    time = np.arange(round(seconds * RATE)) / RATE
    return np.sin(2 * np.pi * hz * time).astype(np.float32)


def clicks(seconds, every_s):
    random = np.random.default_rng(1)
    made = np.zeros(round(seconds * RATE), np.float32)
    for start in range(0, len(made) - 200, round(every_s * RATE)):
        made[start : start + 200] += random.standard_normal(200).astype(np.float32)
    return made


def energy(samples):
    return float(np.sum(samples.astype(np.float64) ** 2))


@settings(max_examples=10, deadline=None)
@given(seconds=st.floats(0.3, 3.0), hz=st.floats(200, 2_000), every_s=st.floats(0.1, 0.5))
def test_both_parts_together_are_the_recording(seconds, hz, every_s):
    music = tone(seconds, hz) + clicks(seconds, every_s)
    tones, drums = separate(music, RATE)
    assert len(tones) == len(drums) == len(music)
    np.testing.assert_allclose(tones + drums, music, atol=1e-5)


def test_tones_go_to_one_side_and_clicks_to_the_other():
    held, struck = tone(4.0, 440.0), clicks(4.0, 0.25)
    tones, drums = separate(held + struck, RATE)
    inside = slice(RATE // 2, -RATE // 2)
    assert energy((tones - held)[inside]) < 0.15 * energy(held[inside])
    assert energy((drums - struck)[inside]) < 0.25 * energy(struck[inside])


def test_silence_has_no_parts():
    tones, drums = separate(np.zeros(RATE, np.float32), RATE)
    assert not tones.any()
    assert not drums.any()
