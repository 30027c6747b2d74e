"""Texture synthesis: Gatys, Ecker and Bethge, "Texture Synthesis Using Convolutional Neural Networks" (NIPS 2015).

Noise goes down the style loss alone until its Gram matrices are the painting's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fststyle.errors import OptionError
from fststyle.iterative.descent import Objective
from fststyle.iterative.pixels import to_tensor
from fststyle.nn.losses import LossWeights, PerceptualLoss
from fststyle.nn.vgg import Pooling, VGGFeatures
from fststyle.nn.weight_files import VGGWeights

SMALLEST = 32
LARGEST_AT_ONCE = 256
"""Pixels on the longer side; above it a smaller size goes before. From noise, structure comes about more slowly than
from a photo.
"""


class Texture:
    """A :class:`~fststyle.iterative.descent.Task`: a picture with the statistics of ``painting``, uint8 [H, W, 3].

    With ``tile`` the VGG sees the opposite edge beyond each edge, so that copies side by side show no seam.
    ``scale``: the painting's short side over the shorter side of the largest size, ``size`` (width, height).
    """

    def __init__(
        self,
        painting: NDArray[np.uint8],
        weights: VGGWeights,
        style_layers: Mapping[str, float],
        *,
        size: tuple[int, int],
        scale: float = 1.0,
        pooling: Pooling = "average",
        tile: bool = False,
        device: torch.device,
    ) -> None:
        """
        :raises OptionError: an unknown layer, a size too small, or one that cannot be tiled.
        """
        self.painting = painting
        self.size = size
        self.scale = scale
        self.device = device
        # Content takes no part, but the loss asks for its layers.
        self.loss_weights = LossWeights(style_layers, style_layers, content=0, style=1, total_variation=0)
        plain = VGGFeatures(weights, style_layers, pooling=pooling)
        self.flat = plain.to(device).to(memory_format=torch.channels_last)
        self.vgg = self.flat
        if tile:
            check_tileable(size, style_layers)
            tiled = VGGFeatures(weights, style_layers, pooling=pooling, padding="circular")
            self.vgg = tiled.to(device).to(memory_format=torch.channels_last)

    def objective(self, size: tuple[int, int]) -> Objective:
        height, width = self.painting.shape[:2]
        ratio = self.scale * min(self.size) / min(height, width) * size[0] / self.size[0]
        scaled = (max(1, round(width * ratio)), max(1, round(height * ratio)))
        for what, short in (("the texture", min(size)), ("the painting", min(scaled))):
            if short < SMALLEST:
                raise OptionError(f"{what} would be {short} px on its short side, at least {SMALLEST} are needed")
        painting = to_tensor(self.painting, scaled).to(self.device, memory_format=torch.channels_last)
        loss = PerceptualLoss(self.flat, self.loss_weights, [painting]).to(self.device)

        def evaluate(image: Tensor) -> Mapping[str, Tensor]:
            features = self.vgg(image.contiguous(memory_format=torch.channels_last), self.loss_weights.style_layers)
            style = loss.style_part(features)
            return {"total": style, "style": style}

        return evaluate


def tile_step(layers: Iterable[str]) -> int:
    """What both sides of a tile are multiples of: pooling drops what is left over, and a seam would show."""
    return 1 << max(int(layer[4]) - 1 for layer in layers)


def check_tileable(size: tuple[int, int], layers: Iterable[str]) -> None:
    """:raises OptionError: a side is no multiple of :func:`tile_step`."""
    step = tile_step(layers)
    if size[0] % step or size[1] % step:
        near = "x".join(str(max(step, round(side / step) * step)) for side in size)
        raise OptionError(
            f"the sides of a tile are multiples of {step}, got {size[0]}x{size[1]}; the nearest is {near}"
        )


def texture_sizes(size: tuple[int, int], layers: Iterable[str], *, tile: bool) -> list[tuple[int, int]]:
    """The sizes (width, height) from coarse to fine that end with ``size``; for a tile all can be tiled."""
    layers = tuple(layers)
    sizes = [size]
    while max(sizes[0]) > LARGEST_AT_ONCE and min(sizes[0]) >= 4 * SMALLEST:
        step = tile_step(layers) if tile else 1
        width, height = (max(step, round(side / 2 / step) * step) for side in sizes[0])
        sizes.insert(0, (width, height))
    return sizes
