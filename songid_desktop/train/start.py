"""A training made ready from values: its config, music, rooms, judge and folder.

The folder's ``config.json`` says all that is needed to go on: values, model, places.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from songid_desktop import locks
from songid_desktop.errors import EnvironmentProblem, UsageError
from songid_desktop.neural.config import Head, Model, model_from_dict
from songid_desktop.paths import resource
from songid_desktop.train import checkpoint
from songid_desktop.train.collection import Collected, collected
from songid_desktop.train.config import Loss, Train, from_json
from songid_desktop.train.data import Music, Progress, load_music
from songid_desktop.train.export import CHECKPOINT, CONFIG, details, usable
from songid_desktop.train.loop import Training
from songid_desktop.train.scenery import load_scenery
from songid_desktop.train.validation import Figure, Judge
from songid_desktop.types import CancelToken

BEST = "best.safetensors"
_LOCK = ".training.lock"
_SHIPPED = "shipped/"
_MAY_CHANGE = ("steps", "epochs", "check", "note", "precision")
"""Values that a training may go on with although it began with others."""


@dataclass(frozen=True, slots=True)
class Places:
    """Folders of a training. `start_from` is a weights file, or a pretrained model's folder."""

    data: Path
    out: Path
    cache: Path
    noise: Path | None = None
    rooms: Path | None = None
    start_from: Path | None = None


@contextmanager
def taken(out: Path) -> Iterator[None]:
    """Keep other trainings out of a folder: two would write over each other's checkpoint.

    Raises
    ------
    EnvironmentProblem
        While another training is at work in it, or when it can't be written.
    """
    with ExitStack() as held:
        try:
            held.enter_context(locks.hold(out / _LOCK, "songid train", is_required=False))
        except locks.Held as refused:
            raise EnvironmentProblem(
                f"{out} is being written by {refused.holder}. Give another --out, or wait until "
                "that is done; what it has learned so far is not touched."
            ) from None
        except OSError as error:
            raise EnvironmentProblem(
                f"{out} can't be written: {error.strerror or error}. Give another --out."
            ) from error
        yield


def use_threads(threads: int) -> None:
    """Compute with so many threads; 0 leaves it to torch, which takes every core."""
    if threads:
        torch.set_num_threads(threads)


def own_values(out: Path) -> dict[str, Any]:
    """The values that the training in a folder was begun with.

    Raises
    ------
    UsageError
        When there is no training to go on with.
    """
    return _begun(out).config


def _begun(out: Path) -> checkpoint.State:
    if not (out / CHECKPOINT).is_file():
        raise UsageError(
            f"{out} holds no checkpoint to go on from. Start there without --resume, or name the "
            "folder of the training."
        )
    return checkpoint.read_state(out / CHECKPOINT)


def prepare(
    values: Mapping[str, Any],
    places: Places,
    *,
    resume: bool = False,
    device: str = "auto",
    workers: int = 1,
    jobs: int = 1,
    command: str = "",
    progress: Progress | None = None,
    cancel: CancelToken | None = None,
) -> Training:
    """Everything up to the first step.

    Raises
    ------
    UsageError
        Impossible values, a folder with no usable audio, a folder that holds another training.
    EnvironmentProblem
        A checkpoint or a model that can't be read, a device that is not there.
    """
    train = from_json(values)
    model = _model(train, places.start_from)
    if (places.out / CHECKPOINT).exists() and not resume:
        raise UsageError(
            f"{places.out} holds a training already. --resume goes on with it; another --out "
            "begins anew."
        )
    begun = _begun(places.out) if resume else None
    if begun is not None:
        _compare(begun, train)
    used = _device(device)
    music = load_music(
        places.data,
        model.front_end.sample_rate,
        places.cache,
        jobs=jobs,
        most_tracks=train.most_tracks,
        progress=progress,
        cancel=cancel,
    )
    if begun is not None:
        _same_music(begun, music, places)
    training = _training(
        train, _with_classes(model, train, music), music, places, device=used, workers=workers
    )
    if resume:
        training.resume()
        training.state.config = train.to_json()
    words = collected(places.data, music, training.scenery.words)
    _write_config(places, training, words, command)
    training.on_best = _Exporter(places.out / BEST, words, command)
    return training


def _model(train: Train, start_from: Path | None) -> Model:
    """The encoder; of a pretrained checkpoint its own sizes and sound, with a new head."""
    model = model_from_dict(dict(train.model))
    if start_from is None or not start_from.is_dir():
        return model
    from songid_desktop.neural.geometry import describe

    given = describe(start_from)
    if given.name != model.name:
        raise UsageError(f"{start_from} is a model of the kind {given.name}, not {model.name}.")
    head: Head = "attention" if model.head == "attention" else "mean"
    return replace(given, head=head, dim=model.dim, dropout=model.dropout)


def _training(
    train: Train, model: Model, music: Music, places: Places, *, device: str, workers: int
) -> Training:
    rate, window = music.sample_rate, model.front_end.n_samples
    clip = max(window, round(train.check.length_s * rate))
    scenery = load_scenery(
        train,
        rate,
        window,
        clip,
        cache=places.cache,
        corpus=places.data,
        noise_dir=places.noise,
        rooms_dir=places.rooms,
    )
    judge = Judge(music, scenery.check, model, train.check, train.seed)
    teacher = None
    if train.loss.distil:
        teacher = _teacher(train.loss, model)
    return Training(
        train,
        model,
        music,
        scenery=scenery,
        judge=judge,
        out=places.out,
        device=device,
        workers=workers,
        teacher=teacher,
        start_from=None if places.start_from is None else first_weights(places.start_from, model),
    )


def _with_classes(model: Model, train: Train, music: Music) -> Model:
    """The report's classification needs one class for each training track."""
    classes = len(music.part("train")) if train.loss.alpha else 0
    if classes and model.architecture == "cnn_fingerprint":
        raise UsageError(
            "The shipped CNN has no classification head, so “loss.alpha” must be 0 for it; the "
            "report's encoders (cnn_baseline, cnn_enhanced, ast, mert) have one."
        )
    samples = train.loss.dropout_samples if model.dropout else 1
    return replace(model, n_classes=classes, dropout_samples=samples)


def _device(name: str) -> str:
    has_cuda = torch.cuda.is_available()
    if name == "auto":
        return "cuda" if has_cuda else "cpu"
    if name.startswith("cuda") and not has_cuda:
        raise EnvironmentProblem(
            "There is no graphics processor that this installation can train on. --device cpu "
            "trains on the processor."
        )
    return name


def _compare(state: checkpoint.State, train: Train) -> None:
    """A training goes on as what it was."""
    now = train.to_json()
    # Values that a newer version knows had their defaults.
    for name, value in from_json(state.config).to_json().items():
        if name not in _MAY_CHANGE and now[name] != value:
            raise UsageError(
                f"The training was begun with another “{name}”; it can't go on with a different "
                "one. Leave --config, --preset and --set away to go on as it was, or begin anew in "
                "another folder."
            )


def _same_music(state: checkpoint.State, music: Music, places: Places) -> None:
    if state.data_digest != music.digest:
        raise UsageError(
            f"The music in {places.data} is not what the training began with, so it can't go on "
            "with the same steps. Begin anew in another folder, with --from and the best weights "
            f"so far ({places.out / BEST}) to keep what was learned."
        )


def _write_config(places: Places, training: Training, words: Collected, command: str) -> None:
    places.out.mkdir(parents=True, exist_ok=True)
    whole = {
        "train": training.train.to_json(),
        "model": asdict(training.model),
        "collected": words.described(),
        "command": command,
        "data": str(places.data),
    }
    part = places.out / f"{CONFIG}.part"
    part.write_text(json.dumps(whole, indent=2, ensure_ascii=False) + "\n", "utf-8")
    part.replace(places.out / CONFIG)


class _Exporter:
    """Writes the best weights so far, ready for use, whenever there are better ones."""

    def __init__(self, target: Path, words: Collected, command: str) -> None:
        self._target, self._words, self._command = target, words, command

    def __call__(self, training: Training, _figure: Figure) -> None:
        from songid_desktop.neural.weights import save

        module, bare = usable(training.model, training.best)
        save(self._target, module, bare, details(training.state, self._words, self._command))


# -- weights to begin with ------------------------------------------------------------------------


def first_weights(source: Path, model: Model) -> dict[str, Tensor]:
    """Weights of another model that fit this one; what does not (a new head) begins at random.

    Raises
    ------
    UsageError
        When the two have nothing in common.
    """
    from songid_desktop.neural.pretrained import open_model

    given, other = open_model(source)
    wanted = _shapes(model)
    found = given.state_dict()
    fits = {
        name: value.clone()
        for name, value in found.items()
        if name in wanted and wanted[name] == tuple(value.shape)
    }
    encoder = [name for name in wanted if not name.startswith(("head.", "classifier."))]
    if not encoder or not all(name in fits for name in encoder if "num_batches" not in name):
        raise UsageError(
            f"{source} is of another architecture or size ({other.architecture}) than the encoder "
            f"to be trained ({model.architecture}). The training must have the same sizes; only "
            "the head may differ."
        )
    return fits


def _shapes(model: Model) -> dict[str, tuple[int, ...]]:
    from songid_desktop.neural.build import build

    with torch.device("meta"):
        return {name: tuple(value.shape) for name, value in build(model).state_dict().items()}


def _teacher(loss: Loss, model: Model) -> nn.Module:
    source = Path(loss.distil)
    if loss.distil.startswith(_SHIPPED):
        source = resource("models", loss.distil.removeprefix(_SHIPPED) + ".safetensors")
    from songid_desktop.neural.pretrained import open_model

    module, other = open_model(source)
    if other.front_end != model.front_end:
        raise UsageError(
            f"{source} listens to other windows than the encoder to be trained, so it can't teach "
            "it. Both need the same front end."
        )
    if loss.distil_kind == "vectors" and other.dim != model.dim:
        raise UsageError(
            f"{source} gives vectors of {other.dim} numbers, the encoder to be trained "
            f"{model.dim}: “loss.distil_kind” must be “relations” for that."
        )
    return module
