"""The learning itself: a loop that one reads in a sitting.

It knows nothing of snapshots, storage or tracking, and of a family no more than its `Course` says.
Given the same course, preset and number of steps it makes the same weights, also when it was killed in
between: a step depends only on its number and on the state that `_Saved` keeps.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from stemma.errors import StemmaError
from stemma.models.protocol import Family
from stemma.training.presets import AnyPreset

WORK = "work"
"""Folder of a run for what a course keeps only while it learns."""
MEASURED = 12
"""Steps after which the length of a run that must fit a time is settled."""
SAVE_SECONDS = 30.0
"""Time between two states from which a killed run goes on."""


class Course(Protocol):
    """A model with what it is to learn, as a family has it."""

    @property
    def model(self) -> Family:
        """What learns."""
        ...

    def optimizers(self) -> list[torch.optim.Optimizer]:
        """What changes its weights after each step."""
        ...

    def batches(self, epoch: int) -> list[list[int]]:
        """Numbers of segments, a batch each: one pass over everything, always the same one of this number."""
        ...

    def loss(self, batch: Sequence[int], rng: np.random.Generator) -> tuple[torch.Tensor, int]:
        """The mean loss of these segments, and of how many places, padding included."""
        ...


@dataclass(frozen=True)
class Step:
    """What one step did."""

    number: int
    """Steps done, this one included."""
    total: int | None
    """Steps of the whole run, once settled."""
    loss: float
    """Mean loss of a place: of a decoder negative log likelihood in nats, of a denoiser squared error."""
    rate: float
    """Factor of the learning rates."""
    tokens: int
    """Places of the batch, padding included."""
    seconds: float
    """Time since the run (or its continuation) began."""


@dataclass
class _Saved:
    """Everything that the next step depends on."""

    step: int
    total: int | None
    epoch: int
    place: int
    tokens: int
    seconds: float


def update(module: torch.nn.Module, loss: torch.Tensor, optimizers: Sequence[torch.optim.Optimizer]) -> None:
    """One step down this loss."""
    torch.autograd.backward(loss)
    torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


def learn(
    course: Course,
    preset: AnyPreset,
    folder: Path,
    *,
    report: Callable[[Step], None] = lambda _: None,
    checkpoint: Callable[[Path, int], None] = lambda *_: None,
    stop: Callable[[], bool] = lambda: False,
) -> int:
    """Train the model until the preset's end; returns the number of steps.

    State and checkpoints lie in `folder`; a call on a folder with state goes on from there.
    `checkpoint` is told of each checkpoint.  When `stop` says yes, the state is saved and
    `InterruptedError` raised.  A loss that is no number ends the run with `StemmaError` before it reaches the weights:
    the state saved before it stays.
    """
    torch.set_num_threads(min(preset.threads, os.cpu_count() or 1))
    network = course.model.module.train()
    optimizer = course.optimizers()
    rates = [[group["lr"] for group in o.param_groups] for o in optimizer]
    torch.manual_seed(preset.seed)
    state = _resume(folder, network, optimizer) or _Saved(0, _total(preset), 0, 0, 0, 0.0)
    started, before = time.monotonic(), state.seconds
    saved = started

    while state.total is None or state.step < state.total:
        for batch in _batches(course, state):
            rng = np.random.default_rng((preset.seed, 1, state.step))
            factor = schedule(state.step, state.total, preset)
            for o, base in zip(optimizer, rates, strict=True):
                for group, rate in zip(o.param_groups, base, strict=True):
                    group["lr"] = rate * factor
            mean, places = course.loss(batch, rng)
            loss = mean.item()
            if not math.isfinite(loss):
                raise StemmaError(
                    f"The loss of step {state.step + 1} is {loss}: the model no longer learns.",
                    remedy="Look at what this training starts from for weights that are no numbers, or lower the "
                    "learning rate of the preset; then train again.",
                    code="not-finite",
                )
            update(network, mean, optimizer)
            state.step += 1
            state.place += 1
            state.tokens += places
            state.seconds = before + time.monotonic() - started
            if state.total is None and state.step >= MEASURED:
                state.total = _settle(state, preset)
            report(Step(state.step, state.total, loss, factor, places, state.seconds))
            if state.total is not None and state.step in _marks(state.total, preset.checkpoints):
                path = folder / "checkpoints" / f"step-{state.step:06d}"
                _keep(course.model, path, state.step, _learned(state.step, state.total, preset))
                checkpoint(path, state.step)
            done = state.total is not None and state.step >= state.total
            told = stop()
            if done or told or time.monotonic() - saved > SAVE_SECONDS:
                _save(folder, network, optimizer, state)
                saved = time.monotonic()
            if told and not done:
                raise InterruptedError(f"Training was stopped after step {state.step}; it goes on from there.")
            if done:
                break
    network.eval()
    return state.step


def schedule(step: int, total: int | None, preset: AnyPreset) -> float:
    """Factor of the learning rates: up, level, and down to nothing in a straight line."""
    rise = min(1.0, (step + 1) / preset.warmup)
    if total is None:
        return rise
    return min(rise, (total - step) / max(1.0, preset.decay * total))


def _total(preset: AnyPreset) -> int | None:
    return None if preset.seconds is not None else preset.steps


def _settle(state: _Saved, preset: AnyPreset) -> int:
    """Steps that fit the preset's time at the speed so far; never fewer than make a run."""
    pace = state.seconds / state.step
    total = int((preset.seconds or math.inf) / pace) if preset.seconds else math.inf
    return int(max(10 * MEASURED, min(total, preset.steps or math.inf)))


def _marks(total: int, count: int) -> set[int]:
    """Steps after which a checkpoint is kept: evenly spread, the last at the end."""
    return {math.ceil(total * (i + 1) / count) for i in range(count)}


def _batches(course: Course, state: _Saved) -> Iterator[list[int]]:
    """Batches of this pass from where the state is, and on to the next pass."""
    yield from course.batches(state.epoch)[state.place :]
    state.epoch += 1
    state.place = 0


def _learned(step: int, total: int, preset: AnyPreset) -> float:
    """Sum of the factors of the learning rates since the checkpoint before: how much was learned around this one."""
    before = max((mark for mark in _marks(total, preset.checkpoints) if mark < step), default=0)
    return round(sum(schedule(number, total, preset) for number in range(before, step)), 3)


def _keep(model: Family, path: Path, step: int, learned: float) -> None:
    """Write a checkpoint, which appears only when it is whole."""
    part = path.with_name(path.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    model.save(part, step=step, learned=learned)
    shutil.rmtree(path, ignore_errors=True)
    part.replace(path)


def _save(folder: Path, network: torch.nn.Module, optimizer: list[torch.optim.Optimizer], state: _Saved) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / "state.part"
    content: dict[str, Any] = {
        "state": json.dumps(vars(state)),
        "network": network.state_dict(),
        "optimizer": [o.state_dict() for o in optimizer],
        "random": torch.get_rng_state(),
    }
    with part.open("wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
    part.replace(folder / "state.pt")


def _resume(folder: Path, network: torch.nn.Module, optimizer: list[torch.optim.Optimizer]) -> _Saved | None:
    path = folder / "state.pt"
    if not path.exists():
        return None
    content = torch.load(path, weights_only=True)
    network.load_state_dict(content["network"])
    for o, saved in zip(optimizer, content["optimizer"], strict=True):
        o.load_state_dict(saved)
    torch.set_rng_state(content["random"])
    return _Saved(**json.loads(content["state"]))
