"""The loop: it learns, it can be stopped anywhere and goes on as if it had not been."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from songid_desktop.errors import EnvironmentProblem, UsageError
from songid_desktop.train import checkpoint
from songid_desktop.train.config import Optimiser, merged
from songid_desktop.train.loop import Training
from songid_desktop.train.schedule import learning_rate
from songid_desktop.train.start import Places, prepare
from songid_desktop.train.validation import Figure
from tests.support.training import MODEL, VALUES


@pytest.fixture
def places(collection: Path, cache: Path, tmp_path: Path) -> Places:
    return Places(collection, tmp_path / "run", cache)


def _prepare(places: Places, changes: Mapping[str, Any], **options: Any) -> Training:
    return prepare(merged(VALUES, changes), places, workers=0, device="cpu", **options)


def _log(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text("utf-8").splitlines()]


def _losses(out: Path) -> dict[int, float]:
    return {entry["step"]: entry["loss"] for entry in _log(out) if "loss" in entry}


def test_training_lowers_the_loss_and_keeps_the_best_weights(places: Places) -> None:
    from songid_desktop.neural.weights import load

    training = _prepare(places, {"steps": 24, "check": {"every_steps": 8}})
    outcome = training.run()
    losses = list(_losses(places.out).values())
    assert sum(losses[-4:]) < sum(losses[:4])
    assert outcome.step == 24
    assert [figure["step"] for figure in outcome.figures] == [8, 16, 24]
    loaded = load(places.out / "best.safetensors", "cnn")
    assert loaded.card.details["steps"] == outcome.best_step
    assert loaded.card.details["data"]["licences"] == {"album0": "CC0", "album1": "CC0"}
    assert loaded.card.details["seed"] == 1


def test_of_weights_that_do_as_well_the_longest_trained_are_kept(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = _prepare(places, {"steps": 8, "check": {"every_steps": 2, "patience": 3}})
    means = iter([0.5, 0.9, 0.9, 0.8])
    monkeypatch.setattr(training.judge, "ask", lambda _encode: Figure({"clean": 1.0}, next(means)))
    outcome = training.run()
    assert outcome.best_step == 6
    assert outcome.step == 8  # a draw is no progress, though: two checks since the best figure
    assert training.state.checks_since_best == 2


@pytest.mark.parametrize("kind", ["shipped", "report"])
def test_an_interrupted_training_goes_on_exactly(places: Places, kind: str) -> None:
    changes: dict[str, Any] = {"steps": 8, "optimiser": {"schedule": "trapezoid"}}
    if kind == "report":
        changes = {
            "steps": 8,
            "model": {
                "architecture": "cnn_enhanced",
                "body": {"channels": [4, 8]},
                "dropout": 0.3,
                "retrieval": "clip",
            },
            "loss": {"alpha": 0.25, "dropout_samples": 2, "learn_temperature": True},
            "optimiser": {"kind": "adam", "schedule": "plateau", "plateau_patience": 0},
        }
    whole = Places(places.data, places.out / "whole", places.cache)
    parts = Places(places.data, places.out / "parts", places.cache)
    expected = _prepare(whole, changes)
    expected.run()

    first = _prepare(parts, changes)
    stop = threading.Event()
    outcome = first.run(lambda progress: stop.set() if progress.step == 5 else None, stop)
    assert outcome.was_stopped
    assert outcome.step == 5
    again = _prepare(parts, changes, resume=True)
    assert again.state.step == 5
    again.run()

    assert _losses(parts.out) == _losses(whole.out)
    assert again.state.figures == expected.state.figures
    for name, value in expected.module.state_dict().items():
        assert torch.equal(value, again.module.state_dict()[name]), name


def test_a_kill_while_writing_leaves_the_checkpoint_before(places: Places) -> None:
    training = _prepare(places, {"steps": 3})
    training.run()
    half = training.checkpoint_path.read_bytes()[:200]
    (places.out / "checkpoint.safetensors.part").write_bytes(half)
    again = _prepare(places, {"steps": 5}, resume=True)
    assert again.state.step == 3
    assert again.run().step == 5


def test_more_steps_may_be_asked_for_but_nothing_else_changed(places: Places) -> None:
    _prepare(places, {"steps": 3}).run()
    with pytest.raises(UsageError, match="loss"):
        _prepare(places, {"steps": 5, "loss": {"temperature": 0.2}}, resume=True)


def test_a_folder_with_a_training_is_not_overwritten(places: Places) -> None:
    _prepare(places, {"steps": 3}).run()
    with pytest.raises(UsageError, match="--resume"):
        _prepare(places, {"steps": 3})


def test_a_checkpoint_of_another_architecture_is_refused(places: Places) -> None:
    _prepare(places, {"steps": 3}).run()
    other = merged(MODEL, {"body": {"channels": [8, 8]}})
    with pytest.raises(UsageError, match="model"):
        _prepare(places, {"steps": 3, "model": other}, resume=True)
    stranger = _prepare(
        Places(places.data, places.out / "other", places.cache), {"steps": 3, "model": other}
    )
    with pytest.raises(UsageError, match="another architecture"):
        checkpoint.load(
            places.out / "checkpoint.safetensors",
            stranger.module,
            stranger.optimiser,
            stranger.loss,
        )


@pytest.mark.parametrize("damage", ["cut", "empty", "other"])
def test_a_damaged_checkpoint_is_a_sentence(places: Places, damage: str) -> None:
    training = _prepare(places, {"steps": 3})
    training.run()
    content = training.checkpoint_path.read_bytes()
    bad = {"cut": content[: len(content) // 2], "empty": b"", "other": b"\x80\x04pickle"}[damage]
    training.checkpoint_path.write_bytes(bad)
    with pytest.raises(EnvironmentProblem, match=r"checkpoint\.safetensors"):
        _prepare(places, {"steps": 5}, resume=True)


def test_other_music_is_noticed(places: Places, tmp_path: Path) -> None:
    from tests.support.training import make_collection

    folder = make_collection(tmp_path / "music", train=4, validation=2)
    moved = Places(folder, places.out, places.cache)
    _prepare(moved, {"steps": 3}).run()
    (folder / "tune0.wav").unlink()
    with pytest.raises(UsageError, match="not what the training began with"):
        _prepare(moved, {"steps": 5}, resume=True)


def test_training_begins_with_given_weights(places: Places) -> None:
    _prepare(places, {"steps": 3}).run()
    best = places.out / "best.safetensors"
    start = Places(places.data, places.out / "next", places.cache, start_from=best)
    begun = _prepare(start, {"steps": 3})
    saved = checkpoint.read_best(places.out / "checkpoint.safetensors")[1]
    first = next(name for name in saved if name.endswith("weight"))
    assert torch.allclose(begun.module.state_dict()[first], saved[first], atol=1e-2)
    other = merged(MODEL, {"body": {"channels": [8, 8]}})
    with pytest.raises(UsageError, match="another architecture"):
        _prepare(start, {"model": other})


@pytest.mark.parametrize("kind", ["relations", "vectors", "alone"])
def test_a_pupil_learns_from_a_teacher(places: Places, kind: str) -> None:
    _prepare(places, {"steps": 3}).run()
    pupil = Places(places.data, places.out / "pupil", places.cache)
    best = str(places.out / "best.safetensors")
    loss: dict[str, Any] = {"distil": best, "distil_weight": 2.0, "distil_kind": kind}
    if kind == "alone":
        loss = {"distil": best, "distil_kind": "vectors", "distil_clean": 0.25}
    training = _prepare(pupil, {"steps": 2, "loss": loss})
    assert training.run().step == 2
    other = merged(MODEL, {"front_end": {"hop": 200}})
    deaf = Places(places.data, places.out / "deaf", places.cache)
    with pytest.raises(UsageError, match="front end"):
        _prepare(deaf, {"model": other, "loss": loss})


def test_it_ends_early_where_nothing_gets_better(places: Places) -> None:
    changes = {"steps": 60, "check": {"every_steps": 2, "patience": 2}}
    training = _prepare(places, merged(changes, {"optimiser": {"learning_rate": 1e-9}}))
    outcome = training.run()
    assert outcome.step < 60
    assert not outcome.was_stopped


def test_a_loss_that_is_no_number_ends_with_a_sentence(places: Places) -> None:
    training = _prepare(places, {"optimiser": {"clip_norm": 0.0}})
    with torch.no_grad():
        next(iter(training.module.parameters())).fill_(float("nan"))
    with pytest.raises(EnvironmentProblem, match="no number"):
        training.run()


def test_worker_processes_make_the_same_batches(places: Places) -> None:
    here = _prepare(places, {"steps": 2})
    here.run()
    out = Places(places.data, places.out / "workers", places.cache)
    there = prepare(merged(VALUES, {"steps": 2}), out, workers=2, device="cpu")
    there.run()
    assert _losses(out.out) == _losses(places.out)


@pytest.mark.parametrize("schedule", ["one_cycle", "trapezoid", "cosine", "plateau", "constant"])
def test_rates_stay_between_nothing_and_the_top(schedule: Any) -> None:
    optimiser = Optimiser(schedule=schedule, learning_rate=1e-3)
    rates = [learning_rate(optimiser, step, 100) for step in range(100)]
    assert min(rates) > 0
    assert max(rates) == pytest.approx(1e-3, rel=0.01)
    if schedule in ("one_cycle", "trapezoid"):
        assert rates[0] < 0.2e-3
    if schedule in ("one_cycle", "trapezoid", "cosine"):
        assert rates[-1] < 0.1e-3
