"""The two ways down: L-BFGS and Adam over the pixels of one picture, kept in 0..1 at every iteration.

L-BFGS is Nocedal's two-loop recursion ("Updating quasi-Newton matrices with limited storage", 1980) without line
search, with one evaluation an iteration, as Gatys et al. and Johnson et al. use it. Johnson et al. (2016, section 4.1)
clip the picture to its valid range at every iteration; so is it here, and what the curvature is estimated from is the
step that was taken, after clipping. ``torch.optim.LBFGS`` would not know of the clipping.

Both can be stopped and resumed: ``state`` gives tensors and numbers, ``restore`` takes them back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from fststyle.errors import OptionError

Method = Literal["lbfgs", "adam"]

FIRST_STEP = 0.01
"""Mean change of a pixel value in the first iteration of L-BFGS, which knows no curvature yet."""

LONGEST_STEP = 0.1
"""Root mean square of the longest step of L-BFGS: one that is longer comes of a curvature estimated too low."""


class PixelOptimiser(Protocol):
    def step(self, image: Tensor, gradient: Tensor) -> Tensor:
        """The next picture, float [1, 3, H, W] in 0..1, after ``image`` where the loss has ``gradient``."""

    def state(self) -> dict[str, Any]: ...

    def restore(self, state: Mapping[str, Any]) -> None: ...


class LBFGS:
    """``history`` pairs of steps and gradient changes are kept: 24 bytes for each of them and each pixel."""

    def __init__(self, *, history: int = 50) -> None:
        self.history = history
        self.steps: list[Tensor] = []
        self.changes: list[Tensor] = []
        self.last_image: Tensor | None = None
        self.last_gradient: Tensor | None = None

    def step(self, image: Tensor, gradient: Tensor) -> Tensor:
        if self.last_image is not None and self.last_gradient is not None:
            self._remember(image - self.last_image, gradient - self.last_gradient)
        self.last_image, self.last_gradient = image, gradient
        if not self.steps:
            return (image - gradient * (FIRST_STEP / gradient.abs().mean().clamp(min=1e-30))).clamp(0, 1)
        direction = self._direction(gradient)
        length = direction.square().mean().sqrt()
        return (image - direction * (LONGEST_STEP / length).clamp(max=1)).clamp(0, 1)

    def _remember(self, step: Tensor, change: Tensor) -> None:
        # Without positive curvature along the step the estimate would stop being positive definite.
        if _dot(step, change) > 1e-8 * (_dot(step, step) * _dot(change, change)).sqrt():
            self.steps = [*self.steps, step][-self.history :]
            self.changes = [*self.changes, change][-self.history :]

    def _direction(self, gradient: Tensor) -> Tensor:
        """The estimated inverse Hessian times ``gradient``."""
        direction = gradient.clone()
        curvatures = [_dot(step, change) for step, change in zip(self.steps, self.changes, strict=True)]
        shares: list[Tensor] = []
        for step, change, curvature in zip(self.steps[::-1], self.changes[::-1], curvatures[::-1], strict=True):
            shares.append(_dot(step, direction) / curvature)
            direction -= shares[-1] * change
        direction *= curvatures[-1] / _dot(self.changes[-1], self.changes[-1])
        for step, change, curvature, share in zip(self.steps, self.changes, curvatures, shares[::-1], strict=True):
            direction += step * (share - _dot(change, direction) / curvature)
        return direction

    def state(self) -> dict[str, Any]:
        return {
            "steps": self.steps,
            "changes": self.changes,
            "last_image": self.last_image,
            "last_gradient": self.last_gradient,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self.steps, self.changes = [*state["steps"]], [*state["changes"]]
        self.last_image, self.last_gradient = state["last_image"], state["last_gradient"]


class Adam:
    """Kingma and Ba (2015), with their betas."""

    def __init__(self, *, learning_rate: float = 0.02) -> None:
        self.learning_rate = learning_rate
        self.count = 0
        self.mean: Tensor | None = None
        self.square: Tensor | None = None

    def step(self, image: Tensor, gradient: Tensor) -> Tensor:
        self.count += 1
        mean = torch.zeros_like(gradient) if self.mean is None else self.mean
        square = torch.zeros_like(gradient) if self.square is None else self.square
        self.mean, self.square = mean.lerp(gradient, 0.1), square.lerp(gradient.square(), 0.001)
        unbiased_mean = self.mean / (1 - 0.9**self.count)
        unbiased_square = self.square / (1 - 0.999**self.count)
        return (image - self.learning_rate * unbiased_mean / (unbiased_square.sqrt() + 1e-8)).clamp(0, 1)

    def state(self) -> dict[str, Any]:
        return {"count": self.count, "mean": self.mean, "square": self.square}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.count, self.mean, self.square = state["count"], state["mean"], state["square"]


def make_optimiser(method: Method, *, history: int, learning_rate: float) -> PixelOptimiser:
    """:raises OptionError: an unknown method."""
    if method == "lbfgs":
        return LBFGS(history=history)
    if method == "adam":
        return Adam(learning_rate=learning_rate)
    raise OptionError(f"the optimiser is lbfgs or adam, got {method!r}")


def _dot(left: Tensor, right: Tensor) -> Tensor:
    return torch.dot(left.flatten(), right.flatten())
