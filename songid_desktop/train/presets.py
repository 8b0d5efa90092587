"""Trainings by name: the shipped encoders', the report's rows, and its two grids.

A preset is the JSON form of a `Train`; a file or ``--set`` changes single values of it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from songid_desktop.errors import UsageError
from songid_desktop.train.config import merged

Values = dict[str, Any]

# -- what ships -----------------------------------------------------------------------------------

_SHIPPED: Values = {
    "batch": 192,
    "group_share": 0.3,
    "optimiser": {
        "learning_rate": 2e-3,
        "schedule": "trapezoid",
        "warmup_share": 0.05,
        "cooldown_share": 0.4,
        "average": 0.99,
    },
    "check": {"every_steps": 100, "queries": 160, "distractors": 80, "most_s": 40.0},
}
_CNN: Values = merged(
    _SHIPPED,
    {
        "model": {"name": "cnn", "body": {"channels": [24, 48, 96, 192, 320]}},
        "steps": 1000,
        "note": "the shipped CNN fingerprint",
    },
)
_TAUGHT: Values = merged(
    _SHIPPED,
    {
        # The shipped CNN teaches: its vectors of the clean windows are the catalog that degraded
        # ones are looked up in. One view is encoded, so a step costs half.
        "loss": {"distil": "shipped/cnn", "distil_kind": "vectors", "distil_clean": 0.25},
    },
)
_AST: Values = merged(
    _TAUGHT,
    {
        "model": {
            "name": "ast",
            "architecture": "ast",
            "body": {"hidden": 192, "layers": 3, "attention_heads": 3, "intermediate": 768},
        },
        "steps": 800,
        "optimiser": {"learning_rate": 1e-3, "warmup_share": 0.1},
        "check": {"every_steps": 200},
        "note": "the shipped small AST",
    },
)
_MERT: Values = merged(
    _TAUGHT,
    {
        "model": {
            "name": "mert",
            "architecture": "mert",
            "body": {
                "hidden": 192,
                "layers": 3,
                "attention_heads": 3,
                "intermediate": 768,
                "stable_layer_norm": True,
            },
        },
        "steps": 600,
        "optimiser": {"learning_rate": 1e-3, "warmup_share": 0.1},
        "check": {"every_steps": 200},
        "note": "the shipped small MERT: a HuBERT encoder over mel frames",
    },
)

# -- the report's ---------------------------------------------------------------------------------

NO_DEGRADE: Values = {
    "room_p": 0.0,
    "noise_p": 0.0,
    "speed_p": 0.0,
    "pitch_p": 0.0,
    "phone_p": 0.0,
    "band_p": 0.0,
    "overdrive_p": 0.0,
    "compress_p": 0.0,
    "gain_p": 0.0,
}
NO_MASKS: Values = {"equalise_p": 0.0, "codec_p": 0.0, "time_p": 0.0, "frequency_p": 0.0}
SPEC_AUGMENT: Values = {
    "equalise_p": 0.0,
    "codec_p": 0.0,
    "time_p": 0.5,
    "time_share": 0.2,
    "frequency_p": 0.5,
    "frequency_share": 0.2,
    "warp_p": 0.5,
    "warp_share": 0.05,
    "anchors_too": True,
}
LIGHT: Values = merged(
    NO_DEGRADE,
    {
        "noise_p": 0.3,
        "noise_db": [15.0, 30.0],
        "white_share": 1.0,
        "speed_p": 0.2,
        "speed": 0.03,
        "pitch_p": 0.2,
        "pitch_speed": 0.03,
        "gain_p": 0.3,
        "gain_db": [-6.0, 0.0],
    },
)
HEAVY: Values = merged(
    NO_DEGRADE,
    {
        "noise_p": 0.6,
        "noise_db": [5.0, 20.0],
        "white_share": 1.0,
        "speed_p": 0.4,
        "speed": 0.1,
        "pitch_p": 0.4,
        "pitch_speed": 0.12,
        "compress_p": 0.3,
        "gain_p": 0.5,
        "gain_db": [-12.0, 0.0],
    },
)
AUGMENTATIONS: dict[str, Values] = {
    "none": {"degrade": NO_DEGRADE, "masks": NO_MASKS},
    "specaugment": {"degrade": NO_DEGRADE, "masks": SPEC_AUGMENT},
    "audioment_light": {"degrade": LIGHT, "masks": NO_MASKS},
    "audioment_heavy": {"degrade": HEAVY, "masks": NO_MASKS},
}
"""The four of the report's section 3.3 (and 2.6): stretch, pitch, noise, gain, compression."""

_REPORT_FRONT: Values = {
    "sample_rate": 22050,
    "window_s": 5.0,
    "n_fft": 2048,
    "frame_samples": 2048,
    "hop": 512,
    "n_mels": 64,
    "n_frames": 216,
    "f_min": 20.0,
    "f_max": 11025.0,
}
_REPORT: Values = {
    "model": {
        "name": "cnn",
        "architecture": "cnn_enhanced",
        "front_end": _REPORT_FRONT,
        "body": {"channels": [64, 128, 256, 512]},
        "head": "mean",
        "dim": 256,
        "retrieval": "clip",
        "hop_s": 2.5,
        "query_phases": 1,
    },
    "batch": 32,
    "epochs": 15.0,
    "windows_per_track": 1.0,
    "degrade": merged(NO_DEGRADE, {"positives": "same_track"}),
    "masks": SPEC_AUGMENT,
    "loss": {"temperature": 0.07, "alpha": 0.25},
    "optimiser": {
        "kind": "adam",
        "learning_rate": 1e-4,
        "schedule": "plateau",
        "clip_norm": 0.0,
    },
    "check": {
        "every_steps": 24,
        "length_s": 5.0,
        "noise_db": [],
        "queries": 120,
        "distractors": 40,
        "most_s": 30.0,
    },
}
_REPORT_BEST: Values = merged(
    _REPORT, {"note": "the report's best CNN (3.2, 3.3): 4 blocks, SpecAugment"}
)
_REPORT_BASELINE: Values = merged(
    _REPORT,
    {
        "model": {
            "architecture": "cnn_baseline",
            "body": {"channels": [32, 64, 128]},
            "dim": 128,
        },
        "batch": 64,
        "masks": NO_MASKS,
        "loss": {"temperature": 0.1, "alpha": 1.0},
        "optimiser": {"learning_rate": 1e-3, "schedule": "constant"},
        "note": "the report's baseline CNN (3.1): 3 blocks",
    },
)
_TRANSFORMER_LOSS: Values = {
    "distil": "",
    "distil_clean": -1.0,
    "temperature": 0.07,
    "learn_temperature": True,
    "alpha": 0.25,
    "label_smoothing": 0.1,
    "dropout_samples": 4,
}
_REPORT_AST: Values = merged(
    _AST,
    {
        "model": {"head": "attention", "dim": 256, "dropout": 0.2, "dropout_samples": 4},
        "batch": 32,
        "steps": 1500,
        "degrade": merged(NO_DEGRADE, {"positives": "same_track"}),
        "masks": SPEC_AUGMENT,
        "loss": _TRANSFORMER_LOSS,
        "optimiser": {"kind": "adamw", "learning_rate": 1e-4, "schedule": "cosine"},
        "check": {"patience": 5},
        "note": "the report's AST (3.2): attention pooling, learned temperature, multi-sample "
        "dropout, label smoothing",
    },
)
_REPORT_MERT: Values = merged(
    _REPORT_AST,
    {
        "model": {"name": "mert", "architecture": "mert"},
        "note": "the report's MERT (3.3): the same as for AST",
    },
)

PRESETS: dict[str, Values] = {
    "cnn": _CNN,
    "ast": _AST,
    "mert": _MERT,
    "report-cnn-best": _REPORT_BEST,
    "report-cnn-baseline": _REPORT_BASELINE,
    "report-ast": _REPORT_AST,
    "report-mert": _REPORT_MERT,
}


def preset(name: str) -> Values:
    """The values of a named training.

    Raises
    ------
    UsageError
        When there is none; the message lists them.
    """
    if name not in PRESETS:
        raise UsageError(f"There is no training called “{name}”. There are: {', '.join(PRESETS)}.")
    return PRESETS[name]


# -- grids ----------------------------------------------------------------------------------------


def grid_cells(name: str) -> Iterator[tuple[str, Values]]:
    """Name and values of each cell of a grid.

    ``report-cnn`` is the report's table 3.2 (learning rate, temperature, alpha, dimension, batch:
    48 cells), ``report-augment`` its table 3.3 (optimiser, schedule, depth, augmentation: 32).
    """
    if name == "report-cnn":
        yield from _hyper_parameters()
    elif name == "report-augment":
        yield from _augmentations()
    else:
        raise UsageError(
            f"There is no grid called “{name}”. There are: report-cnn, report-augment."
        )


def _hyper_parameters() -> Iterator[tuple[str, Values]]:
    axes = ((1e-4, 5e-4), (0.07, 0.1), (0.25, 0.5, 0.75), (128, 256), (32, 64))
    for rate, temperature, alpha, dim, batch in itertools.product(*axes):
        changes: Values = {
            "model": {"dim": dim},
            "batch": batch,
            "loss": {"temperature": temperature, "alpha": alpha},
            "optimiser": {"learning_rate": rate},
        }
        name = f"lr{rate:g}-t{temperature:g}-a{alpha:g}-d{dim}-b{batch}"
        yield name, merged(_REPORT_BEST, changes)


def _augmentations() -> Iterator[tuple[str, Values]]:
    kinds, schedules, depths = ("adam", "adamw"), ("plateau", "cosine"), (3, 4)
    for kind, schedule, depth, augment in itertools.product(
        kinds, schedules, depths, AUGMENTATIONS
    ):
        shape: Values = (
            {"architecture": "cnn_enhanced", "body": {"channels": [64, 128, 256, 512]}}
            if depth == 4
            else {"architecture": "cnn_baseline", "body": {"channels": [32, 64, 128]}}
        )
        changes = merged(
            AUGMENTATIONS[augment],
            {"model": shape, "optimiser": {"kind": kind, "schedule": schedule}},
        )
        changes = merged(changes, {"degrade": {"positives": "same_track"}})
        yield f"{kind}-{schedule}-{depth}layer-{augment}", merged(_REPORT_BEST, changes)
