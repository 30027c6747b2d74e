"""L-BFGS and Adam over pixels: against torch's own, against bounds, stopped and resumed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from fststyle.errors import OptionError
from fststyle.iterative.optimiser import LBFGS, Adam, PixelOptimiser, make_optimiser

SHAPE = (1, 3, 6, 5)


def valley(wanted: float = 0.5) -> Callable[[Tensor], Tensor]:
    """A badly scaled quadratic function whose lowest point has ``wanted`` everywhere."""
    scales = torch.logspace(-2, 0, 90).reshape(SHAPE)
    return lambda image: (scales * (image - wanted).square()).sum()


def go(optimiser: PixelOptimiser, function: Callable[[Tensor], Tensor], image: Tensor, times: int) -> Tensor:
    for _ in range(times):
        leaf = image.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(function(leaf), leaf)
        image = optimiser.step(image, gradient)
    return image


@pytest.fixture
def image() -> Tensor:
    return torch.rand(SHAPE, generator=torch.Generator().manual_seed(0))


def test_lbfgs_finds_the_bottom_of_a_narrow_valley(image: Tensor) -> None:
    found = go(LBFGS(), valley(), image, 60)
    torch.testing.assert_close(found, torch.full(SHAPE, 0.5), atol=1e-3, rtol=0)


def test_lbfgs_gets_there_sooner_than_the_steepest_descent(image: Tensor) -> None:
    """The largest step at which steepest descent is stable is 1, the inverse of the largest curvature, doubled."""
    function, steepest = valley(), image
    for _ in range(30):
        leaf = steepest.detach().requires_grad_()
        steepest = (leaf - torch.autograd.grad(function(leaf), leaf)[0] * 0.9).detach()
    assert function(go(LBFGS(), function, image, 30)) < 0.01 * function(steepest)


def test_the_direction_is_that_of_the_dense_update(image: Tensor) -> None:
    """Against the BFGS formula with whole matrices (Nocedal and Wright, "Numerical Optimization", equation 7.16)."""
    random = torch.Generator().manual_seed(1)
    optimiser = LBFGS(history=3)
    curvature = torch.logspace(-1, 1, 90)
    for _ in range(3):
        step = torch.randn(90, generator=random)
        optimiser._remember(step.reshape(SHAPE), (curvature * step).reshape(SHAPE))
    last_step, last_change = optimiser.steps[-1].flatten(), optimiser.changes[-1].flatten()
    inverse = torch.eye(90) * (last_step @ last_change) / (last_change @ last_change)
    for step, change in zip(optimiser.steps, optimiser.changes, strict=True):
        s, y = step.flatten(), change.flatten()
        rho = 1 / (s @ y)
        left = torch.eye(90) - rho * torch.outer(s, y)
        inverse = left @ inverse @ left.T + rho * torch.outer(s, s)
    gradient = torch.randn(SHAPE, generator=random)
    expected = (inverse @ gradient.flatten()).reshape(SHAPE)
    torch.testing.assert_close(optimiser._direction(gradient), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("make", [LBFGS, Adam])
def test_the_picture_stays_in_its_range(make: Callable[[], PixelOptimiser], image: Tensor) -> None:
    found = go(make(), valley(wanted=3.0), image, 150)
    assert found.min() >= 0
    assert found.max() <= 1
    assert found.mean() > 0.9


def test_a_step_of_negative_curvature_is_forgotten(image: Tensor) -> None:
    optimiser = LBFGS()
    optimiser._remember(image, -image)
    assert optimiser.steps == []


def test_no_more_than_the_history_is_kept(image: Tensor) -> None:
    optimiser = LBFGS(history=4)
    go(optimiser, valley(), image, 12)
    assert len(optimiser.steps) == len(optimiser.changes) == 4


def test_adam_is_torchs(image: Tensor) -> None:
    parameter = image.clone().requires_grad_()
    theirs, function = torch.optim.Adam([parameter], lr=0.01), valley()
    for _ in range(20):
        theirs.zero_grad()
        function(parameter).backward()
        theirs.step()
    torch.testing.assert_close(go(Adam(learning_rate=0.01), function, image, 20), parameter.detach())


@pytest.mark.parametrize("make", [LBFGS, Adam])
def test_resumed_is_as_straight(make: Callable[[], PixelOptimiser], image: Tensor) -> None:
    straight = go(make(), valley(), image, 14)
    first, second = make(), make()
    halfway = go(first, valley(), image, 6)
    second.restore(first.state())
    assert torch.equal(go(second, valley(), halfway, 8), straight)


def test_a_flat_loss_moves_nothing(image: Tensor) -> None:
    assert torch.equal(go(LBFGS(), lambda pixels: (pixels * 0).sum(), image, 3), image)


def test_an_unknown_method_is_an_option_error() -> None:
    with pytest.raises(OptionError, match="lbfgs or adam"):
        make_optimiser("sgd", history=1, learning_rate=0.1)  # type: ignore[arg-type]
