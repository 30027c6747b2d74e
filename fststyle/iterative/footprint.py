"""Where a network that is looked through runs, and how much memory a gradient through it takes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from fststyle.iterative.memory import PICTURE, check_memory, out_of_memory_reported
from fststyle.nn.feature_networks import FeatureNetwork, smallest_side

SAMPLE_SIDE = 128
WORKSPACE = 1.5
"""What convolutions and gradients need at the peak, as a multiple of the activations that are kept."""
PICTURES = 8
"""Copies of the picture, its gradient and its octaves that exist at a time."""


def bytes_per_pixel(network: FeatureNetwork, layers: Iterable[str]) -> float:
    """An estimate, from what is kept for the gradient of ``layers`` on a small picture."""
    wanted, device = list(layers), next(network.buffers()).device
    own = {tensor.untyped_storage().data_ptr() for tensor in (*network.buffers(), *network.parameters())}
    kept: dict[int, int] = {}

    def count(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    side = max(SAMPLE_SIDE, smallest_side(network, wanted, 1))
    picture = torch.rand(1, 3, side, side, device=device, requires_grad=True)
    with saved_tensors_hooks(count, lambda tensor: tensor):
        features = network(picture, wanted)  # while they live, no storage is given to another tensor
    kept |= {layer.untyped_storage().data_ptr(): layer.untyped_storage().nbytes() for layer in features.values()}
    return WORKSPACE * sum(kept.values()) / side**2 + PICTURES * PICTURE


@contextlib.contextmanager
def enough_memory(
    network: FeatureNetwork, layers: Iterable[str], size: tuple[int, int], *, pictures: int = 1
) -> Iterator[None]:
    """Around work on so many pictures of ``size`` (width, height) at a time.

    :raises DeviceError: it needs more memory than there is; the message says which size would fit.
    """
    device = next(network.buffers()).device
    per_pixel = bytes_per_pixel(network, layers) * pictures
    check_memory(size, per_pixel, device)
    with out_of_memory_reported(size, per_pixel, device):
        yield
