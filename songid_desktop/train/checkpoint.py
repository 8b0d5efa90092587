"""The state of a training in one file, readable at any instant and free of pickle.

A safetensors file: weights, the best weights so far and the optimiser's moments as tensors, all
else as JSON in its metadata. What is random in a step depends on the seed and the step's number, so
the step *is* the state of the random generators.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from songid_desktop.errors import EnvironmentProblem, UsageError

FORMAT = 1


@dataclass(slots=True)
class State:
    """Where a training stands, beside its tensors."""

    config: dict[str, Any]
    data_digest: str
    step: int = 0
    best: float = -1.0
    best_step: int = 0
    checks_since_best: int = 0
    rate_factor: float = 1.0
    """What the plateau schedule has made of the learning rate."""
    checks_since_change: int = 0
    seconds: float = 0.0
    """Of training so far, over all runs."""
    figures: list[dict[str, Any]] = field(default_factory=list)


def save(
    path: Path,
    state: State,
    module: nn.Module,
    optimiser: torch.optim.Optimizer,
    *,
    best: dict[str, Tensor],
    extra: nn.Module | None = None,
    average: nn.Module | None = None,
) -> None:
    """Write beside the old file, then take its place: a kill leaves one of the two, whole."""
    from safetensors.torch import save_file

    tensors = {f"model.{name}": value for name, value in module.state_dict().items()}
    tensors |= {f"best.{name}": value for name, value in best.items()}
    if extra is not None:
        tensors |= {f"loss.{name}": value for name, value in extra.state_dict().items()}
    if average is not None:
        tensors |= {f"average.{name}": value for name, value in average.state_dict().items()}
    for number, moments in optimiser.state_dict()["state"].items():
        for name, value in moments.items():
            tensors[f"optimiser.{number}.{name}"] = torch.as_tensor(value)
    whole = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    part = path.with_name(path.name + ".part")
    save_file(whole, part, metadata={"format": str(FORMAT), "state": json.dumps(asdict(state))})
    with part.open("rb+") as written:
        os.fsync(written.fileno())
    part.replace(path)


def read_state(path: Path) -> State:
    """What a checkpoint says about itself.

    Raises
    ------
    EnvironmentProblem
        When the file is damaged or no checkpoint.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        if metadata.get("format") != str(FORMAT):
            raise EnvironmentProblem(
                f"{path} is no checkpoint that this version can go on from. Start again without "
                "--resume, or into another folder."
            )
        return State(**json.loads(metadata["state"]))
    except (OSError, SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise EnvironmentProblem(
            f"The checkpoint {path} can't be read ({error}). The best weights so far, if any, are "
            "beside it; start again without --resume."
        ) from None


def load(
    path: Path,
    module: nn.Module,
    optimiser: torch.optim.Optimizer,
    extra: nn.Module | None = None,
    average: nn.Module | None = None,
) -> tuple[State, dict[str, Tensor]]:
    """Put a checkpoint's tensors where they belong; returns its state and the best weights.

    Raises
    ------
    UsageError
        When it belongs to another architecture.
    """
    from safetensors.torch import load_file

    state = read_state(path)
    tensors = load_file(path)
    own = module.state_dict()
    saved = {name[6:]: value for name, value in tensors.items() if name.startswith("model.")}
    if saved.keys() != own.keys() or any(saved[name].shape != own[name].shape for name in own):
        raise UsageError(
            f"The checkpoint {path} belongs to an encoder of another architecture or size. Go on "
            "with the configuration that it was made with, or start in another folder."
        )
    module.load_state_dict(saved)
    if extra is not None:
        extra.load_state_dict(
            {name[5:]: value for name, value in tensors.items() if name.startswith("loss.")}
        )
    if average is not None:
        given = {name[8:]: value for name, value in tensors.items() if name.startswith("average.")}
        average.load_state_dict(given or saved)
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimiser."):
            _, number, what = name.split(".")
            moments.setdefault(int(number), {})[what] = value
    whole = optimiser.state_dict()
    whole["state"] = moments
    optimiser.load_state_dict(whole)
    best = {name[5:]: value for name, value in tensors.items() if name.startswith("best.")}
    return state, best


def read_best(path: Path) -> tuple[State, dict[str, Tensor]]:
    """A checkpoint's state and the weights that did best so far; none before the first check."""
    from safetensors import safe_open

    state = read_state(path)
    with safe_open(path, framework="pt") as file:
        names = [name for name in file.keys() if name.startswith("best.")]  # noqa: SIM118 - no dict
        return state, {name[5:]: file.get_tensor(name) for name in names}
