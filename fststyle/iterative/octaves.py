"""Sizes from small to large, so that patterns of every size come up in a dream."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from fststyle.errors import OptionError

Size = tuple[int, int]


def octave_sizes(size: Size, count: int, scale: float) -> list[Size]:
    """``count`` sizes (height, width) in pixels, each ``scale`` times the one before; the last is ``size``.

    :raises OptionError: fewer than one octave, or a scale of 1 or below.
    """
    if count < 1:
        raise OptionError(f"a dream has at least 1 octave, got {count}")
    if not scale > 1:
        raise OptionError(f"the scale of octaves is above 1, got {scale:g}")
    height, width = size
    factors = [scale**-step for step in reversed(range(count))]
    return [(max(1, round(height * factor)), max(1, round(width * factor))) for factor in factors]


def resize(images: Tensor, size: Size) -> Tensor:
    """[N, C, H, W] -> [N, C, *size], bilinear, smoothed first where it becomes smaller: no value leaves the range."""
    if images.shape[2:] == size:
        return images
    return F.interpolate(images, size, mode="bilinear", align_corners=False, antialias=True)


def lost_detail(photo: Tensor, smaller: Size, size: Size) -> Tensor:
    """What ``photo`` [N, 3, H, W] shows at ``size`` and no longer shows when it comes from ``smaller``; [N, 3, *size].

    Added to a dream of the smaller octave, it makes the larger one as sharp as the photo.
    """
    return resize(photo, size) - resize(resize(photo, smaller), size)
