"""The optimizer of training against NumPy, and as Lightning, schedules and resumed runs need it."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fststyle.training.optimizer import MATRIX_RATE, MatrixAdam, as_matrix


@pytest.fixture
def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.InstanceNorm2d(8, affine=True), nn.Conv2d(8, 3, 3))


def step(network: nn.Sequential, optimizer: torch.optim.Optimizer, seed: int = 0) -> Tensor:
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(seed))
    optimizer.zero_grad()
    loss: Tensor = (network(images) - 0.25).square().mean()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return loss.detach()


def weights(network: nn.Module) -> Tensor:
    return nn.utils.parameters_to_vector(network.parameters()).detach().clone()


def test_a_kernel_becomes_a_matrix_with_a_row_for_each_output() -> None:
    kernel = torch.arange(2 * 3 * 2 * 2.0).view(2, 3, 2, 2)
    matrix = as_matrix(kernel)
    assert matrix.shape == (2, 12)
    assert matrix[1].tolist() == kernel[1].permute(1, 2, 0).flatten().tolist()
    assert torch.equal(matrix, as_matrix(kernel.to(memory_format=torch.channels_last)))


def test_the_first_step_of_a_kernel_has_the_singular_vectors_of_its_gradient_and_values_near_1(
    network: nn.Sequential,
) -> None:
    kernel = network[0].weight
    before = as_matrix(kernel.detach()).numpy()
    optimizer = MatrixAdam(network, 1e-3)
    step(network, optimizer)
    assert kernel.grad is not None
    moved = (before - as_matrix(kernel.detach()).numpy()) / (MATRIX_RATE * 1e-3)
    left, _, right = np.linalg.svd(as_matrix(kernel.grad).numpy().astype(np.float64), full_matrices=False)
    seen = left.T @ moved @ right.T  # diagonal where the singular vectors are the same
    assert np.diag(seen).min() > 0.5
    assert np.diag(seen).max() < 1.5
    assert np.abs(seen - np.diag(np.diag(seen))).max() < 0.1


def test_what_is_no_kernel_moves_as_adam_moves_it(network: nn.Sequential) -> None:
    scale = network[1].weight
    before = scale.detach().clone()
    step(network, MatrixAdam(network, 1e-3))
    assert scale.grad is not None
    # Adam's first step has the learning rate's length, whatever the gradient's.
    assert torch.allclose(before - scale.detach(), 1e-3 * scale.grad.sign(), rtol=1e-2)


def test_the_loss_falls(network: nn.Sequential) -> None:
    optimizer = MatrixAdam(network, 1e-2)
    losses = [step(network, optimizer).item() for _ in range(30)]
    assert losses[-1] < 0.5 * losses[0]


def test_a_schedule_reaches_both_halves(network: nn.Sequential) -> None:
    optimizer = MatrixAdam(network, 1e-3)
    torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 0.0)
    before = weights(network)
    step(network, optimizer)
    assert torch.equal(weights(network), before)


def test_a_kernel_without_a_gradient_stays(network: nn.Sequential) -> None:
    network[0].requires_grad_(False)
    before = network[0].weight.clone()
    step(network, MatrixAdam(network, 1e-3))
    assert torch.equal(network[0].weight, before)


def test_stored_and_loaded_it_goes_on_as_if_nothing_had_happened(network: nn.Sequential) -> None:
    optimizer = MatrixAdam(network, 1e-3)
    for seed in range(3):
        step(network, optimizer, seed)
    stored = copy.deepcopy((network.state_dict(), optimizer.state_dict()))
    step(network, optimizer, 3)
    straight = weights(network)

    network.load_state_dict(stored[0])
    again = MatrixAdam(network, 1e-3)
    again.load_state_dict(stored[1])
    step(network, again, 3)
    assert torch.equal(weights(network), straight)
