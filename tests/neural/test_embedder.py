"""Sound to vectors: a stream and the whole agree, phases interleave, levels don't matter, and
nothing waits long for a cancel."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from songid_desktop.errors import Cancelled
from songid_desktop.neural.config import Model
from songid_desktop.neural.embedder import Embedder
from songid_desktop.neural.weights import save
from songid_desktop.types import AudioBlock, FloatArray
from tests.support.encoders import ALL, BASELINE, CNN, ENHANCED, WAVE, encoder, noise

SEQUENCE = {key: ALL[key] for key in ("cnn", "ast", "mert")}
EMBEDDERS = {key: Embedder((encoder(model), model)) for key, model in ALL.items()}


def blocks(sound: FloatArray, cuts: list[int]) -> Iterator[AudioBlock]:
    edges = [0, *sorted(cuts), len(sound)]
    for first, last in pairwise(edges):
        yield AudioBlock(sound[first:last], 8000, first)


@pytest.mark.parametrize("key", SEQUENCE)
def test_one_vector_of_length_one_a_quarter_second(key: str) -> None:
    vectors = EMBEDDERS[key].of_samples(noise(8000 * 5))
    assert vectors.shape == (17, 32)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


@given(data=st.data())
@settings(max_examples=25)
def test_a_stream_gives_what_the_whole_gives(data: st.DataObject) -> None:
    length = data.draw(st.integers(0, 8000 * 30))
    cuts = data.draw(st.lists(st.integers(0, length), max_size=8))
    embedder, sound = EMBEDDERS["cnn"], noise(length)
    parts = list(embedder.stream(blocks(sound, cuts)))
    streamed = np.concatenate(parts) if parts else np.zeros((0, 32), np.float32)
    np.testing.assert_array_equal(streamed, embedder.of_samples(sound))


@pytest.mark.parametrize("hop_s", [0.1, 0.3337, 1.0, 2.5])
def test_so_does_one_at_another_step(hop_s: float) -> None:
    embedder, sound = EMBEDDERS["cnn"], noise(8000 * 40)
    streamed = np.concatenate(list(embedder.stream(blocks(sound, [9000, 200_000]), hop_s=hop_s)))
    np.testing.assert_array_equal(streamed, embedder.of_samples(sound, hop_s))
    starts = np.round(np.arange(len(streamed)) * hop_s * 8000)
    assert starts[-1] + 8000 <= len(sound) < starts[-1] + 8000 + hop_s * 8000 + 1


def test_a_long_track_is_never_held_whole() -> None:
    """Blocks of a stream are let go of: at no time are more than a batch's worth waiting."""
    given_s: list[float] = []

    def endless() -> Iterator[AudioBlock]:
        for second in range(60):
            given_s.append(float(second))
            yield AudioBlock(noise(8000, second), 8000, 8000 * second)

    seen_s = 0.0
    for part in EMBEDDERS["cnn"].stream(endless()):
        seen_s += 0.25 * len(part)
        assert given_s[-1] - seen_s < 16


def test_phases_interleave() -> None:
    embedder, sound = EMBEDDERS["cnn"], noise(8000 * 4)
    both = embedder.of_samples(sound, phases=2)
    # A batch of another shape rounds otherwise: bfloat16 is good for three digits.
    np.testing.assert_allclose(both[0::2], embedder.of_samples(sound), atol=5e-3)
    np.testing.assert_allclose(both[1::2], embedder.of_samples(sound[1000:]), atol=5e-3)


@pytest.mark.parametrize("key", SEQUENCE)
def test_the_level_does_not_matter(key: str) -> None:
    sound = noise(8000 * 3)
    loud, quiet = (EMBEDDERS[key].of_samples(sound * np.float32(g)) for g in (8.0, 0.001))
    assert (loud * quiet).sum(axis=1).min() > 0.999


def test_a_clip_just_short_of_a_window_still_has_a_vector() -> None:
    embedder = EMBEDDERS["cnn"]
    assert embedder.of_samples(noise(7990)).shape == (1, 32)
    assert embedder.of_samples(noise(7000)).shape == (0, 32)
    assert embedder.of_samples(noise(0)).shape == (0, 32)


@pytest.mark.parametrize("model", [ENHANCED, WAVE], ids=["cnn_enhanced", "waveform"])
def test_a_clip_model_looks_at_what_there_is(model: Model) -> None:
    long = replace(model, front_end=replace(model.front_end, window_s=5.0, n_frames=320))
    embedder = Embedder((encoder(long), long))
    for seconds in (1, 2, 5):
        assert embedder.of_samples(noise(8000 * seconds)).shape == (1, 16)
    assert embedder.of_samples(noise(2000)).shape == (0, 16)
    assert len(list(embedder.stream(blocks(noise(16_000), [4000])))) == 1


def test_digital_silence_and_broken_samples_stay_finite() -> None:
    for key in ALL:
        assert np.isfinite(EMBEDDERS[key].of_samples(np.zeros(9000, np.float32))).all()
    broken = noise(9000)
    broken[100:200] = np.nan
    broken[300] = np.inf
    assert np.isfinite(EMBEDDERS["cnn"].of_samples(broken)).all()


def test_a_cancel_is_noticed_between_batches() -> None:
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        EMBEDDERS["cnn"].of_samples(noise(16_000), cancel=cancel)
    with pytest.raises(Cancelled):
        list(EMBEDDERS["cnn"].stream(blocks(noise(16_000), []), cancel))


@pytest.mark.parametrize("model", ALL.values(), ids=ALL)
def test_what_is_prepared_for_speed_computes_the_same(model: Model) -> None:
    module = encoder(model)
    windows = torch.randn(3, *model.front_end.input_shape)
    with torch.inference_mode():
        before = module(windows)
        for bfloat16, least in ((False, 0.99999), (True, 0.99)):
            fast = Embedder((module, model), bfloat16=bfloat16)
            cosines = (before * torch.from_numpy(fast._encoded(windows.numpy()))).sum(dim=1)
            assert cosines.min() > least
        np.testing.assert_array_equal(module(windows), before)  # the given one is untouched


def test_a_file_gives_the_same_vectors_as_its_module(tmp_path: Path) -> None:
    module = encoder(BASELINE)
    save(tmp_path / "m.safetensors", module, BASELINE, {}, "float32")
    sound = noise(8000 * 2)
    np.testing.assert_allclose(
        Embedder(tmp_path / "m.safetensors").of_samples(sound),
        Embedder((module, BASELINE)).of_samples(sound),
        atol=1e-6,
    )


def test_the_module_that_was_given_can_still_be_trained() -> None:
    module = encoder(CNN).train()
    Embedder((module, CNN)).of_samples(noise(9000))
    assert module.training
    module(torch.randn(2, 128, 64)).sum().backward()
    assert all(p.grad is not None for p in module.parameters())
