"""A loss for styles that keep still: the result should move along with the photo, and not change with its noise.

Stability training (Zheng et al. 2016, arXiv:1604.04326): each photo is seen a second time, a little changed, and both
results should agree. There the change is noise; here the photo also moves by some pixels, as a network that shrinks the
picture sees it afresh at every other pixel, and the results are compared where they show the same. Videos then flicker
less without any memory of the frames before, at the cost of some style.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fststyle.nn.losses import EPSILON, in_full_precision

LARGEST_OFFSET = 3
"""Pixels that a photo moves by, down and to the right, at most."""
NOISE = 2 / 255
"""Standard deviation of the noise: that of a camera in daylight."""
BORDER = 16
"""Pixels at the edges that do not count: padding shows there, and the moved photo has nothing new to show."""


def random_offset(generator: torch.Generator) -> Tensor:
    """Rows and columns, int64 [2], 0 to :data:`LARGEST_OFFSET` each."""
    return torch.randint(LARGEST_OFFSET + 1, (2,), generator=generator)


def moved(images: Tensor, offset: Tensor) -> Tensor:
    """[N, C, H, W] up and to the left by ``offset``, int64 [2] of rows and columns, at least 0; the last ones are
    repeated.
    """
    rows, columns = (
        (torch.arange(images.shape[dim], device=images.device) + offset[place]).clamp(max=images.shape[dim] - 1)
        for place, dim in enumerate((2, 3))
    )
    return images.index_select(2, rows).index_select(3, columns)


def stability_loss(
    results: Tensor, photos: Tensor, later_results: Tensor, later_photos: Tensor, offset: Tensor
) -> Tensor:
    """How much results change besides moving along, over how much the photos change: a scalar.

    All are [N, C, H, W] with sides above twice :data:`BORDER`; the later ones belong to photos that were
    :func:`moved` by ``offset``. Both changes are mean squares over the batch, so that 1 is a result that changes as
    much as its photo.
    """
    inner = (..., slice(BORDER, -BORDER), slice(BORDER, -BORDER))
    change = in_full_precision(later_results)[inner] - moved(in_full_precision(results), offset)[inner]
    given = (later_photos - photos)[inner].square().mean()
    return change.square().mean() / (given + EPSILON)
