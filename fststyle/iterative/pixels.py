"""Pictures at other sizes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from fststyle.nn.pixels import to_image


def to_tensor(pixels: NDArray[np.uint8], size: tuple[int, int]) -> Tensor:
    """uint8 [H, W, 3] -> float32 [1, 3, H, W] in 0..1, scaled (Lanczos) to ``size`` (width, height)."""
    if size != (pixels.shape[1], pixels.shape[0]):
        pixels = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))
    return to_image(pixels)


def enlarged(image: Tensor, size: tuple[int, int]) -> Tensor:
    """``image`` at ``size`` (width, height), bicubic, in 0..1: the start of the next finer stage."""
    if (image.shape[3], image.shape[2]) == size:
        return image
    height_width = (size[1], size[0])
    return F.interpolate(image, height_width, mode="bicubic", align_corners=False, antialias=True).clamp(0, 1)


def fitting(size: tuple[int, int], longer_side: int) -> tuple[int, int]:
    """``size`` (width, height) scaled so that its longer side is ``longer_side``."""
    scale = longer_side / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def covering(pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """The middle of a picture, of the shape of ``size`` (width, height) and scaled to it."""
    height, width = pixels.shape[:2]
    scale = min(width / size[0], height / size[1])
    crop = (size[0] * scale, size[1] * scale)
    left, top = (width - crop[0]) / 2, (height - crop[1]) / 2
    box = (left, top, left + crop[0], top + crop[1])
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS, box))
