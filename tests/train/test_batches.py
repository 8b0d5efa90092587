"""Batches: a function of seed and step, of pairs that belong together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from songid_desktop.neural.config import model_from_dict
from songid_desktop.train.batches import Batches
from songid_desktop.train.config import from_json, merged
from songid_desktop.train.data import Music
from songid_desktop.train.scenery import load_scenery
from tests.support.training import MODEL, RATE, VALUES


def _batches(music: Music, collection: Path, **changes: Any) -> Batches:
    train = from_json(merged(VALUES, changes))
    front_end = model_from_dict(MODEL).front_end
    cache = collection.parent / "scenery"
    sizes = (RATE, front_end.n_samples, RATE)
    scenery = load_scenery(train, *sizes, cache=cache, corpus=collection)
    return Batches(music, scenery.around, train, front_end)


def test_a_batch_depends_on_seed_and_step_alone(music: Music, collection: Path) -> None:
    one, other = _batches(music, collection), _batches(music, collection)
    later = [one.make(step) for step in (0, 1, 2)][2]
    alone = other.make(2)
    np.testing.assert_array_equal(later.anchors, alone.anchors)
    np.testing.assert_array_equal(later.replicas, alone.replicas)
    np.testing.assert_array_equal(later.labels, alone.labels)
    assert not np.array_equal(other.make(3).replicas, alone.replicas)
    reseeded = _batches(music, collection, seed=9).make(2)
    assert not np.array_equal(reseeded.replicas, alone.replicas)


def test_tracks_come_once_where_there_are_enough(music: Music, collection: Path) -> None:
    batch = _batches(music, collection).make(0)
    assert batch.anchors.shape == batch.replicas.shape == (8, 16, 16)
    assert sorted(batch.labels) == list(range(8))
    twice = _batches(music, collection, batch=20).make(0)
    assert len(twice.labels) == 20
    assert set(twice.labels) <= set(range(8))


def test_only_training_tracks_are_learned_from(music: Music, collection: Path) -> None:
    batches = _batches(music, collection)
    assert {track.role for track in batches.tracks} == {"train"}


def test_a_replica_resembles_its_own_anchor(music: Music, collection: Path) -> None:
    gentle = {"degrade": {"noise_db": [30.0, 30.0], "room_p": 0.0, "shift_s": 0.0}}
    quiet_masks = {"masks": {"equalise_p": 0.0, "time_p": 0.0, "frequency_p": 0.0, "codec_p": 0.0}}
    batch = _batches(music, collection, **gentle, **quiet_masks).make(1)
    anchors = batch.anchors.reshape(8, -1).astype(np.float32)
    replicas = batch.replicas.reshape(8, -1).astype(np.float32)
    nearest = (replicas @ anchors.T).argmax(axis=1)
    assert (nearest == np.arange(8)).mean() >= 0.85


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_batches_can_be_drawn_from_few_albums(music: Music, collection: Path, share: float) -> None:
    batches = _batches(music, collection, batch=4, group_share=share)
    albums = [
        len({batches.tracks[number].group for number in batches.make(step).labels})
        for step in range(12)
    ]
    assert min(albums) == 1


def test_positives_may_be_any_other_place_of_the_track(music: Music, collection: Path) -> None:
    batch = _batches(music, collection, degrade={"positives": "same_track"}).make(0)
    assert np.isfinite(batch.replicas.astype(np.float32)).all()
