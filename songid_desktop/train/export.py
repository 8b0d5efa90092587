"""From a training's best weights to the two files that `songid` uses: weights and model card."""

from __future__ import annotations

import datetime as dt
import json
import platform
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from songid_desktop import __version__
from songid_desktop.errors import EnvironmentProblem, UsageError
from songid_desktop.neural.build import build
from songid_desktop.neural.card import Card
from songid_desktop.neural.config import Model, ModelError, model_from_dict
from songid_desktop.neural.weights import Stored, save
from songid_desktop.train import checkpoint
from songid_desktop.train.collection import Collected

CONFIG = "config.json"
CHECKPOINT = "checkpoint.safetensors"
_FOR_TRAINING = ("classifier.", "head.classifier.")
"""Parts that tell training tracks apart and mean nothing to anyone else."""


def usable(model: Model, tensors: dict[str, Tensor]) -> tuple[nn.Module, Model]:
    """The encoder without what only its training needed."""
    bare = replace(model, n_classes=0, dropout=0.0, dropout_samples=1)
    kept = {n: value for n, value in tensors.items() if not n.startswith(_FOR_TRAINING)}
    module = build(bare)
    module.load_state_dict(kept)
    return module.eval(), bare


def details(
    state: checkpoint.State, collected: Collected, command: str, note: str = ""
) -> dict[str, Any]:
    """What the model card says of how the weights came to be."""
    recipe = {name: value for name, value in state.config.items() if name != "model"}
    if recipe.get("loss", {}).get("distil"):
        recipe["loss"] = recipe["loss"] | {"distil": Path(recipe["loss"]["distil"]).name}
    best = next((f for f in state.figures if f["step"] == state.best_step), None)
    return {
        "title": note or state.config.get("note", ""),
        "made_with": f"SongID Desktop {__version__}",
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "command": command,
        "seed": state.config.get("seed"),
        "data": {**collected.described(), "digest": state.data_digest},
        "recipe": recipe,
        "steps": state.best_step,
        "training": {
            "seconds": round(state.seconds),
            "processor": platform.processor() or platform.machine(),
        },
        "checks": {
            "what": "share of degraded clips of held-out validation tracks found first, in rooms "
            "and backgrounds kept apart from training; for model choice, not comparable with "
            "“songid evaluate”",
            "best": best,
        },
    }


def export_run(run: Path, target: Path, stored: Stored = "float16") -> Card:
    """Write the best weights of a training's folder to `target` (.safetensors, card beside it).

    Raises
    ------
    UsageError
        When the folder holds no training, or one without any check so far.
    """
    if not (run / CHECKPOINT).is_file() or not (run / CONFIG).is_file():
        raise UsageError(f"{run} holds no training to export.")
    try:
        config = json.loads((run / CONFIG).read_text("utf-8"))
        model = model_from_dict(config["model"])
        collected = Collected.from_json(config["collected"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EnvironmentProblem(f"{run / CONFIG} can't be read: {error}.") from None
    state, best = checkpoint.read_best(run / CHECKPOINT)
    if not best:
        raise UsageError(
            f"The training in {run} has not been checked so far, so there are no weights to export."
        )
    try:
        module, bare = usable(model, best)
    except RuntimeError:
        raise ModelError(f"The checkpoint in {run} is of another architecture.") from None
    return save(target, module, bare, details(state, collected, config["command"]), stored)
