"""The loop: a picture goes down a loss, from small sizes to large, and can stop anywhere and go on."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, get_args

import torch
from torch import Tensor

from fststyle.errors import OptionError, TrainingError
from fststyle.iterative.memory import bytes_per_pixel, check_memory, out_of_memory_reported
from fststyle.iterative.optimiser import Method, make_optimiser
from fststyle.iterative.pixels import enlarged
from fststyle.nn.allocator import keep_freed_memory
from fststyle.nn.devices import Device, computes_bfloat16, torch_device
from fststyle.nn.vgg import VGGFeatures

Precision = Literal["auto", "float32", "bf16"]

Objective = Callable[[Tensor], Mapping[str, Tensor]]
"""float [1, 3, H, W] in 0..1 -> scalars by name, of which ``total`` is minimised."""


class Task(Protocol):
    """What is to be minimised, at any size."""

    @property
    def vgg(self) -> VGGFeatures: ...

    def objective(self, size: tuple[int, int]) -> Objective: ...


@dataclass(frozen=True)
class Stage:
    """``size``: width and height of the picture. A stage starts from the result of the one before, enlarged."""

    size: tuple[int, int]
    iterations: int


@dataclass(frozen=True, kw_only=True)
class Descent:
    """How to go down; checked when made.

    ``learning_rate`` is Adam's, ``history`` the number of steps that L-BFGS remembers. ``precision``: ``bf16`` runs the
    VGG's convolutions in bfloat16, losses, Gram matrices and the picture itself staying in float32; ``auto`` does so
    where the hardware computes in it.

    :raises OptionError: a value out of range.
    """

    method: Method = "lbfgs"
    learning_rate: float = 0.02
    history: int = 50
    precision: Precision = "auto"
    device: Device = "auto"

    def __post_init__(self) -> None:
        choices = (("optimiser", self.method, Method), ("precision", self.precision, Precision))
        for name, value, kind in (*choices, ("device", self.device, Device)):
            if value not in get_args(kind):
                raise OptionError(f"{name} must be one of {', '.join(get_args(kind))}, got {value!r}")
        if not 0 < self.learning_rate < math.inf:
            raise OptionError(f"the learning rate must be above 0, got {self.learning_rate:g}")
        if self.history < 1:
            raise OptionError(f"history must be at least 1, got {self.history}")

    def torch_device(self) -> torch.device:
        """:raises DeviceError: ``cuda`` is asked for, and torch finds no GPU."""
        return torch_device(self.device)

    def bfloat16(self) -> bool:
        """Whether the VGG runs in bfloat16."""
        if self.precision != "auto":
            return self.precision == "bf16"
        return computes_bfloat16(self.torch_device())


@dataclass
class Position:
    """Where a descent is: everything that going on from there needs.

    ``image``: float32 [1, 3, H, W]. ``stage`` and ``iteration`` (within the stage) are those that come next. ``curve``:
    for each iteration so far the parts of the loss of the picture that it began with, and ``size``, its longer side.
    """

    image: Tensor
    stage: int = 0
    iteration: int = 0
    optimiser: dict[str, Any] = field(default_factory=dict)
    curve: list[dict[str, float]] = field(default_factory=list)

    @property
    def number(self) -> int:
        """How many iterations are over."""
        return len(self.curve)


@dataclass(frozen=True)
class Moment:
    """One iteration of ``total`` is over, ``number`` counting from 1. ``parts``: the losses of the picture that it
    began with; ``image``: the one that it led to.
    """

    number: int
    total: int
    size: tuple[int, int]
    parts: Mapping[str, float]
    image: Tensor


def descend(
    task: Task, stages: Sequence[Stage], position: Position, how: Descent, watch: Callable[[Moment], bool | None]
) -> bool:
    """Moves ``position`` through ``stages`` until the end or until ``watch``, called after each iteration, returns
    true; true when all is done. On the CPU a descent that was stopped and goes on ends as one that was not.

    :raises DeviceError: there is not enough memory.
    :raises TrainingError: the loss is not finite.
    """
    keep_freed_memory()
    device, total = how.torch_device(), sum(stage.iterations for stage in stages)
    per_pixel = bytes_per_pixel(task.vgg, history=how.history if how.method == "lbfgs" else 1, bfloat16=how.bfloat16())
    for stage in stages:  # the largest would only come to its turn after hours
        check_memory(stage.size, per_pixel, device)
    while position.stage < len(stages):
        stage = stages[position.stage]
        with out_of_memory_reported(stage.size, per_pixel, device):
            position.image = enlarged(position.image.to(device), stage.size)
            stopped = _run_stage(stage, task.objective(stage.size), position, how, total, watch)
        if position.iteration == stage.iterations:
            position.stage, position.iteration, position.optimiser = position.stage + 1, 0, {}
        if stopped:
            break
    return position.stage == len(stages)


def _run_stage(
    stage: Stage,
    objective: Objective,
    position: Position,
    how: Descent,
    total: int,
    watch: Callable[[Moment], bool | None],
) -> bool:
    """Whether it was stopped."""
    optimiser = make_optimiser(how.method, history=how.history, learning_rate=how.learning_rate)
    if position.optimiser:
        optimiser.restore(position.optimiser)
    bfloat16 = how.bfloat16()
    while position.iteration < stage.iterations:
        parts, gradient = evaluate(objective, position.image, bfloat16=bfloat16)
        if not math.isfinite(parts["total"]):
            raise TrainingError(
                f"the loss is {parts['total']} at iteration {len(position.curve) + 1}; try --precision float32"
            )
        position.image = optimiser.step(position.image, gradient)
        position.iteration += 1
        position.optimiser = optimiser.state()
        position.curve.append({"size": float(max(stage.size)), **parts})
        if watch(Moment(len(position.curve), total, stage.size, parts, position.image)):
            return True
    return False


def evaluate(objective: Objective, image: Tensor, *, bfloat16: bool) -> tuple[dict[str, float], Tensor]:
    """The losses of ``image`` by name, and the gradient of their total, float32 [1, 3, H, W]."""
    leaf = image.detach().requires_grad_()
    with torch.autocast(image.device.type, torch.bfloat16, enabled=bfloat16):
        parts = objective(leaf)
    (gradient,) = torch.autograd.grad(parts["total"], leaf)
    return {name: part.item() for name, part in parts.items()}, gradient
