"""A pretrained checkpoint's folder described as a `Model`, read without torch.

transformers' config.json gives the encoder's sizes, preprocessor_config.json (where there is one)
the front end's. Whatever we can't run exactly as it was trained is refused by name.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from songid_desktop.neural import layout
from songid_desktop.neural.config import FrontEnd, Model, ModelError, TransformerBody

CLIP_S = 5.0
"""Length of the window that MERT looks at: the report's clips. AST's is the nearest to it that its
own grid of patches allows."""
_KALDI_LOW_HZ = 20.0
_FRAME_S, _FRAME_STEP_S = 0.025, 0.010
_MERT_RATE_HZ = 24_000
_TOO_LARGE = 1_000_000
"""No size in a configuration is as large as this."""


def describe(folder: Path) -> Model:
    """The checkpoint in `folder` as a backbone: pooled features, one vector a clip, no head.

    Raises
    ------
    ModelError
        It is none of the encoders that we run.
    """
    config = layout.read_config(folder)
    kind = layout.architecture(config, folder).kind
    prepared = _optional(folder / "preprocessor_config.json")
    return _ast(config, prepared, folder) if kind == "ast" else _mert(config, prepared, folder)


def _ast(config: dict[str, Any], prepared: dict[str, Any], folder: Path) -> Model:
    _refuse(folder, hidden_act=(config.get("hidden_act", "gelu"), "gelu"))
    _refuse(folder, qkv_bias=(config.get("qkv_bias", True), True))
    _refuse(folder, do_normalize=(prepared.get("do_normalize", True), True))
    rate = _size(prepared, "sampling_rate", 16_000)
    hop = round(_FRAME_STEP_S * rate)
    frame_samples = round(_FRAME_S * rate)
    body = TransformerBody(
        hidden=_size(config, "hidden_size", 768),
        layers=_size(config, "num_hidden_layers", 12),
        attention_heads=_size(config, "num_attention_heads", 12),
        intermediate=_size(config, "intermediate_size", 3072),
        layer_norm_eps=_number(config, "layer_norm_eps", 1e-12),
        patch=_size(config, "patch_size", 16),
        frequency_stride=_size(config, "frequency_stride", 10),
        time_stride=_size(config, "time_stride", 10),
    )
    of_clip = (round(CLIP_S * rate) - frame_samples) // hop + 1
    n_frames = min(_size(config, "max_length", 1024), of_clip)
    front_end = FrontEnd(
        kind="fbank",
        sample_rate=rate,
        window_s=((n_frames - 1) * hop + frame_samples) / rate,
        n_fft=1 << (frame_samples - 1).bit_length(),
        frame_samples=frame_samples,
        hop=hop,
        n_mels=_size(config, "num_mel_bins", 128),
        n_frames=n_frames,
        f_min=_KALDI_LOW_HZ,
        f_max=rate / 2,
        standardise=False,
        mean=_number(prepared, "mean", -4.2677393),
        # Gong et al. bring their input to deviation 0.5.
        deviation=2 * _number(prepared, "std", 4.5689974),
    )
    return _clip_model("ast", front_end, body)


def _mert(config: dict[str, Any], prepared: dict[str, Any], folder: Path) -> Model:
    _refuse(folder, hidden_act=(config.get("hidden_act", "gelu"), "gelu"))
    _refuse(folder, feat_extract_activation=(config.get("feat_extract_activation", "gelu"), "gelu"))
    _refuse(folder, feature_extractor_cqt=(config.get("feature_extractor_cqt", False), False))
    _refuse(folder, conv_pos_batch_norm=(config.get("conv_pos_batch_norm", False), False))
    _refuse(folder, feat_proj_layer_norm=(config.get("feat_proj_layer_norm", True), True))
    _refuse(folder, deepnorm=(config.get("deepnorm", False), False))
    relax = config.get("attention_relax", -1)
    _refuse(folder, attention_relax=(isinstance(relax, int | float) and relax > 0, False))
    norm = config.get("feat_extract_norm", "group")
    if norm not in ("group", "layer"):
        raise ModelError(f"{folder}: “feat_extract_norm” is {norm!r}, which is not known here.")
    body = TransformerBody(
        hidden=_size(config, "hidden_size", 768),
        layers=_size(config, "num_hidden_layers", 12),
        attention_heads=_size(config, "num_attention_heads", 12),
        intermediate=_size(config, "intermediate_size", 3072),
        layer_norm_eps=_number(config, "layer_norm_eps", 1e-5),
        conv_channels=_sizes(config, "conv_dim", (512,) * 7),
        conv_kernels=_sizes(config, "conv_kernel", (10, 3, 3, 3, 3, 2, 2)),
        conv_strides=_sizes(config, "conv_stride", (5, 2, 2, 2, 2, 2, 2)),
        conv_bias=bool(config.get("conv_bias", False)),
        conv_norm=norm,
        position_kernel=_size(config, "num_conv_pos_embeddings", 128),
        position_groups=_size(config, "num_conv_pos_embedding_groups", 16),
        stable_layer_norm=bool(config.get("do_stable_layer_norm", False)),
    )
    if not len(body.conv_channels) == len(body.conv_kernels) == len(body.conv_strides):
        raise ModelError(f"{folder}: the lists of convolutions are of different lengths.")
    rate = _size(prepared, "sampling_rate", _size(config, "sample_rate", _MERT_RATE_HZ))
    front_end = FrontEnd(
        kind="waveform",
        sample_rate=rate,
        window_s=CLIP_S,
        standardise=bool(prepared.get("do_normalize", True)),
    )
    return _clip_model("mert", front_end, body)


def _clip_model(name: Any, front_end: FrontEnd, body: TransformerBody) -> Model:
    return Model(
        name=name,
        architecture=name,
        front_end=front_end,
        body=body,
        head="none",
        dim=body.hidden,
        hop_s=front_end.window_s / 2,
        query_phases=1,
        retrieval="clip",
    )


def _refuse(folder: Path, **settings: tuple[object, object]) -> None:
    """Say no to a variant of the encoder that computes something else."""
    for setting, (found, wanted) in settings.items():
        if found != wanted:
            raise ModelError(
                f"The model in {folder} is a variant that can't be run here: its “{setting}” is"
                f" {found!r}. Other models work as before."
            )


def _optional(path: Path) -> dict[str, Any]:
    """A small JSON file that a checkpoint may do without."""
    try:
        with path.open("rb") as source:
            values = json.loads(source.read(layout.CONFIG_BYTES))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path} can't be read as a model's configuration.") from error
    if not isinstance(values, dict):
        raise ModelError(f"{path} is no model's configuration.")
    return values


def _size(values: dict[str, Any], key: str, default: int) -> int:
    value = values.get(key, default)
    if type(value) is not int or not 0 < value < _TOO_LARGE:
        raise ModelError(f"The model's configuration gives {value!r} for “{key}”.")
    return value


def _number(values: dict[str, Any], key: str, default: float) -> float:
    value = values.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or value == 0:
        raise ModelError(f"The model's configuration gives {value!r} for “{key}”.")
    return float(value)


def _sizes(values: dict[str, Any], key: str, default: tuple[int, ...]) -> tuple[int, ...]:
    value = values.get(key, default)
    is_list = isinstance(value, list | tuple) and 0 < len(value) <= 100
    if not is_list or not all(type(n) is int and 0 < n < _TOO_LARGE for n in value):
        raise ModelError(f"The model's configuration gives {value!r} for “{key}”.")
    return tuple(value)
