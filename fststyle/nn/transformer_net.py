"""What all feed-forward transformer networks have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

MINIMUM_SIDE = 16
"""Pixels. Below it the reflection of the deepest convolution would need more rows than there are."""


class NetworkShape(ABC):
    """The numbers that shape a network: equal where the networks' tensors have the same names and shapes."""

    @property
    @abstractmethod
    def multiple(self) -> int:
        """Height and width are padded to a multiple of this many pixels inside the network."""

    @abstractmethod
    def network(self) -> TransformerNet:
        """A new one of random weights, from torch's global generator."""


class TransformerNet(nn.Module, ABC):
    """Image in, stylised image out.

    Input and output: float [N, 3, H, W], RGB, 0..1, H and W at least :data:`MINIMUM_SIDE`; the output has exactly the
    input's height and width. Values are centred inside, and the output may leave 0..1 by a little: whoever needs
    pixels clamps.
    """

    def __init__(self, architecture: NetworkShape) -> None:
        super().__init__()
        self.architecture = architecture

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor: ...
