"""Everything that a training can be told, as frozen values with a JSON form.

A training is one `Train`: the encoder, what is done to the music, the loss, the optimiser and how
long. Unknown names and impossible values in a file are a `UsageError` that says which.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from songid_desktop.errors import UsageError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Degrade:
    """How replicas are made from the music: waveform augmentation. `_p` are probabilities.

    The defaults are what the shipped encoders learn from; `none`, `light` and `heavy` in
    `presets.py` are the report's.
    """

    shift_s: float = 0.15
    """A replica begins up to so much earlier or later than its anchor."""
    positives: Literal["shifted", "same_track"] = "shifted"
    """``same_track``: any other place of the track, as the report pairs them."""
    room_p: float = 0.65
    room_shorter_p: float = 0.33
    """Of the rooms: decay shortened."""
    made_rooms: int = 120
    """Generated rooms beside the recorded ones."""
    made_noise: bool = True
    """Generated backgrounds beside the recorded ones; without recorded ones there are no others."""
    noise_p: float = 0.85
    noise_db: tuple[float, float] = (-10.0, 14.0)
    """Music over background, A-weighted."""
    white_share: float = 0.25
    speed_p: float = 0.12
    speed: float = 0.02
    pitch_p: float = 0.06
    pitch_speed: float = 0.06
    """Largest change of speed that stands for a change of pitch: 6 % is a semitone."""
    phone_p: float = 0.08
    band_p: float = 0.12
    overdrive_p: float = 0.05
    overdrive_db: tuple[float, float] = (0.0, 18.0)
    compress_p: float = 0.08
    gain_p: float = 0.0
    gain_db: tuple[float, float] = (-50.0, 0.0)


@dataclass(frozen=True, slots=True)
class Masks:
    """What happens to the log-mel frames: SpecAugment, an equaliser, a coarse codec."""

    equalise_p: float = 0.8
    equalise_db: float = 1.0
    """Standard deviation of the step from one mel band to the next."""
    codec_p: float = 0.08
    time_p: float = 0.3
    time_share: float = 0.2
    """Longest stretch of frames blanked, as a share of the window."""
    frequency_p: float = 0.3
    frequency_share: float = 0.2
    warp_p: float = 0.0
    warp_share: float = 0.05
    """Furthest that the middle of a window is moved in time."""
    anchors_too: bool = False
    """Mask both views, as the report does; else anchors stay as the catalog has them."""


@dataclass(frozen=True, slots=True)
class Loss:
    """``L_InfoNCE + alpha (L_CE1 + L_CE2)``, with what may be added."""

    temperature: float = 0.05
    learn_temperature: bool = False
    alpha: float = 0.0
    """Weight of the classification of both views by track; 0 leaves it out."""
    label_smoothing: float = 0.0
    dropout_samples: int = 1
    """Multi-sample dropout in the classification head: average over so many masks."""
    distil: str = ""
    """Weights file of a stronger encoder whose vectors are imitated (``shipped/cnn`` is the one
    that came along); empty for none."""
    distil_kind: Literal["relations", "vectors"] = "relations"
    """``vectors`` draws both views to the teacher's vectors of the clean windows, as if those were
    the catalog; ``relations`` imitates only who resembles whom, and allows another dimension."""
    distil_weight: float = 1.0
    distil_clean: float = -1.0
    """From 0 to 1: learn from the teacher's vectors alone, from one view of each pair (half the
    work of a step): the clean one in this share of the pairs, else the degraded one. Below 0 both
    views are encoded and compared with each other too."""


@dataclass(frozen=True, slots=True)
class Optimiser:
    kind: Literal["adam", "adamw"] = "adamw"
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    schedule: Literal["one_cycle", "trapezoid", "cosine", "plateau", "constant"] = "one_cycle"
    """``trapezoid`` stays at the top until its cool-down, so that the number of steps may still be
    changed when a training goes on."""
    warmup_share: float = 0.15
    cooldown_share: float = 0.35
    plateau_patience: int = 2
    """Checks without a better figure before the rate is divided."""
    plateau_factor: float = 0.5
    clip_norm: float = 2.0
    """Largest norm of the gradient; 0 leaves it as it is."""
    average: float = 0.0
    """Share of the old that each step keeps in a running average of the weights, which is then
    what is judged and exported; 0 for none."""


@dataclass(frozen=True, slots=True)
class Check:
    """How the present weights are judged: retrieval among held-out tracks."""

    every_steps: int = 100
    queries: int = 240
    length_s: float = 2.0
    noise_db: tuple[float, ...] = (0.0, -5.0)
    """Levels of the backgrounds in the rooms that the queries are heard in."""
    distractors: int = 200
    """Training tracks that stand in the catalog beside the validation tracks."""
    most_s: float = 90.0
    """Of each track in that catalog."""
    patience: int = 0
    """Checks without a better figure before the training ends; 0 goes on."""


@dataclass(frozen=True, slots=True)
class Train:
    """One training from beginning to end."""

    model: Mapping[str, Any] = field(default_factory=dict)
    """The encoder: the fields of `neural.config.Model`, beginning with ``name``."""
    batch: int = 192
    """Pairs in a step; every other pair in it is a negative."""
    steps: int = 1500
    epochs: float = 0.0
    """Instead of `steps`: an epoch shows `windows_per_track` windows of each training track."""
    windows_per_track: float = 1.0
    seed: int = 1
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    group_share: float = 0.0
    """Share of a batch drawn from few albums together: negatives that sound alike."""
    most_tracks: int = 0
    """Learn from no more than so many tracks; 0 takes all."""
    degrade: Degrade = Degrade()
    masks: Masks = Masks()
    loss: Loss = Loss()
    optimiser: Optimiser = Optimiser()
    check: Check = Check()
    note: str = ""
    """What this training is, in words, for the model card."""

    def to_json(self) -> dict[str, Any]:
        return typing.cast("dict[str, Any]", json.loads(json.dumps(dataclasses.asdict(self))))

    def digest(self) -> str:
        """Changes with every value."""
        text = json.dumps(self.to_json(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def from_json(values: Mapping[str, Any]) -> Train:
    """A training from its JSON form; what is not said keeps its default."""
    train = _build(Train, values, "")
    _check(train)
    return train


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the values of `changes`, group by group."""
    result = dict(base)
    for name, value in changes.items():
        if isinstance(value, Mapping) and isinstance(result.get(name), Mapping):
            result[name] = merged(result[name], value)
        else:
            result[name] = value
    return result


def read(path: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises
    ------
    UsageError
        When there is no file, or it holds no JSON object.
    """
    try:
        values = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise UsageError(f"There is no file {path}.") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UsageError(f"{path} can't be read as JSON: {error}.") from None
    if not isinstance(values, dict):
        raise UsageError(f"{path} holds no JSON object with the values of a training.")
    return values


def _build(kind: type[T], values: Any, where: str) -> T:
    if not isinstance(values, Mapping):
        raise UsageError(f"“{where}” must be a group of values, not {values!r}.")
    hints = typing.get_type_hints(kind)
    unknown = sorted(set(values) - set(hints))
    if unknown:
        raise UsageError(
            f"There is no training value “{where}{unknown[0]}”. There are: {', '.join(hints)}."
        )
    given = {name: _convert(hints[name], values[name], where + name) for name in values}
    return kind(**given)


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin = typing.get_origin(hint)
    if dataclasses.is_dataclass(hint):
        return _build(typing.cast("type[Any]", hint), value, f"{where}.")
    if origin is Literal:
        return _one_of(typing.get_args(hint), value, where)
    if origin is tuple:
        return _numbers(typing.get_args(hint), value, where)
    if hint in (int, float):
        return _number(hint, value, where)
    wanted = {bool: "true or false", str: "a text"}.get(hint, "a group of values")
    kind = hint if origin is None else Mapping
    if not isinstance(value, kind):
        raise _wrong(where, value, wanted)
    return value


def _one_of(choices: tuple[Any, ...], value: Any, where: str) -> Any:
    if value not in choices:
        raise _wrong(where, value, "one of " + ", ".join(map(str, choices)))
    return value


def _numbers(kinds: tuple[Any, ...], value: Any, where: str) -> tuple[float, ...]:
    is_list = isinstance(value, list | tuple)
    if not is_list or (kinds[-1] is not Ellipsis and len(value) != len(kinds)):
        raise _wrong(where, value, "a list of numbers")
    return tuple(_number(float, part, where) for part in value)


def _number(kind: type, value: Any, where: str) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or (kind is int and int(value) != value):
        raise _wrong(where, value, "a number" if kind is float else "a whole number")
    return typing.cast("float", kind(value))


def _wrong(where: str, value: Any, wanted: str) -> UsageError:
    return UsageError(f"The training value “{where}” must be {wanted}, not {value!r}.")


def _check(train: Train) -> None:
    """What types can't say."""
    for group in (train.degrade, train.masks):
        for entry in dataclasses.fields(group):
            value = getattr(group, entry.name)
            if entry.name.endswith("_p") and not 0.0 <= value <= 1.0:
                raise _wrong(entry.name, value, "a probability between 0 and 1")
    loss = train.loss
    if loss.distil_clean >= 0 and not (loss.distil and loss.distil_kind == "vectors"):
        raise UsageError(
            "The training value “loss.distil_clean” needs a teacher (“loss.distil”) and "
            "“loss.distil_kind” “vectors”."
        )
    positive = {
        "batch": train.batch - 1,
        "loss.temperature": train.loss.temperature,
        "optimiser.learning_rate": train.optimiser.learning_rate,
        "steps or epochs": max(train.steps, train.epochs),
        "check.every_steps": train.check.every_steps,
        "loss.dropout_samples": train.loss.dropout_samples,
    }
    for name, value in positive.items():
        if not value > 0:
            raise UsageError(
                f"The training value “{name}” is too small: "
                + ("a batch needs two pairs or more." if name == "batch" else "it must be over 0.")
            )
