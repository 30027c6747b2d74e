"""The optimizer of training: orthogonalised momentum for convolutions, Adam for all the rest.

Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024, kellerjordan.github.io/posts/muon). A
convolution's kernel counts as a matrix with one row for each output channel. Its step is the momentum with all singular
values brought to about 1, so that directions that gradients seldom point to are learnt as fast as the others.
``benchmarks/time_to_style.py`` compares it with Adam alone. Departures: no weight decay, and a momentum of 0.9, since a
whole run is only some thousand steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

MATRIX_RATE = 5.0
"""Learning rate of the matrices over that of Adam: their steps are measured by another norm."""
MOMENTUM = 0.9
BETAS = (0.9, 0.99)
"""Of Adam: the second one forgets sooner than the default of 0.999, since a whole run is only some thousand steps."""


def adam(parameters: Iterable[Tensor], learning_rate: float, *, fused: bool = True) -> torch.optim.Adam:
    return torch.optim.Adam(parameters, lr=learning_rate, betas=BETAS, fused=fused)


class MatrixAdam(torch.optim.Optimizer):
    """torch's own Muon and Adam as one optimizer, as Lightning, schedules and loss scaling want it.

    The group "lr" of the convolutions is :data:`MATRIX_RATE` times ``learning_rate``.
    """

    def __init__(self, network: nn.Module, learning_rate: float, *, fused: bool = True) -> None:
        kernels = [parameter for parameter in network.parameters() if parameter.ndim == 4]
        others = [parameter for parameter in network.parameters() if parameter.ndim != 4]
        groups = [{"params": kernels, "lr": MATRIX_RATE * learning_rate}, {"params": others, "lr": learning_rate}]
        super().__init__(groups, {})
        self._kernels = kernels
        self._matrices = [nn.Parameter(as_matrix(kernel.detach())) for kernel in kernels]
        self._muon = torch.optim.Muon(self._matrices, lr=MATRIX_RATE * learning_rate, weight_decay=0, momentum=MOMENTUM)
        self._adam = adam(others, learning_rate, fused=fused)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for optimizer, group in zip((self._muon, self._adam), self.param_groups, strict=True):
            optimizer.param_groups[0]["lr"] = group["lr"]
        for matrix, kernel in zip(self._matrices, self._kernels, strict=True):
            matrix.grad = None if kernel.grad is None else as_matrix(kernel.grad)
            matrix.copy_(as_matrix(kernel))
        self._muon.step()  # type: ignore[no-untyped-call]
        self._adam.step()
        for matrix, kernel in zip(self._matrices, self._kernels, strict=True):
            kernel.copy_(matrix.view(kernel.permute(0, 2, 3, 1).shape).permute(0, 3, 1, 2))
        return loss

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "muon": self._muon.state_dict(), "adam": self._adam.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        rest = dict(state_dict)
        self._muon.load_state_dict(rest.pop("muon"))
        self._adam.load_state_dict(rest.pop("adam"))
        super().load_state_dict(rest)


def as_matrix(kernel: Tensor) -> Tensor:
    """[outputs, inputs, height, width] -> a copy, [outputs, height * width * inputs]."""
    return kernel.permute(0, 2, 3, 1).flatten(1).clone(memory_format=torch.contiguous_format)
