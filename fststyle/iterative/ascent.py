"""Pictures changed step by step, so that an objective rises: what dreams and filter pictures share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from fststyle.errors import OptionError
from fststyle.iterative.gradients import find_normalization
from fststyle.iterative.objectives import Objective
from fststyle.nn.feature_networks import FeatureNetwork

Progress = Callable[[float], None]
"""Called after each step with the objective's mean before it."""
Regularizer = Callable[[Tensor, Tensor, int], Tensor]
"""Maps pictures, their gradient and the number of the step to other pictures."""


@dataclass(frozen=True, kw_only=True)
class Ascent:
    """``step_size``: mean absolute change of a pixel value, in 0..1, by one step (its root mean square, with other
    normalisations than ``mean-absolute``). ``jitter``: the picture is shifted by up to so many pixels, at random, while
    the gradient is computed, so that the network's strides leave no grid. ``max_loss``: stop at this value of the
    objective.

    :raises OptionError: a value out of range, or an unknown normalisation.
    """

    steps: int = 10
    step_size: float = 0.006
    jitter: int = 32
    normalization: str = "mean-absolute"
    max_loss: float | None = None

    def __post_init__(self) -> None:
        find_normalization(self.normalization)
        if self.steps < 0 or self.jitter < 0:
            raise OptionError(f"steps and jitter are at least 0, got {self.steps} and {self.jitter}")
        if not 0 < self.step_size < float("inf"):
            raise OptionError(f"the step size is above 0, got {self.step_size}")
        if self.max_loss is not None and not self.max_loss > 0:
            raise OptionError(f"the maximum loss is above 0, got {self.max_loss:g}")


def ascend(
    images: Tensor,
    network: FeatureNetwork,
    objective: Objective,
    settings: Ascent,
    *,
    generator: torch.Generator,
    regularizer: Regularizer | None = None,
    progress: Progress | None = None,
) -> Tensor:
    """``images`` and the result: float [N, 3, H, W] RGB in 0..1. ``generator`` is of the CPU, on every device alike."""
    normalize = find_normalization(settings.normalization)
    for step in range(settings.steps):
        gradient, loss = jittered_gradient(images, network, objective, settings.jitter, generator)
        if settings.max_loss is not None and loss > settings.max_loss:
            break
        images = images + settings.step_size * normalize(gradient)
        if regularizer is not None:
            images = regularizer(images, gradient, step)
        images = images.clamp(0, 1)
        if progress is not None:
            progress(loss)
    return images


def jittered_gradient(
    images: Tensor, network: FeatureNetwork, objective: Objective, jitter: int, generator: torch.Generator
) -> tuple[Tensor, float]:
    """The gradient of the objective, in the place of ``images``, and the objective's mean.

    What is shifted out at one edge comes in at the other.
    """
    down, right = torch.randint(-jitter, jitter + 1, (2,), generator=generator).tolist()
    shifted = torch.roll(images, (down, right), dims=(2, 3)).requires_grad_()
    losses = objective(network(shifted, objective.layers))
    (gradient,) = torch.autograd.grad(losses.sum(), shifted)
    return torch.roll(gradient, (-down, -right), dims=(2, 3)), float(losses.detach().mean())
