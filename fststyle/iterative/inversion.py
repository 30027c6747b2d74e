"""Feature inversion: Mahendran and Vedaldi, "Understanding Deep Image Representations by Inverting Them" (2015).

Noise goes down the difference of one layer's features from the photo's, plus total variation: what comes out is what
the layer still knows of the photo.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fststyle.errors import OptionError
from fststyle.iterative.descent import Objective
from fststyle.iterative.pixels import to_tensor
from fststyle.nn.losses import content_loss, total_variation, total_variation_loss
from fststyle.nn.vgg import Pooling, VGGFeatures
from fststyle.nn.weight_files import VGGWeights


class Inversion:
    """A :class:`~fststyle.iterative.descent.Task`: the features of ``photo``, uint8 [H, W, 3], at one ``layer``.

    ``tv_weight`` weighs the picture's total variation over the photo's own.

    :raises OptionError: an unknown layer or a negative weight.
    """

    def __init__(
        self,
        photo: NDArray[np.uint8],
        weights: VGGWeights,
        layer: str,
        *,
        tv_weight: float = 0.01,
        pooling: Pooling = "max",
        device: torch.device,
    ) -> None:
        if tv_weight < 0:
            raise OptionError(f"tv_weight must be at least 0, got {tv_weight:g}")
        self.photo = photo
        self.layer = layer
        self.tv_weight = tv_weight
        self.device = device
        self.vgg = VGGFeatures(weights, [layer], pooling=pooling).to(device).to(memory_format=torch.channels_last)

    def objective(self, size: tuple[int, int]) -> Objective:
        """:raises OptionError: at that size nothing is left of the picture at the layer."""
        least = 2 ** int(self.layer[4])
        if min(size) < least:
            raise OptionError(f"{self.layer} needs a picture of at least {least} px on its short side, got {min(size)}")
        photo = to_tensor(self.photo, size).to(self.device, memory_format=torch.channels_last)
        with torch.no_grad():
            target = self.vgg(photo, [self.layer])[self.layer]
            roughness = total_variation(photo).mean()

        def evaluate(image: Tensor) -> Mapping[str, Tensor]:
            features = self.vgg(image.contiguous(memory_format=torch.channels_last), [self.layer])[self.layer]
            content = content_loss(features, target)
            variation = self.tv_weight * total_variation_loss(image, roughness)
            return {"total": content + variation, "content": content, "total_variation": variation}

        return evaluate
