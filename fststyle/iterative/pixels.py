"""Pictures as tensors, float [1, 3, H, W] RGB in 0..1, and at other sizes."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F


def to_tensor(pixels: NDArray[np.uint8], size: tuple[int, int] | None = None) -> Tensor:
    """uint8 [H, W, 3] -> float32 [1, 3, H, W] in 0..1, scaled (Lanczos) to ``size`` (width, height) if it is given."""
    picture = Image.fromarray(pixels)
    if size is not None and size != picture.size:
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    return torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1)[None].contiguous().float() / 255


def to_pixels(image: Tensor) -> NDArray[np.uint8]:
    """float [1, 3, H, W] -> uint8 [H, W, 3]; values beyond 0..1 are clipped."""
    rounded = (image.detach()[0].float().clamp(0, 1) * 255).round().byte()
    return rounded.permute(1, 2, 0).contiguous().cpu().numpy()


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


def noise(size: tuple[int, int], seed: int) -> Tensor:
    """White noise, each value uniform in 0..1; the same for the same seed on every device."""
    return torch.rand(1, 3, size[1], size[0], generator=torch.Generator().manual_seed(seed))
