"""Frozen VGG features by name: the eyes of every loss.

Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition" (ICLR 2015),
configurations D (VGG-16) and E (VGG-19). Layers are named as Gatys et al. name them: ``relu3_2`` is the second
activation of the third block.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fststyle.errors import OptionError, did_you_mean
from fststyle.nn.weight_files import VGGWeights, find_architecture

Pooling = Literal["max", "average"]
Padding = Literal["zeros", "circular"]


def layer_names(architecture: str) -> tuple[str, ...]:
    """``relu1_1`` ... ``relu5_3`` (VGG-16) or ``relu5_4`` (VGG-19), from the picture inwards."""
    return tuple(layer.replace("conv", "relu") for layer in find_architecture(architecture).layers)


def check_layers(architecture: str, layers: Iterable[str]) -> None:
    """Raise :class:`~fststyle.errors.OptionError` for the first name that is not one of the network's layers."""
    names = layer_names(architecture)
    for layer in layers:
        if layer not in names:
            raise OptionError(
                f"{architecture} has no layer named {layer!r}; layers: {', '.join(names)}{did_you_mean(layer, names)}"
            )


def max_pool(features: Tensor) -> Tensor:
    """The largest of 2 x 2, a last odd row or column left out: [N, C, H, W] -> [N, C, H // 2, W // 2].

    Under ``torch.compile`` it is written as comparisons of shifted copies, which fuse with the layers beside them. The
    one difference: where values are equal, they share the gradient that otherwise goes to the first of them.
    """
    if not torch.compiler.is_compiling():
        return F.max_pool2d(features, 2)
    return max_of_neighbours(max_of_neighbours(features, 2), 3)


def max_of_neighbours(features: Tensor, dim: int) -> Tensor:
    """The larger of each two along ``dim``, of which half are left."""
    half = features.shape[dim] // 2
    pairs = features.narrow(dim, 0, 2 * half)
    shape = [*pairs.shape[:dim], half, 2, *pairs.shape[dim + 1 :]]
    return torch.maximum(*pairs.reshape(shape).unbind(dim + 1))


def average_pool(features: Tensor) -> Tensor:
    return F.avg_pool2d(features, 2)


class VGGFeatures(nn.Module):
    """Activations of a frozen VGG.

    ``forward`` takes float [N, 3, H, W] RGB images in 0..1 and returns the activations of the ``layers`` asked for,
    by name, each [N, C, H', W']. Nothing beyond the deepest of them is built or run. The normalisation that the
    weights were trained with is a buffer inside. Max pooling is what the network was trained with; Gatys et al.
    (2016) found that average pooling gives slightly more appealing pictures. Zeros around the picture are what the
    network was trained with too; circular padding sees the opposite edge beyond each edge, as in a tiled plane.

    Raises :class:`~fststyle.errors.OptionError` for an unknown layer or pooling, or for no layer at all.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, weights: VGGWeights, layers: Iterable[str], *, pooling: Pooling = "max", padding: Padding = "zeros"
    ) -> None:
        super().__init__()
        wanted = tuple(layers)
        check_layers(weights.architecture, wanted)
        if not wanted:
            raise OptionError("no VGG layer asked for; name at least one")
        if pooling not in ("max", "average"):
            raise OptionError(f"pooling must be 'max' or 'average', got {pooling!r}")
        names = layer_names(weights.architecture)
        self.names = names[: 1 + max(names.index(layer) for layer in wanted)]
        self.circular = padding == "circular"
        self.pool = max_pool if pooling == "max" else average_pool
        self.register_buffer("mean", torch.tensor(weights.normalization.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(weights.normalization.std).view(1, 3, 1, 1), persistent=False)
        for name in self.names:
            for kind in ("weight", "bias"):
                tensor = weights.tensors[f"{name.replace('relu', 'conv')}.{kind}"].clone()
                self.register_buffer(f"{name}_{kind}", tensor, persistent=False)

    def forward(self, images: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        wanted = set(layers)
        found: dict[str, Tensor] = {}
        features = (images - self.mean) / self.std
        for name in self.names:
            if name.endswith("_1") and name != "relu1_1":
                features = self.pool(features)
            weight, bias = getattr(self, f"{name}_weight"), getattr(self, f"{name}_bias")
            if self.circular:
                features = F.pad(features, (1, 1, 1, 1), mode="circular")
            features = F.conv2d(features, weight, bias, padding=0 if self.circular else 1)
            features = features.relu_()  # in place: half the memory
            if name in wanted:
                found[name] = features
            if len(found) == len(wanted):
                break
        return found
