"""What keeps pictures drawn from noise plain: noise that excites a network as well as a picture does is held down.

Yosinski et al., "Understanding Neural Networks Through Deep Visualization" (2015), section 3. Their pictures have the
training photos' mean subtracted; here the grey that values return to is 0.5.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from fststyle.errors import OptionError

GREY = 0.5


@dataclass(frozen=True, kw_only=True)
class Regularizers:
    """``l2_decay``: share of its distance from grey that every value loses in each step. ``blur_every``: blur after so
    many steps (0: never), by a Gaussian of ``blur_sigma`` pixels. ``clip_values``: percentage of the pixels, those
    nearest to grey, that become grey in each step. ``clip_gradients``: likewise, those whose distance from grey times
    gradient is smallest, which is about what the objective would lose without them.

    :raises OptionError: a value out of range.
    """

    l2_decay: float = 0.0
    blur_every: int = 0
    blur_sigma: float = 0.5
    clip_values: float = 0.0
    clip_gradients: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.l2_decay < 1:
            raise OptionError(f"L2 decay is 0 up to below 1, got {self.l2_decay:g}")
        if self.blur_every < 0 or not 0 < self.blur_sigma < math.inf:
            raise OptionError(
                f"blur comes every 0 or more steps with a sigma above 0, got {self.blur_every} and {self.blur_sigma:g}"
            )
        for name, percent in (("values", self.clip_values), ("gradients", self.clip_gradients)):
            if not 0 <= percent < 100:
                raise OptionError(f"the percentage of small {name} to clip is 0 up to below 100, got {percent:g}")

    def __call__(self, images: Tensor, gradient: Tensor, step: int) -> Tensor:
        """Both [N, 3, H, W], images in 0..1; ``step`` counts from 0."""
        offset = (images - GREY) * (1 - self.l2_decay)
        if self.blur_every and (step + 1) % self.blur_every == 0:
            offset = blurred(offset, self.blur_sigma)
        if self.clip_values:
            offset = without_smallest(offset, offset.norm(dim=1, keepdim=True), self.clip_values)
        if self.clip_gradients:
            contribution = (offset * gradient).sum(dim=1, keepdim=True).abs()
            offset = without_smallest(offset, contribution, self.clip_gradients)
        return offset + GREY


def blurred(images: Tensor, sigma: float) -> Tensor:
    """[N, C, H, W] under a Gaussian with a standard deviation of ``sigma`` pixels; edges repeat their last pixel."""
    reach = math.ceil(3 * sigma)
    places = torch.arange(-reach, reach + 1, dtype=images.dtype, device=images.device)
    line = torch.exp(-places.square() / (2 * sigma**2))
    line = line / line.sum()
    channels = images.shape[1]
    images = F.pad(images, (reach, reach, reach, reach), mode="replicate")
    images = F.conv2d(images, line.view(1, 1, -1, 1).expand(channels, 1, -1, 1), groups=channels)
    return F.conv2d(images, line.view(1, 1, 1, -1).expand(channels, 1, 1, -1), groups=channels)


def without_smallest(offset: Tensor, measure: Tensor, percent: float) -> Tensor:
    """``offset`` [N, C, H, W], 0 where ``measure`` [N, 1, H, W] is among the lowest ``percent`` of its picture."""
    count = round(measure[0].numel() * percent / 100)
    if count == 0:
        return offset
    limit = measure.flatten(1).kthvalue(count, dim=1).values.view(-1, 1, 1, 1)
    return offset * (measure > limit)
