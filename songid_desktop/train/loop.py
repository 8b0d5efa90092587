"""The training loop, plain from top to bottom: batch, loss, step, check, checkpoint.

Its folder holds ``config.json``, ``checkpoint.safetensors`` (all that is needed to go on),
``log.jsonl`` (a line for every step and check) and ``best.safetensors`` with its model card: the
weights that found most of the held-out clips, ready for `songid`.
"""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from songid_desktop.errors import EnvironmentProblem
from songid_desktop.neural.build import build
from songid_desktop.neural.config import Model
from songid_desktop.neural.runtime import has_fast_bfloat16
from songid_desktop.train import checkpoint
from songid_desktop.train.batches import Batch, Batches, make_in_worker, start_worker
from songid_desktop.train.config import Train
from songid_desktop.train.data import Music
from songid_desktop.train.losses import PairLoss
from songid_desktop.train.scenery import Scenery
from songid_desktop.train.schedule import learning_rate, make_optimiser, total_steps
from songid_desktop.train.validation import Figure, Judge
from songid_desktop.types import CancelToken, FloatArray

_SAVE_EVERY_S = 120.0
_AHEAD = 3
"""Batches made before they are needed, a worker."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a training stands, for people."""

    step: int
    steps: int
    loss: float
    accuracy: float
    """Share of the batch's replicas nearest to their own anchor."""
    step_s: float
    eta_s: float
    figure: Figure | None = None
    best: float = -1.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a training ended."""

    step: int
    best: float
    best_step: int
    was_stopped: bool
    figures: tuple[dict[str, Any], ...]


Report = Callable[[Progress], None]


class Training:
    """One training in one folder.

    Parameters
    ----------
    train : Train
    model : Model
    music : Music
    scenery : Scenery
    judge : Judge
    out : Path
    device : str
        ``cpu`` or ``cuda``.
    workers : int
        Processes that make batches; 0 makes them here.
    teacher : nn.Module, optional
        Encoder with the same front end to be imitated.
    """

    def __init__(
        self,
        train: Train,
        model: Model,
        music: Music,
        *,
        scenery: Scenery,
        judge: Judge,
        out: Path,
        device: str = "cpu",
        workers: int = 1,
        teacher: nn.Module | None = None,
        start_from: dict[str, Tensor] | None = None,
    ) -> None:
        torch.manual_seed(train.seed)
        self.train, self.model, self.music, self.judge, self.out = train, model, music, judge, out
        self.device = torch.device(device)
        self.scenery, self.workers = scenery, workers
        self.module = build(model)
        if start_from is not None:
            self.module.load_state_dict(start_from, strict=False)
        self.module.to(self.device)
        self.average = copy.deepcopy(self.module).eval() if train.optimiser.average else None
        self.loss = PairLoss(train.loss).to(self.device)
        self.teacher = None if teacher is None else teacher.to(self.device).eval()
        parameters = (*self.module.parameters(), *self.loss.parameters())
        self.parameters: list[Tensor] = [p for p in parameters if p.requires_grad]
        self.optimiser = make_optimiser(train.optimiser, self.parameters)
        tracks = len(music.part("train"))
        self.steps = total_steps(train, tracks)
        self.on_best: Callable[[Training, Figure], None] | None = None
        self.state = checkpoint.State(train.to_json(), music.digest)
        self.best: dict[str, Tensor] = {}
        self.use_bf16 = train.precision == "bfloat16" or (
            train.precision == "auto" and _has_fast_bfloat16(self.device)
        )

    @property
    def checkpoint_path(self) -> Path:
        return self.out / "checkpoint.safetensors"

    def resume(self) -> None:
        """Go on from the folder's checkpoint."""
        self.state, self.best = checkpoint.load(
            self.checkpoint_path, self.module, self.optimiser, self.loss, self.average
        )

    def run(self, report: Report | None = None, cancel: CancelToken | None = None) -> Outcome:
        """Train until the last step, the early end or `cancel`."""
        self.out.mkdir(parents=True, exist_ok=True)
        state, check = self.state, self.train.check
        was_stopped, saved = False, time.monotonic()
        with (self.out / "log.jsonl").open("a", encoding="utf-8") as log, self._batches() as batch:
            while state.step < self.steps:
                if cancel is not None and cancel.is_set():
                    was_stopped = True
                    break
                begun = time.perf_counter()
                rate = self._set_rate()
                value, accuracy = self._step(batch(state.step))
                state.step += 1
                taken_s = time.perf_counter() - begun
                state.seconds += taken_s
                _write(log, {"step": state.step, "loss": value, "accuracy": accuracy, "rate": rate})
                figure = None
                is_last = state.step == self.steps
                if state.step % check.every_steps == 0 or is_last:
                    figure = self._check(log)
                if figure is not None or time.monotonic() - saved >= _SAVE_EVERY_S:
                    self.save()
                    saved = time.monotonic()
                if report is not None:
                    left_s = (self.steps - state.step) * state.seconds / state.step
                    report(
                        Progress(
                            state.step,
                            self.steps,
                            value,
                            accuracy,
                            taken_s,
                            left_s,
                            figure,
                            state.best,
                        )
                    )
                if check.patience and state.checks_since_best >= check.patience:
                    break
            if was_stopped:
                self.save()
        return Outcome(state.step, state.best, state.best_step, was_stopped, tuple(state.figures))

    def save(self) -> None:
        checkpoint.save(
            self.checkpoint_path,
            self.state,
            self.module,
            self.optimiser,
            best=self.best,
            extra=self.loss,
            average=self.average,
        )

    # -- one step ---------------------------------------------------------------------------------

    def _step(self, batch: Batch) -> tuple[float, float]:
        torch.manual_seed(self.train.seed * 1_000_003 + self.state.step)
        self.module.train()
        clean, heard = self._tensor(batch.anchors), self._tensor(batch.replicas)
        labels = torch.from_numpy(batch.labels).to(self.device)
        if self.train.loss.distil_clean >= 0:
            loss, hits = self._from_teacher(clean, heard, labels)
        else:
            loss, hits = self._from_pairs(clean, heard, labels)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if self.train.optimiser.clip_norm:
            nn.utils.clip_grad_norm_(self.parameters, self.train.optimiser.clip_norm)
        if not math.isfinite(float(loss.detach())):
            raise EnvironmentProblem(
                f"The loss is no number any more at step {self.state.step + 1}. The last "
                "checkpoint is kept; a smaller learning rate may help."
            )
        self.optimiser.step()
        self._average_weights()
        return float(loss.detach()), float(hits)

    def _tensor(self, frames: npt.NDArray[np.float16]) -> Tensor:
        return torch.from_numpy(frames).to(self.device).float()

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.use_bf16)

    def _from_pairs(self, clean: Tensor, heard: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The loss of both views, and the share of replicas nearest to their own anchor."""
        settings, count = self.train.loss, len(labels)
        inputs = torch.cat((clean, heard))
        with self._autocast():
            if settings.alpha:
                vectors, logits = self.module.classify(inputs)  # type: ignore[operator]
            else:
                vectors, logits = self.module(inputs), None
        vectors = vectors.float()
        loss = self.loss.contrast(vectors[:count], vectors[count:], labels)
        if logits is not None:
            logits = logits.float()
            loss = loss + settings.alpha * self.loss.classification(
                logits[:count], logits[count:], labels
            )
        if self.teacher is not None and settings.distil_kind == "vectors":
            taught = self._taught(clean)
            loss = loss + settings.distil_weight * self.loss.lookup(vectors, taught, labels)
        elif self.teacher is not None:
            relations = self.loss.relations(vectors, self._taught(inputs))
            loss = loss + settings.distil_weight * relations
        return loss, _hits(vectors[count:], vectors[:count], labels)

    def _from_teacher(self, clean: Tensor, heard: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The same with the teacher's vectors of the clean windows in the anchors' place."""
        some = round(self.train.loss.distil_clean * len(labels))
        with self._autocast():
            vectors = self.module(torch.cat((clean[:some], heard[some:])))
        vectors, taught = vectors.float(), self._taught(clean)
        loss = self.loss.lookup(vectors, taught, labels)
        return loss, _hits(vectors[some:], taught, labels[some:], labels)

    def _taught(self, inputs: Tensor) -> Tensor:
        if self.teacher is None:
            raise RuntimeError("there is no teacher")
        with torch.no_grad(), self._autocast():
            vectors: Tensor = self.teacher(inputs)
        return vectors.float()

    def _average_weights(self) -> None:
        """A step of the running average, shorter at the beginning."""
        if self.average is None:
            return
        step = self.state.step
        keep = min(self.train.optimiser.average, (1.0 + step) / (10.0 + step))
        own = self.module.state_dict()
        with torch.no_grad():
            for name, value in self.average.state_dict().items():
                if value.is_floating_point():
                    value.lerp_(own[name], 1.0 - keep)
                else:
                    value.copy_(own[name])

    @property
    def judged(self) -> nn.Module:
        """The weights that are judged and exported."""
        return self.module if self.average is None else self.average

    def _set_rate(self) -> float:
        rate = learning_rate(self.train.optimiser, self.state.step, self.steps)
        rate *= self.state.rate_factor
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        return rate

    # -- judging ----------------------------------------------------------------------------------

    def encode(self, inputs: FloatArray) -> FloatArray:
        """Vectors of encoder inputs with the present weights."""
        with torch.inference_mode(), self._autocast():
            vectors = self.judged(torch.from_numpy(inputs).to(self.device))
        return np.asarray(vectors.float().cpu().numpy(), np.float32)

    def _check(self, log: Any) -> Figure:
        state, optimiser = self.state, self.train.optimiser
        self.judged.eval()
        figure = self.judge.ask(self.encode)
        entry = {"step": state.step, "check": figure.by_level, "mean": figure.mean}
        state.figures.append(entry)
        _write(log, entry)
        is_better = figure.mean > state.best
        if figure.mean >= state.best:  # of weights that do as well those that have seen more
            state.best, state.best_step = figure.mean, state.step
            self.best = {
                name: value.detach().cpu().clone()
                for name, value in self.judged.state_dict().items()
            }
            if self.on_best is not None:
                self.on_best(self, figure)
        if is_better:
            state.checks_since_best = state.checks_since_change = 0
        else:
            state.checks_since_best += 1
            state.checks_since_change += 1
            is_plateau = optimiser.schedule == "plateau"
            if is_plateau and state.checks_since_change > optimiser.plateau_patience:
                state.rate_factor *= optimiser.plateau_factor
                state.checks_since_change = 0
        return figure

    # -- batches ----------------------------------------------------------------------------------

    @contextmanager
    def _batches(self) -> Iterator[Callable[[int], Batch]]:
        """A function from the step's number to its batch."""
        front_end = self.model.front_end
        if self.workers == 0:
            yield Batches(self.music, self.scenery.around, self.train, front_end).make
            return
        import multiprocessing

        sound = Path(str(getattr(self.music.samples, "filename", "")))
        shell = Music(np.zeros(0, np.int16), self.music.tracks, self.music.sample_rate, "")
        pool = ProcessPoolExecutor(
            self.workers,
            multiprocessing.get_context("spawn"),
            start_worker,
            (sound, shell, self.scenery.file, self.train, front_end),
        )
        waiting: dict[int, Future[Batch]] = {}

        def batch(step: int) -> Batch:
            for number in range(step, min(self.steps, step + 1 + _AHEAD * self.workers)):
                if number not in waiting:
                    waiting[number] = pool.submit(make_in_worker, number)
            return waiting.pop(step).result()

        try:
            yield batch
        except BrokenProcessPool:
            raise EnvironmentProblem(
                "A process that prepares the music was ended from outside (too little memory?). "
                "The last checkpoint is kept; --resume goes on from it."
            ) from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _hits(
    vectors: Tensor, anchors: Tensor, labels: Tensor, anchor_labels: Tensor | None = None
) -> Tensor:
    """Share of the vectors whose nearest anchor is of their own track."""
    with torch.no_grad():
        nearest = (vectors @ anchors.T).argmax(dim=1)
        found = (labels if anchor_labels is None else anchor_labels)[nearest]
        return (found == labels).float().mean()


def _has_fast_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return has_fast_bfloat16()


def _write(log: Any, entry: dict[str, Any]) -> None:
    rounded = {
        name: round(value, 6) if isinstance(value, float) else value
        for name, value in entry.items()
    }
    log.write(json.dumps(rounded) + "\n")
    log.flush()
