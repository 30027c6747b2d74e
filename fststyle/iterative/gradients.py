"""Gradients made comparable, so that a step of one size suits every layer, network and picture.

Each function takes [N, 3, H, W] and treats each of the N for itself. A gradient of zeros stays zeros.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from fststyle.errors import OptionError, did_you_mean

EPSILON = 1e-20
"""Added to divisors: below any gradient that is not zero."""
PYRAMID_LEVELS = 4
_SMALLEST_LEVEL = 8  # pixels; below that a level is little more than a mean
_BINOMIAL = (1.0, 4.0, 6.0, 4.0, 1.0)


def by_mean_absolute(gradient: Tensor) -> Tensor:
    """Mean absolute value 1, as in the first DeepDream."""
    return gradient / (gradient.abs().mean(dim=(1, 2, 3), keepdim=True) + EPSILON)


def by_l2(gradient: Tensor) -> Tensor:
    """Root mean square 1: the L2 norm, divided by the root of the number of values so that size does not matter."""
    return gradient / (gradient.square().mean(dim=(1, 2, 3), keepdim=True).sqrt() + EPSILON)


def by_standard_deviation(gradient: Tensor) -> Tensor:
    return gradient / (gradient.std(dim=(1, 2, 3), keepdim=True) + EPSILON)


def by_laplacian_pyramid(gradient: Tensor, levels: int = PYRAMID_LEVELS) -> Tensor:
    """Every band of frequencies with a root mean square of 1, then their sum, with one of 1 as well.

    Fine structure, which otherwise has most of the gradient, and coarse structure then come up alike.
    """
    bands = laplacian_pyramid(gradient, levels)
    return by_l2(merged([by_l2(band) for band in bands]))


def laplacian_pyramid(images: Tensor, levels: int) -> list[Tensor]:
    """At most ``levels`` bands from fine to coarse, each half as large as the one before, and what is left.

    :func:`merged` gives ``images`` back. Small pictures have fewer bands.
    """
    bands: list[Tensor] = []
    for _ in range(levels):
        if min(images.shape[2:]) < 2 * _SMALLEST_LEVEL:
            break
        coarse = _halved(images)
        bands.append(images - _enlarged(coarse, images))
        images = coarse
    return [*bands, images]


def merged(bands: list[Tensor]) -> Tensor:
    images = bands[-1]
    for band in reversed(bands[:-1]):
        images = band + _enlarged(images, band)
    return images


def _halved(images: Tensor) -> Tensor:
    line = torch.tensor(_BINOMIAL, dtype=images.dtype, device=images.device)
    kernel = (torch.outer(line, line) / line.sum().square()).expand(images.shape[1], 1, -1, -1)
    return F.conv2d(F.pad(images, (2, 2, 2, 2), mode="reflect"), kernel, stride=2, groups=images.shape[1])


def _enlarged(images: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(images, like.shape[2:], mode="bilinear", align_corners=False)


NORMALIZATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "mean-absolute": by_mean_absolute,
    "l2": by_l2,
    "std": by_standard_deviation,
    "laplacian": by_laplacian_pyramid,
}


def find_normalization(name: str) -> Callable[[Tensor], Tensor]:
    if name not in NORMALIZATIONS:
        near = did_you_mean(name, NORMALIZATIONS)
        raise OptionError(f"no gradient normalisation {name!r}; accepted: {', '.join(NORMALIZATIONS)}{near}")
    return NORMALIZATIONS[name]
