"""Every choice of a learned identifier in frozen values, and the digest that names what it enrols.

`FrontEnd` takes sound to what the encoder looks at, a *body* gives the encoder's sizes, `Model`
ties them together. All of it travels as JSON inside the weights file, so that a file explains
itself; a small model and the official geometry differ in these numbers and in nothing else.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from typing import Any, Literal, TypeVar, get_args

from songid_desktop.errors import EnvironmentProblem

FORMAT_VERSION = 1
"""Of the arithmetic between sound and vector; part of the digest, so a change of the code that
moves the vectors counts too."""

FrontEndKind = Literal["logmel", "fbank", "waveform"]
Name = Literal["cnn", "ast", "mert"]
Architecture = Literal["cnn_fingerprint", "cnn_baseline", "cnn_enhanced", "ast", "mert"]
Head = Literal["divide_encode", "mean", "attention", "none"]
Retrieval = Literal["sequence", "clip"]

_T = TypeVar("_T")


class ModelError(EnvironmentProblem):
    """A model can't be used as it is: missing, damaged, or of another architecture."""


@dataclass(frozen=True, slots=True)
class FrontEnd:
    """From sound to the encoder's input.

    ``logmel`` is ours: centred frames over a window of exactly `window_s`, natural logarithm above
    a floor relative to the window, standardised by the window itself. ``fbank`` is the filter bank
    that AST was pretrained on. ``waveform`` hands the samples on (MERT).
    """

    kind: FrontEndKind = "logmel"
    sample_rate: int = 8000
    window_s: float = 1.0
    n_fft: int = 1024
    frame_samples: int = 1024
    """Length of the analysis window (Hann); zero-padded to `n_fft`."""
    hop: int = 125
    """Samples from frame to frame. Where it divides the step between windows, overlapping windows
    share their frames: four times fewer transforms at 0.25 s."""
    n_mels: int = 128
    n_frames: int = 64
    f_min: float = 60.0
    f_max: float = 3700.0
    """Hz; above, the resampling filter to 8 kHz has closed."""
    floor: float = 1e-6
    """Of ``logmel``: power below this share of the window's mean is as good as none (-60 dB)."""
    standardise: bool = True
    """Mean 0 and deviation 1 over each window: the level of the sound can't matter."""
    mean: float = 0.0
    deviation: float = 1.0
    """Fixed normalisation where `standardise` is off: (x - mean) / deviation."""

    def __post_init__(self) -> None:
        if min(self.sample_rate, self.window_s, self.deviation) <= 0 or self.n_samples < 1:
            raise ModelError(
                f"A window of {self.window_s} s at {self.sample_rate} Hz, deviation"
                f" {self.deviation}, is nothing to look at."
            )
        if self.kind == "waveform":
            return
        if min(self.hop, self.n_mels, self.n_frames, self.frame_samples) < 1:
            raise ModelError(
                f"Frames of {self.frame_samples} samples every {self.hop}, {self.n_frames} of them"
                f" with {self.n_mels} bands, make no picture."
            )
        if not self.frame_samples <= min(self.n_fft, self.n_samples):
            raise ModelError(
                f"Frames of {self.frame_samples} samples fit neither a transform of {self.n_fft}"
                f" nor a window of {self.n_samples}; they must fit both."
            )
        if not 0 <= self.f_min < self.f_max <= self.sample_rate / 2:
            raise ModelError(
                f"Bands from {self.f_min} to {self.f_max} Hz do not lie between 0 and half of"
                f" {self.sample_rate} Hz."
            )

    @property
    def n_samples(self) -> int:
        """Samples of a window."""
        return round(self.window_s * self.sample_rate)

    @property
    def pad_samples(self) -> int:
        """Samples by which the first frame begins before the window (counted as silence); negative
        where it begins inside."""
        return ((self.n_frames - 1) * self.hop + self.frame_samples - self.n_samples) // 2

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one window as the encoder sees it."""
        if self.kind == "waveform":
            return (self.n_samples,)
        return (self.n_mels, self.n_frames)


@dataclass(frozen=True, slots=True)
class CnnBody:
    """Sizes of a convolutional encoder."""

    channels: tuple[int, ...] = (24, 48, 96, 160, 256)
    strides: tuple[tuple[int, int], ...] = ((4, 2), (2, 2), (2, 2), (2, 2), (1, 2))
    """(mel, time) step of each stage of `CnnFingerprint`. Four mel bands at once in the first stage
    halve the cost of the whole against two; the last stage keeps what that loses."""
    stem_kernel: tuple[int, int] = (7, 5)
    """(mel, time) kernel of the first stage's step; all others are 3 × 3."""


@dataclass(frozen=True, slots=True)
class TransformerBody:
    """Sizes of a transformer encoder: AST (patches of a log-mel picture) or HuBERT (waveform, or
    mel frames where `conv_channels` is empty). Defaults are our small ones."""

    hidden: int = 192
    layers: int = 3
    attention_heads: int = 3
    intermediate: int = 768
    layer_norm_eps: float = 1e-12
    patch: int = 16
    """AST: side of a patch, mel bands and frames alike."""
    frequency_stride: int = 16
    time_stride: int = 16
    conv_channels: tuple[int, ...] = ()
    """HuBERT: channels of the waveform front end's convolutions; none means that mel frames go
    straight to the encoder."""
    conv_kernels: tuple[int, ...] = ()
    conv_strides: tuple[int, ...] = ()
    conv_bias: bool = False
    conv_norm: Literal["group", "layer"] = "group"
    position_kernel: int = 32
    """HuBERT: kernel and groups of the convolution that stands for positions."""
    position_groups: int = 16
    stable_layer_norm: bool = False
    """HuBERT: normalise before each sub-layer (as the large variants) instead of after."""
    picture_channels: tuple[int, ...] = (32, 64)
    picture_strides: tuple[tuple[int, int], ...] = ((4, 2), (2, 1))
    """HuBERT on mel frames: convolutions that make its tokens, and their (mel, time) steps."""


Body = CnnBody | TransformerBody


@dataclass(frozen=True, slots=True)
class Model:
    """A learned identifier without its weights."""

    name: Name = "cnn"
    architecture: Architecture = "cnn_fingerprint"
    front_end: FrontEnd = field(default_factory=FrontEnd)
    body: Body = field(default_factory=CnnBody)
    head: Head = "divide_encode"
    """``divide_encode`` keeps positions; ``mean`` and ``attention`` are the report's poolings;
    ``none`` gives the backbone's pooled features as they are."""
    dim: int = 128
    """Length of the vector that is stored."""
    group_hidden: int = 32
    """Width of each group's hidden layer in the divide-and-encode head."""
    n_classes: int = 0
    """Tracks the report's classification head tells apart in training; 0 for no such head."""
    dropout: float = 0.0
    dropout_samples: int = 1
    """Multi-sample dropout: so many dropout masks whose heads are averaged in training."""
    hop_s: float = 0.25
    """Seconds from one stored vector to the next."""
    query_phases: int = 2
    """Grids a clip is looked at on, a fraction of `hop_s` apart."""
    retrieval: Retrieval = "sequence"

    def __post_init__(self) -> None:
        wanted = CnnBody if self.architecture.startswith("cnn") else TransformerBody
        if not isinstance(self.body, wanted):
            raise ModelError(
                f"A model of the kind “{self.architecture}” can't have the sizes of another kind."
            )
        if self.dim < 1 or self.hop_s <= 0 or self.query_phases < 1:
            raise ModelError(
                f"A model needs at least one dimension, a positive step and one phase, "
                f"not {self.dim}, {self.hop_s} s and {self.query_phases}."
            )

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @staticmethod
    def from_json(text: str) -> Model:
        """Read `to_json`'s text back.

        Raises
        ------
        ModelError
            When it is no JSON, or names something that this version does not know.
        """
        try:
            values = json.loads(text)
        except json.JSONDecodeError as error:
            raise ModelError(f"The model's description can't be read: {error}.") from error
        return model_from_dict(values)

    def digest(self, weights_sha256: str = "") -> str:
        """Name of what the catalog stores: equal exactly when vectors can be mixed."""
        values = asdict(self)
        for no_matter in ("query_phases", "retrieval", "dropout", "dropout_samples", "n_classes"):
            del values[no_matter]
        values |= {"format": FORMAT_VERSION, "weights": weights_sha256}
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]


def model_from_dict(values: object) -> Model:
    """A `Model` from nested dictionaries as JSON or TOML give them; what is missing keeps its
    default.

    Raises
    ------
    ModelError
        For an unknown name or a value of the wrong type.
    """
    if not isinstance(values, dict):
        raise ModelError("The model's description is not a table of values.")
    given = dict(values)
    architecture = given.get("architecture", "cnn_fingerprint")
    body = CnnBody if str(architecture).startswith("cnn") else TransformerBody
    given["front_end"] = _filled(FrontEnd, given.get("front_end", {}), "front_end")
    given["body"] = _filled(body, given.get("body", {}), "body")
    return _filled(Model, given, "model")


_CHOICES: dict[str, tuple[str, ...]] = {
    "kind": get_args(FrontEndKind),
    "name": get_args(Name),
    "architecture": get_args(Architecture),
    "head": get_args(Head),
    "retrieval": get_args(Retrieval),
    "conv_norm": ("group", "layer"),
}


def _filled(kind: type[_T], values: object, where: str) -> _T:
    """An instance of a dataclass from a dictionary, every value checked against its default."""
    if not isinstance(values, dict):
        raise ModelError(f"“{where}” in the model's description is not a table of values.")
    defaults: Any = kind()
    known = {f.name for f in fields(defaults)}
    if unknown := sorted(set(values) - known):
        raise ModelError(
            f"The model's description has “{unknown[0]}” in “{where}”, which this version does "
            f"not know. A newer version of the program may."
        )
    checked = {
        name: _checked(name, value, getattr(defaults, name)) for name, value in values.items()
    }
    return kind(**checked)


def _checked(name: str, value: object, default: object) -> object:
    if is_dataclass(value):
        return value
    if name in _CHOICES:
        if value not in _CHOICES[name]:
            raise ModelError(
                f"The model's description gives {value!r} for “{name}”; "
                f"known are {', '.join(_CHOICES[name])}."
            )
        return value
    if isinstance(default, tuple):
        return _int_tuple(name, value)
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not type(default):
        raise ModelError(f"The model's description gives {value!r} for “{name}”.")
    return value


def _int_tuple(name: str, value: object) -> tuple[Any, ...]:
    """Whole numbers, or pairs of them, as JSON's lists."""
    if not isinstance(value, list | tuple):
        raise ModelError(f"The model's description gives {value!r} for “{name}”; a list is needed.")
    items = [tuple(item) if isinstance(item, list | tuple) else item for item in value]
    flat = [n for item in items for n in (item if isinstance(item, tuple) else (item,))]
    if not all(type(n) is int and n > 0 for n in flat):
        raise ModelError(
            f"The model's description gives {value!r} for “{name}”; whole numbers are needed."
        )
    return tuple(items)
