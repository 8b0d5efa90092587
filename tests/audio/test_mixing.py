"""Frames of every sample format come out at the same level, mono or stereo."""

from __future__ import annotations

import numpy as np
import pytest

from songid_desktop.audio.mixing import Batch, Layout

FORMATS = ["u8", "s16", "s32", "flt", "dbl", "u8p", "s16p", "s32p", "fltp", "dblp"]
SCALE = {"u8": 127, "s16": 32_767, "s32": 2**31 - 1, "flt": 1, "dbl": 1}
DTYPE = {"u8": np.uint8, "s16": np.int16, "s32": np.int32, "flt": np.float32, "dbl": np.float64}


def frame(sides: np.ndarray, name: str) -> object:
    """A libav frame of `sides`, shape (channels, n)."""
    import av

    kind = name.removesuffix("p")
    stored = np.round(sides * SCALE[kind]) if SCALE[kind] > 1 else sides
    stored = (stored + 128 if kind == "u8" else stored).astype(DTYPE[kind])
    if not name.endswith("p"):
        stored = stored.T.reshape(1, -1)
    layout = {1: "mono", 2: "stereo", 3: "2.1", 6: "5.1"}[len(sides)]
    return av.AudioFrame.from_ndarray(np.ascontiguousarray(stored), name, layout)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("channels", [1, 2, 3, 6])
def test_mono_is_the_mean(name: str, channels: int) -> None:
    sides = np.random.default_rng(1).uniform(-1, 1, (channels, 700))
    batch = Batch(Layout(name, channels, 48_000))
    batch.add(frame(sides[:, :300], name))
    batch.add(frame(sides[:, 300:], name))
    assert (batch.frames, batch.samples) == (2, 700)
    tolerance = 0.02 if name.startswith("u8") else 1e-4
    assert np.allclose(batch.mono(), sides.mean(axis=0), atol=tolerance)


@pytest.mark.parametrize("name", FORMATS)
def test_stereo_keeps_its_sides(name: str) -> None:
    sides = np.random.default_rng(2).uniform(-1, 1, (2, 100))
    batch = Batch(Layout(name, 2, 48_000))
    batch.add(frame(sides, name))
    tolerance = 0.02 if name.startswith("u8") else 1e-4
    assert np.allclose(batch.stereo(), sides.T, atol=tolerance)


def test_stereo_of_mono_is_twice_the_same() -> None:
    sound = np.random.default_rng(3).uniform(-1, 1, (1, 100))
    batch = Batch(Layout("fltp", 1, 48_000))
    batch.add(frame(sound, "fltp"))
    assert np.allclose(batch.stereo(), np.stack([sound[0], sound[0]], axis=1))


def test_stereo_of_surround_keeps_everything_and_does_not_clip() -> None:
    sides = np.ones((6, 50))
    batch = Batch(Layout("fltp", 6, 48_000))
    batch.add(frame(sides, "fltp"))
    assert np.allclose(batch.stereo(), 1.0)
    sides[:2] = 0.0
    batch = Batch(Layout("fltp", 6, 48_000))
    batch.add(frame(sides, "fltp"))
    assert np.allclose(batch.stereo(), 4 / 6)
